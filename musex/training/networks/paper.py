"""The network of "Harmonizing Emotions: A Musical Journey through Innovative Extrapolation" (2023), as written.

One vector of 22 050 samples a second; 20 go in, 10 come out. Left open by the paper and settled here: each unit's
hidden layers are shared over time, its first Dense(1) is not (its input grows with time); the widths in between are
64, 128, 256, 512; what goes in and what shall come out have zero mean and unit variance each, so that silence scores
an MSE of 1.
"""

from typing import Any

import keras
from keras import layers

from musex.config import WaveformConfig


def hidden_layers(config: WaveformConfig, name: str) -> keras.Model:
    """Four blocks of Dense, LeakyReLU, BatchNormalization, then Dense to one second: (B, rate) to (B, rate)."""
    inputs = keras.Input((config.sample_rate,))
    hidden: Any = inputs
    for width in config.widths:
        hidden = layers.BatchNormalization()(layers.LeakyReLU(config.slope)(layers.Dense(width)(hidden)))
    return keras.Model(inputs, layers.LeakyReLU(config.slope)(layers.Dense(config.sample_rate)(hidden)), name=name)


def unit(vectors: list[Any], hidden: keras.Model, config: WaveformConfig) -> Any:
    """One recurrent unit: n vectors (B, rate) are stacked to (B, rate, n), weighted to one, and passed through."""
    stacked = layers.Concatenate(axis=2)([layers.Reshape((config.sample_rate, 1))(vector) for vector in vectors])
    return hidden(layers.Flatten()(layers.LeakyReLU(config.slope)(layers.Dense(1)(stacked))))


def build_paper(config: WaveformConfig) -> keras.Model:
    """The whole network: (B, 20, rate) to (B, 10, rate)."""
    inputs = keras.Input((config.context_seconds, config.sample_rate), name="waveform")
    seconds = [inputs[:, second] for second in range(config.context_seconds)]

    encoder = hidden_layers(config, "encoder")
    encoded: list[Any] = []
    for heard in seconds:
        # At the first second the context is the input itself.
        encoded.append(unit([*reversed(encoded or [heard]), heard], encoder, config))

    context = unit(list(reversed(encoded)), hidden_layers(config, "context"), config)

    decoder = hidden_layers(config, "decoder")
    decoded: list[Any] = []
    for _ in range(config.horizon_seconds):
        decoded.append(unit([*reversed(decoded or [context]), context], decoder, config))
    outputs = [layers.Reshape((1, config.sample_rate))(second) for second in decoded]
    return keras.Model(inputs, layers.Concatenate(axis=1)(outputs), name="paper")
