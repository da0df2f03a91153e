"""How often the first beat after a seam is a downbeat: `PYTHONPATH=. python tests/benchmark_form.py`.

The songs are composed here with known bars, and the examples, whose scripts know theirs. Chance is what entering
anywhere would give; exits with 1 if all seams together are not above it, or not above a search without the term.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import groove  # noqa: E402 - found by the path above
import waltz  # noqa: E402

from musex.audio.reading import read_song  # noqa: E402
from musex.audio.song import Song  # noqa: E402
from musex.planning.planner import plan_song  # noqa: E402
from musex.planning.weights import SEARCH  # noqa: E402
from musex.prediction.model import load_model  # noqa: E402

LATE = 0.1  # beats after an attack that still count as before it: cuts are made right before attacks
RATE = 22_050


def compose(seed: int, seconds: float = 60.0) -> Song:
    """Bars of two seconds, each of one random chord, with a drum on each of its four beats."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    chords = rng.choice([110.0, 146.8, 164.8, 220.0], size=int(seconds // 2) + 1)[(time // 2).astype(int)]
    tone = np.sin(2 * np.pi * np.outer(time * chords, [1.0, 1.5, 2.0])).mean(axis=1)
    drum = rng.standard_normal(len(time)) * np.exp(-30 * (time % 0.5))
    fade = np.minimum(1.0, (seconds - time) / 2.0)
    return Song(((0.4 * tone + 0.1 * drum) * fade)[:, None].astype(np.float32), RATE)


def songs(composed: int) -> Iterator[tuple[str, Song, np.ndarray, int]]:
    """Name, song, times of its beats, and beats of a bar."""
    for seed in range(composed):
        yield "composed", compose(seed), np.arange(0.0, 60.0, 0.5), 4
    for name, seconds_at, beats, bars in (
        ("groove", groove.swung_seconds, groove.BEATS_PER_BAR, groove.FINAL_BAR),
        ("waltz", waltz.seconds_at, waltz.BEATS_PER_BAR, waltz.FINAL_BAR),
    ):
        grid = np.array([seconds_at(float(beat)) for beat in range(beats * bars + 1)])
        yield name, read_song(ROOT / "examples" / f"{name}.mp3"), grid, beats


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure where seams enter against the bars of songs that are known.")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--composed", type=int, default=8)
    options = parser.parse_args()
    model = load_model()
    overall = {}
    for form in (0.0, SEARCH.form):
        weights = replace(SEARCH, form=form)
        hits: dict[str, list[tuple[bool, float]]] = {}
        for name, song, grid, beats in songs(options.composed):
            plan = plan_song(song, model, seconds=60.0 * options.minutes, weights=weights)
            entered = np.interp([seam.enter / song.sample_rate for seam in plan.seams], grid, np.arange(len(grid)))
            found = np.ceil(entered - LATE) % beats == 0
            hits.setdefault(name, []).extend((bool(hit), 1.0 / beats) for hit in found)
        hits["all"] = [pair for pairs in hits.values() for pair in pairs]
        for name, pairs in hits.items():
            share, chance = np.mean(pairs, axis=0)
            print(
                f"form {form:.1f}, {name:9s} {len(pairs):3d} seams, {share:4.0%} before downbeats (chance {chance:.0%})"
            )
            overall[form] = (share, chance)
    share, chance = overall[SEARCH.form]
    return int(not share > max(chance, overall[0.0][0]))


if __name__ == "__main__":
    sys.exit(main())
