"""A song taken apart."""

import numpy as np

from musex.analysis.percussion import percussion_of
from musex.analysis.percussion import separate as separate_percussion
from musex.audio.song import Song
from musex.prediction.singing_network import SingingNetwork
from musex.prediction.voice_network import VoiceNetwork
from musex.separation.singing import hear_voice
from musex.separation.voice import separate_voice
from musex.settings import STEMS, StemName
from musex.system.arrays import Array
from musex.system.progress import OnShare

__all__ = ["STEMS", "StemName", "separate"]


def separate(song: Song, *, on_progress: OnShare | None = None) -> dict[StemName, Array]:
    """The stems of a song, float32 (frames, channels) each; what cannot be told from the others is in the rest.

    There is a voice where somebody is heard to sing.

    Args:
        song: Its rate and its channels are those of the stems.
        on_progress: Called with how much is done, 0 to 1.

    Returns:
        By their names, in the order of `STEMS`; they add up to the song.
    """
    report = on_progress or (lambda share: None)
    stems: dict[StemName, Array] = {}
    if hear_voice(song, SingingNetwork()) is not None:
        stems["voice"] = separate_voice(song.samples, song.sample_rate, VoiceNetwork(), on_share=report)
        stems["drums"] = separate_percussion(song.samples - stems["voice"])
    else:
        stems["drums"] = percussion_of(song)
    report(1.0)
    return stems | {"rest": song.samples - np.sum(list(stems.values()), axis=0)}
