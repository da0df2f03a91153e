"""Training, export and loading, with a tiny network trained here."""

import json
import resource
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from musex.analysis.features import analyse
from musex.cli import app as cli
from musex.errors import DatasetError, MusexError
from musex.extension import pointing
from musex.prediction.model import load_model
from tests.phrases import compose
from tests.training.networks.conftest import TINY

pytest.importorskip("tensorflow")
from musex.training import train as training
from musex.training.join import JoinTrainingConfig
from musex.training.networks import keras
from musex.training.networks.pointer import build_pointer
from musex.training.runs import load_best
from musex.training.train import TrainingConfig, train_pointer


def test_training_leaves_a_usable_model(run: Path, brief: TrainingConfig) -> None:
    rows = (run / "losses.csv").read_text().splitlines()
    assert len(rows) == 3
    model = load_model(run)
    assert model.config == TINY
    recipe = json.loads((run / "pointer.json").read_text())["recipe"]
    assert recipe == json.loads(json.dumps(asdict(brief))), "whole: how windows are drawn and varied, and the loss, too"
    assert {"splice_odds", "future_odds"} < recipe["sampling"].keys()
    features = analyse(compose(40, 9), 22_050)
    memory = model.listen(features)
    prediction = model.predict(memory, np.arange(200))
    assert prediction.log_mel.shape == (100, 64)
    np.testing.assert_allclose(np.exp(prediction.starts).sum(axis=0), 1.0, atol=1e-3)
    assert prediction.pointer.shape == (100, len(features))


def test_a_run_is_not_overwritten(run: Path, phrases: Path, brief: TrainingConfig) -> None:
    with pytest.raises(DatasetError, match="holds a run already"):
        train_pointer(phrases, run, model=TINY, config=brief)
    with pytest.raises(DatasetError, match=r"losses\.csv is a file: name a folder"):
        train_pointer(phrases, run / "losses.csv", model=TINY, config=brief)


def test_resumed_training_ends_at_the_same_weights(
    run: Path, first_epoch: Path, phrases: Path, brief: TrainingConfig, tmp_path: Path
) -> None:
    shutil.copytree(first_epoch, tmp_path, dirs_exist_ok=True)
    train_pointer(phrases, tmp_path, model=TINY, config=brief, resume=True)
    with np.load(run / "state.npz") as whole, np.load(tmp_path / "state.npz") as resumed:
        for name in whole.files:
            if name != "progress":
                np.testing.assert_allclose(whole[name], resumed[name], atol=1e-5, err_msg=name)


def test_a_full_disk_and_damage_leave_a_run_that_goes_on(
    first_epoch: Path, phrases: Path, brief: TrainingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(first_epoch, tmp_path, dirs_exist_ok=True)
    kept = {name: (tmp_path / name).read_bytes() for name in ("best.npz", "state.npz", "losses.csv", "pointer.tflite")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept["best.npz"]) // 2, limits[1]))
    try:
        with pytest.raises(MusexError, match="could not write"):
            train_pointer(phrases, tmp_path, model=TINY, config=brief, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all((tmp_path / name).read_bytes() == kept[name] for name in kept if name != "losses.csv")
    assert not list(tmp_path.glob(".musex-*"))

    (tmp_path / "best.npz").write_bytes(kept["best.npz"][:1000])
    (tmp_path / "losses.csv").write_bytes(kept["losses.csv"][:-3] + b"?")
    train_pointer(phrases, tmp_path, model=TINY, config=brief, resume=True)
    assert "best.npz is damaged: it is made anew" in caplog.text
    assert "losses.csv is damaged: it is made anew" not in caplog.text, "only the epochs' numbers are read again"
    np.load(tmp_path / "best.npz").close()
    assert [line.split(",")[0] for line in (tmp_path / "losses.csv").read_text().splitlines()] == ["epoch", "0", "1"]
    (tmp_path / "state.npz").write_bytes(kept["state.npz"][:1000])
    with pytest.raises(DatasetError, match=r"state\.npz does not fit this network, or is damaged"):
        train_pointer(phrases, tmp_path, model=TINY, config=brief, resume=True)


@pytest.fixture(scope="module")
def network(run: Path) -> keras.Model:
    """The network that `run` has exported."""
    network = build_pointer(TINY)
    load_best(run, network.variables)
    return network


@pytest.mark.parametrize("heard", [200, 60, 0])
def test_the_exported_file_equals_the_network(network: keras.Model, run: Path, heard: int) -> None:
    model = pointing(run)
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


def test_the_command_trains_the_pointer(phrases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own recipe, but for an epoch; its join head for two."""
    monkeypatch.setattr(training, "JoinTrainingConfig", partial(JoinTrainingConfig, epochs=2))
    command = ["train", str(phrases), "-o", str(tmp_path / "run"), "--epochs", "1", "--quiet"]
    assert cli.run(command) == 0
    assert len((tmp_path / "run" / "losses.csv").read_text().splitlines()) == 2
    assert (tmp_path / "run" / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert pointing(tmp_path / "run").join_head is not None
    assert cli.run(command) == 1  # another run is there
    assert logged_tags(tmp_path / "run" / "tensorboard") >= {"loss", "validation_error_db", "learning_rate"}


def logged_tags(folder: Path) -> set[str]:
    """What TensorBoard would show of a run."""
    from musex.training.networks import tf

    (events,) = folder.iterdir()
    records = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(events))]
    values = [value for record in records for value in record.summary.value]
    assert {value.metadata.plugin_data.plugin_name for value in values} == {"scalars"}
    return {value.tag for value in values}
