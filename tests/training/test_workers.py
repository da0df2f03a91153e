"""Who trains together, what may be asked of a training, and which windows each worker draws; without TensorFlow."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from musex.cli import app as cli
from musex.config import PointerConfig
from musex.errors import MusexError
from musex.training.dataset import Sampling, Track, draw_windows
from musex.training.workers import Workers, read_workers
from tests.phrases import wander

TWO = ["10.0.0.1:2222", "[::1]:2222"]


def config(cluster: object, kind: object = "worker", index: object = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_the_first_is_the_chief() -> None:
    assert read_workers(config({"worker": TWO}, index=1)) == Workers(tuple(TWO), 1)
    apart = {"chief": TWO[:1], "worker": [TWO[1], "host:1"]}
    assert read_workers(config(apart, "chief")).index == 0
    assert read_workers(config(apart, "worker", 1)) == Workers((*TWO, "host:1"), 2)
    assert read_workers(config({"worker": TWO})).others == TWO[1]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "it is not set"),
        ({"TF_CONFIG": "worker 1"}, "it is no JSON"),
        ({"TF_CONFIG": "[]"}, "it is put together otherwise"),
        ({"TF_CONFIG": '{"cluster": {}}'}, "it lacks 'worker'|it lacks 'task'"),
        (config({"worker": TWO, "ps": ["a:1"]}), "no ps"),
        (config({"worker": "10.0.0.1:2222"}), "is no address"),
        (config({"worker": [*TWO, "10.0.0.3"]}), "'10.0.0.3' is no address"),
        (config({"worker": TWO[:1]}), "a single worker has nobody to train with"),
        (config({"worker": TWO[:1] * 2}), "two workers have one address"),
        (config({"worker": TWO}, index=2), "there is no worker 2: they are numbered from 0 to 1"),
        (config({"worker": TWO}, index="0"), "there is no worker 0"),
        (config({"worker": TWO}, index=True), "there is no worker True"),
        (config({"worker": TWO}, "evaluator"), "this task is a 'evaluator'"),
        (config({"worker": TWO}, ["worker"]), "cannot be used"),
    ],
)
def test_a_config_that_names_no_workers_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(MusexError, match=message):
        read_workers(environment)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network", "paper", "--strategy", "mirrored"], "--strategy mirrored is for pointer"),
        (["--network", "lstm", "--precision", "mixed"], "--precision mixed is for pointer"),
        (["--strategy", "multiworker"], "TF_CONFIG cannot be used: it is not set"),
        (["--strategy", "mirored"], "did you mean mirrored"),
    ],
)
def test_what_cannot_be_asked_of_a_training_is_refused_at_once(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["train", str(tmp_path), "-o", str(tmp_path / "run"), *options]) == 2
    assert message in capsys.readouterr().err


def test_windows_follow_from_their_numbers(tmp_path: Path) -> None:
    """Whoever draws a part of them draws what one who draws all does."""
    tracks = []
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", wander(900, number).astype(np.float16))
        tracks.append(Track(Path(f"{number}.wav"), "group", tmp_path / f"{number}.npy"))

    def draw(numbers: range | None, seed: int = 4) -> list[np.ndarray]:
        windows = draw_windows(tracks, PointerConfig(), 400, seed, sampling=Sampling(), numbers=numbers)
        return [window.memory for window in islice(windows, 8)]

    whole = draw(None)
    np.testing.assert_array_equal(draw(range(5, 8)), whole[5:8])
    assert not np.array_equal(draw(None, seed=5), whole)
    assert not any(np.array_equal(whole[0], other) for other in whole[1:])
