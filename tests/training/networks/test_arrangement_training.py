"""The arrangement network: what it learns of scores made here, and how it is exported."""

from pathlib import Path

import numpy as np
import pytest

from musex.config import ArrangementConfig
from musex.errors import DatasetError, ModelError
from musex.prediction.arrangement_network import ArrangementNetwork, hear_bars, last_bars, see_ahead, to_combinations

pytest.importorskip("tensorflow")
from musex.training.arrangement import (
    ActivityScore,
    ArrangementTrainingConfig,
    read_scores,
    train_arrangement,
    vary,
    windows_of,
)
from musex.training.networks.arrangement import build_arrangement

Array = np.ndarray

TINY = ArrangementConfig(past_bars=8, horizon_bars=4, units=12, attention_units=4, lags=(1, 4))
BRIEF = ArrangementTrainingConfig(TINY, epochs=12, batch_size=32, learning_rate=1e-2, flips=0.0, without=0.0)


def loop_of(shift: int, bars: int = 48) -> dict[str, Array]:
    """Drums that rest in every fourth bar, a bass that plays always, and nothing else."""
    activity = np.zeros((bars, 4), np.float32)
    activity[:, 1] = (np.arange(bars) + shift) % 4 != 0
    activity[:, 2] = 1.0
    return {"activity": activity, "likeness": np.zeros((bars, 3), np.float32)}


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores")
    for where, shifts in (("training", range(4)), ("validation", (1, 2))):
        (folder / where).mkdir()
        for shift in shifts:
            np.savez(folder / where / f"loop-{shift}.npz", **loop_of(shift))  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def trained(scores: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    run = tmp_path_factory.mktemp("run")
    return run, train_arrangement(scores, run, BRIEF)


def test_what_repeats_is_learned(trained: tuple[Path, float], scores: Path) -> None:
    run, loss = trained
    assert 0.0 < loss < 0.25  # always the same combination: 0.56
    network = ArrangementNetwork(run)
    assert network.config == TINY
    (score,) = (each for each in read_scores(scores / "validation") if each.name == "loop-1")
    past, ahead, targets = windows_of(score, BRIEF)
    told = network.log_likelihoods(past[:16], ahead[:16])
    assert np.exp(told).sum(axis=-1) == pytest.approx(1.0, abs=1e-4)
    assert np.mean(told.argmax(axis=-1) == targets[:16]) > 0.9


def test_stems_that_a_song_does_not_have_never_play(trained: tuple[Path, float], scores: Path) -> None:
    network = ArrangementNetwork(trained[0])
    score = read_scores(scores / "validation")[0]
    past, ahead, _ = windows_of(score, BRIEF)
    told = np.exp(network.log_likelihoods(past[:8], ahead[:8]))
    possible = [combination for combination in range(16) if not combination & ~0b0110]
    assert told[..., possible].sum(axis=-1).min() > 0.999


def test_the_exported_network_is_the_one_of_keras(tmp_path: Path) -> None:
    from musex.prediction.described import ARRANGEMENT_FILE
    from musex.training.runs import export

    network = build_arrangement(TINY)
    export(network, tmp_path / ARRANGEMENT_FILE, {"network": "arrangement", "config": vars(TINY)})
    random = np.random.default_rng(0)
    past = random.random((3, TINY.past_bars, TINY.past_width), np.float32)
    ahead = random.random((3, TINY.horizon_bars, TINY.ahead_width), np.float32)
    told = ArrangementNetwork(tmp_path).log_likelihoods(past, ahead)
    np.testing.assert_allclose(told, network([past, ahead]).numpy(), atol=1e-4)


def test_no_bar_is_told_what_it_plays_itself() -> None:
    random = np.random.default_rng(1)
    plays, places, present = random.random((20, 4)) > 0.5, np.arange(20) % 8, np.ones(4, bool)
    rows = see_ahead(plays, places, present, TINY)
    for bar in (0, 7, 19):
        other = plays.copy()
        other[bar:] = ~other[bar:]
        np.testing.assert_array_equal(see_ahead(other, places, present, TINY)[: bar + 1], rows[: bar + 1])
    assert rows.shape == (20, TINY.ahead_width)
    assert hear_bars(plays * 1.0, np.zeros((20, 3)), places, TINY).shape == (20, TINY.past_width)


def test_windows_begin_with_what_there_is() -> None:
    score = ActivityScore("loop", **loop_of(0, 16), places=np.arange(16) % 8)
    past, ahead, targets = windows_of(score, BRIEF)
    assert len(past) == 16 - TINY.horizon_bars + 1 - BRIEF.least_bars
    assert past[0, :, -1].tolist() == [0.0] * 4 + [1.0] * 4
    assert targets[0].tolist() == to_combinations(score.plays)[4:8].tolist()
    assert ahead.shape == (len(past), TINY.horizon_bars, TINY.ahead_width)
    assert last_bars(np.ones((2, 3)), 4).tolist() == [[0] * 3] * 2 + [[1] * 3] * 2


def test_a_varied_score_keeps_its_bars_together() -> None:
    score = ActivityScore("loop", **loop_of(0), places=np.arange(48) % 8)
    config = ArrangementTrainingConfig(TINY, without=0.5, swapped=0.5, forgotten=0.5)
    for seed in range(20):
        varied = vary(score, np.random.default_rng(seed), config)
        assert len(varied.activity) == len(varied.likeness) == len(varied.places)
        rests = varied.activity.sum(axis=1) < varied.activity.sum(axis=1).max()
        if rests.any():
            assert set(varied.places[rests] % 4) == {0}


def test_scores_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no scores"):
        train_arrangement(tmp_path, tmp_path / "run", BRIEF)


def test_another_network_is_refused(trained: tuple[Path, float], tmp_path: Path) -> None:
    file, description = (trained[0] / f"arrangement.{ending}" for ending in ("tflite", "json"))
    (tmp_path / file.name).write_bytes(file.read_bytes())
    for change in ('"past_bars": 0', '"past_bars": "8"'):
        text = description.read_text().replace('"past_bars": 8', change)
        (tmp_path / description.name).write_text(text)
        with pytest.raises(ModelError, match="no arrangement network"):
            ArrangementNetwork(tmp_path)
