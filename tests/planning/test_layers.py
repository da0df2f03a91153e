"""Layers: what is heard again gets its percussion from elsewhere, on the beat, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import musex
from musex.analysis.percussion import percussion_of, separate
from musex.errors import MusexError
from musex.planning.layers import correlations, plan_swaps
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span, Swap, read_plan
from musex.prediction.model import load_model
from musex.rendering.stitch import render
from musex.rendering.streaming import stream_song
from musex.rendering.swaps import exchange

RATE = 22_050
BAR_SECONDS = 2.0


def rhythmic_song(*, seconds: float = 64.0) -> musex.Song:
    """A held chord under a drum: eight bars of one rhythm, eight of another, and so on; no hit is like any other."""
    random = np.random.default_rng(0)
    times = np.arange(round(seconds * RATE)) / RATE
    samples = 0.1 * np.sin(2 * np.pi * times[:, None] * np.array([220.0, 277.2, 329.6])).sum(axis=1)
    rhythms = (0.0, 0.25, 0.75, 1.5), (0.0, 0.375, 1.0, 1.125, 1.75)
    for bar in range(int(seconds / BAR_SECONDS)):
        for beat in rhythms[bar // 8 % 2]:
            at = round((BAR_SECONDS * bar + beat) * RATE)
            length = min(round(0.08 * RATE), len(samples) - at)
            hit = random.standard_normal(length) * np.exp(-60.0 * np.arange(length) / RATE)
            samples[at : at + length] += 0.3 * hit
    return musex.Song(np.repeat(samples.astype(np.float32)[:, None], 2, axis=1), RATE)


@pytest.fixture(scope="module")
def song() -> musex.Song:
    return rhythmic_song()


def test_hits_go_to_one_part_and_the_chord_to_the_other(song: musex.Song) -> None:
    percussive = separate(song.samples)
    for seconds, low, high in ((0.0, 0.7, 1.1), (0.15, 0.0, 0.1)):
        place = slice(round(seconds * RATE), round((seconds + 0.03) * RATE))
        share = np.linalg.norm(percussive[place]) / np.linalg.norm(song.samples[place])
        assert low <= share <= high


def test_long_songs_are_separated_as_short_ones_are(song: musex.Song, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = separate(song.samples)
    monkeypatch.setattr("musex.analysis.percussion.BLOCK_FRAMES", 100)
    np.testing.assert_allclose(separate(song.samples), whole, atol=1e-4)


def test_equal_paths_are_the_song_itself(song: musex.Song) -> None:
    swap = Swap(RATE, 4 * RATE, RATE, RATE, 264)
    assert not exchange(percussion_of(song), swap, -132, swap.frames + 132).any()


@pytest.mark.parametrize("where", [0, 500, 4000])
def test_a_pattern_is_found_where_it_is(where: int) -> None:
    values = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    found = correlations(values, values[where : where + 300] * 3.0 + 1.0)
    assert found.argmax() == where
    assert found[where] == pytest.approx(1.0, abs=1e-4)


def test_percussion_comes_from_places_of_the_same_rhythm(song: musex.Song) -> None:
    seam = Seam(62 * RATE, 62 * RATE, 2 * RATE, 400, 0.0, 0.0, 0.0, 0.0)
    spans = Span(0, 62 * RATE), Span(2 * RATE, song.frames)
    swaps = plan_swaps(
        Plan(124.0, describe_song(song), PlanModel("", ""), PlanSettings(), spans, (seam,)), song, always=True, seed=0
    )
    assert len(swaps) >= 3
    for swap in swaps:
        assert swap.at > 62 * RATE
        bars = (swap.enter - swap.leave) / RATE / BAR_SECONDS
        assert bars == pytest.approx(round(bars), abs=0.002)


def test_only_what_is_heard_again_changes() -> None:
    groove = musex.read_song(Path(__file__).parent.parent.parent / "examples" / "groove.mp3")
    plain = musex.extend(groove, seconds=300, seed=2)
    layered = musex.extend(groove, seconds=300, seed=2, layers="on")
    assert layered.plan.swaps
    assert layered.plan.spans == plain.plan.spans
    first = min(swap.at - swap.fade for swap in layered.plan.swaps)
    assert first >= groove.frames // 2
    changed = np.zeros(plain.samples.shape[0], bool)
    for swap in layered.plan.swaps:
        changed[swap.at - swap.fade : swap.at + swap.frames + swap.fade] = True
    np.testing.assert_array_equal(layered.samples[~changed], plain.samples[~changed])
    assert np.abs(layered.samples - plain.samples).max() > 0.01
    assert np.abs(layered.samples).max() <= max(1.0, float(np.abs(groove.samples).max()))
    again = musex.extend(groove, seconds=300, seed=2, layers="on")
    np.testing.assert_array_equal(again.samples, layered.samples)


def test_a_plan_with_swaps_renders_again_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    groove = musex.read_song(Path(__file__).parent.parent.parent / "examples" / "groove.mp3")
    layered = musex.extend(groove, seconds=200, seed=1, layers="on")
    path = tmp_path / "plan.json"
    path.write_text(layered.plan.to_json(), encoding="utf-8")
    plan = read_plan(path)
    assert plan == layered.plan
    np.testing.assert_array_equal(np.concatenate(list(render(plan, groove))), layered.samples)
    for change in ({"enter": groove.frames}, {"leave": plan.swaps[0].leave + 1}, {"fade": 0}, {"at": -5}):
        damaged = replace(plan, swaps=(replace(plan.swaps[0], **change), *plan.swaps[1:]))
        with pytest.raises(MusexError, match="swap"):
            next(render(damaged, groove))


def test_auto_waits_until_the_song_has_been_heard_often() -> None:
    groove = musex.read_song(Path(__file__).parent.parent.parent / "examples" / "groove.mp3")
    assert not musex.extend(groove, seconds=120, layers="auto").plan.swaps
    assert musex.extend(groove, seconds=500, layers="auto").plan.swaps


def test_what_cannot_be_had_is_said() -> None:
    groove = musex.read_song(Path(__file__).parent.parent.parent / "examples" / "groove.mp3")
    with pytest.raises(MusexError, match="'drums'"):
        musex.extend(groove, seconds=120, layers="drums")  # type: ignore[arg-type]
    with pytest.raises(MusexError, match="stream"):
        next(stream_song(groove, load_model(), seconds=120, layers="on"))


def test_percussion_ends_as_loud_as_its_song_however_long_that_is() -> None:
    for missing in (1, 8, 500, 1020):  # samples to a whole hop
        samples = 0.1 * np.random.default_rng(0).standard_normal((40 * 1024 - missing, 2)).astype(np.float32)
        assert np.abs(separate(samples)).max() < 2.0 * np.abs(samples).max()
