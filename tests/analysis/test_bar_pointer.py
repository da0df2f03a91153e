"""Beats and bars from activations that are made, as a network would show them."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from musex.analysis.bar_pointer import BarPointerConfig, Beats, decode, most_frequent_bar, no_pulse, steady_tempo

Array = np.ndarray

RATE = 50
SAME_BEAT = 0.03  # seconds


def pulse(tempo: float | Callable[[float], float], seconds: float = 60.0, first: float = 0.7) -> Array:
    """Times of beats at a tempo, or at one that depends on the time."""
    times = [first]
    while times[-1] < seconds - 1.0:
        now = tempo(times[-1]) if callable(tempo) else tempo
        times.append(times[-1] + 60.0 / now)
    return np.array(times)


def activate(
    times: Array, metre: int = 4, *, missing: float = 0.0, noise: float = 0.05, spurious: float = 0.0, seed: int = 0
) -> Array:
    """What a network would say of beats, (frames, 2): some of them missing, with noise, and peaks where no beat is."""
    rng = np.random.default_rng(seed)
    middles = (np.arange(round((times[-1] + 1.0) * RATE)) + 0.5) / RATE
    activations = rng.uniform(0.0, noise, (len(middles), 2))
    others = rng.uniform(0.0, times[-1], round(spurious * times[-1]))
    kept = rng.random(len(times)) >= missing
    downbeats = times[(np.arange(len(times)) % metre == 0) & kept]
    for column, moments in ((0, times[kept]), (0, others), (1, downbeats)):
        for moment in moments:
            bump = rng.uniform(0.4, 0.9) * np.exp(-0.5 * ((middles - moment) / 0.02) ** 2)
            activations[:, column] = np.maximum(activations[:, column], bump)
    return activations


def agreement(found: Array, true: Array) -> float:
    """F-measure of moments found."""
    hits = float((np.abs(found[:, None] - true).min(axis=0, initial=np.inf) < SAME_BEAT).sum())
    return 2.0 * hits / (len(found) + len(true))


@pytest.mark.parametrize("tempo", [56.0, 84.0, 112.0, 128.0, 140.0, 174.0, 210.0])
def test_a_steady_pulse_is_told_exactly(tempo: float) -> None:
    times = pulse(tempo)
    beats = decode(activate(times))
    assert agreement(beats.times, times) > 0.99
    assert agreement(beats.downbeats, times[::4]) > 0.97
    assert beats.tempo == pytest.approx(tempo, rel=2e-4)
    assert beats.metre == 4
    assert np.diff(beats.times).std() < 0.002
    assert beats.confidence > 0.9


@pytest.mark.parametrize("metre", [2, 3, 4, 5, 6, 7])
def test_beats_are_counted_into_bars(metre: int) -> None:
    times = pulse(120.0)
    beats = decode(activate(times, metre, missing=0.1, noise=0.1, spurious=0.3))
    assert beats.metre == metre
    assert agreement(beats.downbeats, times[::metre]) > 0.9
    assert set(np.diff(beats.positions).tolist()) <= {1, 1 - metre}


@pytest.mark.parametrize("tempo", [76.0, 128.0, 174.0])
def test_missing_beats_are_filled_in_and_stray_peaks_left_out(tempo: float) -> None:
    times = pulse(tempo)
    beats = decode(activate(times, missing=0.2, noise=0.2, spurious=0.5))
    assert agreement(beats.times, times) > 0.95
    assert beats.tempo == pytest.approx(tempo, rel=1e-3)


def test_weaker_off_beats_do_not_double_the_tempo() -> None:
    times = pulse(90.0)
    activations = activate(times)
    between = activate(times[:-1] + np.diff(times) / 2)
    activations[: len(between), 0] = np.maximum(activations[: len(between), 0], 0.25 * between[:, 0])
    assert decode(activations).tempo == pytest.approx(90.0, rel=1e-3)


def test_eighths_are_no_beats_where_fast_beats_have_a_price() -> None:
    times = pulse(100.0)
    activations = activate(times)
    between = activate(times[:-1] + np.diff(times) / 2)
    activations[: len(between), 0] = np.maximum(activations[: len(between), 0], 0.5 * between[:, 0])
    assert decode(activations).tempo == pytest.approx(200.0, rel=1e-3)
    assert decode(activations, config=BarPointerConfig(unusual=1.3)).tempo == pytest.approx(100.0, rel=1e-3)


def test_half_bars_are_no_bars_where_bars_have_a_price() -> None:
    activations = activate(pulse(100.0))
    halves = activate(pulse(100.0, first=0.7 + 1.2))[:, 1]
    activations[: len(halves), 1] = np.maximum(activations[: len(halves), 1], 0.5 * halves[: len(activations)])
    assert decode(activations).metre == 2
    assert decode(activations, config=BarPointerConfig(bar=0.6)).metre == 4


def test_a_tempo_that_changes_is_followed() -> None:
    for tempo in (lambda now: 80.0 + now, lambda now: 100.0 if now < 20.0 else 140.0):
        times = pulse(tempo)
        beats = decode(activate(times))
        assert agreement(beats.times, times) > 0.99
        assert agreement(beats.downbeats, times[::4]) > 0.97
    assert beats.tempo == pytest.approx(140.0, rel=2e-3)  # what most of the beats keep


def test_no_beats_are_told_in_a_rest_and_bars_begin_anew_after_it() -> None:
    times = pulse(120.0, seconds=90.0)
    times = np.concatenate([times[times < 30.0], times[times > 50.0] + 0.2])
    activations = activate(times)
    beats = decode(activations)
    assert agreement(beats.times, times) > 0.99
    assert not ((beats.times > 31.0) & (beats.times < 49.0)).any()


def test_a_bar_of_another_length_shifts_the_bars_after_it() -> None:
    times = pulse(120.0)
    activations = activate(times, metre=len(times))
    downbeats = np.concatenate([times[:40:4], times[42::4]])  # one bar has two beats more or less
    activations[(downbeats * RATE).astype(int), 1] = 0.8
    beats = decode(activations)
    assert agreement(beats.downbeats, downbeats) > 0.93
    assert beats.metre == 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["even", "low", "peaked", "stray", "silent"])
def test_noise_has_no_pulse(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    even = rng.random((3000, 2))
    stray = activate(np.sort(rng.uniform(0.0, 60.0, 120)), seed=seed)
    activations = {"even": even, "low": 0.1 * even, "peaked": even**4, "stray": stray, "silent": 0.0 * even}[kind]
    beats = decode(activations)
    assert len(beats.times) == len(beats.positions) == beats.metre == 0
    assert beats.tempo == 0.0
    assert beats.confidence < 0.3


def test_too_little_has_no_pulse() -> None:
    for frames in (0, 1, 30):
        assert len(decode(np.zeros((frames, 2))).times) == 0


def test_three_minutes_take_no_time() -> None:
    activations = activate(pulse(128.0, seconds=180.0))
    began = time.process_time()
    decode(activations)
    assert time.process_time() - began < 2.0  # 0.1 s on an idle core


def test_tempo_is_that_of_most_of_the_song() -> None:
    times = np.concatenate([np.arange(20) * 0.6, 12.0 + np.arange(100) * 0.5])
    assert steady_tempo(times) == pytest.approx(120.0)
    assert steady_tempo(times[:20]) == pytest.approx(100.0)


def test_the_most_frequent_bar_counts_its_beats() -> None:
    assert most_frequent_bar(np.array([2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3, 0])) == 4
    assert most_frequent_bar(np.array([0, 1, 2])) == 3


def test_jumps_are_judged_by_beat_and_bar() -> None:
    times = pulse(120.0)  # 4 to the bar, from 0.7 s
    positions = np.arange(len(times)) % 4
    beats = Beats(times, positions, 4, 120.0, 1.0)
    leaves = np.array([4.70, 4.90, 4.70, 4.70, 4.70, 4.70])
    enters = np.array([12.70, 12.92, 13.20, 12.95, 14.70, 200.0])  # beats on: 16, 16, 17, 16.5, 20, ∞
    answers = beats.judge(leaves, enters)
    np.testing.assert_array_equal(answers["beat"], [1, 1, 1, 0, 1, np.nan])
    np.testing.assert_array_equal(answers["bar"], [1, 1, 0, 0, 1, np.nan])


def test_no_pulse_says_nothing_of_jumps() -> None:
    answers = no_pulse().judge(np.array([1.0]), np.array([2.0]))
    assert np.isnan([answers["beat"], answers["bar"]]).all()
