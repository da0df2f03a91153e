"""Is the mood that was asked for delivered? `PYTHONPATH=. python tests/benchmark_moods.py MUSIC/ [--figure FILE]`.

Songs whose loudness varies are made ten minutes long by the arc "0:calm 5:intense 10:calm". The table has for each the
correlation over time of the arousal asked for with that of what is played (both as means over 10 s), and the same for
the song played without a mood; the figure has the curves. Exits with 1 if the mean correlation is below its bound.
"""

import math
import sys
from pathlib import Path

import numpy as np

from musex.analysis.features import analyse
from musex.analysis.form import smooth, step_levels
from musex.analysis.moods import SMOOTH_STEPS, asked, delivered
from musex.audio.song import Song
from musex.config import FEATURES
from musex.planning.planner import plan_song
from musex.prediction.model import load_model
from musex.settings import MoodPoints
from tests.songs import examine_songs, song_arguments

ARC: MoodPoints = ((0.0, "calm"), (300.0, "intense"), (600.0, "calm"))
LENGTHS = (60.0, math.inf)  # of the songs, seconds
TARGET, HEARD_SECONDS = 600.0, 10
LEAST_SPREAD_DB = 6.0  # of a song's loudness, from the 10th to the 90th percentile: else its arousal does not vary
BOUND = 0.6


def spread_db(features: np.ndarray) -> float:
    """How much a song's loudness varies, as heard over 4 s, its fades left out."""
    levels = step_levels(features)
    levels = smooth(np.maximum(levels, levels.max() - 50.0), SMOOTH_STEPS)[SMOOTH_STEPS:-SMOOTH_STEPS]
    return float(np.subtract(*np.quantile(levels, [0.9, 0.1])))


def curves(song: Song) -> tuple[float, np.ndarray] | None:
    """How much its loudness varies, in dB; arousal asked for, delivered, and without a mood, every 10 s: (3, times).

    None if the loudness varies too little.
    """
    features = analyse(song.samples, song.sample_rate)
    spread = spread_db(features)
    if spread < LEAST_SPREAD_DB:
        return None
    model, steps = load_model(), HEARD_SECONDS * FEATURES.steps_per_second
    plans = [plan_song(song, model, seconds=TARGET, arc=arc) for arc in (ARC, ())]
    played = [delivered(plan, features)[:, 0] for plan in plans]
    count = min(map(len, played)) // steps
    means = [values[: count * steps].reshape(count, steps).mean(axis=1) for values in played]
    times = (np.arange(count) + 0.5) * HEARD_SECONDS
    return spread, np.array([asked(ARC, times)[:, 0], *means])


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() * other.std() > 0 else 0.0


def draw(found: dict[str, np.ndarray], path: Path) -> None:
    """Curves of up to nine songs."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(3, 3, figsize=(12, 7), sharex=True, sharey=True, layout="constrained")
    for panel, (name, (wanted, given, plain)) in zip(panels.flat, found.items(), strict=False):
        times = (np.arange(len(wanted)) + 0.5) * HEARD_SECONDS / 60.0
        panel.plot(times, wanted, color="black", linestyle="--", label="asked for")
        panel.plot(times, given, color="#0072b2", linewidth=2, label="delivered")
        panel.plot(times, plain, color="#999999", linewidth=1, label="without a mood")
        panel.set_title(f"{Path(name).name[:36]}: {correlation(wanted, given):.2f}", fontsize=9)
    figure.supxlabel("minutes of the output")
    figure.supylabel("arousal, deviations from the song's median")
    panels.flat[0].legend(fontsize=8)
    figure.savefig(path, dpi=90)


def main() -> int:
    parser = song_arguments(__doc__, songs=20)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    found: dict[str, np.ndarray] = {}
    rows = []
    print("| song | its loudness varies by, dB | arousal, asked and delivered | without a mood |\n|---|---|---|---|")
    for name, (spread, (wanted, given, without)) in examine_songs(options, curves, lengths=LENGTHS):
        found[name] = np.array([wanted, given, without])
        rows.append((correlation(wanted, given), correlation(wanted, without)))
        print(f"| {name} | {spread:.1f} | {rows[-1][0]:.2f} | {rows[-1][1]:.2f} |", flush=True)
    table = np.array(rows)
    drawn = np.random.default_rng(options.seed).integers(0, len(table), (1000, len(table)))
    low, high = np.percentile(table[drawn, 0].mean(axis=1), [2.5, 97.5])
    mean, plain = table.mean(axis=0)
    print(f"\n{len(table)} songs: {mean:.2f} [{low:.2f}, {high:.2f}], without a mood {plain:.2f}")
    if options.figure:
        draw(found, options.figure)
    return int(mean < BOUND)


if __name__ == "__main__":
    sys.exit(main())
