"""What a chain hands out, what is drafted of it, and what a plan says of it afterwards."""

import numpy as np
import pytest

from musex.audio.song import Song
from musex.planning.chain import Chain
from musex.planning.course import Request, courses
from musex.planning.path import Path
from musex.planning.planner import Draft, Planner
from musex.planning.weights import SEARCH
from musex.plans import Beginning, Part, Seam
from musex.rendering.stitch import BegunAnewError, pieces, render
from musex.settings import Ending, Settings
from tests.planning.test_chain import RATE, MatchingModel, song_of

SONG = song_of(60.0)


def planner_of(seconds: float, ending: Ending = "outro") -> Planner:
    return Planner(SONG, MatchingModel(), seconds=seconds, settings=Settings(ending=ending))


@pytest.mark.parametrize("ending", ["outro", "fade", "loop"])
@pytest.mark.parametrize("seconds", [60.0, 130.0])
def test_a_plan_has_the_parts_that_the_chain_handed_out(seconds: float, ending: Ending) -> None:
    planner = planner_of(seconds, ending)
    handed = list(planner.parts)
    plan = planner.drafted()
    assert isinstance(handed[0], Beginning)
    begins = [part.start for part in handed if isinstance(part, Beginning)][-1]
    last = max(number for number, part in enumerate(handed) if isinstance(part, Beginning))
    stretches = [part for part in handed[last:] if isinstance(part, Part)]
    played = np.concatenate([np.arange(part.start, part.stop) for part in stretches])[: plan.frames - plan.rest]
    assert begins == plan.spans[0].start
    np.testing.assert_array_equal(plan.places(np.arange(len(played))), played)
    assert [part.seam for part in stretches if part.seam] == list(plan.seams)
    beginning, *again = plan.parts()
    assert isinstance(beginning, Beginning)
    assert beginning.start == begins
    assert [part.seam for part in again if isinstance(part, Part) and part.seam] == list(plan.seams)


def test_parts_sound_as_their_plan_does() -> None:
    planner = planner_of(130.0, "cut")
    sound = np.concatenate(list(pieces(SONG.samples, planner.parts)))
    rendered = np.concatenate(list(render(planner.drafted(), SONG)))
    fade = round(0.01 * RATE)
    np.testing.assert_array_equal(sound[: len(rendered) - fade], rendered[:-fade])


def test_what_was_played_before_a_beginning_is_void() -> None:
    parts: list[Beginning | Part] = [Beginning(0, 800), Part(0, 400), Beginning(100, 800), Part(100, 700)]
    draft = Draft()
    heard = pieces(np.ones((800, 1), np.float32), draft.follow(parts))
    next(heard)
    assert (draft.start, draft.position, draft.played) == (0, 400, 400)
    with pytest.raises(BegunAnewError):
        next(heard)
    for _ in draft.follow(parts[3:]):
        pass
    assert (draft.start, draft.position, draft.played) == (100, 700, 600)


def test_a_beginning_that_nothing_was_played_of_is_no_fault() -> None:
    parts: list[Beginning | Part] = [
        Beginning(0, 800),
        Beginning(100, 800),
        Part(100, 700, Seam(600, 700, 300, 20, 0.0, 0.0, 0.0, None)),
    ]
    sound = np.concatenate(list(pieces(np.ones((800, 1), np.float32), parts)))
    assert len(sound) == 600 + 10


@pytest.mark.parametrize(("played", "position"), [(100, 0), (150, 50), (200, 100)])
def test_an_output_ends_whole_where_its_song_does(played: int, position: int) -> None:
    song = Song(np.ones((100, 1), np.float32), RATE)
    assert Draft(stop=100, position=position, played=played).ends_whole(song, 200)
    assert not Draft(stop=100, position=position, played=played).ends_whole(song, 199)  # cut off before its end
    assert not Draft(stop=99, position=min(position, 99), played=played).ends_whole(song, 200)


def test_a_song_as_it_is_is_one_part() -> None:
    request = Request(SONG, MatchingModel(), SONG.frames, Settings(), SEARCH)
    assert list(Chain(request).parts()) == [Beginning(0, SONG.frames), Part(0, SONG.frames)]


def test_paths_share_their_course_and_nothing_else() -> None:
    request = Request(SONG, MatchingModel(), 2 * SONG.frames, Settings(), SEARCH)
    course = next(courses(request))
    one, other = Path(course), Path(course)
    one.play_on(RATE)
    one.seam_costs[:] = 0.0
    one.uses[:] = 1
    assert (other.position, other.played, other.heat.sum()) == (course.start, 0, 0.0)
    assert other.seam_costs.any()
    assert not other.uses.any()
