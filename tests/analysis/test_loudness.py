"""Loudness, beside the recommendation's own figures and ffmpeg's meter."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.analysis.loudness import level, loudness, step_peaks, step_powers
from musex.audio.ffmpeg import ffmpeg


def sine(frequency: float, seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000, 96_000])
def test_a_sine_at_full_scale_is_what_the_recommendation_says(sample_rate: int) -> None:
    assert loudness(step_powers(sine(997, 5, sample_rate), sample_rate)) == pytest.approx(-3.01, abs=0.05)
    assert loudness(step_powers(sine(997, 5, sample_rate, 2), sample_rate)) == pytest.approx(0.0, abs=0.05)


def test_pauses_do_not_count_in_loudness_but_in_a_level() -> None:
    tone = 0.1 * sine(1000, 10, 44_100)
    powers = step_powers(np.concatenate([tone, 0 * tone]), 44_100)
    assert loudness(powers) == pytest.approx(loudness(step_powers(tone, 44_100)), abs=0.1)
    assert level(powers) == pytest.approx(loudness(step_powers(tone, 44_100)) - 3.01, abs=0.05)


def test_peaks_are_those_of_each_step() -> None:
    samples = np.zeros((44_100, 2), np.float32)
    samples[10, 0], samples[4_410, 1], samples[44_099, 0] = 0.5, -0.75, 0.25
    np.testing.assert_array_equal(step_peaks(samples, 44_100), [0.5, 0.75, *[0.0] * 7, 0.25])


def test_silence_has_no_loudness() -> None:
    assert loudness(step_powers(np.zeros((44_100, 2), np.float32), 44_100)) == -np.inf
    assert loudness(np.zeros(0)) == level(np.zeros(0)) == -np.inf


def test_music_is_as_loud_as_ffmpeg_says(tmp_path: Path, samples: np.ndarray) -> None:
    path = tmp_path / "song.wav"
    quiet_after = np.concatenate([samples, 0.03 * samples, 0.5 * samples])
    soundfile.write(path, quiet_after, 44_100, subtype="FLOAT")
    command = [ffmpeg(), "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    told = float(re.findall(r"I: +(-?[\d.]+) LUFS", log)[-1])
    assert loudness(step_powers(quiet_after, 44_100)) == pytest.approx(told, abs=0.2)
