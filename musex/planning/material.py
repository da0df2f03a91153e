"""Which parts of a song a path may use: by what sounds there, and by what its user asked for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from musex.analysis.form import outro_start, smooth
from musex.analysis.song_analysis import Analysis
from musex.config import FEATURES, FeatureConfig
from musex.errors import MusexError
from musex.settings import Settings
from musex.system.arrays import Array
from musex.system.spools import in_blocks

CELL_STEPS = 5  # that the cost-to-go takes as one, in all but long songs
MOST_CELLS = 720  # of that table: longer songs have longer cells
NEAR_EDGE = 20  # steps: what is avoided nearer to the song's start or end takes all of that
SILENCE_DB = (-60.0, -95.0)  # below the loudest step, and at all: no sound of the music
REST_STEPS = 30  # of silence that may be a rest of the music: more of it is none of it
TAIL_STEPS = 20  # of silence after the last sound that belong to the music
HOPS_AT_ONCE = 3000  # a minute
LEAD_STEPS = 5  # of silence before the first sound that belong to the music


@dataclass(frozen=True)
class Region:
    """The parts of a song, in steps: music sounds in [start, stop), at full level in [body_start, body_stop).

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
    partners: int  # jumps kept for each step

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


def cell_steps(steps: int) -> int:
    """Steps of a song of so many that the cost-to-go table takes as one."""
    return max(CELL_STEPS, -(-steps // MOST_CELLS))


@dataclass(frozen=True)
class Material:
    """What of the song may be heard, in steps: all from `start` to `stop` but what is `avoided`, jumping within `keep`.

    The avoided stretches are in order, apart from each other, and lie between `start` and `stop`.
    """

    start: int
    stop: int
    keep: tuple[int, int]
    avoided: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        return self.stop - self.start - sum(stop - start for start, stop in self.avoided)

    def over(self, leaves: Array, targets: Array, limits: Limits) -> Array:
        """Whether jumps lead over something avoided, however their seams are aligned."""
        beyond = [*(start for start, _ in self.avoided[1:]), self.stop + 1]
        jumps = [
            (leaves <= start - limits.drift) & (targets >= stop + limits.drift) & (targets < next_start)
            for (start, stop), next_start in zip(self.avoided, beyond, strict=False)
        ]
        return np.any(jumps, axis=0) if jumps else np.zeros(np.broadcast_shapes(leaves.shape, targets.shape), bool)

    def allows(self, leaves: Array, targets: Array, limits: Limits) -> Array:
        """Whether jumps may be taken: both ends kept and playing on from there meets nothing avoided at once."""
        first, last = self.keep
        allowed = (leaves >= first) & (leaves <= last) & (targets >= first) & (targets <= last)
        allowed = allowed | self.over(leaves, targets, limits)
        room = limits.gap + limits.drift + cell_steps(self.stop)
        for start, stop in self.avoided:
            before, after = start - limits.drift, stop + limits.drift
            allowed = allowed & ((leaves <= before) | (leaves >= after))
            allowed &= (targets <= before - room) | (targets >= after)
        return np.asarray(allowed)

    def next_avoided(self, step: int) -> int:
        """Where the next avoided stretch after a place begins, or the end."""
        return next((first for first, _ in self.avoided if first >= step), self.stop)

    def clear(self, start: Array | float, stop: Array | float) -> Array:
        """Whether nothing avoided lies between two places."""
        start, stop = np.asarray(start), np.asarray(stop)
        met = [(start < last) & (stop > first) for first, last in self.avoided]
        return ~np.any(met, axis=0) if met else np.ones(np.broadcast_shapes(start.shape, stop.shape), bool)


def find_silences(analysis: Analysis) -> tuple[tuple[int, int], ...]:
    """Stretches of silence longer than a rest, in steps; what rings before them and leads out of them is none of it."""
    levels = analysis.levels
    sounding = np.flatnonzero(levels > max(float(levels.max()) + SILENCE_DB[0], SILENCE_DB[1]))
    if not len(sounding):
        return ()
    lasts, nexts = np.append(-1, sounding), np.append(sounding, len(levels))
    begins = np.where(lasts < 0, 0, lasts + 1 + TAIL_STEPS)
    stops = np.where(nexts == len(levels), len(levels), nexts - LEAD_STEPS)
    long = nexts - lasts - 1 > REST_STEPS
    return tuple((int(start), int(stop)) for start, stop in zip(begins[long], stops[long], strict=True))


def find_material(settings: Settings, steps: int, silences: tuple[tuple[int, int], ...] = ()) -> Material:
    """What the settings leave of a song of so many steps; `silences` of it, see `find_silences`, are left out too.

    Raises:
        MusexError: they name what the song does not have, or leave nothing of it.
    """
    per_second = FEATURES.steps_per_second
    seconds = steps / per_second
    named = [settings.keep_from or 0.0, *(start for start, _ in settings.avoid)]
    if max(named) >= seconds:
        raise MusexError(f"there is nothing at {max(named):g} s to keep or to avoid: the song lasts {seconds:.1f} s")
    keep_to = seconds if settings.keep_to is None else min(settings.keep_to, seconds)
    keep = (math.floor((settings.keep_from or 0.0) * per_second), math.ceil(keep_to * per_second))
    start, stop, avoided = 0, steps, []
    unwanted = [
        (math.floor(first * per_second), min(math.ceil(last * per_second), steps)) for first, last in settings.avoid
    ]
    for first, last in _merge((*unwanted, *silences)):
        if first - start <= NEAR_EDGE:
            start = last
        elif steps - last <= NEAR_EDGE:
            stop = first
        else:
            avoided.append((first, last))
    if stop - start < NEAR_EDGE and silences:
        return find_material(settings, steps)
    if stop - start < NEAR_EDGE:
        raise MusexError(f"nothing of the song's {seconds:.1f} s is left to be heard: avoid less")
    return Material(start, stop, keep, tuple(avoided))


def _merge(stretches: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Stretches in order; those that nearly touch become one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(stretches):
        if merged and start <= merged[-1][1] + NEAR_EDGE:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def find_region(analysis: Analysis) -> Region:
    """Tell silence, intro, body and outro apart by level and novelty; intro and outro are at most a quarter each.

    What is unlike all that came before, up to the end, is outro too, however loud: a last chord, a rallentando, a coda.
    """
    levels = analysis.levels
    steps = len(levels)
    sounding = np.flatnonzero(levels > max(float(levels.max()) - 50.0, -95.0))
    start, stop = (int(sounding[0]), int(sounding[-1]) + 1) if len(sounding) else (0, steps)
    power = smooth(10.0 ** (levels / 10.0), min(20, steps))
    slow = 10.0 * np.log10(np.maximum(power, 1e-12))
    full = np.flatnonzero(slow >= np.median(slow[start:stop]) - 6.0)
    quarter = (stop - start) // 4
    body_start = min(int(full[0]), start + quarter) if len(full) else start
    body_stop = max(int(full[-1]) + 1, stop - quarter) if len(full) else stop
    body_stop = max(min(stop, body_stop, outro_start(analysis.comparison_rows, start, stop)), body_start)
    return Region(start, max(start, body_start), body_stop, stop)


def limits_ladder(region: Region, material: Material) -> Iterator[Limits]:
    """Limits from strict to loose; the search takes the first that reach the requested duration."""
    start, stop = material.start, material.stop
    sounding, ending = max(start, region.start), min(stop, region.stop)
    body_start, body_stop = max(start, region.body_start), min(stop, region.body_stop)
    if body_stop - body_start >= 300:  # within the body, 4 s apart
        yield Limits(
            first_leave=max(start + 20, sounding + 10, body_start + 20),
            first_enter=max(start + 10, body_start),
            last=min(body_stop, stop - 20),
            distance=40,
            gap=40,
            partners=12,
        )
    if stop - start >= 150:  # 2 s apart, into the outro as well, and then into the intro
        last = min(ending, stop - 10)
        for first in dict.fromkeys((max(sounding, body_start) + 10, sounding + 10)):
            yield Limits(first, first, last, distance=20, gap=20, partners=24)
    for edge, distance, gap, partners in ((10, 8, 10, 64), (5, 3, 5, 128)):  # anywhere
        yield Limits(start + edge, start + edge, stop - edge, distance=distance, gap=gap, partners=partners)


def quiet_tail(mono: Array, config: FeatureConfig = FEATURES) -> float:
    """Seconds at a song's end that are no more than the ring of what came before: 40 dB below its usual level.

    `mono` is the song at the features' sample rate, (samples,).
    """
    hop = config.hop_length
    frames = len(mono) // hop
    if not frames:
        return 0.0
    by_hop = mono[len(mono) - frames * hop :].reshape(frames, hop)
    levels = np.sqrt(np.concatenate([np.mean(block**2, axis=1) for block in in_blocks(by_hop, HOPS_AT_ONCE)]))
    sounding = levels[levels > 1e-4]
    usual = float(np.median(sounding)) if len(sounding) else 0.0
    loud = np.flatnonzero(levels > max(0.01 * usual, 1e-4))
    return float((frames - 1 - loud[-1]) * hop / config.sample_rate) if len(loud) else 0.0
