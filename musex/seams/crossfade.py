"""The crossfade of a seam."""

import numpy as np

from musex.plans import Seam
from musex.system.arrays import Array

LEAST_CORRELATION = -0.8  # sides more opposed than this are mixed as if they were this


def crossfade(samples: Array, seam: Seam, *, like: Array | None = None) -> Array:
    """The crossfade of a seam, float32 (fade, channels), at the level of its sides and never above their peak.

    With θ = πt/2 and the sides' correlation ρ the gains are cos θ / √(1 + ρ sin 2θ) and sin θ / √(1 + ρ sin 2θ).

    Args:
        samples: (frames, channels), of the song or of a stem of it.
        seam: where both sides lie.
        like: the song, where `samples` are a stem's: limited as its crossfade is, those of stems add up to it.
    """
    whole, peak = _mixed(samples if like is None else like, seam)
    if not len(whole):
        return whole
    mixed = whole if like is None else _mixed(samples, seam)[0]
    gains = _limits(whole, peak)
    return (mixed if gains is None else mixed * gains[:, None]).astype(np.float32)


def _mixed(samples: Array, seam: Seam) -> tuple[Array, float]:
    """Both sides by their gains, and their peak."""
    half = seam.fade // 2
    before = samples[seam.leave - half : seam.leave + half]
    after = samples[seam.enter - half : seam.enter + half]
    if not half:
        return before, 0.0
    theta = (np.arange(2 * half) + 0.5) * (np.pi / (4 * half))
    rho = max(seam.correlation, LEAST_CORRELATION)
    level = np.sqrt(1.0 + rho * np.sin(2.0 * theta))
    mixed = before * (np.cos(theta) / level)[:, None] + after * (np.sin(theta) / level)[:, None]
    return mixed, max(float(np.abs(before).max()), float(np.abs(after).max()))


def _limits(mixed: Array, peak: float) -> Array | None:
    """Gains that lower the part of a crossfade that exceeds `peak`, with ramps to both ends; None where none does."""
    loudest = np.abs(mixed).max(axis=1)
    over = np.flatnonzero(loudest > peak)
    if not len(over):
        return None
    gain = peak / float(loudest.max()) * (1.0 - 1e-6)
    places = np.array([-1, over[0], over[-1], len(mixed)])
    return np.asarray(np.interp(np.arange(len(mixed)), places, [1.0, gain, gain, 1.0]))
