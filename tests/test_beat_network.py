"""The beat network: its training on rendered scores, and what is exported."""

from pathlib import Path

import numpy as np
import pytest

from musex.errors import DatasetError, ModelError
from musex.prediction.beat_tracker import BeatTracker

pytest.importorskip("tensorflow")

from musex.beat_training import (
    BeatTrainer,
    BeatTrainingConfig,
    ScoreTrack,
    draw_batch,
    draw_excerpt,
    label_frames,
    load_scores,
    smear,
    split_of,
    train_beats,
    vary,
)
from musex.networks.beats import BeatConfig

TINY = BeatConfig(channels=8, dilations=(1, 2, 4, 8), dropout=0.0)
CONFIG = BeatTrainingConfig(frames=200, batch_size=4, epoch_batches=5, validation_batches=2)


def click_track(interval: int, metre: int, frames: int = 400, *, seed: int = 0) -> ScoreTrack:
    """Clicks `interval` frames apart, every `metre`-th of them low, over noise."""
    random = np.random.default_rng(seed)
    levels = random.uniform(60.0, 80.0, (frames, 64))
    beats = np.arange(5, frames, interval)
    is_downbeat = np.arange(len(beats)) % metre == 0
    for beat, is_low in zip(beats, is_downbeat, strict=True):
        levels[beat : beat + 3, slice(0, 20) if is_low else slice(30, 64)] += 60.0
    return ScoreTrack(levels.astype(np.uint8), beats.astype(np.float64), is_downbeat)


@pytest.fixture(scope="module")
def tracks() -> list[ScoreTrack]:
    return [click_track(interval, metre, seed=interval) for interval in (18, 23, 29) for metre in (3, 4)]


@pytest.fixture(scope="module")
def trainer(tracks: list[ScoreTrack]) -> BeatTrainer:
    trainer = BeatTrainer(CONFIG, TINY)
    random = np.random.default_rng(0)
    for _ in range(80):
        trainer.step(*draw_batch(tracks, CONFIG, random, is_varied=False))
    return trainer


