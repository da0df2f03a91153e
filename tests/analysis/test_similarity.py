"""A song compared with itself."""

import numpy as np
import pytest

from musex.analysis.similarity import CONTRAST_REACH, find_contrast


@pytest.mark.parametrize("frames", [3, CONTRAST_REACH, 1000])
def test_contrast_ranks_each_lag_among_those_around_it(frames: int) -> None:
    periodicity = np.random.default_rng(frames).standard_normal(frames)
    reach = min(CONTRAST_REACH, frames - 1)
    padded = np.pad(periodicity, reach, mode="reflect")
    around = [padded[lag : lag + 2 * reach + 1] for lag in range(frames)]
    ranks = [(value - part.min()) / (part.max() - part.min()) for value, part in zip(periodicity, around, strict=True)]
    np.testing.assert_array_equal(find_contrast(periodicity), ranks)
