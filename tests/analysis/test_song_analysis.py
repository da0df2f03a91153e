"""An analysis is made once for a song, and gone with it."""

import gc
import weakref

import numpy as np

from musex.analysis.features import analyse
from musex.analysis.song_analysis import analyse_past, analyse_song
from musex.audio.song import Song
from musex.config import FEATURES
from tests.phrases import compose

RATE = FEATURES.sample_rate


def test_a_song_is_analysed_once_and_forgotten_with_it() -> None:
    song = Song(compose(12, 3)[:, None], RATE)
    analysis = analyse_song(song)
    assert analyse_song(song) is analysis
    assert analysis.features is analysis.features
    kept = weakref.ref(analysis)
    del song, analysis
    gc.collect()
    assert kept() is None


def test_what_is_heard_is_what_the_functions_say() -> None:
    song = Song(compose(12, 3)[:, None], RATE)
    analysis = analyse_song(song)
    np.testing.assert_array_equal(analysis.features, analyse(song.samples, RATE))
    log_mel, chroma, onsets = analysis.columns
    assert log_mel.shape == (analysis.steps, FEATURES.n_mels)
    np.testing.assert_array_equal(np.concatenate([log_mel, chroma, onsets], axis=1), analysis.features)
    assert analysis.levels.shape == analysis.beginnings.shape == (analysis.steps,)
    assert analysis.moods.shape == (analysis.steps, 2)


def test_the_past_knows_nothing_of_what_comes() -> None:
    samples = compose(12, 3)[:, None]
    past = analyse_past(Song(samples, RATE), 60)
    other = samples.copy()
    other[6 * RATE :] = 0.0
    assert past.shape == (60, FEATURES.width)
    np.testing.assert_array_equal(past, analyse_past(Song(other, RATE), 60))
