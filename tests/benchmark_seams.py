"""How many seams keep to the bounds of `musex extend --check`: `PYTHONPATH=. python tests/benchmark_seams.py MUSIC/`.

Ten minutes are planned of every song; one row a song whose seams exceed a bound, then each bound over all seams. The
level step is also measured where the seams leave and enter, as the song itself plays on, and of the eight best loops
that PyMusicLooper finds, where it is installed.
"""

import math
import sys
from collections.abc import Sequence
from functools import partial

import numpy as np

from musex.audio.song import Song
from musex.evaluation.seam_classifier import looper_seams
from musex.planning.planner import plan_song
from musex.plans import Seam
from musex.prediction.model import load_model
from musex.seams.bounds import BOUNDS, exceeded
from musex.seams.measures import level_error, level_step
from tests.songs import add_looper, examine_songs, song_arguments

LENGTHS = (30.0, math.inf)  # of the songs, seconds
TARGET = 600.0
LOOPS = 8
MEASURES = {"rhythm_ms": "rhythm, ms", "level_db": "level, dB", "flux_percentile": "flux, percentile"}


def find_seams(song: Song, looper: bool) -> tuple[tuple[Seam, ...], list[float], list[float]]:
    """The seams of a song's plan; in dB the song's own level steps there, and PyMusicLooper's level errors."""
    seams = plan_song(song, load_model(), seconds=TARGET).seams
    places = [place for seam in seams for place in (seam.leave, seam.enter)]
    loops = looper_seams(song, LOOPS) if looper else []
    own = [level_step(song.samples, song.sample_rate, place, place) for place in places]
    theirs = [level_error(song.samples, song.sample_rate, loop.leave, loop.enter) for loop in loops]
    return seams, own, theirs


def print_share(title: str, values: Sequence[float], bound: float) -> None:
    sizes = np.abs(values)
    middle, high = np.percentile(sizes, (50, 95))
    print(f"{title}: {100.0 * np.mean(sizes <= bound):.1f} %; {middle:.2f}, {high:.2f}")


def main() -> int:
    parser = song_arguments(__doc__, songs=60)
    add_looper(parser)
    options = parser.parse_args()
    seams: list[Seam] = []
    untouched: list[float] = []
    looped: list[float] = []
    songs = 0
    print("| song | seams | beyond a bound |\n|---|---|---|")
    for name, (found, own, theirs) in examine_songs(
        options, partial(find_seams, looper=options.looper), lengths=LENGTHS
    ):
        beyond = [f"{MEASURES[measure]} {getattr(seam, measure):.3g}" for seam in found for measure in exceeded(seam)]
        if beyond:
            print(f"| {name} | {len(found)} | {'; '.join(beyond)} |", flush=True)
        seams += found
        untouched += own
        looped += theirs
        songs += 1
    print(f"\n{len(seams)} seams of {songs} songs. Within the bound, and the 50th and 95th percentile:")
    for measure, title in MEASURES.items():
        print_share(title, [getattr(seam, measure) for seam in seams], getattr(BOUNDS, measure))
    print_share("level of the song itself at the same places, dB", untouched, BOUNDS.level_db)
    if looped:
        print_share(f"level of {len(looped)} loops of PyMusicLooper, dB", looped, BOUNDS.level_db)
    return 0


if __name__ == "__main__":
    sys.exit(main())
