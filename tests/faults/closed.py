"""Streams that are closed, full, or read by somebody who goes away."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.faults.cases import Promise
from tests.faults.commands import HUNG_SECONDS, Command, Place, describe
from tests.processes import musex_process

REDIRECTED = ("<&-", ">&-", "2>&-", ">/dev/full", "2>/dev/full")
PRINTING = (
    ("--help",),
    ("--version",),
    ("info", "song.wav"),
    ("info", "song.wav", "--json"),
    ("extend", "song.wav", "--seconds", "45", "--json", "-o", "made/out.mp3"),
    ("extend", "song.wav", "--seconds", "45", "--check", "-o", "made/out.mp3"),
    ("extend", "song.wav", "--seconds", "45", "-o", "-"),
    ("extend", "album", "--seconds", "45", "--json", "-o", "made"),
    ("spectrogram", "song.wav", "--json", "-o", "made/out.png"),
    ("info", "nothing.wav"),
)
STRANGE = ("Traceback", "Exception ignored", "Error in sys")


def redirected(folder: Path, random: np.random.Generator) -> str:
    """What is asked for on stdout fails where it cannot be printed; nothing else does."""
    place, arguments = Place(folder), PRINTING[int(random.integers(len(PRINTING)))]
    chosen = [word for word in REDIRECTED if random.random() < 0.4]
    python = f"{shlex.quote(sys.executable)} -m musex {shlex.join(arguments)}"
    shell = f"{python} {' '.join(chosen)}"
    process = musex_process(command=["sh", "-c", shell], cwd=place.work, stdin=subprocess.DEVNULL, errors="replace")
    _, told = process.communicate(timeout=HUNG_SECONDS)
    unprintable = any(word in chosen for word in (">&-", ">/dev/full"))
    should_fail = unprintable or arguments[-1] == "nothing.wav"
    command = Command((*arguments, *chosen), ())
    if any(word in told for word in STRANGE) or process.returncode not in ((1, 3) if should_fail else (0, 3)):
        return describe(command, process, told)
    hidden = any(word in chosen for word in ("2>&-", "2>/dev/full"))
    if should_fail and process.returncode == 1 and not hidden and told.count("musex: error: ") != 1:
        return describe(command, process, told, "no word about it")
    return ""


def left_alone(folder: Path, random: np.random.Generator) -> str:
    """A reader of stdout who takes some bytes and goes."""
    place, arguments = Place(folder), PRINTING[int(random.integers(len(PRINTING)))]
    process = musex_process(*arguments, cwd=place.work, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stderr is not None
    taken = len(os.read(process.stdout.fileno(), int(random.exponential(1_000))))
    process.stdout.close()
    with process.stderr:
        told = process.stderr.read()
    process.wait(HUNG_SECONDS)
    if any(word in told for word in STRANGE) or process.returncode < 0:
        return describe(Command(arguments, ()), process, told, f"{taken} bytes were read")
    return ""


PROMISES = (
    Promise(
        "What cannot be printed is an error, never a traceback",
        "any of stdin, stdout, stderr closed or full",
        redirected,
        option="streams",
        usual=20,
        short=2,
    ),
    Promise("A reader may go away", "after any number of bytes", left_alone, option="readers", usual=10),
)
