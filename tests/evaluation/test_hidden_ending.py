"""Hidden endings of songs that go on as they have begun."""

from dataclasses import replace

import numpy as np
import pytest

from musex.analysis.features import to_mono
from musex.audio.song import Song, song_from_array
from musex.errors import DurationError
from musex.evaluation.hidden_ending import (
    HIDDEN_SECONDS,
    LAST_SECONDS,
    compare,
    continue_song,
    hide_ending,
    loop_song,
    measure_ending,
)
from musex.evaluation.match_prior import match_prior
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.prediction.model import load_model

RATE = 22_050


@pytest.fixture(scope="module")
def song() -> Song:
    """A phrase of 12 s, ten times, at 44 100 Hz."""
    random = np.random.default_rng(0)
    level = np.repeat(random.uniform(0.02, 0.3, 48), 11_025)
    return song_from_array(np.tile(random.standard_normal(len(level)) * level, 10).astype(np.float32), 44_100)


def test_the_same_is_perfect(song: Song) -> None:
    mono = to_mono(song.samples, song.sample_rate)[: 30 * RATE]
    perfect = {"chroma_similarity": 1.0, "onset_correlation": 1.0, "onset_f_measure": 1.0}
    errors = {"prediction_error_db": 0.0, "log_mel_mse": 0.0}
    assert compare(mono, mono) == pytest.approx({**errors, **perfect})
    assert compare(mono / 2, mono)["prediction_error_db"] == pytest.approx(6.02, abs=0.01)
    assert compare(mono[: -RATE // 10], mono)["prediction_error_db"] < 1.0


def test_a_hidden_ending_is_what_was_cut_off(song: Song) -> None:
    begun, hidden = hide_ending(song, 30)
    assert begun.seconds == pytest.approx(90.0)
    assert len(hidden) == 30 * RATE
    with pytest.raises(DurationError, match="too short to hide 61 s"):
        hide_ending(song, 61)


@pytest.mark.parametrize("seconds", HIDDEN_SECONDS)
def test_a_song_that_repeats_is_continued_as_it_goes_on(seconds: int, song: Song) -> None:
    results = measure_ending(song, {"prior": match_prior(load_model())}, seconds)
    assert results["prior"]["prediction_error_db"] < 0.5
    assert results["prior"]["chroma_similarity"] > 0.99
    assert results["prior"]["onset_f_measure"] > 0.95
    assert results["last 10 s again"]["prediction_error_db"] > 2.0


def test_the_song_is_played_until_its_end_comes_near(song: Song) -> None:
    begun, _ = hide_ending(song, 30)
    search = replace(SEARCH, first_jump_seconds=begun.seconds - LAST_SECONDS)
    plan = plan_song(begun, load_model(), seconds=120, ending="cut", weights=search)
    assert plan.seams[0].leave > 79 * begun.sample_rate
    played = continue_song(begun, load_model(), 30)
    assert len(played) == pytest.approx(30 * RATE, abs=0.1 * RATE)


def test_a_loop_is_the_last_10_s_again(song: Song) -> None:
    looped = loop_song(song, 30)
    np.testing.assert_array_equal(looped[: 10 * RATE], looped[20 * RATE :])
    np.testing.assert_array_equal(looped[: 10 * RATE], to_mono(song.samples, song.sample_rate)[-10 * RATE :])
