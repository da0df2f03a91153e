"""Long outputs, many songs, many calls: nothing grows, nothing is lost."""

import gc
import json
import os
import subprocess
import threading
from functools import partial
from pathlib import Path

import numpy as np

from musex.errors import MusexError
from musex.files import extend_file
from musex.prediction.model import load_model
from musex.system.ledgers import LEDGER
from tests.faults.cases import Promise
from tests.faults.commands import Command, Place, describe, told_errors
from tests.faults.damaged import song_file
from tests.processes import musex_process

MOST_GROWTH = 30.0  # MB, from the first tenth to the end
BLOCK = 2**20


def resident_megabytes(process: int | str = "self") -> float:
    """How much memory a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def long_output(folder: Path, random: np.random.Generator, *, hours: float) -> str:
    """An output read from a pipe: all of it comes, and memory does not grow after the first tenth."""
    place = Place(folder)
    seconds = 3600 * hours
    command = Command(
        ("extend", "song.wav", "--seconds", f"{seconds}", "-o", "-", "--seed", str(random.integers(99))), ()
    )
    process = place.start(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    expected, got, early, most = round(seconds * 22_050) * 2, 0, 0.0, 0.0
    while block := os.read(process.stdout.fileno(), BLOCK):
        got += len(block)
        memory = resident_megabytes(process.pid)
        early, most = (max(early, memory), most) if got < expected / 10 else (early, max(most, memory))
    _, told = process.communicate()
    if process.returncode or not 0 <= got - expected < 4_096:
        return describe(command, process, told, f"{got} of {expected} bytes came")
    return f"memory grew from {early:.0f} to {most:.0f} MB" if most > early + MOST_GROWTH else ""


def large_batch(folder: Path, random: np.random.Generator, *, songs: int) -> str:
    """Songs of which one in twenty is none: those alone fail, and each is named."""
    album, out = folder / "album", folder / "out"
    album.mkdir()
    bad = {int(number) for number in random.choice(songs, max(1, songs // 20), replace=False)}
    for number in range(songs):
        content = song_file((".wav", ".mp3", ".flac", ".ogg")[number % 4])
        name = f"{number:03}{('.wav', '.mp3', '.flac', '.ogg')[number % 4]}"
        if number in bad:
            content = (b"", b"not music", content[:100], bytes(5_000))[int(random.integers(4))]
        (album / name).write_bytes(content)
    process = musex_process("extend", album, "--seconds", "12", "-o", out, "--jobs", "2", "--json")
    answer, told = process.communicate()
    command = Command(("extend", "album", "--seconds", "12", "--jobs", "2"), ())
    states = {Path(entry["song"]).stem: entry["state"] for entry in json.loads(answer)["outputs"]}
    unlike = [stem for stem, state in states.items() if state != ("failed" if int(stem) in bad else "made")]
    made = {path.stem.removesuffix("-extended") for path in out.iterdir() if path.name != LEDGER}
    good = {f"{number:03}" for number in range(songs) if number not in bad}
    if unlike or len(states) != songs or made != good or process.returncode != 1 or told_errors(told) != len(bad):
        return describe(command, process, told, f"{len(bad)} bad ones, otherwise than expected: {unlike}")
    ledger = json.loads((out / LEDGER).read_text())
    return "" if len(ledger) == songs - len(bad) else f"the ledger holds {len(ledger)} entries"


def many_calls(folder: Path, random: np.random.Generator, *, calls: int) -> str:
    """Extensions in one process, one in ten of them of what is no song."""
    os.environ["TMPDIR"], before = str(folder), os.environ.get("TMPDIR")
    model, early = load_model(), (0.0, 0, 0)
    try:
        for number in range(calls):
            suffix = (".wav", ".mp3", ".flac", ".ogg")[int(random.integers(4))]
            song = folder / f"song{suffix}"
            song.write_bytes(song_file(suffix) if number % 10 else b"not music")
            try:
                extend_file(song, folder / "out.mp3", seconds=10.0, model=model, force=True, seed=number)
            except MusexError:
                if number % 10:
                    raise
            song.unlink()
            if number == calls // 10:
                early = _held()
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
    late = _held()
    left = {path.name for path in folder.iterdir()} - {"out.mp3"}
    if left or late[0] > early[0] + MOST_GROWTH or late[1] > early[1] or late[2] > early[2]:
        return f"MB, file descriptors, threads: {early} after a tenth, {late} at the end; left behind: {left}"
    return ""


def _held() -> tuple[float, int, int]:
    """Memory in MB, open files and threads of this process."""
    gc.collect()
    return resident_megabytes(), len(os.listdir("/proc/self/fd")), threading.active_count()


PROMISES = (
    Promise(
        "24 h are played in memory that does not grow",
        "to a pipe",
        partial(long_output, hours=24.0),
        option="days",
        usual=1,
        short=0,
        seconds=7_200.0,
    ),
    Promise(
        "What is no song stops no other",
        "a batch of 200, 5 % of them bad",
        partial(large_batch, songs=200),
        option="albums",
        usual=1,
        short=0,
        seconds=7_200.0,
    ),
    Promise(
        "Memory, files and threads do not grow by calls",
        "1,000 extensions in one process",
        partial(many_calls, calls=1_000),
        option="thousands",
        usual=1,
        short=0,
        seconds=7_200.0,
    ),
)
