"""The transition head: would a composer go on so? A small network over what there is to see of a jump."""

import keras
from keras import layers

from musex.config import TRANSITION_QUESTIONS


def build_transition(width: int, *, hidden: tuple[int, ...], dropout: float) -> keras.Model:
    """What is seen of jumps (B, width) to the log-odds (B, 4) of each of `TRANSITION_QUESTIONS`.

    The first layer, `scale`, is to be adapted to the training data.
    """
    inputs = keras.Input((width,), name="seen")
    values = layers.Normalization(name="scale")(inputs)
    for count in hidden:
        values = layers.Dense(count, activation="relu")(values)
        values = layers.Dropout(dropout)(values)
    return keras.Model(inputs, layers.Dense(len(TRANSITION_QUESTIONS), name="log_odds")(values), name="transition")
