"""The pages say what is so: their code runs, their commands and links lead somewhere, the tests they name exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from musex.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("models/*.md")])
PYTHON = re.findall(r"```python\n(.*?)```", (ROOT / "examples" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_of(page: Path) -> list[list[str]]:
    """The musex commands in a page's blocks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "".join(re.findall(r"^```(?:bash)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for name, value in re.findall(r'^(\w+)="([^"]*)"$', blocks, re.MULTILINE):
        blocks = blocks.replace(f"${name}", " ".join(value.split()))
    found = re.findall(r"^(?:\.venv/bin/)?musex .*$", blocks, re.MULTILINE)
    return [shlex.split(line.split(" | ")[0], comments=True)[1:] for line in found]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for arguments in commands_of(page):
        commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_code_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "python.md", "exec"), {})  # noqa: S102 - the page's own code


def test_the_command_reference_is_that_of_the_commands() -> None:
    command = [sys.executable, "-m", "typer", "musex.cli", "utils", "docs", "--name", "musex"]
    made = subprocess.run(command, cwd=ROOT, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)
    page = (ROOT / "examples" / "commands.md").read_text(encoding="utf-8")
    types = r" ?(<[^>\n]*>|x&gt;=\d+)"  # which versions of Typer put differently
    assert re.sub(types, "", made.stdout).strip() == re.sub(types, "", page).strip(), (
        f"renew it by {shlex.join(command)}"
    )


def test_tests_named_beside_features_exist() -> None:
    page = (ROOT / "examples" / "peers.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page)
    claimed = re.findall(r"^\| [^|]+ \| yes \|", page, re.MULTILINE)
    assert len(named) == len(claimed) > 30
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_a_strict_checker_knows_the_types(tmp_path: Path) -> None:
    (tmp_path / "downstream.py").write_text(
        "from pathlib import Path\n"
        "from typing import assert_type\n\n"
        "import musex\n\n\n"
        "def prolong(path: Path) -> float:\n"
        "    song = assert_type(musex.read_song(path), musex.Song)\n"
        "    model = musex.load_model()\n"
        '    longer = assert_type(musex.extend(song, seconds=60, model=model, mood="calm"), musex.Extension)\n'
        "    plan = assert_type(musex.plan(song, seconds=60), musex.Plan)\n"
        "    assert_type(musex.predict(song, at=20.0, model=model), musex.Prediction)\n"
        '    assert_type(musex.extend_file(path, "longer.mp3", seconds=60, force=True), musex.Plan)\n'
        "    return longer.seconds + plan.seconds + sum(len(block) for block in musex.render(plan, song))\n"
    )
    wrong = "import musex\n\nmusex.extend('song.mp3', seconds='60', melody='calm')\n"
    (tmp_path / "wrong.py").write_text(wrong)
    check = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    where = {"cwd": tmp_path, "env": os.environ | {"MYPYPATH": str(ROOT)}, "capture_output": True, "text": True}
    done = subprocess.run([*check, "--follow-imports=silent", "downstream.py"], **where)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout
    done = subprocess.run([*check, "--follow-imports=silent", "wrong.py"], **where)  # type: ignore[call-overload]
    assert "melody" in done.stdout
    assert '"seconds"' in done.stdout
