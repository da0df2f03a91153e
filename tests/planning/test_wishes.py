"""What is wished for by hand: hit points, stretches that must be heard, jumps that are required or forbidden."""

from pathlib import Path

import numpy as np
import pytest

import musex
from musex.analysis.song_analysis import analyse_song
from musex.audio.song import Song
from musex.errors import DurationError, MusexError
from musex.planning.course import Request
from musex.planning.lengths import NEAREST_SECONDS
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.planning.wishes import find_climax
from musex.plans import Plan
from musex.prediction.model import Model, load_model
from musex.settings import JumpEnds, Settings
from tests.planning.test_chain import MatchingModel, check, song_of

GROOVE = Path(__file__).parent.parent.parent / "examples" / "groove.mp3"
SONG_SECONDS = 60.0


@pytest.fixture(scope="module")
def song() -> Song:
    return song_of(SONG_SECONDS)


@pytest.fixture(scope="module")
def groove() -> tuple[Song, Model]:
    model = load_model()
    assert isinstance(model, Model)
    return musex.read_song(GROOVE), model


def place_at(plan: Plan, seconds: float) -> float:
    rate = plan.song.sample_rate
    return float(plan.places(np.array([round(seconds * rate)]))[0]) / rate


def takes(plan: Plan, song: Song, ends: JumpEnds, model: object) -> bool:
    request = Request(song, model, plan.frames, Settings(), SEARCH)  # type: ignore[arg-type]
    near = [
        request.is_near(ends, np.array(seam.leave / request.rate), np.array(seam.enter / request.rate)).all()
        for seam in plan.seams
    ]
    return any(near)


@pytest.mark.parametrize("hits", [((40.0, 20.0),), ((10.0, 45.0), (30.0, 80.0)), ((25.0, 25.0),), ((5.0, 90.0),)])
@pytest.mark.parametrize("ending", ["outro", "cut", "fade"])
def test_hits_fall_where_they_shall(song: Song, hits: tuple[tuple[float, float], ...], ending: str) -> None:
    plan = plan_song(song, MatchingModel(), seconds=120.0, hits=hits, ending=ending)  # type: ignore[arg-type]
    for place, seconds in hits:
        assert place_at(plan, seconds) == pytest.approx(place, abs=0.05)
    assert plan.seconds == 120.0
    if ending == "outro":
        check(plan, song, 120.0)


def test_a_hit_moves_what_is_heard(song: Song) -> None:
    free = plan_song(song, MatchingModel(), seconds=120.0)
    assert abs(place_at(free, 20.0) - 40.0) > 1.0  # so the tests above can fail


def test_a_hit_that_cannot_be_says_when_it_can(song: Song) -> None:
    with pytest.raises(
        DurationError, match=r"0:50\.0 of the song cannot be heard at 0:00\.3 .* nearest time .* is 0:0\d"
    ):
        plan_song(song, MatchingModel(), seconds=120.0, hits=((50.0, 0.3),))
    with pytest.raises(MusexError, match=r"lasts 60\.0 s"):
        plan_song(song, MatchingModel(), seconds=120.0, hits=((61.0, 20.0),))
    with pytest.raises(MusexError, match=r"beyond the output, which lasts 120 s"):
        plan_song(song, MatchingModel(), seconds=120.0, hits=((50.0, 120.0),))


def test_the_climax_is_the_loudest_part() -> None:
    rate, rng = 8000, np.random.default_rng(0)
    time = np.arange(60 * rate) / rate
    loud = np.where((time >= 30.0) & (time < 42.0), 1.0, 0.2)
    samples = (loud * (0.2 * np.sin(2 * np.pi * 220.0 * time) + 0.2 * rng.standard_normal(len(time))))[:, None]
    built = Song(samples.astype(np.float32), rate)
    assert find_climax(analyse_song(built)) / 10.0 == pytest.approx(30.0, abs=0.5)
    plan = plan_song(built, MatchingModel(), seconds=90.0, hits=(("peak", 50.0),))
    assert place_at(plan, 50.0) == pytest.approx(30.0, abs=0.55)


def test_what_must_be_heard_is_not_cut(song: Song) -> None:
    stretches = ((33.0, 39.0), (15.0, 20.0))

    def whole(plan: Plan) -> list[bool]:
        rate = song.sample_rate
        return [any(s.start <= a * rate and b * rate <= s.stop for s in plan.spans) for a, b in stretches]

    free = plan_song(song, MatchingModel(), seconds=40.0)
    assert not all(whole(free))
    plan = plan_song(song, MatchingModel(), seconds=40.0, must=stretches)
    assert all(whole(plan))
    check(plan, song, 40.0)
    with pytest.raises(DurationError, match=r"stretch from 0:05\.0 to 0:55\.0 finds no time"):
        plan_song(song, MatchingModel(), seconds=40.0, must=((5.0, 55.0),))
    with pytest.raises(MusexError, match="nothing at 70 s"):
        plan_song(song, MatchingModel(), seconds=40.0, must=((70.0, 71.0),))


def test_a_forbidden_jump_is_not_taken(groove: tuple[Song, Model]) -> None:
    song, model = groove
    rate, free = song.sample_rate, plan_song(*groove, seconds=200.0)
    for seam in free.seams:
        both = (seam.leave / rate, seam.enter / rate)
        for ends in (both, (both[0], None), (None, both[1])):
            assert takes(free, song, ends, model)
            plan = plan_song(song, model, seconds=200.0, forbid=(ends,))
            assert not takes(plan, song, ends, model)
            assert plan.settings.forbid == (ends,)


def test_a_required_jump_is_taken(groove: tuple[Song, Model]) -> None:
    song, model = groove
    for ends in ((50.0, 20.0), (40.0, None), (None, 25.0)):
        plan = plan_song(song, model, seconds=200.0, require=(ends,))
        assert takes(plan, song, ends, model)
        assert plan.seconds == 200.0
        assert song.frames - plan.spans[-1].stop <= 2 * song.sample_rate  # of the last ring
    with pytest.raises(MusexError, match=r"no jump from 2:30\.0 to 0:20\.0 can be required"):
        plan_song(song, model, seconds=200.0, require=((150.0, 20.0),))


@pytest.mark.parametrize("ending", ["outro", "cut", "loop"])
def test_the_nearest_duration_needs_no_more_seams_beyond_bounds(groove: tuple[Song, Model], ending: str) -> None:
    plan = plan_song(*groove, seconds=151.3, nearest=True, ending=ending)  # type: ignore[arg-type]
    assert abs(plan.seconds - 151.3) <= NEAREST_SECONDS + 0.2
    assert plan.seconds != 151.3
    assert plan.settings.requested_seconds == 151.3
    if ending == "cut":
        begins = analyse_song(groove[0]).beginnings
        step = round(plan.spans[-1].stop / groove[0].sample_rate * 10)
        assert begins[step : step + 2].max() >= 0.2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"must": ((20.0, 10.0),)}, "it must end after it starts"),
        ({"forbid": ((None, None),)}, "`forbid=>` is no jump"),
        ({"require": ((-1.0, None),)}, "`require=-1>` is no jump"),
        ({"hits": (("pique", 10.0),)}, 'a place of the song, or "peak"'),
        ({"hits": ((10.0, 30.0), (20.0, 25.0))}, "must be in order"),
        ({"hits": ((10.0, 30.0),), "ending": "loop"}, "for other endings than loop"),
    ],
)
def test_wishes_that_mean_nothing_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(MusexError, match=told):
        Settings(**options)  # type: ignore[arg-type]
