"""What a prediction may cost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.cost import measure_cost, peak_memory_mb, prediction_seconds
from musex.errors import MusexError
from musex.model import load_model


def test_a_prediction_costs_more_from_a_longer_memory() -> None:
    """What it costs is a benchmark's, for machines differ: `musex evaluate` tells it."""
    model = load_model()
    assert 0.0 < prediction_seconds(model, memory_seconds=60) < prediction_seconds(model, memory_seconds=600)


def test_the_cost_of_an_extension(make_song: Callable[..., np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, make_song(30.0), 44_100)
    cost = measure_cost(path, load_model(), minutes=(0, 1))
    assert cost["start_up_cpu_seconds"] > 0.05
    assert cost["cpu_seconds_per_output_minute"] > 0.05
    assert 30.0 < cost["peak_memory_mb"] < 1000.0
    assert 0.0 <= cost["peak_memory_mb_per_output_minute"] < 300.0
    assert peak_memory_mb() > 30.0


def test_a_song_that_cannot_be_extended_has_no_cost(tmp_path: Path) -> None:
    with pytest.raises(MusexError, match="could not be extended to 120 s"):
        measure_cost(tmp_path / "none.wav", load_model())
