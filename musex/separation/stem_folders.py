"""The stems of a song in files of their own: where they lie, and whether they are that song's."""

from pathlib import Path

import numpy as np

from musex.audio.inputs import read_logged
from musex.audio.reading import READABLE
from musex.audio.song import BLOCK_FRAMES, Song
from musex.errors import MusexError
from musex.settings import STEMS, StemName
from musex.system.arrays import Array
from musex.system.wording import format_count

MOST_OFF_DB = -60.0  # below the song, what its stems may lack of it
SILENT = 1e-9  # mean square of a song of which nothing can be told


def stem_of(path: Path) -> StemName | None:
    """Which stem a file is by its name, such as `voice.wav`; None where it is called otherwise."""
    return next((name for name in STEMS if name == path.stem.lower()), None)


def files_in(folder: Path) -> list[Path]:
    """The music files of a folder that add up to a song: those called as stems are, or all where none is.

    Raises:
        MusexError: There is none.
    """
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in READABLE and path.is_file()]
    files = [path for path in files if not path.name.startswith(".")]  # a Mac's notes, a killed run's remains
    if not files:
        raise MusexError(f"{folder} has no music file: name the stems or tracks of a song, or a folder of them")
    return [path for path in files if stem_of(path)] or files


def read_stem(path: Path, song: Song, name: str = "the song") -> Song:
    """A stem of a song from its file; raises MusexError where its rate, channels or length are not the song's."""
    stem = read_logged(path, silent=True)
    for what, own, wanted in (
        ("has a sample rate of", f"{stem.sample_rate} Hz", f"{song.sample_rate} Hz"),
        ("has", format_count(stem.channels, "channel"), f"{song.channels}"),
        ("lasts", f"{stem.frames} samples", f"{song.frames}"),
    ):
        if own.split()[0] != wanted.split()[0]:
            raise MusexError(
                f"{path} {what} {own}, {name} {wanted}: export the stems as long and in the form of the song"
            )
    return stem


def read_stems(folder: str | Path, song: Song) -> dict[StemName, Array]:
    """The stems of a song from a folder, float32 (frames, channels) each; they add up to the song.

    Args:
        folder: Has files called as stems are, such as `voice.wav`. Where there is none of the rest, it is what is left.
        song: Whose they are.

    Raises:
        MusexError: There are none, they do not fit the song, or do not add up to it.
    """
    folder, paths = Path(folder), dict[StemName, Path]()
    if not folder.is_dir():
        raise MusexError(f"`stems={folder}` is no folder: give one that `musex stems` wrote")
    for path in sorted(folder.iterdir()):
        name = stem_of(path) if path.suffix.lower() in READABLE else None
        if name in paths:
            raise MusexError(f"{paths[name]} and {path} are both called {name}: leave one of them in `stems=`")
        if name is not None:
            paths[name] = path
    if not paths:
        raise MusexError(f"`stems={folder}` has none of voice.wav, drums.wav, bass.wav and rest.wav")
    stems = {name: read_stem(paths[name], song).samples for name in STEMS if name in paths}
    left = song.samples - sum(stem for name, stem in stems.items() if name != "rest")
    if "rest" in stems and (off := level_of(left - stems["rest"], song.samples)) > MOST_OFF_DB:
        raise MusexError(
            f"the stems in {folder} do not add up to the song: what is left of it is at {off:.0f} dB, "
            f"{MOST_OFF_DB:g} dB at most can be: are they another song's?"
        )
    return {**stems, "rest": left}


def level_of(samples: Array, song: Array) -> float:
    """The level of samples below that of a song, dB."""
    own, other = (_power(each) for each in (samples, song))
    return float(10.0 * np.log10(max(own, 1e-20) / max(other, SILENT)))


def _power(samples: Array) -> float:
    """Mean square, in constant memory."""
    blocks = (samples[at : at + BLOCK_FRAMES] for at in range(0, len(samples), BLOCK_FRAMES))
    return sum(float(np.sum(np.square(block, dtype=np.float64))) for block in blocks) / max(samples.size, 1)
