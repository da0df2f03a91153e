"""Junctions, real and spliced: what the join head hears, and the examples it learns from.

Splices are made in audio, by the renderer's own alignment and crossfade; spliced as spectrogram frames they would
give themselves away by the missing overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from musex.alignment import FluxReference, align_seam, fade_over
from musex.config import FEATURES, FeatureConfig
from musex.features import analyse_mono, log_mel_frames, to_mono
from musex.plans import Seam
from musex.regions import find_material, find_region, limits_ladder
from musex.seams import find_edges
from musex.settings import Settings
from musex.stitch import crossfade

Array = np.ndarray

REACH_SECONDS = 1.5  # heard on both sides of a junction
LEAST_DISTANCE_STEPS = 40  # between the sides of a splice
KINDS = ("real", "best match", "off by half a beat", "off by a beat", "random", "of the search")
OF_SEARCH = len(KINDS) - 1
FADES = (0.03, 0.06, 0.12, 0.25, 0.5)  # seconds of crossfade that a seam may have
BEST_EDGES = 0.1  # of a song's edges: those from which the search would choose


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


def seam_log_odds(head: JoinHeadLike, mono: Array, sample_rate: int, seam: Seam) -> float:
    """The join head's log-odds that a seam, rendered, is real; 0 (undecided) within 1.5 s of the song's ends.

    Args:
        head: the join head.
        mono: the song in mono at the features' rate, (samples,).
        sample_rate: of the song and the seam, Hz.
        seam: the seam.
    """
    scale = FEATURES.sample_rate / sample_rate
    leave, enter, half = (round(place * scale) for place in (seam.leave, seam.enter, seam.fade / 2))
    window = seam_window(mono[:, None], FEATURES.sample_rate, replace(seam, leave=leave, enter=enter, fade=2 * half))
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
    """Junctions of a song: `count` of each kind of splice, three times as many real; `mono` is at the features' rate.

    A third of the real ones lie anywhere, the others where the search's splices leave and enter: a place shall not give
    a splice away. Crossfades are of any length that the search tries.
    """
    random = np.random.default_rng(seed)
    features = analyse_mono(mono, config)
    rows, beat = features[:, : config.n_mels], beat_steps(features, config)
    samples, rate = mono[:, None], config.sample_rate
    reference = FluxReference(samples, rate)
    reach, margin = round(REACH_SECONDS * rate), 25
    if len(rows) < 2 * margin + 2 * LEAST_DISTANCE_STEPS + 20:
        return

    def join(leave: int, enter: int, kind: int) -> Iterator[Junction]:
        fade = round(float(random.choice(FADES)) * rate / 2) * 2
        seam = fade_over(samples, rate, align_seam(samples, rate, leave, enter, reference=reference), fade, reference)
        window = seam_window(samples, rate, seam)
        if window is not None:
            yield Junction(junction_window(window, config), kind)
            for middle in (seam.leave, seam.enter) if kind == OF_SEARCH else ():
                yield Junction(junction_window(mono[middle - reach : middle + reach], config), 0)

    for step in random.integers(margin, len(rows) - margin, count):
        jitter = int(random.integers(0, config.step_length))
        middle = int(step) * config.step_length + jitter
        yield Junction(junction_window(mono[middle - reach : middle + reach], config), 0)
        best = float(best_match(rows, int(step), margin))
        starts = (best, best + beat / 2, best + beat, float(random.integers(margin, len(rows) - margin)))
        for kind, start in enumerate(starts, start=1):
            enter = round(min(start, len(rows) - margin) * config.step_length) + jitter
            yield from join(middle, enter, kind)
    limits = next(limits_ladder(find_region(features), find_material(Settings(), len(features))))
    edges = find_edges(features, limits)
    usable = edges.costs[np.isfinite(edges.costs)]
    leaves, partners = np.nonzero(edges.costs <= (np.quantile(usable, BEST_EDGES) if len(usable) else -1.0))
    for number in random.permutation(len(leaves))[:count]:
        enter = int(edges.targets[leaves[number], partners[number]])
        yield from join(int(leaves[number]) * config.step_length, enter * config.step_length, OF_SEARCH)
