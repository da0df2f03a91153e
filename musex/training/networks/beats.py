"""The beat network: a temporal convolutional network over the whole song, frame by frame.

As in Böck and Davies, Deconstruct, Analyse, Reconstruct: How to improve Tempo, Beat, and Downbeat Estimation, ISMIR
2020, residual blocks of dilated convolutions reach from a frame to half a minute around it.
"""

import keras
from keras import layers, ops

from musex.config import BeatConfig

STEEPNESS = 3.0  # of the rise from frame to frame, beside which the log-mel itself varies widely


def build_beats(config: BeatConfig, dropout: float = 0.0) -> keras.Model:
    """What `musex.prediction.beat_network.prepare` gives (B, frames, width) to log-odds (B, frames, 2).

    They are those of a beat and of a downbeat.
    """
    inputs = keras.Input((None, config.width), name="frames")
    rise = ops.relu(inputs - ops.pad(inputs, ((0, 0), (1, 0), (0, 0)))[:, :-1])
    hidden = ops.concatenate([inputs, STEEPNESS * rise], axis=-1)
    hidden = layers.Dense(2 * config.channels, activation="elu")(beside(hidden, 1, reach=1))
    hidden = layers.Dense(config.channels, activation="elu")(beside(hidden, 1, reach=1))
    for dilation in config.dilations:
        branch = layers.LayerNormalization()(hidden)
        branch = layers.Dense(config.channels, activation="elu")(beside(branch, dilation, reach=2))
        branch = layers.SpatialDropout1D(dropout)(branch)
        hidden = hidden + layers.Dense(config.channels)(branch)
    hidden = layers.Dropout(dropout)(ops.elu(hidden))
    return keras.Model(inputs, layers.Dense(2, name="log_odds")(hidden), name="beats")


def beside(hidden: keras.KerasTensor, dilation: int, reach: int) -> keras.KerasTensor:
    """Every frame (B, frames, channels) with those at multiples of `dilation` to both sides: channels side by side.

    A dense layer over it is a dilated convolution; a CPU computes it several times as fast.
    """
    margin = reach * dilation
    padded = ops.pad(hidden, ((0, 0), (margin, margin), (0, 0)))
    places = [(shift, shift - 2 * margin or None) for shift in range(0, 2 * margin + 1, dilation)]
    return ops.concatenate([padded[:, start:stop] for start, stop in places], axis=-1)
