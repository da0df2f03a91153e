"""Evaluation's own ears, on sounds whose features are known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.evaluation.listening import find_onsets, hear, onsets_between, unseen_rows

RATE = 22_050


@pytest.fixture(scope="module")
def clicks() -> np.ndarray:
    """A short noise every half second, 20 s, from 0.5 s on."""
    mono = np.zeros(20 * RATE, np.float32)
    burst = np.random.default_rng(0).standard_normal(1000) * np.exp(-np.arange(1000) / 200)
    for beat in range(1, 39):
        mono[beat * RATE // 2 :][:1000] = 0.5 * burst
    return mono


def test_attacks_are_found_where_they_are(clicks: np.ndarray) -> None:
    onsets = find_onsets(clicks)
    np.testing.assert_allclose(onsets, np.arange(1, 39) / 2, atol=0.05)
    np.testing.assert_allclose(onsets_between(onsets, 5.25, 7.25), [0.25, 0.75, 1.25, 1.75], atol=0.05)


def test_unseen_rows_tell_timbre_and_rhythm_apart(clicks: np.ndarray) -> None:
    noise = np.random.default_rng(1).standard_normal(20 * RATE).astype(np.float32) * 0.1
    rows = unseen_rows(np.concatenate([clicks, noise, clicks]), 600)
    assert rows.shape[0] == 600
    assert np.isfinite(rows).all()
    same = np.linalg.norm(rows[50:150] - rows[450:550], axis=1).mean()
    other = np.linalg.norm(rows[50:150] - rows[250:350], axis=1).mean()
    assert same < 0.1 * other
    drawn = np.random.default_rng(2).integers(0, 600, (2, 5000))
    apart = np.mean(np.sum((rows[drawn[0]] - rows[drawn[1]]) ** 2, axis=1))
    assert apart == pytest.approx(1.0, abs=0.1)


def test_a_track_is_heard_whole(clicks: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clicks.wav", clicks, RATE)
    recording = hear(tmp_path / "clicks.wav", 200)
    assert len(recording.mono) == len(clicks)
    assert len(recording.unseen) == 200
    assert recording.onsets is not None
    assert len(recording.onsets) == 38
