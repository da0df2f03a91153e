"""Hidden endings of songs that go on as they have begun."""

import numpy as np
import pytest

from musex.audio import Song, song_from_array
from musex.features import to_mono
from musex.hidden_ending import compare, continue_song, hide_ending, loop_song, measure_endings
from musex.match_prior import match_prior
from musex.model import load_model

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
    parts = hide_ending(song, 30)
    assert parts is not None
    begun, hidden = parts
    assert begun.seconds == pytest.approx(90.0)
    assert len(hidden) == 30 * RATE
    assert hide_ending(song, 61) is None


def test_a_song_that_repeats_is_continued_as_it_goes_on(song: Song) -> None:
    results = measure_endings(song, {"prior": match_prior(load_model())}, hidden_seconds=(30, 60, 90))
    assert set(results) == {30, 60}
    for measures in results.values():
        assert measures["prior"]["prediction_error_db"] < 0.5
        assert measures["prior"]["chroma_similarity"] > 0.99
        assert measures["prior"]["onset_f_measure"] > 0.95
        assert measures["last 10 s again"]["prediction_error_db"] > 2.0


def test_nothing_is_jumped_before_the_end_comes_near(song: Song) -> None:
    begun = song_from_array(song.samples[: 90 * 44_100], 44_100)
    played = continue_song(begun, load_model(), 30)
    assert len(played) == pytest.approx(30 * RATE, abs=0.1 * RATE)
    np.testing.assert_array_equal(loop_song(begun, 30)[: 10 * RATE], loop_song(begun, 30)[20 * RATE :])
