"""Commands and their ffmpeg ended from outside at random moments."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from musex.system.arrays import load_arrays
from musex.system.side_files import save_text
from tests.faults.cases import Promise
from tests.faults.commands import (
    HUNG_SECONDS,
    Command,
    Place,
    describe,
    draw_command,
    is_in_words,
    wait_at_random,
    wait_until,
)
from tests.processes import ROOT, wait_for_handlers

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHECKPOINTS = """
import sys
from pathlib import Path
import numpy as np
from musex.system.arrays import save_arrays
while True:
    for number in range(1_000):
        save_arrays({"weights": np.full(100_000, number), "progress": np.array([number])}, Path(sys.argv[1]))
"""


def signalled(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random)
    process = place.start(command)
    wait_for_handlers(process)
    wait_at_random(process, place, random)
    number = SIGNALS[int(random.integers(len(SIGNALS)))]
    process.send_signal(number)
    _, told = process.communicate(timeout=HUNG_SECONDS)
    wrong = place.wrong(command, finished=process.returncode == 0)
    stopped = process.returncode == 128 + number and told.endswith("musex: stopped\n") and "Traceback" not in told
    if wrong or not (stopped or process.returncode == 0):
        return describe(command, process, told, f"{number.name}, {wrong}")
    return ""


def killed(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random)
    process = place.start(command)
    wait_at_random(process, place, random)
    process.kill()
    _, told = process.communicate(timeout=HUNG_SECONDS)  # ends when workers and ffmpeg have ended

    def wrong() -> str:
        save_text("", place.made / "next.txt")
        (place.made / "next.txt").unlink()
        return place.wrong(command, finished=process.returncode == 0, tidy=False)

    if wait_until(lambda: not wrong(), 15.0, 0.5) and command.overwrites:
        return ""
    again = Command((*command.arguments, "--force"), command.outputs, command.seconds, overwrites=False)
    if not wrong() and not command.overwrites:
        process = place.start(again)
        _, told = process.communicate(timeout=HUNG_SECONDS)
        if process.returncode == 0 and not place.wrong(again, finished=True, tidy=False):
            return ""
    return describe(command, process, told, wrong())


def killed_checkpoint(folder: Path, random: np.random.Generator) -> str:
    """Arrays saved over and over, as training does after every epoch."""
    path = folder / "state.npz"
    process = subprocess.Popen([sys.executable, "-c", CHECKPOINTS, str(path)], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(path.exists, 60.0, 0.005)
    time.sleep(float(random.exponential(0.1)))
    process.kill()
    process.wait()
    save_text("", folder / "next.txt")
    state = load_arrays(path)
    if state is None or not np.all(state["weights"] == state["progress"]):
        return "the checkpoint is not whole"
    names = {found.name for found in folder.iterdir()} - {"state.npz", "next.txt"}
    return f"left behind: {', '.join(names)}" if names else ""


def killed_encoder(folder: Path, random: np.random.Generator) -> str:
    place, command = Place(folder), draw_command(random, writing=True)
    process = place.start(command)
    seen: list[int] = []
    wanted = int(random.integers(1, 4))

    def found() -> bool:
        seen.extend(child for child in _programs(process.pid) if child not in seen)
        return len(seen) >= wanted or process.poll() is not None

    wait_until(found, HUNG_SECONDS, 0.002)
    time.sleep(float(random.exponential(0.1)) * (random.random() < 0.7))
    number = (signal.SIGKILL, signal.SIGSEGV)[int(random.integers(2))]
    for child in seen[wanted - 1 : wanted]:
        if child in _programs(process.pid):
            subprocess.run(["kill", f"-{number.value}", str(child)], capture_output=True)
    _, told = process.communicate(timeout=HUNG_SECONDS)
    wrong = place.wrong(command, finished=process.returncode == 0)
    if wrong or not (process.returncode == 0 or is_in_words(told, process, most=2)):
        return describe(command, process, told, f"{number.name} to ffmpeg {wanted}, {wrong}")
    return ""


def _programs(parent: int) -> list[int]:
    """The ffmpeg processes below one."""
    found = []
    try:
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                named = "ffmpeg" in Path(f"/proc/{child}/comm").read_text()
                found += [child] if named else _programs(child)
    except (OSError, ValueError):  # it has ended meanwhile
        pass
    return found


PROMISES = (
    Promise(
        "A signal ends it at once, and leaves nothing",
        "Ctrl-C, SIGTERM or SIGHUP to any command at any moment",
        signalled,
        option="signals",
        usual=10,
    ),
    Promise("A kill touches nothing, and the next run tidies up", "SIGKILL to any command", killed, "kills", usual=10),
    Promise(
        "A checkpoint is whole whenever training is killed",
        "SIGKILL while it saves",
        killed_checkpoint,
        "checkpoints",
        20,
    ),
    Promise(
        "An ffmpeg that dies is told of in a line, and leaves nothing",
        "SIGKILL or SIGSEGV to the first, second or third",
        killed_encoder,
        option="encoders",
        usual=10,
    ),
)
