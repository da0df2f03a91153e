"""Where a voice would be cut: words and held notes are left whole where the song offers other places."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from musex.config import FEATURES
from musex.plans import Seam
from musex.system.arrays import Array

WORD_SECONDS, LINE_SECONDS = 0.3, 0.8  # a voice heard within these before and after a place goes on over it
LINE_SHARE = 0.25  # of a cut that lies between the words of a line, beside that of one within a word
SMOOTH_FRAMES = 5
CLEAR = 0.5  # probability from which a frame counts as sung
SAME_SOUND = 0.9  # correlation of both sides from which a seam cuts nothing: the same word goes on


@dataclass(frozen=True, eq=False)
class Voice:
    """A song's voice.

    Attributes:
        activations: probabilities that it is heard, (frames,), as the singing network tells them.
    """

    activations: Array

    @cached_property
    def sung(self) -> Array:
        """How surely each frame is sung, 0 to 1, (frames,)."""
        kernel = np.ones(SMOOTH_FRAMES) / SMOOTH_FRAMES
        smooth = np.convolve(np.pad(self.activations, SMOOTH_FRAMES // 2, mode="edge"), kernel, mode="valid")
        return np.asarray(np.clip((smooth - CLEAR) / (1.0 - CLEAR), 0.0, 1.0))

    @cached_property
    def cuts(self) -> Array:
        """How much of a voice is cut between each frame and the one before, 0 to 1: (frames + 1,)."""
        word, line = (_goes_on(self.sung, seconds) for seconds in (WORD_SECONDS, LINE_SECONDS))
        return np.asarray((1.0 - LINE_SHARE) * word + LINE_SHARE * line)

    @property
    def step_cuts(self) -> Array:
        """The same before each step, (steps,)."""
        return np.asarray(self.cuts[: -1 : FEATURES.frames_per_step])

    def tell(self, seam: Seam, sample_rate: int) -> Seam:
        """The seam with how much of a voice it cuts on either side."""
        frames = np.rint(np.array([seam.leave, seam.enter]) * (FEATURES.frames_per_second / sample_rate))
        cut = float(self.cuts[np.clip(frames.astype(np.int64), 0, len(self.cuts) - 1)].max())
        return replace(seam, voice=0.0 if seam.correlation >= SAME_SOUND else round(cut, 3))


def _goes_on(sung: Array, seconds: float) -> Array:
    """How surely a voice is heard within `seconds` both before and after each place between frames: (frames + 1,)."""
    reach = round(seconds * FEATURES.frames_per_second)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(sung, reach), reach).max(axis=1)
    return np.asarray(np.minimum(windows[: len(sung) + 1], windows[reach : reach + len(sung) + 1]))
