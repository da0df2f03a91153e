"""A singing network trained here, on a gliding tone that stands for a voice over noise that stands for a band."""

from pathlib import Path

import numpy as np
import pytest

from musex.analysis.features import analyse_frames
from musex.config import FEATURES, SingingConfig
from musex.errors import DatasetError
from musex.prediction.litert import run
from musex.prediction.singing_network import SingingNetwork, prepare

pytest.importorskip("tensorflow")
from musex.training.networks.singing import build_singing
from musex.training.runs import load_best
from musex.training.singing import SingingTrainingConfig, mark, read_voices, train_singing

Array = np.ndarray

TINY = SingingConfig(filters=(4, 6), channels=8, dilations=(1, 2))
BRIEF = SingingTrainingConfig(TINY, window_seconds=2.0, batch_size=4, minutes=0.15, epoch_batches=20)
RATE = FEATURES.sample_rate


def piece(seed: int, seconds: float = 8.0) -> tuple[Array, Array, Array]:
    """Band and voice, mono (samples,) each, and whether the voice sounds in each sample: in every other second."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    sounds = (time % 2.0 >= 1.0).astype(np.float32)
    pitch = random.uniform(300, 500) * 2 ** (0.3 * np.sin(2 * np.pi * 3.0 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(number * phase) / number for number in range(1, 6)) * 0.1 * sounds
    band = 0.02 * random.standard_normal(len(time))
    return band.astype(np.float32), np.asarray(voice, np.float32), sounds


def level(sound: Array, frames: int) -> Array:
    parts = sound[: frames * FEATURES.hop_length].reshape(-1, FEATURES.hop_length)
    return np.asarray(10.0 * np.log10(np.square(parts).mean(axis=1) + 1e-10))


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices over music as `models/make_voices.py` leaves them."""
    folder = tmp_path_factory.mktemp("voices")
    for where, seeds in (("training", range(4)), ("validation", range(10, 12))):
        (folder / where).mkdir()
        for seed in seeds:
            band, voice, _ = piece(seed)
            log_mel, _ = analyse_frames(band + voice)
            frames = len(log_mel)
            np.savez(
                folder / where / f"{seed}.npz",
                log_mel=log_mel.astype(np.float16),
                voice=level(voice, frames).astype(np.float16),
                music=level(band, frames).astype(np.float16),
            )
    return folder


def test_a_voice_counts_where_it_is_audible_and_nobody_asks_where_it_hardly_is() -> None:
    music = np.full(100, -20.0)
    voice = np.repeat([-15.0, -38.0, -80.0], [40, 20, 40])
    targets, weights = mark(voice, music, SingingTrainingConfig())
    assert targets.tolist() == [1.0] * 40 + [0.0] * 60
    assert weights.tolist() == [1.0] * 40 + [0.0] * 20 + [1.0] * 40
    nobody = mark(np.full(100, -100.0), music, SingingTrainingConfig())
    assert not nobody[0].any()
    assert nobody[1].all()


def test_training_leaves_a_network_that_hears_its_voice(voices: Path, tmp_path: Path) -> None:
    reached = train_singing(voices, tmp_path, BRIEF)
    assert reached["area"] > 0.9
    network = SingingNetwork(tmp_path)
    assert network.config == TINY
    band, voice, sounds = piece(20)
    log_mel, _ = analyse_frames(band + voice)
    found = network.activations(log_mel)
    truth = sounds[: len(found) * FEATURES.hop_length : FEATURES.hop_length] > 0
    assert found[truth].mean() > found[~truth].mean() + 0.3

    learned = build_singing(TINY)
    load_best(tmp_path, learned.weights)
    frames = prepare(log_mel)[None]
    exported = next(iter(run(network.runner, frames=frames).values()))
    np.testing.assert_allclose(exported, learned(frames).numpy(), atol=1e-4)


def test_voices_must_be_there(tmp_path: Path, voices: Path) -> None:
    with pytest.raises(DatasetError, match="no voices over music"):
        train_singing(tmp_path, tmp_path / "run", BRIEF)
    assert len(read_voices(voices / "training", BRIEF)) == 4
