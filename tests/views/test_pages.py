"""The pages say what is so: their code and commands run, their links lead somewhere, the tests they name exist."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer

from musex.audio.reading import read_song
from musex.cli.app import app
from tests.conftest import MadeOnce
from tests.pages import APART, COMMANDS, LEARNING, PAGES, REMOTE, ROOT, commands_of, follow, prepare

PYTHON = re.findall(r"```python\n(.*?)```", (ROOT / "examples" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for arguments in commands_of(page):
        commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))


ELSEWHERE = {  # what needs more than a folder, and the tests that run it
    ("play", "song.mp3"): "test_playing.py::test_the_command_plays_until_it_is_ended_by_a_key",
    ("mix", "album/", "more.mp3", "-o", "-"): "test_mixing.py::test_the_command_streams_until_the_pipe_is_closed",
    ("studio", "song.mp3"): "test_serving.py::test_the_command_prints_its_address_and_leaves_nothing",
    ("evaluate", "other-music/", "--seams"): "test_seam_classifier.py::test_hard_cuts_are_found",
    ("evaluate", "other-music/", "--phrases"): "test_phrase_judge.py::test_jumps_are_found_and_phrases_kept",
    ("evaluate", "other-music/", "--beats"): "test_jumps.py::test_seams_of_recordings_are_judged_by_trackers",
    (
        "evaluate",
        "songs/",
        "--words",
    ): "test_words.py::test_plans_that_listen_for_a_voice_cut_fewer_words_than_random_jumps",
    ("evaluate", "scores/", "--scores"): "test_jumps.py::test_seams_are_judged_by_the_scores_of_modules",
}


@pytest.fixture(scope="module")
def reader(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., np.ndarray]) -> Path:
    return prepare(made_once, tmp_path_factory.mktemp("reader"), make_song)


HERE = [words for words in COMMANDS if words not in (*LEARNING, *REMOTE, *APART)]


@pytest.mark.parametrize("arguments", HERE, ids=" ".join)
def test_commands_do_as_told(
    arguments: tuple[str, ...], reader: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In their order: some go on from what others wrote; `test_training_pages.py` has those that learn.

    `test_clusters.py` has those that need a cluster or a store.
    """
    if arguments in ELSEWHERE:
        file, test = ELSEWHERE[arguments].split("::")
        assert f"def {test}(" in next((ROOT / "tests").rglob(file)).read_text(encoding="utf-8")
        return
    monkeypatch.chdir(reader)
    follow(arguments, capfd)


RunScript = Callable[..., str]


@pytest.fixture
def run_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunScript:
    """Runs a script of this repository, and gives what it prints."""

    def run_it(script: str, *arguments: str | Path) -> str:
        monkeypatch.chdir(ROOT)
        monkeypatch.syspath_prepend(str((ROOT / script).parent))
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(script, run_name="__main__")
        return capsys.readouterr().out

    return run_it


def test_the_example_songs_can_be_made_again(run_script: RunScript, tmp_path: Path) -> None:
    run_script("examples/make_songs.py", "waltz", "--folder", tmp_path)
    made, kept = (read_song(folder / "waltz.mp3").samples for folder in (tmp_path, ROOT / "examples"))
    assert made.shape == kept.shape
    assert np.abs(made - kept).max() < 0.02  # encoders differ


def test_the_tables_of_the_paper_are_those_of_its_losses(run_script: RunScript, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("shared", "own", "lstm", "shared-0.001", "rate-0.001")]
    for run in runs:
        run.mkdir()
        shutil.copy(ROOT / "models" / "figures" / f"{run.name}-losses.csv", run / "losses.csv")
        (run / "config.json").write_text('{"weights": 0}')
    printed = run_script("models/compare_references.py", *runs)
    rows = re.findall(r"^\| (epochs|MSE a.*?|best .*?) " + len(runs) * r"\| (.*?) " + r"\|$", printed, re.MULTILINE)
    assert len(rows) == 5
    page = (ROOT / "models" / "paper.md").read_text(encoding="utf-8")
    for name, *values in rows:
        cells = r" \| ".join(map(re.escape, values))
        assert re.search(rf"^\| {re.escape(name)}.*\| {cells} \|$", page, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_code_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "python.md", "exec"), {})  # noqa: S102 - the page's own code


def test_the_command_reference_is_that_of_the_commands() -> None:
    command = [sys.executable, "-m", "typer", "musex.cli.app", "utils", "docs", "--name", "musex"]
    made = subprocess.run(command, cwd=ROOT, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)
    page = (ROOT / "examples" / "commands.md").read_text(encoding="utf-8")
    types = r" ?(<[^>\n]*>|x&gt;=\d+)"  # which versions of Typer put differently
    assert re.sub(types, "", made.stdout).strip() == re.sub(types, "", page).strip(), (
        f"renew it by {shlex.join(command)}"
    )


@pytest.mark.parametrize(("page", "least"), [("examples/peers.md", 31), ("models/paper.md", 4)])
def test_tests_named_beside_features_exist(page: str, least: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    claimed = re.findall(r"^\| [^|]+ \| yes\b", text, re.MULTILINE)
    assert len(named) == len(claimed) >= least
    for file, test in named:
        assert f"def {test}(" in next((ROOT / "tests").rglob(file)).read_text(encoding="utf-8"), f"{file}::{test}"


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
