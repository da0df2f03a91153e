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

from musex.audio.file_names import number_path
from musex.batches import Task, extend_songs, find_tasks
from musex.cli import app as cli
from musex.errors import AudioError, DurationError, MusexError
from musex.files import extend_file
from musex.plans import read_plan
from musex.system.ledgers import LEDGER, Origin, is_done, remember
from musex.versions import Version


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
    names = {str(task.versions[0].output.relative_to(out)) for task in find_tasks([album], out)}
    assert names == {"one-extended.wav", "disc 2/two-extended.flac", "disc 2/three-extended.mp3"}
    named = find_tasks([album / "one.wav"], None, name="{stem} ({seed})", suffix=".opus", facts={"seed": "3"})
    assert named == [Task(album / "one.wav", (Version(album / "one (3).opus"),))]
    for task in find_tasks([album], out, variations=2, plan=tmp_path / "plans", pages=True):
        folder, stem = task.song.parent.relative_to(album), task.song.stem
        for number, version in enumerate(task.versions, start=1):
            assert version.output.parent == out / folder
            assert version.plan == tmp_path / "plans" / folder / f"{stem}-extended-{number}.json"
            assert version.page == out / folder / f"{stem}-extended-{number}-report.html"


def test_one_song_may_name_its_files(album: Path, tmp_path: Path) -> None:
    song, mix, plan = album / "one.wav", tmp_path / "mix.mp3", tmp_path / "plan.json"
    (task,) = find_tasks([song], mix, plan=plan)
    assert task.versions == (Version(mix, plan),)
    (task,) = find_tasks([song], mix, plan=tmp_path)
    assert task.versions == (Version(mix, tmp_path / "mix.json"),)
    (task,) = find_tasks([song], song)  # which is refused when it is to be written, by its name
    assert task.versions == (Version(song),)


def test_hidden_files_are_no_songs(album: Path) -> None:
    (album / ".musex-0123").mkdir()
    for name in ("._one.wav", ".musex-0123.mp3", ".musex-0123/.output.mp3"):
        (album / name).write_bytes((album / "one.wav").read_bytes())
    assert len(find_tasks([album])) == 3


def test_outputs_beside_their_songs_are_no_songs(album: Path) -> None:
    (album / "one-extended.wav").write_bytes((album / "one.wav").read_bytes())
    assert [task.song.name for task in find_tasks([album])] == ["three.mp3", "two.flac", "one.wav"]
    (album / "one-extended.wav").unlink()
    for number in (1, 2):
        (album / f"one-extended-{number}.wav").write_bytes((album / "one.wav").read_bytes())
    assert [task.song.name for task in find_tasks([album], variations=2)] == ["three.mp3", "two.flac", "one.wav"]


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
    for plan in (album / "one.wav", album / "plan.json"):
        with pytest.raises(AudioError, match="name a folder for the"):
            find_tasks([album], plan=plan)
    with pytest.raises(DurationError):
        list(extend_songs(find_tasks([album]), seconds=-1))


def test_only_songs_that_clash_are_refused(album: Path, tmp_path: Path) -> None:
    (album / "one.flac").write_bytes((album / "disc 2" / "two.flac").read_bytes())
    tasks = find_tasks([album], tmp_path / "out", suffix=".mp3")
    assert [task.song.name for task in tasks if task.problem] == ["one.flac", "one.wav"]
    assert "would both become" in tasks[-1].problem
    outcomes = extend_songs([task for task in tasks if task.problem], seconds=20)
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    for kept in ({"plan": tmp_path}, {"pages": True}):  # two endings, and one name for what is kept of both
        tasks = find_tasks([album], **kept)
        assert [task.song.name for task in tasks if "would both become" in task.problem] == ["one.flac", "one.wav"]


def test_names_that_would_be_too_long_are_cut(tmp_path: Path) -> None:
    song = tmp_path / ("ä" * 125 + "e.mp3")
    for suffix in (None, ".flac"):
        (task,) = find_tasks([song], suffix=suffix)
        assert len(os.fsencode(task.versions[0].output.name)) <= 255
        assert task.versions[0].output.name.endswith("ä-extended" + (suffix or ".mp3"))
        assert len(os.fsencode(number_path(task.versions[0].output, 12).name)) <= 255


