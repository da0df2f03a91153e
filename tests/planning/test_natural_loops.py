"""The loops that a song has by itself: found to the sample, told apart, planned with and without their intro."""

from dataclasses import replace

import numpy as np
import pytest

import musex
from musex.audio.song import song_from_array
from musex.errors import DurationError, MusexError
from musex.planning.natural_loops import Loop, with_intro, without_intro
from musex.planning.planner import plan_song
from musex.plans import Plan, Seam
from musex.rendering.stitch import check_plan
from musex.seams.cuts import find_cut
from musex.settings import Settings
from tests.looped import BAR, INTRO_BARS, PHRASE, RATE, looped_song


@pytest.fixture(scope="module")
def song() -> musex.Song:
    return song_from_array(looped_song(), RATE)


@pytest.fixture(scope="module")
def loops(song: musex.Song) -> list[Loop]:
    return musex.find_loops(song)


@pytest.fixture(scope="module")
def plan(song: musex.Song) -> Plan:
    return musex.plan(song, ending="loop")


def test_the_loop_that_a_song_was_made_of_is_found_to_the_sample(loops: list[Loop]) -> None:
    best = loops[0]
    assert best.frames == PHRASE
    assert INTRO_BARS * BAR <= best.start <= INTRO_BARS * BAR + PHRASE
    assert best.seam.correlation == pytest.approx(1.0, abs=1e-6)
    assert (best.seam.leave, best.seam.enter) == (best.stop, best.start)
    assert best.seconds == pytest.approx(16.0)


def test_loops_are_in_order_and_no_two_the_same(loops: list[Loop]) -> None:
    assert 2 <= len(loops) <= 10
    assert [loop.cost for loop in loops] == sorted(loop.cost for loop in loops)
    for number, loop in enumerate(loops):
        for other in loops[:number]:
            same_jump = abs(loop.frames - other.frames) <= 0.25 * RATE and abs(loop.start - other.start) < PHRASE
            beside = max(abs(loop.start - other.start), abs(loop.stop - other.stop)) <= RATE
            assert not same_jump
            assert not beside


def test_fewer_are_the_first_of_more(song: musex.Song, loops: list[Loop]) -> None:
    assert musex.find_loops(song, count=1) == loops[:1]


def test_loops_lie_where_they_may(song: musex.Song) -> None:
    for loop in musex.find_loops(song, count=4, avoid=((10.0, 12.0),)):
        assert loop.stop <= 10.0 * RATE or loop.start >= 12.0 * RATE
    for loop in musex.find_loops(song, count=4, keep_from=6.0, keep_to=32.0):
        assert 5.5 * RATE <= loop.start < loop.stop <= 32.5 * RATE


@pytest.mark.parametrize("count", [0, -1, 2.5, True])
def test_a_count_that_is_none(song: musex.Song, count: float) -> None:
    with pytest.raises(MusexError, match="give a whole number from 1 on"):
        musex.find_loops(song, count=count)  # type: ignore[arg-type]


def test_without_a_length_the_best_loop_is_played_as_it_is(song: musex.Song, loops: list[Loop], plan: Plan) -> None:
    (span,), (seam,) = plan.spans, plan.seams
    assert (span.start, span.stop, seam.at) == (loops[0].start, loops[0].stop, PHRASE)
    assert replace(seam, at=0) == loops[0].seam
    assert plan.loop == (0, PHRASE)
    assert "requested_seconds" not in plan.settings.to_dict()
    made = musex.extend(song, ending="loop")
    assert len(made.samples) == PHRASE
    twice = np.concatenate([made.samples, made.samples])
    expected = song.samples[span.start + (np.arange(2 * PHRASE) % PHRASE)]
    assert np.abs(twice - expected).max() < 1e-5


def test_other_plans_of_the_song_lead_to_other_loops(song: musex.Song, loops: list[Loop], plan: Plan) -> None:
    other = plan_song(song, musex.load_model(), seconds=None, ending="loop", unlike=[with_intro(plan)])
    assert (other.spans[0].start, other.spans[0].stop) == (loops[1].start, loops[1].stop)


