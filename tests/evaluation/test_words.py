"""How often jumps cut words, on a song whose words' times are known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from musex.cli.tables import word_tables
from musex.errors import DatasetError
from musex.evaluation.jumps import RANDOM
from musex.evaluation.words import Lyrics, evaluate_words, read_lyrics
from musex.prediction.model import load_model

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LYRICS = Lyrics(np.array([[1.0, 2.0], [2.1, 3.0], [9.0, 9.5]]), np.array([[1.0, 3.0], [9.0, 9.5]]))


def test_a_jump_cuts_what_it_leaves_or_enters_within() -> None:
    jumps = [(1.5, 6.0), (6.0, 9.2), (2.05, 5.0), (5.0, 7.0), (1.02, 6.0)]
    assert LYRICS.cut(jumps).tolist() == [[1, 1], [1, 1], [0, 1], [0, 0], [0, 0]]
    assert LYRICS.cut([]).shape == (0, 2)


@pytest.mark.parametrize("text", ["{}", "[]", "[[[1]]]", "no", '[[["a", 2]]]'])
def test_words_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "song.json").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="does not hold lines of words"):
        read_lyrics(tmp_path / "song.json")


def test_plans_that_listen_for_a_voice_cut_fewer_words_than_random_jumps(tmp_path: Path) -> None:
    for suffix in (".mp3", ".json"):
        shutil.copy(EXAMPLES / f"sung{suffix}", tmp_path)
    results = evaluate_words(tmp_path, load_model(), seconds=240.0, looper=False)
    assert results["songs"] == 1
    shares = {name: row["word"]["mean"] for name, row in results["jumps"].items()}
    assert shares["musex"] == 0.0
    assert shares[RANDOM] > 0.5
    assert results["jumps"]["musex"]["bar"]["mean"] == 1.0
    assert results["jumps"][RANDOM]["bar"] == {}
    assert json.loads(json.dumps(results)) == results
    assert word_tables(results)[0].row_count == 3


def test_songs_with_words_must_be_there(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "sung.mp3", tmp_path)
    with pytest.raises(DatasetError, match="no song with its words beside it"):
        evaluate_words(tmp_path, load_model())
