"""Many songs in one go: what is found, what is skipped, what fails alone."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex import cli
from musex.batches import LEDGER, Task, _remember, extend_songs, find_tasks
from musex.errors import AudioError, DurationError, MusexError
from musex.files import extend_file, number_path


@pytest.fixture
def album(tmp_path: Path, make_song: Callable[..., np.ndarray]) -> Path:
    """Two songs, one in a sub-folder, a text that claims to be a third, and a picture."""
    folder = tmp_path / "album"
    (folder / "disc 2").mkdir(parents=True)
    soundfile.write(folder / "one.wav", make_song(12.0, 22_050, 1), 22_050)
    soundfile.write(folder / "disc 2" / "two.flac", make_song(12.0, 22_050, 2, seed=1), 22_050)
    (folder / "disc 2" / "three.mp3").write_text("not music")
    (folder / "cover.png").write_bytes(b"")
    return folder


def test_tasks_keep_the_folders_of_the_inputs(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = {str(task.output.relative_to(out)) for task in find_tasks([album], out)}
    assert names == {"one-extended.wav", "disc 2/two-extended.flac", "disc 2/three-extended.mp3"}
    named = find_tasks([album / "one.wav"], None, name="{stem} ({seed})", suffix=".opus", facts={"seed": "3"})
    assert named == [Task(album / "one.wav", album / "one (3).opus")]


def test_hidden_files_are_no_songs(album: Path) -> None:
    (album / ".musex-0123").mkdir()
    for name in ("._one.wav", ".musex-0123.mp3", ".musex-0123/.output.mp3"):
        (album / name).write_bytes((album / "one.wav").read_bytes())
    assert len(find_tasks([album])) == 3


def test_outputs_beside_their_songs_are_no_songs(album: Path) -> None:
    (album / "one-extended.wav").write_bytes((album / "one.wav").read_bytes())
    assert [task.song.name for task in find_tasks([album])] == ["three.mp3", "two.flac", "one.wav"]


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav"])
def test_what_musex_made_is_a_song_only_by_name(album: Path, suffix: str) -> None:
    for path in (album / "disc 2").iterdir():
        path.unlink()
    extend_file(album / "one.wav", album / f"longer{suffix}", seconds=20)
    assert [task.song.name for task in find_tasks([album])] == ["one.wav"]
    assert [task.song.name for task in find_tasks([album / f"longer{suffix}"])] == [f"longer{suffix}"]
    (album / "one.wav").unlink()
    with pytest.raises(AudioError, match="only by name"):
        find_tasks([album])


def test_what_the_ledger_names_is_no_song(album: Path) -> None:
    (album / LEDGER).write_text(json.dumps({"one.wav": {}}))
    assert [task.song.name for task in find_tasks([album])] == ["three.mp3", "two.flac"]


def test_impossible_tasks_are_refused(album: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no songs"):
        find_tasks([tmp_path / "empty"])
    with pytest.raises(AudioError, match="cannot write xyz"):
        find_tasks([album], suffix=".xyz")
    with pytest.raises(AudioError, match=r"cannot write mp.*did you mean \.mp3"):
        find_tasks([album], suffix=".mp")
    for name in ("{title}", "{}", "{stem.parent}", "{stem[x]}", "{stem!r}", "{stem:>9}"):
        with pytest.raises(AudioError, match=r"it may hold \{stem\}, \{seed\}"):
            find_tasks([album], name=name, facts={"seed": "1"})
    with pytest.raises(AudioError, match="no name for outputs: expected '}'"):
        find_tasks([album], name="{stem")
    with pytest.raises(AudioError, match=r"did you mean stem\?"):
        find_tasks([album], name="{step}")
    with pytest.raises(AudioError, match=r"cover\.png is a file: name a folder"):
        find_tasks([album], album / "cover.png")
    for output in (album / "one.wav", tmp_path / "mix.mp3"):
        with pytest.raises(AudioError, match="names one file, and several songs"):
            find_tasks([album], output)
    with pytest.raises(DurationError):
        list(extend_songs(find_tasks([album]), seconds=-1))


def test_only_songs_that_clash_are_refused(album: Path, tmp_path: Path) -> None:
    (album / "one.flac").write_bytes((album / "disc 2" / "two.flac").read_bytes())
    tasks = find_tasks([album], tmp_path / "out", suffix=".mp3")
    assert [task.song.name for task in tasks if task.problem] == ["one.flac", "one.wav"]
    assert "would both become" in tasks[-1].problem
    outcomes = extend_songs([task for task in tasks if task.problem], seconds=20)
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]


def test_names_that_would_be_too_long_are_cut(tmp_path: Path) -> None:
    song = tmp_path / ("ä" * 125 + "e.mp3")
    for suffix in (None, ".flac"):
        (task,) = find_tasks([song], suffix=suffix)
        assert len(os.fsencode(task.output.name)) <= 255
        assert task.output.name.endswith("ä-extended" + (suffix or ".mp3"))
        assert len(os.fsencode(number_path(task.output, 12).name)) <= 255


def test_batches_in_one_folder_keep_each_other_s_entries(album: Path) -> None:
    tasks = [Task(album / "one.wav", album / f"{number}.wav") for number in range(8)]
    for task in tasks:
        task.output.touch()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda task: _remember(task, {}), tasks))
    assert len(json.loads((album / LEDGER).read_text())) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_do_not_outlive_a_killed_batch(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "musex", "extend", str(album), "--minutes", "10", "-o", str(out), "-j", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and not list(out.rglob(".musex-*/*")):
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=120)  # ends when the last that holds the pipe has ended
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_bad_file_stops_no_other(
    album: Path, tmp_path: Path, jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["extend", str(album), "--seconds", "20", "-o", str(out), "--jobs", jobs]
    assert cli.run(command) == 1
    told = capsys.readouterr()
    assert "2 made, 1 failed" in told.out
    assert "three.mp3" in told.err
    assert told.err.count("\n") == 1
    for name in ("one-extended.wav", "disc 2/two-extended.flac"):
        assert soundfile.info(out / name).duration == pytest.approx(20.0, abs=0.1)
    assert not list(out.rglob("*.mp3"))

    first = (out / "one-extended.wav").stat().st_mtime_ns
    (album / "disc 2" / "three.mp3").unlink()
    assert cli.run(command) == 0
    assert "2 skipped" in capsys.readouterr().out
    assert (out / "one-extended.wav").stat().st_mtime_ns == first

    soundfile.write(album / "one.wav", soundfile.read(album / "one.wav")[0][:-500], 22_050)  # another song now
    assert cli.run(command) == 1, "another output is there, and --force is not given"
    assert "exists already" in capsys.readouterr().err
    assert cli.run([*command, "--force", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (out / "one-extended.wav").stat().st_mtime_ns != first


def test_a_stopped_batch_does_not_begin_anew(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["extend", str(album / "one.wav"), str(album / "disc 2" / "two.flac"), "--minutes", "5"]
    arguments += ["--format", "wav", "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen([sys.executable, "-m", "musex", *arguments], env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (out / LEDGER).exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=240) == 130
    assert {path.name for path in out.iterdir()} == {LEDGER, "one-extended.wav"}
    assert cli.run([*arguments, "--json"]) == 0
    states = {entry["output"]: entry["state"] for entry in json.loads(capsys.readouterr().out)["outputs"]}
    assert states == {str(out / "one-extended.wav"): "skipped", str(out / "two-extended.wav"): "made"}


def test_a_stopped_batch_leaves_nothing_partial_and_goes_on(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (album / "disc 2" / "three.mp3").unlink()
    command = [sys.executable, "-m", "musex", "extend", str(album), "--minutes", "10", "-o", str(out), "-j", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not list(out.rglob(".musex-*/*")):
        time.sleep(0.01)
    assert list(out.rglob(".musex-*/*")), "nothing was being written yet"
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in told
    partial = [path for path in out.rglob(".musex-*") if path.name != LEDGER]
    assert partial == []
    assert cli.run(["extend", str(album), "--seconds", "20", "-o", str(out), "--quiet", "--force"]) == 0


def test_a_process_ended_from_outside_ends_the_batch(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def end_one() -> None:
        while not list(out.rglob(".musex-*/*")):
            time.sleep(0.01)
        multiprocessing.active_children()[0].kill()

    threading.Thread(target=end_one, daemon=True).start()
    with pytest.raises(MusexError, match="one of 2 processes was ended from outside"):
        list(extend_songs(find_tasks([album], out, suffix=".wav"), seconds=600.0, jobs=2))
    assert multiprocessing.active_children() == []
