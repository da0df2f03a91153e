"""The seam classifier: hard cuts between different chords are found, untouched places are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.audio.reading import read_song
from musex.errors import DatasetError
from musex.evaluation.seam_classifier import (
    NAIVE,
    OURS,
    area_interval,
    draw_songs,
    evaluate_seams,
    hard_cut,
    place_window,
)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for number in range(10):
        path = folder / f"group{number % 3}" / f"song{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, make_song(40.0, 22_050, 1, seed=number) * 0.9**number, 22_050)
    return folder


def test_areas_of_known_scores() -> None:
    scores = [{"seam": np.array([1.0, 2.0]), "untouched": np.array([0.0, 0.5])} for _ in range(3)]
    assert area_interval(scores, "seam", "untouched", 0) == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert area_interval(scores, "untouched", "seam", 0)["mean"] == 0.0
    assert area_interval(scores, "seam", "seam", 0)["mean"] == 0.5


def test_songs_are_drawn_from_every_folder_in_turn(songs: Path) -> None:
    assert {path.parent.name for path in draw_songs(songs, 3, 0)} == {"group0", "group1", "group2"}
    assert len(draw_songs(songs, 99, 0)) == 10


def test_windows_stay_inside_the_song(songs: Path) -> None:
    song = read_song(songs / "group0" / "song0.wav")
    assert place_window(song, 1000) is None
    assert place_window(song, hard_cut(200_000, 1000)) is None
    window = place_window(song, 400_000)
    assert window is not None
    np.testing.assert_array_equal(window, song.samples[400_000 - 33_075 : 400_000 + 33_075, 0])


def test_hard_cuts_are_found(songs: Path) -> None:
    results = evaluate_seams(songs, places=4, seconds=60, plans=1, looper=False)
    assert results["songs"] == 10
    naive, ours = results["seams"][NAIVE]["area"], results["seams"][OURS]["area"]
    assert naive["mean"] > 0.75
    assert naive["low"] <= naive["mean"] <= naive["high"]
    assert ours["mean"] < naive["mean"]


def test_too_few_songs_are_refused(songs: Path) -> None:
    with pytest.raises(DatasetError, match="at least 10"):
        evaluate_seams(songs, songs=3, places=2, seconds=60, plans=1, looper=False)
