"""Plans changed by hand: what stays, stays to the sample."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import musex
from musex.audio.song import Song
from musex.errors import MusexError
from musex.planning.planner import plan_song
from musex.plans import Plan, Seam
from musex.prediction.model import Model, load_model
from musex.settings import Ending, Hit

GROOVE = Path(__file__).parent.parent.parent / "examples" / "groove.mp3"
SECONDS = 300.0


@pytest.fixture(scope="module")
def song() -> Song:
    return musex.read_song(GROOVE)


@pytest.fixture(scope="module")
def model() -> Model:
    model = load_model()
    assert isinstance(model, Model)
    return model


@pytest.fixture(scope="module")
def plans(song: Song, model: Model) -> dict[str, Plan]:
    endings: tuple[Ending, ...] = ("outro", "cut", "loop")
    made: dict[str, Plan] = {ending: plan_song(song, model, seconds=SECONDS, ending=ending) for ending in endings}
    assert all(len(plan.seams) >= 3 for plan in made.values())
    return made


def places(seams: tuple[Seam, ...]) -> list[tuple[int, int]]:
    return [(seam.leave, seam.enter) for seam in seams]


def has(plan: Plan, seam: Seam) -> bool:
    """Whether a plan takes a jump at about the time at which another does: songs have the same jump more than once."""
    near = 0.2 * plan.song.sample_rate
    return any(
        (one.leave, one.enter) == (seam.leave, seam.enter) and abs(one.at - seam.at) <= near for one in plan.seams
    )


@pytest.mark.parametrize("ending", ["outro", "cut", "loop"])
def test_a_plan_that_nothing_is_changed_of_stays(
    song: Song, model: Model, plans: dict[str, Plan], ending: Ending
) -> None:
    plan = plans[ending]
    same = musex.edit(song, plan, model=model)
    assert (same.spans, same.seams, same.rest, same.settings) == (plan.spans, plan.seams, plan.rest, plan.settings)


@pytest.mark.parametrize("ending", ["outro", "cut", "loop"])
def test_a_seam_is_rejected_and_nothing_else_changes(
    song: Song, model: Model, plans: dict[str, Plan], ending: Ending
) -> None:
    plan, rate = plans[ending], song.sample_rate
    for number in range(1, len(plan.spans)):
        seam = plan.seams[number - 1]
        edited = musex.edit(song, plan, reject=[number], model=model)
        assert not has(edited, seam)
        assert edited.settings.forbid == ((round(seam.leave / rate, 3), round(seam.enter / rate, 3)),)
        assert all(has(edited, other) for other in plan.seams[: max(0, number - 2)] + plan.seams[number + 1 :])
        tolerance = 0.1 if ending == "loop" else 0.0
        assert abs(edited.seconds - SECONDS) <= tolerance
        again = musex.edit(song, edited, model=model)
        assert again.settings.forbid == edited.settings.forbid  # as long as it is the same plan


@pytest.mark.parametrize("ending", ["outro", "loop"])
def test_locked_seams_stay(song: Song, model: Model, plans: dict[str, Plan], ending: Ending) -> None:
    plan = plans[ending]
    edited = musex.edit(song, plan, lock=[2], reject=[1], model=model)
    assert has(edited, plan.seams[1])
    assert not has(edited, plan.seams[0])


def test_a_longer_duration_keeps_what_comes_before(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    plan = plans["outro"]
    longer = musex.edit(song, plan, seconds=SECONDS + 60.0, model=model)
    assert longer.seconds == SECONDS + 60.0
    assert places(longer.seams)[:2] == places(plan.seams)[:2]
    shorter = musex.edit(song, plan, seconds=SECONDS - 60.0, model=model)
    assert shorter.seconds == SECONDS - 60.0


def test_settings_that_a_path_follows_are_planned_anew(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    plan = plans["outro"]
    edited = musex.edit(song, plan, model=model, seed=7, hits=((30.0, 100.0),))
    assert edited.settings.seed == 7
    at = edited.places(np.array([100 * song.sample_rate]))[0] / song.sample_rate
    assert at == pytest.approx(30.0, abs=0.05)
    forbidden = musex.edit(song, plan, model=model, forbid=((plan.seams[0].leave / song.sample_rate, None),))
    assert not has(forbidden, plan.seams[0])


@pytest.mark.parametrize("ending", ["outro", "cut", "loop"])
def test_alternatives_can_be_taken(song: Song, model: Model, plans: dict[str, Plan], ending: Ending) -> None:
    plan, number = plans[ending], 2
    found = musex.alternatives(song, plan, number, model=model, count=6)
    own = plan.seams[number - 1]
    assert 2 <= len(found) <= 6
    assert found[:3] == musex.alternatives(song, plan, number, model=model, count=3)
    assert len({places((one.seam,))[0] for one in found} | {(own.leave, own.enter)}) == len(found) + 1
    for one in found:
        edited = musex.edit(song, plan, replacing={number: one.seam}, model=model)
        assert (one.seam.leave, one.seam.enter) in places(edited.seams)
        assert not has(edited, own)
        taken = next(seam for seam in edited.seams if (seam.leave, seam.enter) == (one.seam.leave, one.seam.enter))
        assert abs(taken.at - one.seam.at) <= 0.05 * song.sample_rate
        assert abs(edited.seconds - plan.seconds) <= 0.2 * (ending == "loop")


def test_a_duration_that_was_found_is_kept(song: Song, model: Model) -> None:
    plan = plan_song(song, model, seconds=151.3, nearest=True)
    edited = musex.edit(song, plan, reject=[1], model=model)
    assert edited.seconds == plan.seconds != 151.3
    assert not has(edited, plan.seams[0])


def test_a_seam_is_moved_along(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    plan, rate = plans["outro"], song.sample_rate
    own, moved = plan.seams[1], musex.move_seam(song, plan, 2, -1.0, model=model)
    assert (moved.leave - own.leave) / rate == pytest.approx(-1.0, abs=0.07)
    assert abs((moved.enter - moved.leave) - (own.enter - own.leave)) <= 0.005 * rate
    edited = musex.edit(song, plan, replacing={2: moved}, model=model)
    assert places(edited.seams) == [*places(plan.seams[:1]), (moved.leave, moved.enter), *places(plan.seams[2:])]
    with pytest.raises(MusexError, match=r"seam 2 cannot be moved by 500 s: there is room from -\d+\.\d to \d+\.\d s"):
        musex.move_seam(song, plan, 2, 500.0, model=model)


def test_wrong_edits_are_refused(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    plan, many = plans["outro"], len(plans["outro"].seams)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"reject": [many + 1]}, f"there is no seam {many + 1}: the plan has {many} seams"),
        ({"lock": [0]}, "there is no seam 0"),
        ({"lock": [1], "reject": [1]}, "seam 1 cannot both be rejected and stay"),
        ({"lock": [1], "hits": ((50.0, plan.seams[0].at / song.sample_rate - 10.0),)}, "where seams are locked"),
        ({"mood": "cam"}, "is not known"),
    )
    for options, told in wrong:
        with pytest.raises(MusexError, match=told):
            musex.edit(song, plan, model=model, **options)
    with pytest.raises(MusexError, match="closes the loop"):
        musex.alternatives(song, plans["loop"], len(plans["loop"].seams), model=model)
    other = Song(song.samples[: song.frames // 2], song.sample_rate)
    with pytest.raises(MusexError):
        musex.edit(other, plan, model=model)


def test_an_edited_plan_is_read_back(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    edited = musex.edit(song, plans["outro"], reject=[1], model=model)
    assert Plan.from_json(edited.to_json()) == edited


def test_what_is_planned_anew_can_be_unlike_another(song: Song, model: Model, plans: dict[str, Plan]) -> None:
    plan = plans["outro"]
    other = musex.edit(song, plan, lock=[1], unlike=[plan], model=model)
    assert has(other, plan.seams[0])
    assert places(other.seams) != places(plan.seams)
    again = musex.plan(song, seconds=SECONDS, unlike=[plan], model=model)
    assert again.frames == plan.frames
    assert places(again.seams) != places(plan.seams)


def test_hits_stay_on_time_however_often_a_plan_is_changed(song: Song, model: Model) -> None:
    hits: tuple[Hit, ...] = ((32.0, 45.0), ("peak", 90.0))
    plan = plan_song(song, model, seconds=120.0, hits=hits)
    assert plan.places(np.array([45 * song.sample_rate]))[0] / song.sample_rate == pytest.approx(32.0, abs=0.05)
    for turn in range(14):  # slips add up
        plan = musex.edit(song, plan, reject=[1 + turn % 2], model=model)
        heard = plan.places(np.array([45 * song.sample_rate]))[0] / song.sample_rate
        assert heard == pytest.approx(32.0, abs=0.05), turn


def test_what_cannot_stay_is_told_and_not_left_out(song: Song, model: Model) -> None:
    plan = plan_song(song, model, seconds=93.4)
    last = len(plan.seams)
    seconds = plan.seams[-1].at / song.sample_rate + 1.0
    with pytest.raises(MusexError, match=rf"\(seams {last} of the plan\)"):
        musex.edit(song, plan, lock=[last], seconds=seconds, model=model)
