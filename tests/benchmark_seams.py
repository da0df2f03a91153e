"""How many seams keep to the bounds of `musex extend --check`: `PYTHONPATH=. python tests/benchmark_seams.py MUSIC/`.

Ten minutes are planned of every song; one row a song whose seams exceed a bound, then each bound over all seams.
"""

import math
import sys

import numpy as np

from musex.audio import Song
from musex.chain import plan_song
from musex.checks import BOUNDS, exceeded
from musex.model import load_model
from musex.plans import Seam
from tests.songs import examine_songs, song_arguments

LENGTHS = (30.0, math.inf)  # of the songs, seconds
TARGET = 600.0
MEASURES = {"rhythm_ms": "rhythm, ms", "level_db": "level, dB", "flux_percentile": "flux, percentile"}


def find_seams(song: Song) -> tuple[Seam, ...]:
    return plan_song(song, load_model(), seconds=TARGET).seams


def main() -> int:
    options = song_arguments(__doc__, songs=60).parse_args()
    seams: list[Seam] = []
    songs = 0
    print("| song | seams | beyond a bound |\n|---|---|---|")
    for name, found in examine_songs(options, find_seams, lengths=LENGTHS):
        beyond = [f"{MEASURES[measure]} {getattr(seam, measure):.3g}" for seam in found for measure in exceeded(seam)]
        if beyond:
            print(f"| {name} | {len(found)} | {'; '.join(beyond)} |", flush=True)
        seams += found
        songs += 1
    print(f"\n{len(seams)} seams of {songs} songs. Within the bound, and the 50th and 95th percentile:")
    for measure, title in MEASURES.items():
        values = np.abs([getattr(seam, measure) for seam in seams])
        within = 100.0 * np.mean(values <= getattr(BOUNDS, measure))
        middle, high = np.percentile(values, (50, 95))
        print(f"{title}: {within:.1f} %; {middle:.2f}, {high:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
