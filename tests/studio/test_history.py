"""What was decided can be taken back, and is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

import musex
from musex.plans import Plan, read_plan
from musex.studio.history import MOST_STEPS, History, Step, carry_locks, lock_of
from musex.studio.keeping import find_kept, keep, kept_folder
from tests.studio.conftest import EXAMPLES


@pytest.fixture(scope="module")
def plan() -> Plan:
    return musex.plan(EXAMPLES / "groove.mp3", seconds=150)


def test_steps_go_back_and_forth(plan: Plan) -> None:
    history = History()
    assert history.now is None
    assert not history.can_undo
    for seconds in (1.0, 2.0, 3.0):
        history = history.add(Step(replace(plan, seconds=seconds)))
    back = history.undo().undo()
    assert back.now is not None
    assert back.now.plan.seconds == 1.0
    assert back.undo() == back
    assert back.redo().redo().redo() == history
    other = back.add(Step(replace(plan, seconds=9.0)))
    assert [step.plan.seconds for step in other.steps] == [1.0, 9.0]
    assert not other.can_redo
    for _ in range(2 * MOST_STEPS):
        other = other.add(Step(plan))
    assert len(other.steps) == MOST_STEPS


def test_locked_seams_are_known_by_their_jumps(plan: Plan) -> None:
    step = Step(plan, frozenset({lock_of(plan.seams[-1])}))
    assert step.locked_numbers == (len(plan.seams),)


def test_locks_find_their_seams_in_another_plan(plan: Plan) -> None:
    """Also where a jump is taken twice."""
    first = plan.seams[0]
    twice = replace(plan, seams=(first, replace(first, at=first.at + 1_000_000), *plan.seams[1:]))
    locked = frozenset({lock_of(twice.seams[1])})
    assert Step(twice, locked).locked_numbers == (2,)
    later = replace(twice, seams=tuple(replace(seam, at=seam.at + 5) for seam in twice.seams))
    assert Step(later, carry_locks(locked, later)).locked_numbers == (2,)
    both = frozenset(map(lock_of, twice.seams[:2]))
    assert Step(later, carry_locks(both, later)).locked_numbers == (1, 2)
    assert carry_locks(both, replace(plan, seams=plan.seams[1:])) == frozenset()


def test_a_session_is_a_plan_file(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    song = musex.read_song(EXAMPLES / "groove.mp3")
    assert find_kept(song) is None
    step = Step(plan, frozenset({lock_of(plan.seams[0])}))
    path = keep(step, song)
    assert path is not None
    assert read_plan(path) == plan
    assert find_kept(song) == step
    assert find_kept(musex.read_song(EXAMPLES / "waltz.mp3")) is None
    path.write_text("{")
    assert find_kept(song) is None
    (tmp_path / "file").touch()
    monkeypatch.setattr("musex.studio.keeping.kept_folder", lambda: tmp_path / "file")
    assert keep(step, song) is None, "nothing can be kept there, and nothing fails"
    assert kept_folder().is_relative_to(tmp_path)
