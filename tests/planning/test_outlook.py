"""What a prediction and the past say about the places ahead."""

import numpy as np
import pytest

from musex.config import IMPOSSIBLE
from musex.planning.outlook import look_ahead, look_back
from musex.planning.weights import HEARD_STEPS
from musex.prediction.model import Prediction

HORIZON, WEIGHT, CAP = 100, 5.0, 8.0


def summed(prediction: Prediction, heard: np.ndarray, here: int, time: int, position: int, stop: int) -> float:
    """Cost of playing on from `position` at `time` until `stop`, step by step as the pointer has it."""
    steps, cost = len(heard), 0.0
    for later in range(stop - time):
        place = position + later
        if place < steps:
            likely = prediction.pointer[time + later]
            below = 0.0 if place - time - later == here else min(float(likely.max() - likely[place]), CAP)
            cost += (below * WEIGHT / CAP + heard[place]) / HEARD_STEPS
    return cost


@pytest.mark.parametrize("steps", [40, 150, 400])
def test_playing_costs_what_its_steps_do(steps: int) -> None:
    random = np.random.default_rng(steps)
    starts = np.maximum(random.normal(-12.0, 8.0, (steps, 3)), IMPOSSIBLE).astype(np.float32)
    starts[-5] = -0.5  # the best place is one from which the song ends soon
    prediction, heard, here = Prediction(np.zeros((HORIZON, 1)), starts), random.random(steps), steps // 3
    outlook = look_ahead(starts, heard, horizon=HORIZON, here=here, weight=WEIGHT, cap=CAP)
    assert outlook.horizon == HORIZON
    for _ in range(200):
        time, stop = np.sort(random.integers(0, HORIZON + 1, 2))
        position = int(random.integers(0, steps))
        if random.random() < 0.2:
            position = min(here + int(time), steps - 1)
        found = float(outlook.playing(time, position, stop))
        assert found == pytest.approx(summed(prediction, heard, here, time, position, stop), rel=1e-4, abs=1e-4)


def test_places_and_times_are_taken_together() -> None:
    starts = np.random.default_rng(0).normal(-10.0, 4.0, (300, 3)).astype(np.float32)
    outlook = look_ahead(starts, np.zeros(300), horizon=HORIZON, here=0, weight=WEIGHT, cap=CAP)
    times, places = np.arange(0, 90, 10), np.arange(9 * 4).reshape(9, 4)
    together = outlook.playing(times[:, None], places, HORIZON)
    assert together.shape == (9, 4)
    for row, time in enumerate(times):
        for place in range(4):
            assert together[row, place] == outlook.playing(int(time), int(places[row, place]), HORIZON)


def test_without_a_prediction_only_what_was_heard_counts() -> None:
    heard = np.linspace(0.0, 1.0, 200)
    outlook = look_back(heard, 50)
    assert outlook.horizon == 50
    assert float(outlook.playing(10, 20, 40)) == pytest.approx(heard[20:50].sum() / HEARD_STEPS)
