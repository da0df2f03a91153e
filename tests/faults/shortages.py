"""Too little room, memory or permission, wherever it ends."""

import resource
import shutil
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.cases import Promise, small_disk
from tests.faults.commands import HUNG_SECONDS, Command, Place, describe, draw_command, is_in_words

LIMITS = {
    resource.RLIMIT_FSIZE: (1, 3_000_000),
    resource.RLIMIT_NOFILE: (10, 60),
    resource.RLIMIT_AS: (900 * 2**20, 4_000 * 2**20),
}


def _ended(place: Place, command: Command, process: "subprocess.Popen[str]", how: str) -> str:
    """What is wrong where a command should have worked, or failed in words."""
    _, told = process.communicate(timeout=HUNG_SECONDS)
    wrong = place.wrong(command, finished=process.returncode == 0)
    if wrong or not (process.returncode == 0 or is_in_words(told, process, most=2)):
        return describe(command, process, told, f"{how}, {wrong}")
    return ""


def full_disk(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random, writing=True)
    kilobytes = int(np.exp(random.uniform(np.log(64), np.log(16_384))))
    place.made.rmdir()
    with small_disk(place.made, f"{kilobytes}k"):
        return _ended(place, command, place.start(command), f"a disk of {kilobytes} KB")


def full_temporary_disk(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random, writing=True)
    kilobytes = int(random.integers(4, 256))
    place.temporary.rmdir()
    with small_disk(place.temporary, f"{kilobytes}k"):
        return _ended(place, command, place.start(command), f"a temporary disk of {kilobytes} KB")


def limited(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random)
    limit = list(LIMITS)[int(random.integers(len(LIMITS)))]
    most = int(random.integers(*LIMITS[limit]))
    name = {resource.RLIMIT_FSIZE: "file size", resource.RLIMIT_NOFILE: "open files"}.get(limit, "memory")
    process = place.start(command, preexec_fn=partial(resource.setrlimit, limit, (most, most)))
    return _ended(place, command, process, f"{name} of {most}")


def read_only(folder: Path, random: np.random.Generator) -> str:
    """Some of the places where musex writes are on disks that may only be read."""
    place, command = Place(folder), draw_command(random)
    home = folder / "home"
    closed = [path for path in (place.made, place.temporary, home) if random.random() < 0.6]
    with ExitStack() as stack:
        for path in (place.made, place.temporary, home):
            shutil.rmtree(path, ignore_errors=True)
            if path in closed:
                stack.enter_context(small_disk(path, "1m"))
            else:
                path.mkdir()
        place.lay(command)
        for path in closed:
            subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
        environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
        process = place.start(command, laid=True, environment=environment)
        return _ended(place, command, process, f"read-only: {', '.join(path.name for path in closed) or 'nothing'}")


PROMISES = (
    Promise("A full disk leaves nothing", "a disk of 64 KB to 16 MB for outputs", full_disk, "disks", usual=5),
    Promise("So does one of temporary files", "one of 4 to 256 KB", full_temporary_disk, "scratch", usual=5),
    Promise("A limit is told of in a line, and leaves nothing", "file size, open files, memory", limited, "limits", 10),
    Promise(
        "Where nothing may be written, it works or says so",
        "read-only disks for outputs, home, temporary files",
        read_only,
        option="places",
        usual=10,
    ),
)
