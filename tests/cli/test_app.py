"""The command line, by exit codes, messages and files."""

import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.cli.app import run
from musex.cli.arguments import UsageError, parse_duration, parse_time
from musex.system.wording import format_time
from tests.processes import musex_process, wait_for_handlers

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def song(tmp_path: Path, wav_path: Path) -> Path:
    """Six seconds of music in a folder of its own."""
    path = tmp_path / "song.wav"
    path.write_bytes(wav_path.read_bytes())
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_extend_writes_beside_the_input(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(song), "--seconds", "20"]) == 0
    output = song.with_name("song-extended.wav")
    info = soundfile.info(output)
    assert info.frames / info.samplerate == pytest.approx(20.0, abs=0.1)
    assert (info.samplerate, info.channels, info.subtype) == (44_100, 2, "PCM_16")
    printed = capsys.readouterr()
    for wanted in (str(output), "0:20.0 (", "seam", "made in"):
        assert wanted in printed.out
    assert printed.err == ""
    assert files(song.parent) == {"song.wav", "song-extended.wav"}


def test_extend_starts_as_the_song_and_a_seed_fixes_it(song: Path) -> None:
    outputs = [song.with_name(f"{number}.wav") for number in range(2)]
    for output in outputs:
        assert run(["extend", str(song), "--to", "0:15", "-o", str(output), "--seed", "3", "--quiet"]) == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    source, _ = soundfile.read(song, dtype="int16")
    made, _ = soundfile.read(outputs[0], dtype="int16")
    np.testing.assert_array_equal(made[:22_050], source[:22_050])


def test_default_output_is_lossless_where_the_song_is_and_its_format_cannot_be_written(song: Path) -> None:
    source = song.with_suffix(".au")
    samples, rate = soundfile.read(song)
    soundfile.write(source, samples, rate)
    assert run(["extend", str(source), "--seconds", "8", "-q"]) == 0
    made, _ = soundfile.read(song.parent / "song-extended.wav")
    np.testing.assert_array_equal(made[:22_050], samples[:22_050])


