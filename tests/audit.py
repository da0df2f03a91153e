"""Whether what `pip install musex` brings may be passed on with it, and is known to be vulnerable; exit 1 if so.

Licences are those that the packages installed here declare, which says nothing of libraries within them: the ones whose
terms ask for more than to be named stand in `EXEMPT`, and in NOTICE. Known vulnerabilities are told by pip-audit, which
asks a service on the network; if that gives no answer to rely on, nothing passes.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent

# What a project under the MIT licence may ask for without a word: their terms end with keeping their notices.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU",
    "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip

# Words of metadata older than SPDX expressions, without case, and what they mean.
SPDX = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "historical permission notice and disclaimer (hpnd)": "HPND",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.1-or-later",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}


@dataclass(frozen=True)
class Exemption:
    """What a package brings under other terms than those in `ALLOWED`, and why musex may ask for it."""

    part: str  # as NOTICE names it
    licence: str  # SPDX
    reason: str


_FORTRAN = "the exception lets any program be linked with GCC's runtime"
EXEMPT = {
    "certifi": Exemption("certifi", "MPL-2.0", "a list of certificates, unchanged, in files of its own"),
    "imageio-ffmpeg": Exemption("ffmpeg", "GPL-3.0-or-later", "a program of its own, started as a process"),
    "numpy": Exemption("libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1", _FORTRAN),
    "scikit-learn": Exemption("libgomp", "GPL-3.0-or-later WITH GCC-exception-3.1", _FORTRAN),
    "scipy": Exemption("libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1", _FORTRAN),
    "soundfile": Exemption("libsndfile", "LGPL-2.1-or-later", "loaded when needed, and can be replaced"),
    "soxr": Exemption("libsoxr", "LGPL-2.1-or-later", "in a module of its own, which can be replaced"),
    "tqdm": Exemption("tqdm", "MPL-2.0 AND MIT", "unchanged, in files of its own"),
}

# A release with vulnerabilities known for years: a service that does not tell of them knows nothing.
CANARY = ("pyyaml", "5.3")


class NotCheckedError(Exception):
    """Nothing can be said of vulnerabilities, and why."""


def brought(requirements: Iterable[str]) -> dict[str, Distribution]:
    """All that requirements need in turn, as installed here, by name.

    Raises:
        PackageNotFoundError: One is not installed.
    """
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements if _is_needed(Requirement(text), frozenset())]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in asked:
            continue
        asked.add((name, extras))
        found[name] = distribution(name)
        needs = [Requirement(text) for text in found[name].requires or ()]
        waiting += [need for need in needs if _is_needed(need, extras)]
    return dict(sorted(found.items()))


def _is_needed(requirement: Requirement, extras: frozenset[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras})


def declared_licence(package: Distribution) -> str:
    """What the metadata of a package says, as an SPDX expression as far as its words are known; "" if nothing."""
    metadata = package.metadata
    classifiers = [
        text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or () if text.startswith("License ::")
    ]
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    # Several classifiers may all hold, or be a choice: all of them is the stricter reading.
    words = classifiers or metadata.get_all("License") or [""]
    return " AND ".join(SPDX.get(word.lower(), word) for word in words)


def is_allowed(expression: str) -> bool:
    """Whether `ALLOWED` is enough for an SPDX expression: for one side of each OR, for both of each AND."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)

    def either() -> bool:
        value = both()
        while tokens[:1] == ["OR"]:
            tokens.pop(0)
            value = both() or value
        return value

    def both() -> bool:
        value = single()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            value = single() and value
        return value

    def single() -> bool:
        token = tokens.pop(0)
        if token == "(":
            value = either()
            return tokens.pop(0) == ")" and value
        if tokens[:1] == ["WITH"]:
            del tokens[:2]  # what follows WITH permits more
        return token in ALLOWED

    try:
        return either() and not tokens  # words that follow are no expression
    except IndexError:  # it ends too early
        return False


def licence_problems(packages: Mapping[str, Distribution], notice: str) -> list[str]:
    """What is wrong with the licences of packages, and with what NOTICE says of them; a line for each."""
    problems = []
    for name, package in packages.items():
        licence = declared_licence(package)
        exempt = EXEMPT.get(name)
        if not is_allowed(licence) and (exempt is None or licence != exempt.licence):
            problems.append(f"{name} {package.version}: {licence or 'no licence declared'}, which is not allowed")
        if exempt and not any({exempt.part, name} <= set(re.findall(r"[\w-]+", line)) for line in notice.splitlines()):
            problems.append(f"NOTICE says nothing of {exempt.part} in {name}, which is under {exempt.licence}")
    problems += [f"{name} is exempt, and not needed" for name in EXEMPT if name not in packages]
    return problems


def known_vulnerabilities(
    versions: Mapping[str, str], command: Sequence[str] = (sys.executable, "-m", "pip_audit")
) -> list[str]:
    """What pip-audit knows of these releases, a line for each vulnerability.

    Raises:
        NotCheckedError: It is not installed, the service gave no answer, or one that cannot be relied on.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder, "requirements.txt"), Path(folder, "audit.json")
        pins = {**versions, CANARY[0]: CANARY[1]}
        asked.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
        done = subprocess.run(
            [*command, f"--requirement={asked}", *options, f"--output={told}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not told.exists():
            raise NotCheckedError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
        answers = {answer["name"]: answer for answer in json.loads(told.read_text())["dependencies"]}
    missing = sorted(name for name in pins if "vulns" not in answers.get(name, {}))
    if missing:
        raise NotCheckedError(f"the service knows nothing of {len(missing)} of {len(pins)}: {', '.join(missing)}")
    if not answers.pop(CANARY[0])["vulns"]:
        raise NotCheckedError(f"the service knows no vulnerability of {CANARY[0]} {CANARY[1]}, which has some")
    return [
        f"{name} {answer['version']}: {vulnerability['id']}, mended in {vulnerability['fix_versions'] or 'no release'}"
        for name, answer in answers.items()
        for vulnerability in answer["vulns"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="licences only")
    offline = parser.parse_args().offline

    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    try:
        packages = brought(requirements)
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed: install musex first")
        return 1
    for name, package in packages.items():
        exempt = EXEMPT.get(name)
        aside = f"; {exempt.part}: {exempt.licence}, {exempt.reason}" if exempt else ""
        print(f"{name} {package.version}: {declared_licence(package)}{aside}")
    problems = licence_problems(packages, (ROOT / "NOTICE").read_text(encoding="utf-8"))
    print(f"Licences: {len(packages)} packages, {len(problems)} problems", *problems, sep="\n  ")
    if offline:
        print("Vulnerabilities: NOT CHECKED, as asked")
        return int(bool(problems))
    try:
        known = known_vulnerabilities({name: package.version for name, package in packages.items()})
    except NotCheckedError as error:
        print(f"Vulnerabilities: NOT CHECKED: {error}")
        return 1
    print(f"Vulnerabilities: {len(packages)} packages, {len(known)} known", *known, sep="\n  ")
    return int(bool(problems or known))


if __name__ == "__main__":
    sys.exit(main())
