"""What is heard again in ten minutes of many songs: `PYTHONPATH=. python tests/benchmark_repetition.py MUSIC/`.

For every song: passages of 5 s or more heard more than twice within any 60 s, the share of the usable material that is
heard, how often the same seam is used, and predictions that follow each other and are the same. Beside it the best loop
that PyMusicLooper finds in the same song, repeated, where it is installed. Exits with 1 if a bound is exceeded.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

from musex.analysis.song_analysis import analyse_song
from musex.audio.song import Song
from musex.config import FEATURES
from musex.evaluation.seam_classifier import looper_seams
from musex.planning.material import find_region
from musex.planning.planner import plan_song
from musex.plans import Plan
from musex.prediction.model import load_model
from tests.songs import add_looper, examine_songs, song_arguments

RATE = 10  # steps a second
WITHIN, PASSAGE, TWICE = 60 * RATE, 5 * RATE, 2
HORIZON = 10 * RATE
LEAST_SHARE, MOST_USES = 90.0, 4
LENGTHS = (120.0, 300.0)  # of the songs, seconds
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
    return plan.steps(1.0 / FEATURES.steps_per_second), [(seam.leave / rate, seam.enter / rate) for seam in plan.seams]


def looped(song: Song) -> tuple[np.ndarray, list[tuple[float, float]]] | None:
    """The song until its best loop ends, then the loop over and over."""
    loops = looper_seams(song, 1)
    if not loops:
        return None
    start, stop = (round(place / song.sample_rate * RATE) for place in (loops[0].enter, loops[0].leave))
    times = np.arange(round(TARGET * RATE))
    path = np.where(times < stop, times, start + (times - stop) % max(1, stop - start))
    return path, [(stop / RATE, start / RATE)] * int((len(times) - 1 - start) // max(1, stop - start))


def examine(song: Song, looper: bool) -> tuple[list[float], list[float] | None]:
    """Both rows of a song; only ours without `looper`, or where it finds no loop."""
    plan = plan_song(song, load_model(), seconds=TARGET)
    region = find_region(analyse_song(song))
    usable = (region.start, region.stop)
    path, seams = ours(song, plan)
    theirs = looped(song) if looper else None
    return measure(path, usable, seams), theirs and measure(theirs[0], usable, theirs[1])


def within(table: np.ndarray) -> list[np.ndarray]:
    """Which songs keep to each of the four bounds."""
    return [table[:, 0] == 0, table[:, 1] >= LEAST_SHARE, table[:, 2] <= MOST_USES, table[:, 3] == 0]


def main() -> int:
    parser = song_arguments(__doc__, songs=30)
    add_looper(parser)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print("| song | " + " | ".join(COLUMNS) + " |\n|---" + "|---" * len(COLUMNS) + "|")
    for name, (own, theirs) in examine_songs(options, partial(examine, looper=options.looper), lengths=LENGTHS):
        rows.append((name, own, theirs))
        cells = [
            f"{a:g} / {b:g}" if theirs else f"{a:g}"
            for a, b in zip(np.round(own, 1), np.round(theirs or own, 1), strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    table = np.array([own for _, own, _ in rows])
    others = np.array([theirs for _, _, theirs in rows if theirs]).reshape(-1, len(COLUMNS))
    folders = {name.split("/")[0] for name, *_ in rows}
    print(f"\n{len(rows)} songs of {len(folders)} folders; means, and songs within the bounds:")
    for name, values in (("musex", table), ("PyMusicLooper", others)):
        if len(values):
            shares = ", ".join(
                f"{column} {values[:, number].mean():.1f} ({np.sum(ok)}/{len(ok)})"
                for number, (column, ok) in enumerate(zip(COLUMNS, within(values), strict=False))
            )
            print(f"{name}: {shares}")
    if options.json:
        found = [{"song": name, "musex": own, "PyMusicLooper": theirs} for name, own, theirs in rows]
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(not np.all(within(table)))


if __name__ == "__main__":
    sys.exit(main())
