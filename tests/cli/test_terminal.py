"""What is shown: one JSON object, what was decided, suggestions, completion; nothing that was not asked for."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import soundfile
from rich.progress import Progress
from rich.table import Table

from musex.cli.app import run
from musex.cli.terminal import SongLines, show_tables
from musex.errors import suggest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def song(tmp_path: Path, wav_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(wav_path.read_bytes())
    return path


def test_json_is_all_there_is_on_stdout(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = song.with_name("plan.json")
    output = song.with_name("long.wav")
    command = ["extend", str(song), "--seconds", "20", "-o", str(output), "--plan", str(plan), "--json"]
    assert run(command) == 0
    told = json.loads(capsys.readouterr().out)
    (made,) = told["outputs"]
    kept = json.loads(plan.read_text())
    assert (told["song"], made["output"]) == (str(song), str(output))
    assert made["seconds"] == kept["seconds"] == pytest.approx(20.0, abs=0.1)
    assert [seam["at"] * 44_100 for seam in made["seams"]] == pytest.approx([seam["at"] for seam in kept["seams"]])
    assert made["settings"] == kept["settings"]
    assert run(["render", str(plan), "-o", str(output), "--force", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["song"] == str(song)
    assert again["outputs"][0]["seams"] == made["seams"]
    assert all(set(seam["exceeds"]) <= set(seam) for seam in made["seams"])


def test_json_of_figures_holds_their_errors(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, names in ((["spectrogram", str(song)], {"pointer"}), (["spectrogram", str(song), str(song)], None)):
        assert run([*command, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert Path(told["figure"]).read_bytes().startswith(b"\x89PNG")
        assert set(told["error_db"]) == (names or {"difference"})
    assert told["error_db"]["difference"] == 0.0


def test_json_of_a_batch_names_what_failed(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = song.with_name("bad.wav")
    bad.write_bytes(b"nothing")
    assert run(["extend", str(song), str(bad), "--seconds", "9", "-o", str(song.with_name("out")), "--json"]) == 1
    told = {entry["song"]: entry for entry in json.loads(capsys.readouterr().out)["outputs"]}
    assert {name: entry["state"] for name, entry in told.items()} == {str(song): "made", str(bad): "failed"}
    assert told[str(song)]["seconds"] == pytest.approx(9.0, abs=0.1)
    assert all(set(seam["exceeds"]) <= set(seam) for seam in told[str(song)]["seams"])
    assert "seams" not in told[str(bad)]


def test_verbose_tells_of_every_seam_and_only_then(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["extend", str(song), "--seconds", "20", "--force", "--json"]
    assert run([*command, "--verbose"]) == 0
    told = capsys.readouterr()
    seams = json.loads(told.out)["outputs"][0]["seams"]
    assert told.err.count(" on to ") >= len(seams) > 0  # what was tried in vain, too
    assert "planned and written in" in told.err
    assert run(command) == 0
    assert capsys.readouterr().err == ""


def test_what_is_near_is_suggested() -> None:
    assert suggest("clam", ("calm", "bright")) == "; did you mean calm?"
    assert suggest("xyz", ("calm", "bright")) == ""


@pytest.mark.parametrize(
    ("change", "near"),
    [({"song.wav": "sing.wav"}, "song.wav"), ({"calm": "clam"}, "calm"), ({"out.mp3": "out.mp33"}, ".mp3")],
)
def test_errors_suggest(change: dict[str, str], near: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"song.wav": str(song), "calm": "calm", "out.mp3": str(song.with_name("out.mp3"))}
    for name, wrong in change.items():
        words[name] = words[name].replace(name, wrong)
    given = ["extend", words["song.wav"], "--seconds", "9", "--mood", words["calm"], "-o", words["out.mp3"]]
    assert run(given) == (2 if "calm" in change else 1)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"did you mean {near}?" in error


def test_commands_and_options_are_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exten"]) == 2
    assert "'extend'" in capsys.readouterr().err
    assert run(["extend", "song.wav", "--minuts", "3"]) == 2
    assert "--minutes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", "complete -o"), ("zsh", "#compdef musex"), ("fish", "complete --command musex")]
)
def test_shells_complete(shell: str, words: str) -> None:
    script = Path(sys.executable).with_name("musex")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "musex"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_MUSEX_COMPLETE": f"source_{shell}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert words in done.stdout
    if shell == "bash":
        asked = {"_MUSEX_COMPLETE": "complete_bash", "COMP_WORDS": "musex ext", "COMP_CWORD": "1"}
        done = subprocess.run(command, env={**environment, **asked}, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["extend"]


def test_what_is_meant_is_said(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {
        (str(song), "--loop"): (2, f"name one before it, such as musex extend {song} --minutes 10"),
        (str(song.parent),): (2, "is no command but a folder"),
        ("extend", str(song), "--minutes", "2:37"): (2, "as a time it is --to 2:37"),
        ("extend", str(song), "--minutes", "1", "--ending", "bang"): (2, "--ending bang is not available"),
    }
    for arguments, (code, words) in said.items():
        assert run(list(arguments)) == code
        error = capsys.readouterr().err
        assert words in " ".join(error.split())
        assert "Value error" not in error


def test_brackets_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("song [a]", title="[b]")
    table.add_row("pip install 'musex[train]'")
    show_tables([table])
    assert run(["play", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", "").split())
    for words in ("song [a]", "[b]", "musex[train]", "[default: the file's]"):
        assert words in shown


def test_what_is_asked_for_is_not_lost_where_stdout_is_closed(
    song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    song_path = str(song)
    for arguments in (
        ["info", song_path],
        ["extend", song_path, "--seconds", "8", "--json"],
        ["doctor"],
        ["--version"],
        ["--help"],
        ["extend", "-h"],
        [],
    ):
        assert run(arguments) == 1
        assert capsys.readouterr().err.startswith("musex: error: stdout is closed")
    assert list(song.parent.iterdir()) == [song]


def test_closed_streams_are_no_errors(song: Path) -> None:
    command = f"{sys.executable} -m musex extend {song} --seconds 8 --check <&- >&- 2>&-; echo $?"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")  # there is nowhere to print the check
    command = command.replace(" --check", "")
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert soundfile.info(song.with_name(f"{song.stem}-extended.wav")).duration == pytest.approx(8.0, abs=0.1)


def test_no_colour_where_nobody_sees_it(
    song: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for changed in ({}, {"NO_COLOR": "1", "FORCE_COLOR": ""}):
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        assert run(["extend", str(song), "--seconds", "20", "--check", "--force"]) in (0, 3)
        told = capfd.readouterr()
        assert "flux" in told.out
        assert "\x1b" not in told.out + told.err


def test_bit_rate_and_quality_exclude_each_other(wav_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(wav_path), "--seconds", "8", "--bitrate", "96k", "--quality", "best"]) == 2
    assert "--bitrate and --quality are both given" in capsys.readouterr().err


def on_terminal(*arguments: str, wait_for: bytes | None = None, **changed: str) -> tuple[int, str]:
    """Exit code of a command whose output is a terminal, and what it showed; Ctrl-C is pressed once `wait_for` came."""
    shown, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment = {**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm", **changed}
    command = [sys.executable, "-m", "musex", *arguments]
    with subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        text = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(shown, 4096):
                text += data
                if wait_for is not None and wait_for in text:
                    process.send_signal(signal.SIGINT)
                    wait_for = None
    os.close(shown)
    return process.returncode, text.decode(errors="replace")


def test_a_terminal_shows_stage_time_left_and_speed(song: Path) -> None:
    plan = str(song.parent / "plan.json")
    code, text = on_terminal("extend", str(song), "--minutes", "10", "-o", str(song.parent / "a.wav"), "--plan", plan)
    assert code == 0
    code, rendering = on_terminal("render", plan, "-o", str(song.parent / "b.wav"))
    assert code == 0
    text += rendering
    for expected in (r"Predicting", r"Writing", r"\d+%", r"0:0\d:\d\d", r"\d+ × real time"):
        assert re.search(expected, text), expected


def test_songs_side_by_side_have_a_line_each(song: Path) -> None:
    other, out = song.with_name("other.wav"), song.parent / "out"
    other.write_bytes(song.read_bytes())
    command = ["extend", str(song), str(other), "--minutes", "2", "-o", str(out), "--jobs", "2"]
    code, text = on_terminal(*command)
    assert code == 0
    shown = re.sub(r"\x1b\[[\d;]*m", "", text)  # without its colours
    for name in ("song.wav", "other.wav"):
        assert re.search(rf"{name} +Predicting .* \d+% \d:\d\d:\d\d", shown), name
    assert re.search(r"0 of 2 songs .* \d+% \d:\d\d:\d\d", shown), "the time left for both"
    assert "2 made" in text[text.rindex("\x1b[?25h") :], "the lines go before the table comes"


def test_what_was_done_before_does_not_count_as_progress() -> None:
    progress = Progress(disable=True)
    lines = SongLines(progress, 4)
    first, second, third = (Path(f"{number}.mp3") for number in range(3))
    lines.finish(first)  # skipped
    for stage, done in (("Predicting", 0.5), ("Writing", 0.0)):
        lines.report(second, stage, done)
    lines.report(third, "Predicting", 0.25)
    every, one, another = progress.tasks
    assert (every.description, every.total, every.completed) == ("0 of 3 songs", 3, 0.75)
    assert (one.description, one.fields["stage"], one.completed) == ("1.mp3", "Writing", 0.0)
    lines.finish(second)
    assert progress.tasks == [every, another]
    assert (every.description, every.completed, lines.running) == ("1 of 3 songs", 1.25, 1)


def test_ctrl_c_clears_the_lines_of_songs(song: Path) -> None:
    other = song.with_name("other.wav")
    other.write_bytes(song.read_bytes())
    for jobs in ("1", "2"):
        command = ["extend", str(song), str(other), "--minutes", "1400", "--name", "{stem} long", "--jobs", jobs]
        code, text = on_terminal(*command, wait_for=b"Predicting")
        assert code == 130
        assert "Traceback" not in text
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"
        assert {path.name for path in song.parent.iterdir()} == {"song.wav", "other.wav"}


def test_ctrl_c_leaves_the_terminal_and_the_folder_as_they_were(song: Path) -> None:
    output = str(song.parent / "a.wav")
    code, text = on_terminal("extend", str(song), "--minutes", "1400", "-o", output, wait_for=b"Predicting")
    assert code == 130
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"
    assert list(song.parent.iterdir()) == [song]


def test_a_terminal_has_colours_unless_they_are_unwanted() -> None:
    colours = re.compile(r"\x1b\[[\d;]*3\d")
    assert colours.search(on_terminal("--help")[1])
    assert not colours.search(on_terminal("--help", NO_COLOR="1")[1])


def test_quiet_is_quiet_on_a_terminal(song: Path) -> None:
    assert on_terminal("extend", str(song), "--seconds", "9", "--quiet", "-o", str(song.parent / "a.wav")) == (0, "")
