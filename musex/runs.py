"""The folder of a training run: its settings, losses, state and exported network, the same for every network."""

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio import muted_stderr
from musex.errors import DatasetError
from musex.model import FORMAT_VERSION

LOG_FILE = "losses.csv"
LOG_FIGURE = "losses.png"
EVENTS_FOLDER = "tensorboard"
SETTINGS_FILE = "config.json"
STATE_FILE = "state.npz"
BEST_FILE = "best.weights.h5"


def open_run(run: Path, network: str, *, resume: bool) -> None:
    """Make a run's folder, or go on with the one that is there.

    Raises:
        DatasetError: `run` holds a run and `resume` is not given, or one of another network.
    """
    if run.exists() and not run.is_dir():
        raise DatasetError(f"{run} is a file: name a folder for the run")
    run.mkdir(parents=True, exist_ok=True)
    described = run / SETTINGS_FILE
    if (run / STATE_FILE).exists() and not resume:
        raise DatasetError(f"{run} holds a run already: name another folder, or go on with it by `resume=True`")
    if resume and described.exists():
        try:
            found = json.loads(described.read_text(encoding="utf-8"))["network"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{described} does not describe a run of musex: name another folder") from error
        if found != network:
            raise DatasetError(f"{run} holds a run of {found}, not of {network}: name another folder")


def save_settings(run: Path, settings: dict[str, Any]) -> None:
    """Keep what is trained, and how; `settings["network"]` says whose run it is."""
    (run / SETTINGS_FILE).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def save_state(path: Path, variables: Sequence[Any], progress: Sequence[float]) -> None:
    """Everything that going on needs: weights, optimizer, progress. Numbers only, no pickle."""
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, *(variable.numpy() for variable in variables), progress=np.array(progress))
    partial.replace(path)


def load_state(path: Path, variables: Sequence[Any]) -> list[float] | None:
    """Put a saved state into `variables`; returns its progress, None if there is no such file."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as state:
            for number, variable in enumerate(variables):
                variable.assign(state[f"arr_{number}"])
            progress: list[float] = state["progress"].tolist()
    except (KeyError, ValueError, OSError) as error:
        raise DatasetError(f"{path} does not fit this network, or is damaged: name another folder") from error
    return progress


class RunLog:
    """The losses of a run, an epoch at a time: rows of a CSV, and scalars for TensorBoard."""

    def __init__(self, run: Path) -> None:
        from musex.networks import tf

        self.path, self.tf = run / LOG_FILE, tf
        self.events = tf.summary.create_file_writer(str(run / EVENTS_FOLDER))

    def add(self, row: dict[str, float]) -> None:
        """Keep one epoch; `row["epoch"]` is its number, from 0."""
        is_new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        with self.events.as_default(step=int(row["epoch"])):
            for name in row.keys() - {"epoch"}:
                # What tf.summary.scalar writes; that one asks for TensorBoard itself, which is needed to look only.
                about = self.tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
                self.tf.summary.write(name, self.tf.constant(row[name], self.tf.float32), metadata=about)
        self.events.flush()


def read_rows(path: Path) -> list[dict[str, float]]:
    """The CSV of losses, one row an epoch; raises DatasetError if there is none or it is damaged."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise DatasetError(f"no {path.name} in {path.parent}: name the folder of a training run") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error


def export(network: Any, path: Path, settings: dict[str, Any]) -> Path:
    """Write the network as LiteRT, and what it is beside it as JSON."""
    with muted_stderr():  # the converter tells of its stages there
        network.export(path, format="litert", verbose=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    content = {"format": FORMAT_VERSION, "sha256": digest, **settings}
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
