"""An LSTM encoder-decoder for the paper's job: one vector of 22 050 samples a second, 20 in, 10 out.

The comparison that the paper claims to win, with about as many weights as its network has.
"""

import keras
from keras import layers

from musex.config import WaveformConfig


def build_lstm(config: WaveformConfig, *, unrolled: bool = True) -> keras.Model:
    """The whole network: (B, 20, rate) to (B, 10, rate).

    Unrolled over time, as `paper` is, for LiteRT runs no loops. It is trained as a loop, by the same weights: unrolled,
    it would keep a gradient of each kernel for each second, 20 GB of them where there are 400 million weights.
    """
    inputs = keras.Input((config.context_seconds, config.sample_rate), name="waveform")
    encoder = layers.LSTM(config.units, return_state=True, unroll=unrolled, name="encoder")
    decoder = layers.LSTM(config.units, return_sequences=True, unroll=unrolled, name="decoder")
    encoded, *state = encoder(inputs)
    decoded = decoder(layers.RepeatVector(config.horizon_seconds)(encoded), initial_state=state)
    return keras.Model(inputs, layers.Dense(config.sample_rate, name="seconds")(decoded), name="lstm")
