"""The mood of a song's places and of an output's moments, and how unlike it is to what is asked for.

Arousal comes from loudness, onset density and brightness, valence from mode and brightness (the circumplex of Russell,
1980). Both are relative to the song: its calmest place is as calm as it can be played.
"""

import numpy as np

from musex.analysis.features import columns
from musex.analysis.form import smooth, step_levels
from musex.config import FEATURES
from musex.plans import Plan
from musex.settings import MOODS
from musex.system.arrays import Array

SMOOTH_STEPS = 40  # a mood takes this long to be heard; over 15 s arcs were no better (models/log.md)
# How well each pitch class fits a key on C (Krumhansl and Kessler, 1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
KEY_STEPS = 80  # chroma are summed over this long to tell the mode

VALENCE_SHARE = 0.5  # of valence in how unlike two moods are, where arousal counts 1
OVERSHOOT_SHARE = 0.2  # of arousal beyond what is wanted, as calmer than calm (models/log.md, "Moods with fewer jumps")


def asked(points: tuple[tuple[float, str], ...], seconds: Array | float) -> Array:
    """Arousal and valence asked for at times of the output, (..., 2)."""
    times, places = [time for time, _ in points], np.array([MOODS[mood] for _, mood in points])
    return np.stack([np.interp(seconds, times, places[:, axis]) for axis in range(2)], axis=-1)


def delivered(plan: Plan, features: Array) -> Array:
    """Arousal and valence of each step of an output, (steps of the output, 2)."""
    moods = estimate_moods(features)
    return np.asarray(moods[np.minimum(plan.steps(1.0 / FEATURES.steps_per_second), len(moods) - 1)])


def _relative(values: Array) -> Array:
    """Deviations from the median, by the spread from the 10th to the 90th percentile, at most 2."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return np.asarray(np.clip((values - middle) / max((high - low) / 2.0, 1e-6), -2.0, 2.0))


def _mode(chroma: Array) -> Array:
    """How much more like major than like minor the keys around each step are, (steps,)."""
    heard = np.stack([smooth(chroma[:, tone], min(KEY_STEPS, len(chroma))) for tone in range(12)], axis=1)
    heard = heard - heard.mean(axis=1, keepdims=True)
    heard /= np.linalg.norm(heard, axis=1, keepdims=True) + 1e-9
    best = []
    for profile in (MAJOR, MINOR):
        keys = np.array([np.roll(profile, key) for key in range(12)])
        keys -= keys.mean(axis=1, keepdims=True)
        keys /= np.linalg.norm(keys, axis=1, keepdims=True)
        best.append((heard @ keys.T).max(axis=1))
    return np.asarray(best[0] - best[1])


def estimate_moods(features: Array) -> Array:
    """Arousal and valence of each step, relative to the song: (steps, width) to float64 (steps, 2)."""
    log_mel, chroma, onsets = columns(features.astype(np.float64))
    levels = step_levels(features)
    power = 10.0 ** (log_mel / 10.0)
    brightness = power @ np.arange(FEATURES.n_mels) / (power.sum(axis=1) + 1e-12)
    width = min(SMOOTH_STEPS, len(features))
    loud, dense, bright, major = (
        _relative(smooth(values, width))
        for values in (np.maximum(levels, levels.max() - 50.0), onsets.mean(axis=1), brightness, _mode(chroma))
    )
    arousal = 0.5 * loud + 0.3 * dense + 0.2 * bright
    valence = 0.6 * major + 0.4 * bright
    return np.stack([_relative(arousal), _relative(valence)], axis=1)


def mismatch(moods: Array, wanted: Array) -> Array:
    """How unlike moods (..., 2) are to what is wanted, 0 to about 3."""
    away = moods - wanted
    overshoots = away[..., 0] * wanted[..., 0] > 0.0
    arousal = np.abs(away[..., 0]) * np.where(overshoots, OVERSHOOT_SHARE, 1.0)
    return np.asarray(arousal + VALENCE_SHARE * np.abs(away[..., 1]))
