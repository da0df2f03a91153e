"""The pointer network's layers against the same said in plain loops."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")
from musex.config import PointerConfig
from musex.evaluation.match_prior import predict_by_matching
from musex.training.networks import keras
from musex.training.networks.pointer import AheadDistance, Copy, PastDistance, StartLogits, build_pointer
from tests.phrases import wander

RANDOM = np.random.default_rng(0)


def above_best(distance: np.ndarray, candidates: np.ndarray, floor: float) -> np.ndarray:
    best = distance[candidates > 0].min(axis=0)
    return np.asarray(np.minimum((distance - best) / (best + floor), 8.0))


def test_past_distance_compares_what_preceded_each_place() -> None:
    total, steps, lags = 60, 20, (1, 5, 20)
    context, memory = RANDOM.normal(size=(steps, 7)), RANDOM.normal(size=(total, 7))
    context_mask, memory_mask, candidates = np.ones(steps), np.ones(total), np.zeros(total)
    context_mask[:5] = memory_mask[:9] = memory_mask[30:34] = 0.0
    candidates[10:50] = 1.0
    expected = np.full((total, len(lags)), 10.0)
    for start in range(total):
        for column, lag in enumerate(lags):
            pairs = [(steps - 1 - back, start - 1 - back) for back in range(lag) if start - 1 - back >= 0]
            squares = [
                np.sum((context[ours] - memory[theirs]) ** 2)
                for ours, theirs in pairs
                if context_mask[ours] and memory_mask[theirs]
            ]
            if squares:
                expected[start, column] = np.sqrt(np.mean(squares) + 1e-4)
    arrays = [array[None].astype(np.float32) for array in (context, context_mask, memory, memory_mask, candidates)]
    found = PastDistance(lags, steps)([arrays[0]], arrays[1], [arrays[2]], *arrays[3:])
    np.testing.assert_allclose(np.asarray(found)[0], above_best(expected, candidates, 0.05), atol=1e-4)


def test_ahead_distance_compares_what_follows_each_place() -> None:
    total, horizon, spans = 50, 10, (2, 5, 10)
    predicted, memory, candidates = RANDOM.normal(size=(horizon, 7)), RANDOM.normal(size=(total, 7)), np.zeros(total)
    candidates[5:40] = 1.0
    expected = np.ones((total, len(spans)))
    for start in range(total - horizon):
        steps = np.sqrt(np.mean((predicted - memory[start : start + horizon]) ** 2, axis=1) + 1e-4)
        expected[start] = [steps[:span].mean() for span in spans]
    arrays = [array[None].astype(np.float32) for array in (predicted, memory, np.ones(total), candidates)]
    found = np.asarray(AheadDistance(horizon, spans)(*arrays))[0]
    np.testing.assert_allclose(found[5:40], above_best(expected, candidates, 0.0)[5:40], atol=1e-4)


def test_copies_are_the_memory_played_on() -> None:
    """A head that is sure of one start copies what follows it; one that wavers between two copies their mean."""
    total, horizon = 60, 20
    memory = RANDOM.normal(size=(total, 3))
    logits = np.full((total, 2), -100.0)
    logits[12, 0] = logits[12, 1] = logits[30, 1] = 100.0
    arrays = [array[None].astype(np.float32) for array in (logits, memory, np.ones(total))]
    mean, deviation = (np.asarray(part)[0] for part in Copy(horizon, 10, 2)(*arrays))
    one, other = memory[12 : 12 + horizon], memory[30 : 30 + horizon]
    np.testing.assert_allclose(mean[..., 0], one, atol=1e-4)
    np.testing.assert_allclose(mean[..., 1], (one + other) / 2, atol=1e-4)
    np.testing.assert_allclose(deviation[..., 1], np.sqrt(((one - other) / 2) ** 2 + 1e-3), atol=1e-3)


def test_the_match_prior_is_the_network_before_it_has_learned() -> None:
    config = PointerConfig()
    keras.utils.set_random_seed(0)
    network = build_pointer(config)
    for layer in network.layers:
        if isinstance(layer, StartLogits):  # what the prior gives next to no weight has none here
            weight = layer.weight.numpy()
            layer.weight.assign(np.where(weight < -4.0, -30.0, weight))
    memory = wander(400, 0)
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
