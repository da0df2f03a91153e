"""The chain's plans, with a small predictor that needs no file."""

import functools
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musex.analysis.form import comparison_rows
from musex.analysis.song_analysis import analyse_signal
from musex.audio.song import Song
from musex.config import FEATURES, PointerConfig
from musex.errors import DurationError, MusexError
from musex.planning.chain import Chain
from musex.planning.course import Request
from musex.planning.jumps import find_jumps
from musex.planning.material import Limits, find_region
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.plans import Part, Plan, Seam, common_share
from musex.rendering.stitch import RING_SECONDS, render
from musex.seams.bounds import count_exceeded, exceeded
from musex.seams.crossfade import crossfade
from musex.settings import Settings

RATE = 8000


@dataclass(frozen=True)
class Guess:
    starts: np.ndarray


class MatchingModel:
    """Expects what followed wherever the last 2 s were heard before."""

    name, sha256, config = "matching", "0" * 64, PointerConfig()

    join_head = transition_head = singing_network = None

    def listen(self, features: np.ndarray) -> np.ndarray:
        log_mel = features[:, : FEATURES.n_mels] - features[:, : FEATURES.n_mels].mean(axis=0)
        normal: np.ndarray = log_mel / (np.linalg.norm(log_mel, axis=1, keepdims=True) + 1e-6)
        return normal

    def predict(self, memory: np.ndarray, context: np.ndarray, *, apart: int, shown: np.ndarray | None = None) -> Guess:
        likeness = np.zeros(len(memory))
        for age, position in enumerate(context[::-1][:20], start=1):
            likeness[age:] += (memory @ memory[min(position, len(memory) - 1)])[: max(0, len(memory) - age)]
        played = int(context[-1]) + 1 if len(context) else 0
        likeness[max(0, played - min(apart, len(memory) // 4)) : played + min(apart, len(memory) // 4)] = -30.0
        scores = likeness - np.log(np.exp(likeness - likeness.max()).sum()) - likeness.max()
        return Guess(np.repeat(scores[:, None], 3, axis=1).astype(np.float32))


def compose(seconds: float, *, sample_rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Bars of random chords with a drum, an ending that rings out; float32 (frames, channels)."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * sample_rate)
    time = np.arange(frames) / sample_rate
    chords = rng.choice([110.0, 146.8, 164.8, 220.0], size=int(seconds // 2) + 1)[(time // 2).astype(int)]
    tone = np.sin(2 * np.pi * np.outer(time * chords, [1.0, 1.5, 2.0])).mean(axis=1)
    drum = rng.standard_normal(frames) * np.exp(-30 * (time % 0.5))
    fade = np.minimum(1.0, (seconds - time) / min(2.0, seconds / 4))
    song: np.ndarray = ((0.4 * tone + 0.1 * drum) * fade)[:, None] * np.linspace(1.0, 0.7, channels)
    return song.astype(np.float32)


@functools.cache
def song_of(seconds: float, *, sample_rate: int = RATE, channels: int = 1, seed: int = 0) -> Song:
    return Song(compose(seconds, sample_rate=sample_rate, channels=channels, seed=seed), sample_rate)


def plan_of(song: Song, seconds: float, **options: Any) -> Plan:
    return plan_song(song, MatchingModel(), seconds=seconds, **options)


def played(plan: Plan, song: Song) -> np.ndarray:
    return np.concatenate(list(render(plan, song)))


def test_a_model_of_another_horizon_is_asked_as_it_answers() -> None:
    model, song = MatchingModel(), song_of(60.0)
    model.config = replace(model.config, context_seconds=5, horizon_seconds=4)
    asked: list[int] = []
    predict = model.predict

    def counting(memory: np.ndarray, context: np.ndarray, *, apart: int, shown: np.ndarray | None = None) -> Guess:
        asked.append(len(context))
        return predict(memory, context, apart=apart)

    model.predict = counting  # type: ignore[method-assign]
    plan = plan_song(song, model, seconds=150.0)
    check(plan, song, 150.0)
    assert max(asked) == 50


def check(plan: Plan, song: Song, seconds: float) -> None:
    """All that holds for every plan that ends as the song does.

    To last as long as asked to the sample, it may lack the last, inaudible ring or have a little silence after it.
    """
    assert plan.frames == round(seconds * song.sample_rate)
    end, rate = plan.spans[-1].stop, song.sample_rate
    missing = len(song.samples) - end
    assert plan.rest <= min(max(0.5, 0.02 * seconds), 2.0) * rate
    assert missing == 0 or plan.rest == 0
    if missing > 0.1 * rate:
        assert missing <= 2.0 * rate
        assert np.sqrt(np.mean(song.samples[end:] ** 2)) <= 0.02 * np.sqrt(np.mean(song.samples**2))
    faded = plan.rest or round(RING_SECONDS * rate) * (missing > 0)  # at the output's end
    assert plan.seconds == plan.frames / song.sample_rate
    output = played(plan, song)
    assert output.shape == (plan.frames, song.channels)
    assert output.dtype == np.float32
    assert np.abs(output).max() <= np.abs(song.samples).max()
    first = plan.seams[0].at - plan.seams[0].fade // 2 if plan.seams else plan.frames
    last = plan.frames - plan.seams[-1].at - plan.seams[-1].fade // 2 if plan.seams else plan.frames
    assert first > 0.2 * song.sample_rate
    assert last > 0.2 * song.sample_rate
    first = min(first, plan.frames - faded)
    np.testing.assert_array_equal(output[:first], song.samples[:first])
    ending = output[-last : len(output) - faded]
    stop = end - faded * (missing > 0)
    np.testing.assert_array_equal(ending, song.samples[stop - len(ending) : stop])
    assert not output[len(output) - plan.rest :].any()
    at = 0
    halves = [0, *(seam.fade // 2 for seam in plan.seams), 0]
    for number, span in enumerate(plan.spans):
        start, stop = halves[number], span.frames - halves[number + 1]
        if number == len(plan.spans) - 1 and missing:
            stop -= faded
        source = song.samples[span.start + start : span.start + stop]
        np.testing.assert_array_equal(output[at + start : at + stop], source)
        at += span.frames


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    length=st.floats(5.0, 60.0).map(lambda seconds: round(seconds, 2)),
    factor=st.floats(0.5, 6.0),
    channels=st.sampled_from([1, 2]),
    seed=st.integers(0, 3),
)
def test_any_song_reaches_any_duration(length: float, factor: float, channels: int, seed: int) -> None:
    song = song_of(length, channels=channels, seed=seed)
    seconds = max(length * factor, 4.0)
    check(plan_of(song, seconds, seed=seed), song, seconds)


@pytest.mark.parametrize("change", [-2.0, -0.5, 0.15, 0.3, 0.5, 1.0, 3.0])
def test_small_changes_of_duration(change: float) -> None:
    song = song_of(30.0)
    check(plan_of(song, 30.0 + change), song, 30.0 + change)


@pytest.mark.parametrize("length", [5.0, 7.3, 12.0])
def test_a_short_song_is_extended_far(length: float) -> None:
    song = song_of(length)
    check(plan_of(song, 120.0), song, 120.0)


def test_its_own_duration_leaves_the_song_alone() -> None:
    song = song_of(20.0)
    plan = plan_of(song, 20.05)
    assert not plan.seams
    output = played(plan, song)
    assert len(output) == round(20.05 * RATE)
    np.testing.assert_array_equal(output[: len(song.samples)], song.samples)
    assert not output[len(song.samples) :].any()


@pytest.mark.parametrize("ending", ["cut", "fade"])
@pytest.mark.parametrize("seconds", [12.345, 75.2])
def test_other_endings_last_exactly_as_long_as_asked(ending: str, seconds: float) -> None:
    song = song_of(30.0)
    plan = plan_of(song, seconds, ending=ending)
    output = played(plan, song)
    assert len(output) == round(seconds * RATE)
    assert np.abs(output[-4:]).max() < 0.05
    late = output[-4 * RATE : -3 * RATE]
    assert np.sqrt(np.mean(late**2)) > 0.02


def periodic(bars: int, *, sample_rate: int = RATE) -> Song:
    """The same two seconds over and over, to the sample."""
    bar = compose(2.0, sample_rate=sample_rate, seed=3) + 0.02 * np.random.default_rng(0).standard_normal(
        (2 * sample_rate, 1)
    ).astype(np.float32)
    return Song(np.tile(bar, (bars, 1)).astype(np.float32), sample_rate)


@pytest.mark.parametrize("seconds", [20.0, 60.0, 200.0])
def test_a_loop_joins_its_own_beginning(seconds: float) -> None:
    song = periodic(30)
    plan = plan_of(song, seconds, ending="loop")
    assert abs(plan.seconds - seconds) <= 0.1
    output = played(plan, song)
    assert len(output) == plan.frames
    twice = np.concatenate([output, output])
    place = plan.spans[0].start + np.arange(-RATE, RATE)
    true = song.samples[place % (2 * RATE)]
    residual = twice[len(output) - RATE : len(output) + RATE] - true
    assert np.sum(residual**2) < 1e-6 * np.sum(true**2)  # -60 dB


@pytest.mark.parametrize("seconds", [15.0, 47.3, 180.0])
def test_a_loop_of_any_duration(seconds: float) -> None:
    song = song_of(60.0, channels=2)
    plan = plan_of(song, seconds, ending="loop")
    assert abs(plan.seconds - seconds) <= 0.1
    assert len(plan.seams) == len(plan.spans)
    closing = plan.seams[-1]
    assert (closing.at, closing.leave, closing.enter) == (plan.frames, plan.spans[-1].stop, plan.spans[0].start)
    output, half = played(plan, song), closing.fade // 2
    mixed = crossfade(song.samples, closing)
    np.testing.assert_array_equal(np.concatenate([output[-half:], output[:half]]), mixed)
    rest = slice(closing.enter + half, closing.enter + RATE)
    np.testing.assert_array_equal(output[half:RATE], song.samples[rest])


def test_a_loop_leaves_out_what_is_avoided() -> None:
    song = song_of(60.0)
    plan = plan_of(song, 100.0, ending="loop", avoid=((20.0, 26.0),))
    assert abs(plan.seconds - 100.0) <= 0.1
    assert sum(max(0.0, min(s.stop / RATE, 26.0) - max(s.start / RATE, 20.0)) for s in plan.spans) == 0.0


def test_an_impossible_duration_is_refused() -> None:
    with pytest.raises(DurationError, match="longer duration"):
        plan_of(song_of(20.0), 0.5)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 90_000.0])
def test_a_senseless_duration_is_refused(seconds: float) -> None:
    with pytest.raises(DurationError, match="no duration"):
        plan_of(song_of(20.0), seconds)


def test_the_seed_fixes_the_plan() -> None:
    song = song_of(40.0)
    assert plan_of(song, 200.0, seed=1) == plan_of(song, 200.0, seed=1)
    assert len({plan_of(song, 200.0, seed=seed).spans for seed in range(4)}) > 1


def test_a_plan_read_back_plays_the_same(tmp_path: Path) -> None:
    song = song_of(25.0, channels=2)
    plan = plan_of(song, 80.0)
    plan.save(tmp_path / "plan.json")
    again = Plan.from_json((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert again == plan
    np.testing.assert_array_equal(played(again, song), played(plan, song))


@pytest.mark.parametrize("seed", [0, 2])
def test_no_seam_exceeds_a_bound_where_the_song_offers_others(seed: int) -> None:
    quiet = compose(102.0, seed=seed)[: 50 * RATE] * 10 ** (-4 / 20)
    song = Song(np.concatenate([quiet, compose(50.0, seed=seed)]), RATE)  # the same twice, then 4 dB louder
    seams = plan_of(song, 300.0).seams
    assert len(seams) > 2
    assert not any(map(exceeded, seams))


def test_ten_minutes_do_not_get_stuck() -> None:
    song = song_of(60.0)
    plan = plan_of(song, 600.0)
    check(plan, song, 600.0)
    assert 0 < plan.predictions <= 75  # a horizon each at most, and none where no jump could be worth it
    assert min(span.frames for span in plan.spans) > 3.0 * RATE
    edges = [(seam.leave, seam.leave - seam.enter) for seam in plan.seams]
    for leave, distance in edges:
        same = [abs(other - leave) <= RATE // 2 and abs(d - distance) <= RATE // 10 for other, d in edges]
        assert sum(same) <= 4
    heard = np.zeros(600)
    for span in plan.spans:
        heard[10 * span.start // RATE : 10 * span.stop // RATE] += 1
    assert np.mean(heard > 0) > 0.9


def heard(plan: Plan, song: Song, start: float, stop: float) -> float:
    """Seconds of the song between two times of it that are played, crossfades included."""
    reach = [seam.fade // 2 for seam in plan.seams]
    total = 0.0
    for span, before, after in zip(plan.spans, [0, *reach], [*reach, 0], strict=True):
        first, last = (span.start - before) / song.sample_rate, (span.stop + after) / song.sample_rate
        total += max(0.0, min(last, stop) - max(first, start))
    return total


@pytest.mark.parametrize("ending", ["outro", "cut"])
@pytest.mark.parametrize("avoid", [((20.0, 26.0),), ((10.0, 12.0), (33.3, 41.7)), ((30.0, 30.1),)])
@pytest.mark.parametrize("seconds", [45.0, 150.0])
def test_what_is_avoided_is_never_heard(avoid: tuple[tuple[float, float], ...], ending: str, seconds: float) -> None:
    song = song_of(60.0)
    plan = plan_of(song, seconds, avoid=avoid, ending=ending)
    assert abs(plan.seconds - seconds) <= 0.1
    assert sum(heard(plan, song, *stretch) for stretch in avoid) == 0.0
    assert plan.settings.avoid == avoid
    assert len(played(plan, song)) == plan.frames


def test_start_and_end_can_be_avoided() -> None:
    song = song_of(60.0)
    plan = plan_of(song, 100.0, avoid=((0.0, 7.0), (50.0, 60.0)))
    assert abs(plan.seconds - 100.0) <= 0.1
    assert plan.spans[0].start == 7 * RATE
    assert 49.9 * RATE <= plan.spans[-1].stop <= 50 * RATE  # the duration is exact instead
    assert plan.frames == 100 * RATE
    assert heard(plan, song, 0.0, 7.0) == heard(plan, song, 50.0, 60.0) == 0.0
    assert np.abs(played(plan, song)[[0, -1]]).max() < 1e-3


def test_even_its_own_duration_leaves_out_what_is_avoided() -> None:
    song = song_of(60.0)
    plan = plan_of(song, 60.0, avoid=((20.0, 26.0),))
    assert abs(plan.seconds - 60.0) <= 0.1
    assert heard(plan, song, 20.0, 26.0) == 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"avoid": ((2.0, 28.5),)}, "avoid less"),
        ({"avoid": ((0.0, 30.0),)}, "nothing of the song"),
        ({"avoid": ((40.0, 50.0),)}, "the song lasts 30.0 s"),
        ({"avoid": ((5.0, 5.0),)}, "nothing to avoid"),
        ({"keep_from": 31.0}, "the song lasts 30.0 s"),
        ({"keep_from": 9.0, "keep_to": 9.0}, "nothing to keep"),
        ({"keep_from": 9.0, "keep_to": 9.2}, "keep more of it"),
        ({"novelty": 1.5}, "out of range"),
        ({"ending": "bang"}, "bang"),
    ],
)
def test_settings_that_leave_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MusexError, match=message):
        plan_of(song_of(30.0), 100.0, **options)


def test_jumps_stay_within_what_is_kept() -> None:
    song = song_of(60.0)
    plan = plan_of(song, 150.0, keep_from=20.0, keep_to=45.0)
    check(plan, song, 150.0)
    places = np.array([(seam.leave, seam.enter) for seam in plan.seams]) / RATE
    assert places.min() > 19.0
    assert places.max() < 46.0
    assert (plan.settings.keep_from, plan.settings.keep_to) == (20.0, 45.0)


def test_novelty_brings_jumps() -> None:
    song = song_of(60.0)
    seams = [len(plan_of(song, 240.0, novelty=novelty).seams) for novelty in (0.0, 0.5, 1.0)]
    assert seams == sorted(seams)
    assert seams[2] > 1.5 * seams[0]


def test_plans_can_be_made_to_differ() -> None:
    song, plans = song_of(60.0), list[Plan]()
    for seed in range(3):
        plans.append(plan_of(song, 200.0, seed=seed, unlike=plans))
        check(plans[-1], song, 200.0)
    shares = [common_share(one, other) for one, other in combinations(plans, 2)]
    assert max(shares) < 0.8
    assert common_share(plans[0], plans[0]) == 1.0


def test_progress_is_told() -> None:
    told: list[float] = []
    plan_of(song_of(20.0), 60.0, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_region_leaves_intro_and_fade_out_aside() -> None:
    song = compose(60.0, seed=1)
    gain = np.interp(np.arange(len(song)) / RATE, [0, 2, 2.1, 8, 8.1, 50, 58, 60], [0, 0, 0.1, 0.1, 1, 1, 0, 0])
    region = find_region(analyse_signal((song * gain[:, None]).astype(np.float32), RATE))
    assert region.start == pytest.approx(20, abs=2)
    assert region.body_start == pytest.approx(80, abs=15)
    assert region.body_stop == pytest.approx(540, abs=25)


def test_jumps_find_what_repeats() -> None:
    rng = np.random.default_rng(0)
    period = rng.standard_normal((150, FEATURES.width)).astype(np.float32)
    features = np.abs(np.tile(period, (4, 1)))
    jumps = find_jumps(comparison_rows(features), Limits(10, 10, 590, 40, 40, 12))
    best = np.take_along_axis(jumps.distances, np.argmin(jumps.unlikeness, axis=1)[:, None], axis=1)[60:540, 0]
    assert np.mean(best % 150 == 0) == 1.0


def silent(seconds: float) -> np.ndarray:
    return np.zeros((round(seconds * RATE), 1), np.float32)


def heard_seconds(plan: Plan, start: float, stop: float) -> float:
    """How long what lies between two times of the song is heard."""
    return sum(max(0.0, min(span.stop / RATE, stop) - max(span.start / RATE, start)) for span in plan.spans)


@pytest.mark.parametrize("ending", ["outro", "loop"])
def test_silence_around_and_inside_a_song_is_not_material(ending: str) -> None:
    music = compose(30.0), compose(25.0, seed=1)
    song = Song(np.concatenate([silent(12.0), music[0], silent(40.0), music[1], silent(15.0)]), RATE)
    plan = plan_of(song, 120.0, ending=ending)
    assert plan.seconds == pytest.approx(120.0, abs=0.1)
    assert heard_seconds(plan, 0.0, 11.0) == 0.0
    assert heard_seconds(plan, 45.0, 81.0) == 0.0
    assert heard_seconds(plan, 110.0, 122.0) == 0.0


def test_a_rest_of_the_music_stays(caplog: pytest.LogCaptureFixture) -> None:
    song = Song(np.concatenate([compose(20.0), silent(1.5), compose(20.0, seed=1)]), RATE)
    assert heard_seconds(plan_of(song, 60.0), 20.0, 21.5) > 0.0
    assert "silence" not in caplog.text


def test_a_song_that_is_mostly_silence_is_told(caplog: pytest.LogCaptureFixture) -> None:
    song = Song(np.concatenate([compose(15.0), silent(50.0)]), RATE)
    plan = plan_of(song, 100.0)
    told = "of 65 s of the song are silence: left out"
    assert told in caplog.text
    caplog.clear()
    plan_song(song, MatchingModel(), seconds=100.0, seed=1, unlike=[plan])
    assert told not in caplog.text, "once is enough for several variations"
    assert heard_seconds(plan, 18.0, 65.0) == 0.0


def test_a_count_in_is_heard_once_with_the_beginning() -> None:
    clicks = compose(2.0) * 0.1
    song = Song(np.concatenate([clicks, clicks, compose(50.0)]), RATE)
    plan = plan_of(song, 150.0)
    assert plan.spans[0].start == 0
    assert plan.spans[0].stop >= 6 * RATE
    assert all(span.start >= 4 * RATE for span in plan.spans[1:])


def test_shunned_seams_are_left_aside() -> None:
    song = song_of(60.0)
    chain = Chain(Request(song, MatchingModel(), round(150.0 * RATE), Settings(), SEARCH))
    taken: list[list[Seam]] = []
    for _ in range(2):
        parts = list(chain.parts(shunned=taken[0] if taken else ()))
        taken.append([part.seam for part in parts if isinstance(part, Part) and part.seam])
    again = [
        (seam, other)
        for seam in taken[0]
        for other in taken[1]
        if abs(seam.leave - other.leave) < RATE // 2 and abs(seam.enter - other.enter) < RATE // 2
    ]
    assert taken[1]
    assert len(again) < len(taken[0])  # where there is no other, a shunned one is better than none


def test_of_several_plans_the_one_that_keeps_to_the_bounds_best_counts() -> None:
    swelling = compose(40.0)[: 30 * RATE] * 10 ** (np.linspace(-30.0, 0.0, 30 * RATE)[:, None] / 20)
    song = Song(swelling.astype(np.float32), RATE)
    first = plan_song(song, MatchingModel(), seconds=100.0, weights=replace(SEARCH, tries=1))
    best = plan_of(song, 100.0)
    assert count_exceeded(first) > 0
    assert (first.tries, best.tries) == (1, SEARCH.tries)
    assert count_exceeded(best) <= count_exceeded(first)
