"""Junctions: what the join head hears, and that the examples are what they say."""

from pathlib import Path

import numpy as np
import pytest

from musex.analysis.features import analyse_mono, to_mono
from musex.audio.reading import read_song
from musex.config import FEATURES
from musex.prediction.model import load_model
from musex.seams.alignment import align_seam
from musex.seams.joins import junction_window, seam_log_odds, seam_window, splice
from musex.training.junctions import KINDS, JunctionConfig, beat_steps, best_match, draw_junctions

RATE = FEATURES.sample_rate


@pytest.fixture(scope="module")
def pulse() -> np.ndarray:
    """30 s of noise bursts, two a second, each of four in its own colour."""
    random = np.random.default_rng(0)
    burst = np.exp(-12 * np.arange(RATE // 2) / RATE)
    bursts = [burst * np.sin(2 * np.pi * hertz * np.arange(RATE // 2) / RATE) for hertz in (200, 400, 900, 1500)]
    song = np.concatenate([bursts[number % 4] for number in range(60)])
    return (0.4 * song + 0.005 * random.standard_normal(len(song))).astype(np.float32)


def test_a_window_does_not_hear_how_loud_it_is(pulse: np.ndarray) -> None:
    part = pulse[: 3 * RATE]
    assert junction_window(part).shape == (150, FEATURES.n_mels)
    np.testing.assert_allclose(junction_window(part), junction_window(2 * part), atol=0.02)


def test_the_beat_is_found(pulse: np.ndarray) -> None:
    assert beat_steps(analyse_mono(pulse)) == pytest.approx(5.0, abs=0.2)


def test_the_best_match_is_the_same_place_of_the_pattern(pulse: np.ndarray) -> None:
    rows = analyse_mono(pulse)[:, : FEATURES.n_mels]
    assert (best_match(rows, 150, JunctionConfig()) - 150) % 20 in (0, 1, 19)


def test_a_splice_is_the_song_away_from_its_middle(pulse: np.ndarray) -> None:
    samples = pulse[:, None]
    seam = align_seam(samples, RATE, 10 * RATE, 14 * RATE)
    reach = round(1.5 * RATE)
    joined, half = splice(samples, seam, reach), seam.fade // 2
    assert joined.shape == (2 * reach, 1)
    np.testing.assert_array_equal(joined[: reach - half], samples[seam.leave - reach : seam.leave - half])
    np.testing.assert_array_equal(joined[reach + half :], samples[seam.enter + half : seam.enter + reach])


def test_each_kind_is_drawn_as_often(pulse: np.ndarray) -> None:
    drawn = list(draw_junctions(pulse, JunctionConfig(count=3), seed=1))
    counts = [sum(junction.kind == kind for junction in drawn) for kind in range(len(KINDS))]
    assert counts == [9, 3, 3, 3, 3, 3]  # real ones anywhere, and where the search's splices leave and enter
    assert not list(draw_junctions(pulse[: 10 * RATE], JunctionConfig(count=3), seed=1))  # too short


@pytest.mark.parametrize("name", ["waltz", "drift"])  # groove repeats itself exactly: its best splices are real
def test_the_packaged_head_tells_real_junctions_from_splices(name: str) -> None:
    head = load_model().join_head
    assert head is not None
    song = read_song(Path(__file__).parent.parent.parent / "examples" / f"{name}.mp3")
    odds: dict[int, list[float]] = {kind: [] for kind in range(len(KINDS))}
    for junction in draw_junctions(to_mono(song.samples, song.sample_rate), JunctionConfig(count=8), seed=0):
        odds[junction.kind].append(head.judge(junction.window))
    means = {kind: float(np.mean(values)) for kind, values in odds.items()}
    assert all(means[0] > means[kind] + 0.5 for kind in means if kind), means


def test_seams_at_the_ends_are_left_undecided(pulse: np.ndarray) -> None:
    head = load_model().join_head
    assert head is not None
    seam = align_seam(pulse[:, None], RATE, 10 * RATE, 14 * RATE)
    assert seam_log_odds(head, pulse, RATE, seam) != 0.0
    assert seam_log_odds(head, pulse[: 14 * RATE + RATE // 2], RATE, seam) == 0.0


def test_a_seam_sounds_the_same_at_any_sample_rate() -> None:
    """The head hears a song's seam at its own rate: within what its rounding to samples of that rate changes."""
    head = load_model().join_head
    assert head is not None
    song = read_song(Path(__file__).parent.parent.parent / "examples" / "groove.mp3")
    seam = align_seam(song.samples, song.sample_rate, 30 * song.sample_rate, 40 * song.sample_rate)
    window = seam_window(song.samples, song.sample_rate, seam)
    assert window is not None
    heard = seam_log_odds(head, to_mono(song.samples, song.sample_rate), song.sample_rate, seam)
    assert heard == pytest.approx(head.judge(junction_window(window)), abs=0.2)
