"""The folder of a training run: its settings, losses, state and exported network, the same for every network."""

import csv
import hashlib
import io
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio.ffmpeg import muted_stderr
from musex.errors import DatasetError, MusexError
from musex.prediction.described import FORMAT_VERSION
from musex.system.arrays import Array, load_arrays, save_arrays
from musex.system.side_files import save_text, written_whole

logger = logging.getLogger(__name__)

LOG_FILE = "losses.csv"
LOG_FIGURE = "losses.png"
EVENTS_FOLDER = "tensorboard"
SETTINGS_FILE = "config.json"
STATE_FILE = "state.npz"
BEST_FILE = "best.npz"
CHECKPOINT_SHARE = 0.05  # of the time of a training that a large network's states take to be written
LONGEST_UNSAVED_SECONDS = 1200.0  # whatever share it takes then


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
            owner = json.loads(described.read_text(encoding="utf-8"))["network"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DatasetError(f"{described} does not describe a run of musex: name another folder") from error
        if owner != network:
            raise DatasetError(f"{run} holds a run of {owner}, not of {network}: name another folder")


def save_settings(run: Path, settings: dict[str, Any]) -> None:
    """Keep what is trained, and how; `settings["network"]` says whose run it is."""
    save_text(json.dumps(settings, indent=1) + "\n", run / SETTINGS_FILE, force=True)


@dataclass(frozen=True)
class Progress:
    """Where a run stands after some epochs."""

    epochs: int = 0
    best: float = math.inf  # error on validation
    best_epoch: int = 0
    seconds: float = 0.0  # of training and validation

    def after(self, error: float, seconds: float) -> "Progress":
        """Where it stands after an epoch more, which took until so many seconds."""
        best, epoch = (error, self.epochs) if error < self.best else (self.best, self.best_epoch)
        return Progress(self.epochs + 1, best, epoch, seconds)


def save_state(run: Path, variables: Sequence[Any], progress: Progress) -> None:
    """Everything that going on needs: weights, optimizer, progress; raises MusexError if it cannot be written."""
    save_arrays(_numbered(variables) | {"progress": np.array(astuple(progress))}, run / STATE_FILE)


def _numbered(variables: Sequence[Any]) -> dict[str, Any]:
    """Variables by their names in a file. NumPy takes them one by one: all at once, large ones would not fit."""
    return {f"arr_{number}": variable for number, variable in enumerate(variables)}


class Checkpoints:
    """The states of a run: one an epoch, or so few that writing them takes little of its time."""

    def __init__(self, run: Path, variables: Sequence[Any]) -> None:
        self.run, self.variables = run, variables
        self.due = -math.inf

    def save(self, progress: Progress, *, last: bool) -> None:
        """Save the state if it is time to, or it is the last; raises MusexError if it cannot be written."""
        started = time.monotonic()
        if last or started >= self.due:
            save_state(self.run, self.variables, progress)
            ended = time.monotonic()
            self.due = ended + min(LONGEST_UNSAVED_SECONDS, (ended - started) / CHECKPOINT_SHARE)


def load_state(run: Path, variables: Sequence[Any], network: Any) -> Progress:
    """Put what a run has saved, if it has, into `variables`; returns where it stands.

    Where the best weights of `network` are gone, the next epoch's are the best.
    """
    path = run / STATE_FILE
    if not path.exists():
        return Progress()
    epochs, best, best_epoch, seconds = _assign_state(path, variables)
    kept = _match(network.variables, load_arrays(run / BEST_FILE) or {}) is not None
    return Progress(int(epochs), best if kept else math.inf, int(best_epoch), seconds)


def _assign_state(path: Path, variables: Sequence[Any]) -> list[float]:
    """Put a saved state into `variables`; returns its progress as numbers."""
    state = load_arrays(path)
    pairs = _match(variables, state or {})
    if state is None or "progress" not in state or pairs is None:
        raise DatasetError(
            f"{path} does not fit this network, or is damaged: name another folder, or remove it to begin anew"
        )
    for variable, value in pairs:
        variable.assign(value)
    numbers: list[float] = state["progress"].tolist()
    return numbers


def save_best(run: Path, variables: Sequence[Any]) -> None:
    """Keep the weights that are the best so far; raises MusexError if they cannot be, and those before them stay."""
    save_arrays(_numbered(variables), run / BEST_FILE)


def load_best(run: Path, variables: Sequence[Any]) -> bool:
    """Put the best weights, if there are any that fit, into `variables`; returns whether there were."""
    pairs = _match(variables, load_arrays(run / BEST_FILE) or {})
    for variable, value in pairs or ():
        variable.assign(value)
    return pairs is not None


def _match(variables: Sequence[Any], arrays: Mapping[str, Array]) -> list[tuple[Any, Array]] | None:
    """Each variable and its value; None where these do not fit."""
    values = [arrays.get(f"arr_{number}") for number in range(len(variables))]
    pairs = [(variable, value) for variable, value in zip(variables, values, strict=True) if value is not None]
    fits = len(pairs) == len(variables) and all(tuple(variable.shape) == value.shape for variable, value in pairs)
    return pairs if fits else None


class Watch:
    """How many examples are learned from in a second, and what share of that time passes waiting for them."""

    def __init__(self) -> None:
        self.started, self.waited, self.examples = time.monotonic(), 0.0, 0

    @contextmanager
    def waiting(self, examples: int) -> Iterator[None]:
        """Within, so many examples are waited for."""
        began = time.monotonic()
        yield
        self.waited += time.monotonic() - began
        self.examples += examples

    def tell(self) -> dict[str, float]:
        """Both since this was made, as columns of a log."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        return {
            "samples_per_second": round(self.examples / seconds, 2),
            "waiting_share": round(self.waited / seconds, 4),
        }


class RunLog:
    """The losses of a run, an epoch at a time: rows of a CSV, and scalars for TensorBoard.

    An epoch that is trained again takes the place of what was kept of it, and of those after it.
    """

    def __init__(self, run: Path) -> None:
        from musex.training.networks import tf

        self.path, self.tf = run / LOG_FILE, tf
        self.events = tf.summary.create_file_writer(str(run / EVENTS_FOLDER))

    def add(self, row: dict[str, float]) -> None:
        """Keep one epoch; `row["epoch"]` is its number, from 0. Raises MusexError if it cannot be written."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), restval="nan", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*self._before(row["epoch"]), row])
        save_text(text.getvalue(), self.path, force=True)
        with self.events.as_default(step=int(row["epoch"])):
            for name in row.keys() - {"epoch"}:
                # What tf.summary.scalar writes; that one asks for TensorBoard itself, which is needed to look only.
                about = self.tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
                self.tf.summary.write(name, self.tf.constant(row[name], self.tf.float32), metadata=about)
        try:
            self.events.flush()
        except self.tf.errors.OpError as error:
            raise MusexError(f"could not write {self.path.parent / EVENTS_FOLDER}: {error.message}") from error

    def _before(self, epoch: float) -> list[dict[str, str]]:
        """The rows of earlier epochs, as they are written."""
        if not self.path.exists():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return [row for row in csv.DictReader(file) if float(row["epoch"]) < epoch]
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            logger.warning(f"{self.path} is damaged: it is made anew ({error})")
            return []


def read_rows(path: Path) -> list[dict[str, float]]:
    """The CSV of losses, one row an epoch; raises DatasetError if there is none or it is damaged."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise DatasetError(f"no {path.name} in {path.parent}: name the folder of a training run") from error
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from error


def export(network: Any, path: Path, settings: dict[str, Any], **options: Any) -> Path:
    """Write the network as LiteRT, and what it is beside it as JSON; raises MusexError if it cannot be written.

    `options` are the converter's.
    """
    with written_whole(path, force=True) as temporary, muted_stderr():  # the converter tells of its stages there
        network.export(temporary, format="litert", verbose=False, **options)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    content = {"format": FORMAT_VERSION, "sha256": digest, **settings}
    save_text(json.dumps(content, indent=1) + "\n", path.with_suffix(".json"), force=True)
    return path
