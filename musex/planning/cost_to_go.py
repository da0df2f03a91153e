"""The cost-to-go: which jumps can still end on time, and what the cheapest way there costs."""

from itertools import pairwise

import numpy as np

from musex.planning.jumps import ODD_KIND, Jumps, lowest, shuffled
from musex.planning.material import Limits, Material, cell_steps
from musex.system.arrays import Array

JUMPS_PER_CELL = 20  # the best that leave within each cell of the table; more of a short song's
TABLE_ENTRIES = 1 << 24  # 64 MiB of float32


class CostToGo:
    """The cheapest way to the song's end, by debt and position.

    The *debt* is how many steps more must be played than the song still has: staying keeps it, a jump back by d
    pays d of it, a jump forward adds to it, and at a debt of zero the song plays out. So the table needs no time:

        cost(debt, p) = min over jumps leaving at p' ≥ p of their cost + cost(debt - distance, target + gap)

    Debts beyond the table's last column are answered from that column: far from the end only the position matters.
    """

    def __init__(
        self,
        jumps: Jumps,
        costs: Array,
        limits: Limits,
        material: Material,
        *,
        debt: int,
        start: int | None = None,
        goal: int | None = None,
        may_overrun: bool = False,
        slack: tuple[int, int] = (0, 0),
        off_time: float = 0.0,
    ) -> None:
        """Fill the table for an output that begins with `debt` steps to pay.

        Args:
            jumps: that may be taken.
            costs: what they cost here, (steps, partners).
            limits: gives the gap that two jumps keep.
            material: what may be heard; staying never leads through what is avoided.
            debt: steps to pay at the start, negative if the output is shorter than the song.
            start: the step at which it begins; where the material does if not given.
            goal: the step at which it shall end; where the material does if not given.
            may_overrun: whether a negative debt is as good as none (the output is cut, not ended).
            slack: steps by which the ending may come late, and early.
            off_time: what each of these costs.
        """
        self.cell_steps = cell_steps(jumps.steps)
        self.cells = -(-jumps.steps // self.cell_steps)
        self.start = material.start if start is None else start
        self.may_overrun = may_overrun
        self._keep_best(jumps, costs, limits)
        self._make_room(jumps.steps, limits, material, debt)
        self._end(material, goal, slack, off_time)
        for _ in range(2 + 2 * len(material.avoided)):
            if not self._improve_all(last=0 if material.avoided else -1):
                break

    def _keep_best(self, jumps: Jumps, costs: Array, limits: Limits) -> None:
        """Keep the best jumps of each kind that leave within each cell: (cells, jumps) arrays."""
        wanted = self.cells * self.cell_steps - jumps.steps
        kept = max(JUMPS_PER_CELL, 8192 // self.cells)
        shares = (kept // 3, kept - kept // 3 * bool(jumps.kinds[2]), kept // 3)
        landings = self._cell(jumps.targets + limits.gap + limits.drift)
        found: list[list[Array]] = []
        first = 0
        for number, (kind, count) in enumerate(zip(jumps.kinds, shares, strict=True)):
            values = []
            for array, filler in ((costs, np.inf), (jumps.distances, 0), (landings, 0)):
                padded = np.pad(array[:, first : first + kind], ((0, wanted), (0, 0)), constant_values=filler)
                values.append(padded.reshape(self.cells, -1))
            first += kind
            if kind:
                order = shuffled(*values[:2]) if number == ODD_KIND else values[0]
                best, _ = lowest(order, min(count, values[0].shape[1]))
                found.append([np.take_along_axis(array, best, axis=1) for array in values])
        self.jump_costs, self.jump_distances, self.jump_landings = (
            np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)
        )

    def _make_room(self, steps: int, limits: Limits, material: Material, debt: int) -> None:
        """An empty table, (cells, debts from `low` to `high`), padded on both sides by the debts improved at once."""
        margin = int(np.clip(steps, 120, 600))
        most = max(margin, TABLE_ENTRIES // (self.cells + 1) - 2 * margin)
        before = [0, *(start - material.stop for start, _ in material.avoided)]
        self.low = min(before) if self.may_overrun else min(debt, 0) - margin
        self.high = min(max(debt, 0), max(steps, 3 * margin), most) + margin
        self.below = np.float32(0.0 if self.may_overrun else np.inf)
        self.stretch = min(limits.distance, max(1, (1 << 20) // self.jump_costs.size))
        columns = self.high - self.low + 1
        self.padded = np.full((self.cells + 1, columns + 2 * self.stretch), np.inf, np.float32)
        self.padded[:, : self.stretch] = self.below
        self.table = self.padded[:, self.stretch : -self.stretch]
        borders = [0, *(start // self.cell_steps + 1 for start, _ in material.avoided), self.cells + 1]
        self.segments = [slice(*pair) for pair in pairwise(borders)]  # cells that staying may lead through

    def _end(self, material: Material, goal: int | None, slack: tuple[int, int], off_time: float) -> None:
        """Write down where an output may end, and what that costs."""
        ending = self.segments[-1]
        if goal is not None:
            cell = int(self._cell(np.array(goal)))
            within = next(segment for segment in self.segments if cell < segment.stop)
            ending = slice(within.start, cell + 1)
        for off in range(-slack[0], slack[1] + 1):
            if self.low <= off <= self.high:
                self.table[ending, off - self.low] = off_time * abs(off)
        if self.may_overrun:  # what is left of the output ends before what is avoided
            for segment, (start, _) in zip(self.segments, material.avoided, strict=False):
                self.table[segment, : max(0, start - material.stop - self.low)] = 0.0
            self.table[self.segments[-1], : -self.low] = 0.0

    def _improve_all(self, *, last: int) -> bool:
        """Improve the columns of all debts above zero, and downwards from `last`; returns whether any became lower."""
        ends = range(last, self.low - 1, -self.stretch)
        spans = [(first, min(first + self.stretch, self.high + 1)) for first in range(1, self.high + 1, self.stretch)]
        spans += [(max(end - self.stretch + 1, self.low), end + 1) for end in ends]
        return sum(self._improve(*span) for span in spans) > 0

    def _cell(self, positions: Array) -> Array:
        return np.asarray(np.minimum(-(-positions // self.cell_steps), self.cells))

    def _improve(self, first: int, stop: int) -> bool:
        """Lower the columns of debts first … stop - 1 to what one jump and the table as it is allow, if they do."""
        windows = np.lib.stride_tricks.sliding_window_view(self.padded, stop - first, axis=1)
        begins = np.clip(first - self.low + self.stretch - self.jump_distances, 0, windows.shape[1] - 1)
        after = windows[self.jump_landings, begins]  # (cells, jumps, debts)
        best = np.min(self.jump_costs[:, :, None] + after, axis=1)
        for segment in self.segments:
            best[segment] = np.minimum.accumulate(best[segment][::-1], axis=0)[::-1]
        columns = self.table[:-1, first - self.low : stop - self.low]
        lower = bool((best < columns).any())
        np.minimum(columns, best, out=columns)
        self.padded[:, -self.stretch :] = self.table[:, -1:]
        return lower

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
