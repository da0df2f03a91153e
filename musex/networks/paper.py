"""The network of "Harmonizing Emotions: A Musical Journey through Innovative Extrapolation" (2023), as written.

One vector of 22 050 samples a second; 20 go in, 10 come out. Left open by the paper and settled here: each unit's
hidden layers are shared over time, its first Dense(1) is not (its input grows with time); the widths in between are
64, 128, 256, 512; a clip has zero mean and unit variance, so that silence scores an MSE of 1.
"""

from typing import Any

import keras
from keras import layers

INPUT_SECONDS, OUTPUT_SECONDS, RATE = 20, 10, 22_050
WIDTHS = (64, 128, 256, 512)
SLOPE = 0.3


def hidden_layers(rate: int, widths: tuple[int, ...], name: str) -> keras.Model:
    """Four blocks of Dense, LeakyReLU, BatchNormalization, then Dense to one second: (B, rate) to (B, rate)."""
    inputs = keras.Input((rate,))
    hidden: Any = inputs
    for width in widths:
        hidden = layers.BatchNormalization()(layers.LeakyReLU(SLOPE)(layers.Dense(width)(hidden)))
    return keras.Model(inputs, layers.LeakyReLU(SLOPE)(layers.Dense(rate)(hidden)), name=name)


def unit(vectors: list[Any], hidden: keras.Model) -> Any:
    """One recurrent unit: n vectors (B, rate) are stacked to (B, rate, n), weighted to one, and passed through."""
    weighted = layers.LeakyReLU(SLOPE)(layers.Dense(1)(stack(vectors)))
    return hidden(layers.Flatten()(weighted))


def stack(vectors: list[Any]) -> Any:
    """n vectors (B, rate) side by side, (B, rate, n)."""
    rate = vectors[0].shape[1]
    return layers.Concatenate(axis=2)([layers.Reshape((rate, 1))(vector) for vector in vectors])


def build_paper(rate: int = RATE, widths: tuple[int, ...] = WIDTHS) -> keras.Model:
    """The whole network: (B, 20, rate) to (B, 10, rate)."""
    inputs = keras.Input((INPUT_SECONDS, rate), name="waveform")
    seconds = [inputs[:, second] for second in range(INPUT_SECONDS)]

    encoder = hidden_layers(rate, widths, "encoder")
    encoded: list[Any] = []
    for heard in seconds:
        # At the first second the context is the input itself.
        encoded.append(unit([*reversed(encoded or [heard]), heard], encoder))

    context = unit(list(reversed(encoded)), hidden_layers(rate, widths, "context"))

    decoder = hidden_layers(rate, widths, "decoder")
    decoded: list[Any] = []
    for _ in range(OUTPUT_SECONDS):
        decoded.append(unit([*reversed(decoded or [context]), context], decoder))
    outputs = layers.Concatenate(axis=1)([layers.Reshape((1, rate))(second) for second in decoded])
    return keras.Model(inputs, outputs, name="paper")
