"""Lessons for the beat network from clicks made here, and a network trained on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from musex.analysis.features import analyse_frames
from musex.config import BeatConfig
from musex.errors import DatasetError
from musex.prediction.beat_network import BeatNetwork, prepare
from musex.prediction.litert import run

pytest.importorskip("tensorflow")
from musex.training.beats import (
    BeatTrainingConfig,
    Lesson,
    cut,
    mark,
    read_lessons,
    train_beats,
)
from musex.training.networks.beats import build_beats
from musex.training.runs import load_best, read_rows, save_best

Array = np.ndarray

TINY = BeatConfig(channels=8, dilations=(1, 2, 4))
BRIEF = BeatTrainingConfig(TINY, window_seconds=4.0, batch_size=4, minutes=0.08, epoch_batches=20)
RATE = 22_050


def clicks(tempo: float, seconds: float = 12.0) -> tuple[Array, Array]:
    """Decaying noise on each beat over soft noise, mono (samples,), and the times of beats."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    beats = np.arange(0.5, seconds, 60.0 / tempo)
    since = time - beats[np.maximum(np.searchsorted(beats, time, side="right") - 1, 0)]
    loudness = 0.5 * np.exp(-30.0 * np.maximum(since, 0.0)) * (since >= 0) + 0.001
    return (loudness * random.standard_normal(len(time))).astype(np.float32), beats


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered scores as `models/render_scores.py` leaves them: clicks, and noise without a pulse."""
    folder = tmp_path_factory.mktemp("scores")
    for where, tempi in (("training", (90.0, 120.0, 150.0)), ("validation", (110.0,))):
        (folder / where).mkdir()
        for tempo in tempi:
            mono, beats = clicks(tempo)
            log_mel, chroma = analyse_frames(mono)
            np.savez(
                folder / where / f"patterns-{tempo:g}.npz",
                log_mel=log_mel.astype(np.float16),
                chroma=chroma.astype(np.float16),
                beats=beats,
                positions=np.arange(len(beats)) % 4,
                metre=4,
            )
    return folder


def test_marks_lie_on_the_frames_that_the_beats_begin_in() -> None:
    marks = mark(np.array([0.0, 0.1, 0.21, 99.0]), 12, 50.0, 0.5)
    assert marks.tolist() == [1.0, 0.5, 0, 0, 0.5, 1.0, 0.5, 0, 0, 0.5, 1.0, 0.5]


def test_a_window_played_faster_keeps_its_beats(scores: Path) -> None:
    lesson = read_lessons(scores / "training")[0]
    for seed in range(20):
        log_mel, _, beats, downbeats = cut(lesson, 200, np.random.default_rng(seed), stretch=0.2)
        inside = beats[(beats > 2) & (beats < 195)]
        loud = [log_mel[int(beat) - 1 : int(beat) + 3].max() for beat in inside]
        assert min(loud) > np.percentile(log_mel.max(axis=1), 80)
        assert set(downbeats) <= set(beats)


def test_a_lesson_knows_its_kind() -> None:
    empty = np.zeros(0)
    assert Lesson("modules-one-two.mod-0", empty, empty, empty, empty, 4).kind == "modules"


def test_training_leaves_a_network_that_hears_clicks(scores: Path, tmp_path: Path) -> None:
    loss = train_beats(scores, tmp_path, BRIEF)
    assert loss == min(row["validation"] for row in read_rows(tmp_path / "losses.csv"))
    network = BeatNetwork(tmp_path / "beats.tflite")
    assert network.config == TINY
    log_mel, chroma = analyse_frames(clicks(130.0)[0])
    found = network.activations(log_mel, chroma)
    assert found.shape == (len(log_mel), 2)

    learned = build_beats(TINY)
    assert load_best(tmp_path, learned.variables)
    frames = prepare(log_mel, chroma, TINY)[None]
    exported = next(iter(run(network.runner, frames=frames).values()))
    np.testing.assert_allclose(exported, learned(frames).numpy(), atol=1e-4)

    further = train_beats(scores, tmp_path / "further", BRIEF, begin=tmp_path)
    assert further < loss


def test_a_run_of_another_size_is_not_gone_on_from(scores: Path, tmp_path: Path) -> None:
    save_best(tmp_path, build_beats(TINY).variables)
    larger = replace(BRIEF, network=replace(TINY, channels=16))
    for begin in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DatasetError, match="no weights that fit"):
            train_beats(scores, tmp_path / "run", larger, begin=begin)


def test_scores_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no rendered scores"):
        train_beats(tmp_path, tmp_path / "run", BRIEF)
