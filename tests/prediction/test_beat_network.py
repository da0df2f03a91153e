"""The beat network that came with musex, on songs and clicks whose tempo and metre are known."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musex.analysis.features import analyse_frames, to_mono
from musex.audio.reading import read_song
from musex.errors import ModelError
from musex.prediction import beat_network
from musex.prediction.beat_network import BeatNetwork

Array = np.ndarray

ROOT = Path(__file__).parent.parent.parent
RATE = 22_050


@pytest.fixture(scope="module")
def network() -> BeatNetwork:
    return BeatNetwork()


def bars_of(metre: int, tempo: float, seconds: float = 40.0) -> Array:
    """A low drum on each downbeat, a snare on other beats, hats between, mono (samples,)."""
    random = np.random.default_rng(0)
    song = np.zeros(round(seconds * RATE))
    time = np.arange(round(0.2 * RATE)) / RATE
    noise = random.standard_normal(len(time))
    kick = 0.8 * np.sin(2 * np.pi * (50.0 * time - 8.0 * np.exp(-30.0 * time))) * np.exp(-18.0 * time)
    snare = 0.3 * (noise + np.sin(2 * np.pi * 190.0 * time)) * np.exp(-25.0 * time)
    hat = 0.1 * np.diff(noise, prepend=0.0) * np.exp(-90.0 * time)
    for number, start in enumerate(np.arange(0.4, seconds - 0.5, 30.0 / tempo)):
        beat, between = divmod(number, 2)
        sound = hat if between else hat + (kick if beat % metre == 0 else snare)
        song[round(start * RATE) : round(start * RATE) + len(time)] += sound
    return song.astype(np.float32)


@pytest.mark.parametrize(("name", "tempo", "metre"), [("groove", 112.0, 4), ("waltz", 134.0, 3)])
def test_the_examples_have_the_tempo_and_the_metre_that_they_were_made_in(
    network: BeatNetwork, name: str, tempo: float, metre: int
) -> None:
    song = read_song(ROOT / "examples" / f"{name}.mp3")
    beats = network.track(*analyse_frames(to_mono(song.samples, song.sample_rate)))
    assert beats.tempo == pytest.approx(tempo, abs=1.0)
    assert beats.metre == metre


@pytest.mark.parametrize("metre", [3, 4, 5, 7])
@pytest.mark.parametrize("tempo", [96.0, 140.0])
def test_drums_are_counted_into_bars(network: BeatNetwork, tempo: float, metre: int) -> None:
    beats = network.track(*analyse_frames(bars_of(metre, tempo)))
    assert beats.tempo == pytest.approx(tempo, rel=2e-3)
    assert beats.metre == metre
    downbeats = np.arange(0.4, 39.0, 60.0 * metre / tempo)
    assert np.mean(np.abs(beats.downbeats[:, None] - downbeats).min(axis=0) < 0.05) > 0.8


def test_what_has_no_pulse_gets_none(network: BeatNetwork) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(30 * RATE).astype(np.float32)
    for mono in (noise, np.zeros(20 * RATE, np.float32), np.zeros(0, np.float32)):
        assert not len(network.track(*analyse_frames(mono)).times)


def test_a_long_song_is_heard_in_stretches(network: BeatNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    log_mel, chroma = analyse_frames(bars_of(4, 120.0))
    whole = network.activations(log_mel, chroma)
    monkeypatch.setattr(beat_network, "STRETCH_FRAMES", 300)
    np.testing.assert_allclose(network.activations(log_mel, chroma), whole, atol=1e-4)


def test_neither_level_nor_equaliser_matter(network: BeatNetwork) -> None:
    log_mel, chroma = analyse_frames(bars_of(4, 120.0) + 0.001 * np.random.default_rng(0).standard_normal(40 * RATE))
    inside = log_mel.max() - 60.0
    log_mel = np.maximum(log_mel, inside)
    one, other = (network.activations(log_mel + gain, chroma) for gain in (0.0, 6.0))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_folder_without_a_beat_network_leaves_the_packaged_one(network: BeatNetwork, tmp_path: Path) -> None:
    assert BeatNetwork(tmp_path).path == network.path
    for suffix in (".tflite", ".json"):
        shutil.copy(network.path.with_suffix(suffix), tmp_path)
    assert BeatNetwork(tmp_path).path.parent == tmp_path


def test_a_description_that_does_not_fit_is_refused(network: BeatNetwork, tmp_path: Path) -> None:
    shutil.copy(network.path, tmp_path)
    described = json.loads(network.path.with_suffix(".json").read_text("utf-8"))
    wrongs: list[dict[str, Any]] = [
        {},
        {"config": described["config"] | {"channels": "many"}},
        {"config": {"features": {}}},
    ]
    for wrong in wrongs:
        (tmp_path / "beats.json").write_text(json.dumps({"sha256": described["sha256"], **wrong}))
        with pytest.raises(ModelError, match="no beat network of this musex"):
            BeatNetwork(tmp_path / "beats.tflite")
