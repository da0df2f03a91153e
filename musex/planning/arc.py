"""How a mood that is asked for weighs on a path."""

import numpy as np

from musex.analysis.moods import asked, mismatch
from musex.planning.jumps import Jumps
from musex.planning.weights import HEARD_STEPS
from musex.settings import MOODS
from musex.system.arrays import Array

PATIENCE = 600  # steps: what is wanted this long after counts a third
SWEEPS = 12  # improvements of the values to come


class Arc:
    """The mood asked for at any time of the output, and what each step of the song costs then.

    Between the times at which moods are asked for, what is asked changes evenly.
    """

    def __init__(
        self,
        points: tuple[tuple[float, str], ...],
        moods: Array,
        jumps: Jumps,
        costs: Array,
        *,
        gap: int,
        weight: float,
    ) -> None:
        """Prepare for a path.

        Args:
            points: seconds of the output and the mood asked for then, in order.
            moods: arousal and valence of each step of the song, (steps, 2).
            jumps: the possible jumps.
            costs: what they cost, (steps, partners).
            gap: steps between two jumps.
            weight: what a horizon costs that is one deviation away from what is asked.
        """
        self.points, self.weight = points, weight
        self.moods = moods
        to_come = {
            mood: values_to_come(
                mismatch(self.moods, np.array(MOODS[mood])) * (weight / HEARD_STEPS), jumps, costs, gap=gap
            )
            for mood in {mood for _, mood in points}
        }
        self._to_come = np.array([to_come[mood] for _, mood in points])

    def unlike(self, seconds: float) -> Array:
        """What a horizon at each step costs when it begins at a time of the output, (steps,)."""
        return self.weight * mismatch(self.moods, asked(self.points, seconds))

    def to_come(self, seconds: float) -> Array:
        """What is to come after each step, if it is reached at a time of the output, (steps,)."""
        times = [time for time, _ in self.points]
        shares = [np.interp(seconds, times, row) for row in np.eye(len(times))]
        return np.asarray(shares @ self._to_come)


def values_to_come(unlike: Array, jumps: Jumps, costs: Array, *, gap: int) -> Array:
    """The least that the mood and the jumps to reach it will cost from each step on, fading with `PATIENCE`.

        value(p) = unlike(p) + fade · min(value(p + 1), min over jumps of cost + value(target))

    Args:
        unlike: what each step costs, (steps,).
        jumps: the possible jumps.
        costs: what they cost, (steps, partners).
        gap: steps between two jumps: what is entered is played on at least so long.
    """
    fade = 1.0 - 1.0 / PATIENCE
    steps = jumps.steps
    sums = np.concatenate([[0.0], np.cumsum(unlike)])
    landed = np.minimum(jumps.targets + gap, steps - 1)
    played = sums[landed] - sums[jumps.targets]
    values = np.full(steps, float(np.median(unlike)) * PATIENCE)
    for _ in range(SWEEPS):
        jump = np.min(costs + played + fade**gap * values[landed], axis=1)
        value = values[-1]
        for step in range(steps - 1, -1, -1):
            value = unlike[step] + fade * min(value, jump[step])
            values[step] = value
    return values
