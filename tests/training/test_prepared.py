"""Prepared data sets: only what is missing is made, what is damaged is told, and training reads the same as ever."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.cli import app as cli
from musex.errors import DatasetError, MusexError
from musex.system import cluster
from musex.training.dataset import load_tracks
from musex.training.prepared import INDEX_FILE, load_prepared, prepare
from tests.conftest import MadeOnce
from tests.phrases import compose, write_tracks
from tests.processes import musex_process

ROWS = 500  # of each track: 50 s
SMALL = 2 * 81 * ROWS * 2  # bytes of shards of two tracks


@pytest.fixture(scope="module")
def music(made_once: MadeOnce) -> Path:
    return made_once("prepared-music", write_tracks)


@pytest.fixture
def out(made_once: MadeOnce, music: Path, tmp_path: Path) -> Path:
    """Three shards of two tracks each, in a folder that a test may change."""
    made = made_once("prepared", lambda folder: prepare(music, folder, jobs=1, shard_bytes=SMALL))
    return shutil.copytree(made, tmp_path / "out")


def shards(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*.npy")}


def test_training_reads_what_it_would_have_made(music: Path, out: Path, tmp_path: Path) -> None:
    prepared = load_prepared(out)
    tracks = load_tracks(music, cache_folder=tmp_path / "cache")
    assert [track.path for track in prepared.tracks] == [track.path.relative_to(music) for track in tracks]
    assert [track.group for track in prepared.tracks] == [track.group for track in tracks]
    for ready, made in zip(prepared.tracks, tracks, strict=True):
        np.testing.assert_array_equal(ready.features, made.features)
    assert len(prepared.shards) == 3
    assert prepared.hours == pytest.approx(6 * 50 / 3600)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [INDEX_FILE, *(f"shard-0000{number}.{ending}" for number in range(3) for ending in ("json", "npy"))]
    )


def test_a_bad_file_is_told_and_harms_nobody(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["prepare", str(music), str(tmp_path / "out"), "--jobs", "2"]) == 0
    told = capsys.readouterr()
    assert "6 tracks, 6 of them made now, 1 file left out; 0.0833 h of music in 1 shard" in told.out
    assert "broken.mp3 left out: cannot be read: it is not music, or damaged" in told.err
    assert told.err.count("\n") == 1
    assert [*json.loads((tmp_path / "out" / INDEX_FILE).read_text())["left_out"]] == ["group0/broken.mp3"]


def test_only_what_is_missing_is_made(out: Path, made_once: MadeOnce, music: Path, tmp_path: Path) -> None:
    album = shutil.copytree(music, tmp_path / "album")  # with the files' times
    before = shards(out)
    assert prepare(album, out, jobs=1).made == 0
    assert shards(out) == before
    soundfile.write(album / "group0" / "new.wav", compose(40, 9), 22_050)
    (album / "group1" / "track1.flac").unlink()
    again = prepare(album, out, jobs=1)
    assert again.made == 1
    assert before.items() < shards(out).items(), "shards that were there stay as they are"
    paths = [track.path.as_posix() for track in load_prepared(out).tracks]
    assert "group0/new.wav" in paths
    assert "group1/track1.flac" not in paths
    with pytest.raises(DatasetError, match="prepared from another data set"):
        prepare(write_one(tmp_path / "others" / "group0" / "other.wav").parent.parent, out)
    assert [track.path.as_posix() for track in load_prepared(out).tracks] == paths


def write_one(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    soundfile.write(path, compose(30, 3), 22_050)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-500] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("shard-00001.npy", Path.unlink, r"has lost shard-00001\.npy: run musex prepare DATASET"),
        ("shard-00001.npy", cut, r"shard-00001\.npy is damaged: run musex prepare"),
        ("shard-00001.npy", flip, r"shard-00001\.npy is damaged"),
        ("shard-00001.json", Path.unlink, r"shard-00001\.json is damaged"),
        ("shard-00001.json", cut, r"shard-00001\.json is damaged"),
    ],
)
def test_what_is_gone_or_damaged_is_told_and_made_anew(
    out: Path,
    music: Path,
    name: str,
    damage: Callable[[Path], None],
    message: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(out / name)
    with pytest.raises(DatasetError, match=message):
        load_prepared(out)
    again = prepare(music, out, jobs=1)
    assert "shard-00001" in caplog.text
    assert again.made == 2
    assert len(load_prepared(out).tracks) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"features": {"sample_rate": 44_100}},
        {"format": 2},
        {"shards": [{"name": "../shard-00000", "rows": 1000, "sha256": ""}]},
        {"shards": [{"name": "shard-00000", "rows": "many", "sha256": ""}]},
        {"shards": [{"name": "shard-00000", "rows": 0, "sha256": ""}]},
        {"shards": {"name": "shard-00000"}},
        {"shards": []},
    ],
)
def test_an_index_that_says_something_else_is_refused(out: Path, change: dict[str, object]) -> None:
    index = out / INDEX_FILE
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    with pytest.raises(DatasetError):
        load_prepared(out)


@pytest.mark.parametrize(
    "change",
    [{"path": "/etc/passwd"}, {"path": "../a.wav"}, {"start": -1}, {"start": 900}, {"rows": 0}, {"rows": 1e300}],
)
def test_tracks_that_lie_elsewhere_are_refused(out: Path, change: dict[str, object]) -> None:
    path = out / "shard-00000.json"
    tracks = json.loads(path.read_text())["tracks"]
    path.write_text(json.dumps({"tracks": [tracks[0] | change, *tracks[1:]]}))
    with pytest.raises(DatasetError, match=r"shard-00000\.json is damaged"):
        load_prepared(out)


def test_folders_that_cannot_be_used_are_refused(music: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no audio"):
        prepare(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError, match="holds other files, such as group0"):
        prepare(music, music)
    with pytest.raises(DatasetError, match=r"broken\.mp3 is a file"):
        prepare(music, music / "group0" / "broken.mp3")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "noise.mp3").write_text("not music")
    with pytest.raises(DatasetError, match="none of 1 files below"):
        prepare(tmp_path / "bad", tmp_path / "out")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_stopped_prepare_loses_nothing(jobs: str, tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "music" / f"track{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, compose(60, number), 22_050)
    process = musex_process("prepare", tmp_path / "music", tmp_path / "out", "--jobs", jobs)
    while process.poll() is None and len(list((tmp_path / "out" / "waiting").glob("*.npy"))) < 2:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    kept = len(list((tmp_path / "out" / "waiting").glob("*.npy")))
    assert kept >= 2
    assert prepare(tmp_path / "music", tmp_path / "out", jobs=1).made == 12 - kept
    assert len(load_prepared(tmp_path / "out").tracks) == 12


def test_a_cluster_makes_the_same(music: Path, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = prepare(music, tmp_path / "made", jobs=2, cluster="local")
    assert made.made == 6
    assert "broken.mp3 left out" in caplog.text
    for one, other in zip(load_prepared(out).tracks, made.tracks, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one.features, other.features)


def test_a_cluster_that_is_not_there_is_told(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    assert cli.run(["prepare", str(music), str(tmp_path / "out"), "--cluster", "tcp://127.0.0.1:9"]) == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.setattr(cluster, "NEEDED", ("no_such_package",))
    with pytest.raises(MusexError, match=r"pip install 'musex\[cluster\]'"):
        prepare(music, tmp_path / "out", cluster="local")
