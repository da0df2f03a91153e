"""Seams and rendering on constructed music, where the best answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musex.audio.song import Song
from musex.errors import MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span
from musex.rendering.stitch import render
from musex.seams.alignment import align_seam
from musex.seams.crossfade import crossfade
from musex.seams.measures import level_error, level_step, onset_strength
from musex.settings import Ending

NOBODY = PlanModel("", "")
RATE = 22_050


def noise(seconds: float, *, seed: int = 0, channels: int = 2, sample_rate: int = RATE) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((round(seconds * sample_rate), channels))).astype(np.float32)


def plan_with(song: Song, *seams: Seam, ending: Ending = "outro") -> Plan:
    starts = [0, *(seam.enter for seam in seams)]
    stops = [*(seam.leave for seam in seams), song.frames]
    spans = tuple(Span(start, stop) for start, stop in zip(starts, stops, strict=True))
    placed, at = [], 0
    for seam, span in zip(seams, spans[:-1], strict=True):
        at += span.frames
        placed.append(replace(seam, at=at))
    seconds = (at + spans[-1].frames) / song.sample_rate
    return Plan(seconds, describe_song(song), NOBODY, PlanSettings(ending=ending), spans, tuple(placed))


def seam_of(leave: int, enter: int, *, fade: int = 400, correlation: float = 0.0) -> Seam:
    return Seam(0, leave, enter, fade, correlation, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("offset", [0, 37, -61, 150])
@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100])
def test_an_exact_loop_is_found_to_the_sample(offset: int, sample_rate: int) -> None:
    bar = noise(1.7, sample_rate=sample_rate)
    bar *= np.exp(-8 * (np.arange(len(bar)) / sample_rate % 0.425))[:, None].astype(np.float32)
    song = np.tile(bar, (6, 1))
    leave = round(7.2 * sample_rate)
    seam = align_seam(song, sample_rate, leave, leave - 3 * len(bar) + offset)
    assert (seam.leave - seam.enter) % len(bar) == 0
    half = seam.fade // 2
    residual = crossfade(song, seam) - song[seam.leave - half : seam.leave + half]
    assert np.sum(residual**2) < 1e-6 * np.sum(song[seam.leave - half : seam.leave + half] ** 2)
    assert seam.correlation > 0.999
    assert seam.rhythm_ms == 0.0


@pytest.mark.parametrize("beat", [0.4, 0.5, 0.63])
def test_clicks_stay_on_their_grid(beat: float) -> None:
    frames = 14 * RATE
    song = np.zeros((frames, 1), np.float32)
    rng = np.random.default_rng(0)
    grid = np.round(np.arange(0.2, 13.9, beat) * RATE).astype(int)
    for click in grid:  # each of another sound, so that only the rhythm agrees
        song[click : click + 400, 0] += rng.standard_normal(400) * np.exp(-np.arange(400) / 60) * 0.3
    leave, enter = grid[18] - round(0.21 * RATE), grid[5] - round(0.13 * RATE)
    seam = align_seam(song, RATE, leave, enter)
    error = (seam.enter - seam.leave + beat * RATE / 2) % (beat * RATE) - beat * RATE / 2
    assert abs(error) < 0.004 * RATE
    assert seam.rhythm_ms is not None
    assert seam.rhythm_ms < 5.0
    clicks = np.concatenate([np.arange(-seam.fade // 2, 0), np.arange(0, seam.fade // 2)])
    assert np.abs(song[seam.leave + clicks]).max() < 0.05  # no attack inside the crossfade
    assert np.abs(song[seam.enter + clicks]).max() < 0.05


def test_a_forced_lag_is_kept() -> None:
    song = noise(10.0)
    seam = align_seam(song, RATE, 5 * RATE, 3 * RATE, lags=(1000, 1003))
    assert 1000 <= seam.enter - seam.leave + 2 * RATE <= 1003


def test_level_step_is_measured() -> None:
    song = noise(10.0)
    song[5 * RATE :] *= 0.5
    seam = align_seam(song, RATE, 3 * RATE, 7 * RATE)
    assert seam.level_db == pytest.approx(-6.0, abs=0.3)


def test_a_step_that_the_song_makes_itself_is_no_error() -> None:
    song = noise(10.0)
    for second in range(1, 10, 2):
        song[second * RATE : (second + 1) * RATE] *= 0.5
    assert level_step(song, RATE, 7 * RATE, 3 * RATE) == pytest.approx(-6.0, abs=0.3)
    assert level_error(song, RATE, 7 * RATE, 3 * RATE) == pytest.approx(0.0, abs=0.3)
    assert level_error(song, RATE, 7 * RATE, 4 * RATE) == pytest.approx(0.0, abs=0.3)  # loud before, loud after
    song[: 2 * RATE] *= 4.0
    assert level_error(song, RATE, 7 * RATE, RATE) == pytest.approx(6.0, abs=0.3)


def test_onsets_are_found_where_they_are() -> None:
    mono = np.zeros(RATE, np.float32)
    mono[RATE // 2 : RATE // 2 + 200] = 0.5
    strength = onset_strength(mono, RATE)
    hop = len(mono) / len(strength)
    assert abs(np.argmax(strength) * hop - RATE / 2) < 0.012 * RATE


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.5, 1.0])
def test_a_crossfade_keeps_the_level(correlation: float) -> None:
    one, other = noise(1.0, seed=1, channels=1), noise(1.0, seed=2, channels=1)
    second = correlation * one + np.sqrt(1 - correlation**2) * other
    song = 0.3 * np.concatenate([one, second])
    seam = seam_of(RATE // 2, RATE + RATE // 2, fade=RATE // 2, correlation=correlation)
    mixed = crossfade(song.astype(np.float32), seam)
    middle = mixed[len(mixed) // 4 : 3 * len(mixed) // 4]
    assert 20 * np.log10(middle.std() / song.std()) == pytest.approx(0.0, abs=0.5)


def test_no_clipping_is_added() -> None:
    song = np.sign(noise(4.0)) * np.float32(0.99)
    seam = seam_of(RATE, 3 * RATE, fade=2000, correlation=-0.9)
    assert np.abs(crossfade(song, seam)).max() <= np.float32(0.99)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    places=st.lists(st.tuples(st.integers(2000, 40_000), st.integers(2000, 40_000)), min_size=0, max_size=5),
    fade=st.integers(1, 900).map(lambda half: 2 * half),
)
def test_rendering_plays_the_plan(places: list[tuple[int, int]], fade: int) -> None:
    song = Song(noise(2.0), RATE)
    seams, enter = [], 0
    for leave, target in places:
        if leave - enter >= fade:
            seams.append(seam_of(leave, target, fade=fade))
            enter = target
    plan = plan_with(song, *seams)
    blocks = list(render(plan, song))
    assert all(len(block) <= RATE for block in blocks)
    output = np.concatenate(blocks)
    assert len(output) == plan.frames
    at = 0
    halves = [0, *(seam.fade // 2 for seam in plan.seams), 0]
    for number, span in enumerate(plan.spans):
        start, stop = halves[number], span.frames - halves[number + 1]
        np.testing.assert_array_equal(
            output[at + start : at + stop], song.samples[span.start + start : span.start + stop]
        )
        at += span.frames
    assert np.abs(output).max() <= np.abs(song.samples).max()


def test_another_song_is_refused() -> None:
    song, other = Song(noise(2.0), RATE), Song(noise(2.0, seed=1), RATE)
    with pytest.raises(MusexError, match="SHA-256"):
        render(plan_with(song), other)
    with pytest.raises(MusexError, match="made from another song than this one"):
        render(plan_with(song), Song(noise(3.0), RATE))


@pytest.mark.parametrize(
    "change",
    [
        {"spans": ()},
        {"spans": (Span(0, 10**9),)},
        {"spans": (Span(-5, 100),)},
        {"seams": (seam_of(3, 4),)},
    ],
)
def test_a_plan_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    song = Song(noise(2.0), RATE)
    with pytest.raises(MusexError, match="plan"):
        render(replace(plan_with(song), **change), song)  # type: ignore[arg-type]


@pytest.mark.parametrize("sample_rate", [11_025, 16_000, 44_100])
def test_each_step_is_played_when_it_is(sample_rate: int) -> None:
    song = Song(noise(3.0, sample_rate=sample_rate), sample_rate)
    np.testing.assert_array_equal(plan_with(song).steps(0.1), np.arange(30))


def test_a_loop_has_no_rest() -> None:
    song = Song(noise(2.0), RATE)
    plan = replace(plan_with(song, ending="fade"), settings=PlanSettings(ending="loop"))
    seam = replace(seam_of(song.frames - 500, 500), at=song.frames - 1000)
    loop = replace(plan, spans=(Span(500, song.frames - 500),), seams=(seam,))
    assert sum(map(len, render(loop, song))) == song.frames - 1000
    with pytest.raises(MusexError, match="rest"):
        render(replace(loop, rest=100), song)


def test_a_seam_that_does_not_fit_is_refused() -> None:
    song = Song(noise(2.0), RATE)
    plan = plan_with(song, seam_of(20_000, 10_000))
    for change in ({"at": 5}, {"leave": 19_999}, {"enter": 9_999}, {"fade": 90_000}):
        with pytest.raises(MusexError, match="seam"):
            render(replace(plan, seams=(replace(plan.seams[0], **change),)), song)