def test_batches_in_one_folder_keep_each_other_s_entries(album: Path) -> None:
    origin, paths = Origin("song", "settings"), [album / f"{number}.wav" for number in range(8)]
    for path in paths:
        path.touch()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: remember(path, origin), paths))
    assert len(json.loads((album / LEDGER).read_text())) == 8
    assert all(is_done(path, origin) for path in paths)
    assert not is_done(paths[0], Origin("song", "others"))


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


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_is_warned_of_belongs_to_its_song(
    album: Path, tmp_path: Path, jobs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, whole = album / "one.wav", album / "disc 2" / "two.flac"
    cut.write_bytes(cut.read_bytes()[:-100_000])
    command = ["extend", str(cut), str(whole), "--seconds", "20", "-o", str(tmp_path / "out"), "--json", "--jobs", jobs]
    assert cli.run(command) == 0
    told = capsys.readouterr()
    warned = {Path(row["song"]).name: row["warnings"] for row in json.loads(told.out)["outputs"]}
    assert "cut off" in warned["one.wav"][0]
    assert warned["two.flac"] == []
    assert told.err.count("musex: warning: ") == 1


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


def test_what_is_kept_beside_outputs_is_made_where_it_is_missing(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plans = tmp_path / "out", tmp_path / "plans"
    (album / "disc 2" / "three.mp3").unlink()
    command = ["extend", str(album), "--seconds", "20", "-o", str(out), "--variations", "2"]
    names = [f"one-extended-{number}" for number in (1, 2)] + [f"disc 2/two-extended-{number}" for number in (1, 2)]
    assert cli.run([*command, "--quiet"]) == 0
    outputs = [out / (name + (".flac" if "two" in name else ".wav")) for name in names]
    made = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outputs}

    command += ["--plan", str(plans), "--report"]
    assert cli.run([*command, "--quiet", "--jobs", "2"]) == 0, "only plans and pages are missing"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in outputs} == made
    files = [plans / f"{name}.json" for name in names] + [out / f"{name}-report.html" for name in names]
    kept = {path: path.read_bytes() for path in files}
    assert [read_plan(path).settings["seed"] for path in files[:4]] == [0, 1, 0, 1]
    again = tmp_path / "again.wav"
    assert cli.run(["render", str(files[1]), "-o", str(again), "--quiet"]) == 0
    assert again.read_bytes() == outputs[1].read_bytes(), "the plan is the output's"

    assert cli.run(command) == 0
    assert "2 skipped" in capsys.readouterr().out
    files[1].unlink()  # the plan of the second version, and
    files[6].unlink()  # the page of another
    outputs[3].unlink()
    assert cli.run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["outputs"]
    assert {entry["output"]: entry["state"] for entry in told} == dict.fromkeys(map(str, outputs), "made")
    assert {path: path.read_bytes() for path in files} == kept
    assert {path: path.read_bytes() for path in outputs} == {path: content for path, (content, _) in made.items()}
    assert [path.stat().st_mtime_ns for path in outputs[:3]] == [time for _, time in list(made.values())[:3]]

    files[0].write_text("mine")
    assert cli.run(command) == 1
    assert f"{files[0]} exists already" in capsys.readouterr().err
    assert files[0].read_text() == "mine"


def test_versions_go_on_where_they_stopped(album: Path, tmp_path: Path) -> None:
    whole, stopped = (
        find_tasks([album / "one.wav"], tmp_path / name, variations=2, plan=tmp_path / f"{name}.json")
        for name in ("whole.wav", "stopped.wav")
    )
    assert [outcome.state for outcome in extend_songs(whole, seconds=20)] == ["made"]
    begun: list[float] = []

    def stop(song: Path, stage: str, done: float) -> None:
        begun.extend([done] * (stage == "Predicting" and done == 0.0))
        if len(begun) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(extend_songs(stopped, seconds=20, on_progress=stop))
    first, second = stopped[0].versions
    assert [path.exists() for path in (*first.files, *second.files)] == [True, True, False, False]
    before = first.output.stat().st_mtime_ns
    (outcome,) = extend_songs(stopped, seconds=20)
    assert outcome.state == "made"
    assert first.output.stat().st_mtime_ns == before
    for ours, others in zip(stopped[0].files, whole[0].files, strict=True):
        assert ours.read_bytes() == others.read_bytes()
    assert [outcome.state for outcome in extend_songs(stopped, seconds=20)] == ["skipped"]


def test_a_check_of_several_songs_tells_the_seams_of_each(
    album: Path, tmp_path: Path, make_song: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    out, plans = tmp_path / "out", tmp_path / "plans"
    bad = album / "disc 2" / "three.mp3"
    swelling = make_song(12.0, 22_050, 1) * np.linspace(0.03, 1.0, 12 * 22_050)[:, None]  # no jump keeps the level
    soundfile.write(album / "one.wav", swelling, 22_050)
    command = ["extend", str(album), "--seconds", "20", "-o", str(out), "--check"]
    assert cli.run([*command, "--jobs", "2"]) == 1, "one failed, whatever the others' seams are"
    printed = capsys.readouterr().out
    bad.unlink()
    for song, output in (("one.wav", "one-extended.wav"), ("two.flac", "disc 2/two-extended.flac")):
        assert f"{out / output}, of {song}: " in " ".join(printed.split())
    assert "!" in printed
    planned = ["--plan", str(plans), "--jobs", "2"]
    for more, state in (([], "skipped"), (planned, "made"), (planned, "skipped")):  # planned again, kept, read
        assert cli.run([*command, *more, "--json"]) == 3
        told = json.loads(capsys.readouterr().out)["outputs"]
        assert [entry["state"] for entry in told] == [state, state]
        assert printed.count("!") == sum(len(seam["exceeds"]) for entry in told for seam in entry["seams"])


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
