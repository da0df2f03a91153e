"""Metrics by identities, predictors by music with a known answer."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.dataset import load_tracks
from musex.evaluation import bootstrap_interval, choice_skill, evaluate, prediction_error_db


def test_a_perfect_prediction_has_no_error() -> None:
    mel = np.random.default_rng(0).normal(size=(100, 64))
    assert prediction_error_db(mel, mel) == 0.0
    assert prediction_error_db(mel + 3.0, mel) == pytest.approx(3.0)


def test_choice_skill_runs_from_chance_to_hindsight() -> None:
    assert choice_skill(10.0, 10.0, 5.0) == 0.0
    assert choice_skill(10.0, 5.0, 5.0) == 100.0
    assert choice_skill(10.0, 7.5, 5.0) == 50.0
    assert choice_skill(5.0, 5.0, 5.0) == 100.0


def test_bootstrap_counts_groups_not_values() -> None:
    mean, low, high = bootstrap_interval(np.array([1.0] * 99 + [3.0]), np.array([0] * 99 + [1]))
    assert mean == 2.0
    assert (low, high) == (1.0, 3.0)


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repeating")
    for number in range(2):
        phrase = np.random.default_rng(number).standard_normal(22_050 * 12) * 0.1
        envelope = np.repeat(np.random.default_rng(number + 9).uniform(0.05, 1.0, 48), 22_050 // 4)
        phrase[: len(envelope)] *= envelope
        soundfile.write(folder / f"song{number}.wav", np.tile(phrase, 7), 22_050)
    return folder


def test_an_exact_repeat_is_found(repeating: Path) -> None:
    result = evaluate(repeating, points=2)
    predictors = result["predictors"]
    assert result["points"] == 4
    assert predictors["hindsight best (not a predictor)"]["choice_skill"]["mean"] == pytest.approx(100.0)
    for name in ("nearest context 2 s", "averaged nearest contexts", "musex"):
        assert predictors[name]["choice_skill"]["mean"] > 97.0, name
    assert predictors["nearest context 2 s"]["prediction_error_db"]["mean"] < 1.0
    assert predictors["averaged nearest contexts"]["error_against_reference_db"]["mean"] == 0.0


def test_evaluation_is_deterministic_by_seed(repeating: Path) -> None:
    tracks = load_tracks(repeating)
    assert evaluate(tracks, points=1, seed=3) == evaluate(tracks, points=1, seed=3)
