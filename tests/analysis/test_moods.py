"""Moods of constructed songs, and whether a plan brings those asked for."""

import numpy as np
import pytest

from musex.analysis.features import analyse
from musex.analysis.moods import asked, delivered, estimate_moods
from musex.audio.song import Song
from musex.config import FEATURES
from musex.errors import MusexError
from musex.planning.planner import plan_song
from musex.prediction.model import load_model
from musex.settings import MoodPoints, Settings

RATE = 8000
ARC: MoodPoints = ((0.0, "calm"), (120.0, "intense"), (240.0, "calm"))


def sections(names: str, seconds: float = 20.0) -> Song:
    """Sections of one harmony: soft and slow ("c"), or loud and fast ("i")."""
    rng = np.random.default_rng(0)
    parts = []
    for name in names:
        time = np.arange(round(seconds * RATE)) / RATE
        beat = 0.25 if name == "i" else 1.0
        tone = np.sin(2 * np.pi * np.outer(time, [220.0, 277.2, 330.0])).mean(axis=1)
        drum = rng.standard_normal(len(time)) * np.exp(-20 * (time % beat))
        parts.append((0.5 * tone + 0.3 * drum) if name == "i" else (0.2 * tone + 0.03 * drum))
    return Song(np.concatenate(parts)[:, None].astype(np.float32), RATE)


def test_loud_and_fast_is_arousal() -> None:
    moods = estimate_moods(analyse(sections("cici").samples, RATE))
    assert moods.shape == (800, 2)
    for section, sign in enumerate([-1, 1, -1, 1]):
        assert np.all(sign * moods[200 * section + 40 : 200 * section + 160, 0] > 0.0)


def test_major_is_valence() -> None:
    time = np.arange(20 * RATE) / RATE
    chords = [
        np.sin(2 * np.pi * np.outer(time, 261.6 * np.array([1.0, third, 1.5]))).sum(axis=1) for third in (1.25, 1.2)
    ]
    moods = estimate_moods(analyse(0.1 * np.concatenate(chords)[:, None].astype(np.float32), RATE))
    assert moods[40:160, 1].mean() > moods[240:360, 1].mean() + 0.5


def test_an_arc_changes_evenly() -> None:
    found = asked(ARC, np.array([0.0, 60.0, 120.0, 500.0]))[:, 0]
    assert found[0] == found[3]
    assert found[1] == pytest.approx((found[0] + found[2]) / 2)


def test_what_is_asked_for_is_delivered() -> None:
    song = sections("cicici")
    features = analyse(song.samples, RATE)
    arousal = {}
    for name, options in {
        "plain": {},
        "arc": {"arc": ARC},
        "calm": {"mood": "calm"},
        "intense": {"mood": "intense"},
    }.items():
        plan = plan_song(song, load_model(), seconds=240.0, **options)  # type: ignore[arg-type]
        assert abs(plan.seconds - 240.0) <= 0.1
        arousal[name] = delivered(plan, features)[:, 0]
    times = np.arange(len(arousal["arc"])) / FEATURES.steps_per_second
    wanted = asked(ARC, times)[:, 0]
    assert (
        np.corrcoef(arousal["arc"], wanted)[0, 1]
        > 0.5
        > np.corrcoef(arousal["plain"], wanted[: len(arousal["plain"])])[0, 1]
    )
    assert arousal["calm"].mean() < arousal["plain"].mean() < arousal["intense"].mean()


def test_a_plan_keeps_its_moods() -> None:
    assert Settings(arc=ARC).to_dict()["arc"] == [list(point) for point in ARC]
    assert Settings(mood="dark").moods == ((0.0, "dark"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mood": "angry"}, "`mood='angry'` is not known"),
        ({"mood": "calm", "arc": ARC}, "give one of them"),
        ({"arc": ((60.0, "calm"), (0.0, "dark"))}, "in order"),
        ({"arc": ((-1.0, "calm"),)}, "in order"),
    ],
)
def test_moods_that_mean_nothing(options: dict[str, object], message: str) -> None:
    with pytest.raises(MusexError, match=message):
        Settings(**options)  # type: ignore[arg-type]
