"""How long who edits by hand waits: `python tests/benchmark_editing.py MUSIC`. Exits with 1 if a limit is missed.

Of songs of 2.5 to 4 min: reading, analysis (all that a plan needs to know of a song), a seam that is rejected (each of
a plan of 10 min, one after another), the alternatives to a seam, and the first second of sound after another length is
asked for, which is made while the rest is planned. All in one process, as the studio has it.
"""

import sys
import time
from statistics import median

import musex
from musex.audio.song import Song
from musex.planning.chain import Chain
from musex.planning.course import Request
from musex.planning.planner import Planner
from musex.planning.weights import SEARCH
from musex.prediction.model import Model, load_model
from musex.rendering.streaming import stream_plan
from musex.settings import Settings
from tests.songs import examine_songs, song_arguments

LENGTHS = (150.0, 240.0)  # seconds of the songs
OUTPUT_SECONDS, DRAGGED_SECONDS = 600.0, 437.0
LIMITS = {"analysis": 2.5, "seam": 0.3, "first sound": 1.0}  # seconds, of the median
MODEL = load_model()


def examine(song: Song) -> dict[str, list[float]]:
    """Seconds by what was done; nothing is known of the song before."""
    assert isinstance(MODEL, Model)
    taken: dict[str, list[float]] = {}

    def tell(what: str, began: float) -> None:
        taken.setdefault(what, []).append(time.perf_counter() - began)

    began = time.perf_counter()
    request = Request(song, MODEL, round(OUTPUT_SECONDS * song.sample_rate), Settings(), SEARCH)
    next(Chain(request).parts())
    tell("analysis", began)
    plan = musex.plan(song, seconds=OUTPUT_SECONDS, model=MODEL)
    for number in range(1, len(plan.seams) + 1):
        began = time.perf_counter()
        musex.edit(song, plan, reject=[number], model=MODEL)
        tell("seam", began)
    for number in range(1, min(3, len(plan.seams)) + 1):
        began = time.perf_counter()
        musex.alternatives(song, plan, number, model=MODEL)
        tell("alternatives", began)
    began = time.perf_counter()
    planner = Planner(song, MODEL, seconds=DRAGGED_SECONDS, settings=Settings())
    next(stream_plan(planner))
    tell("first sound", began)
    return taken


def main() -> int:
    parser = song_arguments(__doc__ or "", songs=8)
    found = [taken for _, taken in examine_songs(parser.parse_args(), examine, lengths=LENGTHS)]
    failed = False
    print(f"{len(found)} songs\n\n| | median, s | most, s | asked, s |\n|---|---|---|---|")
    for what in found[0]:
        times = [one for taken in found for one in taken.get(what, [])]
        limit = LIMITS.get(what)
        failed |= limit is not None and median(times) > limit
        print(f"| {what} ({len(times)}) | {median(times):.2f} | {max(times):.2f} | {limit or '–'} |")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
