"""A song taken apart."""

from musex.analysis.percussion import percussion_of
from musex.audio.song import Song
from musex.settings import STEMS, StemName
from musex.system.arrays import Array
from musex.system.progress import OnShare

__all__ = ["STEMS", "StemName", "separate"]


def separate(song: Song, *, on_progress: OnShare | None = None) -> dict[StemName, Array]:
    """The stems of a song, float32 (frames, channels) each; what cannot be told from the others is in the rest.

    Args:
        song: Its rate and its channels are those of the stems.
        on_progress: Called with how much is done, 0 to 1.

    Returns:
        By their names, in the order of `STEMS`; they add up to the song.
    """
    drums = percussion_of(song)
    if on_progress is not None:
        on_progress(1.0)
    return {"drums": drums, "rest": song.samples - drums}
