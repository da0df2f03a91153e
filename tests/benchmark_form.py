"""How often the first beat after a seam is a downbeat or starts a phrase: `python tests/benchmark_form.py`.

The songs are the examples, whose scripts know where their bars are. Chance is what entering anywhere would give;
exits with 1 if the seams are not above it.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import groove  # noqa: E402 - found by the path above
import waltz  # noqa: E402

from musex.audio import read_song  # noqa: E402
from musex.chain import plan_song  # noqa: E402
from musex.model import load_model  # noqa: E402
from musex.search import SEARCH  # noqa: E402

PHRASE_BARS = 4
LATE = 0.1  # beats after an attack that still count as before it
SONGS = {
    "groove": (groove.swung_seconds, groove.BEATS_PER_BAR, groove.FINAL_BAR),
    "waltz": (waltz.seconds_at, waltz.BEATS_PER_BAR, waltz.FINAL_BAR),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure where seams enter against the bars of the examples.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    model = load_model()
    better = True
    for name, (seconds_at, beats, bars) in SONGS.items():
        song = read_song(ROOT / "examples" / f"{name}.mp3")
        grid = np.array([seconds_at(float(beat)) for beat in range(beats * bars + 1)])
        for form in (0.0, SEARCH.form):
            seams = [
                seam
                for seed in range(options.seeds)
                for seam in plan_song(
                    song, model, seconds=60.0 * options.minutes, seed=seed, config=replace(SEARCH, form=form)
                ).seams
            ]
            entered = np.interp([seam.enter / song.sample_rate for seam in seams], grid, np.arange(len(grid)))
            rows = [("downbeats", beats), ("phrase starts", beats * PHRASE_BARS)]
            for label, period in rows:
                share, chance = float(np.mean(np.ceil(entered - LATE) % period == 0)), 1.0 / period
                result = f"{share:4.0%} before {label} (chance {chance:.0%})"
                print(f"{name:8s} form {form:.1f}: {len(seams):3d} seams, {result}")
                better &= form == 0.0 or label != "downbeats" or share > chance
    return int(not better)


if __name__ == "__main__":
    sys.exit(main())
