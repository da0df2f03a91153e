"""The audit of what `pip install musex` brings: licences here, and the answers of a made-up service."""

import json
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests import audit

NOTICE = (audit.ROOT / "NOTICE").read_text(encoding="utf-8")


def package(folder: Path, *lines: str) -> Distribution:
    """An installed package with such metadata."""
    info = folder / "tuning-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", "Name: tuning", "Version: 1.0", *lines, ""]))
    return Distribution.at(info)


def service(folder: Path, answers: dict[str, list[str] | None], *, exit_code: int = 0) -> list[str]:
    """A command that takes pip-audit's options, and knows these packages' vulnerabilities; None: not the package."""
    dependencies = [
        {"name": name, "skip_reason": "not found"}
        if known is None
        else {"name": name, "version": "1.0", "vulns": [{"id": id_, "fix_versions": ["1.1"]} for id_ in known]}
        for name, known in answers.items()
    ]
    script = folder / "service.py"
    script.write_text(
        "import sys\n"
        "options = dict(argument.split('=') for argument in sys.argv[1:] if argument.count('=') == 1)\n"
        f"open(options['--output'], 'w').write({json.dumps({'dependencies': dependencies})!r})\n"
        f"sys.exit({exit_code})\n"
    )
    return [sys.executable, str(script)]


def test_what_musex_brings_may_be_passed_on_and_notice_names_the_exceptions() -> None:
    packages = audit.brought(tomllib.loads((audit.ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert {"numpy", "imageio-ffmpeg", "scipy", "certifi"} <= set(packages)  # two of them in turn
    assert not {"tensorflow", "pytest", "sounddevice"} & set(packages)
    assert audit.licence_problems(packages, NOTICE) == []


@pytest.mark.parametrize("expression", [
    "MIT", "GPL-3.0-only OR MIT", "(MIT AND Zlib) OR GPL-2.0-only", "Apache-2.0 WITH LLVM-exception AND BSD-2-Clause",
])  # fmt: skip
def test_expressions_allowed(expression: str) -> None:
    assert audit.is_allowed(expression)


@pytest.mark.parametrize("expression", [
    "", "GPL-3.0-only", "MIT AND GPL-3.0-only", "MIT AND (Zlib OR", "MIT OR", "MIT or so", "(GPL-2.0-only OR MIT) AND",
    "(MIT OR Zlib) AND LGPL-2.1-only", "Proprietary MIT",
])  # fmt: skip
def test_expressions_not_allowed(expression: str) -> None:
    assert not audit.is_allowed(expression)


@pytest.mark.parametrize(("lines", "licence"), [
    (["License-Expression: MIT OR Apache-2.0", "License: GPL"], "MIT OR Apache-2.0"),
    (["License: MIT", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
    (["License: 3-Clause BSD License"], "BSD-3-Clause"),
    (["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Other"], "MIT AND Other"),
    ([], ""),
])  # fmt: skip
def test_licences_are_read_from_metadata_of_every_age(tmp_path: Path, lines: list[str], licence: str) -> None:
    assert audit.declared_licence(package(tmp_path, *lines)) == licence


def test_a_licence_that_is_not_allowed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXEMPT", {})
    copyleft = package(tmp_path / "copyleft", "License-Expression: GPL-3.0-only")
    assert audit.licence_problems({"tuning": copyleft}, "") == ["tuning 1.0: GPL-3.0-only, which is not allowed"]
    silent = package(tmp_path / "silent")
    assert audit.licence_problems({"tuning": silent}, "") == ["tuning 1.0: no licence declared, which is not allowed"]


def test_an_exemption_holds_for_its_licence_and_needs_a_word_in_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "EXEMPT", {"tuning": audit.Exemption("libfork", "LGPL-2.1-only", "replaceable")})
    notice = "libfork, in the package tuning"
    same = package(tmp_path / "same", "License-Expression: LGPL-2.1-only")
    assert audit.licence_problems({"tuning": same}, notice) == []
    (told,) = audit.licence_problems({"tuning": same}, "a library, in the package tuning")
    assert "libfork" in told
    other = package(tmp_path / "other", "License-Expression: GPL-3.0-only")
    assert audit.licence_problems({"tuning": other}, notice) == ["tuning 1.0: GPL-3.0-only, which is not allowed"]
    assert audit.licence_problems({}, notice) == ["tuning is exempt, and not needed"]


def test_vulnerabilities_are_told(tmp_path: Path) -> None:
    command = service(tmp_path, {"tuning": ["PYSEC-1"], "drum": [], "pyyaml": ["PYSEC-2"]}, exit_code=1)
    known = audit.known_vulnerabilities({"tuning": "1.0", "drum": "1.0"}, command)
    assert known == ["tuning 1.0: PYSEC-1, mended in ['1.1']"]


@pytest.mark.parametrize(("answers", "reason"), [
    ({"tuning": None, "pyyaml": None}, "knows nothing of 2 of 2: pyyaml, tuning"),
    ({"pyyaml": ["PYSEC-2"]}, "knows nothing of 1 of 2: tuning"),
    ({"tuning": [], "pyyaml": []}, "no vulnerability of pyyaml 5.3, which has some"),
])  # fmt: skip
def test_a_service_that_knows_nothing_passes_nothing(
    tmp_path: Path, answers: dict[str, list[str] | None], reason: str
) -> None:
    with pytest.raises(audit.NotCheckedError, match=reason):
        audit.known_vulnerabilities({"tuning": "1.0"}, service(tmp_path, answers))


def test_no_answer_passes_nothing() -> None:
    with pytest.raises(audit.NotCheckedError, match="no route to the service"):
        audit.known_vulnerabilities({}, [sys.executable, "-c", "raise SystemExit('no route to the service')"])


def test_the_command_says_what_was_not_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(_: object) -> list[str]:
        raise audit.NotCheckedError("no route to the service")

    monkeypatch.setattr(audit, "known_vulnerabilities", unreachable)
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main() == 1
    assert "Vulnerabilities: NOT CHECKED: no route to the service" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["audit", "--offline"])
    assert audit.main() == 0
    assert "Vulnerabilities: NOT CHECKED, as asked" in capsys.readouterr().out
