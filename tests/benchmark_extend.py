"""Time and memory of `musex extend` beside PyMusicLooper's and ffmpeg's: `python tests/benchmark_extend.py`.

A stereo mp3 of 3 min is made 10 min long, as wav and as mp3, each by a fresh process: by musex, by PyMusicLooper where
it is installed (`pip install pymusiclooper`), and by ffmpeg, which repeats the song and encodes it with the same
settings: the limit of what can be reached. All in turns, so that other work on the machine meets all of them; medians
of the turns. Processor time is that of the process and of its children.

`--keep` writes the ratios to `tests/benchmark_extend.json`; `--compare` fails with exit code 1 where one of them has
become more than 15 % worse than it is there. Ratios of processor time are kept, not times: they hardly depend on the
machine.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from musex.audio.ffmpeg import ffmpeg

ROOT = Path(__file__).parent.parent
KEPT = Path(__file__).with_suffix(".json")
WORSE = 1.15  # times a kept ratio: more is a fault
MINUTES = 10.0
# As musex/audio/writing.py has it encoded.
MP3 = ("-c:a", "libmp3lame", "-compression_level", "7", "-b:a", "192k", "-fflags", "+bitexact")
FIRST_PREDICTION = """
import sys
from musex.audio.reading import read_song
from musex.analysis.features import analyse
from musex.prediction.model import load_model
song = read_song(sys.argv[1])
model = load_model()
model.predict(model.listen(analyse(song.samples, song.sample_rate)), range(200))
"""
# What is to be reached: a row, the row it is divided by, and the most that may be (times it, plus seconds).
AIMS = {
    "wav, musex / PyMusicLooper": ("musex wav", "PyMusicLooper wav", 0.25),
    "wav, musex / ffmpeg": ("musex wav", "ffmpeg wav", 3.0),
    "mp3, musex / PyMusicLooper": ("musex mp3", "PyMusicLooper mp3", 0.25),
    "mp3, musex / ffmpeg": ("musex mp3", "ffmpeg mp3", 1.15),
}


@dataclass(frozen=True)
class Cost:
    """What a process took, and its children: wall-clock and processor seconds, and the largest one's peak memory."""

    seconds: float
    processor_seconds: float
    megabytes: float


def measure(command: list[str]) -> Cost:
    """Run a command and tell what it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    scale = 1024 if sys.platform != "darwin" else 1024**2
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def make_long_song(path: Path, seconds: int) -> None:
    """The examples one after another, cut to `seconds`, as a 192 kb/s mp3."""
    songs = [part for name in ("groove", "waltz", "drift") for part in ("-i", str(ROOT / "examples" / f"{name}.mp3"))]
    joined = ["-filter_complex", "concat=n=3:v=0:a=1", "-t", str(seconds), "-b:a", "192k", str(path)]
    subprocess.run([ffmpeg(), "-loglevel", "error", "-y", *songs, *joined], check=True)


def commands_for(song: Path, folder: Path) -> dict[str, list[str]]:
    """What is measured, by its name."""
    musex, seconds = [sys.executable, "-m", "musex"], str(60 * MINUTES)
    extend = [*musex, "extend", str(song), "--seconds", seconds, "--force", "-o"]
    repeat = [ffmpeg(), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(song), "-t", seconds]
    commands = {
        "musex --help": [*musex, "--help"],
        "start to first prediction": [sys.executable, "-c", FIRST_PREDICTION, str(song)],
        "musex wav": [*extend, str(folder / "musex.wav")],
        "musex mp3": [*extend, str(folder / "musex.mp3"), "--bitrate", "192k"],
        "ffmpeg wav": [*repeat, str(folder / "ffmpeg.wav")],
        "ffmpeg mp3": [*repeat, *MP3, str(folder / "ffmpeg.mp3")],
    }
    if importlib.util.find_spec("pymusiclooper"):
        loop = [sys.executable, "-m", "pymusiclooper", "extend", "--path", str(song), "--extended-length", seconds]
        for suffix in ("wav", "mp3"):
            commands[f"PyMusicLooper {suffix}"] = [*loop, "-o", str(folder / suffix), "--format", suffix.upper()]
    return commands


def measure_all(song: Path | None, turns: int) -> dict[str, Cost]:
    """The median of each command's costs, measured in turns."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if song is None:
            song = folder / "song.mp3"
            make_long_song(song, 180)
        for _ in range(turns):
            for what, command in commands_for(song, folder).items():
                costs[what].append(measure(command))
    return {
        what: Cost(
            *(median(getattr(cost, field) for cost in taken) for field in ("seconds", "processor_seconds", "megabytes"))
        )
        for what, taken in costs.items()
    }


def ratios_of(costs: dict[str, Cost]) -> dict[str, float]:
    """Processor time by processor time for `AIMS`, and memory by PyMusicLooper's, as far as it is there."""
    found = {
        name: costs[ours].processor_seconds / costs[theirs].processor_seconds
        for name, (ours, theirs, _) in AIMS.items()
        if theirs in costs
    }
    if "PyMusicLooper wav" in costs:
        found["memory, musex / PyMusicLooper"] = costs["musex wav"].megabytes / costs["PyMusicLooper wav"].megabytes
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--song", type=Path, help="another song than 3 min of the examples")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help=f"write the ratios to {KEPT.name}")
    parser.add_argument("--compare", action="store_true", help="fail where a ratio is 15 %% worse than the kept one")
    options = parser.parse_args()
    costs = measure_all(options.song, options.turns)
    ratios = ratios_of(costs)
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if options.compare else {}
    if options.json:
        print(json.dumps({"costs": {what: vars(cost) for what, cost in costs.items()}, "ratios": ratios}, indent=1))
    else:
        print("| | s | processor, s | peak memory, MB |\n|---|---|---|---|")
        for what, cost in costs.items():
            print(f"| {what} | {cost.seconds:.2f} | {cost.processor_seconds:.2f} | {cost.megabytes:.0f} |")
        print("\n| ratio | by the clock | processor | kept | aim |\n|---|---|---|---|---|")
        for name, ratio in ratios.items():
            before = f"{kept[name]:.2f}" if name in kept else "–"
            ours, theirs, aim = AIMS.get(name, ("", "", 0.25))
            clock = f"{costs[ours].seconds / costs[theirs].seconds:.2f}" if ours else "–"
            print(f"| {name} | {clock} | {ratio:.2f} | {before} | {aim:g} |")
    if options.keep:
        KEPT.write_text(json.dumps(ratios, indent=1) + "\n", encoding="utf-8")
    return int(any(ratios[name] > WORSE * before for name, before in kept.items() if name in ratios))


if __name__ == "__main__":
    sys.exit(main())
