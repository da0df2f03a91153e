"""What is decided of a mix before a sample of it is played: order, shares, joins' crossfades and levels."""

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from musex.audio.song import Song
from musex.errors import DurationError
from musex.inspection import SongInfo
from musex.mixes.joins import find_entries
from musex.mixes.levels import MOST_LED_DB, Gain, share_step
from musex.mixes.order import measure_change, order_songs
from musex.mixes.player import overlap
from musex.mixes.shares import LEAST_SECONDS, check_count, count_rounds, share_out
from musex.mixes.songs import MixForm, MixSong, choose_form, tell_changes, to_channels


def song_of(
    name: str = "song", tempo: float | None = 120.0, key: str | None = "C major", rate: int = 44_100, channels: int = 2,
    downbeats: tuple[float, ...] = (), subtype: str = "PCM_16",
) -> MixSong:  # fmt: skip
    info = SongInfo(
        path=name,
        seconds=180.0,
        sample_rate=rate,
        channels=channels,
        subtype=subtype,
        tempo=tempo,
        metre=4 if tempo else None,
        beats=downbeats,
        downbeats=downbeats,
        key=key,
        sections=(0.0,),
        music=(0.5, 170.0),
        body=(5.0, 160.0),
        jumps=0.5,
    )
    powers = np.full(1800, 0.01)
    return MixSong(info, name, "", "", 180 * rate, np.full(1800, 0.5), powers, powers)


SECONDS = st.floats(20.0, 1500.0)


@given(st.floats(1.0, 86_400.0), st.lists(SECONDS, min_size=1, max_size=40))
def test_shares_add_up_and_follow_what_songs_bear(seconds: float, bears: list[float]) -> None:
    shares = share_out(seconds, bears)
    assert sum(shares) == pytest.approx(seconds)
    least = min(LEAST_SECONDS, seconds / len(bears))
    assert min(shares) >= least - 1e-6
    more = [(share, value) for share, value in zip(shares, bears, strict=True) if share > least + 1e-6]
    if more:
        ratios = [share / value for share, value in more]
        assert max(ratios) == pytest.approx(min(ratios))


@given(st.lists(SECONDS, min_size=2, max_size=20), st.floats(1.0, 50.0))
@example([20.0, 20.0], 1.25)
def test_no_song_plays_longer_at_a_time_than_it_bears(bears: list[float], times: float) -> None:
    seconds = times * sum(bears)
    rounds = count_rounds(seconds, bears)
    shares = share_out(seconds / rounds, bears)
    # More than they bear only as far as one round more would leave them less than the least.
    most = max(1.0, LEAST_SECONDS * len(bears) * (rounds + 1) / (rounds * sum(bears)))
    assert all(share <= max(value, LEAST_SECONDS) * most * 1.001 for share, value in zip(shares, bears, strict=True))
    assert count_rounds(sum(bears), bears) == 1


def test_too_many_songs_for_so_short_a_mix_are_refused() -> None:
    check_count(150.0, 10)
    with pytest.raises(DurationError, match=r"10 songs in 2:29\.0 .* give 2:30\.0 or more, or fewer songs"):
        check_count(149.0, 10)


def test_changes_of_tempo_and_key_are_measured_by_ear() -> None:
    slow, double = song_of(tempo=70.0), song_of(tempo=140.0)
    assert measure_change(slow, double) == pytest.approx(0.0)  # the same pulse
    assert measure_change(song_of(key="A minor"), song_of(key="C major")) == 0  # the same signature
    assert measure_change(song_of(key="G major"), song_of(key="C major")) == 1
    assert measure_change(song_of(key="F# major"), song_of(key="C major")) == 6
    assert measure_change(song_of(tempo=120.0), song_of(tempo=127.1)) == pytest.approx(1.0, abs=0.01)
    assert measure_change(song_of(tempo=None), song_of()) > 2


def test_flow_goes_up_or_down_in_tempo_and_as_given_stays() -> None:
    tempos = [100.0, 84.0, 119.0, 92.0, 109.0]
    songs = [song_of(str(tempo), tempo) for tempo in tempos]
    assert order_songs(songs, "given") == songs
    flow = [song.info.tempo for song in order_songs(songs, "flow")]
    assert flow in (sorted(tempos), sorted(tempos, reverse=True))


def test_flow_costs_no_more_than_any_other_way() -> None:
    rng = np.random.default_rng(3)
    keys = ("C major", "E minor", "A# major", "F minor", None)
    for _ in range(20):
        songs = [song_of(str(n), float(rng.uniform(70, 180)), keys[rng.integers(5)]) for n in range(6)]
        lengths = [sum(measure_change(*pair) for pair in pairwise(way)) for way in permutations(songs)]
        flow = sum(measure_change(*pair) for pair in pairwise(order_songs(songs, "flow")))
        assert flow <= np.quantile(lengths, 0.01) + 1e-9


