"""Where a voice would be cut, told from how likely it is in each frame."""

import numpy as np
import pytest

from musex.config import FEATURES
from musex.plans import Seam
from musex.seams.bounds import exceeded
from musex.seams.voice import Voice

Array = np.ndarray

RATE = 44100
FRAMES = FEATURES.frames_per_second


def lines(*words: tuple[float, float], seconds: float = 30.0) -> Voice:
    """A voice that is sure to be heard from and to so many seconds, and sure not to be elsewhere."""
    activations = np.full(round(seconds * FRAMES), 0.02, np.float32)
    for start, stop in words:
        activations[round(start * FRAMES) : round(stop * FRAMES)] = 0.98
    return Voice(activations)


def cut_at(voice: Voice, seconds: float) -> float:
    return float(voice.cuts[round(seconds * FRAMES)])


def seam(leave: float, enter: float, correlation: float = 0.2) -> Seam:
    return Seam(0, round(leave * RATE), round(enter * RATE), 1000, correlation, 0.0, 50.0, None)


SUNG = lines((2.0, 3.0), (3.1, 5.0), (5.9, 7.0), (12.0, 16.0))


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [
        (1.0, 0.0, 0.0),  # long before
        (2.5, 0.9, 1.0),  # within a word
        (3.05, 0.9, 1.0),  # between two words without a breath
        (14.0, 0.9, 1.0),  # within a held note
        (5.45, 0.1, 0.3),  # between two words of a line, where it breathes
        (9.0, 0.0, 0.0),  # between two lines
        (11.95, 0.0, 0.0),  # right before a line begins
        (16.1, 0.0, 0.0),  # right after it ends
    ],
)
def test_words_and_held_notes_are_cut_and_breaths_are_not(seconds: float, least: float, most: float) -> None:
    assert least <= cut_at(SUNG, seconds) <= most


def test_a_seam_tells_the_worse_of_its_sides_and_exceeds_the_bound_within_a_word() -> None:
    inside, outside = SUNG.tell(seam(9.0, 14.0), RATE), SUNG.tell(seam(9.0, 11.95), RATE)
    assert inside.voice is not None
    assert inside.voice > 0.9
    assert exceeded(inside) == ("voice",)
    assert outside.voice == 0.0
    assert not exceeded(outside)


def test_a_word_that_goes_on_in_the_same_sound_is_not_cut() -> None:
    assert SUNG.tell(seam(2.5, 14.0, correlation=0.99), RATE).voice == 0.0


def test_doubtful_frames_are_no_voice() -> None:
    assert not Voice(np.full(3000, 0.5, np.float32)).cuts.any()


def test_every_step_of_a_song_has_its_cut() -> None:
    assert SUNG.step_cuts.shape == (300,)
    assert SUNG.step_cuts[25] > 0.9
    assert SUNG.step_cuts[90] == 0.0
