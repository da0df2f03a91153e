"""Where a path may jump: each step's best partners, by how alike both sides sound.

In a song of usual length every step is compared with every other. In a long one each block of steps is, coarsely, by
means over most of a second, and then exactly with as much of the song as lies nearest: time grows with the song, and
not with its square.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from musex.config import LONG_STEPS
from musex.planning.material import Limits, Material
from musex.system.arrays import Array
from musex.system.threads import work_in_threads

ODD_PARTNERS = 4  # of each step, whatever the beat, so that every duration can be reached
ODD_KIND = 2  # their number among the kinds of `Jumps`
ODD_CYCLE = 17  # steps: after so many every distance had its turn
OVER_PARTNERS = 4  # of each step before something avoided: how to get over it
ODD_REACH = 300  # steps: short jumps, to make up for what long ones leave
WINDOWS = {4: 0.3, 16: 0.4, 64: 0.3}  # steps compared around a jump, and their share in its cost
COARSE_STEPS = 8  # whose mean stands for them where a long song is searched coarsely
CELL_STEPS = 32  # chosen together
MOST_COMPARED = (
    6144  # steps of a longer one that each block is compared with; misses 0.5 % of partners in 30 min, 1 % in 1 h
)
LONG_BLOCK = 128  # steps of a longer one that are compared at once
LANDING_STEPS = 512  # after what is avoided, of a longer one, among which there are always partners


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


def _block_costs(rows: Array, squares: Array, first: int, count: int, *, columns: Array | None = None) -> Array:
    """Costs of leaving before steps first … first + count - 1 for every step, or each of `columns`: (count, columns).

    `rows` are padded by half the longest window on both sides. Sums along the diagonals double in length at each turn:

        S2[i, j] = S1[i, j] + S1[i + 1, j + 1],  S4[i, j] = S2[i, j] + S2[i + 2, j + 2],  …
    """
    longest = max(WINDOWS)
    half = longest // 2
    part = slice(first, first + count + longest)
    others, other_squares = rows, squares
    places: slice | Array = slice(0, len(rows) - longest)
    if columns is not None:  # with all that lies around them
        wanted = np.zeros(len(rows) + 1, np.int64)
        np.add.at(wanted, columns, 1)
        np.add.at(wanted, columns + longest + 1, -1)
        around = np.flatnonzero(np.cumsum(wanted[:-1]))
        others, other_squares, places = rows[around], squares[around], np.searchsorted(around, columns)
    sums = rows[part] @ others.T
    sums *= -2.0
    sums += squares[part, None]
    sums += other_squares[None, :]
    np.sqrt(np.maximum(sums, 0.0, out=sums), out=sums)
    costs = np.zeros((count, len(rows) - longest if columns is None else len(columns)), np.float32)
    length = 1
    while length < longest:
        sums = sums[:-length, :-length] + sums[length:, length:]
        length *= 2
        if length in WINDOWS:
            before = half - length // 2
            here = sums[before : before + count, before:]
            costs += (WINDOWS[length] / length) * here[:, places]
    return costs


class _CoarseSong:
    """Means of a long song's rows over `COARSE_STEPS` each, that tell where its nearest places lie."""

    def __init__(self, rows: Array) -> None:
        """Sum up comparison rows (steps, width)."""
        self.steps = len(rows)
        cells = -(-self.steps // CELL_STEPS)
        padded = np.pad(rows, ((0, cells * CELL_STEPS - self.steps), (0, 0)), mode="edge")
        self.half = max(WINDOWS) // COARSE_STEPS // 2
        means = padded.reshape(-1, COARSE_STEPS, rows.shape[1]).mean(axis=1)
        self.rows = np.pad(means, ((self.half, self.half), (0, 0)), mode="edge")
        self.squares = np.sum(self.rows**2, axis=1)

    def nearest(self, first: int, count: int, *, always: Array, most: int) -> Array:
        """Steps of the cells nearest to steps first … first + count - 1, in order: about `most`, int64 (columns,).

        With them are all steps beside those `always` wanted.
        """
        top, stop = first // COARSE_STEPS, -(-(first + count) // COARSE_STEPS)
        part = slice(top, stop + 2 * self.half)
        sums = self.rows[part] @ self.rows.T
        sums = np.sqrt(np.maximum(self.squares[part, None] + self.squares[None, :] - 2.0 * sums, 0.0))
        near, length = sums[self.half : -self.half, self.half : -self.half], 1
        while length < 2 * self.half:
            sums = sums[:-length, :-length] + sums[length:, length:]
            length *= 2
        costs = near + (1.0 / length) * sums[: len(near), : near.shape[1]]
        by_cell = costs.reshape(len(costs), -1, CELL_STEPS // COARSE_STEPS).min(axis=2)
        # Every step shall find its own best, so what counts is how near a cell is beside the others of that step.
        wanted = min(most // CELL_STEPS, by_cell.shape[1])
        by_cell = by_cell / np.partition(by_cell, wanted // 8, axis=1)[:, wanted // 8, None]
        best = np.argpartition(by_cell.min(axis=0), wanted - 1)[:wanted]
        cells = np.union1d(best, always // CELL_STEPS)
        columns = (cells[:, None] * CELL_STEPS + np.arange(CELL_STEPS)).ravel()
        return np.asarray(columns[columns < self.steps])


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
    """Columns and costs of the best partners in each row of `found`, (rows, columns) to (rows, kept) each.

    Neighbours of a good partner are no choice of their own, so only the best of them stay. In music with a steady
    beat that leaves whole beats only, and few durations would be reached exactly: a few near partners at distances
    that differ from row to row are kept as well.
    """
    if not limits.keeps_odd:
        return lowest(found, kept)
    reach = limits.distance + ODD_REACH
    start = int(np.searchsorted(-distances[0], -reach))  # distances fall from column to column
    near = slice(start, int(np.searchsorted(-distances[-1], reach, side="right")))
    its_turn = (distances[:, near] + 7 * distances[:, :1]) % ODD_CYCLE == 0
    odd = np.where(its_turn & (np.abs(distances[:, near]) <= reach), found[:, near], np.inf)
    others, _ = lowest(shuffled(odd, distances[:, near]), ODD_PARTNERS)
    other_costs = np.take_along_axis(odd, others, axis=1)
    beside = np.minimum(found[:, :-2], found[:, 2:])
    found[:, 1:-1][found[:, 1:-1] > beside] = np.inf
    best, best_costs = lowest(found, kept - ODD_PARTNERS)
    return np.concatenate([best, others + start], axis=1), np.concatenate([best_costs, other_costs], axis=1)


def find_jumps(rows: Array, limits: Limits, material: Material | None = None, *, most: int | None = None) -> Jumps:
    """The best partners of each step, by how alike ±0.2, ±0.8 and ±3.2 s around both places sound.

    Args:
        rows: of the song's steps, (steps, width), whose distances say how unlike they sound, such as
            `musex.analysis.form.comparison_rows`.
        limits: where and how far jumps may go.
        material: what may be heard; all of the song if not given.
        most: steps that each block of steps is compared with; all if not given, `MOST_COMPARED` of more than
            `LONG_STEPS`.

    Memory grows with steps times partners; what is compared is compared in blocks.
    """
    steps = len(rows)
    half = max(WINDOWS) // 2
    if most is None:
        most = steps if steps <= LONG_STEPS else MOST_COMPARED
    coarse = _CoarseSong(rows) if most < steps else None
    rows = np.pad(rows, ((half, half), (0, 0)), mode="edge")
    squares = np.sum(rows**2, axis=1)
    kept = min(limits.partners + ODD_PARTNERS, steps)
    over = OVER_PARTNERS if material and material.avoided else 0
    odd = ODD_PARTNERS if limits.keeps_odd else 0
    targets = np.zeros((steps, over + kept), np.int64)
    costs = np.full((steps, over + kept), np.inf, np.float32)
    block = LONG_BLOCK if coarse else int(np.clip((1 << 20) // steps, 32, 256))

    def fill_block(first: int) -> None:
        columns, chosen = np.arange(steps), None
        count = min(block, limits.last + 1 - first, steps - first)
        if coarse:
            always = _always_compared(range(first, first + count), steps, limits, material)
            columns = chosen = coarse.nearest(first, count, always=always, most=most)
        found = _block_costs(rows, squares, first, count, columns=chosen)
        found[:, (columns < limits.first_enter) | (columns > limits.last)] = np.inf
        distances = first + np.arange(count)[:, None] - columns
        found[np.abs(distances) < limits.distance] = np.inf
        rows_here = slice(first, first + count)
        if material:
            leaves = first + np.arange(count)[:, None]
            found[~material.allows(leaves, columns[None, :], limits)] = np.inf
            if over:
                leading = np.where(material.over(leaves, columns[None, :], limits), found, np.inf)
                best, costs[rows_here, :over] = lowest(leading, over)
                targets[rows_here, :over] = columns[best]
        best, costs[rows_here, over:] = _best_partners(found, distances, limits, kept)
        targets[rows_here, over:] = columns[best]

    work_in_threads(fill_block, range(limits.first_leave, min(limits.last, steps - 1) + 1, block))
    return Jumps(targets, costs, (over, kept - odd, odd))


def _always_compared(block: range, steps: int, limits: Limits, material: Material | None) -> Array:
    """Steps to compare a block with wherever the song is alike: those near it, and what follows silence after it."""
    reach = limits.distance + ODD_REACH
    near = np.arange(max(0, block.start - reach), min(steps, block.stop + reach))
    after = [stop for start, stop in material.avoided if start >= block.start] if material else []
    landing = np.arange(after[0], min(steps, after[0] + LANDING_STEPS)) if after else near[:0]
    return np.concatenate([near, landing])
