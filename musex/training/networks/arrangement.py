"""The arrangement network: an encoder hears the last bars, a decoder tells which stems play in each of the next.

The decoder points at the bars heard, too: what played there is likely again (a pointer-generator, See, Liu and Manning,
2017). Recurrent layers are unrolled, so that they are exported as plain products.
"""

import keras
from keras import layers, ops

from musex.config import ArrangementConfig

IMPOSSIBLE = -30.0  # log-odds of a combination with a stem that the song does not have
SMALLEST = 1e-3  # share of each combination in what is copied


def build_arrangement(config: ArrangementConfig, dropout: float = 0.0) -> keras.Model:
    """Bars heard (B, past_bars, past_width) and to come (B, horizon_bars, ahead_width) to log-likelihoods.

    They are (B, horizon_bars, combinations): of what each bar to come plays, given the bars before it.
    """
    past = keras.Input((config.past_bars, config.past_width), name="past")
    ahead = keras.Input((config.horizon_bars, config.ahead_width), name="ahead")
    heard = layers.Dropout(dropout)(layers.Dense(config.units, activation="elu")(past))
    heard, state = layers.GRU(config.units, return_sequences=True, return_state=True, unroll=True)(heard)
    told = layers.Dropout(dropout)(layers.Dense(config.units, activation="elu")(ahead))
    hidden = layers.GRU(config.units, return_sequences=True, unroll=True)(told, initial_state=state)
    hidden = layers.Dropout(dropout)(hidden)
    odds = layers.Dense(config.combinations, name="written")(hidden)
    odds = odds + layers.Dense(config.combinations, use_bias=False, name="followed")(ahead)
    odds = odds + layers.Dense(1, name="gate")(hidden) * copied(past, heard, hidden, config)
    odds = odds + IMPOSSIBLE * lacking(ahead, config)
    return keras.Model([past, ahead], ops.log_softmax(odds, axis=-1), name="arrangement")


def copied(
    past: keras.KerasTensor, heard: keras.KerasTensor, hidden: keras.KerasTensor, config: ArrangementConfig
) -> keras.KerasTensor:
    """Logarithm of how much attention (B, horizon, past) finds of each combination: (B, horizon, combinations).

    `past` is (B, past_bars, past_width), `heard` and `hidden` are its encoding and the decoder's, (…, units).
    """
    known = past[:, :, -1]
    keys = layers.Dense(config.attention_units)(heard)
    queries = layers.Dense(config.attention_units)(hidden)
    places = layers.Dense(config.past_bars)(hidden)  # so many bars ago, whatever played then
    scores = ops.einsum("bhd,bpd->bhp", queries, keys) / config.attention_units**0.5 + places
    weights = ops.softmax(scores + IMPOSSIBLE * (1.0 - known[:, None, :]), axis=-1)
    plays = past[:, :, config.stems : 2 * config.stems]
    likeness = [plays if bit else 1.0 - plays for bit in (0, 1)]
    combinations = []
    for number in range(config.combinations):
        same = known
        for stem in range(config.stems):
            same = same * likeness[number >> stem & 1][:, :, stem]
        combinations.append(same)
    found = ops.einsum("bhp,bcp->bhc", weights, ops.stack(combinations, axis=1))
    return ops.log(found + SMALLEST)


def lacking(ahead: keras.KerasTensor, config: ArrangementConfig) -> keras.KerasTensor:
    """How many stems of each combination the song does not have: (B, horizon, combinations)."""
    start = config.phrase_bars + len(config.lags) * (config.stems + 1)
    present = ahead[:, :, start : start + config.stems]
    bits = [[float(number >> stem & 1) for number in range(config.combinations)] for stem in range(config.stems)]
    return ops.matmul(1.0 - present, ops.convert_to_tensor(bits, "float32"))
