"""Batches shared by `tf.distribute`: the same losses as one process has, and a worker that is gone comes back."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from musex.extension import pointing
from musex.training.prepared import prepare
from tests.conftest import MadeOnce
from tests.processes import ROOT, musex_process
from tests.training.networks.conftest import TINY

pytest.importorskip("tensorflow")
from musex.cli import app as cli
from musex.errors import MusexError
from musex.training.networks import tf
from musex.training.networks.pointer import build_pointer
from musex.training.runs import load_best, read_rows
from musex.training.strategies import Sharing
from musex.training.train import TrainingConfig, train_pointer

STEADY = replace(TINY, dropout=0.0)  # what is dropped differs among replicas
MIRRORED = """
import sys
from pathlib import Path
from musex.training.networks import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.training.networks.test_strategies import train_steadily
train_steadily(Path(sys.argv[1]), Path(sys.argv[2]), strategy="mirrored")
"""


@pytest.fixture(scope="module")
def prepared(made_once: MadeOnce, phrases: Path) -> Path:
    return made_once("phrases-prepared", lambda folder: prepare(phrases, folder, jobs=1))


@pytest.fixture(scope="module")
def alone(made_once: MadeOnce, prepared: Path) -> Path:
    """A run by one process, with nothing shared."""
    return made_once("alone", lambda run: train_steadily(prepared, run))


def train_steadily(data: Path, run: Path, **options: object) -> None:
    """Two epochs of two batches of four."""
    config = TrainingConfig(
        batch_size=4, steps_per_epoch=2, epochs=2, memory_steps=300, validation_memory_steps=400, validation_points=1
    )
    train_pointer(data, run, model=STEADY, config=config, **{"precision": "float32"} | options)  # type: ignore[arg-type]


def curves(run: Path) -> np.ndarray:
    return np.array([[row["loss"], row["validation_error_db"]] for row in read_rows(run / "losses.csv")])


def test_a_run_tells_its_pace(alone: Path) -> None:
    for row in read_rows(alone / "losses.csv"):
        assert row["samples_per_second"] > 0
        assert 0 <= row["waiting_share"] < 1
    assert json.loads((alone / "pointer.json").read_text())["precision"] == "float32"


def test_devices_of_one_machine_learn_as_one_does(alone: Path, prepared: Path, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", MIRRORED, prepared, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    np.testing.assert_allclose(curves(tmp_path), curves(alone), rtol=1e-3)


def test_mixed_precision_learns_the_same_and_is_exported_in_float32(
    alone: Path, prepared: Path, tmp_path: Path
) -> None:
    train_steadily(prepared, tmp_path, precision="mixed")
    assert json.loads((tmp_path / "pointer.json").read_text())["precision"] == "mixed"
    np.testing.assert_allclose(curves(tmp_path), curves(alone), rtol=1e-2)
    assert not np.array_equal(curves(tmp_path), curves(alone)), "it multiplied in less"
    network = build_pointer(STEADY)
    assert load_best(tmp_path, network.variables)
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
    features = np.random.default_rng(0).normal(-40, 8, (400, STEADY.features.width)).astype(np.float32)
    model = pointing(tmp_path)
    exported = model.predict(model.listen(features), np.arange(50, 250))
    inputs = {"context": features[None, 50:250], "context_mask": np.ones((1, 200), np.float32)}
    inputs |= {"memory": features[None], "memory_mask": np.ones((1, 400), np.float32)}
    np.testing.assert_allclose(exported.log_mel, np.asarray(network(inputs)["log_mel"])[0], atol=1e-4)


def test_one_device_has_nothing_to_mirror() -> None:
    if len(tf.config.list_physical_devices("GPU")) > 1:
        pytest.skip("here it has")
    with pytest.raises(MusexError, match="mirrored shares batches among the GPUs of one machine"):
        Sharing("mirrored")


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    sharing = Sharing()
    sharing.replicas = 3
    with pytest.raises(MusexError, match="a batch of 8 cannot be shared evenly among 3"):
        sharing.numbers(8)


def worker(index: int, addresses: list[str], prepared: Path, run: Path) -> "subprocess.Popen[str]":
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    command: list[str | Path] = [
        "train",
        prepared,
        "-o",
        run,
        "--strategy",
        "multiworker",
        "--precision",
        "float32",
        "--epochs",
        "2",
    ]
    return musex_process(*command, "--resume", environment={"TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": ""})


def test_a_killed_worker_comes_back_and_all_learn_what_one_would_have(prepared: Path, tmp_path: Path) -> None:
    """The whole network as the command trains it, in two processes; one of them is killed after the first epoch."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    chief, other = (worker(index, addresses, prepared, folder) for index, folder in enumerate((run, elsewhere)))
    while not (run / "state.npz").exists() and chief.poll() is None:
        time.sleep(0.05)
    other.kill()
    other.communicate()
    other = worker(1, addresses, prepared, elsewhere)
    told, warned = chief.communicate(timeout=300)
    assert chief.returncode == 0, warned
    assert f"one of {addresses[1]} is gone; waiting for all to go on from the last checkpoint" in warned
    assert other.communicate(timeout=60)[0].strip() == f"{elsewhere}: trained; the chief has the model"
    assert not elsewhere.exists(), "the chief alone writes"
    assert [line.split()[1] for line in told.splitlines() if line.startswith("epoch")] == ["0", "1"]

    whole = tmp_path / "whole"
    command = ["train", str(prepared), "-o", str(whole), "--precision", "float32", "--epochs", "2", "--quiet"]
    assert cli.run(command) == 0
    np.testing.assert_allclose(curves(run), curves(whole), rtol=1e-2)
    assert pointing(run).join_head is not None
