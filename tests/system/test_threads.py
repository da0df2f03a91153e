"""Work shared among the processor's cores."""

import threading

import pytest

from musex.system import threads
from musex.system.threads import work_in_threads


@pytest.mark.parametrize("cores", [1, 3])
def test_results_come_in_order(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    assert work_in_threads(lambda number: number**2, range(100)) == [number**2 for number in range(100)]


def test_work_is_done_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    meeting = threading.Barrier(2)
    work_in_threads(lambda _: meeting.wait(30.0), range(2))  # waits in vain for one that comes after it


def test_what_fails_is_told_and_the_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    done: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("a fault")
        done.append(number)

    with pytest.raises(ValueError, match="a fault"):
        work_in_threads(work, range(10_000))
    assert len(done) < 9_999
