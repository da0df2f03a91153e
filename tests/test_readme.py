"""README.md says what is so: its commands are run or parsed, its code is executed."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile
import typer

from musex.audio import read_song
from musex.cli import app, run
from musex.model import packaged_model
from musex.writing import write_song

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
BLOCKS = "".join(re.findall(r"^```(?:bash)?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
USES = [
    shlex.split(line, comments=True)[1:] for line in re.findall(r"^(?:\.venv/bin/)?musex .*$", BLOCKS, re.MULTILINE)
]


def test_two_commands_set_everything_up() -> None:
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert COMMANDS[1].endswith(" && .venv/bin/python -m pytest")


def test_extras_named_exist() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    named = set(re.findall(r'"\.\[(\w+)\]"', README))
    assert named == extras == {"train", "evaluate", "play", "dev"}


def test_continuous_integration_runs_the_same_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (pattern,) = re.findall(r"grep --extended-regexp '(.*)' README.md", script)
    assert re.findall(f"{pattern}.*", README, re.MULTILINE) == [COMMANDS[1]]


def test_first_command_extends_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = shlex.split(COMMANDS[0].split(" && ")[-1])
    assert command[0] == ".venv/bin/musex"
    monkeypatch.chdir(ROOT)
    output = tmp_path / "out.wav"
    assert run([*command[1:], "-o", str(output), "--quiet"]) == 0
    assert soundfile.info(output).duration == pytest.approx(300.0, abs=0.1)


SHORTER = {"10": "2", "1:02:03": "0:03:03"}  # the songs here are short, too
LONG = ("train", "evaluate", "play")  # these are run by their own tests, on what is made for them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands name: songs, an album and a model."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "album").mkdir()
    song = read_song(ROOT / "examples" / "groove.mp3")
    for name in ("song.mp3", "song.flac", "more.mp3", "album/first.mp3", "album/second.mp3"):
        write_song(folder / name, [song.samples], song=song)
    (folder / "run").symlink_to(packaged_model().parent)
    return folder


@pytest.mark.parametrize("arguments", USES, ids=" ".join)
def test_uses_do_as_told(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In their order: some go on from what others wrote."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))
    if arguments[0] in LONG or "|" in arguments:
        return
    monkeypatch.chdir(folder)
    again = ["--force"] if arguments[0] in ("extend", "render", "report", "spectrogram") else []
    assert run([*(SHORTER.get(word, word) for word in arguments), *again]) in (
        0,
        3,
    )  # 3: a seam of so short a song fails its check
    assert "error" not in capfd.readouterr().err


def test_uses_name_every_command() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {use[0] for use in USES} == set(commands)


def test_python_code_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the README's own code
    assert "44100" in capsys.readouterr().out


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_worked_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, "examples/extend_in_python.py", "examples/waltz.mp3", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the same seed, the same result: True" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"faded.wav", "longer.mp3"}
