"""What a prediction may cost."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.errors import MusexError
from musex.evaluation.cost import measure_cost, prediction_seconds
from musex.prediction.model import load_model
from musex.system.processes import peak_memory_mb


def test_a_prediction_costs_more_from_a_longer_memory() -> None:
    model = load_model()
    assert 0.0 < prediction_seconds(model, memory_seconds=60) < prediction_seconds(model, memory_seconds=600)


@pytest.mark.usefixtures("usual_speed")
def test_a_prediction_from_three_minutes_takes_less_than_60_ms_of_one_core() -> None:
    model = load_model()
    for _ in range(10):  # other tests run beside it: until one round of them was left alone
        if prediction_seconds(model, repeats=20) < 0.06:
            return
        time.sleep(3.0)
    pytest.fail("no prediction took less than 60 ms")


def test_the_cost_of_an_extension(make_song: Callable[..., np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, make_song(30.0), 44_100)
    cost = measure_cost(path, load_model(), minutes=(0, 1))
    assert cost["start_up_cpu_seconds"] > 0.05
    assert cost["cpu_seconds_per_output_minute"] > 0.05
    assert 30.0 < cost["peak_memory_mb"] < 1000.0
    assert 0.0 <= cost["peak_memory_mb_per_output_minute"] < 300.0
    assert peak_memory_mb() > 30.0


@pytest.mark.usefixtures("usual_speed")
def test_an_extension_costs_little(make_song: Callable[..., np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, make_song(30.0), 44_100)
    cost = measure_cost(path, load_model(), minutes=(0, 1))
    assert 0.05 < cost["start_up_cpu_seconds"] < 10.0
    assert 0.1 < cost["cpu_seconds_per_output_minute"] < 60.0


def test_a_song_that_cannot_be_extended_has_no_cost(tmp_path: Path) -> None:
    with pytest.raises(MusexError, match="could not be extended to 120 s"):
        measure_cost(tmp_path / "none.wav", load_model())
