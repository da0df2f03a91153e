"""The singing network that came with musex, on a song whose words' times are known and on songs without any."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musex.analysis.features import analyse_frames
from musex.analysis.song_analysis import analyse_song
from musex.audio.reading import read_song
from musex.config import FEATURES
from musex.errors import ModelError
from musex.metrics import area_under_curve
from musex.prediction import singing_network
from musex.prediction.singing_network import SingingNetwork

Array = np.ndarray

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def network() -> SingingNetwork:
    return SingingNetwork()


def log_mel_of(name: str) -> Array:
    return analyse_song(read_song(EXAMPLES / name)).log_mel


def test_words_are_told_from_the_band_alone(network: SingingNetwork) -> None:
    found = network.activations(log_mel_of("sung.mp3"))
    times = (np.arange(len(found)) + 0.5) / FEATURES.frames_per_second
    lines = json.loads((EXAMPLES / "sung.json").read_text("utf-8"))
    within = np.zeros(len(found), bool)
    beside = np.zeros(len(found), bool)
    for line in lines:
        within |= (times > line[0][0] + 0.1) & (times < line[-1][1] - 0.1)
        beside |= (times > line[0][0] - 0.2) & (times < line[-1][1] + 0.2)
    assert area_under_curve(found[within], found[~beside]) > 0.97


@pytest.mark.parametrize("name", ["groove.mp3", "waltz.mp3", "drift.mp3"])
def test_nobody_sings_where_instruments_play(network: SingingNetwork, name: str) -> None:
    assert np.mean(network.activations(log_mel_of(name)) > 0.5) < 0.1


@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_silence_holds_no_voice(network: SingingNetwork, seconds: float) -> None:
    log_mel, _ = analyse_frames(np.zeros(round(seconds * FEATURES.sample_rate), np.float32))
    assert network.activations(log_mel).max() < 0.5


def test_a_long_song_is_heard_in_stretches(network: SingingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    log_mel = log_mel_of("sung.mp3")[:1500]
    whole = network.activations(log_mel)
    monkeypatch.setattr(singing_network, "STRETCH_FRAMES", 400)
    np.testing.assert_allclose(network.activations(log_mel), whole, atol=1e-4)


def test_a_folder_without_a_singing_network_leaves_the_packaged_one(network: SingingNetwork, tmp_path: Path) -> None:
    assert SingingNetwork(tmp_path).path == network.path


def test_a_description_that_does_not_fit_is_refused(network: SingingNetwork, tmp_path: Path) -> None:
    shutil.copy(network.path, tmp_path)
    described = json.loads(network.path.with_suffix(".json").read_text("utf-8"))
    wrongs: list[dict[str, Any]] = [
        {},
        {"config": described["config"] | {"channels": "many"}},
        {"config": {"features": {}}},
    ]
    for wrong in wrongs:
        (tmp_path / "singing.json").write_text(json.dumps({"sha256": described["sha256"], **wrong}))
        with pytest.raises(ModelError, match="no singing network of this musex"):
            SingingNetwork(tmp_path / "singing.tflite")
