"""What musex promises whatever happens, each tried by cases at random: a case returns what went wrong, or nothing."""

import hashlib
import json
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio import read_song, song_from_array
from musex.errors import MusexError
from musex.formats import WRITABLE
from musex.model import Model, load_model, packaged_model
from musex.plans import Plan
from musex.side_files import save_text, temporary_folder
from musex.writing import write_song
from tests.conftest import synthesise
from tests.faults.mutators import ODD, damage_bytes, places, put
from tests.processes import musex_process, wait_for_handlers

RATE = 22_050
MINE = b"mine"
Case = Callable[[Path, np.random.Generator], str]


@dataclass(frozen=True)
class Promise:
    """What is promised, how it is tried, and a case of it, which is given an empty folder."""

    name: str
    how: str
    case: Case
    option: str  # that says how many cases


@cache
def song_file(suffix: str) -> bytes:
    """A song of 8 s in a format."""
    samples = synthesise(8.0, RATE, 2)
    with temporary_folder() as folder:
        write_song(folder / f"song{suffix}", [samples], song=song_from_array(samples, RATE))
        return (folder / f"song{suffix}").read_bytes()


def tried(use: Callable[[], object]) -> str:
    """Nothing where something works or is refused in words."""
    try:
        use()
    except MusexError:
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        return f"{type(error).__name__}: {error}"
    return ""


def damaged_song(folder: Path, random: np.random.Generator) -> str:
    suffix = WRITABLE[int(random.integers(len(WRITABLE)))]
    path = folder / f"song{suffix}"
    path.write_bytes(damage_bytes(song_file(suffix), random))
    return tried(lambda: read_song(path))


def odd_plan(folder: Path, random: np.random.Generator) -> str:
    return tried(lambda: Plan.from_json(json.dumps(_odd(json.loads(plan_text()), random))))


@cache
def plan_text() -> str:
    from musex.extension import plan

    return plan(synthesise(20.0, RATE, 1), seconds=40.0, sample_rate=RATE).to_json()


def _odd(content: dict[str, Any], random: np.random.Generator) -> Any:
    paths = list(places(content))
    return put(content, paths[int(random.integers(len(paths)))], ODD[int(random.integers(len(ODD)))])


def damaged_model(folder: Path, random: np.random.Generator) -> str:
    for path in packaged_model().parent.glob("*.*"):
        if path.suffix in (".json", ".tflite"):
            shutil.copy(path, folder)
    name = ("pointer", "join", "transition")[int(random.integers(3))]
    file, description = folder / f"{name}.tflite", folder / f"{name}.json"
    file.write_bytes(damage_bytes(file.read_bytes(), random))
    settings = json.loads(description.read_text())
    settings["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    description.write_text(json.dumps(settings if random.random() < 0.8 else _odd(settings, random)))

    def use() -> None:
        model = load_model(folder)
        assert isinstance(model, Model)
        _ = model.join_head, model.transition_head

    return tried(use)


def start(folder: Path, *options: str, **changed: Any) -> "subprocess.Popen[str]":
    """`musex extend` of a song in `folder`, over a file of the user's."""
    song, output = folder / "song.wav", folder / "out.mp3"
    song.write_bytes(song_file(".wav"))
    output.write_bytes(MINE)
    arguments: tuple[str | Path, ...] = ("extend", song, "--minutes", "30", "--force", "-o", output, *options)
    return musex_process(*arguments, **{"stdout": subprocess.DEVNULL} | changed)


def left(folder: Path, *, finished: bool = False) -> str:
    """What is in a folder that should not be, or is not as it was."""
    names = {path.name for path in folder.iterdir()} - {"song.wav", "out.mp3"}
    if names:
        return f"left behind: {', '.join(sorted(names))}"
    return "" if finished or (folder / "out.mp3").read_bytes() == MINE else "the user's file was touched"


def wait_at_random(process: "subprocess.Popen[str]", folder: Path, random: np.random.Generator) -> None:
    """Any moment between the start and some seconds of writing."""
    if random.random() < 0.5:
        while process.poll() is None and not list(folder.glob(".musex-*/*")):
            time.sleep(0.002)
    time.sleep(float(random.exponential(1.0)))


def signalled(folder: Path, random: np.random.Generator) -> str:
    process = start(folder)
    wait_for_handlers(process)
    wait_at_random(process, folder, random)
    number = (signal.SIGINT, signal.SIGTERM)[int(random.integers(2))]
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    if process.returncode == 0:
        return left(folder, finished=True)
    if (process.returncode, told) != (128 + number, "musex: stopped\n"):
        return f"{number.name}: code {process.returncode}, {told[-200:]!r}"
    return left(folder)


def killed(folder: Path, random: np.random.Generator) -> str:
    process = start(folder)
    wait_at_random(process, folder, random)
    process.kill()
    process.communicate()
    time.sleep(0.5)  # ffmpeg notices
    save_text("", folder / "out.txt")
    (folder / "out.txt").unlink()
    return left(folder, finished=process.returncode == 0)


def full_disk(folder: Path, random: np.random.Generator) -> str:
    most = int(random.integers(1, 3_000_000))
    process = start(folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    _, told = process.communicate()
    if process.returncode != 1 or "musex: error: " not in told or "Traceback" in told:
        return f"{most} bytes: code {process.returncode}, {told[-200:]!r}"
    return left(folder)


PROMISES = (
    Promise("A damaged song is used or refused in words", "bytes of all formats", damaged_song, "songs"),
    Promise("A plan with anything in it is used or refused", "odd values in any place", odd_plan, "plans"),
    Promise("A damaged model is used or refused", "bytes and descriptions, with fresh hashes", damaged_model, "models"),
    Promise("A signal ends it at once, and leaves nothing", "Ctrl-C or SIGTERM at any moment", signalled, "signals"),
    Promise("A kill touches nothing, and the next run tidies up", "SIGKILL at any moment", killed, "kills"),
    Promise("A full disk leaves nothing", "a limit on file sizes", full_disk, "disks"),
)
