"""An LSTM encoder-decoder for the paper's job: one vector of 22 050 samples a second, 20 in, 10 out.

The comparison that the paper claims to win, with about as many weights as its network has.
"""

import keras
from keras import layers

from musex.networks.paper import INPUT_SECONDS, OUTPUT_SECONDS, RATE

UNITS = 338  # 38.6 million weights, as `paper`


def build_lstm(rate: int = RATE, units: int = UNITS) -> keras.Model:
    """The whole network: (B, 20, rate) to (B, 10, rate)."""
    inputs = keras.Input((INPUT_SECONDS, rate), name="waveform")
    _, *state = layers.LSTM(units, return_state=True, name="encoder")(inputs)
    repeated = layers.RepeatVector(OUTPUT_SECONDS)(state[0])
    decoded = layers.LSTM(units, return_sequences=True, name="decoder")(repeated, initial_state=state)
    return keras.Model(inputs, layers.Dense(rate, name="waveform_out")(decoded), name="lstm")
