"""Features: the field's definitions, and the same rows however long the signal."""

import librosa.filters
import numpy as np
import pytest

from musex.analysis.features import analyse, analyse_mono, hz_to_mel, mel_filters, mel_to_hz, mix_down
from musex.config import FEATURES

RATE = FEATURES.sample_rate


def tone(hertz: float, seconds: float = 2.0, sample_rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate).astype(np.float32)


def test_mel_filters_are_those_of_librosa() -> None:
    ours = mel_filters()
    theirs = librosa.filters.mel(sr=RATE, n_fft=FEATURES.n_fft, n_mels=FEATURES.n_mels)
    np.testing.assert_allclose(ours, theirs.T, atol=1e-7)


def test_mel_scale_inverts() -> None:
    hertz = np.array([0.0, 100.0, 999.0, 1000.0, 5000.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz)), hertz, atol=1e-9)


def test_a_tone_shows_in_its_band_and_pitch_class() -> None:
    rows = analyse_mono(tone(440.0))[5:-5]
    band = rows[:, : FEATURES.n_mels].mean(axis=0).argmax()
    edges = mel_to_hz(np.linspace(0, float(hz_to_mel(np.array(RATE / 2))), FEATURES.n_mels + 2))
    assert edges[band] < 440.0 < edges[band + 2]
    assert rows[:, FEATURES.n_mels : FEATURES.n_mels + 12].mean(axis=0).argmax() == 9  # A


def test_twice_as_loud_is_six_db_more() -> None:
    signal = 0.1 * tone(300.0) + 0.01 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    quiet, loud = analyse_mono(signal), analyse_mono(2 * signal)
    difference = (loud - quiet)[:, : FEATURES.n_mels]
    np.testing.assert_allclose(difference, 20 * np.log10(2), atol=0.02)


def test_an_attack_is_an_onset_in_its_own_frame() -> None:
    signal = np.zeros(3 * RATE, np.float32)
    at = 75 * FEATURES.hop_length  # step 15
    signal[at:] = np.random.default_rng(1).standard_normal(len(signal) - at) * 0.3
    onsets = analyse_mono(signal)[:, FEATURES.n_mels + 12 :].ravel()
    assert abs(int(onsets.argmax()) - 75) <= 2


def test_one_row_per_step_the_last_one_padded() -> None:
    assert len(analyse_mono(np.ones(10 * FEATURES.step_length, np.float32))) == 10
    assert len(analyse_mono(np.ones(10 * FEATURES.step_length + 1, np.float32))) == 11


def test_later_samples_do_not_change_earlier_rows() -> None:
    signal = np.random.default_rng(2).standard_normal(60 * RATE).astype(np.float32) * 0.1
    whole, part = analyse_mono(signal), analyse_mono(signal[: 30 * RATE])
    np.testing.assert_allclose(whole[:298], part[:298], atol=1e-3)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 96_000])
def test_the_source_rate_does_not_matter(sample_rate: int) -> None:
    rows = analyse(tone(440.0, 2.0, sample_rate)[:, None].repeat(2, axis=1), sample_rate)
    reference = analyse_mono(tone(440.0))
    band = reference[10, : FEATURES.n_mels].argmax()
    np.testing.assert_allclose(rows[5:15, band], reference[5:15, band], atol=0.2)


def test_channels_in_opposite_phase_are_heard() -> None:
    left = 0.3 * tone(300.0) + 0.01 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    together, opposite = np.stack([left, left], axis=1), np.stack([left, -0.8 * left], axis=1)
    np.testing.assert_allclose(analyse(opposite, RATE), analyse(0.9 * together, RATE), atol=1e-3)
    wide = np.stack([left, np.random.default_rng(1).standard_normal(2 * RATE).astype(np.float32)], axis=1)
    np.testing.assert_array_equal(mix_down(wide), wide.mean(axis=1))
