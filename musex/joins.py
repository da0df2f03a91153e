"""Junctions, real and spliced: what the join head hears, and the examples it learns from.

Splices are made in audio, by the renderer's own alignment and crossfade; spliced as spectrogram frames they would
give themselves away by the missing overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from musex.alignment import align_seam, flux_reference
from musex.config import FEATURES, FeatureConfig
from musex.features import analyse_mono, log_mel_frames, to_mono
from musex.plans import Seam
from musex.stitch import crossfade

Array = np.ndarray

REACH_SECONDS = 1.5  # heard on both sides of a junction
LEAST_DISTANCE_STEPS = 40  # between the sides of a splice
KINDS = ("real", "best match", "off by half a beat", "off by a beat", "random")


class JoinHeadLike(Protocol):
    """What judges junctions: `musex.model.JoinHead`."""

    def judge(self, window: Array) -> float: ...


@dataclass(frozen=True)
class Junction:
    """One example: a window (frames, n_mels) of log-mel around a junction, and what kind it is of."""

    window: Array
    kind: int  # of KINDS; 0 is real


def junction_window(mono: Array, config: FeatureConfig = FEATURES) -> Array:
    """What the join head hears of 3 s of audio around a junction: (frames, n_mels), each band's mean removed."""
    frames = len(mono) // config.hop_length
    log_mel = log_mel_frames(mono, frames, config)
    return np.asarray((log_mel - log_mel.mean(axis=0)) / 10.0, np.float32)


def splice(samples: Array, seam: Seam, reach: int) -> Array:
    """The audio around a rendered seam: (2 * reach, channels), the crossfade in the middle."""
    half = seam.fade // 2
    before = samples[seam.leave - reach : seam.leave - half]
    after = samples[seam.enter + half : seam.enter + reach]
    return np.concatenate([before, crossfade(samples, seam), after])


def whole_window(samples: Array, sample_rate: int) -> Array:
    """Three seconds of audio in mono at the features' rate, to the sample: (samples,)."""
    mono, wanted = to_mono(samples, sample_rate), 2 * round(REACH_SECONDS * FEATURES.sample_rate)
    return np.pad(mono, (0, max(0, wanted - len(mono))))[:wanted]


def seam_window(samples: Array, sample_rate: int, seam: Seam) -> Array | None:
    """Three seconds around a rendered seam, as `whole_window`; None within 1.5 s of the song's ends."""
    reach = round(REACH_SECONDS * sample_rate)
    if min(seam.leave, seam.enter) < reach or max(seam.leave, seam.enter) + reach > len(samples):
        return None
    return whole_window(splice(samples, seam, reach), sample_rate)


def seam_log_odds(head: JoinHeadLike, samples: Array, sample_rate: int, seam: Seam) -> float:
    """The join head's log-odds that a seam, rendered, is real; 0 (undecided) within 1.5 s of the song's ends."""
    window = seam_window(samples, sample_rate, seam)
    return 0.0 if window is None else head.judge(junction_window(window))


def beat_steps(features: Array, config: FeatureConfig = FEATURES) -> float:
    """The strongest period of the onsets between 0.3 and 1 s, in steps."""
    onsets = features[:, config.n_mels + config.n_chroma :].ravel()
    onsets = onsets - onsets.mean()
    rate = config.frames_per_step
    spectrum = np.abs(np.fft.rfft(onsets, 2 * len(onsets))) ** 2
    periods = np.arange(3 * rate, 10 * rate + 1)
    return float(periods[np.fft.irfft(spectrum)[periods].argmax()]) / rate


def best_match(rows: Array, step: int, margin: int) -> int:
    """The step whose last 2 s are most like those before `step`, at least 4 s away and not at the song's ends."""
    places = np.arange(margin, len(rows) - margin)
    places = places[np.abs(places - step) >= LEAST_DISTANCE_STEPS]
    distance = sum(np.abs(rows[places - lag] - rows[step - lag]).mean(axis=1) for lag in range(1, 21))
    return int(places[np.argmin(distance)])


def draw_junctions(mono: Array, count: int, *, seed: int, config: FeatureConfig = FEATURES) -> Iterator[Junction]:
    """`count` real junctions of a song and `count` splices of each other kind; `mono` is at the features' rate."""
    random = np.random.default_rng(seed)
    features = analyse_mono(mono, config)
    rows, beat = features[:, : config.n_mels], beat_steps(features, config)
    samples, rate = mono[:, None], config.sample_rate
    reference = flux_reference(samples, rate)
    reach, margin = round(REACH_SECONDS * rate), 25
    if len(rows) < 2 * margin + 2 * LEAST_DISTANCE_STEPS + 20:
        return
    for step in random.integers(margin, len(rows) - margin, count):
        jitter = int(random.integers(0, config.step_length))
        middle = int(step) * config.step_length + jitter
        yield Junction(junction_window(mono[middle - reach : middle + reach], config), 0)
        best = float(best_match(rows, int(step), margin))
        starts = (best, best + beat / 2, best + beat, float(random.integers(margin, len(rows) - margin)))
        for kind, start in enumerate(starts, start=1):
            enter = round(min(start, len(rows) - margin) * config.step_length) + jitter
            seam = align_seam(samples, rate, middle, enter, reference=reference)
            yield Junction(junction_window(splice(samples, seam, reach)[:, 0], config), kind)
