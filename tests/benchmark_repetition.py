"""What is heard again in ten minutes of many songs: python tests/benchmark_repetition.py MUSIC/ [--json FILE]

For every song: passages of 5 s or more heard more than twice within any 60 s, the share of the usable material that is
heard, how often the same seam is used, and predictions that follow each other and are the same. Beside it the best loop
that PyMusicLooper finds in the same song, repeated, where it is installed. Exits with 1 if a bound is exceeded.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from musex.audio import Song, read_song
from musex.chain import plan_song
from musex.endurance import follow
from musex.errors import MusexError
from musex.features import analyse
from musex.model import load_model
from musex.plans import Plan
from musex.regions import find_region
from musex.seam_evaluation import draw_songs

RATE = 10  # steps a second
WITHIN, PASSAGE, TWICE = 60 * RATE, 5 * RATE, 2
HORIZON = 10 * RATE
LEAST_SHARE, MOST_USES = 90.0, 4
SHORTEST, LONGEST = 120.0, 300.0  # of the songs, seconds
TARGET = 600.0
SAME_SEAM = 1.0  # seconds by which both ends of a seam may differ
COLUMNS = ("too often, s", "material heard, %", "same seam", "same predictions", "seams")


def heard_too_often(path: np.ndarray) -> float:
    """Seconds of passages of 5 s or more that were heard twice already within the last minute."""
    again = np.zeros(len(path), bool)
    last: dict[int, list[int]] = {}
    for time, place in enumerate(path.tolist()):
        times = [t for near in (place - 1, place, place + 1) for t in last.get(near, []) if 2 < time - t < WITHIN]
        visits = 1 + int(np.count_nonzero(np.diff(sorted(times)) > 3)) if times else 0  # neighbours are one visit
        again[time] = visits >= TWICE
        last.setdefault(place, []).append(time)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], again, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= PASSAGE].sum()) / RATE


def same_predictions(path: np.ndarray) -> int:
    """How many stretches of a horizon play just what the one before played."""
    blocks = path[: len(path) // HORIZON * HORIZON].reshape(-1, HORIZON)
    return int(np.sum(np.mean(np.abs(np.diff(blocks, axis=0)) <= 1, axis=1) > 0.9))


def most_used(seams: list[tuple[float, float]]) -> int:
    """How often the seam that is used most is used; (leave, enter) in seconds."""
    ends = np.array(seams).reshape(-1, 2)
    same = np.all(np.abs(ends[:, None] - ends[None]) <= SAME_SEAM, axis=2)
    return int(same.sum(axis=1).max()) if len(ends) else 0


def measure(path: np.ndarray, usable: tuple[int, int], seams: list[tuple[float, float]]) -> list[float]:
    heard = np.unique(path)
    share = 100.0 * np.count_nonzero((heard >= usable[0]) & (heard < usable[1])) / max(1, usable[1] - usable[0])
    return [heard_too_often(path), share, most_used(seams), same_predictions(path), len(seams)]


def ours(song: Song, plan: Plan) -> tuple[np.ndarray, list[tuple[float, float]]]:
    rate = song.sample_rate
    return follow(plan, rate), [(seam.leave / rate, seam.enter / rate) for seam in plan.seams]


def looped(song: Song) -> tuple[np.ndarray, list[tuple[float, float]]] | None:
    """The song until its best loop ends, then the loop over and over."""
    from pymusiclooper.core import MusicLooper
    from pymusiclooper.exceptions import LoopNotFoundError

    try:
        pair = MusicLooper(str(song.path)).find_loop_pairs()[0]
    except LoopNotFoundError:
        return None
    start, stop = (round(place / song.sample_rate * RATE) for place in (int(pair.loop_start), int(pair.loop_end)))
    times = np.arange(round(TARGET * RATE))
    path = np.where(times < stop, times, start + (times - stop) % max(1, stop - start))
    return path, [(stop / RATE, start / RATE)] * int((len(times) - 1 - start) // max(1, stop - start))


def examine(path: Path, looper: bool) -> tuple[Path, list[float], list[float] | None] | None:
    """Both rows of a song; None if it is too short or too long."""
    try:
        song = read_song(path)
        if not SHORTEST <= song.seconds <= LONGEST:
            return None
        plan = plan_song(song, load_model(), seconds=TARGET)
    except MusexError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return None
    region = find_region(analyse(song.samples, song.sample_rate))
    usable = (region.start, region.stop)
    theirs = looped(song) if looper else None
    return (
        path,
        measure(ours(song, plan)[0], usable, ours(song, plan)[1]),
        theirs and measure(theirs[0], usable, theirs[1]),
    )


def examine_all(
    paths: list[Path], wanted: int, looper: bool, jobs: int
) -> Iterator[tuple[Path, list[float], list[float] | None]]:
    with ProcessPoolExecutor(jobs) as pool:
        found = 0
        for first in range(0, len(paths), 2 * jobs):
            for row in pool.map(examine, paths[first : first + 2 * jobs], [looper] * 2 * jobs):
                if row and found < wanted:
                    found += 1
                    yield row
            if found >= wanted:
                return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--songs", type=int, default=30)
    parser.add_argument("--only", action="append", metavar="FOLDER", help="songs of these folders only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--no-looper", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    looper = importlib.util.find_spec("pymusiclooper") is not None and not options.no_looper
    paths = draw_songs(options.music, 10 * options.songs, options.seed)
    if options.only:
        paths = [path for path in paths if path.relative_to(options.music).parts[0] in options.only]
    rows = []
    print("| song | " + " | ".join(COLUMNS) + " |\n|---" + "|---" * len(COLUMNS) + "|")
    for path, own, theirs in examine_all(paths, options.songs, looper, options.jobs):
        rows.append((path, own, theirs))
        cells = [
            f"{a:g} / {b:g}" if theirs else f"{a:g}"
            for a, b in zip(np.round(own, 1), np.round(theirs or own, 1), strict=True)
        ]
        print(f"| {path.parent.name}/{path.stem} | " + " | ".join(cells) + " |", flush=True)
    table = np.array([own for _, own, _ in rows])
    within = [table[:, 0] == 0, table[:, 1] >= LEAST_SHARE, table[:, 2] <= MOST_USES, table[:, 3] == 0]
    others = np.array([theirs for _, _, theirs in rows if theirs]).reshape(-1, len(COLUMNS))
    print(
        f"\n{len(rows)} songs of {len({path.parent for path, *_ in rows})} folders; means, and songs within the bounds:"
    )
    for name, values in (("musex", table), ("PyMusicLooper", others)):
        if len(values):
            checks = [values[:, 0] == 0, values[:, 1] >= LEAST_SHARE, values[:, 2] <= MOST_USES, values[:, 3] == 0]
            shares = ", ".join(
                f"{COLUMNS[i]} {values[:, i].mean():.1f} ({np.sum(ok)}/{len(ok)})" for i, ok in enumerate(checks)
            )
            print(f"{name}: {shares}")
    if options.json:
        found = [{"song": str(path), "musex": own, "PyMusicLooper": theirs} for path, own, theirs in rows]
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(not np.all(within))


if __name__ == "__main__":
    sys.exit(main())