def test_an_intro_comes_before_the_loop_and_is_the_songs(song: musex.Song, plan: Plan) -> None:
    made = musex.extend(song, ending="loop", intro=True)
    longer, closing = made.plan, plan.seams[0]
    half = closing.fade // 2
    assert longer.loop == (closing.enter + half, PHRASE)
    assert len(made.samples) == longer.frames == closing.leave + half
    np.testing.assert_array_equal(made.samples[: closing.leave - half], song.samples[: closing.leave - half])
    heard = np.concatenate([made.samples, made.samples[longer.intro :]])
    expected = song.samples[closing.enter + half :][:PHRASE]
    assert np.abs(heard[longer.frames :] - expected).max() < 1e-5
    alone = musex.extend(song, ending="loop").samples
    np.testing.assert_array_equal(made.samples[longer.intro :], np.roll(alone, -half, axis=0))


def test_an_intro_changes_nothing_of_a_loop_of_a_length(song: musex.Song) -> None:
    loop = musex.extend(song, seconds=50, ending="loop")
    made = musex.extend(song, seconds=50, ending="loop", intro=True)
    assert made.plan.loop is not None
    start, frames = made.plan.loop
    assert frames == len(loop.samples)
    assert abs(frames - 50 * RATE) <= 0.1 * RATE
    half = loop.plan.seams[-1].fade // 2
    np.testing.assert_array_equal(made.samples[start:], np.roll(loop.samples, -half, axis=0))
    np.testing.assert_array_equal(made.samples[:start], song.samples[:start])
    assert without_intro(made.plan).spans == loop.plan.spans
    assert without_intro(made.plan).seams == loop.plan.seams


def test_a_plan_with_an_intro_is_kept_and_checked(song: musex.Song, plan: Plan) -> None:
    longer = with_intro(plan)
    again = Plan.from_json(longer.to_json())
    assert again == longer
    check_plan(again, song)
    assert "intro" not in plan.to_json()
    for damaged in (replace(longer, intro=longer.intro + 1), replace(longer, intro=1)):
        with pytest.raises(MusexError, match="does not fit"):
            check_plan(damaged, song)
    straight = musex.plan(song, seconds=30)
    with pytest.raises(MusexError, match="fits no output but a loop"):
        check_plan(replace(straight, intro=5), song)
    with pytest.raises(MusexError, match="damaged"):
        Plan.from_json(longer.to_json().replace(f'"intro": {longer.intro}', '"intro": -1'))


def test_a_length_is_wanted_where_there_is_none(song: musex.Song) -> None:
    with pytest.raises(DurationError, match="how long shall it last"):
        musex.extend(song)
    with pytest.raises(DurationError, match="how long shall it last"):
        musex.plan(song, ending="fade")


@pytest.mark.parametrize(
    "options",
    [{"mood": "calm"}, {"arc": ((0.0, "calm"),)}, {"layers": "auto"}, {"arrange": "bold"}, {"novelty": 0.9}],
)
def test_what_varies_an_output_needs_a_length(song: musex.Song, options: dict[str, object]) -> None:
    with pytest.raises(MusexError, match="is for outputs of a length"):
        musex.plan(song, ending="loop", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ending": "outro"}, "is for loops"),
        ({"layers": "on"}, "leave out `layers=`"),
        ({"arrange": "subtle"}, "leave out `layers=` and `arrange=`"),
        ({"mix": {"drums": ((0.0, None), (1.0, 0.0), (2.0, None))}}, "one level of each stem"),
    ],
)
def test_what_an_intro_does_not_go_with(options: dict[str, object], message: str) -> None:
    with pytest.raises(MusexError, match=message):
        Settings(**{"ending": "loop", "intro": True, **options})  # type: ignore[arg-type]


def test_a_song_without_a_loop_says_so() -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((6 * RATE, 1)).astype(np.float32)
    with pytest.raises(MusexError, match=r"no loop is found in this song of 6\.0 s: .* use a longer song"):
        musex.find_loops(samples, sample_rate=RATE, keep_from=2.0, keep_to=3.0)


def test_a_jump_without_a_crossfade_is_cut_where_both_sides_meet() -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((4 * RATE, 2)).astype(np.float32)
    lag, meeting = RATE, 2 * RATE + 400
    samples[meeting - 60 : meeting + 60] = samples[meeting - lag - 60 : meeting - lag + 60]
    seam = Seam(0, 2 * RATE, 2 * RATE - lag, 2_000, 0.0, 0.0, 0.0, None)
    cut = find_cut(samples, RATE, seam)
    assert (cut.fade, cut.leave - cut.enter) == (0, lag)
    assert abs(cut.leave - meeting) <= 20  # all around it is the same
    assert np.abs(samples[cut.leave - 2 : cut.leave + 2] - samples[cut.enter - 2 : cut.enter + 2]).max() == 0.0
