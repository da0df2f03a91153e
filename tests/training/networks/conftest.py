"""Tiny networks trained here: each once, whichever tests and workers use it, and none of these changes it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from musex.config import PointerConfig
from tests.conftest import MadeOnce
from tests.phrases import write_tracks

if TYPE_CHECKING:
    from musex.training.train import TrainingConfig

TINY = PointerConfig(
    embedding_channels=4, strip_channels=4, sharpness=(30.0, 10.0), mixture_channels=4, lags=(1, 5, 20)
)


@pytest.fixture(scope="session")
def brief() -> "TrainingConfig":
    """Two epochs of two batches."""
    from musex.training.train import TrainingConfig

    return TrainingConfig(
        batch_size=2, steps_per_epoch=2, epochs=2, memory_steps=300, validation_memory_steps=400, validation_points=1
    )


@pytest.fixture(scope="session")
def phrases(made_once: MadeOnce) -> Path:
    """A folder of music to learn from."""
    return made_once("phrases", write_tracks)


@pytest.fixture(scope="session")
def run(made_once: MadeOnce, phrases: Path, brief: "TrainingConfig") -> Path:
    """A whole run of the tiny pointer."""
    return made_once("run", lambda folder: _train(phrases, folder, brief))


@pytest.fixture(scope="session")
def first_epoch(made_once: MadeOnce, phrases: Path, brief: "TrainingConfig") -> Path:
    """The same, ended after its first epoch."""
    return made_once("first-epoch", lambda folder: _train(phrases, folder, replace(brief, epochs=1)))


def _train(music: Path, run: Path, config: "TrainingConfig") -> None:
    from musex.training.train import train_pointer

    train_pointer(music, run, model=TINY, config=config)