@pytest.fixture(scope="module")
def exported(trainer: BeatTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("beats") / "beats.tflite"
    trainer.export(path, {})
    return path


def store(folder: Path, group: str, track: ScoreTrack) -> None:
    path = folder / group / f"{group}.npz"
    path.parent.mkdir()
    beats = ((track.beats + 0.5) / 50).astype(np.float32)
    np.savez(path, levels=track.levels, beats=beats, positions=np.where(track.is_downbeat, 1, 2).astype(np.int8))


def test_labels_lie_on_the_beats_and_move_with_the_tempo() -> None:
    track = click_track(20, 4)
    labels = label_frames(track, np.arange(100.0), 0.5)
    assert np.flatnonzero(labels[:, 0] == 1.0).tolist() == [5, 25, 45, 65, 85]
    assert np.flatnonzero(labels[:, 0] == 0.5).tolist() == [4, 6, 24, 26, 44, 46, 64, 66, 84, 86]
    assert np.flatnonzero(labels[:, 1] == 1.0).tolist() == [5, 85]
    slower = label_frames(track, 0.8 * np.arange(100.0), 0.5)
    assert np.flatnonzero(slower[:, 0] == 1.0).tolist() == [6, 31, 56, 81]


def test_what_is_varied_stays_where_it_was() -> None:
    track = click_track(40, 4)
    log_mel = (track.levels[:200] / 2.0 - 100.0).astype(np.float32)
    for seed in range(8):
        varied = vary(log_mel, BeatTrainingConfig(grain_db=0.5), np.random.default_rng(seed))
        assert varied.shape == log_mel.shape
        assert np.isfinite(varied).all()
        rise = np.maximum(0.0, np.diff(varied, axis=0)).mean(axis=1)
        assert rise[track.beats[:4].astype(int) - 1].mean() > 2 * np.median(rise)


def test_a_room_only_adds_what_was_heard_before() -> None:
    power = np.zeros((300, 2))
    power[100] = 1.0
    wet = smear(power, 1.0, 0.1)
    assert np.allclose(wet[:101], power[:101])
    assert np.allclose(wet[101:150, 0], 0.1 * 10 ** (-6 * np.arange(1, 50) / 50))


def test_short_scores_end_in_silence() -> None:
    log_mel, labels = draw_excerpt(click_track(20, 4, 90), CONFIG, np.random.default_rng(0), is_varied=False)
    assert log_mel.shape == (200, 64)
    assert (log_mel[90:] == -100.0).all()
    assert not labels[92:].any()


def test_training_finds_the_beats_of_clicks(trainer: BeatTrainer) -> None:
    track = click_track(26, 4, seed=99)  # a tempo it was not shown
    log_mel = (track.levels[None] / 2.0 - 100.0).astype(np.float32)
    beats = track.beats.astype(int)[:-1]

    def contrast(some: BeatTrainer, column: int, frames: np.ndarray) -> float:
        logits = np.asarray(some.network(log_mel, training=False))[0, :, column]
        return float(logits[frames].mean() - logits.mean())

    untrained = BeatTrainer(CONFIG, TINY)
    assert contrast(trainer, 0, beats) > max(1.0, 3 * contrast(untrained, 0, beats))
    downbeats = beats[track.is_downbeat[: len(beats)]]
    assert contrast(trainer, 1, downbeats) > max(1.0, 3 * contrast(untrained, 1, downbeats))


def test_the_exported_network_says_what_keras_does(trainer: BeatTrainer, exported: Path) -> None:
    tracker = BeatTracker(exported)
    for frames in (37, 400, 1234):
        log_mel = np.random.default_rng(frames).normal(-50.0, 15.0, (frames, 64)).astype(np.float32)
        logits = np.asarray(trainer.network(log_mel[None], training=False))[0]
        heard = tracker.activations(log_mel)
        assert heard.shape == (frames, 2)
        assert np.allclose(heard, 1.0 / (1.0 + np.exp(-logits)), atol=1e-4)


def test_the_level_does_not_matter(exported: Path) -> None:
    tracker = BeatTracker(exported)
    log_mel = np.random.default_rng(0).normal(-50.0, 10.0, (300, 64)).astype(np.float32)
    assert np.allclose(tracker.activations(log_mel), tracker.activations(log_mel - 20.0), atol=1e-4)
    assert tracker.activations(log_mel[:0]).shape == (0, 2)


def test_a_run_goes_on_and_exports_its_best(tracks: list[ScoreTrack], tmp_path: Path) -> None:
    scores, run = tmp_path / "scores", tmp_path / "run"
    groups = {
        part: [f"g{n}" for n in range(200) if split_of(f"g{n}") == part][:3] for part in ("training", "validation")
    }
    for group, track in zip(groups["training"] + groups["validation"], tracks, strict=True):
        store(scores, group, track)
    assert len(load_scores(scores, {}, "training")) == 3
    assert np.allclose(load_scores(scores, {}, "validation")[0].beats, tracks[3].beats, atol=1e-3)
    best = train_beats(scores, run, minutes=0.02, config=CONFIG, network=TINY)
    assert train_beats(scores, run, minutes=0.02, config=CONFIG, network=TINY) <= best
    epochs = [int(float(line.split(",")[0])) for line in (run / "losses.csv").read_text().splitlines()[1:]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 2
    assert BeatTracker(run / "beats.tflite").settings["recipe"]["validation"] <= round(best, 4)


def test_without_scores_nothing_is_trained(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="too few rendered scores"):
        train_beats(tmp_path, tmp_path / "run", minutes=0.01, config=CONFIG, network=TINY)


def test_what_is_no_beat_network_is_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model is both files"):
        BeatTracker(tmp_path / "beats.tflite")
    copied = tmp_path / "beats.tflite"
    copied.write_bytes(exported.read_bytes()[:-1] + b"\0\0")
    copied.with_suffix(".json").write_text(exported.with_suffix(".json").read_text())
    with pytest.raises(ModelError, match="damaged"):
        BeatTracker(copied)
    copied.with_suffix(".json").write_text('{"format": 1, "network": "pointer"}')
    with pytest.raises(ModelError, match="not beats"):
        BeatTracker(copied)
