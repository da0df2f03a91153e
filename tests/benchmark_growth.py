"""How time and memory grow with the song and with the output, and what a coarse search for jumps finds of them all.

Not a test. `python tests/benchmark_growth.py recall music/*.flac` prints, for several numbers of steps compared, which
share of an exact search's best partners is found, and what that takes. `python tests/benchmark_growth.py song SONG`
makes the first 10 s … 3 h of a long song 10 min longer, as far as it lasts, and `python tests/benchmark_growth.py
output SONG` makes 1 min … 24 h of a song; both print a table and JSON: CPU seconds, peak of memory in MB, and the
exponents by which they grow over the upper half. `--figure FILE` draws them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from musex.audio.reading import read_song
from musex.planning.course import Request
from musex.planning.jumps import Jumps, find_jumps
from musex.planning.material import limits_ladder
from musex.planning.weights import SEARCH
from musex.prediction.model import load_model
from musex.settings import Settings

SONG_SECONDS = (10, 60, 180, 600, 1800, 3600, 10_800)
OUTPUT_SECONDS = (60, 600, 3600, 21_600, 86_400)
MORE_SECONDS = 600  # by which songs are made longer
COMPARED = (2048, 4096, 6144, 8192)


def share_found(found: Jumps, exact: Jumps) -> tuple[float, float]:
    """Share of the exact search's best partners that another has as well: of all, and of the better half by cost."""
    lead, best, _ = exact.kinds
    these = slice(lead, lead + best)
    costs, hit = exact.unlikeness[:, these], np.zeros((exact.steps, best), bool)
    for partner in found.targets[:, these].T:
        hit |= exact.targets[:, these] == partner[:, None]
    finite = np.isfinite(costs)
    better = finite & (costs <= np.median(costs[finite]))
    return float(hit[finite].mean()), float(hit[better].mean())


def timed_search(request: Request, **options: int) -> tuple[Jumps, float]:
    """The jumps by the strictest limits, and the CPU seconds that finding them took."""
    rows, limits = request.analysis.comparison_rows, next(limits_ladder(request.region, request.material))
    begun = time.process_time()
    return find_jumps(rows, limits, request.material, **options), time.process_time() - begun


def measure_recall(paths: list[Path]) -> None:
    """Print the recall of each song by each setting."""
    for path in paths:
        song = read_song(path)
        request = Request(song, load_model(), song.frames, Settings(), SEARCH)
        exact, seconds = timed_search(request, most=request.analysis.steps)
        print(f"{path.name}: {request.analysis.steps} steps, exact {seconds:.1f} s", flush=True)
        for most in COMPARED:
            found, seconds = timed_search(request, most=most)
            of_all, of_better = share_found(found, exact)
            print(
                f"  {most} compared: {of_all:.4f} of all, {of_better:.4f} of the better half, {seconds:.1f} s",
                flush=True,
            )


def run(song: Path, seconds: float) -> dict[str, float]:
    """CPU seconds and peak memory in MB of one command that makes an output and throws it away."""
    command = [sys.executable, "-m", "musex", "extend", str(song), "--minutes", f"{seconds / 60:.3f}", "-o", "-"]
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2), "peak_mb": round(usage.ru_maxrss / 1024)}


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope over the upper half of sizes, both on logarithmic axes."""
    upper = slice(len(sizes) // 2, None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(values[upper]), 1)[0])


def report(name: str, rows: list[dict[str, float]], figure: Path | None) -> None:
    """Print a table and JSON, and draw a figure if asked for."""
    print(f"\n| {name}, s | CPU, s | peak, MB |\n|---|---|---|")
    for row in rows:
        print(f"| {row['seconds']:g} | {row['cpu_seconds']:.1f} | {row['peak_mb']:.0f} |")
    sizes = [row["seconds"] for row in rows]
    slopes = {key: round(exponent(sizes, [row[key] for row in rows]), 2) for key in ("cpu_seconds", "peak_mb")}
    print(json.dumps({"of": name, "rows": rows, "exponents": slopes}))
    if figure:
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(5, 3), layout="constrained")
        axes = drawn.subplots()
        for key, label in (("cpu_seconds", "CPU, s"), ("peak_mb", "peak memory, MB")):
            axes.loglog(sizes, [row[key] for row in rows], "o-", label=f"{label}: exponent {slopes[key]:.2f}")
        axes.set_xlabel(f"{name}, s")
        axes.grid(alpha=0.3)
        axes.legend()
        drawn.savefig(figure, dpi=90)


def measure_songs(path: Path, most: float) -> list[dict[str, float]]:
    """Outputs 10 min longer than the first seconds of a long song."""
    rows = []
    length = soundfile.info(path).duration
    for seconds in (each for each in SONG_SECONDS if each <= min(length + 1, most)):
        with tempfile.TemporaryDirectory() as folder, soundfile.SoundFile(path) as source:
            begun = Path(folder) / "song.flac"
            with soundfile.SoundFile(begun, "w", source.samplerate, source.channels) as target:
                for block in source.blocks(1 << 20, frames=round(seconds * source.samplerate), dtype="int16"):
                    target.write(block)
            rows.append({"seconds": float(seconds), **run(begun, seconds + MORE_SECONDS)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def measure_outputs(path: Path, most: float) -> list[dict[str, float]]:
    """Outputs of one song."""
    rows = []
    for seconds in (each for each in OUTPUT_SECONDS if each <= most):
        rows.append({"seconds": float(seconds), **run(path, seconds)})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("recall", "song", "output"))
    parser.add_argument("songs", type=Path, nargs="+")
    parser.add_argument("--most", type=float, default=86_400.0, help="leave out what is longer, seconds")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    if options.what == "recall":
        measure_recall(options.songs)
    else:
        measure = measure_songs if options.what == "song" else measure_outputs
        report(options.what, measure(options.songs[0], options.most), options.figure)


if __name__ == "__main__":
    main()
