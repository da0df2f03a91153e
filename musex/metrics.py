"""What is measured: pure functions of arrays. Perfect input scores perfect."""

import numpy as np

from musex.analysis.features import hz_to_mel, mel_to_hz
from musex.config import FEATURES, FeatureConfig
from musex.system.arrays import Array

RESAMPLES = 2000  # of the bootstrap
ONSET_WINDOW_SECONDS = 0.05  # mir_eval's own: attacks nearer than this are the same
SAME_STEPS = 1  # places of the source this near sound the same: seams move cuts by less


def prediction_error_db(predicted: Array, actual: Array) -> float:
    """Mean absolute error of two log-mel spectrograms (steps, n_mels), dB."""
    return float(np.mean(np.abs(predicted - actual)))


def log_mel_mse(predicted: Array, actual: Array) -> float:
    """Mean squared error of two log-mel spectrograms (steps, n_mels), dB²."""
    return float(np.mean((predicted - actual) ** 2))


def choice_skill(random: float, chosen: float, hindsight: float) -> float:
    """Where a choice lies between chance (0) and hindsight (100), by the errors of the three."""
    if random - hindsight < 1e-9:
        return 100.0 if chosen <= hindsight + 1e-9 else 0.0
    return 100.0 * (random - chosen) / (random - hindsight)


def chroma_similarity(heard: Array, actual: Array) -> float:
    """Mean cosine of two chromas (steps, n_chroma), 0 to 1; two silent steps are alike."""
    heard, actual = np.asarray(heard, np.float64), np.asarray(actual, np.float64)
    lengths = np.linalg.norm(heard, axis=1), np.linalg.norm(actual, axis=1)
    cosines = np.sum(heard * actual, axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    return float(np.mean(np.where(np.maximum(*lengths) < 1e-3, 1.0, cosines)))


def onset_correlation(heard: Array, actual: Array) -> float:
    """Pearson correlation of two onset strengths, -1 to 1; where one never changes, 1 if neither does."""
    one, other = np.ravel(heard).astype(np.float64), np.ravel(actual).astype(np.float64)
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if min(lengths) < 1e-9:
        return 1.0 if max(lengths) < 1e-9 else 0.0
    return float(one @ other) / (lengths[0] * lengths[1])


def onset_f_measure(heard: Array, actual: Array) -> float:
    """F-measure of attacks, 0 to 1, by mir_eval: times in seconds, matched within 50 ms; none in both is perfect."""
    from mir_eval.onset import f_measure

    if not len(heard) or not len(actual):
        return float(len(heard) == len(actual))
    return float(f_measure(np.sort(actual), np.sort(heard), window=ONSET_WINDOW_SECONDS)[0])


def area_under_curve(positives: Array, negatives: Array) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney, 1947), ties counting half: 0.5 is chance."""
    ordered = np.sort(negatives)
    ranks = np.searchsorted(ordered, positives, "left") + np.searchsorted(ordered, positives, "right")
    return float(ranks.mean() / (2 * len(ordered)))


def slope_per_minute(values: Array, seconds: float) -> float:
    """Slope of the straight line through values that lie `seconds` apart, per minute (least squares)."""
    if len(values) < 2:
        return 0.0
    minutes = np.arange(len(values)) * (seconds / 60.0)
    return float(np.polyfit(minutes, np.asarray(values, np.float64), 1)[0])


def context_distances(past: Array, steps: int, candidates: Array) -> Array:
    """Mean absolute difference (dB) of the last `steps` rows and the rows before each candidate start."""
    total = np.zeros(len(candidates))
    for lag in range(1, steps + 1):
        total += np.abs(past[candidates - lag] - past[-lag]).mean(axis=1)
    return total / steps


def start_errors(past: Array, actual: Array, candidates: Array) -> Array:
    """Prediction error (dB) of playing on from each candidate start."""
    total = np.zeros(len(candidates))
    for step, row in enumerate(actual):
        total += np.abs(past[candidates + step] - row).mean(axis=1)
    return total / len(actual)


def start_distances(past: Array, actual: Array, candidates: Array) -> Array:
    """Mean Euclidean distance of the rows (horizon, D) to those played on from each candidate start."""
    squares = np.sum(past.astype(np.float64) ** 2, axis=1)
    total = np.zeros(len(candidates))
    for step, row in enumerate(actual.astype(np.float64)):
        places = candidates + step
        total += np.sqrt(np.maximum(squares[places] + row @ row - 2.0 * (past @ row)[places], 0.0))
    return total / len(actual)


def nearest_distances(rows: Array, source: Array) -> Array:
    """Root mean square difference (dB) of each row (T, n_mels) to the most similar row of the source: (T,)."""
    centre = source.mean(axis=0)  # so that float32 is exact enough
    rows, source = (rows - centre).astype(np.float32), (source - centre).astype(np.float32)
    squares = np.sum(source**2, axis=1)
    nearest = np.empty(len(rows))
    for start in range(0, len(rows), 256):
        block = rows[start : start + 256]
        best = np.argmin(squares - 2.0 * block @ source.T, axis=1)
        nearest[start : start + len(block)] = np.mean((block - source[best]) ** 2, axis=1)
    return np.asarray(np.sqrt(nearest))


def longest_repeat(path: Array, *, within: int, least: int = 10) -> int:
    """Steps of the longest passage of a path that is heard again, begun `least` to `within` steps later."""
    longest = 0
    for lag in range(least, min(within, len(path) - 1) + 1):
        same = np.abs(path[lag:] - path[:-lag]) <= SAME_STEPS
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        if len(edges):
            longest = max(longest, int(np.max(edges[1::2] - edges[::2])))
    return longest


def share_used(path: Array, steps: int) -> float:
    """Percent of a song of `steps` steps that a path visits."""
    return 100.0 * len(np.unique(path[(path >= 0) & (path < steps)])) / steps


def spectral_centroid(log_mel: Array, config: FeatureConfig = FEATURES) -> Array:
    """Centre of the power over the bands' centre frequencies, Hz: (steps, n_mels) to (steps,)."""
    top = float(hz_to_mel(np.array(config.sample_rate / 2)))
    centres = mel_to_hz(np.linspace(0.0, top, config.n_mels + 2))[1:-1]
    power = 10.0 ** (log_mel.astype(np.float64) / 10.0)
    return np.asarray(power @ centres / power.sum(axis=1))


