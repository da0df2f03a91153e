"""`extend --from`, `--dry-run` and `seams`, and the options that say what is heard, as a user types them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from musex.cli.app import run
from musex.plans import Plan, read_plan

GROOVE = Path(__file__).parent.parent.parent / "examples" / "groove.mp3"


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(GROOVE, "song.mp3")
    return Path("song.mp3")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what somebody has made who now wants to change it."""
    folder = tmp_path_factory.mktemp("planned")
    output, plan = folder / "long.wav", folder / "plan.json"
    assert run(["extend", str(GROOVE), "--minutes", "3", "-o", str(output), "--plan", str(plan), "-q"]) == 0
    return folder


@pytest.fixture
def plan(song: Path, planned: Path) -> Plan:
    for name in ("long.wav", "plan.json"):
        shutil.copy(planned / name, name)
    return read_plan("plan.json")


def places(plan: Plan) -> list[tuple[int, int]]:
    return [(seam.leave, seam.enter) for seam in plan.seams]


def test_a_plan_is_changed_and_written(song: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("long.wav").read_bytes()
    assert (
        run(["extend", "song.mp3", "--from", "plan.json", "--reject", "2", "-o", "other.wav", "--plan", "b.json"]) == 0
    )
    assert "other.wav: 3:00.0" in capsys.readouterr().out
    edited = read_plan("b.json")
    assert places(edited)[0] == places(plan)[0]
    assert places(edited) != places(plan)
    assert edited.settings.forbid
    assert Path("long.wav").read_bytes() == before
    assert Path("other.wav").read_bytes() != before
    assert run(["render", "b.json", "--song", "song.mp3", "-o", "again.wav", "-q"]) == 0
    assert Path("again.wav").read_bytes() == Path("other.wav").read_bytes()


def test_a_plan_that_tells_no_duration_keeps_its_own(
    song: Path, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path("plan.json").read_text())
    del content["settings"]["requested_seconds"]
    Path("plan.json").write_text(json.dumps(content))
    assert run(["extend", "song.mp3", "--from", "plan.json", "--reject", "2", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == plan.seconds


def test_alternatives_are_listed_and_taken(song: Path, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["seams", "plan.json", "2", "--song", "song.mp3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["number"] == 2
    assert 2 <= len(told["alternatives"]) <= 10
    first = told["alternatives"][0]
    assert {"at", "from", "to", "correlation", "bar", "exceeds", "keeps", "cost"} <= first.keys()
    assert run(["extend", "song.mp3", "--from", "plan.json", "--take", "2:1", "--dry-run", "--json"]) == 0
    taken = Plan.from_json(capsys.readouterr().out)
    rate = taken.song.sample_rate
    assert any(abs(seam.leave / rate - first["from"]) < 1e-6 for seam in taken.seams)
    assert run(["seams", "plan.json", "2"]) == 0
    assert "2 now" in capsys.readouterr().out
    assert run(["seams", "plan.json", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["seams"]) == len(plan.seams)


def test_a_dry_run_writes_nothing(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", "song.mp3", "--minutes", "3", "--dry-run"]) == 0
    assert "not written" in capsys.readouterr().out
    assert run(["extend", "song.mp3", "--minutes", "3", "--dry-run", "--json"]) == 0
    dry = Plan.from_json(capsys.readouterr().out)
    assert [path.name for path in Path().iterdir()] == ["song.mp3"]
    assert run(["extend", "song.mp3", "--minutes", "3", "-o", "a.wav", "--plan", "a.json", "-q"]) == 0
    assert read_plan("a.json").spans == dry.spans


def test_settings_of_the_plan_hold_where_no_others_are_given(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["extend", "song.mp3", "--seconds", "150", "--ending", "fade", "--seed", "3", "--avoid", "10-12"]
    assert run([*command, "-o", "a.wav", "--plan", "a.json", "-q"]) == 0
    assert run(["extend", "song.mp3", "--from", "a.json", "--ending", "cut", "--dry-run", "--json"]) == 0
    changed = Plan.from_json(capsys.readouterr().out).settings
    assert (changed.ending, changed.seed, changed.avoid) == ("cut", 3, ((10.0, 12.0),))
    assert changed.requested_seconds == 150.0


def test_wishes_are_followed(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["extend", "song.mp3", "--minutes", "3", "--dry-run", "--json"]
    assert run([*command, "--hit", "0:30@1:40", "--must", "0:50-0:58", "--jumps-from", "0:05"]) == 0
    plan = Plan.from_json(capsys.readouterr().out)
    rate = plan.song.sample_rate
    assert plan.places(np.array([100 * rate]))[0] / rate == pytest.approx(30.0, abs=0.05)
    assert any(span.start <= 50 * rate and span.stop >= 58 * rate for span in plan.spans)
    assert plan.settings.keep_from == 5.0
    assert run([*command, "--nearest", "--ending", "cut"]) == 0
    assert abs(Plan.from_json(capsys.readouterr().out).seconds - 180.0) <= 8.0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--minutes", "3", "--reject", "1"], 2, "name it by --from PLAN"),
        (["--from", "plan.json", "--reject", "99"], 2, "there is no seam 99"),
        (["--from", "plan.json", "--reject", "x"], 2, "--reject x names no seam"),
        (["--from", "plan.json", "--take", "2"], 2, "--take 2 names no alternative"),
        (["--from", "plan.json", "--take", "2:0"], 2, "--take 2:0 names no alternative"),
        (["--from", "plan.json", "--take", "1:2", "--take", "1:3"], 2, "--take names seam 1 twice"),
        (["--from", "plan.json", "--lock", "1", "--reject", "1"], 2, "cannot both"),
        (["--from", "plan.json", "-o", "-"], 2, "without --check, --from"),
        (["--from", "missing.json"], 1, "no such plan"),
        (["--minutes", "3", "--hit", "1:00"], 2, "1:00 is no hit"),
        (["--minutes", "3", "--hit", "9:00@0:10"], 1, "nothing at 540 s that could be hit"),
        (["--minutes", "3", "--hit", "1:00@0:00.5"], 1, "the nearest time at which it can be"),
        (["--minutes", "3", "--forbid", "1:00"], 2, "1:00 is no jump"),
        (["--minutes", "3", "--must", "1:00"], 2, "1:00 is not a stretch"),
        (["--minutes", "3", "--must", "1:00-1:10", "--ending", "loop"], 2, "--must is for other endings than loop"),
        (["--minutes", "3", "--hit", "0:10@0:20", "--ending", "loop"], 2, "--hit is for other endings than loop"),
        (["--minutes", "3", "--must", "0:30-0:40", "--avoid", "0:35-0:45"], 2, "they must not overlap"),
        (["--minutes", "3", "--forbid", "0:50>0:30", "--require", "0:50>0:30"], 1, "none there that is not forbidden"),
        (["--minutes", "3", "--dry-run", "-o", "x.wav"], 2, "--dry-run writes nothing"),
    ],
)
def test_wrong_wishes_are_one_line(
    plan: Plan, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = sorted(path.name for path in Path().iterdir())
    capsys.readouterr()
    assert run(["extend", "song.mp3", *arguments]) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == there


@pytest.mark.parametrize("number", ["0", "-1", "a", "1.5"])
def test_seams_are_counted_from_one(number: str, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["seams", "plan.json", "--", number]) == 2
    error = capsys.readouterr().err
    assert f"seam {number} cannot be used: give a whole number from 1 on" in error
    assert error.count("\n") == 1


def test_the_summary_tells_what_a_change_by_hand_costs(
    song: Path, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path("plan.json").read_text())
    content["tries"] = 1
    content["seams"][0]["level_db"] = 20.0
    Path("plan.json").write_text(json.dumps(content))
    assert run(["render", "plan.json", "--song", "song.mp3", "-o", "again.wav"]) == 0
    assert ", 1 beyond the bounds)" in capsys.readouterr().out
