"""Where a path may jump: each step's best partners, by how alike both sides sound."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from musex.planning.material import Limits, Material
from musex.system.arrays import Array

ODD_PARTNERS = 4  # of each step, whatever the beat, so that every duration can be reached
ODD_KIND = 2  # their number among the kinds of `Jumps`
ODD_CYCLE = 17  # steps: after so many every distance had its turn
OVER_PARTNERS = 4  # of each step before something avoided: how to get over it
ODD_REACH = 300  # steps: short jumps, to make up for what long ones leave
WINDOWS = {4: 0.3, 16: 0.4, 64: 0.3}  # steps compared around a jump, and their share in its cost


@dataclass(frozen=True)
class Jumps:
    """Each step's best partners: (steps, partners); unused places are infinitely unlike.

    A jump (p, q) leaves before step p is played and goes on with step q.
    """

    targets: Array  # int64
    unlikeness: Array  # float32; 1 is that of two random places of the song
    kinds: tuple[int, ...]  # how many partners of each step, in order: lead over what is avoided, are best, are odd
    odds: Array | None = None  # log-odds of a transition head that judged them, float32 (steps, partners, 4)
    sub_lags: Array | None = None  # frames to be added to each jump's lag for the attacks to agree, int64

    @property
    def steps(self) -> int:
        return int(self.targets.shape[0])

    @cached_property
    def distances(self) -> Array:
        """Steps jumped back by (negative: forward), (steps, partners)."""
        leaves: Array = np.arange(self.steps)[:, None]
        return np.asarray(leaves - self.targets)


def _block_costs(rows: Array, squares: Array, first: int, count: int) -> Array:
    """Costs of leaving before steps first … first + count - 1 for every step: float32 (count, steps).

    `rows` are padded by half the longest window on both sides. Sums along the diagonals double in length at each turn:

        S2[i, j] = S1[i, j] + S1[i + 1, j + 1],  S4[i, j] = S2[i, j] + S2[i + 2, j + 2],  …
    """
    longest = max(WINDOWS)
    half = longest // 2
    steps = len(rows) - longest
    part = slice(first, first + count + longest)
    sums = rows[part] @ rows.T
    sums *= -2.0
    sums += squares[part, None]
    sums += squares[None, :]
    np.sqrt(np.maximum(sums, 0.0, out=sums), out=sums)
    costs = np.zeros((count, steps), np.float32)
    length = 1
    while length < longest:
        sums = sums[:-length, :-length] + sums[length:, length:]
        length *= 2
        if length in WINDOWS:
            before = half - length // 2
            costs += (WINDOWS[length] / length) * sums[before : before + count, before : before + steps]
    return costs


def lowest(costs: Array, count: int) -> tuple[Array, Array]:
    """Columns and values of the lowest `count` in each row."""
    columns = np.argpartition(costs, count - 1, axis=1)[:, :count]
    return columns, np.take_along_axis(costs, columns, axis=1)


def shuffled(costs: Array, distances: Array) -> Array:
    """Costs replaced by numbers without meaning, where they are finite, that differ by the distance and the row.

    The cheapest of odd partners would be those on the beat, and odd ones are kept for what the beat does not reach.
    """
    rows = np.arange(len(costs))[:, None]
    return np.where(np.isfinite(costs), (distances * 7919 + rows * 104_729) % 10_007, np.inf)


def _best_partners(found: Array, distances: Array, limits: Limits, kept: int) -> tuple[Array, Array]:
    """Columns and costs of the best partners in each row of `found`, (rows, steps) to (rows, kept) each.

    Neighbours of a good partner are no choice of their own, so only the best of them stay. In music with a steady
    beat that leaves whole beats only, and few durations would be reached exactly: a few near partners at distances
    that differ from row to row are kept as well.
    """
    if not limits.keeps_odd:
        return lowest(found, kept)
    reach = limits.distance + ODD_REACH
    start = max(0, int(distances[0, 0]) - reach)
    near = slice(start, int(distances[-1, 0]) + reach + 1)
    its_turn = (distances[:, near] + 7 * distances[:, :1]) % ODD_CYCLE == 0
    odd = np.where(its_turn & (np.abs(distances[:, near]) <= reach), found[:, near], np.inf)
    others, _ = lowest(shuffled(odd, distances[:, near]), ODD_PARTNERS)
    other_costs = np.take_along_axis(odd, others, axis=1)
    beside = np.minimum(found[:, :-2], found[:, 2:])
    found[:, 1:-1][found[:, 1:-1] > beside] = np.inf
    best, best_costs = lowest(found, kept - ODD_PARTNERS)
    return np.concatenate([best, others + start], axis=1), np.concatenate([best_costs, other_costs], axis=1)


def find_jumps(rows: Array, limits: Limits, material: Material | None = None) -> Jumps:
    """The best partners of each step, by how alike ±0.2, ±0.8 and ±3.2 s around both places sound.

    Args:
        rows: of the song's steps, (steps, width), whose distances say how unlike they sound, such as
            `musex.analysis.form.comparison_rows`.
        limits: where and how far jumps may go.
        material: what may be heard; all of the song if not given.

    Memory grows with steps times partners; the comparison of every step with every other is made in blocks.
    """
    steps = len(rows)
    half = max(WINDOWS) // 2
    rows = np.pad(rows, ((half, half), (0, 0)), mode="edge")
    squares = np.sum(rows**2, axis=1)
    kept = min(limits.partners + ODD_PARTNERS, steps)
    over = OVER_PARTNERS if material and material.avoided else 0
    odd = ODD_PARTNERS if limits.keeps_odd else 0
    targets = np.zeros((steps, over + kept), np.int64)
    costs = np.full((steps, over + kept), np.inf, np.float32)
    block = int(np.clip((1 << 20) // steps, 32, 256))
    for first in range(limits.first_leave, min(limits.last, steps - 1) + 1, block):
        count = min(block, limits.last + 1 - first, steps - first)
        found = _block_costs(rows, squares, first, count)
        found[:, : limits.first_enter] = np.inf
        found[:, limits.last + 1 :] = np.inf
        distances = first + np.arange(count)[:, None] - np.arange(steps)
        found[np.abs(distances) < limits.distance] = np.inf
        rows_here = slice(first, first + count)
        if material:
            leaves, columns = first + np.arange(count)[:, None], np.arange(steps)[None, :]
            found[~material.allows(leaves, columns, limits)] = np.inf
            if over:
                leading = np.where(material.over(leaves, columns, limits), found, np.inf)
                targets[rows_here, :over], costs[rows_here, :over] = lowest(leading, over)
        targets[rows_here, over:], costs[rows_here, over:] = _best_partners(found, distances, limits, kept)
    return Jumps(targets, costs, (over, kept - odd, odd))
