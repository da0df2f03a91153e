"""A jump without a crossfade, as a player takes it that jumps back within a file: cut where it is heard least."""

from dataclasses import replace

import numpy as np

from musex.plans import Seam
from musex.seams.measures import excerpt
from musex.system.arrays import Array

REACH_SECONDS = 0.03  # that the cut may move to both sides, or half of the seam's crossfade where that is more
COMPARED_SECONDS = 0.001  # of both sides around the cut, whose difference is what clicks


def find_cut(samples: Array, sample_rate: int, seam: Seam) -> Seam:
    """The same jump at the place near it where both sides differ least, without its crossfade.

    Args:
        samples: The song, float32 (frames, channels).
        sample_rate: Hz.
        seam: A jump that is aligned; its lag stays.

    Returns:
        The seam, with the measures that it had with its crossfade.
    """
    reach = max(round(REACH_SECONDS * sample_rate), seam.fade // 2)
    near = max(2, round(COMPARED_SECONDS * sample_rate))
    ends = min(seam.leave, seam.enter), len(samples) - max(seam.leave, seam.enter)
    before, after = (min(reach, end - near) for end in ends)
    if before < 0 or after < 0:
        return replace(seam, fade=0)
    left, right = (
        excerpt(samples, place - before - near, place + after + near).astype(np.float64)
        for place in (seam.leave, seam.enter)
    )
    difference = np.sum(np.square(left - right), axis=1)
    weights = np.hanning(2 * near + 1)[1:]  # whose middle is the cut
    costs = np.convolve(difference, weights, mode="valid")
    places = np.arange(len(costs)) - before
    shift = int(places[np.argmin(costs + 1e-9 * np.abs(places))])  # the nearest of places that are as good
    return replace(seam, leave=seam.leave + shift, enter=seam.enter + shift, fade=0)
