"""How loud the songs of a mix are: all of them alike, and both sides of a join.

Loudness is matched over all that is played of a song. At a join what ends and what begins may still differ, for songs
begin softly: there both are led towards each other, as by hand, held for a moment, and let back over some seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musex.mixes.songs import MixForm, MixSong
from musex.system.arrays import Array

HEADROOM_DB = 0.3  # below full scale, for what resampling overshoots
HEARD_SECONDS = 3.0  # before and after a join, by which levels are compared; led levels are held so long
BACK_SECONDS = 12.0  # in which they go back
MOST_LED_DB = 5.0  # of each side


@dataclass(frozen=True)
class Gain:
    """The gain of a song's turn, in dB: that of all of it, and what is added at its beginning and its end."""

    level: float
    opening: float = 0.0
    closing: float = 0.0

    def at(self, seconds: Array, length: float) -> Array:
        """dB at seconds of a turn that lasts `length`; before it and after it as at its ends."""
        steps = [HEARD_SECONDS, HEARD_SECONDS + BACK_SECONDS]
        opening = self.opening * np.interp(seconds, steps, [1.0, 0.0])
        return np.asarray(self.level + opening + self.closing * np.interp(length - seconds, steps, [1.0, 0.0]))


def find_target(songs: Sequence[MixSong], form: MixForm) -> float:
    """LUFS to which songs are matched: as loud as the loudest of them, or as none of them exceeds full scale."""
    levels = [song.loudness_in(form) for song in songs]
    return min(max(levels), *(level + room_of(song.peaks) for level, song in zip(levels, songs, strict=True)))


def room_of(peaks: Array) -> float:
    """dB by which what has these peaks can be made louder."""
    return -20.0 * float(np.log10(max(float(peaks.max(initial=0.0)), 1e-5))) - HEADROOM_DB


def share_step(step: float, room: float, other_room: float) -> tuple[float, float]:
    """What to add to both sides of a join, dB, where the second is `step` dB louder: half to each as far as can be.

    Each has some room until full scale; what one cannot be raised, the other is lowered.
    """
    if step < 0.0:
        added, other_added = share_step(-step, other_room, room)
        return other_added, added
    raised = min(step / 2.0, MOST_LED_DB, max(room, 0.0))
    return raised, -min(step - raised, MOST_LED_DB)
