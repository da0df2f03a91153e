"""The stems of songs that were taken apart already, or whose stems are given: kept as long as the song is."""

import weakref
from collections.abc import Iterable, Mapping

from musex.audio.song import Song
from musex.errors import MusexError
from musex.separation.stems import separate
from musex.settings import StemName
from musex.system.arrays import Array
from musex.system.progress import OnShare

_stems: "weakref.WeakKeyDictionary[Song, dict[StemName, Array]]" = weakref.WeakKeyDictionary()


def stems_of(song: Song, *, on_progress: OnShare | None = None) -> dict[StemName, Array]:
    """The stems of a song, as `separate` gives them; it is taken apart once."""
    if song not in _stems:
        _stems[song] = separate(song, on_progress=on_progress)
    return _stems[song]


def give_stems(song: Song, stems: Mapping[StemName, Array]) -> None:
    """Use these as the stems of a song, which they add up to, in place of separating it."""
    _stems[song] = dict(stems)


def check_stems(song: Song, wanted: Iterable[StemName], *, on_progress: OnShare | None = None) -> None:
    """Refuse stems that the song was not separated into; raises MusexError. Separates it where it is not."""
    if missing := [stem for stem in wanted if stem not in stems_of(song, on_progress=on_progress)]:
        known = ", ".join(stems_of(song))
        raise MusexError(f"{missing[0]} cannot be heard apart in this song: its stems are {known}")
