"""Plans of the same wishes that sound differently.

That a plan shall be unlike others is a wish, which good jumps outweigh. Where they do, some of the others' jumps are
forbidden.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from musex.errors import DurationError
from musex.plans import Plan, Seam
from musex.seams.bounds import count_exceeded
from musex.system.progress import OnShare

TRIES = 4  # plans made for one version; by choice
MOST_SHARED = 0.9  # of an output that may sound as another does at the same time; by choice
SAME_SHARE = 0.99  # from which on it is no other version
SAME_SECONDS = 0.5  # places of the song this near are the same
LOOK_SECONDS = 0.25  # between two looks at what is heard
AROUND_BARS = range(-4, 5)  # by which the same jump, taken earlier or later, is no other one; by choice

Barred = tuple[tuple[float, float], ...]  # jumps: seconds of the song that they leave and enter


def share_in_common(one: Plan, other: Plan) -> float:
    """The share of the shorter output at which both play the same place of the song, 0 to 1."""
    rate = one.song.sample_rate
    times = np.arange(0, min(one.frames, other.frames), round(LOOK_SECONDS * rate))
    return float(np.mean(np.abs(one.places(times) - other.places(times)) <= SAME_SECONDS * rate))


def plan_apart(
    make: Callable[[Barred], Plan],
    found: Sequence[Plan],
    *,
    bar_seconds: float,
    stay: Collection[Seam] = (),
    on_progress: OnShare | None = None,
) -> Plan | None:
    """A plan that sounds differently from those found, whose first is the one to be as good as; None if there is none.

    Args:
        make: plans with these jumps forbidden, besides what is forbidden in all; it may raise DurationError.
        found: the plans there are, at least one. What they forbid the new one's settings forbid, and no more: what is
            planned of it later may take the barred jumps again.
        bar_seconds: how long a bar of the song usually is.
        stay: seams that all of them have, whose jumps are never forbidden.
        on_progress: called with the share of tries that are done.
    """
    made, doubtful, forbid = list[tuple[int, float, Plan]](), count_exceeded(found[0]), found[0].settings.forbid
    for number, barred in enumerate(_barred(found, stay, bar_seconds)):
        if on_progress:
            on_progress(number / TRIES)
        try:
            plan = make(barred)
        except DurationError:
            continue
        shared = max(share_in_common(plan, other) for other in found)
        if shared < SAME_SHARE:
            plan = replace(plan, settings=replace(plan.settings, forbid=forbid))
            made.append((max(count_exceeded(plan), doubtful), max(shared, MOST_SHARED), plan))
            if made[-1][:2] == (doubtful, MOST_SHARED):
                break
    return min(made, key=lambda each: each[:2])[2] if made else None


def _barred(found: Sequence[Plan], stay: Collection[Seam], bar_seconds: float) -> Iterator[Barred]:
    """Which jumps may be forbidden, one choice after another: none, then those of one seam of each plan."""
    kept = {(seam.leave, seam.enter) for seam in stay}
    free = [[seam for seam in plan.seams if (seam.leave, seam.enter) not in kept] for plan in found]
    rate = found[0].song.sample_rate

    def around(seam: Seam) -> Barred:
        moves = [bars * bar_seconds for bars in AROUND_BARS]
        ends = [(seam.leave / rate + move, seam.enter / rate + move) for move in moves]
        return tuple((round(leave, 3), round(enter, 3)) for leave, enter in ends if min(leave, enter) >= 0)

    yield ()
    for turn in range(TRIES - 1):
        chosen = {around(seams[turn % len(seams)]) for seams in free if seams}
        yield tuple(chain.from_iterable(sorted(chosen)))
