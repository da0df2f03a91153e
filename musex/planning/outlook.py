"""What a prediction and the past say about the places ahead."""

from dataclasses import dataclass

import numpy as np

from musex.planning.weights import HEARD_STEPS
from musex.system.arrays import Array


@dataclass(frozen=True)
class Outlook:
    """Costs of playing from position p at time t to the horizon's end, in steps.

    `expected` is (horizon + 1, steps + horizon + 1), summed along diagonals; `heard` is (steps + horizon + 1,), summed.
    """

    expected: Array
    heard: Array
    horizon: int

    def playing(self, time: int | Array, position: Array | int, stop_time: int | Array) -> Array:
        """Cost of playing on from `position` at `time` until `stop_time`, steps of the horizon."""
        length = stop_time - time
        pointed = self.expected[time, position] - self.expected[stop_time, position + length]
        return np.asarray(pointed + self.heard[position + length] - self.heard[position])

    def beyond(self, targets: Array, times: Array, here: int, time: int) -> Array:
        """What was heard counts for as long after a late jump as after an early one: the rest, against staying."""
        most = len(self.heard) - 1
        ends, stay = targets + self.horizon - times, min(here + self.horizon - time, most)
        rest = self.heard[np.minimum(ends + times - time, most)] - self.heard[np.minimum(ends, most)]
        return np.asarray(rest - (self.heard[np.minimum(stay + times - time, most)] - self.heard[stay]))


def look_ahead(pointer: Array, heard: Array, *, here: int, weight: float, cap: float) -> Outlook:
    """Sum up what playing from any place at any time of the horizon would cost.

    Staying costs nothing that the pointer says: it tells where else the music could go on, and that place is masked.

    Args:
        pointer: log-probabilities (horizon, steps) of each place at each time.
        heard: cost of hearing each step again for a whole horizon, (steps,).
        here: the step at which the horizon begins if nothing jumps.
        weight: cost of a whole horizon that the pointer does not expect at all.
        cap: nats below the best place that count as not at all.
    """
    horizon, steps = pointer.shape
    below = np.minimum(pointer.max(axis=1, keepdims=True) - pointer, cap)
    unexpected = below * (weight / (cap * HEARD_STEPS))
    staying = np.arange(min(horizon, steps - here))
    unexpected[staying, here + staying] = 0.0
    expected = np.zeros((horizon + 1, steps + horizon + 1), np.float32)
    for time in range(horizon - 1, -1, -1):
        expected[time, :steps] = unexpected[time] + expected[time + 1, 1 : steps + 1]
    return Outlook(expected, _sum_heard(heard, horizon), horizon)


def look_back(heard: Array, horizon: int) -> Outlook:
    """What is known before anything is predicted: no place is less expected than another; see `look_ahead`."""
    expected = np.broadcast_to(np.float32(0.0), (horizon + 1, len(heard) + horizon + 1))
    return Outlook(expected, _sum_heard(heard, horizon), horizon)


def _sum_heard(heard: Array, horizon: int) -> Array:
    steps = len(heard)
    total = np.zeros(steps + horizon + 1)
    np.cumsum(heard / HEARD_STEPS, out=total[1 : steps + 1])
    total[steps + 1 :] = total[steps]
    return total
