"""The form of a song: how unlike its places are, where its sections begin, and where it comes to its end."""

import numpy as np

from musex.analysis.features import columns
from musex.config import FEATURES, FeatureConfig
from musex.system.arrays import Array

# What beginnings give is measured by tests/benchmark_form.py: how often the first beat after a seam is a downbeat.
SECTION_STEPS = 80  # compared on both sides of a section's beginning: 8 s
BAR_STEPS = 15  # compared on both sides of a bar's beginning: 1.5 s
BAR_SHARE = 0.7  # of a bar's beginning, where a section's counts 1
OUTRO_STEPS = 40  # of the ending that are compared with all of the song at once
OUTRO_HOP = 5  # steps from one window of the ending to the next
OUTRO_BLOCKS = 8  # means that stand for a window of the ending: half a second each
AUDIBLE_DB = 70.0  # what lies farther below the loudest is as good as silent
SHARES = (0.4, 0.3, 0.2, 0.1)  # of timbre, harmony, attacks and level in how unlike two steps sound; not measured
STRANGE = 2.0  # deviations from the song's median beyond which a window is unlike all others
LATE_WINDOWS = 450  # of the ending that are looked at, at most: a quarter of 15 min
USUAL_WINDOWS = 400  # windows of the song from which the usual likeness is known


def step_levels(features: Array, config: FeatureConfig = FEATURES) -> Array:
    """Level of each step in dB, float64 (steps,): the power mean over bands."""
    log_mel = columns(features, config).log_mel.astype(np.float64)
    power = np.mean(10.0 ** (log_mel / 10.0), axis=1)
    return np.asarray(10.0 * np.log10(power))


def smooth(values: Array, width: int) -> Array:
    """Centred moving average, edges repeated: (n,) to (n,)."""
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.asarray(np.convolve(padded, np.full(width, 1.0 / width), mode="valid"))


def comparison_parts(features: Array, config: FeatureConfig = FEATURES) -> list[tuple[Array, float]]:
    """Timbre, harmony, attacks and level by themselves: each centred, (steps, width of the part), and its variance.

    The variance is the mean squared distance of two random rows.
    """
    log_mel, chroma, onsets = columns(features, config)
    levels = step_levels(features)
    log_mel = np.maximum(log_mel, log_mel.max() - AUDIBLE_DB)
    levels = np.maximum(levels, float(levels.max()) - AUDIBLE_DB)
    parts = []
    for part in (log_mel, chroma, np.sqrt(onsets), levels[:, None]):
        centred = part - part.mean(axis=0)
        variance = 2.0 * float(np.mean(np.sum(centred**2, axis=1)))
        parts.append((centred, max(variance, 1e-9)))
    return parts


def comparison_rows(features: Array, config: FeatureConfig = FEATURES) -> Array:
    """Rows whose Euclidean distance says how unlike two steps sound: float32 (steps, width).

    Timbre, harmony, attacks and level each get their share; two random steps lie about 1 apart.
    """
    parts = comparison_parts(features, config)
    rows = [centred * np.sqrt(share / variance) for (centred, variance), share in zip(parts, SHARES, strict=True)]
    return np.concatenate(rows, axis=1).astype(np.float32)


def foote_novelty(rows: Array, reach: int) -> Array:
    """How unlike the `reach` steps before and after each place are on the whole: (steps, width) to (steps,).

    With squared distances, the self-similarity matrix under a checkerboard kernel (Foote, 2000) is just the squared
    distance between the means of both sides.
    """
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    places = np.arange(len(rows))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach, len(rows))
    before = (sums[places] - sums[first]) / np.maximum(places - first, 1)[:, None]
    after = (sums[last] - sums[places]) / np.maximum(last - places, 1)[:, None]
    distances = np.sum((after - before) ** 2, axis=1)
    return np.asarray(np.where(np.minimum(places - first, last - places) < reach // 2, 0.0, distances))


def _peaks(curve: Array, apart: int) -> Array:
    """The peaks of a curve, the highest within `apart` on both sides, 0 to 1; 0 elsewhere."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(curve, apart), 2 * apart + 1)
    peaks = np.where((curve >= windows.max(axis=1)) & (curve > 0.0), curve, 0.0)
    high = float(np.quantile(peaks[peaks > 0.0], 0.9)) if peaks.any() else 1.0
    return np.asarray(np.clip(peaks / max(high, 1e-12), 0.0, 1.0))


def beginnings(rows: Array) -> Array:
    """How much each step is the beginning of something, 0 to 1: of a section, or less so of a bar.

    `rows` are those of `comparison_rows`.
    """
    sections = _peaks(foote_novelty(rows, SECTION_STEPS), SECTION_STEPS // 4)
    bars = _peaks(foote_novelty(rows, BAR_STEPS), BAR_STEPS // 2)
    strengths = np.maximum(np.sqrt(sections), BAR_SHARE * bars)
    return np.asarray(np.maximum(strengths, np.append(strengths[1:], 0.0)))  # the attack may lie within the step


def outro_start(rows: Array, start: int, stop: int) -> int:
    """Where the last stretch begins that is unlike everything else in the song; `stop` if it ends as it went.

    Looks at the last quarter of the sound in steps [start, stop), or the last 4 min of a long song; `rows` are those of
    `comparison_rows`.
    """
    firsts = np.arange(start, stop - OUTRO_STEPS + 1, OUTRO_HOP)
    if len(firsts) < 8 * OUTRO_STEPS // OUTRO_HOP:
        return stop
    block = OUTRO_STEPS // OUTRO_BLOCKS
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    places = firsts[:, None] + block * np.arange(OUTRO_BLOCKS)
    windows = ((sums[places + block] - sums[places]) / block).reshape(len(firsts), -1).astype(np.float32)
    squares = np.sum(windows**2, axis=1)

    def nearest(which: Array) -> Array:
        """Distance of windows to the most alike of those that do not overlap them."""
        distances = squares[which, None] + squares - 2.0 * windows[which] @ windows.T
        distances[np.abs(firsts[which, None] - firsts) < OUTRO_STEPS] = np.inf
        return np.asarray(np.sqrt(np.maximum(distances.min(axis=1), 0.0)))

    late = len(firsts) - min(len(firsts) // 4, LATE_WINDOWS)
    usual = nearest(np.unique(np.linspace(0, late - 1, USUAL_WINDOWS).astype(np.int64)))
    middle = float(np.median(usual))
    spread = 1.4826 * float(np.median(np.abs(usual - middle)))
    strange = nearest(np.arange(late, len(firsts))) > middle + STRANGE * max(spread, 0.1 * middle, 1e-3)
    run = int(np.argmin(strange[::-1])) if not strange.all() else len(strange)
    return stop if run < 2 else int(firsts[len(firsts) - run]) + OUTRO_STEPS // 2
