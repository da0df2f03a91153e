"""The form of constructed songs: where sections begin, and where the song comes to its end."""

import numpy as np
import pytest

from musex.analysis.form import foote_novelty, outro_start
from musex.analysis.song_analysis import analyse_signal
from musex.planning.material import find_region

RATE = 22_050


def notes(times: np.ndarray, pitches: np.ndarray, seconds: float, decay: float = 6.0) -> np.ndarray:
    """Plucked notes, float32 (frames, 1)."""
    song = np.zeros(round(seconds * RATE))
    rng = np.random.default_rng(0)
    for start, pitch in zip(times, pitches, strict=True):
        first = round(start * RATE)
        time = np.arange(min(4 * RATE, len(song) - first)) / RATE
        song[first : first + len(time)] += 0.2 * np.exp(-decay * time) * np.sin(2 * np.pi * pitch * time)
        song[first : first + 400] += 0.05 * rng.standard_normal(len(song[first : first + 400]))
    return song[:, None].astype(np.float32)


def beats(seconds: float) -> tuple[np.ndarray, np.ndarray]:
    times = np.arange(0.0, seconds, 0.5)
    return times, np.array([220.0, 330.0, 262.0, 294.0])[np.arange(len(times)) % 4]


def test_novelty_is_where_the_means_change() -> None:
    rows = np.repeat([[0.0, 1.0], [3.0, 1.0]], 100, axis=0)
    found = foote_novelty(rows, 20)
    assert int(np.argmax(found)) == 100
    assert found[100] == pytest.approx(9.0)
    assert found[50] == pytest.approx(0.0)


def test_sections_begin_where_the_music_changes() -> None:
    times, pitches = beats(60.0)
    pitches = np.where((times // 15).astype(int) % 2 == 0, pitches, 1.5 * pitches)
    found = analyse_signal(notes(times, pitches, 60.0), RATE).beginnings
    assert np.all((found >= 0.0) & (found <= 1.0))
    for boundary in (150, 300, 450):
        assert found[boundary - 4 : boundary + 5].max() > 0.9
    assert np.mean(found > 0.9) < 0.05


def test_music_that_goes_on_has_no_outro() -> None:
    rows = analyse_signal(notes(*beats(60.0), 60.0), RATE).comparison_rows
    assert outro_start(rows, 0, len(rows)) == len(rows)


def test_a_ringing_last_chord_is_outro_however_loud() -> None:
    song = notes(*beats(54.0), 60.0)
    time = np.arange(6 * RATE) / RATE
    song[54 * RATE :, 0] += 0.1 * (np.sin(2 * np.pi * np.outer(time, [220.0, 277.0, 330.0])).sum(axis=1))
    region = find_region(analyse_signal(song.astype(np.float32), RATE))
    assert region.body_stop == pytest.approx(540, abs=20)


def test_a_rallentando_is_outro() -> None:
    times, _ = beats(50.0)
    slowing = 50.0 + np.cumsum(0.5 * 1.12 ** np.arange(10))
    times = np.concatenate([times, slowing])
    pitches = np.array([220.0, 330.0, 262.0, 294.0])[np.arange(len(times)) % 4]
    region = find_region(analyse_signal(notes(times, pitches, 60.0), RATE))
    assert 470 <= region.body_stop <= 555
