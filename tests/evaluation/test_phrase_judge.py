"""The judge of phrases: jumps to other bars and beats are found, those by a whole phrase go on as music does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from musex.errors import DatasetError
from musex.evaluation.jumps import RANDOM, RANDOM_BEATS
from musex.evaluation.phrase_judge import (
    HALF_BEAT,
    LEAST_SONGS,
    NAIVE,
    align_entry,
    beat_aligned_jumps,
    beat_seconds,
    describe_jumps,
    draw_folds,
    evaluate_phrases,
    judge_phrases,
    matched_jumps,
    move_jumps,
    naive_jumps,
    random_jumps,
    without_repeats,
)
from musex.evaluation.phrases import HOLE_SECONDS, REACH_SECONDS, PhraseSong, can_be_heard, hear_phrases, phrase_rows

SAMPLE_RATE = 22_050
SECONDS = 60.0
PHRASE_SECONDS = 8.0  # four chords of two seconds
BEAT = 0.5
WHOLE_PHRASE = "by a phrase"


@pytest.fixture(scope="module")
def songs(make_song: Callable[..., np.ndarray]) -> list[PhraseSong]:
    """The same music, played by different hands: so much noise, and so loud."""
    found = []
    for number in range(LEAST_SONGS):
        random = np.random.default_rng(number)
        samples = make_song(SECONDS, SAMPLE_RATE, 1, seed=number)
        samples += (0.001 + 0.002 * number / LEAST_SONGS) * random.standard_normal(samples.shape).astype(np.float32)
        found.append(hear_phrases(samples, SAMPLE_RATE, group=f"group{number % 5}"))
    return found


def test_places_are_heard_where_there_is_music_on_both_sides(songs: list[PhraseSong]) -> None:
    song = songs[0]
    assert song.seconds == pytest.approx(SECONDS, abs=0.02)
    assert can_be_heard(song, SECONDS, 0.0)
    assert not can_be_heard(song, REACH_SECONDS - 0.1, 20.0)
    assert not can_be_heard(song, 20.0, SECONDS - REACH_SECONDS + 0.1)


def test_what_lies_next_to_the_place_says_nothing(songs: list[PhraseSong]) -> None:
    song, random = songs[0], np.random.default_rng(0)
    inside = slice(round((30.0 - HOLE_SECONDS) * 50) + 1, round((30.0 + HOLE_SECONDS) * 50) - 1)
    changed = {}
    for name, sums in (("rows", song.rows), ("attacks", song.attacks)):
        frames = np.diff(sums, axis=0)
        frames[inside] = random.standard_normal(frames[inside].shape)
        changed[name] = np.concatenate([sums[:1], np.cumsum(frames, axis=0)])
    place = np.array([[30.0, 30.0]])
    np.testing.assert_allclose(
        phrase_rows(replace(song, rows=changed["rows"], attacks=changed["attacks"]), place),
        phrase_rows(song, place),
        atol=1e-3,
    )


def test_a_jump_by_a_whole_phrase_sounds_like_none(songs: list[PhraseSong]) -> None:
    at = np.arange(22.0, 40.0, 1.3)
    untouched = phrase_rows(songs[0], np.stack([at, at], axis=1))
    by_phrase = phrase_rows(songs[0], np.stack([at, at + PHRASE_SECONDS], axis=1))
    by_bar = phrase_rows(songs[0], np.stack([at, at + PHRASE_SECONDS / 4], axis=1))
    assert np.isfinite(by_bar).all()
    spread = untouched.std(axis=0) + 0.01
    assert np.median(np.abs(by_phrase - untouched) / spread) < 0.3 * np.median(np.abs(by_bar - untouched) / spread)


def test_naive_jumps_go_where_they_say(songs: list[PhraseSong]) -> None:
    song, random = songs[0], np.random.default_rng(0)
    assert beat_seconds(song) == pytest.approx(BEAT, abs=0.01)
    kinds = naive_jumps(song, 6, random)
    assert set(NAIVE) < set(kinds)
    assert all(can_be_heard(song, *jump) for found in kinds.values() for jump in found)
    assert all(abs(leave - enter) >= SECONDS / 4 for leave, enter in random_jumps(song, 9, random))
    by_beats = np.array([(enter - leave) / BEAT for leave, enter in beat_aligned_jumps(song, 9, random)])
    np.testing.assert_allclose(by_beats, np.round(by_beats), atol=0.06)
    matched = matched_jumps(song, 6, random)
    by_phrases = np.array([(enter - leave) / PHRASE_SECONDS for leave, enter in matched])
    np.testing.assert_allclose(by_phrases, np.round(by_phrases), atol=0.01)
    for (_, enter), (_, moved) in zip(matched, move_jumps(song, matched, 0.25), strict=True):
        assert abs(moved - enter) == pytest.approx(0.25)


def test_attacks_are_aligned_within_a_hundredth_of_a_second(songs: list[PhraseSong]) -> None:
    assert align_entry(songs[0], 20.0, 36.2) == pytest.approx(36.0, abs=0.01)


def test_jumps_are_found_and_phrases_kept(songs: list[PhraseSong]) -> None:
    random = np.random.default_rng(0)
    drawn = [naive_jumps(song, 6, random) for song in songs]
    by_phrase = [[(at, at + PHRASE_SECONDS) for at in random.uniform(21.0, 40.0, 6).tolist()] for _ in songs]
    sets: dict[str, Any] = {kind: [jumps[kind] for jumps in drawn] for kind in NAIVE} | {WHOLE_PHRASE: by_phrase}
    judged = judge_phrases(songs, sets, 0, places=8)
    for kind in (RANDOM, RANDOM_BEATS, HALF_BEAT):
        area = judged[kind]["area"]
        assert area["low"] <= area["mean"] <= area["high"]
        assert area["mean"] > 0.8
        assert judged[kind]["count"] == 6 * len(songs)
    assert judged[WHOLE_PHRASE]["against_matched"]["mean"] < 0.65


def test_what_cannot_be_heard_is_left_out(songs: list[PhraseSong]) -> None:
    found = describe_jumps(songs[0], {"loops": [(55.0, 2.0), (5.0, 20.0)], "none": []}, [20.0, 30.0])
    assert {kind: len(rows) for kind, rows in found.items()} == {"untouched": 2, "loops": 1}


def test_groups_stay_together() -> None:
    groups = [f"group{number % 7}" for number in range(30)]
    folds = draw_folds(groups, 0)
    assert len(set(zip(groups, folds.tolist(), strict=True))) == 7
    assert np.bincount(folds).min() >= 4
    assert set(draw_folds(["one"] * 10, 0).tolist()) == set(range(5))


def test_jumps_that_come_again_count_once() -> None:
    assert without_repeats([(20.0, 5.0), (30.0, 5.0), (20.01, 5.02)]) == [(20.01, 5.02), (30.0, 5.0)]


def test_too_few_songs_are_refused(songs: list[PhraseSong], tmp_path: Path, make_song: Callable[..., Any]) -> None:
    with pytest.raises(DatasetError, match="at least 10"):
        judge_phrases(songs[:3], {RANDOM: [[], [], []]}, 0)
    (tmp_path / "group").mkdir()
    soundfile.write(tmp_path / "group" / "song.wav", make_song(5.0, SAMPLE_RATE, 1), SAMPLE_RATE)
    with pytest.raises(DatasetError, match="at least 10"):
        evaluate_phrases(tmp_path, planners={}, looper=False)
