"""Versions of a song that sound differently, as far as it has other ways."""

import shutil
from itertools import combinations
from pathlib import Path

import pytest

import musex
from musex.audio.inputs import SongFile
from musex.files import vary_file
from musex.planning.variations import SAME_SHARE, share_in_common
from musex.plans import Plan

EXAMPLES = Path(__file__).parents[2] / "examples"


def vary(song: Path, seconds: float, versions: int) -> list[Plan]:
    outputs = [song.with_name(f"{number}.wav") for number in range(versions)]
    made = vary_file(SongFile(song), outputs, seconds=seconds)
    for plan, output in zip(made, outputs, strict=True):
        assert musex.read_song(output).frames == plan.frames
    return made


@pytest.mark.parametrize("name", ["drift.mp3", "waltz.mp3"])
def test_versions_of_a_song_sound_differently(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Planned by their seeds alone, two of three are the same for 99 % of their time."""
    plans = vary(Path(shutil.copy(EXAMPLES / name, tmp_path / name)), 300.0, 3)
    assert max(share_in_common(one, other) for one, other in combinations(plans, 2)) < SAME_SHARE
    assert {plan.frames for plan in plans} == {300 * plans[0].song.sample_rate}
    assert not any(plan.settings.forbid for plan in plans), "what was barred for a version's sake may be taken later"
    assert "sounds like one before it" not in caplog.text


def test_a_song_without_another_way_is_told(wav_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seconds = musex.read_song(wav_path).seconds
    plans = vary(wav_path, seconds, 2)
    assert share_in_common(*plans) == 1.0
    assert "version 2 sounds like one before it" in caplog.text


def test_what_sounds_the_same_shares_all() -> None:
    song = musex.read_song(EXAMPLES / "groove.mp3")
    plan, other = musex.plan(song, seconds=120.0), musex.plan(song, seconds=120.0, keep_from=20.0)
    assert share_in_common(plan, plan) == 1.0
    assert share_in_common(plan, other) == share_in_common(other, plan) < 1.0
