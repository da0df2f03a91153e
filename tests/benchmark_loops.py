"""Each song's best loop: how much of the song it plays, how its seam joins, and how a jump without a crossfade would.

Not a test. `python tests/benchmark_loops.py music/` prints a line for each song and a summary.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from musex.audio.reading import READABLE, read_song
from musex.audio.song import Song
from musex.errors import MusexError
from musex.extension import find_loops
from musex.planning import natural_loops
from musex.planning.natural_loops import Loop
from musex.prediction.model import load_model
from musex.seams.bounds import exceeded
from musex.seams.cuts import find_cut

AROUND_SECONDS = 0.05  # of the song's own steps on both sides of a jump, that its step is compared with


def click(song: Song, leave: int, enter: int) -> float:
    """The step of a jump without a crossfade, in those that 1 % of the song's own steps around it exceed."""
    near, samples = round(AROUND_SECONDS * song.sample_rate), song.samples
    own = np.abs(np.diff(samples[leave - near : leave + near], axis=0)).max(axis=1)
    step = np.abs(samples[enter] - samples[leave - 1]).max()
    return float(step / max(np.quantile(own, 0.99), 1e-9))


def examine(path: Path) -> tuple[Song, Loop] | None:
    try:
        song = read_song(path)
        return song, find_loops(song, count=1, model=load_model())[0]
    except MusexError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every so many of a folder's songs only")
    parser.add_argument("--left-out", type=float, default=natural_loops.LEFT_OUT, help="weight of what is left out")
    options = parser.parse_args()
    natural_loops.LEFT_OUT = options.left_out
    paths = [path for entry in options.music for path in (sorted(entry.rglob("*")) if entry.is_dir() else [entry])]
    shares, correlations, beyond, clicks = list[float](), list[float](), 0, list[tuple[float, float]]()
    for path in [path for path in paths if path.suffix.lower() in READABLE][:: options.every]:
        if (found := examine(path)) is None:
            continue
        song, loop = found
        cut = find_cut(song.samples, song.sample_rate, loop.seam)
        clicks.append((click(song, cut.leave, cut.enter), click(song, loop.stop, loop.start)))
        shares.append(loop.seconds / song.seconds)
        correlations.append(loop.seam.correlation)
        beyond += bool(exceeded(loop.seam))
        bounds = f"{loop.start_seconds:.1f} to {loop.stop_seconds:.1f} s of {song.seconds:.0f}"
        print(
            f"{path.name}: {bounds}, correlation {loop.seam.correlation:.2f} {' '.join(exceeded(loop.seam))}",
            flush=True,
        )
    at_cut, at_seam = np.array(clicks).T
    print(
        f"{len(shares)} songs: {beyond} with a seam beyond its bounds; medians: {np.median(shares):.2f} of the song, "
        f"correlation {np.median(correlations):.2f}; clicks above 1: {(at_cut > 1).sum()} at the cut, median "
        f"{np.median(at_cut):.2f}; {(at_seam > 1).sum()} amid the crossfade, median {np.median(at_seam):.2f}"
    )


if __name__ == "__main__":
    main()
