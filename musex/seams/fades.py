"""How long a crossfade is: decided here, and nowhere else.

A cut may slide along between its neighbours, and its crossfade reaches as far to both sides at most. A seam is aligned
with a first crossfade; the join head then chooses among all that there is room for.
"""

FADES = (0.03, 0.06, 0.12, 0.25, 0.5)  # seconds that a join head learns from and chooses among (models/log.md, "Seams")
FIRST_FADE = 0.250  # seconds; a shorter one changes the sound faster than music does (models/log.md, "Seams")
AGREEING_FADE = 0.030  # seconds, where both sides are the same: longer ones sound no different
AGREEMENT = 0.9  # correlation beyond which both sides are the same


def longest_fade(slide: float, sample_rate: int, *, before: int | None = None) -> int:
    """The most samples of a crossfade.

    Args:
        slide: seconds by which the cut may move along.
        sample_rate: Hz.
        before: samples between the cut and the crossfade before it, if there is one that it may meet.
    """
    longest = round(2.0 * slide * sample_rate)
    return longest if before is None else min(2 * before, longest)


def widest_fade(slide: float, sample_rate: int) -> int:
    """The most samples of the crossfade that a seam is aligned with."""
    return min(round(FIRST_FADE * sample_rate), longest_fade(slide, sample_rate))


def first_fade(correlation: float, slide: float, sample_rate: int) -> int:
    """Samples (even) of the crossfade that a seam is aligned with, by the correlation of its sides."""
    widest = widest_fade(slide, sample_rate)
    agreeing = min(round(AGREEING_FADE * sample_rate), widest)
    return max(2, agreeing if correlation > AGREEMENT else widest) // 2 * 2


def possible_fades(longest: int, sample_rate: int) -> tuple[int, ...]:
    """Samples (even) of the crossfades to choose from, of at most `longest`."""
    fades = (round(seconds * sample_rate / 2) * 2 for seconds in FADES)
    return tuple(fade for fade in fades if fade <= longest)
