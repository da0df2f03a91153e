"""Drift and repetition of constructed chains."""

import numpy as np
import pytest

from musex.analysis.features import to_mono
from musex.audio.song import Song, song_from_array
from musex.config import WaveformConfig
from musex.evaluation.endurance import LongOutput, chain_song, generate_on, loop_end, measure_chain, source_rows
from musex.plans import Plan, PlanModel, PlanSettings, PlanSong, Seam, Span
from musex.prediction.model import WaveformModel, load_model

RATE = 22_050


@pytest.fixture(scope="module")
def song() -> Song:
    """A phrase of 12 s, six times: 72 s of mono at 44 100 Hz."""
    random = np.random.default_rng(0)
    level = np.repeat(random.uniform(0.02, 0.3, 48), 11_025)
    return song_from_array(np.tile(random.standard_normal(len(level)) * level, 6).astype(np.float32), 44_100)


def test_a_loop_repeats_and_does_not_drift(song: Song) -> None:
    chain = loop_end(song, 200.0)
    assert len(chain.mono) == 200 * RATE
    assert (chain.begun, chain.seams) == (720, 13)
    np.testing.assert_array_equal(chain.mono[-10 * RATE :], chain.mono[-20 * RATE : -10 * RATE])
    measures = measure_chain(chain, source_rows(song))
    for name in ("loudness_db_per_minute", "centroid_hz_per_minute", "distance_db_per_minute"):
        assert measures[name] == pytest.approx(0.0, abs=1e-6)
    assert measures["distance_to_source_db"] < 0.2
    assert measures["longest_repeat_seconds"] == pytest.approx(128.0)
    assert measures["share_used_percent"] == pytest.approx(100 * 10 / 72)


def test_growing_louder_and_brighter_is_drift(song: Song) -> None:
    chain = loop_end(song, 200.0)
    minutes = np.arange(len(chain.mono)) / RATE / 60
    mono = (chain.mono * 10 ** (-6.0 * minutes / 20)).astype(np.float32)
    fading = measure_chain(LongOutput(mono, chain.path, 720, chain.begun, chain.seams, 0.0), source_rows(song))
    assert fading["loudness_db_per_minute"] == pytest.approx(-6.0, abs=0.05)
    assert fading["distance_db_per_minute"] > 0.5
    brighter = np.sin(2 * np.pi * np.cumsum(500.0 + 600.0 * minutes) / RATE).astype(np.float32)
    measured = measure_chain(LongOutput(brighter, None, 720, 0, 0, 0.0), source_rows(song))
    assert measured["centroid_hz_per_minute"] == pytest.approx(600.0, rel=0.1)
    assert "longest_repeat_seconds" not in measured


def test_a_planned_chain_is_followed_through_its_spans() -> None:
    seam = Seam(20 * RATE, 20 * RATE, 5 * RATE, 0, 1.0, 0.0, 0.0, 0.0)
    spans = (Span(0, 20 * RATE), Span(5 * RATE, 15 * RATE))
    plan = Plan(30.0, PlanSong(None, "", RATE, 30 * RATE, 1), PlanModel("", ""), PlanSettings(), spans, (seam,))
    np.testing.assert_array_equal(plan.steps(0.1), np.concatenate([np.arange(200), np.arange(50, 150)]))


def test_a_chain_of_the_model_stays_with_the_song(song: Song) -> None:
    chain = chain_song(song, load_model(), 150.0)
    assert len(chain.mono) == pytest.approx(150 * RATE, abs=0.1 * RATE)
    measures = measure_chain(chain, source_rows(song))
    assert measures["distance_to_source_db"] < 1.0
    assert abs(measures["loudness_db_per_minute"]) < 2.0
    assert measures["seams_per_minute"] > 0.0
    assert abs(measures["duration_error_seconds"]) <= 0.1


class Halver(WaveformModel):
    """Predicts the last 10 s at half of their level."""

    def __init__(self) -> None:
        self.name, self.sha256, self.config = "halver", "", WaveformConfig()

    def predict(self, samples: np.ndarray, *, level: float | None = None) -> np.ndarray:
        assert len(samples) == 20 * RATE
        return np.asarray(samples[-10 * RATE :] / 2)


def test_waveforms_are_fed_back(song: Song) -> None:
    chain = generate_on(song, Halver(), 100.0)
    assert len(chain.mono) == 100 * RATE
    np.testing.assert_allclose(chain.mono[: 71 * RATE], to_mono(song.samples, 44_100)[: 71 * RATE], atol=1e-3)
    levels = [float(np.std(chain.mono[start * RATE : (start + 8) * RATE])) for start in (63, 73, 83)]
    np.testing.assert_allclose(levels[1:], [levels[0] / 2, levels[0] / 4], rtol=0.02)
    measures = measure_chain(chain, source_rows(song))
    assert measures["loudness_db_per_minute"] == pytest.approx(-36.1, abs=0.2)
