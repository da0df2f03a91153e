"""What a prediction and the past say about the places ahead."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from musex.config import FEATURES, IMPOSSIBLE, POINTER_SECONDS
from musex.planning.weights import HEARD_STEPS
from musex.system.arrays import Array


@dataclass(frozen=True)
class Outlook:
    """Costs of playing from position p at time t on, in steps.

    What is played from p at t on is what a start at p - t would play by then, and a start costs the same at every step
    of a stretch of the horizon.

    Attributes:
        borders: between stretches, from 0 to the horizon, int64 (stretches + 1,).
        unexpected: what a step of each stretch costs by where it was started, float32 (stretches, steps + 1); the last
            is for starts before the song.
        heard: what hearing the song's steps again costs, summed, (steps + horizon + 1,).
    """

    borders: Array
    unexpected: Array
    heard: Array

    @property
    def horizon(self) -> int:
        """Steps that are looked ahead."""
        return int(self.borders[-1])

    def playing(self, time: int | Array, position: Array | int, stop_time: int | Array) -> Array:
        """Cost of playing on from `position` at `time` until `stop_time`, steps of the horizon."""
        start, steps = np.asarray(position - time), self.unexpected.shape[1] - 1
        begun, until = np.clip(start, -1, steps - 1), np.minimum(stop_time, steps - start)
        pointed = np.float64(0.0)
        for (first, stop), unexpected in zip(pairwise(self.borders), self.unexpected, strict=True):
            within = np.minimum(until, stop) - np.maximum(time, first)
            pointed = pointed + unexpected[begun] * np.maximum(within, 0)
        return np.asarray(pointed + self.heard[position + stop_time - time] - self.heard[position])

    def beyond(self, targets: Array, times: Array, here: int, time: int) -> Array:
        """What was heard counts for as long after a late jump as after an early one: the rest, against staying."""
        most = len(self.heard) - 1
        ends, stay = targets + self.horizon - times, min(here + self.horizon - time, most)
        rest = self.heard[np.minimum(ends + times - time, most)] - self.heard[np.minimum(ends, most)]
        return np.asarray(rest - (self.heard[np.minimum(stay + times - time, most)] - self.heard[stay]))


def look_ahead(starts: Array, heard: Array, *, horizon: int, here: int, weight: float, cap: float) -> Outlook:
    """Sum up what playing from any place at any time of the horizon would cost.

    Staying costs nothing that the pointer says: it tells where else the music could go on, and that place is masked.

    Args:
        starts: log-probabilities (steps, 3) of playing on from each step, as `Prediction.starts` has them.
        heard: cost of hearing each step again for a whole horizon, (steps,).
        horizon: steps that are looked ahead.
        here: the step at which the horizon begins if nothing jumps.
        weight: cost of a whole horizon that the pointer does not expect at all.
        cap: nats below the best place that count as not at all.
    """
    steps = len(starts)
    reaches = np.array(POINTER_SECONDS[:-1]) * FEATURES.steps_per_second
    columns = np.searchsorted(reaches, np.arange(horizon), "right")
    # The best place at a time is among those from which the song lasts until then.
    best = np.maximum.accumulate(np.concatenate([np.full((1, starts.shape[1]), IMPOSSIBLE), starts]))
    best = best[np.maximum(steps - np.arange(horizon), 0), columns]
    begins = np.flatnonzero(np.append(True, (np.diff(columns) != 0) | (np.diff(best) != 0)))
    padded = np.concatenate([starts, np.full((1, starts.shape[1]), IMPOSSIBLE, np.float32)])
    below = np.minimum(best[begins, None] - padded.T[columns[begins]], cap)
    unexpected = np.asarray(below * (weight / (cap * HEARD_STEPS)), np.float32)
    unexpected[:, here] = 0.0
    return Outlook(np.append(begins, horizon), unexpected, _sum_heard(heard, horizon))


def look_back(heard: Array, horizon: int) -> Outlook:
    """What is known before anything is predicted: no place is less expected than another; see `look_ahead`."""
    unexpected = np.zeros((1, len(heard) + 1), np.float32)
    return Outlook(np.array([0, horizon]), unexpected, _sum_heard(heard, horizon))


def _sum_heard(heard: Array, horizon: int) -> Array:
    steps = len(heard)
    total = np.zeros(steps + horizon + 1)
    np.cumsum(heard / HEARD_STEPS, out=total[1 : steps + 1])
    total[steps + 1 :] = total[steps]
    return total
