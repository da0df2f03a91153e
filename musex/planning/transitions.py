"""What there is to see of a jump: both sides compared at every distance from it, as a network's inputs.

A jump leaves before step p and goes on with step q. Beside each other lie what was heard before it and what came before
q, and what would have come and what comes instead. Their distances along the diagonal through (p, q) are pooled, near
the jump finely and farther away coarsely:

    before  [-160 … -80)  …  [-5 … -2)  [-2 … 0)  |  [0 … 2)  [2 … 5)  …  [80 … 160)  after

Steps are 100 ms and an attack lies anywhere in them, so attacks are compared apart, frame by frame (20 ms), at the lag
near the jump's at which they agree best. And how well the whole song agrees with itself at that lag is told beside the
lags around it: in a plain loop one beat off looks right until it is held against the bar.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from musex.analysis.similarity import GROUPS
from musex.analysis.song_analysis import Analysis
from musex.config import FEATURES, LONG_STEPS, TRANSITION_QUESTIONS
from musex.prediction.transition_head import TransitionHead
from musex.system.arrays import Array
from musex.system.threads import work_in_threads

BORDERS = (0, 2, 5, 10, 20, 40, 80, 160)  # steps from the jump between which distances are pooled
REACHES = (25, 100, 200)  # frames on each side of a jump over which attacks are compared
SUB_LAGS = (-2, -1, 0, 1, 2)  # frames tried around a jump's lag
BLOCK = 256  # steps that leave, whose distances are held at once
JUMPS_AT_ONCE = 256  # whose attacks are compared at once, in the processor's cache
JUMPS_ON_DIAGONALS = 16_384  # of a long song, whose distances are held at once
ROWS_AT_ONCE = 4096  # steps of a long song whose jumps are seen at once
PAIRS_AT_ONCE = 2048  # of rows, that stay in the processor's cache


def _short_of_best(contrast: Array) -> Array:
    """How far from the best around it, told finely near it: a contrast of 1 to 1, of 0.9 to 0.48, of 0 to 0."""
    return np.asarray(1.0 - np.log1p(100.0 * (1.0 - contrast)) / np.log(101.0))


def input_width() -> int:
    """Numbers in one row of `see`."""
    return len(GROUPS) * 2 * (len(BORDERS) - 1) + 2 * len(REACHES) + 15


def see(analysis: Analysis, leaves: Array, enters: Array) -> tuple[Array, Array]:
    """The inputs that describe jumps, and the lags at which their attacks agree best.

    Args:
        analysis: of the song.
        leaves: steps before which the jumps leave, int (jumps,).
        enters: steps with which they go on.

    Returns:
        float32 (jumps, `input_width()`), and int64 (jumps,), frames to be added to `enters - leaves`.
    """
    strips = (_strips_of_all if analysis.steps <= LONG_STEPS else _strips_of_jumps)(analysis, leaves, enters)
    sub_lags, agreement = _agreement(analysis, leaves, enters)
    frames = FEATURES.frames_per_step
    lags = np.abs((enters - leaves) * frames + sub_lags)
    lags = np.minimum(lags, len(analysis.periodicity) - 1)
    before, after = analysis.side_levels
    step = after[enters] - before[leaves]
    own = 0.5 * (np.abs(after[leaves] - before[leaves]) + np.abs(after[enters] - before[enters]))
    seconds = np.abs(enters - leaves) / FEATURES.steps_per_second
    rest = np.stack(
        [
            analysis.periodicity[lags],
            analysis.contrast[lags],
            _short_of_best(analysis.contrast[lags]),
            analysis.harmonic_periodicity[lags],
            analysis.harmonic_contrast[lags],
            _short_of_best(analysis.harmonic_contrast[lags]),
            np.full(len(leaves), analysis.pulse),
            np.clip(np.abs(step) / 6.0, 0.0, 3.0),
            np.clip(own / 6.0, 0.0, 3.0),
            analysis.beginnings[leaves],
            analysis.beginnings[enters],
            np.log1p(seconds) / 4.0,
            (enters > leaves).astype(np.float32),
            np.clip(np.minimum(leaves, enters) / 160.0, 0.0, 1.0),
            np.clip((len(analysis.features) - np.maximum(leaves, enters)) / 160.0, 0.0, 1.0),
        ],
        axis=1,
    )
    return np.concatenate([strips, agreement, rest], axis=1).astype(np.float32), sub_lags


def _strips_of_all(analysis: Analysis, leaves: Array, enters: Array) -> Array:
    """Pooled distances around jumps, by those of every step from every other: float32 (jumps, groups x pools)."""
    order = np.argsort(leaves, kind="stable")
    strips = np.empty((len(leaves), len(GROUPS) * 2 * (len(BORDERS) - 1)), np.float32)
    sorted_leaves = leaves[order]

    def fill_block(first: int) -> None:
        these = order[np.searchsorted(sorted_leaves, first) : np.searchsorted(sorted_leaves, first + BLOCK)]
        if len(these):
            strips[these] = _strips_of_block(analysis, first, leaves[these], enters[these])

    work_in_threads(fill_block, range(0, analysis.steps, BLOCK))
    return strips


def _strips_of_block(analysis: Analysis, first: int, leaves: Array, enters: Array) -> Array:
    """The same of jumps that leave within `BLOCK` steps from `first` on."""
    far = BORDERS[-1]
    steps = len(analysis.features)
    top, stop = max(first - far, 0), min(first + BLOCK + far, steps)
    pooled = []
    for rows in analysis.groups:
        squares = np.sum(rows**2, axis=1)
        distances = squares[top:stop, None] + squares[None, :] - 2.0 * rows[top:stop] @ rows.T
        np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)
        # Summed along diagonals: sums[i + 1, j + 1] = sums[i, j] + distances[i, j].
        sums = np.zeros((stop - top + 1, steps + 1), np.float32)
        for row in range(stop - top):
            np.add(sums[row, :-1], distances[row], out=sums[row + 1, 1:])
        for low, high in _pools(leaves, enters, steps):
            total = sums[leaves - top + high, enters + high] - sums[leaves - top + low, enters + low]
            pooled.append(_mean(total, high - low))
    return np.stack(pooled, axis=1)


def _pools(leaves: Array, enters: Array, steps: int) -> Iterator[tuple[Array, Array]]:
    """Where each pool begins and ends, steps from the jump (jumps,): no farther than the song does on either side."""
    least, most = -np.minimum(leaves, enters), steps - np.maximum(leaves, enters)
    for sign in (-1, 1):
        for near, beyond in pairwise(BORDERS):
            low, high = (near, beyond) if sign > 0 else (-beyond, -near)
            yield np.clip(low, least, most), np.clip(high, least, most)


def _mean(total: Array, count: Array) -> Array:
    """Means of so many distances each; 1, as of two random places, where there are none."""
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _strips_of_jumps(analysis: Analysis, leaves: Array, enters: Array) -> Array:
    """The same as `_strips_of_all`, by distances along the diagonals around jumps alone, in time linear in them.

    Of jumps beside each other on a diagonal no distance is worked out twice: on half an hour of music a thousand a
    step, instead of 18 000 and more.
    """
    groups = analysis.groups
    rows, borders = np.concatenate(groups, axis=1), np.cumsum([0, *(group.shape[1] for group in groups)])
    strips = np.empty((len(leaves), len(GROUPS) * 2 * (len(BORDERS) - 1)), np.float32)
    order = np.lexsort((leaves, enters - leaves))

    def fill_block(first: int) -> None:
        these = order[first : first + JUMPS_ON_DIAGONALS]
        strips[these] = _strips_along(rows, borders, leaves[these], enters[these])

    work_in_threads(fill_block, range(0, len(order), JUMPS_ON_DIAGONALS))
    return strips


def _strips_along(rows: Array, borders: Array, leaves: Array, enters: Array) -> Array:
    """The strips of jumps sorted by lag and place, of rows (steps, width) whose groups end at `borders`."""
    far, lags, steps = BORDERS[-1], enters - leaves, len(rows)
    tops = leaves - np.minimum(far, np.minimum(leaves, enters))
    stops = leaves + np.minimum(far, steps - np.maximum(leaves, enters))
    # Stretches of a diagonal that touch become one run, whose distances lie one after another.
    fresh = np.append(True, (lags[1:] != lags[:-1]) | (tops[1:] > stops[:-1]))
    begins, lengths = tops[fresh], stops[np.append(fresh[1:], True)] - tops[fresh]
    offsets = np.cumsum(lengths) - lengths
    ours = np.arange(lengths.sum()) + np.repeat(begins - offsets, lengths)
    theirs = ours + np.repeat(lags[fresh], lengths)
    sums = np.zeros((len(ours) + 1, len(borders) - 1))
    for first in range(0, len(ours), PAIRS_AT_ONCE):
        these = slice(first, first + PAIRS_AT_ONCE)
        apart = rows[ours[these]] - rows[theirs[these]]
        for group, part in enumerate(pairwise(borders)):
            of_group = apart[:, slice(*part)]
            sums[1:][these, group] = np.sqrt(np.einsum("ij,ij->i", of_group, of_group))
    np.cumsum(sums, axis=0, out=sums)
    middles = leaves + (offsets - begins)[np.cumsum(fresh) - 1]  # where each jump lies among the distances
    pooled = [
        _mean(sums[middles + high] - sums[middles + low], (high - low)[:, None])
        for low, high in _pools(leaves, enters, steps)
    ]
    return np.stack(pooled, axis=2).reshape(len(leaves), -1)


def _agreement(analysis: Analysis, leaves: Array, enters: Array) -> tuple[Array, Array]:
    """Best sub-lags in frames, (jumps,), and the attacks' correlations there on both sides: (jumps, 2 x reaches)."""
    far, slack = REACHES[-1], max(SUB_LAGS)
    attacks = np.pad(analysis.attacks, ((far + slack, far + slack), (0, 0)))
    sums = np.concatenate([[0.0], np.cumsum(np.sum(attacks.astype(np.float64) ** 2, axis=1))])
    bands = np.ascontiguousarray(attacks.T)
    narrow, wide = (sliding_window_view(bands, 2 * (far + more), axis=1) for more in (0, slack))  # (bands, frames, …)
    places, goes_on = leaves * FEATURES.frames_per_step + slack, enters * FEATURES.frames_per_step + slack
    found = np.empty((len(leaves), 2 * len(REACHES)), np.float32)
    sub_lags = np.empty(len(leaves), np.int64)
    for first in range(0, len(leaves), JUMPS_AT_ONCE):
        here, there = (starts[first : first + JUMPS_AT_ONCE] for starts in (places, goes_on))
        fixed, moved, energy = narrow[:, here], wide[:, there - slack], _energy_around(sums, here + far)
        values = np.empty((len(here), len(SUB_LAGS), 2 * len(REACHES)), np.float32)
        for number, sub_lag in enumerate(SUB_LAGS):
            other = moved[:, :, slack + sub_lag :][:, :, : 2 * far]
            both = np.sqrt(energy * _energy_around(sums, there + sub_lag + far))
            values[:, number] = _by_reach(fixed, other) / np.maximum(both, 1e-3)
        best = np.argmax(values[:, :, 2:].sum(axis=2) - 0.01 * np.abs(np.array(SUB_LAGS)), axis=1)
        these = slice(first, first + JUMPS_AT_ONCE)
        sub_lags[these] = np.array(SUB_LAGS)[best]
        found[these] = values[np.arange(len(here)), best]
    return sub_lags, found


