"""The bars of a song and those of an output: what each stem plays in them, and what was heard before."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from musex.analysis.activity import (
    ABSENT_DB,
    SLOTS,
    Played,
    find_activity,
    find_likeness,
    find_places,
    slot_levels,
)
from musex.analysis.features import mix_down
from musex.analysis.song_analysis import Analysis
from musex.plans import Plan
from musex.settings import STEMS, StemName
from musex.system.arrays import Array

CELL_SECONDS = 0.1  # of the song, each heard or not
AGAIN = 0.95  # least share of a bar's cells that were heard before
REGULAR = 0.06  # of a bar, by which bars of an output may be longer or shorter than usual
SAME_BOUNDARY = 0.5  # of a bar: of two boundaries nearer than this the later one counts
N_FFT = 2048  # of the spectra that tell how far stems overlap
MOST_SPECTRA = 1200


@dataclass(frozen=True, eq=False)
class SongBars(Played):
    """The bars of a song, and what its stems play in them.

    Attributes:
        bounds: float64 (bars + 1,), samples at which bars begin and the last one ends.
        levels: float64 (bars, SLOTS) dB of each stem; see `musex.analysis.activity.slot_levels`.
        activity: float32 (bars, 4); see `musex.analysis.activity.find_activity`.
        likeness: float32 (bars, lags); see `musex.analysis.activity.find_likeness`.
        places: int64 (bars,), of the phrase.
        purity: of each stem, float64 (4,): share of what sounds where it sounds that is its own, 0 to 1.
    """

    bounds: Array
    levels: dict[StemName, Array]
    activity: Array
    likeness: Array
    places: Array
    purity: Array

    @cached_property
    def length(self) -> float:
        """Samples of a bar, as is usual."""
        return float(np.median(np.diff(self.bounds)))

    @cached_property
    def powers(self) -> Array:
        """Mean power of each stem in each bar, float64 (bars, 4)."""
        silence = np.zeros((len(self.activity), SLOTS))
        powers = [10.0 ** (self.levels[name] / 10.0) if name in self.levels else silence for name in STEMS]
        return np.stack([power.mean(axis=1) for power in powers], axis=1)

    @cached_property
    def usual_power(self) -> float:
        """Of the song's bars, what is usual among those that sound."""
        powers = self.powers.sum(axis=1)
        return float(np.median(powers[powers > powers.max() * 1e-4]))

    def find(self, place: float) -> int:
        """The bar in which a sample of the song lies."""
        return int(np.clip(np.searchsorted(self.bounds, place, side="right") - 1, 0, len(self.activity) - 1))


def find_bars(
    stems: Mapping[StemName, Array], downbeats: Array, sample_rate: int, analysis: Analysis
) -> SongBars | None:
    """The bars of a song; None where there are too few to be called so.

    Args:
        stems: float32 (frames, channels) each; they add up to the song.
        downbeats: seconds.
        sample_rate: Hz.
        analysis: of the song.
    """
    frames = len(next(iter(stems.values())))
    if len(downbeats) < 4:
        return None
    bounds = extend_grid(np.asarray(downbeats, np.float64) * sample_rate, frames)
    levels = {name: slot_levels(stem, bounds) for name, stem in stems.items()}
    activity = find_activity(levels)
    likeness = find_likeness(analysis, bounds / sample_rate)
    return SongBars(bounds, levels, activity, likeness, find_places(activity, likeness), find_purity(stems))


def extend_grid(bounds: Array, frames: int) -> Array:
    """Beginnings of bars with those before the first and after the last one, as long as these, within the song."""
    usual = float(np.median(np.diff(bounds)))
    before = bounds[0] - usual * np.arange(int(bounds[0] // usual), 0, -1)
    after = bounds[-1] + usual * np.arange(1, int((frames - bounds[-1]) // usual) + 1)
    return np.concatenate([before, bounds, after])


def find_purity(stems: Mapping[StemName, Array]) -> Array:
    """Share of what sounds where each stem sounds that is its own, float64 (4,), 0 to 1; 0 for stems there are not.

    The mean of its mask over time and frequency, by its own energy: what a mask cannot tell apart, it leaks. A stem
    `ABSENT_DB` below the song is none.
    """
    monos = {name: mix_down(stem) for name, stem in stems.items()}
    count = min(map(len, monos.values())) // N_FFT
    places = np.unique(np.linspace(0, max(count - 1, 0), MOST_SPECTRA).astype(np.int64))[:count]
    window = np.hanning(N_FFT)
    powers = {}
    for name, mono in monos.items():
        frames = (
            np.stack([mono[place * N_FFT : (place + 1) * N_FFT] for place in places]) if count else np.zeros((1, 2))
        )
        powers[name] = np.square(np.abs(np.fft.rfft(frames * window[: frames.shape[1]], axis=1)))
    whole = np.sum(list(powers.values()), axis=0) + 1e-12
    purity = np.zeros(len(STEMS))
    for column, name in enumerate(STEMS):
        if name in powers and powers[name].sum() > whole.sum() * 10.0 ** (-ABSENT_DB / 10.0):
            purity[column] = np.sum(powers[name] ** 2 / whole) / powers[name].sum()
    return purity


@dataclass(frozen=True, eq=False)
class OutputBars:
    """The bars of an output.

    Attributes:
        bounds: int64 (bars + 1,), samples of the output at which they begin and the last one ends.
        sources: int64 (bars,), which bar of the song each one plays, or most of it.
        regular: bool (bars,), whether it is as long as bars are.
        again: bool (bars,), whether all of it was heard before.
    """

    bounds: Array
    sources: Array
    regular: Array
    again: Array

    def __len__(self) -> int:
        return len(self.sources)


def lay_bars(plan: Plan, bars: SongBars) -> OutputBars:
    """The bars of a plan's output, by those of its song; where a jump breaks one, it is no regular one."""
    at, places = 0, list[float]()
    for span in plan.spans:
        inside = bars.bounds[(bars.bounds >= span.start) & (bars.bounds < span.stop)]
        for place in (at + inside - span.start).tolist():
            if places and place - places[-1] < SAME_BOUNDARY * bars.length:
                places.pop()
            places.append(place)
        at += span.frames
    bounds = np.rint(np.array(places)).astype(np.int64)
    if len(bounds) < 2:
        none = np.zeros(0, bool)
        return OutputBars(bounds[:1], np.zeros(0, np.int64), none, none)
    regular = np.abs(np.diff(bounds) - bars.length) <= REGULAR * bars.length
    middles = plan.places((bounds[:-1] + bounds[1:]) // 2)
    begun = np.array([bars.find(float(place)) for place in middles])
    return OutputBars(bounds, begun, regular, find_again(plan, bounds))


def find_again(plan: Plan, bounds: Array) -> Array:
    """Whether all that an output plays between bounds was heard in it before, bool (len(bounds) − 1,)."""
    cell = CELL_SECONDS * plan.song.sample_rate
    heard = np.zeros(int(plan.song.frames / cell) + 2, bool)
    edges = [0, *bounds.tolist(), plan.frames]
    again = []
    for start, stop in pairwise(edges):
        times = np.arange(start, max(stop, start + 1), cell / 2).astype(np.int64)
        cells = (plan.places(times) / cell).astype(np.int64)
        again.append(bool(heard[cells].mean() >= AGAIN))
        heard[cells] = True
    return np.array(again[1:-1], bool)
