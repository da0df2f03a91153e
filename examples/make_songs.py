"""Make the example songs: `python examples/make_songs.py [groove] [waltz] [drift]` (all three without names)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import drift
import groove
import waltz
from synth import SAMPLE_RATE, Array, write_mp3

SONGS: dict[str, tuple[str, Callable[[], Array]]] = {
    "groove": ("Groove", groove.compose),
    "waltz": ("Waltz", waltz.compose),
    "drift": ("Drift", drift.compose),
}


def make_song(name: str, folder: Path) -> Path:
    """Compose one song by its name and write it as `folder/name.mp3`."""
    title, compose = SONGS[name]
    sound = compose()
    path = folder / f"{name}.mp3"
    write_mp3(path, sound, title=title)
    print(f"{path}: {len(sound) / SAMPLE_RATE:.1f} s")
    return path


def main() -> None:
    """Parse the names and the folder, then make the songs."""
    parser = argparse.ArgumentParser(description="Synthesise the example songs as mp3 files.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which songs: {', '.join(SONGS)} (default: all)")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where the files go")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(SONGS))
    if unknown:
        parser.error(f"no song named {', '.join(unknown)}; there are {', '.join(SONGS)}")
    for name in arguments.names or SONGS:
        make_song(name, arguments.folder)


if __name__ == "__main__":
    main()
