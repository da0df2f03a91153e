import ctypes.util
from pathlib import Path

import numpy as np
import pytest

from musex.analysis.tracker_modules import Score, read_module
from musex.errors import AudioError
from tests.modules import write_module

needs_libopenmpt = pytest.mark.skipif(ctypes.util.find_library("openmpt") is None, reason="libopenmpt is missing")
ROW = 0.125


def score_of(patterns: list[int], rows: int = 64) -> Score:
    """Patterns of `rows` rows of 125 ms each, one after another."""
    played = np.repeat(patterns, rows)
    return Score(np.arange(len(played)) * ROW, played, np.tile(np.arange(rows), len(patterns)), len(played) * ROW)


@needs_libopenmpt
def test_the_score_of_a_module_is_read(tmp_path: Path) -> None:
    samples, score = read_module(write_module(tmp_path / "song.mod", [0, 1, 0, 2]), 22_050)
    assert len(samples) / 22_050 == pytest.approx(score.seconds)
    assert score.seconds == pytest.approx(4 * 64 * 0.12, abs=0.2)
    assert score.patterns[::64][:4].tolist() == [0, 1, 0, 2]
    assert score.rows[:66].tolist() == [*range(64), 0, 1]
    assert score.bar_rows == 16
    assert score.row_seconds == pytest.approx(0.12, abs=0.004)
    # What is written to sound the same does so.
    pattern = samples[: 64 * 2646]
    again = samples[2 * 64 * 2646 :][: len(pattern)]
    assert np.corrcoef(pattern[:, 0], again[:, 0])[0, 1] > 0.9


@needs_libopenmpt
def test_a_module_is_played_faster(tmp_path: Path) -> None:
    path = write_module(tmp_path / "song.mod", [0])
    _, written = read_module(path, 22_050)
    _, faster = read_module(path, 22_050, tempo=1.25, pitch=0.8)
    assert faster.seconds == pytest.approx(written.seconds / 1.25, abs=0.2)
    assert faster.rows.tolist() == written.rows.tolist()


@needs_libopenmpt
def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.mod"
    path.write_bytes(b"not a module")
    with pytest.raises(AudioError, match="no tracker module"):
        read_module(path)


@pytest.mark.parametrize(
    ("leave", "enter", "kept"),
    [
        (20.3, 4.3, ["beat", "bar", "row", "written"]),  # the third pattern is the first again
        (12.3, 4.3, ["beat", "bar", "row"]),  # another pattern, which never goes on there
        (16.0, 0.0, ["beat", "bar", "row", "written"]),  # the second pattern's end, and the first follows it
        (20.3, 6.3, ["beat", "bar"]),  # a bar off
        (20.3, 4.8, ["beat"]),
        (20.3, 4.55, []),  # half a beat off
        (20.3, 4.36, []),  # half a row off
        (20.3, 4.32, ["beat", "bar", "row", "written"]),  # 20 ms are no other place
    ],
)
def test_jumps_are_judged_by_the_score(leave: float, enter: float, kept: list[str]) -> None:
    answers = score_of([0, 1, 0, 2]).judge(np.array([leave]), np.array([enter]))
    assert [name for name, answer in answers.items() if answer[0]] == kept


def test_bars_of_three_are_told_and_odd_ones_are_not_constant() -> None:
    assert score_of([0, 1, 0, 1], rows=48).bar_rows == 16
    assert score_of([0, 1, 0, 1], rows=24).bar_rows == 12
    assert score_of([0, 1, 0, 1], rows=50).bar_rows == 0
