"""An output that loops: the jump from its end back to its beginning."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from musex.planning.jumps import Edges
from musex.planning.material import Limits, Material
from musex.plans import Seam
from musex.seams.finder import SeamFinder

Array = np.ndarray

CANDIDATES = 12  # closing jumps that are aligned
TRIED = 4  # of them, the best, that are tried to plan with
UNUSED = 3.0  # cost of a loop that leaves out nearly all that it could play
SHORTCUT = 1.0  # cost of a loop that is shorter than its song's and needs jumps ahead


def find_closings(
    edges: Edges, costs: Array, limits: Limits, material: Material, *, finder: SeamFinder, rate: float, target: int
) -> Iterator[Seam]:
    """The best jumps from a loop's end to its beginning, aligned, best first.

    A loop plays from where its closing jump enters to where that leaves, so the jump shall join well and both places
    shall have most of what can be played between them.

    Args:
        edges: the possible jumps.
        costs: what they cost, (steps, partners).
        limits: bound how far the cut may move.
        material: what may be heard.
        finder: aligns and prices.
        rate: samples per step.
        target: samples that the output shall last.
    """
    room = max(limits.distance, 4 * limits.gap)
    wanted = min(target / rate, limits.last - limits.first_enter)
    distances = edges.distances
    unused = UNUSED * np.clip(1.0 - distances / wanted, 0.0, 1.0)
    total = costs + unused + SHORTCUT * (distances > target / rate + 2)
    total = np.where(distances >= room, total, np.inf).ravel()
    found = []
    for _ in range(CANDIDATES):
        best = int(np.argmin(total))
        if not np.isfinite(total[best]):
            break
        leave, partner = divmod(best, edges.targets.shape[1])
        enter = int(edges.targets[leave, partner])
        seam = finder.align(round(leave * rate), round(enter * rate), slide=limits.slide)
        seam = finder.choose_fade(seam, slide=limits.slide)
        found.append((float(total[best]) + finder.price(seam), seam))
        near = np.abs(np.arange(edges.steps) - leave) <= 2
        total.reshape(edges.steps, -1)[near] += np.where(
            np.abs(distances[near] - distances[leave, partner]) <= 2, 9.0, 0.0
        )
    for _, seam in sorted(found, key=lambda pair: pair[0])[:TRIED]:
        yield seam


def between(edges: Edges, limits: Limits, stop: int) -> Edges:
    """The jumps that leave and enter early enough before a loop's end at step `stop`."""
    late = np.arange(edges.steps)[:, None] > stop - limits.gap - limits.drift
    late = late | (edges.targets > stop - 2 * (limits.gap + limits.drift))
    return replace(edges, costs=np.where(late, np.float32(np.inf), edges.costs))
