"""Stems made here, a separator trained on them, and what any exported separator must keep."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from musex.config import SeparatorConfig
from musex.errors import DatasetError, ModelError
from musex.metrics import signal_ratio
from musex.prediction.litert import run
from musex.separation.separator import Separator, group_cells, levels_of, spectra_of

pytest.importorskip("tensorflow")
from musex.training.networks import tf
from musex.training.networks.separator import MOST_ODDS, build_separator, filter_levels, median
from musex.training.runs import BEST_FILE, LOG_FILE, read_rows
from musex.training.separator import (
    PARTS,
    SeparatorTrainingConfig,
    Windows,
    batch_of,
    drive,
    export_separator,
    finish_window,
    loss_of,
    measure,
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


def test_a_run_begins_with_the_weights_of_another(stems: Path, trained: Path, tmp_path: Path) -> None:
    """Little is learned in one batch: what it does not begin with, it does not reach."""
    once = replace(BRIEF, epochs=1, epoch_batches=1)
    best = min(row["validation"] for row in read_rows(trained / LOG_FILE))
    assert train_separator(stems, tmp_path / "again", once, start=trained) == pytest.approx(best, abs=0.1)
    assert train_separator(stems, tmp_path / "anew", once) > best + 0.2
    with pytest.raises(DatasetError, match="no weights of this network"):
        train_separator(stems, tmp_path / "none", once, start=tmp_path)


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


@pytest.mark.parametrize(("bare", "paired", "heard"), [(1.0, 0.0, {"drums"}), (0.0, 1.0, {"drums", "bass"})])
def test_windows_hold_drums_alone_or_with_bass(stems: Path, bare: float, paired: float, heard: set[str]) -> None:
    windows = Windows(read_pieces(stems / "training", RATE), replace(BRIEF, bare=bare, paired=paired))
    for _ in range(6):
        known = windows.draw(0).known
        assert {part for part in PARTS if known[f"{part}_power"].any()} == heard


def test_a_silent_window_has_a_loss(stems: Path) -> None:
    sounds = play(3)[:, : (BRIEF.window_frames - 1) * TINY.hop_length + TINY.n_fft]
    windows = [finish_window(volume * sounds, TINY) for volume in (0.0, 1.0)]
    network = build_separator(TINY)
    for some in (windows, windows[:1]):
        assert np.isfinite(list(measure(network, some, 2).values())).all()
    masks = dict.fromkeys(("drums", "bass"), tf.Variable(np.full(batch_of(windows)[1]["mixture"].shape, 0.3)))
    with tf.GradientTape() as tape:
        loss = loss_of(masks, {name: tf.cast(values, tf.float64) for name, values in batch_of(windows)[1].items()})
    assert np.isfinite(tape.gradient(loss, masks["drums"])).all()


@pytest.mark.parametrize("factor", [1.0, 6.0])
def test_overdriven_drums_are_as_loud_with_lower_peaks(factor: float) -> None:
    drums = play(5)[0]
    driven = drive(drums, factor)
    assert np.mean(driven**2) == pytest.approx(np.mean(drums**2), rel=1e-4)
    assert np.abs(driven).max() < np.abs(drums).max()
    assert not drive(np.zeros_like(drums), factor).any()


@pytest.mark.parametrize(("axis", "step"), [(1, 2), (2, 4), (2, 1)])
def test_the_median_of_nine_is_numpys(axis: int, step: int) -> None:
    values = np.random.default_rng(0).standard_normal((2, 40, 50, 1)).astype(np.float32)
    reach = 4 * step
    padded = np.pad(values, [(reach, reach) if number == axis else (0, 0) for number in range(4)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)[..., ::step]
    np.testing.assert_array_equal(median(values, axis=axis, step=step), np.median(windows, axis=-1))


def test_the_filter_takes_bursts_from_tones() -> None:
    drums, bass, rest = play(2)
    odds = []
    for sound in (drums, bass + rest):
        levels = levels_of(spectra_of(sound, TINY.n_fft, TINY.hop_length), float(sound.std()), TINY)
        _, struck = (np.asarray(values)[0, ..., 0] for values in filter_levels(levels[None], TINY))
        assert np.abs(struck).max() <= MOST_ODDS
        odds.append(struck[levels[..., 0] > np.quantile(levels[..., 0], 0.9)])
    assert np.median(odds[0]) > 1.0
    assert np.median(odds[1]) < -1.0


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
    path = tmp_path / "separator.tflite"
    export_separator(build_separator(TINY), TINY, path, {"network": "separator", "config": asdict(TINY)})
    description = json.loads(path.with_suffix(".json").read_text())
    for wrong in ({"overlap_frames": 40}, {"hop_length": 100}, {"fine_bins": 60}, {"widths": 3}, {"sample_rate": "8k"}):
        changed = description | {"config": asdict(TINY) | wrong}
        path.with_suffix(".json").write_text(json.dumps(changed))
        with pytest.raises(ModelError, match="no separator of this musex"):
            Separator(path)
