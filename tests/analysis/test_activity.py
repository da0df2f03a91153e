"""Which stem plays in which bar: on stems that play where the test says."""

import numpy as np
import pytest

from musex.analysis.activity import (
    find_activity,
    find_hits,
    find_likeness,
    find_places,
    find_strips,
    slot_bounds,
    slot_levels,
    to_likeness,
)
from musex.analysis.song_analysis import analyse_signal
from musex.settings import STEMS

RATE = 8_000
BAR = 8_000


def tone(plays: list[float], hertz: float = 220.0) -> np.ndarray:
    """A tone that sounds for so much of each bar of a second, (frames,)."""
    times = np.arange(len(plays) * BAR)
    share = np.array(plays)[times // BAR]
    return np.where(times % BAR < share * BAR, 0.3 * np.sin(2 * np.pi * hertz * times / RATE), 0.0).astype(np.float32)


def activity_of(**stems: np.ndarray) -> np.ndarray:
    bounds = np.arange(len(next(iter(stems.values()))) // BAR + 1) * BAR
    return find_activity({name: slot_levels(stem, bounds) for name, stem in stems.items()})  # type: ignore[misc]


def test_a_stem_is_active_in_the_part_of_each_bar_in_which_it_sounds() -> None:
    activity = activity_of(drums=tone([1, 1, 0.5, 0.25, 0, 1]), rest=tone([1, 1, 1, 1, 1, 1], 330.0))
    assert activity[:, STEMS.index("drums")].tolist() == [1, 1, 0.5, 0.25, 0, 1]
    assert activity[:, STEMS.index("rest")].tolist() == [1] * 6
    assert not activity[:, STEMS.index("voice")].any()


def test_what_leaks_is_no_stem_and_an_echo_is_no_activity() -> None:
    loud, leak = tone([1] * 8), 0.02 * tone([1] * 8, 330.0)
    assert not activity_of(rest=loud, bass=leak)[:, STEMS.index("bass")].any()
    echo = tone([1, 1, 1, 1, 0, 0, 0, 0]) + 0.05 * tone([0, 0, 0, 0, 1, 1, 1, 1])
    assert activity_of(rest=loud, bass=echo)[:, STEMS.index("bass")].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_levels_are_those_of_quarters_of_bars() -> None:
    bounds = np.array([0.0, 100.0, 300.0])
    assert slot_bounds(bounds).tolist() == [0, 25, 50, 75, 100, 150, 200, 250, 300]
    samples = np.concatenate([np.full((100, 2), 0.1), np.full((200, 2), 1.0)])
    assert slot_levels(samples, bounds) == pytest.approx(np.array([[-20.0] * 4, [0.0] * 4]), abs=1e-6)


def test_bars_are_like_those_that_they_repeat() -> None:
    notes = [220.0, 440.0, 330.0, 550.0] * 4 + [990.0, 275.0, 660.0, 880.0]
    song = np.concatenate([tone([1], hertz) for hertz in notes])
    seconds = np.arange(len(notes) + 1, dtype=float)
    analysis = analyse_signal(song, RATE)
    likeness = find_likeness(analysis, seconds)
    assert likeness[4:16, 0].min() > 0.9
    assert likeness[16:, 0].max() < 0.6
    assert not likeness[:4].any()
    strips = find_strips(analysis, seconds)
    assert to_likeness(strips, np.array([1, 1]), np.array([5, 18])).round(1).tolist()[0] == 1.0


@pytest.mark.parametrize("first", range(8))
def test_phrases_begin_where_stems_enter(first: int) -> None:
    activity = np.ones((40, 4), np.float32)
    activity[:, 1] = (np.arange(40) - first) // 8 % 2
    assert find_places(activity, np.zeros((40, 3), np.float32))[first] == 0


def test_where_nothing_changes_the_first_bar_begins_a_phrase() -> None:
    places = find_places(np.ones((20, 4), np.float32), np.zeros((20, 3), np.float32))
    assert places.tolist() == [*range(8), *range(8), *range(4)]


def test_hits_are_told_by_their_sixteenth() -> None:
    drums = np.zeros((2 * 1600, 1), np.float32)
    for sixteenth in (0, 4, 24):
        drums[100 * sixteenth : 100 * sixteenth + 20] = 0.5
    hits = find_hits(drums, np.array([0.0, 1600.0, 3200.0]))
    assert np.flatnonzero(hits.ravel() > 0.1).tolist() == [4, 24]  # what sounds from the first sample on has not risen
