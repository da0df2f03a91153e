"""Predictors on music with a known answer."""

import numpy as np
import pytest

from musex.analysis.features import analyse_mono
from musex.config import PointerConfig
from musex.evaluation.baselines import (
    HINDSIGHT,
    REFERENCE,
    Point,
    plain_predictors,
    pointer_predictor,
    shuffle_weights,
    waveform_predictor,
)
from musex.evaluation.listening import Recording
from musex.metrics import prediction_error_db
from musex.prediction.model import load_model

CONFIG = PointerConfig()
RATE = CONFIG.features.sample_rate


def make_phrase(seconds: int = 12) -> np.ndarray:
    random = np.random.default_rng(0)
    level = np.repeat(random.uniform(0.02, 0.3, seconds * 4), RATE // 4)
    return np.pad(random.standard_normal(seconds * RATE)[: len(level)] * level, (0, seconds * RATE - len(level)))


@pytest.fixture(scope="module")
def mono() -> np.ndarray:
    """A phrase of 12 s, seven times."""
    return np.tile(make_phrase(), 7).astype(np.float32)


@pytest.fixture(scope="module")
def point(mono: np.ndarray) -> Point:
    """62 s into it: the same was heard at 2, 14, 26, 38 and 50 s."""
    rows = analyse_mono(mono)
    recording = Recording(mono, rows, None)
    return Point(rows[:620], rows[620:720], np.arange(40, 521), recording, CONFIG)


@pytest.mark.parametrize("name", ["nearest context 2 s", "nearest context 4 s", REFERENCE, HINDSIGHT])
def test_an_exact_repeat_is_found(name: str, point: Point) -> None:
    guess = plain_predictors(CONFIG, 0)[name](point)
    assert guess.start in (140, 260, 380, 500)
    assert prediction_error_db(guess.log_mel, point.log_mel) < 0.5
    assert point.errors[point.candidates == guess.start] < 0.1
    assert point.unseen_distances[point.candidates == guess.start] == pytest.approx(
        point.unseen_distances.min(), abs=0.1
    )


def test_what_is_held_is_a_mean(point: Point) -> None:
    predictors = plain_predictors(CONFIG, 0)
    song, context = predictors["song mean"](point), predictors["context mean"](point)
    np.testing.assert_allclose(song.log_mel[37], point.past[:, :64].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(context.log_mel[99], point.past[-200:, :64].mean(axis=0), rtol=1e-5)
    assert song.start is context.start is None


def test_the_last_10_s_and_random_places(point: Point) -> None:
    guess = plain_predictors(CONFIG, 0)["last 10 s"](point)
    np.testing.assert_array_equal(guess.log_mel, point.past[-100:, :64])
    places = [[plain_predictors(CONFIG, seed)["random place"](point).start for seed in range(5)] for _ in range(2)]
    assert places[0] == places[1]
    assert len(set(places[0])) > 1


def test_shuffled_weights_predict_otherwise_and_are_fixed_by_their_seed(point: Point) -> None:
    model = load_model()
    first, again, other = (shuffle_weights(model, seed) for seed in (0, 0, 1))
    guesses = [pointer_predictor(each)(point).log_mel for each in (model, first, again, other)]
    assert np.isfinite(guesses[1]).all()
    np.testing.assert_array_equal(guesses[1], guesses[2])
    assert np.abs(guesses[1] - guesses[0]).mean() > 0.1
    assert np.abs(guesses[1] - guesses[3]).mean() > 0.01
    assert (model.name, first.name) == ("pointer", "random weights")


class Clairvoyant:
    """A model of waveforms that knows the song."""

    name = "clairvoyant"

    def __init__(self, mono: np.ndarray, seconds: float) -> None:
        self.mono, self.length = mono, round(seconds * RATE)

    def predict(self, samples: np.ndarray) -> np.ndarray:
        return self.mono[len(samples) : len(samples) + self.length]


def test_a_waveform_is_judged_by_its_sound(mono: np.ndarray, point: Point) -> None:
    guess = waveform_predictor(Clairvoyant(mono, 10.0))(point)
    # The last windows meet silence instead of what comes later.
    assert prediction_error_db(guess.log_mel[:-1], point.log_mel[:-1]) < 0.01
    short = waveform_predictor(Clairvoyant(mono, 4.0))(point)
    assert prediction_error_db(short.log_mel[1:39], point.log_mel[1:39]) < 0.01
    np.testing.assert_allclose(short.log_mel[45:], CONFIG.features.floor_db, atol=0.01)
