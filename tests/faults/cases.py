"""What a promise is, and what its cases share."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musex.errors import MusexError

Case = Callable[[Path, np.random.Generator], str]


class LeftOutError(Exception):
    """A case cannot be tried here, and why."""


@dataclass(frozen=True)
class Promise:
    """What is promised, how it is tried, and a case of it, which is given an empty folder.

    Attributes:
        name: What is promised.
        how: How it is tried.
        case: Says what went wrong, or nothing; raises LeftOutError where it cannot be tried.
        option: How many cases are asked for by `--OPTION N`.
        usual: How many cases unless asked otherwise.
        short: How many of them are among the tests.
        seconds: After so many a case has hung.
    """

    name: str
    how: str
    case: Case
    option: str
    usual: int
    short: int = 1
    seconds: float = 3_600.0


def tried(use: Callable[[], object]) -> str:
    """Nothing where something works or is refused in words."""
    try:
        use()
    except MusexError:
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        return f"{type(error).__name__}: {error}"
    return ""


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own on a folder of this name; raises LeftOutError where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        raise LeftOutError("a small disk can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
