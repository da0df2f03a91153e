"""Stems made here, a separator trained on them, and what any exported separator must keep."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from musex.config import SeparatorConfig
from musex.errors import DatasetError, ModelError
from musex.metrics import signal_ratio
from musex.prediction.litert import run
from musex.separation.separator import Separator, group_cells, spectra_of

pytest.importorskip("tensorflow")
from musex.training.networks.separator import build_separator
from musex.training.runs import BEST_FILE, LOG_FILE, read_rows
from musex.training.separator import (
    SeparatorTrainingConfig,
    Windows,
    export_separator,
    finish_window,
    read_pieces,
    train_separator,
)

Array = np.ndarray

RATE = 8000
TINY = SeparatorConfig(
    sample_rate=RATE,
    n_fft=512,
    hop_length=128,
    block_frames=64,
    overlap_frames=16,
    fine_bins=64,
    group_bins=4,
    bands=((16, 4), (8, 6)),
    widths=(8, 12, 16),
    dilations=(1, 2),
)
BRIEF = SeparatorTrainingConfig(
    TINY, window_frames=64, batch_size=4, epoch_batches=40, epochs=3, held_windows=8, warm_up_batches=10
)


def play(seed: int, seconds: float = 12.0) -> Array:
    """Stems float32 (3, samples, 2): bursts of noise, a low tone and a high chord, all at times of their own."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    drums, bass, rest = np.zeros((3, len(time)))
    for start in np.arange(0.1, seconds, 0.37):
        since = np.maximum(time - start, 0.0)
        drums += (time >= start) * np.exp(-40.0 * since) * random.standard_normal(len(time))
    for start in np.arange(0.0, seconds, 1.0):
        inside = (time >= start) & (time < start + 1.0)
        bass += inside * np.sin(2 * np.pi * 55.0 * 2 ** (random.integers(12) / 12) * time)
        for _ in range(3):
            rest += 0.5 * inside * np.sin(2 * np.pi * 440.0 * 2 ** (random.integers(24) / 12) * time)
    stems = 0.2 * np.stack([drums, bass, rest])
    return np.repeat(stems[:, :, None], 2, axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stems")
    for where, seeds in (("training", range(4)), ("validation", (7,))):
        (folder / where).mkdir()
        for seed in seeds:
            np.save(folder / where / f"patterns-{seed}.npy", np.rint(play(seed) * 16000).astype(np.int16))
    return folder


@pytest.fixture(scope="module")
def trained(stems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_separator(stems, folder, BRIEF)
    return folder


def test_it_learns_to_take_noise_from_tones(trained: Path) -> None:
    rows = read_rows(trained / LOG_FILE)
    assert rows[-1]["validation"] < 0.8 * rows[0]["validation"]
    separator = Separator(trained)
    assert separator.config == TINY
    truths = play(9)
    found = separator.separate(truths.sum(axis=0), RATE)
    for stem, truth in zip(("drums", "bass"), truths, strict=False):
        mixed = signal_ratio(truth, truths.sum(axis=0))
        assert signal_ratio(truth, found[stem]) > mixed + 5.0


def test_a_stopped_run_goes_on(stems: Path, trained: Path) -> None:
    with pytest.raises(DatasetError, match="holds a run already"):
        train_separator(stems, trained, BRIEF)
    epochs = len(read_rows(trained / LOG_FILE))
    train_separator(stems, trained, BRIEF, resume=True)
    assert len(read_rows(trained / LOG_FILE)) == epochs
    assert (trained / BEST_FILE).exists()


def test_stems_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no rendered stems"):
        train_separator(tmp_path, tmp_path / "run", BRIEF)


def test_what_is_known_of_a_window_gives_the_error_of_a_mask(stems: Path) -> None:
    sounds = play(3)[:, : (BRIEF.window_frames - 1) * TINY.hop_length + TINY.n_fft]
    window = finish_window(sounds, TINY, judged=1)
    mask = 0.3
    mixture, drums = (spectra_of(sound, TINY.n_fft, TINY.hop_length)[1::4] for sound in (sounds.sum(axis=0), sounds[0]))
    errors = group_cells(np.abs(mask * mixture - drums) ** 2, TINY)
    known = window.known
    told = mask * (mask * known["mixture"] - 2.0 * known["drums_shared"]) + known["drums_power"]
    assert np.corrcoef(told.ravel(), errors.ravel())[0, 1] > 0.99999
    np.testing.assert_allclose(told / told.mean(), errors / errors.mean(), atol=1e-3 * float(told.max() / told.mean()))


def test_windows_have_songs_without_drums_and_without_bass(stems: Path) -> None:
    windows = Windows(read_pieces(stems / "training", RATE), BRIEF)
    drawn = [windows.draw(0).known for _ in range(60)]
    for part in ("drums", "bass", "rest"):
        silent = [float(known[f"{part}_power"].sum()) == 0.0 for known in drawn]
        assert 0 < sum(silent) < 30


def constant(tmp_path: Path, drums: float, bass: float) -> Separator:
    """A separator whose masks are the same everywhere, by log-odds against the rest."""
    network = build_separator(TINY)
    for layer in network.get_layer("head").layers:
        if layer.name.startswith("einsum_dense"):
            kernel, bias = layer.get_weights()
            layer.set_weights([0.0 * kernel, 0.0 * bias])
    odds = {"drums_odds": drums, "bass_odds": bass}
    for name, value in odds.items():
        for part in network.get_layer("head").get_layer(name).input:
            layer = part._keras_history.operation  # a Reshape, of what a dense layer gives
            dense = layer.input._keras_history.operation
            kernel, bias = dense.get_weights()
            dense.set_weights([kernel, np.full_like(bias, value)])
    path = tmp_path / "separator.tflite"
    export_separator(network, TINY, path, {"network": "separator", "config": asdict(TINY)})
    return Separator(path)


@pytest.mark.parametrize("rate", [RATE, 11_025, 44_100, 5512])
def test_masks_of_one_give_the_song_itself(tmp_path: Path, rate: int) -> None:
    separator = constant(tmp_path, 40.0, -40.0)
    random = np.random.default_rng(0)
    for frames, channels in ((0, 2), (1, 1), (700, 2), (5 * rate + 17, 2), (3 * rate, 3)):
        samples = 0.1 * random.standard_normal((frames, channels)).astype(np.float32)
        found = separator.separate(samples, rate)
        np.testing.assert_allclose(found["drums"], samples, atol=1e-5)
        assert np.abs(found["bass"]).max(initial=0.0) < 1e-5
    one = separator.separate(samples[:, 0], rate)["drums"]
    np.testing.assert_allclose(one, samples[:, 0], atol=1e-5)


def test_the_exported_network_is_the_one_trained(tmp_path: Path) -> None:
    network = build_separator(TINY)
    levels = np.random.default_rng(0).standard_normal((1, TINY.block_frames, TINY.cells, 3), np.float32)
    masks = network(levels)
    for packed, tolerance in ((False, 1e-4), (True, 1e-2)):
        path = tmp_path / f"separator-{packed}.tflite"
        export_separator(network, TINY, path, {"network": "separator", "config": asdict(TINY)}, packed=packed)
        told = run(Separator(path).runner, levels=levels)
        for stem in ("drums", "bass"):
            np.testing.assert_allclose(told[stem], masks[stem], atol=tolerance)


def test_a_description_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    network = build_separator(TINY)
    path = tmp_path / "separator.tflite"
    for wrong in ({"overlap_frames": 40}, {"hop_length": 100}, {"fine_bins": 60}, {"widths": 3}, {"sample_rate": "8k"}):
        export_separator(network, TINY, path, {"network": "separator", "config": asdict(TINY) | wrong})
        with pytest.raises(ModelError, match="no separator of this musex"):
            Separator(path)
