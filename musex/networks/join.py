"""The join head: does a junction sound as if the music had been made so? A small convolutional network."""

import keras
from keras import layers

JOIN_CHANNELS = (16, 24, 32, 32)


def build_join(
    frames: int, n_mels: int, channels: tuple[int, ...] = JOIN_CHANNELS, dropout: float = 0.3
) -> keras.Model:
    """Window (B, frames, n_mels) around a junction to the log-odds (B, 1) that it is real."""
    inputs = keras.Input((frames, n_mels), name="window")
    hidden = layers.Reshape((frames, n_mels, 1))(inputs)
    for number, count in enumerate(channels):
        hidden = layers.Conv2D(count, 3, strides=(1 if number == 0 else 2, 2), padding="same", activation="gelu")(
            hidden
        )
        hidden = layers.SpatialDropout2D(dropout / 3)(hidden)
    hidden = layers.Dropout(dropout)(layers.Flatten()(hidden))
    return keras.Model(inputs, layers.Dense(1, name="log_odds")(hidden), name="join")
