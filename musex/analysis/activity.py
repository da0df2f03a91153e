"""Which stem plays in which bar of a song, how like each bar is to bars before it, and where its phrases begin."""

from collections.abc import Mapping

import numpy as np

from musex.analysis.song_analysis import Analysis
from musex.config import FEATURES
from musex.settings import STEMS, StemName
from musex.system.arrays import Array

SLOTS = 4  # stretches of a bar in each of which a stem sounds or not
# A breakdown's echoes shall stay below these, the quiet beats of a part that plays shall not: by choice, not measured.
OWN_DB = 18.0  # below a stem's own loud slots it is silent
SONG_DB = 34.0  # below the song's loud slots, too
ABSENT_DB = 26.0  # a stem whose loud slots lie this far below the song's is none: what a separator leaks
LOUD = 0.9  # quantile of the slots that counts as loud
PLAYS = 0.5  # least share of a bar's slots that sound where a stem plays in it
BAR_LAGS = (4, 8, 16)  # bars before, to which each bar is compared
PHRASE_BARS = 8
SIXTEENTHS = 16
BAR_STRIPS = 8  # means that stand for a bar where it is compared


class Played:
    """Bars in which stems play or do not, by their `activity`, float32 (bars, 4), as `find_activity` gives it."""

    activity: Array

    @property
    def plays(self) -> Array:
        """Which stem plays in which bar, bool (bars, 4)."""
        return np.asarray(self.activity >= PLAYS)

    @property
    def present(self) -> Array:
        """Which stems there are, bool (4,)."""
        return np.asarray(self.plays.any(axis=0))


def slot_bounds(bounds: Array) -> Array:
    """Samples at which the slots of bars begin, int64 (SLOTS · bars + 1,), of the samples at which bars do."""
    places = np.arange(SLOTS * (len(bounds) - 1) + 1) / SLOTS
    return np.asarray(np.rint(np.interp(places, np.arange(len(bounds)), bounds)).astype(np.int64))


def slot_levels(samples: Array, bounds: Array) -> Array:
    """Level of each slot in dB, float64 (bars, SLOTS).

    Args:
        samples: (frames, channels) or (frames,).
        bounds: samples at which bars begin and the last one ends, (bars + 1,).
    """
    power = np.square(samples, dtype=np.float64).reshape(len(samples), -1).mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.clip(slot_bounds(bounds), 0, len(samples))
    means = np.diff(sums[edges]) / np.maximum(np.diff(edges), 1)
    return np.asarray(10.0 * np.log10(means + 1e-12).reshape(-1, SLOTS))


def find_activity(levels: Mapping[StemName, Array]) -> Array:
    """How much of each bar each stem sounds in, float32 (bars, 4) in the order of `STEMS`, 0 to 1.

    A stem that is absent, or lies `ABSENT_DB` below the song, sounds nowhere.

    Args:
        levels: of each stem, as `slot_levels` gives them.
    """
    whole = 10.0 * np.log10(sum(10.0 ** (each / 10.0) for each in levels.values()) + 1e-12)
    loud = float(np.quantile(whole, LOUD))
    activity = np.zeros((len(whole), len(STEMS)), np.float32)
    for column, name in enumerate(STEMS):
        if name in levels:
            own = float(np.quantile(levels[name], LOUD))
            if own >= loud - ABSENT_DB:
                activity[:, column] = (levels[name] >= max(own - OWN_DB, loud - SONG_DB)).mean(axis=1)
    return activity


def find_strips(analysis: Analysis, seconds: Array) -> Array:
    """What each bar sounds like, float64 (bars, width): means over parts of it, centred over the song.

    Two random bars lie about 1 apart, squared.

    Args:
        analysis: of the whole song.
        seconds: at which bars begin and the last one ends, (bars + 1,).
    """
    bars = len(seconds) - 1
    places = np.interp(np.arange(bars * BAR_STRIPS + 1) / BAR_STRIPS, np.arange(bars + 1), seconds)
    edges = np.clip(np.floor(places * FEATURES.steps_per_second).astype(np.int64), 0, analysis.steps - 1)
    rows = analysis.comparison_rows
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    stops = np.maximum(edges[1:], edges[:-1] + 1)
    strips = (sums[stops] - sums[edges[:-1]]) / (stops - edges[:-1])[:, None]
    strips = strips.reshape(bars, -1)
    strips = strips - strips.mean(axis=0)
    usual = 2.0 * float(np.mean(np.sum(strips**2, axis=1)))
    return np.asarray(strips / np.sqrt(max(usual, 1e-9)))


def to_likeness(strips: Array, some: Array, others: Array) -> Array:
    """How like bars are to others of the same song, (n,): 1 the same, 0 as chance has it."""
    return np.asarray(np.clip(1.0 - np.sum((strips[some] - strips[others]) ** 2, axis=1), 0.0, 1.0))


def find_likeness(analysis: Analysis, seconds: Array) -> Array:
    """How like each bar is to those of `BAR_LAGS` bars before, float32 (bars, lags); see `find_strips`."""
    strips = find_strips(analysis, seconds)
    likeness = np.zeros((len(strips), len(BAR_LAGS)), np.float32)
    for column, lag in enumerate(BAR_LAGS):
        numbers = np.arange(lag, max(lag, len(strips)))
        likeness[lag:, column] = to_likeness(strips, numbers, numbers - lag)
    return likeness


def find_hits(drums: Array, bounds: Array) -> Array:
    """How much their amplitude rises in each sixteenth of each bar, float64 (bars, 16)."""
    bars = len(bounds) - 1
    power = np.square(drums, dtype=np.float64).mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    places = np.interp(np.arange(bars * SIXTEENTHS + 1) / SIXTEENTHS, np.arange(len(bounds)), bounds)
    edges = np.clip(np.rint(places).astype(np.int64), 0, len(power))
    levels = np.sqrt(np.diff(sums[edges]) / np.maximum(np.diff(edges), 1))
    return np.asarray(np.maximum(np.diff(levels, prepend=levels[:1]), 0.0).reshape(bars, SIXTEENTHS))


def find_places(activity: Array, likeness: Array) -> Array:
    """Place of each bar in its phrase, int64 (bars,), 0 to 7: phrases begin where most changes.

    Args:
        activity: as `find_activity` gives it.
        likeness: as `find_likeness` gives it.
    """
    bars = len(activity)
    changes = np.zeros(bars)
    changes[1:] = np.abs(np.diff(activity, axis=0)).sum(axis=1) + 0.5 * np.abs(np.diff(likeness, axis=0)).sum(axis=1)
    scores = [changes[first::PHRASE_BARS].mean() if bars > first else 0.0 for first in range(PHRASE_BARS)]
    scores[0] += 0.05  # where all are alike, the song's first bar begins a phrase
    return np.asarray((np.arange(bars) - int(np.argmax(scores))) % PHRASE_BARS)