def signal_ratio(reference: Array, estimate: Array) -> float:
    """Signal-to-distortion ratio in dB of samples (frames, channels): power of what is right by that of the error.

    As the Music Demixing Challenge has it (Mitsufuji et al., 2022); 100 for what has no error.

    >>> round(signal_ratio(np.ones((4, 2)), np.full((4, 2), 0.9)), 6)
    20.0
    """
    error = np.sum(np.square(estimate - reference, dtype=np.float64))
    power = np.sum(np.square(reference, dtype=np.float64))
    return float(10.0 * np.log10(max(power, 1e-20) / max(error, 1e-10 * power, 1e-20)))


def scale_invariant_ratio(reference: Array, estimate: Array) -> float:
    """The same of the reference at the gain at which the estimate holds it (Le Roux et al., 2019).

    >>> round(scale_invariant_ratio(np.ones((4, 2)), np.full((4, 2), 0.5)), 6)
    100.0
    """
    power = float(np.sum(np.square(reference, dtype=np.float64)))
    gain = float(np.sum(np.multiply(reference, estimate, dtype=np.float64))) / max(power, 1e-20)
    return signal_ratio(gain * reference, estimate)


def bootstrap_interval(values: Array, groups: Array, *, seed: int = 0) -> tuple[float, float, float]:
    """Mean of the groups' means and its 95 % bootstrap interval over groups, not values (Efron, 1979).

    Values that are not numbers are left out. The same groups are drawn whatever the values, so that the interval of
    a difference is a paired one.
    """
    values, groups = np.asarray(values, np.float64), np.asarray(groups)
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    means = np.array([values[groups == group].mean() for group in np.unique(groups)])
    drawn = np.random.default_rng(seed).integers(0, len(means), (RESAMPLES, len(means)))
    low, high = np.percentile(means[drawn].mean(axis=1), [2.5, 97.5])
    return float(means.mean()), float(low), float(high)


def describe(values: Array, groups: Array, *, seed: int = 0) -> dict[str, float]:
    """`bootstrap_interval` by name: {"mean", "low", "high"}."""
    return dict(zip(("mean", "low", "high"), bootstrap_interval(values, groups, seed=seed), strict=True))
