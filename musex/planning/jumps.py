"""Where a path may jump: each step's best partners, and what it costs to end on time."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from musex.analysis.form import comparison_rows
from musex.planning.material import Limits, Material, cell_steps

Array = np.ndarray

EDGES_PER_CELL = 20  # and so many of the best edges that leave within each; more of a short song's
TABLE_ENTRIES = 1 << 24  # 64 MiB of float32
ODD_PARTNERS = 4  # of each step, whatever the beat, so that every duration can be reached
ODD_KIND = 2  # their number among the kinds of `Edges`
ODD_CYCLE = 17  # steps: after so many every distance had its turn
OVER_PARTNERS = 4  # of each step before something avoided: how to get over it
ODD_REACH = 300  # steps: short jumps, to make up for what long ones leave
WINDOWS = {4: 0.3, 16: 0.4, 64: 0.3}  # steps compared around a jump, and their share in its cost


@dataclass(frozen=True)
class Edges:
    """Each step's best partners: (steps, partners), unused places have infinite cost.

    An edge (p, q) leaves before step p is played and goes on with step q.
    """

    targets: Array  # int64
    costs: Array  # float32; 1 is as unlike as two random places of the song
    kinds: tuple[int, ...]  # how many partners of each step, in order: lead over what is avoided, are best, are odd

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


def _lowest(costs: Array, count: int) -> tuple[Array, Array]:
    """Columns and values of the lowest `count` in each row."""
    columns = np.argpartition(costs, count - 1, axis=1)[:, :count]
    return columns, np.take_along_axis(costs, columns, axis=1)


def _shuffled(costs: Array, distances: Array) -> Array:
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
        return _lowest(found, kept)
    reach = limits.distance + ODD_REACH
    start = max(0, int(distances[0, 0]) - reach)
    near = slice(start, int(distances[-1, 0]) + reach + 1)
    its_turn = (distances[:, near] + 7 * distances[:, :1]) % ODD_CYCLE == 0
    odd = np.where(its_turn & (np.abs(distances[:, near]) <= reach), found[:, near], np.inf)
    others, _ = _lowest(_shuffled(odd, distances[:, near]), ODD_PARTNERS)
    other_costs = np.take_along_axis(odd, others, axis=1)
    beside = np.minimum(found[:, :-2], found[:, 2:])
    found[:, 1:-1][found[:, 1:-1] > beside] = np.inf
    best, best_costs = _lowest(found, kept - ODD_PARTNERS)
    return np.concatenate([best, others + start], axis=1), np.concatenate([best_costs, other_costs], axis=1)


def find_edges(features: Array, limits: Limits, material: Material | None = None) -> Edges:
    """The best partners of each step, by how alike ±0.2, ±0.8 and ±3.2 s around both places sound.

    Args:
        features: float32 (steps, width).
        limits: where and how far jumps may go.
        material: what may be heard; all of the song if not given.

    Memory grows with steps times partners; the comparison of every step with every other is made in blocks.
    """
    steps = len(features)
    half = max(WINDOWS) // 2
    rows = np.pad(comparison_rows(features), ((half, half), (0, 0)), mode="edge")
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
                targets[rows_here, :over], costs[rows_here, :over] = _lowest(leading, over)
        targets[rows_here, over:], costs[rows_here, over:] = _best_partners(found, distances, limits, kept)
    return Edges(targets, costs, (over, kept - odd, odd))


class CostToGo:
    """The cheapest way to the song's end, by debt and position.

    The *debt* is how many steps more must be played than the song still has: staying keeps it, a jump back by d
    pays d of it, a jump forward adds to it, and at a debt of zero the song plays out. So the table needs no time:

        cost(debt, p) = min over edges leaving at p' ≥ p of edge cost + cost(debt - distance, target + gap)

    Debts beyond the table's last column are answered from that column: far from the end only the position matters.
    """

    def __init__(
        self,
        edges: Edges,
        costs: Array,
        limits: Limits,
        material: Material,
        *,
        debt: int,
        may_overrun: bool = False,
        slack: tuple[int, int] = (0, 0),
        off_time: float = 0.0,
    ) -> None:
        """Fill the table for an output that begins with `debt` steps to pay.

        Args:
            edges: the possible jumps.
            costs: what they cost here, (steps, partners).
            limits: gives the gap that two jumps keep.
            material: what may be heard; staying never leads through what is avoided.
            debt: steps to pay at the start, negative if the output is shorter than the song.
            may_overrun: whether a negative debt is as good as none (the output is cut, not ended).
            slack: steps by which the ending may come late or early, …
            off_time: … and what each of them costs.
        """
        steps = edges.steps
        self.cell_steps = cell_steps(steps)
        self.cells = -(-steps // self.cell_steps)
        self.start = material.start
        avoided = [start for start, _ in material.avoided]
        margin = int(np.clip(steps, 120, 600))
        most = max(margin, TABLE_ENTRIES // (self.cells + 1) - 2 * margin)
        self.low = min([0, *(start - material.stop for start in avoided)]) if may_overrun else min(debt, 0) - margin
        self.below = np.float32(0.0 if may_overrun else np.inf)
        self.high = min(max(debt, 0), max(steps, 3 * margin), most) + margin
        self._keep_best(edges, costs, limits)
        self.stretch = min(limits.distance, max(1, (1 << 20) // self.edge_costs.size))
        columns = self.high - self.low + 1
        self.padded = np.full((self.cells + 1, columns + 2 * self.stretch), np.inf, np.float32)
        self.padded[:, : self.stretch] = self.below
        self.table = self.padded[:, self.stretch : -self.stretch]  # (cells, debts)
        borders = [0, *(start // self.cell_steps + 1 for start in avoided), self.cells + 1]
        self.segments = [slice(*pair) for pair in pairwise(borders)]  # cells that staying may lead through
        for off in range(-slack[0], slack[1] + 1):
            if self.low <= off <= self.high:
                self.table[self.segments[-1], off - self.low] = off_time * abs(off)
        if may_overrun:  # what is left of the output ends before what is avoided
            for segment, start in zip(self.segments, avoided, strict=False):
                self.table[segment, : max(0, start - material.stop - self.low)] = 0.0
            self.table[self.segments[-1], : -self.low] = 0.0
        for _ in range(2 + 2 * len(avoided)):
            for first in range(1, self.high + 1, self.stretch):
                self._improve(first, min(first + self.stretch, self.high + 1))
            for last in range(0 if avoided else -1, self.low - 1, -self.stretch):
                self._improve(max(last - self.stretch + 1, self.low), last + 1)

    def _keep_best(self, edges: Edges, costs: Array, limits: Limits) -> None:
        """Keep the best edges of each kind that leave within each cell: (cells, edges) arrays."""
        wanted = self.cells * self.cell_steps - edges.steps
        kept = max(EDGES_PER_CELL, 8192 // self.cells)
        shares = (kept // 3, kept - kept // 3 * bool(edges.kinds[2]), kept // 3)
        landings = self._cell(edges.targets + limits.gap + limits.drift)
        found: list[list[Array]] = []
        first = 0
        for number, (kind, count) in enumerate(zip(edges.kinds, shares, strict=True)):
            values = []
            for array, filler in ((costs, np.inf), (edges.distances, 0), (landings, 0)):
                padded = np.pad(array[:, first : first + kind], ((0, wanted), (0, 0)), constant_values=filler)
                values.append(padded.reshape(self.cells, -1))
            first += kind
            if kind:
                order = _shuffled(*values[:2]) if number == ODD_KIND else values[0]
                best, _ = _lowest(order, min(count, values[0].shape[1]))
                found.append([np.take_along_axis(array, best, axis=1) for array in values])
        self.edge_costs, self.edge_distances, self.edge_landings = (
            np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)
        )

    def _cell(self, positions: Array) -> Array:
        return np.asarray(np.minimum(-(-positions // self.cell_steps), self.cells))

    def _improve(self, first: int, stop: int) -> None:
        """Lower the columns of debts first … stop - 1 to what one jump and the table as it is allow."""
        windows = np.lib.stride_tricks.sliding_window_view(self.padded, stop - first, axis=1)
        begins = np.clip(first - self.low + self.stretch - self.edge_distances, 0, windows.shape[1] - 1)
        after = windows[self.edge_landings, begins]  # (cells, edges, debts)
        best = np.min(self.edge_costs[:, :, None] + after, axis=1)
        for segment in self.segments:
            best[segment] = np.minimum.accumulate(best[segment][::-1], axis=0)[::-1]
        columns = self.table[:-1, first - self.low : stop - self.low]
        np.minimum(columns, best, out=columns)
        self.padded[:, -self.stretch :] = self.table[:, -1:]

    def reaches(self, debt: int) -> bool:
        """Whether there is a way from the song's start, whatever the debt is once the table knows it exactly."""
        if debt <= self.high:
            return bool(np.isfinite(self(np.array(debt), np.array(self.start))))
        exact = self.table[:, max(self.high - self.cells * self.cell_steps, 0) - self.low :]
        reached = np.isfinite(exact[: self.cells // 2])
        begins = np.isfinite(exact[self._cell(np.array(self.start)), -1])
        return bool(begins and np.mean(reached[reached.any(axis=1)]) > 0.99)

    def __call__(self, debts: Array, positions: Array) -> Array:
        """Cost from `positions` on with `debts` steps to pay, broadcast together; infinite where there is no way."""
        columns = np.asarray(debts) - self.low
        found = self.table[self._cell(np.maximum(positions, 0)), np.clip(columns, 0, self.table.shape[1] - 1)]
        return np.where(columns < 0, self.below, found)
