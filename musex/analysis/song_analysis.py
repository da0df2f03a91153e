"""What can be heard in a song: analysed once, and passed on to whoever asks."""

import weakref
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from musex.analysis import form, moods, similarity
from musex.analysis.features import Columns, analyse, analyse_frames, columns, to_mono, to_rows
from musex.audio.song import Song
from musex.config import FEATURES
from musex.system.arrays import Array


@dataclass(frozen=True, eq=False)
class Analysis:
    """What can be heard in a song; whatever is not given is worked out when it is first asked for, and kept.

    Attributes:
        log_mel: float32 (frames, n_mels), dB; see `musex.analysis.features.analyse_frames`.
        chroma: float32 (frames, n_chroma).
        mono: float32 (samples,) at the features' rate; empty where only frames are known.
    """

    log_mel: Array
    chroma: Array
    mono: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    @cached_property
    def features(self) -> Array:
        """What the network hears, one row per step, float32 (steps, width); see `musex.analysis.features.to_rows`."""
        return to_rows(self.log_mel, self.chroma)

    @property
    def steps(self) -> int:
        return len(self.features)

    @property
    def columns(self) -> Columns:
        """The features taken apart: log-mel, chroma and onsets of each step."""
        return columns(self.features)

    @cached_property
    def levels(self) -> Array:
        """Level of each step in dB, float64 (steps,)."""
        return form.step_levels(self.features)

    @cached_property
    def comparison_rows(self) -> Array:
        """Rows whose distance says how unlike two steps sound, float32 (steps, width)."""
        return form.comparison_rows(self.features)

    @cached_property
    def beginnings(self) -> Array:
        """How much each step is the beginning of something, 0 to 1, (steps,)."""
        return form.beginnings(self.comparison_rows)

    @cached_property
    def moods(self) -> Array:
        """Arousal and valence of each step, relative to the song, float64 (steps, 2)."""
        return moods.estimate_moods(self.features)

    @cached_property
    def groups(self) -> tuple[Array, ...]:
        """Rows of timbre, harmony, attacks and level by themselves; see `musex.analysis.similarity.group_rows`."""
        return similarity.group_rows(self.features)

    @cached_property
    def side_levels(self) -> tuple[Array, Array]:
        """Levels in dB of the second before and of the second from each step on, (steps,) each."""
        return similarity.side_levels(self.levels)

    @cached_property
    def attacks(self) -> Array:
        """Rise of the log-mel in each of three bands, float32 (frames, bands)."""
        return similarity.band_attacks(self.log_mel)

    @cached_property
    def periodicity(self) -> Array:
        """Correlation of all attacks with those of `lag` frames later, over the whole song: float64 (frames,)."""
        return similarity.find_periodicity(self.attacks)

    @cached_property
    def contrast(self) -> Array:
        """Where the periodicity at a lag stands among those around it, 0 to 1, (frames,)."""
        return similarity.find_contrast(self.periodicity)

    @cached_property
    def harmonic_periodicity(self) -> Array:
        """The same as `periodicity` of the chroma, whose cycle is the bar's more often than that of attacks."""
        return similarity.find_periodicity(self.chroma - self.chroma.mean(axis=0))

    @cached_property
    def harmonic_contrast(self) -> Array:
        return similarity.find_contrast(self.harmonic_periodicity)

    @cached_property
    def pulse(self) -> float:
        """How clear the song's pulse is: the greatest periodicity between 0.25 and 4 s, 0 to 1."""
        return float(np.clip(self.periodicity[12:200].max(initial=0.0), 0.0, 1.0))


def analyse_signal(samples: Array, sample_rate: int) -> Analysis:
    """The analysis of samples (frames, channels) or (frames,), at any rate in Hz."""
    mono = to_mono(samples, sample_rate)
    return Analysis(*analyse_frames(mono), mono)


_analyses: "weakref.WeakKeyDictionary[Song, Analysis]" = weakref.WeakKeyDictionary()


def analyse_song(song: Song) -> Analysis:
    """The analysis of a song, kept as long as the song is; its samples are taken not to change meanwhile."""
    if song not in _analyses:
        _analyses[song] = analyse_signal(song.samples, song.sample_rate)
    return _analyses[song]


def analyse_past(song: Song, step: int) -> Array:
    """Features of the steps before one, float32 (step, width), from the sound before it alone."""
    # Cut before analysing: no window reaches past that moment.
    past = song.samples[: step * song.sample_rate // FEATURES.steps_per_second]
    return analyse(past, song.sample_rate)[:step]