def _energy_around(sums: Array, middles: Array) -> Array:
    """Energy over each reach before and after frames, (frames, 2 x reaches), by its sums up to each frame."""
    middle = sums[middles]
    sides = [side for reach in REACHES for side in (middle - sums[middles - reach], sums[middles + reach] - middle)]
    return np.stack(sides, axis=1)


def _by_reach(one: Array, other: Array) -> Array:
    """Products of windows (bands, jumps, frames) summed over each reach, before and after: (jumps, 2 x reaches)."""
    middle, sides = one.shape[2] // 2, []
    for sign in (-1, 1):
        borders = [middle + sign * reach for reach in (0, *REACHES)]
        rings = [slice(*sorted(ring)) for ring in pairwise(borders)]
        parts = [np.einsum("bjf,bjf->j", one[:, :, ring], other[:, :, ring]) for ring in rings]
        sides.append(np.cumsum(parts, axis=0))
    return np.stack(sides, axis=1).reshape(-1, one.shape[1]).T


def judge_jumps(analysis: Analysis, head: TransitionHead, targets: Array, possible: Array) -> tuple[Array, Array]:
    """What a transition head says of jumps, and the lags at which they join.

    Args:
        analysis: of the song.
        head: answers by log-odds.
        targets: steps with which the jumps that leave before each step go on, (steps, partners).
        possible: which of them there are, bool (steps, partners).

    Returns:
        Log-odds float32 (steps, partners, 4) of `TRANSITION_QUESTIONS`, and frames to be added to each jump's lag,
        int64 (steps, partners); both zero where there is no jump.
    """
    odds = np.zeros((*targets.shape, len(TRANSITION_QUESTIONS)), np.float32)
    lags = np.zeros(targets.shape, np.int64)
    at_once = len(targets) if len(targets) <= LONG_STEPS else ROWS_AT_ONCE
    for first in range(0, len(targets), at_once):
        leaves, partners = np.nonzero(possible[first : first + at_once])
        leaves += first
        seen, sub_lags = see(analysis, leaves, targets[leaves, partners])
        odds[leaves, partners], lags[leaves, partners] = head.log_odds(seen), sub_lags
    return odds, lags
