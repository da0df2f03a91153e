"""A song compared with itself: what its places are compared by, and at which lags it repeats."""

import numpy as np

from musex.analysis.form import comparison_parts
from musex.system.arrays import Array

BANDS = ((0, 12), (12, 36), (36, 64))  # mel bands whose attacks are compared: about kick, snare and voice, cymbals
GROUPS = ("timbre", "harmony", "attacks", "level")
CONTRAST_REACH = 125  # frames around a lag among which the song's own periodicity is ranked
LEVEL_STEPS = 10  # on each side of a place, whose levels are compared


def group_rows(features: Array) -> tuple[Array, ...]:
    """Rows of each of `GROUPS`, float32 (steps, width of the group), two random ones 1 apart (squared)."""
    return tuple((centred / np.sqrt(variance)).astype(np.float32) for centred, variance in comparison_parts(features))


def side_levels(levels: Array) -> tuple[Array, Array]:
    """Mean level in dB of the second before and of the second from each step on, (steps,) each, by those of steps."""
    power = np.concatenate([[0.0], np.cumsum(10.0 ** (levels / 10.0))])
    places = np.arange(len(levels))
    first, last = np.maximum(places - LEVEL_STEPS, 0), np.minimum(places + LEVEL_STEPS, len(places))
    before = (power[places] - power[first]) / np.maximum(places - first, 1)
    after = (power[last] - power[places]) / np.maximum(last - places, 1)
    return 10.0 * np.log10(before + 1e-10), 10.0 * np.log10(after + 1e-10)


def band_attacks(log_mel: Array) -> Array:
    """Rise of the log-mel in each band, centred and scaled: (frames, n_mels) to float32 (frames, bands)."""
    rise = np.maximum(0.0, np.diff(log_mel.astype(np.float32), axis=0, prepend=log_mel[:1]))
    attacks = np.stack([rise[:, first:stop].mean(axis=1) for first, stop in BANDS], axis=1)
    attacks = np.sqrt(attacks)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    attacks = np.stack([np.convolve(band, kernel, mode="same") for band in attacks.T], axis=1)
    attacks -= attacks.mean(axis=0)
    return np.asarray(attacks / np.maximum(attacks.std(axis=0), 1e-3), np.float32)


def find_periodicity(centred: Array) -> Array:
    """Correlation of rows with those of `lag` frames later, 1 at lag 0: (frames, n) to float64 (frames,)."""
    count = len(centred)
    size = 1 << (2 * count - 1).bit_length()
    power = np.zeros(size // 2 + 1)
    for column in centred.T:  # one at a time, as a mix of hours has many frames
        power += np.abs(np.fft.rfft(column, size)) ** 2
    products = np.fft.irfft(power, size)[:count] / np.arange(count, 0, -1)
    return np.asarray(products / max(float(products[0]), 1e-12))


def find_contrast(periodicity: Array) -> Array:
    """Where the periodicity at a lag stands between the least and the greatest of those around it: (frames,).

    In a plain loop one beat off looks right until it is held against the bar.
    """
    reach = min(CONTRAST_REACH, len(periodicity) - 1)
    padded = np.pad(periodicity, reach, mode="reflect")
    low, high = -_greatest(-padded, 2 * reach + 1), _greatest(padded, 2 * reach + 1)
    return np.asarray((periodicity - low) / np.maximum(high - low, 1e-6))


def _greatest(values: Array, width: int) -> Array:
    """The greatest of each `width` values beside each other: (n,) to (n - width + 1,)."""
    length = 1
    while 2 * length <= width:
        values = np.maximum(values[:-length], values[length:])
        length *= 2
    rest = width - length
    return np.asarray(np.maximum(values[: len(values) - rest], values[rest:]))
