"""Lessons for the transition head from modules made here, and a head trained on them."""

from pathlib import Path

import numpy as np
import pytest

from musex.config import TRANSITION_QUESTIONS
from musex.errors import DatasetError
from musex.planning.transitions import input_width
from musex.prediction.transition_head import TransitionHead
from tests.modules import write_module

pytest.importorskip("tensorflow")
from musex.training.transition import (
    Piece,
    TransitionTrainingConfig,
    make_examples,
    read_pieces,
    train_transition,
)

BRIEF = TransitionTrainingConfig(places=20, same_rows=60, at_random=40, epochs=2, batch_size=64, least_seconds=25.0)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packages of a module of half a minute each."""
    folder = tmp_path_factory.mktemp("modules")
    for number, package in enumerate(("one", "two")):
        (folder / package).mkdir()
        write_module(folder / package / "song.mod", [0, 1, 0, 1], seed=number)
    return folder


@pytest.fixture(scope="module")
def pieces(modules: Path) -> list[Piece]:
    found = list(read_pieces(modules, BRIEF))
    if not found:
        pytest.skip("libopenmpt is missing")
    return found


def test_examples_show_what_the_score_says(pieces: list[Piece]) -> None:
    seen, answers, kinds = make_examples(pieces[:1], BRIEF, covered=True)
    assert seen.shape == (len(answers), input_width())
    assert len(kinds) == len(answers)
    assert np.isfinite(seen).all()
    assert np.all((answers == 0.0) | (answers == 1.0))
    beat, bar, row, _ = answers.mean(axis=0)
    assert 0.0 < row <= bar <= beat < 1.0


def test_training_leaves_a_head_that_tells_kept_bars(modules: Path, pieces: list[Piece], tmp_path: Path) -> None:
    areas = train_transition(modules, tmp_path, config=BRIEF, validation=("two",))
    assert set(areas) == set(TRANSITION_QUESTIONS)
    head = TransitionHead(tmp_path / "transition.tflite")
    seen, answers, _ = make_examples(pieces[:1], BRIEF, covered=False)
    odds = head.log_odds(seen)[:, TRANSITION_QUESTIONS.index("bar")]
    kept = answers[:, TRANSITION_QUESTIONS.index("bar")] > 0.5
    assert odds[kept].mean() > odds[~kept].mean()


def test_what_is_held_out_must_be_there(modules: Path, pieces: list[Piece], tmp_path: Path) -> None:
    assert pieces
    with pytest.raises(DatasetError, match="2 modules to learn from and 0 held out"):
        train_transition(modules, tmp_path, config=BRIEF, validation=("three",))
