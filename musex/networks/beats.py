"""The beat network: where the beats and the first beats of bars are. Convolutions in time, dilated wider and wider."""

from dataclasses import dataclass

import keras
from keras import layers, ops

DB_SCALE = 20.0  # about the deviation of log-mel in dB
CLIPPED = 3.0  # deviations below and above the mean
STEEPNESS = 2.0  # of the rise from frame to frame, beside which the log-mel itself varies widely


@dataclass(frozen=True)
class BeatConfig:
    """Sizes of the beat network."""

    n_mels: int = 64
    channels: int = 32
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    dropout: float = 0.1


class Normalise(layers.Layer):
    """Log-mel in dB (B, frames, n_mels) to its distance from their mean, and its rise, (B, frames, 2 n_mels)."""

    def call(self, log_mel: keras.KerasTensor) -> keras.KerasTensor:
        level = ops.mean(log_mel, axis=(1, 2), keepdims=True)
        scaled = ops.clip((log_mel - level) / DB_SCALE, -CLIPPED, CLIPPED)
        before = ops.concatenate([scaled[:, :1], scaled[:, :-1]], axis=1)
        return ops.concatenate([scaled, STEEPNESS * ops.relu(scaled - before)], axis=-1)


def hear_bands(hidden: keras.KerasTensor, config: BeatConfig) -> keras.KerasTensor:
    """Bands and their rise (B, frames, 2 n_mels) to (B, frames, channels)."""
    hidden = layers.Conv1D(config.channels, 3, padding="same", use_bias=False, name="bands")(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(hidden))
    return layers.Dense(config.channels)(hidden)


def listen_around(hidden: keras.KerasTensor, dilation: int, config: BeatConfig) -> keras.KerasTensor:
    """What is `dilation` frames apart, before and after, added to (B, frames, channels)."""
    around = layers.Conv1D(
        config.channels,
        config.kernel,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        name=f"around_{dilation}",
    )(hidden)
    around = layers.ReLU()(layers.BatchNormalization(momentum=0.95)(around))
    around = layers.SpatialDropout1D(config.dropout)(around)
    return layers.Add()([hidden, layers.Dense(config.channels)(around)])


def build_beats(config: BeatConfig, frames: int | None = None) -> keras.Model:
    """Log-mel in dB (B, frames, n_mels), at any level, to logits (B, frames, 2): a beat is here, a bar begins here."""
    inputs = keras.Input((frames, config.n_mels), name="log_mel")
    hidden = hear_bands(Normalise(name="normalise")(inputs), config)
    for dilation in config.dilations:
        hidden = listen_around(hidden, dilation, config)
    return keras.Model(inputs, layers.Dense(2, name="logits")(layers.ReLU()(hidden)), name="beats")
