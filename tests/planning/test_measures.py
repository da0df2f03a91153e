"""Measures of a plan that was edited by hand: those of the sound."""

import json
from pathlib import Path

import pytest

from musex.cli import app as cli
from musex.files import extend_file, render_file
from musex.plans import Plan, Seam

EXACT = ("level_db", "flux_percentile", "correlation")


def measures(seam: Seam) -> tuple[float | None, ...]:
    return tuple(getattr(seam, name) for name in EXACT)


@pytest.fixture
def plan_path(wav_path: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    extend_file(wav_path, tmp_path / "long.wav", seconds=9, plan_path=path)
    return path


def test_what_a_plan_tells_of_its_seams_is_not_believed(plan_path: Path) -> None:
    true = Plan.from_json(plan_path.read_text())
    content = json.loads(plan_path.read_text())
    for seam in content["seams"]:
        seam |= {"level_db": 40.0, "flux_percentile": 100.0, "rhythm_ms": 70.0, "beat": 0.0, "bar": 0.0}
    plan_path.write_text(json.dumps(content))
    output = plan_path.with_name("again.wav")
    told, _ = render_file(plan_path, output)
    assert {seam.level_db for seam in told.seams} == {40.0}
    measured, _ = render_file(plan_path, output, measured=True, force=True)
    for seam, wanted in zip(measured.seams, true.seams, strict=True):
        assert measures(seam) == pytest.approx(measures(wanted), abs=1e-9)
        assert seam.beat != 0.0
    assert len(true.seams) > 0


def test_a_seam_that_was_moved_fails_its_check(plan_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(plan_path.read_text())
    moved = 4_000  # samples: 91 ms off the beat
    content["seams"][0]["to"] += moved
    content["spans"][1]["start"] += moved
    content["spans"][1]["stop"] += moved * (len(content["seams"]) > 1)
    for seam in content["seams"][1:2]:
        seam["from"] += moved
    content["rest"] += moved * (len(content["seams"]) == 1)
    plan_path.write_text(json.dumps(content))
    output = plan_path.with_name("again.wav")
    assert cli.run(["render", str(plan_path), "-o", str(output), "--check"]) == 3
    assert "1 seam, 1 beyond" in capsys.readouterr().out or len(content["seams"]) > 1
