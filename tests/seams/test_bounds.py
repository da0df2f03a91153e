"""The bounds of seams."""

import math

import pytest

from musex.plans import Seam
from musex.seams.bounds import exceeded

GOOD = Seam(0, 100, 50, 10, correlation=0.9, level_db=-1.0, flux_percentile=95.0, rhythm_ms=10.0)


def test_the_bounds_themselves_are_kept() -> None:
    assert exceeded(GOOD) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rhythm_ms", 10.1),
        ("level_db", 1.1),
        ("level_db", -1.1),
        ("flux_percentile", 95.1),
        ("flux_percentile", math.nan),
    ],
)
def test_what_exceeds_is_named(name: str, value: float) -> None:
    assert exceeded(Seam(**{**vars(GOOD), name: value})) == (name,)
