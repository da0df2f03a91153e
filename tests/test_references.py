"""The generative references: training by the paper's recipe, export, and what extends and draws by them."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import musex
from musex import cli
from musex.config import WaveformConfig
from musex.errors import DatasetError, ModelError, MusexError
from musex.generative import CROSSFADE_SECONDS, WaveformModel, continue_song, join
from musex.model import load_model

pytest.importorskip("tensorflow")
from musex.networks import keras
from musex.references import BUILDERS, ReferenceConfig, draw_tracks, load_clip, train_reference
from musex.runs import export
from musex.training import draw_losses

Array = np.ndarray
TINY = WaveformConfig(sample_rate=1000, context_seconds=3, horizon_seconds=2, widths=(4, 6), units=5)
BRIEF = ReferenceConfig(training_tracks=5, validation_tracks=2, batch_size=2, validation_batch_size=2, epochs=2)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., Array]) -> Path:
    """Eight tracks in four groups, one of them too short and one silent in its second part."""
    folder = tmp_path_factory.mktemp("music")
    for number in range(8):
        path = folder / f"group{number % 4}" / f"track{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, make_song(6.0, 8000, 1, seed=number) * (0.2 + 0.1 * number), 8000)
    soundfile.write(folder / "group0" / "short.wav", make_song(4.5, 8000, 1), 8000)
    fading = make_song(6.0, 8000, 1)
    fading[20_000:] = 0.0
    soundfile.write(folder / "group1" / "fading.wav", fading, 8000)
    (folder / "group2" / "broken.mp3").write_text("not music")
    return folder


@pytest.fixture(scope="module", params=["paper", "lstm"])
def run(request: pytest.FixtureRequest, music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    path = train_reference(music, folder, network=request.param, model=TINY, config=BRIEF)
    assert path == folder / f"{request.param}.tflite"
    return folder


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))
