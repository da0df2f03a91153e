"""The data set: tracks, their split by folder, and what a window of training holds."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from musex.config import PointerConfig
from musex.errors import DatasetError
from musex.training.dataset import Sampling, load_tracks, past_window, split_tracks, training_window
from tests.phrases import write_tracks

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracks(tmp_path_factory.mktemp("music"))


def test_tracks_are_analysed_once_and_split_by_folder(music: Path) -> None:
    tracks = load_tracks(music)
    assert len(tracks) == 6
    before = [track.cache.stat().st_mtime_ns for track in tracks]
    assert [track.cache.stat().st_mtime_ns for track in load_tracks(music)] == before
    learned, held = split_tracks(tracks)
    assert learned
    assert held
    assert not {track.group for track in learned} & {track.group for track in held}
    learned, held = split_tracks(tracks, validation=("group0",))
    assert [track.group for track in held] == ["group0", "group0"]


def test_damaged_features_are_told_and_made_anew(music: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (track.cache for track in load_tracks(music)[:2])
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    np.save(second, np.zeros((4, 3)))
    load_tracks(music)
    assert first.read_bytes() == whole
    assert np.load(second).shape[1] == PointerConfig().features.width
    assert f"{first} is damaged: it is made anew" in caplog.text


def test_a_data_set_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "music").mkdir()
    music = write_tracks(tmp_path / "music")
    (music / ".musex-features").touch()  # nothing can be made within a file
    before = sorted(music.rglob("*"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tracks = load_tracks(music)
    assert len(tracks) == 6
    assert all(track.cache.is_relative_to(tmp_path / "cache") for track in tracks)
    assert [track.cache for track in load_tracks(music)] == [track.cache for track in tracks]
    assert sorted(music.rglob("*")) == before


def test_a_folder_without_music_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no audio"):
        load_tracks(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        load_tracks(tmp_path / "nowhere")


def test_the_truth_is_not_in_the_memory() -> None:
    """Rows carry their own number: what the memory holds can be read off."""
    config = PointerConfig()
    features = np.zeros((3000, config.features.width), np.float32)
    features[:] = np.arange(3000)[:, None]
    random = np.random.default_rng(0)
    for _ in range(200):
        window = training_window(features, random, config, 1200, sampling=Sampling())
        first = window.target[0, 0]
        held = window.memory[window.memory_mask > 0][:, 0]
        assert not ((held >= first) & (held < first + config.horizon_steps + 150)).any()
        assert len(held) >= 200


def test_the_packaged_network_learned_from_windows_drawn_as_by_default() -> None:
    """Its description says so; JSON has no tuples."""
    recipe = json.loads((ROOT / "models" / "pointer.json").read_text())["recipe"]
    assert recipe["sampling"] == json.loads(json.dumps(asdict(Sampling())))


def test_past_window_pads_in_front() -> None:
    config = PointerConfig()
    features = np.arange(400, dtype=np.float32)[:, None].repeat(config.features.width, axis=1)
    window = past_window(features, 150, config, memory_steps=300)
    assert window.context_mask.sum() == 150
    assert window.memory_mask.sum() == 150
    assert window.context[-1, 0] == window.memory[-1, 0] == 149
    assert window.target[0, 0] == 150
