"""A few of the cases of `python -m tests.faults`, whose counts say how often each promise is tried at length."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.faults.cases import Case, Promise
from tests.faults.children import try_apart, try_here
from tests.faults.endurance import large_batch, long_output, many_calls
from tests.faults.promises import PROMISES


@pytest.mark.parametrize(
    "promise", [promise for promise in PROMISES if promise.short], ids=lambda promise: promise.option
)
def test_promises_are_kept(promise: Promise) -> None:
    for number in range(1_000, 1_000 + promise.short):
        wrong, left_out = try_here(promise, number)
        assert not wrong, f"--{promise.option} 1 --seed {number}"
        if left_out:
            pytest.skip(left_out)


@pytest.mark.parametrize(
    "case",
    [partial(long_output, hours=0.2), partial(large_batch, songs=6), partial(many_calls, calls=10)],
    ids=["output", "batch", "calls"],
)
def test_nothing_grows(case: Case, tmp_path: Path) -> None:
    assert not case(tmp_path, np.random.default_rng(0))


def test_what_ends_a_child_is_told_with_its_case() -> None:
    promise = Promise("", "", lambda folder, random: "", "nothing-of-this-name", usual=1)
    (told,) = try_apart(promise, range(7, 8))
    assert told[0] == 7
    assert "ended with code 1" in told[1]
