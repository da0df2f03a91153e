"""Metrics by identities and constructed input."""

import numpy as np
import pytest

from musex.metrics import (
    bootstrap_interval,
    choice_skill,
    chroma_similarity,
    describe,
    log_mel_mse,
    longest_repeat,
    nearest_distances,
    onset_correlation,
    onset_f_measure,
    prediction_error_db,
    share_used,
    slope_per_minute,
    spectral_centroid,
    start_distances,
    start_errors,
)


def test_a_perfect_prediction_has_no_error() -> None:
    mel = np.random.default_rng(0).normal(size=(100, 64))
    assert prediction_error_db(mel, mel) == 0.0
    assert log_mel_mse(mel, mel) == 0.0
    assert prediction_error_db(mel + 3.0, mel) == pytest.approx(3.0)
    assert log_mel_mse(mel - 3.0, mel) == pytest.approx(9.0)


def test_choice_skill_runs_from_chance_to_hindsight() -> None:
    assert choice_skill(10.0, 10.0, 5.0) == 0.0
    assert choice_skill(10.0, 5.0, 5.0) == 100.0
    assert choice_skill(10.0, 7.5, 5.0) == 50.0
    assert choice_skill(5.0, 5.0, 5.0) == 100.0
    assert choice_skill(5.0, 6.0, 5.0) == 0.0


def test_chroma_similarity_is_a_cosine() -> None:
    chroma = np.random.default_rng(0).random((100, 12)) + 0.1
    assert chroma_similarity(chroma, 3.0 * chroma) == pytest.approx(1.0)
    notes = np.eye(12)
    assert chroma_similarity(notes, np.roll(notes, 1, axis=1)) == 0.0
    fifth = notes + np.roll(notes, 7, axis=1)
    assert chroma_similarity(notes, fifth) == pytest.approx(np.sqrt(0.5))
    silence = np.zeros((12, 12))
    assert chroma_similarity(silence, silence) == 1.0
    assert chroma_similarity(silence, notes) == 0.0


def test_onset_correlation_is_pearsons() -> None:
    strength = np.random.default_rng(0).random((100, 5))
    assert onset_correlation(strength, strength) == pytest.approx(1.0)
    assert onset_correlation(2.0 * strength + 1.0, strength) == pytest.approx(1.0)
    assert onset_correlation(-strength, strength) == pytest.approx(-1.0)
    assert onset_correlation(np.zeros((100, 5)), strength) == 0.0
    assert onset_correlation(np.zeros((100, 5)), np.ones((100, 5))) == 1.0


def test_onset_f_measure_matches_attacks_within_50_ms() -> None:
    beats = np.arange(0.5, 10.0, 0.5)
    assert onset_f_measure(beats, beats) == 1.0
    assert onset_f_measure(beats + 0.04, beats) == 1.0
    assert onset_f_measure(beats + 0.06, beats) == 0.0
    # Every second attack: precision 1, recall 10 of 19.
    assert onset_f_measure(beats[::2], beats) == pytest.approx(20 / 29)
    assert onset_f_measure(np.zeros(0), np.zeros(0)) == 1.0
    assert onset_f_measure(np.zeros(0), beats) == 0.0


def test_slope_is_per_minute() -> None:
    assert slope_per_minute(np.arange(60.0), 10.0) == pytest.approx(6.0)
    assert slope_per_minute(np.full(60, -20.0), 10.0) == pytest.approx(0.0)
    assert slope_per_minute(np.array([1.0]), 10.0) == 0.0


def test_errors_of_starts_are_least_at_the_repeat() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 8))
    actual = rows[120:140]
    candidates = np.arange(280)
    for errors in (start_errors(rows, actual, candidates), start_distances(rows, actual, candidates)):
        assert errors.argmin() == 120
        assert errors[120] == pytest.approx(0.0, abs=1e-6)
    there = float(start_distances(rows, actual, np.array([7]))[0])
    assert there == pytest.approx(np.linalg.norm(rows[7:27] - actual, axis=1).mean())


def test_nearest_distance_is_to_the_most_similar_row() -> None:
    source = np.random.default_rng(0).normal(-40.0, 10.0, (500, 64))
    np.testing.assert_allclose(nearest_distances(source[::3], source), 0.0, atol=1e-4)
    np.testing.assert_allclose(nearest_distances(source[:9] + 0.5, source), 0.5, atol=1e-3)


def test_a_repeated_passage_is_found_at_its_length() -> None:
    path = np.arange(1000)
    assert longest_repeat(path, within=600) == 0
    path = np.concatenate([np.arange(500), np.arange(300, 450)])  # 150 steps again, 200 after
    assert longest_repeat(path, within=600) == 150
    assert longest_repeat(path, within=100) == 0
    assert longest_repeat(np.arange(1000) % 100, within=600) == 900


def test_share_used_counts_every_place_once() -> None:
    assert share_used(np.arange(100), 100) == 100.0
    assert share_used(np.arange(1000) % 25, 100) == 25.0
    assert share_used(np.array([5, 5, 250]), 100) == 1.0


def test_centroid_of_one_band_is_its_centre() -> None:
    log_mel = np.full((2, 64), -100.0)
    log_mel[0, 10] = log_mel[1, 40] = -10.0
    low, high = spectral_centroid(log_mel)
    assert 300.0 < low < 700.0
    assert 2500.0 < high < 4500.0


def test_bootstrap_counts_groups_not_values() -> None:
    mean, low, high = bootstrap_interval(np.array([1.0] * 99 + [3.0]), np.array([0] * 99 + [1]))
    assert mean == 2.0
    assert (low, high) == (1.0, 3.0)
    assert describe(np.array([1.0, np.nan]), np.array([0, 1])) == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_bootstrap_of_a_difference_is_paired() -> None:
    random = np.random.default_rng(0)
    hard, groups = random.normal(0.0, 5.0, 60), np.repeat(np.arange(20), 3)
    easier = hard - 1.0 + random.normal(0.0, 0.01, 60)
    _, low, high = bootstrap_interval(easier - hard, groups)
    assert -1.02 < low < high < -0.98
