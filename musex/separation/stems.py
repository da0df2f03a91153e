"""A song taken apart."""

import numpy as np

from musex.audio.song import Song
from musex.prediction.singing_network import SingingNetwork
from musex.prediction.voice_network import VoiceNetwork
from musex.separation.separator import Separator
from musex.separation.singing import hear_voice
from musex.separation.voice import separate_voice
from musex.settings import STEMS, StemName
from musex.system.arrays import Array
from musex.system.progress import OnShare

__all__ = ["STEMS", "StemName", "separate"]

VOICE_SHARE = 0.9  # of the time that a song with a voice takes


def separate(song: Song, *, on_progress: OnShare | None = None) -> dict[StemName, Array]:
    """The stems of a song, float32 (frames, channels) each; what cannot be told from the others is in the rest.

    There is a voice where somebody is heard to sing. Drums and bass are those of what is left without it.

    Args:
        song: Its rate and its channels are those of the stems.
        on_progress: Called with how much is done, 0 to 1.

    Returns:
        By their names, in the order of `STEMS`; they add up to the song.
    """
    report = on_progress or (lambda share: None)
    stems: dict[StemName, Array] = {}
    left = song.samples
    if hear_voice(song, SingingNetwork()) is not None:
        stems["voice"] = separate_voice(
            song.samples, song.sample_rate, VoiceNetwork(), on_share=lambda share: report(VOICE_SHARE * share)
        )
        left = left - stems["voice"]
    apart = Separator().separate(left, song.sample_rate)
    stems |= {"drums": apart["drums"], "bass": apart["bass"]}
    report(1.0)
    return stems | {"rest": song.samples - np.sum(list(stems.values()), axis=0, dtype=np.float32)}
