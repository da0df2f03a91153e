"""Junctions that the join head learns from, real and spliced.

Splices are made in audio, by the renderer's own alignment and crossfade; spliced as spectrogram frames they would
give themselves away by the missing overlap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from musex.analysis.song_analysis import analyse_signal
from musex.config import FEATURES, FeatureConfig
from musex.planning.jumps import find_jumps
from musex.planning.material import find_material, find_region, limits_ladder
from musex.seams.alignment import align_seam
from musex.seams.fades import FADES
from musex.seams.joins import REACH_SECONDS, junction_window, seam_window
from musex.seams.measures import FluxReference, fade_over
from musex.settings import Settings
from musex.system.arrays import Array

KINDS = ("real", "best match", "off by half a beat", "off by a beat", "random", "of the search")
OF_SEARCH = len(KINDS) - 1


@dataclass(frozen=True)
class JunctionConfig:
    """Which junctions of a song are drawn; the numbers were not measured against others."""

    count: int = 8  # of each kind of splice; of real ones three times as many
    least_distance_steps: int = 40  # between the sides of a splice
    margin_steps: int = 25  # from the song's ends: more than what a window reaches
    best_jumps: float = 0.1  # share of a song's jumps from which the search would choose
    fades: tuple[float, ...] = FADES  # seconds: any that the search tries


@dataclass(frozen=True)
class Junction:
    """One example: a window (frames, n_mels) of log-mel around a junction, and what kind it is of."""

    window: Array
    kind: int  # of KINDS; 0 is real


def beat_steps(features: Array, config: FeatureConfig = FEATURES) -> float:
    """The strongest period of the onsets between 0.3 and 1 s, in steps."""
    onsets = features[:, config.n_mels + config.n_chroma :].ravel()
    onsets = onsets - onsets.mean()
    rate = config.frames_per_step
    spectrum = np.abs(np.fft.rfft(onsets, 2 * len(onsets))) ** 2
    periods = np.arange(3 * rate, 10 * rate + 1)
    return float(periods[np.fft.irfft(spectrum)[periods].argmax()]) / rate


def best_match(rows: Array, step: int, drawn: JunctionConfig) -> int:
    """The step whose last 2 s are most like those before `step`, far enough away and not at the song's ends."""
    places = np.arange(drawn.margin_steps, len(rows) - drawn.margin_steps)
    places = places[np.abs(places - step) >= drawn.least_distance_steps]
    distance = sum(np.abs(rows[places - lag] - rows[step - lag]).mean(axis=1) for lag in range(1, 21))
    return int(places[np.argmin(distance)])


def draw_junctions(
    mono: Array, drawn: JunctionConfig, *, seed: int, config: FeatureConfig = FEATURES
) -> Iterator[Junction]:
    """Junctions of a song, real and spliced; `mono` is at the features' rate.

    A third of the real ones lie anywhere, the others where the search's splices leave and enter: a place shall not give
    a splice away. Crossfades are of any length that the search tries.
    """
    random = np.random.default_rng(seed)
    analysis = analyse_signal(mono, config.sample_rate)
    features = analysis.features
    rows, beat = features[:, : config.n_mels], beat_steps(features, config)
    samples, rate = mono[:, None], config.sample_rate
    reference = FluxReference(samples, rate)
    reach, margin = round(REACH_SECONDS * rate), drawn.margin_steps
    if len(rows) < 2 * margin + 2 * drawn.least_distance_steps + 20:
        return

    def join(leave: int, enter: int, kind: int) -> Iterator[Junction]:
        fade = round(float(random.choice(drawn.fades)) * rate / 2) * 2
        seam = fade_over(
            samples, rate, align_seam(samples, rate, leave, enter, reference=reference), fade, reference=reference
        )
        window = seam_window(samples, rate, seam)
        if window is not None:
            yield Junction(junction_window(window, config), kind)
            for middle in (seam.leave, seam.enter) if kind == OF_SEARCH else ():
                yield Junction(junction_window(mono[middle - reach : middle + reach], config), 0)

    for step in random.integers(margin, len(rows) - margin, drawn.count):
        jitter = int(random.integers(0, config.step_length))
        middle = int(step) * config.step_length + jitter
        yield Junction(junction_window(mono[middle - reach : middle + reach], config), 0)
        best = float(best_match(rows, int(step), drawn))
        starts = (best, best + beat / 2, best + beat, float(random.integers(margin, len(rows) - margin)))
        for kind, start in enumerate(starts, start=1):
            enter = round(min(start, len(rows) - margin) * config.step_length) + jitter
            yield from join(middle, enter, kind)
    limits = next(limits_ladder(find_region(analysis), find_material(Settings(), analysis.steps)))
    jumps = find_jumps(analysis.comparison_rows, limits)
    usable = jumps.unlikeness[np.isfinite(jumps.unlikeness)]
    leaves, partners = np.nonzero(jumps.unlikeness <= (np.quantile(usable, drawn.best_jumps) if len(usable) else -1.0))
    for number in random.permutation(len(leaves))[: drawn.count]:
        enter = int(jumps.targets[leaves[number], partners[number]])
        yield from join(int(leaves[number]) * config.step_length, enter * config.step_length, OF_SEARCH)
