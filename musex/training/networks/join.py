"""The join head: does a junction sound as if the music had been made so? A small convolutional network."""

import keras
from keras import layers, ops

STEEPNESS = 3.0  # of the change from frame to frame, without which it learned nothing at first (models/log.md)


def build_join(frames: int, n_mels: int, *, channels: tuple[int, ...], dropout: float) -> keras.Model:
    """Window (B, frames, n_mels) around a junction to the log-odds (B, 1) that it is real."""
    inputs = keras.Input((frames, n_mels), name="window")
    change = ops.pad(inputs[:, 1:] - inputs[:, :-1], ((0, 0), (0, 1), (0, 0)))
    hidden = ops.stack([inputs, STEEPNESS * change], axis=-1)
    for number, count in enumerate(channels):
        strides = (1 if number == 0 else 2, 2)
        hidden = layers.Conv2D(count, 3, strides=strides, padding="same", use_bias=False)(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
        hidden = layers.SpatialDropout2D(dropout / 3)(hidden)
    hidden = layers.Dropout(dropout)(layers.Flatten()(hidden))
    return keras.Model(inputs, layers.Dense(1, name="log_odds")(hidden), name="join")
