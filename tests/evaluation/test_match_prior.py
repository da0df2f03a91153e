"""The match prior against the network that it is the beginning of."""

import numpy as np
import pytest

from musex.evaluation.match_prior import match_prior
from musex.prediction.model import load_model
from tests.phrases import wander


def test_a_repeat_is_pointed_to() -> None:
    phrase = wander(120, 1)
    song = np.tile(phrase, (4, 1))[:420]
    model = match_prior(load_model())
    assert model.name == "match prior"
    prediction = model.predict(model.listen(song), np.arange(220, 420))
    assert prediction.starts[: 420 - 100, -1].argmax() % 120 == 60
    best = np.abs(np.tile(phrase, (2, 1))[60:160, :64] - prediction.log_mel).mean()
    assert best < np.abs(np.tile(phrase, (2, 1))[0:100, :64] - prediction.log_mel).mean() / 1.5


@pytest.mark.parametrize("steps", [1, 30, 120])
def test_little_memory_is_no_error(steps: int) -> None:
    model = match_prior(load_model())
    prediction = model.predict(model.listen(wander(steps, 2)), np.arange(steps))
    assert np.isfinite(prediction.log_mel).all()
    assert prediction.starts.shape == (steps, 3)


def test_before_anything_was_heard() -> None:
    model = match_prior(load_model())
    prediction = model.predict(model.listen(wander(300, 2)), np.zeros(0, np.int64))
    assert np.isfinite(prediction.log_mel).all()
    assert np.isfinite(prediction.starts).all()