def test_songs_are_entered_at_downbeats_near_their_beginning() -> None:
    bars = tuple(np.arange(0.45, 100.0, 2.0).tolist())
    entries = find_entries(song_of(downbeats=bars))
    assert [entry.at for entry in entries] == [bar for bar in bars if bar < 20.5]
    assert entries[0].lead == pytest.approx(0.01)
    assert entries[3].lead == pytest.approx(6.01)
    free = find_entries(song_of(tempo=None))
    assert [entry.at for entry in free] == [0.5 + second for second in range(20)]
    assert free[0].lead == pytest.approx(0.06)


def test_a_crossfade_keeps_the_power_of_what_differs() -> None:
    rng = np.random.default_rng(0)
    tail, head = (0.1 * rng.standard_normal((44_100, 2)).astype(np.float32) for _ in range(2))
    mixed = overlap(tail, head)
    for part in np.array_split(mixed, 10):
        assert 10 * np.log10(np.mean(part**2) / 0.01) == pytest.approx(0.0, abs=0.3)


def test_a_crossfade_of_loud_sides_stays_within_full_scale() -> None:
    side = np.full((1000, 1), 0.95, np.float32)
    mixed = overlap(side, side)
    np.testing.assert_allclose(mixed, side, rtol=1e-5)


def test_what_has_little_before_its_downbeat_comes_in_late() -> None:
    tail, head = np.zeros((1000, 1), np.float32), np.full((100, 1), 0.5, np.float32)
    mixed = overlap(tail, head)
    assert not mixed[:900].any()
    assert np.all(np.diff(mixed[900:, 0]) > 0)
    assert mixed[-1, 0] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_array_equal(overlap(tail[:0], head), head)


@given(st.floats(-15.0, 15.0), st.floats(-1.0, 6.0), st.floats(-1.0, 6.0))
def test_both_sides_of_a_join_are_led_towards_each_other(step: float, room: float, other_room: float) -> None:
    added, other_added = share_step(step, room, other_room)
    left = step - added + other_added
    assert abs(left) <= abs(step)
    assert max(abs(added), abs(other_added)) <= MOST_LED_DB
    assert added <= max(room, 0.0)
    assert other_added <= max(other_room, 0.0)
    if abs(step) <= MOST_LED_DB:
        assert left == pytest.approx(0.0, abs=1e-9)


def test_a_led_gain_goes_back_evenly() -> None:
    gain = Gain(-2.0, opening=3.0, closing=-1.0)
    levels = gain.at(np.arange(-5.0, 105.0, 0.1), 100.0)
    assert [levels[0], levels[79]] == pytest.approx([1.0, 1.0])  # to 3 s
    assert levels[600] == pytest.approx(-2.0)
    assert [levels[-1], levels[-80]] == pytest.approx([-3.0, -3.0])
    assert np.abs(np.diff(levels)).max() < 0.03


def test_all_songs_get_the_highest_rate_and_what_has_other_channels_becomes_stereo() -> None:
    songs = [song_of(rate=22_050, channels=1), song_of(rate=48_000, subtype="PCM_24"), song_of(channels=6)]
    form = choose_form(songs)
    assert form == MixForm(48_000, 2, "PCM_24")
    assert tell_changes(songs, form) == [
        "the mix has 48000 Hz: songs with 22050, 44100 are changed to that",
        "the mix has 2 channels: songs with 1, 6 are changed to that",
    ]
    assert choose_form([song_of(channels=6), song_of(channels=6)]).channels == 6
    assert tell_changes(songs[1:2], choose_form(songs[1:2])) == []


def test_channels_are_mixed_down_to_where_they_are_heard() -> None:
    surround = np.eye(6, dtype=np.float32)  # FL FR FC LFE BL BR, one after another
    stereo = to_channels(Song(surround, 44_100, Path("song.wav"), layout="5.1"), 2)
    left, right = stereo.T
    assert left[0] > 0 == right[0]
    assert right[1] > 0 == left[1]
    assert left[2] == right[2] > 0
    assert not stereo[3].any()
    assert left[4] > 0 == right[4]
    assert right[5] > 0 == left[5]
    assert stereo.sum(axis=0).max() <= 1.0 + 1e-6
    mono = np.ones((5, 1), np.float32)
    np.testing.assert_array_equal(to_channels(Song(mono, 44_100), 2), np.ones((5, 2)))
