"""Correlation of a pattern with every stretch of a signal, by fast Fourier transforms."""

import numpy as np

from musex.system.arrays import Array


def sliding_products(values: Array, pattern: Array) -> Array:
    """Sum of products of `pattern` (n,) with each stretch of `values` as long: (len(values) − n + 1,)."""
    size = 1 << (len(values) + len(pattern) - 1).bit_length()
    spectrum = np.fft.rfft(values, size) * np.conj(np.fft.rfft(pattern, size))
    return np.asarray(np.fft.irfft(spectrum, size)[: len(values) - len(pattern) + 1])
