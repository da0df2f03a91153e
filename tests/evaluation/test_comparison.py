"""The whole evaluation on constructed music with a known answer."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import musex.evaluation.comparison
from musex.errors import DatasetError
from musex.evaluation.baselines import RANDOM_WEIGHTS
from musex.evaluation.comparison import PRIOR, evaluate, load_models
from musex.prediction.model import Model
from musex.training.dataset import load_tracks

RATE = 22_050
BASELINES = {
    "random place",
    "last 10 s",
    "song mean",
    "context mean",
    "nearest context 2 s",
    "nearest context 4 s",
    "averaged nearest contexts",
    "hindsight best (not a predictor)",
    PRIOR,
    RANDOM_WEIGHTS,
}


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs, each a phrase of 12 s over and over."""
    folder = tmp_path_factory.mktemp("repeating")
    for number in range(2):
        phrase = np.random.default_rng(number).standard_normal(RATE * 12) * 0.1
        envelope = np.repeat(np.random.default_rng(number + 9).uniform(0.05, 1.0, 48), RATE // 4)
        phrase[: len(envelope)] *= envelope
        soundfile.write(folder / f"song{number}.wav", np.tile(phrase, 9), RATE)
    return folder


class Clairvoyant:
    """A model of waveforms that knows the songs of a folder."""

    name = "clairvoyant"

    def __init__(self, folder: Path) -> None:
        self.songs = [soundfile.read(path, dtype="float32")[0] for path in sorted(folder.glob("*.wav"))]

    def predict(self, samples: np.ndarray) -> np.ndarray:
        at = len(samples) % (12 * RATE)
        song = next(song for song in self.songs if np.allclose(song[at - 99 : at], samples[-99:], atol=1e-6))
        return np.asarray(song[at : at + 10 * RATE])


def test_an_exact_repeat_is_found(repeating: Path) -> None:
    progress: list[tuple[str, float]] = []
    models: dict[str, Any] = {**load_models([]), "clairvoyant": Clairvoyant(repeating)}
    result = evaluate(repeating, models=models, on_progress=lambda stage, done: progress.append((stage, done)))
    predictors = result["predictors"]
    assert set(predictors) == BASELINES | {"musex", "clairvoyant"}
    assert (result["points"], result["tracks"], result["seed"]) == (6, 2, 0)
    assert set(result["left_out"]) == {"paper", "lstm"}
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {stage for stage, _ in progress} == {"Analysing", "Measuring"}
    assert all(0.0 <= done <= 1.0 for _, done in progress)

    means = {name: {measure: row["mean"] for measure, row in rows.items()} for name, rows in predictors.items()}
    assert means["hindsight best (not a predictor)"]["choice_skill"] == pytest.approx(100.0)
    for name in ("nearest context 2 s", "nearest context 4 s", PRIOR, "averaged nearest contexts"):
        assert means[name]["choice_skill"] == pytest.approx(100.0, abs=0.5), name
        assert means[name]["choice_skill_unseen"] > 85.0, name
        assert means[name]["chroma_similarity"] > 0.99, name
        assert means[name]["onset_correlation"] > 0.99, name
        assert means[name]["onset_f_measure"] > 0.95, name
    assert means["musex"]["choice_skill"] > 97.0
    worst = result["worst"]
    assert {row["track"].split("/")[1] for row in worst} == {"song0.wav", "song1.wav"}
    assert worst[0]["error_against_reference_db"] >= worst[1]["error_against_reference_db"]
    mean = np.mean([row["prediction_error_db"] for row in worst])
    assert mean == pytest.approx(means["musex"]["prediction_error_db"])
    assert means["nearest context 2 s"]["prediction_error_db"] < 0.2
    assert means["averaged nearest contexts"]["error_against_reference_db"] == 0.0
    assert means["clairvoyant"]["prediction_error_db"] < 0.3
    assert means["clairvoyant"]["chroma_similarity"] > 0.98
    assert means["clairvoyant"]["onset_f_measure"] > 0.9
    assert abs(means["random place"]["onset_correlation"]) < 0.5
    assert "choice_skill" not in means["song mean"]
    for rows in predictors.values():
        assert all(row["low"] <= row["mean"] <= row["high"] for row in rows.values())


def test_evaluation_is_deterministic_by_seed(repeating: Path) -> None:
    tracks = load_tracks(repeating)
    first, again, other = (evaluate(tracks[:1], points=1, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first["predictors"] != other["predictors"]


def test_chains_and_hidden_endings(repeating: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        musex.evaluation.comparison, "measure_cost", lambda path, model: {"prediction_cpu_seconds": 0.01}
    )
    monkeypatch.setattr(musex.evaluation.comparison, "CHAIN_SECONDS", 200.0)
    result = evaluate(load_tracks(repeating), points=1, chains=1)
    chained = result["chains"]["predictors"]
    assert result["chains"]["tracks"] == 1
    assert set(chained) == {"musex", "last 10 s looped"}
    assert {"loudness_db_per_minute", "centroid_hz_per_minute", "longest_repeat_seconds"} <= set(chained["musex"])
    assert chained["last 10 s looped"]["longest_repeat_seconds"]["mean"] > 80.0
    assert abs(chained["musex"]["duration_error_seconds"]["mean"]) <= 0.1
    endings = result["hidden_endings"]["30"]["predictors"]
    assert set(endings) == {PRIOR, "musex", "last 10 s again"}
    assert endings[PRIOR]["prediction_error_db"]["mean"] < 1.0
    assert endings[PRIOR]["error_against_match_prior_db"]["mean"] == 0.0
    assert result["cost"] == {"musex": {"prediction_cpu_seconds": 0.01}}


def test_models_are_named(tmp_path: Path) -> None:
    model = load_models([])["musex"]
    assert isinstance(model, Model)
    for suffix in (".tflite", ".json"):
        for name in ("other", "musex"):
            (tmp_path / name).with_suffix(suffix).write_bytes(model.path.with_suffix(suffix).read_bytes())
    other, same = tmp_path / "other.tflite", tmp_path / "musex.tflite"
    assert list(load_models([other, same])) == ["musex", "other", str(same)]


def test_too_little_to_measure(tmp_path: Path, repeating: Path) -> None:
    samples = soundfile.read(repeating / "song0.wav", frames=45 * RATE)[0]
    soundfile.write(tmp_path / "short.wav", samples, RATE)
    with pytest.raises(DatasetError, match="longer than 50 s"):
        evaluate(tmp_path)
    with pytest.raises(DatasetError, match="no model that points"):
        evaluate(repeating, models={})


def test_without_mir_eval_the_measure_is_left_out(repeating: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musex.evaluation.listening.find_spec", lambda name: None)
    result = evaluate(load_tracks(repeating)[:1], points=1)
    assert "mir_eval" in result["left_out"]["onset_f_measure"]
    assert all("onset_f_measure" not in rows for rows in result["predictors"].values())


def test_a_track_that_can_no_longer_be_read_is_left_out(repeating: Path) -> None:
    tracks = load_tracks(repeating)
    gone = copy.copy(tracks[0])
    object.__setattr__(gone, "path", repeating / "gone.wav")
    result = evaluate([gone, tracks[1]], points=1)
    assert result["tracks"] == 1
    assert "no such file" in result["left_out"][str(repeating / "gone.wav")]
