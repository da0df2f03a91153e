"""The songs that a benchmark examines, and what it asks of the command line for them."""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.errors import MusexError
from musex.evaluation.seam_classifier import draw_songs

Found = TypeVar("Found")


def song_arguments(text: str, *, songs: int) -> argparse.ArgumentParser:
    """A parser for MUSIC, how many songs of it, which, and by how many processes."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--songs", type=int, default=songs)
    parser.add_argument("--only", action="append", metavar="FOLDER", help="songs of these folders only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    return parser


def add_looper(parser: argparse.ArgumentParser) -> None:
    """`looper`: whether PyMusicLooper stands beside musex, as it does where it is installed."""
    installed = importlib.util.find_spec("pymusiclooper") is not None
    parser.add_argument("--no-looper", dest="looper", action="store_false", default=installed)


def _examine(path: Path, examine: Callable[[Song], Found | None], lengths: tuple[float, float]) -> Found | None:
    try:
        song = read_song(path)
        return examine(song) if lengths[0] <= song.seconds <= lengths[1] else None
    except MusexError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return None


def examine_songs(
    options: argparse.Namespace, examine: Callable[[Song], Found | None], *, lengths: tuple[float, float]
) -> Iterator[tuple[str, Found]]:
    """Folder and name of a song with what `examine` finds of it, for as many songs as asked.

    They are of each folder in turn. Songs shorter or longer than `lengths` (seconds), those that cannot be used and
    those of which nothing is found (None) are passed over.
    """
    paths = draw_songs(options.music, 10 * options.songs, options.seed)
    if options.only:
        paths = [path for path in paths if path.relative_to(options.music).parts[0] in options.only]
    left = options.songs
    with ProcessPoolExecutor(options.jobs) as pool:
        for first in range(0, len(paths), 2 * options.jobs):
            some = paths[first : first + 2 * options.jobs]
            for path, found in zip(
                some, pool.map(partial(_examine, examine=examine, lengths=lengths), some), strict=True
            ):
                if found is not None and left:
                    left -= 1
                    yield f"{path.parent.name}/{path.stem}", found
            if not left:
                return
