"""The commands of the pages that train, and those that use what was trained, do as told."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from musex.config import WaveformConfig
from tests.conftest import MadeOnce
from tests.pages import LEARNING, follow, prepare
from tests.training.networks.conftest import TINY

pytest.importorskip("tensorflow")
from musex.training import train as training
from musex.training import waveform as references
from musex.training.join import JoinTrainingConfig
from musex.training.junctions import JunctionConfig
from musex.training.train import TrainingConfig

RECIPE = TrainingConfig(
    batch_size=2, steps_per_epoch=2, memory_steps=300, validation_memory_steps=400, validation_points=1
)
JOINS = partial(JoinTrainingConfig, tracks=3, junctions=JunctionConfig(count=2), longest_seconds=33.0, epochs=1)
WAVEFORM = WaveformConfig(sample_rate=1000, context_seconds=3, horizon_seconds=2, widths=(4, 6), units=5)


@pytest.fixture(scope="module")
def reader(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., np.ndarray]) -> Path:
    return prepare(made_once, tmp_path_factory.mktemp("reader"), make_song)


@pytest.mark.parametrize("arguments", LEARNING, ids=" ".join)
def test_commands_do_as_told(
    arguments: tuple[str, ...], reader: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In their order: some go on from what others wrote. Networks learn by tiny recipes."""
    monkeypatch.chdir(reader)
    monkeypatch.setattr(training, "PointerConfig", lambda: TINY)
    monkeypatch.setattr(training, "TrainingConfig", lambda seed: RECIPE)
    monkeypatch.setattr(training, "JoinTrainingConfig", JOINS)
    monkeypatch.setattr(references, "WaveformConfig", lambda: WAVEFORM)
    follow(arguments, capfd)
