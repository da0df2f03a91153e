"""Data set, training, export and loading, with a tiny network trained here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex import cli
from musex.config import PointerConfig
from musex.dataset import load_tracks, past_window, split_tracks, training_window
from musex.errors import DatasetError, ModelError
from musex.features import analyse
from musex.model import load_model, packaged_model

pytest.importorskip("tensorflow")
from musex.networks import keras
from musex.networks.pointer import build_pointer
from musex.runs import export
from musex.training import TrainingConfig, describe, train_pointer

TINY = PointerConfig(
    embedding_channels=4, strip_channels=4, sharpness=(30.0, 10.0), mixture_channels=4, lags=(1, 5, 20)
)
BRIEF = TrainingConfig(
    batch_size=2, steps_per_epoch=2, epochs=2, memory_steps=300, validation_memory_steps=400, validation_points=1
)


def compose(seconds: float, seed: int, sample_rate: int = 22_050) -> np.ndarray:
    """Phrases of noise and tones that come again."""
    random = np.random.default_rng(seed)
    time = np.arange(2 * sample_rate) / sample_rate
    phrases = [
        0.3 * np.sin(2 * np.pi * random.uniform(100, 2000) * time) * np.exp(-time)
        + 0.02 * random.standard_normal(len(time))
        for _ in range(4)
    ]
    count = round(seconds / 2)
    return np.concatenate([phrases[number % 4] for number in range(count)]).astype(np.float32)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number, suffix in enumerate(("wav", "flac", "wav", "flac", "wav", "flac")):
        path = folder / f"group{number % 5}" / f"track{number}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, compose(50, number), 22_050)
    (folder / "group0" / "notes.txt").write_text("not music")
    (folder / "group0" / "broken.mp3").write_text("not music either")
    return folder


@pytest.fixture(scope="module")
def run(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_pointer(music, folder, model=TINY, config=BRIEF)
    return folder


def test_tracks_are_analysed_once_and_split_by_folder(music: Path) -> None:
    tracks = load_tracks(music)
    assert len(tracks) == 6
    before = [track.cache.stat().st_mtime_ns for track in tracks]
    assert [track.cache.stat().st_mtime_ns for track in load_tracks(music)] == before
    learned, held = split_tracks(tracks)
    assert learned
    assert held
    assert not {track.group for track in learned} & {track.group for track in held}
    learned, held = split_tracks(tracks, validation=("group0",))
    assert [track.group for track in held] == ["group0", "group0"]


def test_a_folder_without_music_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no audio"):
        load_tracks(tmp_path)
    with pytest.raises(DatasetError, match="not a folder"):
        load_tracks(tmp_path / "nowhere")


def test_the_truth_is_not_in_the_memory() -> None:
    """Rows carry their own number: what the memory holds can be read off."""
    config = PointerConfig()
    features = np.zeros((3000, config.features.width), np.float32)
    features[:] = np.arange(3000)[:, None]
    random = np.random.default_rng(0)
    for _ in range(200):
        window = training_window(features, random, config, 1200, augment=True)
        first = window.target[0, 0]
        held = window.memory[window.memory_mask > 0][:, 0]
        assert not ((held >= first) & (held < first + config.horizon_steps + 150)).any()
        assert len(held) >= 200


def test_past_window_pads_in_front() -> None:
    config = PointerConfig()
    features = np.arange(400, dtype=np.float32)[:, None].repeat(config.features.width, axis=1)
    window = past_window(features, 150, config, memory_steps=300)
    assert window.context_mask.sum() == 150
    assert window.memory_mask.sum() == 150
    assert window.context[-1, 0] == window.memory[-1, 0] == 149
    assert window.target[0, 0] == 150


def test_training_leaves_a_usable_model(run: Path) -> None:
    rows = (run / "losses.csv").read_text().splitlines()
    assert len(rows) == 3
    model = load_model(run)
    assert model.config == TINY
    features = analyse(compose(40, 9), 22_050)
    memory = model.listen(features)
    prediction = model.predict(memory, np.arange(200))
    assert prediction.log_mel.shape == (100, 64)
    np.testing.assert_allclose(np.exp(prediction.starts).sum(axis=0), 1.0, atol=1e-3)
    assert prediction.pointer.shape == (100, len(features))


def test_a_run_is_not_overwritten(run: Path, music: Path) -> None:
    with pytest.raises(DatasetError, match="holds a run already"):
        train_pointer(music, run, model=TINY, config=BRIEF)
    with pytest.raises(DatasetError, match=r"losses\.csv is a file: name a folder"):
        train_pointer(music, run / "losses.csv", model=TINY, config=BRIEF)


def test_resumed_training_ends_at_the_same_weights(run: Path, music: Path, tmp_path: Path) -> None:
    train_pointer(music, tmp_path, model=TINY, config=replace(BRIEF, epochs=1))
    train_pointer(music, tmp_path, model=TINY, config=BRIEF, resume=True)
    with np.load(run / "state.npz") as whole, np.load(tmp_path / "state.npz") as resumed:
        for name in whole.files:
            if name != "progress":
                np.testing.assert_allclose(whole[name], resumed[name], atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """A network, and the folder it is exported to."""
    folder = tmp_path_factory.mktemp("untrained")
    network = build_pointer(TINY)
    export(network, folder / "pointer.tflite", describe(TINY, BRIEF))
    return network, folder


@pytest.mark.parametrize("heard", [200, 60, 0])
def test_the_exported_file_equals_the_network(untrained: tuple[keras.Model, Path], heard: int) -> None:
    network, folder = untrained
    model = load_model(folder)
    features = analyse(compose(40, 3), 22_050)
    exported = model.predict(model.listen(features), np.arange(250 - heard, 250))
    missing = 200 - heard
    inputs = {
        "context": np.pad(features[250 - heard : 250], ((missing, 0), (0, 0)))[None],
        "context_mask": np.pad(np.ones((1, heard), np.float32), ((0, 0), (missing, 0))),
        "memory": features[None],
        "memory_mask": np.ones((1, len(features)), np.float32),
    }
    outputs = network(inputs, training=False)
    np.testing.assert_allclose(exported.log_mel, np.asarray(outputs["log_mel"])[0], atol=1e-4)
    starts = np.asarray(outputs["starts"])[0]
    difference = exported.starts - (starts - starts.max(axis=0))
    likely = exported.starts > -20
    assert np.ptp(difference[:, 0][likely[:, 0]]) < 1e-4


def test_the_command_trains_the_pointer(music: Path, tmp_path: Path) -> None:
    command = ["train", str(music), "-o", str(tmp_path / "run"), "--epochs", "1", "--quiet"]
    assert cli.run(command) == 0
    assert len((tmp_path / "run" / "losses.csv").read_text().splitlines()) == 2
    assert (tmp_path / "run" / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert load_model(tmp_path / "run").join_head is not None
    assert cli.run(command) == 1  # another run is there
    assert logged_tags(tmp_path / "run" / "tensorboard") >= {"loss", "validation_error_db", "learning_rate"}


def logged_tags(folder: Path) -> set[str]:
    """What TensorBoard would show of a run."""
    from musex.networks import tf

    (events,) = folder.iterdir()
    records = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(events))]
    values = [value for record in records for value in record.summary.value]
    assert {value.metadata.plugin_data.plugin_name for value in values} == {"scalars"}
    return {value.tag for value in values}


def test_damaged_models_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        load_model(tmp_path / "none.tflite")
    content = (run / "pointer.tflite").read_bytes()
    settings = json.loads((run / "pointer.json").read_text())
    (tmp_path / "pointer.tflite").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"no pointer\.json"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text(json.dumps(settings | {"format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text("{")
    with pytest.raises(ModelError, match="does not describe"):
        load_model(tmp_path)


def test_the_packaged_model_finds_an_exact_repeat() -> None:
    features = analyse(compose(60, 5), 22_050)
    model = load_model(packaged_model())
    memory = model.listen(features[:400])  # phrases of 2 s, 8 s a round
    starts = model.predict(memory, np.arange(200, 400)).starts
    assert (int(starts[:300, -1].argmax()) - 400) % 80 in (0, 1, 79)
