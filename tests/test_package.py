"""The package: what importing it loads, what it exports, and the wheel."""

import json
import os
import pkgutil
import re
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

import musex

ROOT = Path(__file__).parent.parent
HEAVY = ("tensorflow", "keras", "librosa", "matplotlib", "numba", "scipy", "ai_edge_litert", "numpy", "pydub", "jinja2")


def run_python(code: str, *arguments: str, path: Path = ROOT, cwd: Path = ROOT) -> str:
    """Run code in a fresh interpreter that finds musex in `path`; returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_musex_loads_nothing_heavy() -> None:
    loaded = run_python("import musex, sys, json; print(json.dumps(sorted(sys.modules)))")
    assert not set(HEAVY) & set(json.loads(loaded))


@pytest.mark.parametrize("arguments", [["--help"], ["extend", "--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, json\nfrom musex.__main__ import main\n"
        "try: main()\nexcept SystemExit as end: print(json.dumps([end.code, *sorted(sys.modules)]))"
    )
    exit_code, *loaded = json.loads(run_python(code, *arguments).splitlines()[-1])
    assert exit_code == 0
    assert not set(HEAVY) & set(loaded)


def test_extending_loads_what_learns_or_draws_only_when_it_is_needed() -> None:
    loaded = set(json.loads(run_python("import musex.files, sys, json; print(json.dumps(sorted(sys.modules)))")))
    assert not {"tensorflow", "keras", "librosa", "matplotlib", "numba", "pydub", "jinja2"} & loaded


def test_help_takes_little_more_than_its_libraries() -> None:
    """As a ratio, for machines differ."""

    def seconds(*arguments: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
        return time.perf_counter() - began, done.stdout

    pairs = [(seconds("-m", "musex", "--help"), seconds("-c", "import typer.main, rich.console")) for _ in range(5)]
    (_, output), _ = pairs[0]
    assert min(help_[0] for help_, _ in pairs) < 4.0 * min(imports[0] for _, imports in pairs)
    for command in (b"extend", b"spectrogram", b"train", b"evaluate", b"render"):
        assert command in output


def test_version_stands_in_one_place() -> None:
    printed = subprocess.run([sys.executable, "-m", "musex", "--version"], cwd=ROOT, capture_output=True, check=True)
    assert printed.stdout.decode().split() == ["musex", musex.__version__]
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


def test_the_citation_names_this_version_and_licence() -> None:
    fields = dict(re.findall(r"^([\w-]+): *(.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (fields["version"], fields["license"]) == (musex.__version__, project["license"])
    assert {"cff-version", "message", "title", "authors"} <= set(fields)


def test_a_star_brings_the_public_names() -> None:
    brought: dict[str, object] = {}
    exec("from musex import *", brought)  # noqa: S102 - only a module's first lines may say so
    assert brought.keys() - {"__builtins__"} == {*musex.__all__}
    assert {"Plan", "extend", "extend_file", "__version__"} <= brought.keys()


def test_every_public_name_can_be_used_and_hides_no_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(musex.__path__)}
    for name in musex.__all__:
        assert getattr(musex, name) is not None
        assert name in dir(musex)
    assert not modules & set(musex.__all__)
    with pytest.raises(AttributeError, match="attribute prolong"):
        musex.prolong  # type: ignore[attr-defined]  # noqa: B018


def build(source: Path, folder: Path, *, umask: int = 0o022) -> tuple[Path, Path]:
    """The sdist and the wheel of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, umask=umask)
    (sdist,), (wheel,) = folder.glob("musex-*.tar.gz"), folder.glob("musex-*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel of this checkout."""
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> Path:
    return built[1]


def test_sdist_and_wheel_are_the_same_to_the_byte_wherever_they_are_built(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "another place", filter="data")
    (source,) = (tmp_path / "another place").iterdir()
    for path in source.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1e9, 1e9))
    again = build(source, tmp_path / "dist", umask=0o077)
    assert [path.name for path in again] == [sdist.name, wheel.name]
    assert again[0].read_bytes() == sdist.read_bytes()
    assert again[1].read_bytes() == wheel.read_bytes()


def test_sdist_and_wheel_hold_the_licence_and_are_small(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    with tarfile.open(sdist) as source, zipfile.ZipFile(wheel) as archive:
        names, packed = set(source.getnames()), set(archive.namelist())
    version = musex.__version__
    assert {f"musex-{version}.dist-info/licenses/{name}" for name in ("LICENSE", "NOTICE")} <= packed
    tested = ("LICENSE", "NOTICE", "README.md", "CITATION.cff", ".ci/run", "tests/conftest.py", "examples/groove.mp3")
    assert {f"musex-{version}/{name}" for name in tested} <= names
    assert max(sdist.stat().st_size, wheel.stat().st_size) < 45e6


def test_the_lock_has_a_hash_for_every_release_and_tells_no_address() -> None:
    for name in ("requirements.txt", "requirements-train.txt"):
        lines = (ROOT / ".ci" / name).read_text().splitlines()
        pins = [number for number, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
        assert len(pins) > 10
        for number in pins:
            assert re.match(r"[a-z0-9-]+==\S+( ; .*)? \\$", lines[number])
            assert re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", lines[number + 1])
        assert not [line for line in lines if "://" in line or line.startswith("-")]


def test_wheel_holds_the_package_and_the_model(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"musex-{musex.__version__}.dist-info/METADATA").decode()
        scripts = archive.read(f"musex-{musex.__version__}.dist-info/entry_points.txt").decode()
    models = {f"musex/models/{path.name}" for suffix in ("tflite", "json") for path in ROOT.glob(f"models/*.{suffix}")}
    assert {
        "musex/py.typed",
        "musex/__init__.pyi",
        "musex/views/page/path.svg",
        "musex/models/pointer.tflite",
        *models,
    } <= names
    assert all(name.startswith(("musex/", "musex-")) for name in names)
    assert "musex = musex.__main__:main" in scripts
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert not any("tensorflow" in line for line in required)


def test_wheel_works_outside_the_checkout_without_network_or_ffmpeg(
    wheel: Path, wav_path: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    code = (
        "import os, sys\n"
        "def refuse(event, _):\n"
        "    if event.startswith('socket.'): raise SystemExit(f'{event}: the network is asked for')\n"
        "sys.addaudithook(refuse)\n"
        "os.environ['PATH'] = ''  # no ffmpeg, no compiler\n"
        "import musex, musex.prediction.model\n"
        "plan = musex.extend_file(sys.argv[1], 'long.mp3', seconds=8)\n"
        "print(musex.__file__, musex.prediction.model.packaged_model(), plan.model['name'], sep='\\n')"
    )
    package, model, name = run_python(code, str(wav_path), path=installed, cwd=tmp_path).splitlines()
    assert (tmp_path / "long.mp3").stat().st_size > 10_000
    assert Path(package).is_relative_to(installed)
    assert Path(model).is_relative_to(installed)
    assert name == "pointer"
