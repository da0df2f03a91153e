"""The network of "Harmonizing Emotions: A Musical Journey through Innovative Extrapolation" (2023), as written.

One vector of 22 050 samples a second; 20 go in, 10 come out. Left open by the paper and settled here: whether the
units of encoder and decoder share their hidden layers over time ("shared", 39 million weights) or each second has its
own ("own", 400 million), as it comes about where a unit is a function that makes new Keras layers whenever it is
called; the first Dense(1) is never shared (its input grows with time). The widths in between are 64, 128, 256, 512;
what goes in and what shall come out have zero mean and unit variance each, so that silence scores an MSE of 1.
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


class WeightedSum(layers.Layer):
    """Vectors (B, n, rate) to their weighted sum (B, rate): Dense(1), without turning them to (B, rate, n) and back."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(shape[1], 1), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

    def call(self, vectors: Any) -> Any:
        return keras.ops.matmul(keras.ops.transpose(self.kernel), vectors)[:, 0] + self.bias


def unit(vectors: list[Any], hidden: keras.Model, config: WaveformConfig) -> Any:
    """One recurrent unit: n vectors (B, rate) are weighted to one, and passed through."""
    rows = [layers.Reshape((1, config.sample_rate))(vector) for vector in vectors]
    return hidden(layers.LeakyReLU(config.slope)(WeightedSum()(layers.Concatenate(axis=1)(rows))))


def hidden_layers_by_second(config: WaveformConfig, name: str, seconds: int) -> list[keras.Model]:
    """The hidden layers of a part's units, second by second: the same ones each time, or others."""
    if config.hidden == "shared":
        return [hidden_layers(config, name)] * seconds
    return [hidden_layers(config, f"{name}_{second}") for second in range(seconds)]


def build_paper(config: WaveformConfig) -> keras.Model:
    """The whole network: (B, 20, rate) to (B, 10, rate)."""
    inputs = keras.Input((config.context_seconds, config.sample_rate), name="waveform")
    seconds = [inputs[:, second] for second in range(config.context_seconds)]

    encoded: list[Any] = []
    for heard, hidden in zip(seconds, hidden_layers_by_second(config, "encoder", len(seconds)), strict=True):
        # At the first second the context is the input itself.
        encoded.append(unit([*reversed(encoded or [heard]), heard], hidden, config))

    context = unit(list(reversed(encoded)), hidden_layers(config, "context"), config)

    decoded: list[Any] = []
    for hidden in hidden_layers_by_second(config, "decoder", config.horizon_seconds):
        decoded.append(unit([*reversed(decoded or [context]), context], hidden, config))
    outputs = [layers.Reshape((1, config.sample_rate))(second) for second in decoded]
    return keras.Model(inputs, layers.Concatenate(axis=1)(outputs), name="paper")
