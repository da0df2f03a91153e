"""README.md says what is so: its commands are run or parsed, its code is executed."""

import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile
import typer

from musex.cli.app import app, run

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
    assert named == extras == {"train", "editors", "evaluate", "play", "studio", "cluster", "dev"}


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


def test_worked_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["extend_in_python.py", "examples/waltz.mp3", str(tmp_path)])
    runpy.run_path("examples/extend_in_python.py", run_name="__main__")
    assert "the same seed, the same result: True" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"faded.wav", "longer.mp3"}
