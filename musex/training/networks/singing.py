"""The singing network: convolutions over time and bands, then dilated ones over time, frame by frame.

As in Schlüter and Grill, Exploring data augmentation for improved singing voice detection with neural networks,
ISMIR 2015, small filters over the log-mel hear the glides and the vibrato by which a voice is told from instruments.
"""

import keras
from keras import layers, ops

from musex.config import SingingConfig
from musex.training.networks.beats import beside


def build_singing(config: SingingConfig, dropout: float = 0.0) -> keras.Model:
    """What `musex.prediction.singing_network.prepare` gives (B, frames, n_mels) to log-odds of a voice (B, frames)."""
    inputs = keras.Input((None, config.features.n_mels), name="frames")
    hidden = ops.expand_dims(inputs, -1)
    for filters in config.filters:
        for _ in range(2):
            hidden = layers.Conv2D(filters, 3, padding="same", activation="elu")(hidden)
        hidden = layers.MaxPooling2D((1, 2))(hidden)
    bands = config.features.n_mels // 2 ** len(config.filters)
    hidden = layers.Reshape((-1, bands * config.filters[-1]))(hidden)
    hidden = layers.Dense(config.channels, activation="elu")(layers.Dropout(dropout)(hidden))
    for dilation in config.dilations:
        branch = layers.LayerNormalization()(hidden)
        branch = layers.Dense(config.channels, activation="elu")(beside(branch, dilation, reach=1))
        hidden = hidden + layers.Dense(config.channels)(layers.SpatialDropout1D(dropout)(branch))
    odds = layers.Dense(1)(ops.elu(hidden))
    return keras.Model(inputs, layers.Reshape((-1,), name="log_odds")(odds), name="singing")
