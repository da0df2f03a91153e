"""A few of the cases of `python -m tests.faults`, whose counts say how often each promise is tried at length."""

import pytest

from tests.faults.__main__ import count_broken
from tests.faults.promises import PROMISES, Promise

CASES = {"songs": 24, "plans": 40, "models": 2, "signals": 1, "kills": 1, "disks": 1}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.option)
def test_promises_are_kept(promise: Promise, capsys: pytest.CaptureFixture[str]) -> None:
    assert count_broken(promise, CASES[promise.option], seed=1_000) == 0, capsys.readouterr().out
