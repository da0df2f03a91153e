"""Where a path may jump: the song's usable part, each step's best partners, and what it costs to end on time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from musex.config import FEATURES, FeatureConfig

Array = np.ndarray

CELL_STEPS = 5  # the cost-to-go table knows positions to this many steps, …
MOST_CELLS = 720  # … or to as many as make the song this many
EDGES_PER_CELL = 20  # and so many of the best edges that leave within each; more of a short song's
TABLE_ENTRIES = 1 << 24  # 64 MiB of float32
ODD_PARTNERS = 4  # of each step, whatever the beat, so that every duration can be reached
ODD_CYCLE = 17  # steps: after so many every distance had its turn
ODD_REACH = 300  # steps: short jumps, to make up for what long ones leave
WINDOWS = {4: 0.3, 16: 0.4, 64: 0.3}  # steps compared around a jump, and their share in its cost


@dataclass(frozen=True)
class Region:
    """The parts of a song by level, in steps: music sounds in [start, stop), at full level in [body_start, body_stop).

    What comes before the body is the intro, what comes after it the outro (a fade-out, a last chord, applause).
    """

    start: int
    body_start: int
    body_stop: int
    stop: int


@dataclass(frozen=True)
class Limits:
    """What a jump must respect, in steps. A ladder of them, from strict to loose, serves songs of every length."""

    first_leave: int
    first_enter: int
    last: int  # no jump leaves or enters after it
    distance: int  # between both ends of a jump
    gap: int  # between two jumps
    partners: int  # edges kept for each step

    @property
    def usable(self) -> int:
        return self.last - self.first_enter

    @property
    def keeps_odd(self) -> bool:
        """Whether the last few partners of each step are some off the beat; loose limits have all kinds anyway."""
        return self.distance >= 20

    @property
    def slide(self) -> float:
        """Seconds by which a cut may move along, so that it never meets its neighbours."""
        return self.gap / 160.0

    @property
    def drift(self) -> int:
        """Steps by which an aligned seam may lie beside the step it was planned at: its slide, lag and rounding."""
        return math.ceil(self.slide * FEATURES.steps_per_second) + 3


@dataclass(frozen=True)
class Edges:
    """Each step's best partners: (steps, partners), unused places have infinite cost.

    An edge (p, q) leaves before step p is played and goes on with step q.
    """

    targets: Array  # int64
    costs: Array  # float32; 1 is as unlike as two random places of the song

    @property
    def steps(self) -> int:
        return int(self.targets.shape[0])

    @cached_property
    def distances(self) -> Array:
        """Steps jumped back by (negative: forward), (steps, partners)."""
        leaves: Array = np.arange(self.steps)[:, None]
        return np.asarray(leaves - self.targets)


def step_levels(features: Array, config: FeatureConfig = FEATURES) -> Array:
    """Level of each step in dB, float64 (steps,): the power mean over bands."""
    log_mel = features[:, : config.n_mels].astype(np.float64)
    power = np.mean(10.0 ** (log_mel / 10.0), axis=1)
    return np.asarray(10.0 * np.log10(power))


def smooth(values: Array, width: int) -> Array:
    """Centred moving average, edges repeated: (n,) to (n,)."""
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.asarray(np.convolve(padded, np.full(width, 1.0 / width), mode="valid"))


def find_region(features: Array) -> Region:
    """Tell silence, intro, body and outro apart by level; the intro and the outro are at most a quarter each."""
    levels = step_levels(features)
    steps = len(levels)
    sounding = np.flatnonzero(levels > max(float(levels.max()) - 50.0, -95.0))
    start, stop = (int(sounding[0]), int(sounding[-1]) + 1) if len(sounding) else (0, steps)
    power = smooth(10.0 ** (levels / 10.0), min(20, steps))
    slow = 10.0 * np.log10(np.maximum(power, 1e-12))
    full = np.flatnonzero(slow >= np.median(slow[start:stop]) - 6.0)
    quarter = (stop - start) // 4
    body_start = min(int(full[0]), start + quarter) if len(full) else start
    body_stop = max(int(full[-1]) + 1, stop - quarter) if len(full) else stop
    return Region(start, max(start, body_start), min(stop, body_stop), stop)


def limits_ladder(region: Region, steps: int) -> Iterator[Limits]:
    """Limits from strict to loose; the search takes the first that reach the requested duration."""
    body = region.body_stop - region.body_start
    if body >= 300:
        last = min(region.body_stop, steps - 20)
        yield Limits(max(20, region.start + 10), max(10, region.body_start), last, 40, 40, 12)
    if steps >= 150:
        last = min(region.stop, steps - 10)
        yield Limits(region.start + 10, region.start + 10, last, 20, 20, 24)
    yield Limits(10, 10, steps - 10, 8, 10, 64)
    yield Limits(5, 5, steps - 5, 3, 5, 128)


def comparison_rows(features: Array, config: FeatureConfig = FEATURES) -> Array:
    """Rows whose Euclidean distance says how unlike two steps sound: float32 (steps, width).

    Timbre, harmony, attacks and level each get their share; two random steps lie about 1 apart.
    """
    log_mel = features[:, : config.n_mels]
    log_mel = np.maximum(log_mel, log_mel.max() - 70.0)
    chroma = features[:, config.n_mels : config.n_mels + config.n_chroma]
    onset = np.sqrt(features[:, config.n_mels + config.n_chroma :])
    level = np.maximum(step_levels(features), float(step_levels(features).max()) - 70.0)[:, None]
    parts = []
    for part, share in ((log_mel, 0.4), (chroma, 0.3), (onset, 0.2), (level, 0.1)):
        centred = part - part.mean(axis=0)
        variance = 2.0 * float(np.mean(np.sum(centred**2, axis=1)))  # mean squared distance of two random rows
        parts.append(centred * np.sqrt(share / max(variance, 1e-9)))
    return np.concatenate(parts, axis=1).astype(np.float32)


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
    others, other_costs = _lowest(odd, ODD_PARTNERS)
    beside = np.minimum(found[:, :-2], found[:, 2:])
    found[:, 1:-1][found[:, 1:-1] > beside] = np.inf
    best, best_costs = _lowest(found, kept - ODD_PARTNERS)
    return np.concatenate([best, others + start], axis=1), np.concatenate([best_costs, other_costs], axis=1)


def find_edges(features: Array, limits: Limits) -> Edges:
    """The best partners of each step, by how alike ±0.2, ±0.8 and ±3.2 s around both places sound.

    Args:
        features: float32 (steps, width).
        limits: where and how far jumps may go.

    Memory grows with steps times partners; the comparison of every step with every other is made in blocks.
    """
    steps = len(features)
    half = max(WINDOWS) // 2
    rows = np.pad(comparison_rows(features), ((half, half), (0, 0)), mode="edge")
    squares = np.sum(rows**2, axis=1)
    kept = min(limits.partners + ODD_PARTNERS, steps)
    targets = np.zeros((steps, kept), np.int64)
    costs = np.full((steps, kept), np.inf, np.float32)
    block = int(np.clip((1 << 20) // steps, 32, 256))
    for first in range(limits.first_leave, min(limits.last, steps - 1) + 1, block):
        count = min(block, limits.last + 1 - first, steps - first)
        found = _block_costs(rows, squares, first, count)
        found[:, : limits.first_enter] = np.inf
        found[:, limits.last + 1 :] = np.inf
        distances = first + np.arange(count)[:, None] - np.arange(steps)
        found[np.abs(distances) < limits.distance] = np.inf
        block_rows = slice(first, first + count)
        targets[block_rows], costs[block_rows] = _best_partners(found, distances, limits, kept)
    return Edges(targets, costs)


class CostToGo:
    """The cheapest way to the song's end, by debt and position.

    The *debt* is how many steps more must be played than the song still has: staying keeps it, a jump back by d
    pays d of it, a jump forward adds to it, and at a debt of zero the song plays out. So the table needs no time:

        cost(debt, p) = min over edges leaving at p' ≥ p of edge cost + cost(debt - distance, target + gap)

    Debts beyond the table's last row are answered from that row: far from the end only the position matters.
    """

    def __init__(self, edges: Edges, costs: Array, limits: Limits, *, debt: int, may_overrun: bool = False) -> None:
        """Fill the table for an output that begins with `debt` steps to pay.

        Args:
            edges: the possible jumps.
            costs: what they cost here, (steps, partners).
            limits: gives the gap that two jumps keep.
            debt: steps to pay at the start, negative if the output is shorter than the song.
            may_overrun: whether a negative debt is as good as none (the output is cut, not ended).
        """
        steps = edges.steps
        self.cell_steps = max(CELL_STEPS, -(-steps // MOST_CELLS))
        self.cells = -(-steps // self.cell_steps)
        margin = int(np.clip(steps, 120, 600))
        most = max(margin, TABLE_ENTRIES // (self.cells + 1) - 2 * margin)
        self.low = 0 if may_overrun else min(debt, 0) - margin
        self.below = np.float32(0.0 if may_overrun else np.inf)
        self.high = min(max(debt, 0), max(steps, 3 * margin), most) + margin
        self.table = np.full((self.high - self.low + 1, self.cells + 1), np.inf, np.float32)
        self.table[-self.low] = 0.0
        self._keep_best(edges, costs, limits)
        stretch = min(limits.distance, max(1, (1 << 20) // self.edge_costs.size))
        for _ in range(2):
            for row in range(1, self.high + 1, stretch):
                self._improve(row, min(row + stretch, self.high + 1))
            if not may_overrun:
                for row in range(-1, self.low - 1, -stretch):
                    self._improve(max(row - stretch + 1, self.low), row + 1)

    def _keep_best(self, edges: Edges, costs: Array, limits: Limits) -> None:
        """Keep the best edges that leave within each cell, a third of them off the beat: (cells, edges) arrays."""
        wanted = self.cells * self.cell_steps - edges.steps
        partners = costs.shape[1]
        kept = max(EDGES_PER_CELL, 8192 // self.cells)
        parts = [(0, partners, kept)]
        if limits.keeps_odd:
            parts = [(0, partners - ODD_PARTNERS, kept - kept // 3), (partners - ODD_PARTNERS, partners, kept // 3)]
        landings = self._cell(edges.targets + limits.gap + limits.drift)
        found: list[list[Array]] = []
        for first, stop, count in parts:
            values = []
            for array, filler in ((costs, np.inf), (edges.distances, 0), (landings, 0)):
                padded = np.pad(array[:, first:stop], ((0, wanted), (0, 0)), constant_values=filler)
                values.append(padded.reshape(self.cells, -1))
            best, best_costs = _lowest(values[0], min(count, values[0].shape[1]))
            found.append([best_costs, *(np.take_along_axis(array, best, axis=1) for array in values[1:])])
        self.edge_costs, self.edge_distances, self.edge_landings = (
            np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)
        )

    def _cell(self, positions: Array) -> Array:
        return np.asarray(np.minimum(-(-positions // self.cell_steps), self.cells))

    def _improve(self, first: int, stop: int) -> None:
        """Lower the rows of debts first … stop - 1 to what one jump and the table as it is allow."""
        debts = np.arange(first, stop)[:, None, None]
        after = self(debts - self.edge_distances, None, cells=self.edge_landings)
        best = np.min(self.edge_costs + after, axis=2)
        best = np.minimum.accumulate(best[:, ::-1], axis=1)[:, ::-1]
        rows = self.table[first - self.low : stop - self.low, :-1]
        np.minimum(rows, best, out=rows)

    def reaches(self, debt: int) -> bool:
        """Whether there is a way from the song's start, whatever the debt is once the table knows it exactly."""
        if debt <= self.high:
            return bool(np.isfinite(self(np.array(debt), np.array(0))))
        exact = self.table[max(self.high - self.cells * self.cell_steps, 0) - self.low :]
        return bool(np.mean(np.isfinite(exact[:, : self.cells // 2])) > 0.99)

    def __call__(self, debts: Array, positions: Array | None, *, cells: Array | None = None) -> Array:
        """Cost from `positions` on with `debts` steps to pay, broadcast together; infinite where there is no way."""
        if cells is None:
            assert positions is not None
            cells = self._cell(np.maximum(positions, 0))
        rows = np.asarray(debts) - self.low
        found = self.table[np.clip(rows, 0, len(self.table) - 1), cells]
        return np.where(rows < 0, self.below, found)
