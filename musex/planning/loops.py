"""An output that loops: the jump from its end back to its beginning."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from musex.planning.jumps import Jumps
from musex.planning.material import Limits, Material
from musex.plans import Seam
from musex.seams.finder import SeamFinder
from musex.system.arrays import Array

CANDIDATES = 12  # closing jumps that are aligned
TRIED = 4  # of them, the best, that are tried to plan with
UNUSED = 3.0  # cost of a loop that leaves out nearly all that it could play
SHORTCUT = 1.0  # cost of a loop that is shorter than its song's and needs jumps ahead


def find_closings(
    jumps: Jumps, costs: Array, limits: Limits, material: Material, *, finder: SeamFinder, rate: float, target: int
) -> Iterator[Seam]:
    """The best jumps from a loop's end to its beginning, aligned, best first.

    A loop plays from where its closing jump enters to where that leaves, so the jump shall join well and both places
    shall have most of what can be played between them.

    Args:
        jumps: the possible jumps.
        costs: what they cost, (steps, partners).
        limits: bound how far the cut may move.
        material: what may be heard.
        finder: aligns and prices.
        rate: samples per step.
        target: samples that the output shall last.
    """
    room = max(limits.distance, 4 * limits.gap)
    wanted = min(target / rate, limits.last - limits.first_enter)
    distances = jumps.distances
    unused = UNUSED * np.clip(1.0 - distances / wanted, 0.0, 1.0)
    total = costs + unused + SHORTCUT * (distances > target / rate + 2)
    total = np.where(distances >= room, total, np.inf).ravel()
    found = []
    for _ in range(CANDIDATES):
        best = int(np.argmin(total))
        if not np.isfinite(total[best]):
            break
        leave, partner = divmod(best, jumps.targets.shape[1])
        enter = int(jumps.targets[leave, partner])
        seam = finder.align(round(leave * rate), round(enter * rate), slide=limits.slide)
        seam = finder.choose_fade(seam, slide=limits.slide)
        found.append((float(total[best]) + finder.price(seam), seam))
        near = np.abs(np.arange(jumps.steps) - leave) <= 2
        total.reshape(jumps.steps, -1)[near] += np.where(
            np.abs(distances[near] - distances[leave, partner]) <= 2, 9.0, 0.0
        )
    for _, seam in sorted(found, key=lambda pair: pair[0])[:TRIED]:
        yield seam


def between(jumps: Jumps, limits: Limits, stop: int) -> Jumps:
    """The jumps that leave and enter early enough before a loop's end at step `stop`."""
    late = np.arange(jumps.steps)[:, None] > stop - limits.gap - limits.drift
    late = late | (jumps.targets > stop - 2 * (limits.gap + limits.drift))
    return replace(jumps, unlikeness=np.where(late, np.float32(np.inf), jumps.unlikeness))
