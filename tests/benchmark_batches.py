"""How well a batch uses the machine: `python tests/benchmark_batches.py MUSIC`.

Twenty songs of 1 to 4 min are made `--minutes` long by `musex extend --jobs 2`, and the wall-clock time is divided by
half of the processor time that all its processes took: 1 where both cores are busy all the time. Whatever else runs on
the machine takes cores, too; what it took stands beside. `idle` counts only what the cores had left: the ratio as it
would be with nothing else running is (processor + idle) / processor, or more where others fill the gaps. `working` is
the share of the time that the jobs were at songs; the rest is lost at the start, for imports, and at the end, when some
have no song left. The same songs one after another (`--alone`) tell what a song costs more side by side.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile

from musex.evaluation.seam_classifier import draw_songs

ROOT = Path(__file__).parent.parent
OWN = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")  # are not every user's


def machine_seconds() -> tuple[float, float]:
    """Seconds for which the processors of this machine were busy, and idle, since it started; 0 where nobody tells."""
    try:
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0, 0.0
    user, nice, system, idle, waiting, *others = (int(word) / os.sysconf("SC_CLK_TCK") for word in words)
    return user + nice + system + sum(others), idle + waiting


def own_seconds() -> float:
    """Processor seconds of all processes that this one has waited for, and those that they have."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lasts(path: Path) -> bool:
    """Whether a song is 1 to 4 min long."""
    try:
        return 60.0 <= float(soundfile.info(path).duration) <= 240.0
    except soundfile.LibsndfileError:
        return False


def measure(songs: list[Path], arguments: list[str]) -> dict[str, float]:
    """What a batch takes, in seconds."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "musex", "extend", *map(str, songs), "-o", folder, "--json", *arguments]
        before, busy, idle = own_seconds(), *machine_seconds()
        began = time.perf_counter()
        environment["PYTHONPATH"] = str(ROOT)
        told = subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE).stdout
        wall, processor = time.perf_counter() - began, own_seconds() - before
        busy, idle = (now - then for now, then in zip(machine_seconds(), (busy, idle), strict=True))
        assert len(list(Path(folder).glob("[!.]*"))) == len(songs)
    working = sum(output["made_in_seconds"] for output in json.loads(told)["outputs"])
    return {"wall": wall, "processor": processor, "others": busy - processor, "idle": idle, "working": working}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--minutes", default="10")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="the same songs one after another, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    songs = [path for path in draw_songs(options.music, 20 * options.songs, 0) if lasts(path)][: options.songs]
    results = {}
    for jobs in (options.jobs, *([1] if options.alone else [])):
        taken = measure(songs, ["--minutes", options.minutes, "--format", "mp3", "--jobs", str(jobs)])
        told = ", ".join(f"{name} {taken[name]:.1f} s" for name in ("wall", "processor", "others", "idle"))
        taken["working"] /= jobs * taken["wall"]
        taken["ratio"] = taken["wall"] / (taken["processor"] / jobs)
        line = f"{len(songs)} songs, --jobs {jobs}: {told}, working {taken['working']:.1%}"
        line += f"; wall / (processor / {jobs}) = {taken['ratio']:.3f}"
        if jobs == os.cpu_count():
            taken["ratio_alone"] = (taken["processor"] + taken["idle"]) / taken["processor"]
            line += f", with nothing else running {taken['ratio_alone']:.3f}"
        print(line, flush=True)
        results[f"--jobs {jobs}"] = taken
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
