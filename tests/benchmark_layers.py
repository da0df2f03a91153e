"""What layers change in ten minutes of many songs: `PYTHONPATH=. python tests/benchmark_layers.py MUSIC/`.

For every song, with layers and without: of the steps that play a place again, the share whose combination of harmony
and percussion is new; how an exchange's edges sound to the join head, beside the same places without layers (area under
the ROC curve, 0.5: no difference); spectral flux there; loudness; and the largest difference to the song where both
parts come from the same place.
"""

import sys
from dataclasses import replace

import numpy as np

from musex.analysis.percussion import percussion_of
from musex.audio.song import Song
from musex.config import FEATURES
from musex.extension import extend
from musex.metrics import area_under_curve
from musex.plans import Plan
from musex.prediction.model import load_model
from musex.rendering.swaps import exchange
from musex.seams.joins import REACH_SECONDS, junction_window, whole_window
from tests.songs import examine_songs, song_arguments

LENGTHS = (60.0, 300.0)  # of the songs, seconds
TARGET = 600.0


def new_combinations(plan: Plan, rate: int) -> tuple[float, float]:
    """(share of the output that plays a place again, share of that whose combination is new), in percent."""
    harmony = plan.steps(1.0 / FEATURES.steps_per_second)
    rhythm = harmony.copy()
    step = rate / FEATURES.steps_per_second
    for swap in plan.swaps:
        played = slice(round(swap.at / step), round((swap.at + swap.frames) / step))
        rhythm[played] += round((swap.enter - swap.leave) / step)
    places: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    again = new = 0
    for place, beat in zip(harmony.tolist(), rhythm.tolist(), strict=True):
        again += place in places
        new += place in places and not {(place, beat + near) for near in (-1, 0, 1)} & pairs
        places.add(place)
        pairs.add((place, beat))
    return 100.0 * again / len(harmony), 100.0 * new / max(again, 1)


def loudness(samples: np.ndarray) -> float:
    return float(10.0 * np.log10(np.mean(samples**2) + 1e-12))


def examine(song: Song) -> tuple[list[float], np.ndarray, np.ndarray]:
    """One row of the table, and the join head's log-odds at the exchanges' edges with layers and without."""
    rate, head = song.sample_rate, load_model().join_head
    assert head is not None
    plain, layered = (extend(song, seconds=TARGET, layers=layers) for layers in ("off", "on"))
    reach = round(REACH_SECONDS * rate)
    edges = {place for swap in layered.plan.swaps for place in (swap.at, swap.at + swap.frames)}
    near_seams = np.array([seam.at for seam in plain.plan.seams])
    edges = {place for place in edges if not np.any(np.abs(near_seams - place) < reach)}
    odds = [
        np.array(
            [
                head.judge(junction_window(whole_window(output.samples[place - reach : place + reach], rate)))
                for place in sorted(edges)
                if reach <= place <= len(output.samples) - reach
            ]
        )
        for output in (layered, plain)
    ]
    parts = percussion_of(song)
    same = [
        np.abs(exchange(parts, replace(swap, enter=swap.leave), -swap.fade // 2, swap.frames)).max()
        for swap in layered.plan.swaps
    ]
    row = [
        *new_combinations(layered.plan, rate),
        len(layered.plan.swaps),
        area_under_curve(odds[1], odds[0]) if len(odds[0]) else float("nan"),
        loudness(layered.samples) - loudness(plain.samples),
        float(np.abs(layered.samples).max()) / max(1e-9, float(np.abs(song.samples).max())),
        max(same, default=0.0),
    ]
    return row, odds[0], odds[1]


COLUMNS = (
    "heard again, %",
    "of it new, %",
    "exchanges",
    "area, edges",
    "loudness, dB",
    "peak, of the song's",
    "equal paths, difference",
)


def main() -> int:
    options = song_arguments(__doc__, songs=30).parse_args()
    print("| song | " + " | ".join(COLUMNS) + " |\n|---" + "|---" * len(COLUMNS) + "|")
    rows, with_layers, without = [], [], []
    for name, (row, layered, plain) in examine_songs(options, examine, lengths=LENGTHS):
        rows.append(row)
        with_layers.append(layered)
        without.append(plain)
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in row) + " |", flush=True)
    table = np.array(rows)
    found = table[:, 2] > 0
    print(f"\n{len(rows)} songs; exchanges in {np.sum(found)} of them. Means, over all and over those:")
    for name, values in (("all", table), ("with exchanges", table[found])):
        means = ", ".join(
            f"{column} {mean:.3g}" for column, mean in zip(COLUMNS, np.nanmean(values, axis=0), strict=True)
        )
        print(f"{name}: {means}")
    area = area_under_curve(np.concatenate(without), np.concatenate(with_layers))
    print(f"area of all edges together, with layers against without: {area:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