def test_plan_is_kept_and_renders_to_the_same(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, first, second = (song.with_name(name) for name in ("plan.json", "first.wav", "second.wav"))
    assert run(["extend", str(song), "--seconds", "20", "-o", str(first), "--plan", str(plan), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(plan.read_text())["version"] == 1
    assert run(["render", str(plan), "-o", str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()
    moved = song.rename(song.with_name("moved.wav"))
    assert run(["render", str(plan), "-o", str(second), "-f"]) == 1
    assert run(["render", str(plan), "-o", str(second), "-f", "--song", str(moved)]) == 0
    assert first.read_bytes() == second.read_bytes()


def test_an_output_is_a_new_file_with_the_usual_rights(song: Path) -> None:
    os.utime(song, (10**9, 10**9))
    began = time.time()
    for _ in range(2):
        assert run(["extend", str(song), "--seconds", "9", "--plan", str(song.with_name("p.json")), "-q", "-f"]) == 0
        for made in (song.with_name("song-extended.wav"), song.with_name("p.json")):
            status = made.stat()
            assert began - 1 <= status.st_mtime <= time.time() + 1
            assert status.st_mode & 0o777 == 0o666 & ~umask()
    assert song.stat().st_mtime == 10**9


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_outputs_are_named_by_a_template(song: Path) -> None:
    template = "{stem}, {minutes} min = {seconds} s, {seed} {ending}"
    options = ["--seconds", "9", "--seed", "4", "--ending", "cut", "--format", "flac", "--name", template]
    assert run(["extend", str(song), *options, "-q"]) == 0
    assert files(song.parent) == {"song.wav", "song, 0.15 min = 9 s, 4 cut.flac"}


def test_variations_are_numbered(song: Path) -> None:
    plan = song.with_name("plan.json")
    options = ["--seconds", "20", "--variations", "2", "--plan", str(plan), "--avoid", "0:02.5-3", "--novelty", "0.6"]
    options += ["--arc", "0:calm 0.5:bright"]
    assert run(["extend", str(song), *options]) == 0
    assert files(song.parent) == {"song.wav", *(f"song-extended-{n}.wav" for n in (1, 2)), "plan-1.json", "plan-2.json"}
    settings = json.loads(song.with_name("plan-2.json").read_text())["settings"]
    assert (settings["seed"], settings["avoid"], settings["novelty"]) == (1, [[2.5, 3.0]], 0.6)
    assert settings["arc"] == [[0.0, "calm"], [30.0, "bright"]]


@pytest.mark.parametrize(
    "options",
    [
        ["--mood", "odd"],
        ["--arc", "0:calm x"],
        ["--arc", "2:calm 1:dark"],
        ["--avoid", "3"],
        ["--avoid", "5-3"],
        ["--keep-from", "x"],
        ["--novelty", "2"],
    ],
)
def test_bad_settings(options: list[str], song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(song), "--seconds", "20", *options]) == 2
    assert_one_error_line(capsys.readouterr().err)
    assert files(song.parent) == {"song.wav"}


def test_settings_that_do_not_fit_the_song(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(song), "--seconds", "20", "--avoid", "0-6"]) == 1
    assert_one_error_line(capsys.readouterr().err)
    assert files(song.parent) == {"song.wav"}


def test_a_plan_may_be_kept_in_a_folder(song: Path, tmp_path: Path) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    assert run(["extend", str(song), "--seconds", "9", "--plan", str(plans), "--variations", "2", "-q"]) == 0
    assert files(plans) == {"song-extended-1.json", "song-extended-2.json"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plan", "plan.json"], "plan.json names one file, and several songs may come"),
        (["--plan", "song.wav"], "song.wav is a file: name a folder for the plans"),
        (["-o", "mix.mp3"], "mix.mp3 names one file, and several songs may come"),
        (["--minutes", "90", "--report"], "too long for a page"),
        (["-o", "-"], "-o - streams one song"),
    ],
)
def test_what_several_songs_cannot_have_is_wrong_usage(
    options: list[str], message: str, song: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(song.parent)
    duration = [] if "--minutes" in options else ["--minutes", "1"]
    for songs in (["."], ["song.wav", "nowhere.wav"]):
        assert run(["extend", *songs, *duration, *options]) == 2
        error = capsys.readouterr().err
        assert_one_error_line(error)
        assert message in error
    assert files(song.parent) == {"song.wav"}


def test_check_prints_the_seams_and_says_whether_they_pass(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, output = song.with_name("plan.json"), song.with_name("out.wav")
    code = run(["extend", str(song), "--seconds", "20", "-o", str(output), "--plan", str(plan), "--check"])
    printed = capsys.readouterr().out
    content = json.loads(plan.read_text())
    rows = [line.split() for line in printed.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    rows = rows[-len(content["seams"]) :]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert code == (3 if "!" in printed else 0)
    for seam in content["seams"]:
        seam.update(level_db=5.0, flux_percentile=50.0, rhythm_ms=0.0, beat=1.0, bar=1.0)
    plan.write_text(json.dumps(content))
    assert run(["render", str(plan), "-o", str(output), "-f", "--check"]) == code  # by the sound, whatever is written
    assert "+5.00!" not in capsys.readouterr().out
    assert run(["render", str(plan), "-o", str(output), "-f", "--check", "-q"]) == code
    assert capsys.readouterr().out == ""
    assert run(["render", str(plan), "-o", str(output), "-f"]) == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda plan: "not JSON",
        lambda plan: json.dumps({**plan, "version": 99}),
        lambda plan: json.dumps({**plan, "spans": []}),
        lambda plan: json.dumps({**plan, "spans": [{"start": 0, "stop": 10**9}], "seams": []}),
        lambda plan: json.dumps({**plan, "spans": [{"start": "a", "stop": None}], "seams": []}),
        lambda plan: json.dumps({**plan, "song": []}),
        lambda plan: json.dumps({**plan, "song": {**plan["song"], "sha256": "0" * 64}}),
        lambda plan: json.dumps([plan]),
        lambda plan: "\udcff",
    ],
)
def test_damaged_plans_are_refused(
    song: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[dict[str, object]], str]
) -> None:
    plan, output = song.with_name("plan.json"), song.with_name("again.wav")
    assert run(["extend", str(song), "--seconds", "8", "--plan", str(plan), "-q"]) == 0
    plan.write_bytes(damage(json.loads(plan.read_text())).encode("utf-8", "surrogateescape"))
    capsys.readouterr()
    assert run(["render", str(plan), "-o", str(output)]) == 1
    assert_one_error_line(capsys.readouterr().err)
    assert not output.exists()


@pytest.mark.parametrize(("content", "reason"), [(b"words", "no plan"), (b"\xff\xfb", "no text")])
def test_what_is_no_plan_is_named(
    content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    for command in ("render", "report"):
        assert run([command, str(tmp_path / "song.mp3")]) == 1
        error = capsys.readouterr().err
        assert_one_error_line(error)
        assert str(tmp_path / "song.mp3") in error
        assert reason in error


def assert_one_error_line(text: str) -> None:
    assert text.startswith("musex: error: ")
    assert text.count("\n") == 1


def write_wav_header(path: Path, channels: int) -> None:
    chunk = struct.pack("<HHIIHH", 1, channels, 44_100, 44_100 * 2 * channels, 2 * channels, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + chunk + b"data" + struct.pack("<I", 1_000_000) + bytes(1_000_000)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def make_bad_input(kind: str, folder: Path) -> Path:
    rate, path = 44_100, folder / "bad.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal((rate * 6, 2))
    match kind:
        case "a folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "a text named mp3":
            path = folder / "bad.mp3"
            path.write_text("These are words, not music.\n" * 500)
        case "silent":
            soundfile.write(path, np.zeros((rate * 6, 2)), rate)
        case "shorter than 5 s":
            soundfile.write(path, noise[: rate * 4], rate)
        case "not a number":
            noise[1000] = np.nan
            soundfile.write(path, noise, rate, subtype="FLOAT")
        case "infinite":
            noise[1000] = np.inf
            soundfile.write(path, noise, rate, subtype="FLOAT")
        case "zero channels":
            write_wav_header(path, 0)
        case "too cut off":
            soundfile.write(path, noise, rate)
            path.write_bytes(path.read_bytes()[:100_000])
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "a folder",
        "empty",
        "a text named mp3",
        "silent",
        "shorter than 5 s",
        "not a number",
        "infinite",
        "zero channels",
        "too cut off",
    ],
)
def test_bad_songs(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, output = make_bad_input(kind, tmp_path), tmp_path / "output.wav"
    output.write_bytes(b"mine")
    before = files(tmp_path)
    code = run(["extend", str(bad), "--minutes", "1", "-o", str(output), "--force"])
    assert code == (2 if kind == "a folder" else 1)  # one file for whatever a folder holds is wrong usage
    message = capsys.readouterr().err
    assert_one_error_line(message)
    assert bad.name in message
    assert output.read_bytes() == b"mine"
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere/song.mp3", "no such file: nowhere"), ("http://x.org/a.mp3", "download it first"), ("", "is empty")],
)
def test_what_is_not_there_is_named_first(
    name: str, message: str, song: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(song.parent)
    for more in ([], ["-o", "-"]):
        assert run(["extend", name, "--minutes", "1", *more]) == 1
        error = capsys.readouterr().err
        assert_one_error_line(error)
        assert message in error
    assert files(song.parent) == {"song.wav"}


def test_a_cut_off_song_is_used_with_a_warning(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = song.read_bytes()
    song.write_bytes(content[: len(content) * 11 // 12])
    assert run(["extend", str(song), "--seconds", "10"]) == 0
    assert capsys.readouterr().err.startswith("musex: warning: ")


@pytest.mark.parametrize(
    "options",
    [
        ["--minutes", "0"],
        ["--minutes", "-3"],
        ["--minutes", "nan"],
        ["--minutes", "inf"],
        ["--minutes", "ten"],
        ["--minutes", ""],
        ["--minutes", "1441"],
        ["--seconds", "1e-400"],
        ["--seconds", "86401"],
        ["--to", "25:00:00"],
        ["--to", "0:00"],
        ["--to", "1:99"],
        ["--to", "-1:00"],
        ["--to", "1:2:3:4"],
        ["--to", "soon"],
    ],
)
def test_bad_durations(options: list[str], song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(song), *options]) == (1 if options[-1] == "" else 2)
    assert_one_error_line(capsys.readouterr().err)
    assert files(song.parent) == {"song.wav"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("extend --minutes 1 --ending bang", "--ending bang is not available; musex has outro, fade, cut, loop"),
        ("extend --minutes 1 --layers of", "--layers of is not available; musex has off, auto, on; did you mean off?"),
        ("extend --minutes 1 --arrange bolt", "--arrange bolt is not available; musex has off, subtle, bold; did you"),
        ("extend --minutes 1 --quality god", "--quality god is not available; musex has small, good, best; did you"),
        ("extend --minutes 1 --seed x", "--seed x cannot be used: give a whole number from 0 on"),
        ("extend --minutes 1 --seed -1", "--seed -1 cannot be used"),
        ("extend --minutes 1 --jobs 0", "--jobs 0 cannot be used: give a whole number from 1 on"),
        ("extend --minutes 1 --variations 1.5", "--variations 1.5 cannot be used"),
        ("extend --minutes 1 --stream 0", "--stream 0 cannot be used"),
        ("extend --minutes 1 --novelty 2", "--novelty 2 cannot be used: give a number from 0 to 1"),
        ("extend --minutes 1 --novelty nan", "--novelty nan cannot be used"),
        ("extend --minutes 1 --mood clam", "--mood clam is not known"),
        ("extend --minutes 1 --arc 0-calm", "0-calm is not a time and a mood"),
        ("extend --minutes 1 --mix loud", "--mix loud is no stem and its level: give levels such as"),
        ("extend --minutes 1 --mix drums=1:off,0dB", "--mix drums=1:off,0dB is no stem and its level"),
        (
            "extend --minutes 1 --mix drum=off",
            "--mix drum is no stem; musex has voice, drums, bass, rest; did you mean",
        ),
        ("extend --minutes 1 --mix drums=13dB", "--mix drums at 13 dB is out of range: give -60 to 12 dB, or off"),
        ("extend --minutes 1 --mix drums=1:off,1:0dB", "the times of --mix drums, 1, 1 min, must be in order"),
        ("extend more.wav --minutes 1 --stems folder", "--stems is for one song"),
        ("stems --mix drums=loud", "--mix drums=loud is no stem and its level"),
        ("render --mix bas=off", "--mix bas is no stem; musex has voice, drums, bass, rest; did you mean bass?"),
        ("render more.wav", "more.wav is one file too many: name the song by --song, stems or tracks by --stems"),
        ("render --stems a.wav --check", "leave out --stems"),
        ("extend --minutes 1 --avoid 5", "5 is not a stretch of the song"),
        ("extend --minutes 1 --keep-from 9 --keep-to 8", "--jumps-to must be after --jumps-from"),
        ("extend --minutes 1 --bitrate much", "--bitrate much cannot be used"),
        ("extend --minutes 1 --format mp4", "cannot write mp4"),
        ("extend --minutes 1 --name {x}", "is no name for outputs"),
        ("render --bitrate much", "--bitrate much cannot be used"),
        ("spectrogram --at soon", "soon is not a time"),
        ("play --novelty -1", "--novelty -1 cannot be used"),
        ("train -o run --network gru", "--network gru is not available; musex has pointer, paper, lstm"),
        ("train -o run --epochs none", "--epochs none cannot be used"),
        ("train -o run --minutes -1", "--minutes -1 cannot be used: give a number from 0 on"),
        ("evaluate --points 2", "--points 2 cannot be used: give a whole number from 3 on"),
        ("evaluate --chains x", "--chains x cannot be used"),
        ("info --stream x", "--stream x cannot be used"),
    ],
)
def test_bad_values(command: str, message: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, *options = command.split()
    assert run([name, str(song), *options]) == 2
    error = capsys.readouterr().err
    assert_one_error_line(error)
    assert message in error
    assert files(song.parent) == {"song.wav"}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--minutes", "1", "--seconds", "5"],
        ["--minutes", "1", "--to", "5:00"],
        ["--minutes"],
        ["--minutes", "1", "--ending", "bang"],
        ["--minutes", "1", "--seed", "x"],
        ["--minutes", "1", "--what"],
    ],
)
def test_wrong_usage(options: list[str], song: Path) -> None:
    assert run(["extend", str(song), *options]) == 2
    assert files(song.parent) == {"song.wav"}


def test_parse_duration() -> None:
    assert parse_duration("2.5", None, None) == 150.0
    assert parse_duration(None, "90", None) == 90.0
    assert parse_duration(None, None, "1:02:03") == 3723.0
    assert [parse_time(text) for text in ("4:30", "90", "0:00:01.5", "90:00")] == [270.0, 90.0, 1.5, 5400.0]
    with pytest.raises(UsageError, match="not a time"):
        parse_time("1:60:00")


def test_format_time() -> None:
    assert [format_time(value) for value in (0, 59.96, 600.02, 3723.5)] == ["0:00.0", "1:00.0", "10:00.0", "1:02:03.5"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nowhere/out.wav", "no folder"),
        ("song.wav", "is the song itself"),
        ("link.wav", "is the song itself"),
        ("out.xyz", "not among"),
        ("out", "not among"),
        ("there.wav", "exists already"),
    ],
)
def test_bad_outputs(output: str, message: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (song.parent / "link.wav").hardlink_to(song)
    there = song.parent / "there.wav"
    there.write_bytes(b"mine")
    before, content = files(song.parent), song.read_bytes()
    force = [] if "exists" in message else ["--force"]
    assert run(["extend", str(song), "--minutes", "1", "-o", str(song.parent / output), *force]) == 1
    error = capsys.readouterr().err
    assert_one_error_line(error)
    assert message in error
    assert files(song.parent) == before
    assert (song.read_bytes(), there.read_bytes()) == (content, b"mine")


def test_a_song_may_be_written_into_a_folder(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert run(["extend", str(song), "--seconds", "8", "-o", str(out), "--format", "flac", "-q"]) == 0
    assert files(out) == {"song-extended.flac"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    song.parent.chmod(0o500)
    try:
        assert run(["extend", str(song), "--minutes", "1"]) == 1
    finally:
        song.parent.chmod(0o700)
    assert "not writable" in capsys.readouterr().err


@pytest.mark.parametrize("plan", ["song.wav", "out.wav", "nowhere/plan.json"])
def test_bad_plan_files(plan: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = song.with_name("out.wav")
    options = ["-o", str(output), "--plan", str(song.parent / plan), "--force"]
    assert run(["extend", str(song), "--minutes", "1", *options]) == 1
    assert_one_error_line(capsys.readouterr().err)
    assert files(song.parent) == {"song.wav"}


def damaged_model(kind: str, folder: Path) -> Path:
    model = folder / "model.tflite"
    packaged = ROOT / "models" / "pointer.tflite"
    description = json.loads(packaged.with_suffix(".json").read_text())
    model.write_bytes(packaged.read_bytes())
    match kind:
        case "cut off":
            model.write_bytes(packaged.read_bytes()[:50_000])
        case "another version":
            description["format"] = 99
        case "text":
            model.write_text("not a model")
            description.pop("sha256")
        case "missing":
            model.unlink()
    model.with_suffix(".json").write_text(json.dumps(description))
    return model


@pytest.mark.parametrize("kind", ["cut off", "another version", "text", "missing"])
def test_bad_models(kind: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = damaged_model(kind, song.parent)
    before = files(song.parent)
    assert run(["extend", str(song), "--minutes", "1", "--model", str(model)]) == 1
    assert_one_error_line(capsys.readouterr().err)
    assert files(song.parent) == before


def test_a_model_may_be_named(song: Path) -> None:
    model = ROOT / "models" / "pointer.tflite"
    assert run(["extend", str(song), "--seconds", "8", "--model", str(model)]) == 0


def test_a_full_disk_leaves_nothing(song: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    output = song.with_name("out.wav")
    output.write_bytes(b"mine")
    process = musex_process("extend", song, "--minutes", "1", "-o", output, "--force", preexec_fn=limit)
    _, error = process.communicate()
    assert process.returncode == 1
    assert f"musex: error: could not write {output}" in error
    assert "Traceback" not in error
    assert output.read_bytes() == b"mine"
    assert files(song.parent) == {"song.wav", "out.wav"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_writing_leaves_nothing(number: int, code: int, tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    output.write_bytes(b"mine")
    process = musex_process("extend", ROOT / "examples" / "groove.mp3", "--minutes", "8", "-o", output, "--force")
    while process.poll() is None and len(files(tmp_path)) < 2:
        time.sleep(0.005)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == code
    assert error.endswith("musex: stopped\n")
    assert output.read_bytes() == b"mine"
    assert files(tmp_path) == {"out.wav"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals a process handles")
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_ctrl_c_before_writing(delay: float, song: Path) -> None:
    process = musex_process("extend", song, "--to", "20:00:00", "-o", song.with_name("out.mp3"))
    wait_for_handlers(process)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in error
    assert files(song.parent) == {"song.wav"}


def test_odd_names(song: Path) -> None:
    odd = song.rename(song.parent / "-\N{CJK UNIFIED IDEOGRAPH-66F2} [b] $c %d\n.wav")
    assert run(["extend", "--seconds", "8", os.fspath(odd)]) == 0
    assert len(files(song.parent)) == 2


def test_spectrogram_of_one_song(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "figure.png"
    song = ROOT / "examples" / "waltz.mp3"
    assert run(["spectrogram", str(song), "--at", "0:35", "-o", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "dB" in capsys.readouterr().out
    assert run(["spectrogram", str(song), "--at", "0:35", "-o", str(output)]) == 1
    assert run(["spectrogram", str(song), "--at", "2:00", "-o", str(output), "-f"]) == 1
    assert "not within the song" in capsys.readouterr().err
    assert files(tmp_path) == {"figure.png"}


def test_spectrogram_of_two_songs(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = song.with_name("other.wav")
    other.write_bytes(song.read_bytes())
    assert run(["spectrogram", str(song), str(other)]) == 0
    assert "0.00 dB" in capsys.readouterr().out
    assert (song.parent / "song-other-spectrogram.png").exists()
    assert run(["spectrogram", str(song), str(other), "--at", "3"]) == 2


@pytest.mark.parametrize("command", [["train", "-o", "run"], ["evaluate"]])
def test_a_dataset_that_is_none(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path / part) if part == "run" else part for part in command]
    assert run([*arguments, str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("musex: error: ")


def test_evaluate_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waltz, output = tmp_path / "music" / "waltz.mp3", tmp_path / "results.json"
    waltz.parent.mkdir()
    waltz.symlink_to(ROOT / "examples" / "waltz.mp3")
    assert run(["evaluate", str(waltz.parent), "--chains", "0", "--json", str(output)]) == 0
    printed = capsys.readouterr()
    assert "averaged nearest contexts" in printed.out
    assert "choice skill" in printed.out
    assert printed.err == ""
    results = json.loads(output.read_text())
    assert results["points"] == 3
    assert {"mean", "low", "high"} == set(results["predictors"]["musex"]["choice_skill"])
    assert run(["evaluate", str(waltz.parent), "--json", str(output)]) == 1
    assert "--force" in capsys.readouterr().err
    assert run(["evaluate", str(waltz.parent), "--points", "2"]) == 2
    assert run(["evaluate", str(waltz.parent), "--chains", "0", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["predictors"] == results["predictors"]
