"""How many seams keep to the bounds of `musex extend --check`: `PYTHONPATH=. python tests/benchmark_seams.py MUSIC/`.

Ten minutes are planned of every song; one row a song whose seams exceed a bound, then each bound over all seams.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from musex.audio import read_song
from musex.chain import plan_song
from musex.checks import BOUNDS, exceeded
from musex.errors import MusexError
from musex.model import load_model
from musex.plans import Seam
from musex.seam_evaluation import draw_songs

SHORTEST = 30.0  # of the songs, seconds
TARGET = 600.0
MEASURES = {"rhythm_ms": "rhythm, ms", "level_db": "level, dB", "flux_percentile": "flux, percentile"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--songs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_model()
    seams: list[Seam] = []
    songs = 0
    print("| song | seams | beyond a bound |\n|---|---|---|")
    for path in draw_songs(options.music, 10 * options.songs, options.seed):
        try:
            song = read_song(path)
            if song.seconds < SHORTEST:
                continue
            found = plan_song(song, model, seconds=TARGET).seams
        except MusexError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        beyond = [f"{MEASURES[name]} {getattr(seam, name):.3g}" for seam in found for name in exceeded(seam)]
        if beyond:
            print(f"| {path.parent.name}/{path.stem} | {len(found)} | {'; '.join(beyond)} |", flush=True)
        seams += found
        songs += 1
        if songs == options.songs:
            break
    print(f"\n{len(seams)} seams of {songs} songs. Within the bound, and the 50th and 95th percentile:")
    for name, title in MEASURES.items():
        values = np.abs([getattr(seam, name) for seam in seams])
        within = 100.0 * np.mean(values <= getattr(BOUNDS, name))
        middle, high = np.percentile(values, (50, 95))
        print(f"{title}: {within:.1f} %; {middle:.2f}, {high:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
