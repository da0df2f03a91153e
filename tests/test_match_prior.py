"""The match prior against the network that it is the beginning of."""

import numpy as np
import pytest

from musex.config import PointerConfig
from musex.match_prior import match_prior, predict_by_matching
from musex.model import load_model


def rows_of(steps: int, seed: int) -> np.ndarray:
    """Features that wander: float32 (steps, width)."""
    random = np.random.default_rng(seed)
    rows = random.normal(-40.0, 8.0, (steps, PointerConfig().features.width)).cumsum(axis=0) / 4.0
    return np.asarray(rows - rows.mean(axis=0) - 40.0, np.float32)


def test_it_is_the_network_before_it_has_learned() -> None:
    keras = pytest.importorskip("keras")
    from musex.networks.pointer import StartLogits, build_pointer

    config = PointerConfig()
    keras.utils.set_random_seed(0)
    network = build_pointer(config)
    for layer in network.layers:
        if isinstance(layer, StartLogits):  # what the prior gives next to no weight has none here
            weight = layer.weight.numpy()
            layer.weight.assign(np.where(weight < -4.0, -30.0, weight))
    memory = rows_of(400, 0)
    heard = np.ones((1, 200), np.float32)
    heard[:, :50] = 0.0
    inputs: dict[str, np.ndarray] = {
        "context": memory[-200:][None] + 0.1,
        "context_mask": heard,
        "memory": memory[None],
        "memory_mask": np.ones((1, 400), np.float32),
    }
    expected = {name: np.asarray(output) for name, output in network(inputs, training=False).items()}
    outputs = predict_by_matching(config, **inputs)
    np.testing.assert_allclose(outputs["log_mel"], expected["log_mel"], atol=0.02)
    starts = slice(0, 400 - config.horizon_steps)
    np.testing.assert_allclose(outputs["starts"][:, starts], expected["starts"][:, starts], rtol=0.01, atol=0.02)


def test_a_repeat_is_pointed_to() -> None:
    phrase = rows_of(120, 1)
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
    prediction = model.predict(model.listen(rows_of(steps, 2)), np.arange(steps))
    assert np.isfinite(prediction.log_mel).all()
    assert prediction.starts.shape == (steps, 3)


def test_before_anything_was_heard() -> None:
    model = match_prior(load_model())
    prediction = model.predict(model.listen(rows_of(300, 2)), np.zeros(0, np.int64))
    assert np.isfinite(prediction.log_mel).all()
    assert np.isfinite(prediction.starts).all()
