"""Every command of musex that writes, where it runs, and what may be there when it has ended."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.errors import MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span
from musex.system.arrays import load_array
from musex.system.ledgers import LEDGER
from musex.system.side_files import temporary_folder
from tests.conftest import synthesise
from tests.processes import musex_process, wait_for_handlers

MINE = b"mine"
HUNG_SECONDS = 1_000.0  # after which a command has hung, on a machine that does much else
RATE = 22_050
SONG_SECONDS, REPEATS = 40.0, 17
ALBUM_SECONDS = 55.0  # what `evaluate` takes lasts 50 s
CACHE = "album/.musex-features"  # of what `evaluate` has analysed
PLAN_SECONDS = 295.0
LISTS = (".csv", ".rpp", ".txt", ".cue")


@dataclass(frozen=True)
class Command:
    """A command line, what it writes (files below `made/`), and how long that lasts where it is music."""

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    seconds: float = 0.0
    overwrites: bool = True


def _extend(seconds: float, *outputs: str, more: tuple[str, ...] = ()) -> Command:
    arguments = ("extend", "song.wav", "--seconds", f"{seconds}", "--force", "-o", outputs[0], *more)
    return Command(arguments, outputs, seconds)


def _batch(jobs: int, suffix: str) -> Command:
    arguments = ("extend", "album", "--seconds", "100", "-o", "made", "--format", suffix, "--jobs", str(jobs))
    return Command(arguments, tuple(f"made/{name}-extended.{suffix}" for name in "ab"), 100.0, overwrites=False)


def _forced(*arguments: str, seconds: float = 0.0) -> Command:
    return Command((*arguments, "--force"), (arguments[-1],), seconds)


COMMANDS = (
    *(_extend(400.0, f"made/out.{suffix}") for suffix in ("mp3", "wav", "m4a", "opus")),
    _extend(150.0, "made/out.flac", "made/out.json", more=("--plan", "made/out.json")),
    _extend(60.0, "made/out.ogg", "made/out-report.html", more=("--report",)),
    _extend(150.0, "made/out.aiff", more=("--layers", "on", "--ending", "loop")),
    Command(
        ("extend", "song.wav", "--seconds", "100", "--force", "-o", "made/out.mp3", "--variations", "2"),
        ("made/out-1.mp3", "made/out-2.mp3"),
        100.0,
    ),
    _forced("extend", "song.wav", "--ending", "loop", "--tag-only", "-o", "made/out.wav", seconds=SONG_SECONDS),
    Command(
        ("extend", "song.wav", "--ending", "loop", "--loop-parts", "--force", "-o", "made/out.flac"),
        ("made/out-intro.flac", "made/out-loop.flac", "made/out-outro.flac"),
    ),
    _extend(
        120.0,
        "made/out.wav",
        "made/out.csv",
        "made/out.rpp",
        more=("--export", "made/out.csv", "--export", "made/out.rpp"),
    ),
    _forced("extend", "song.wav", "--from", "plan.json", "--reject", "2", "-o", "made/out.wav", seconds=PLAN_SECONDS),
    Command(
        ("mix", "album", "--seconds", "100", "--force", "-o", "made/out.wav"), ("made/out.wav", "made/out.cue"), 100.0
    ),
    Command(("mix", "album", "--seconds", "100", "-o", "-"), ()),
    Command(("extend", "song.wav", "--seconds", "400", "-o", "-"), ()),
    _batch(1, "mp3"),
    _batch(2, "flac"),
    _forced("render", "plan.json", "-o", "made/out.flac", seconds=PLAN_SECONDS),
    Command(
        ("stems", "song.wav", "-o", "made", "--mix", "drums=off", "--force"),
        ("made/drums.wav", "made/bass.wav", "made/rest.wav", "made/mix.wav"),
        SONG_SECONDS,
    ),
    Command(
        ("render", "plan.json", "--stems", "song.wav", "-o", "made", "--force"),
        ("made/song.wav",),
        PLAN_SECONDS,
    ),
    _forced("render", "plan.json", "--export", "made/out.txt"),
    _forced("report", "plan.json", "-o", "made/out.html"),
    _forced("spectrogram", "song.wav", "-o", "made/out.png"),
    _forced("spectrogram", "song.wav", "album/a.wav", "-o", "made/out.svg"),
    _forced("evaluate", "album", "--chains", "0", "--json", "made/out.json"),
    Command(("info", "song.wav", "--json"), ()),
)


def draw_command(random: np.random.Generator, *, writing: bool = False) -> Command:
    """Any of them; or any that writes files."""
    among = [command for command in COMMANDS if command.outputs or not writing]
    return among[int(random.integers(len(among)))]


@cache
def _inputs() -> dict[str, bytes]:
    """The files that commands are given."""
    files = {}
    with temporary_folder() as folder:
        path = folder / "song.wav"
        for number, name in enumerate(("album/a", "album/b", "song")):
            seconds = SONG_SECONDS if name == "song" else ALBUM_SECONDS
            soundfile.write(path, synthesise(seconds, RATE, 1, seed=number), RATE, subtype="PCM_16")
            files[f"{name}.wav"] = path.read_bytes()
        plan = _plan(read_song(path))
    return {**files, "plan.json": plan.to_json().encode()}


def _plan(song: Song) -> Plan:
    """A passage of 15 s many times, and then the rest, as no model would plan it: that takes no time."""
    starts, stops = [0, *[5] * REPEATS], [*[20] * REPEATS, 40]
    spans = tuple(Span(start * RATE, stop * RATE) for start, stop in zip(starts, stops, strict=True))
    ends = np.cumsum([span.frames for span in spans])
    seams = tuple(Seam(int(at), 20 * RATE, 5 * RATE, 882, 0.5, 0.0, 0.0, 0.0) for at in ends[:-1])
    about = replace(describe_song(song), path="song.wav")
    return Plan(float(ends[-1]) / RATE, about, PlanModel("pointer", "0" * 64), PlanSettings(), spans, seams)


class Place:
    """A folder with what commands are given, `made/` for what they make, and temporary files of its own."""

    def __init__(self, folder: Path) -> None:
        self.work, self.made, self.temporary = folder / "work", folder / "work" / "made", folder / "temporary"
        for name, content in _inputs().items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_bytes(content)
        self.made.mkdir(exist_ok=True)
        self.temporary.mkdir()

    def lay(self, command: Command) -> None:
        """Put files of the user's where a command writes, if it overwrites."""
        for name in command.outputs if command.overwrites else ():
            (self.work / name).write_bytes(MINE)

    def start(self, command: Command, *, laid: bool = False, **options: Any) -> "subprocess.Popen[str]":
        """Run a command over files of the user's."""
        if not laid:
            self.lay(command)
        environment = {"TMPDIR": str(self.temporary)} | options.pop("environment", {})
        usual: dict[str, Any] = {"cwd": self.work, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        return musex_process(*command.arguments, environment=environment, **(usual | options))

    def wrong(self, command: Command, *, finished: bool, tidy: bool = True) -> str:
        """What should not be there, or is not as it was or whole; `tidy`: nor are there temporary files."""
        for path in self.work.rglob("*"):
            name = str(path.relative_to(self.work))
            if path.is_dir():
                if name not in ("made", "album", CACHE):
                    return f"left behind: {name}"
            elif name in _inputs():
                if path.read_bytes() != _inputs()[name]:
                    return f"{name} was changed"
            elif path.name == LEDGER:
                if wrong := _unlike_ledger(path):
                    return wrong
            elif path.parent == self.work / CACHE:
                if path.suffix != ".npy" or load_array(path) is None:
                    return f"{name} is not whole"
            elif name not in command.outputs:
                return f"left behind: {name}"
            elif (finished or not command.overwrites or path.read_bytes() != MINE) and not is_whole(path, command):
                return f"{name} is not whole ({path.stat().st_size} bytes)"
        missing = [name for name in command.outputs if not (self.work / name).exists()]
        if missing and (finished or command.overwrites):
            return f"missing: {', '.join(missing)}"
        left = [path.name for path in self.temporary.iterdir()]
        return f"left among temporary files: {', '.join(left)}" if left and tidy else ""


def _unlike_ledger(path: Path) -> str:
    for name, entry in json.loads(path.read_text()).items():
        if not (path.parent / name).exists() or (path.parent / name).stat().st_size != entry["size"]:
            return f"the ledger tells of {name}, which is not there or another"
    return ""


def is_whole(path: Path, command: Command) -> bool:
    """Whether a file is what its command makes."""
    content = path.read_bytes()
    if path.suffix == ".json":
        try:
            return bool(json.loads(content))
        except ValueError:
            return False
    ends = {".html": b"</html>", ".svg": b"</svg>", ".png": b"IEND\xae\x42\x60\x82"}
    if path.suffix in ends:
        return content.rstrip().endswith(ends[path.suffix])
    if path.suffix in LISTS:
        return content.endswith(b"\n") and content != MINE
    if not command.seconds:
        return len(soundfile.read(path)[0]) > 0  # a part of a song, too short for a song
    try:
        song = read_song(path)
    except MusexError:
        return False
    return not song.warnings and abs(song.seconds - command.seconds) < 0.2


def is_writing(folder: Path) -> bool:
    """Whether something is being written there."""
    try:
        return any(folder.glob(".musex-*/*"))
    except FileNotFoundError:  # one was moved away in between
        return True


def wait_at_random(process: "subprocess.Popen[str]", place: Place, random: np.random.Generator) -> None:
    """Any moment between the start and some seconds of writing."""
    if random.random() < 0.7:
        wait_for_handlers(process)
    if random.random() < 0.5:
        wait_until(lambda: is_writing(place.made) or process.poll() is not None, HUNG_SECONDS, 0.002)
    time.sleep(float(random.exponential(1.0)))


def wait_until(reached: Callable[[], bool], seconds: float, step: float = 0.05) -> bool:
    """Wait, but not longer; whether it has been reached."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def told_errors(told: str) -> int:
    return sum(line.startswith("musex: error: ") for line in told.splitlines())


def is_in_words(told: str, process: "subprocess.Popen[str]", *, most: int = 1) -> bool:
    """Whether a command failed with one line that says why (of several songs, one for each), and with nothing else."""
    strange = any(word in told for word in ("Traceback", "Exception ignored", "Error in atexit", "leaked"))
    return process.returncode == 1 and 1 <= told_errors(told) <= most and not strange


def describe(command: Command, process: "subprocess.Popen[str]", told: str, wrong: str = "") -> str:
    """What is told of a case that breaks its promise."""
    line = " ".join(command.arguments)
    last = " | ".join(told.splitlines()[-3:])
    return f"musex {line}: {wrong or 'not as promised'}; code {process.returncode}, {last!r}"
