"""Train a network on a folder of music: cached features, checkpoints, resume, early stop, export."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import GENERATIVE, PointerConfig, Units
from musex.errors import DatasetError
from musex.training.dataset import (
    Sampling,
    Track,
    Window,
    describe_split,
    draw_windows,
    find_tracks,
    load_tracks,
    past_window,
    split_tracks,
    validation_points,
)
from musex.training.join import JoinTrainingConfig, train_join
from musex.training.networks import keras, tf
from musex.training.networks.pointer import build_pointer
from musex.training.networks.pointer_task import PointerLoss, PointerTask
from musex.training.runs import (
    LOG_FIGURE,
    LOG_FILE,
    RunLog,
    export,
    load_best,
    load_state,
    open_run,
    read_rows,
    save_best,
    save_settings,
    save_state,
)
from musex.training.waveform import ReferenceConfig, train_reference

MODEL_FILE = "pointer.tflite"


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is fitted; what it is stands in its own configuration."""

    batch_size: int = 8  # windows, which with their memory take 1.7 GB
    steps_per_epoch: int = 400  # at most; fewer where that would draw more than a window for every 10 s of music
    epochs: int = 80  # more than the packaged network's 33, which time ended: the last 8 gave 0.01 dB
    learning_rate: float = 1.5e-3  # from which it falls as a cosine does
    last_learning_rate: float = 5e-5
    weight_decay: float = 1e-3
    ema_momentum: float = 0.998  # of the weights' running average, which is what is kept
    memory_steps: int = 1200  # 2 min, with which a batch takes 0.3 s on two cores
    validation_memory_steps: int = 1800  # 3 min, for no gradients are kept here
    validation_points: int = 4  # in each track held out
    patience: int = 12  # epochs without a better one
    clip_norm: float = 1.0  # of all gradients together
    warm_up_epochs: int = 2  # in which the learning rate rises to what it shall be
    share: float = 1.0  # of the training tracks that are learned from, for learning curves
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    loss: PointerLoss = field(default_factory=PointerLoss)


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave."""

    epoch: int
    seconds: float
    learning_rate: float
    loss: float
    validation_error_db: float
    validation_regret: float


def train(
    dataset: Path,
    run: Path,
    *,
    network: str = "pointer",
    units: Units | None = None,
    validation: tuple[str, ...] = (),
    resume: bool = False,
    minutes: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train a network on every song below `dataset`; returns the trained model's path in `run`.

    `pointer` comes with its join head; `paper` and `lstm` are the generative references, trained by the paper's
    recipe; `units` says whether the units of `paper` share their hidden layers over time, or each second has its own,
    and `lstm` gets as many weights. Each is exported, ready for `load_model(run)`, with the curves of its losses as
    `losses.png`. `validation` names folders of `dataset` to hold out; without it some are drawn by `seed`. `minutes`
    bounds the fitting: the learning rate of `pointer` falls to its last value by then. With `resume` a stopped run
    goes on from its last state. `paths` are the songs, if they were looked for before.

    Raises:
        DatasetError: no usable music, or `run` holds another run and `resume` is not given.
        MusexError: something cannot be written; what was written before is as it was.
    """
    limits: dict[str, Any] = {"minutes": minutes, "resume": resume, "validation": validation}
    paths = find_tracks(dataset) if paths is None else paths
    reports: dict[str, Any] = {"paths": paths, "on_track": on_track, "on_epoch": on_epoch}
    if network in GENERATIVE:
        recipe = ReferenceConfig(seed=seed)
        recipe = replace(recipe, epochs=epochs) if epochs else recipe
        path = train_reference(dataset, run, network=network, units=units, config=recipe, **limits, **reports)
    else:
        config = TrainingConfig(seed=seed)
        config = replace(config, epochs=epochs) if epochs else config
        path = train_pointer(dataset, run, config=config, **limits, **reports)
        join_config = JoinTrainingConfig(seed=seed)
        train_join(dataset, run, config=join_config, validation=validation, paths=paths, on_track=on_track)
    draw_losses(run)
    return path


def draw_losses(run: Path) -> Path:
    """Draw a run's losses, epoch by epoch, as `losses.png` beside them."""
    from musex.views.plots import plot_losses, save_figure

    path = run / LOG_FIGURE
    save_figure(plot_losses(read_rows(run / LOG_FILE), title=run.name), path, force=True)
    return path


def train_pointer(
    dataset: Path,
    run: Path,
    *,
    model: PointerConfig | None = None,
    config: TrainingConfig | None = None,
    validation: tuple[str, ...] = (),
    cache_folder: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train the pointer network alone, with any configuration; see `train`."""
    model, config = model or PointerConfig(), config or TrainingConfig()
    open_run(run, "pointer", resume=resume)
    tracks = load_tracks(dataset, paths=paths, cache_folder=cache_folder, on_track=on_track)
    learned, held = split_tracks(tracks, validation=validation, seed=config.seed)
    if config.share < 1.0:
        drawn = np.random.default_rng(config.seed).permutation(len(learned))[: math.ceil(config.share * len(learned))]
        learned = [learned[number] for number in sorted(drawn)]
    settings = describe(model, config) | describe_split(learned, held)
    save_settings(run, settings)

    keras.utils.set_random_seed(config.seed)
    task = PointerTask(build_pointer(model), model, config.loss)
    optimizer = keras.optimizers.AdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        use_ema=True,
        ema_momentum=config.ema_momentum,
    )
    task.compile(optimizer=optimizer)
    optimizer.build(task.trainable_variables)
    fit(task, learned, held, run, config=config, minutes=minutes, on_epoch=on_epoch)
    return export(task.network, run / MODEL_FILE, settings)


def fit(
    task: PointerTask,
    learned: list[Track],
    held: list[Track],
    run: Path,
    *,
    config: TrainingConfig,
    minutes: float | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> None:
    """Epochs until the end, the time or the patience runs out; leaves the best averaged weights in `task`."""
    variables = [*task.variables, *task.optimizer.variables]
    progress = load_state(run, variables, task.network)
    examine = validation_batches(held, task.config, config)
    log = RunLog(run)
    started = time.monotonic() - progress.seconds
    steps = count_steps(learned, task.config, config)
    for epoch in range(progress.epochs, config.epochs):
        elapsed = time.monotonic() - started
        share = max(epoch / config.epochs, elapsed / 60 / minutes if minutes else 0.0)
        if share >= 1.0 or epoch - progress.best_epoch > config.patience:
            break
        rate = config.last_learning_rate + 0.5 * (1 + math.cos(math.pi * share)) * (
            config.learning_rate - config.last_learning_rate
        )
        warm_up = min(1.0, (epoch + 1) / config.warm_up_epochs)
        task.optimizer.learning_rate = rate * warm_up
        windows = draw_windows(
            learned, task.config, config.memory_steps, config.seed * 100_003 + epoch, sampling=config.sampling
        )
        batches = batch_windows(
            windows, task.config, batch_size=config.batch_size, memory_steps=config.memory_steps, count=steps
        )
        history = task.fit(batches, epochs=1, verbose=0, shuffle=False, steps_per_epoch=steps)
        with averaged_weights(task):
            error, regret = task.examine(examine)
            if error < progress.best:
                save_best(run, task.network.variables)
        progress = progress.after(error, time.monotonic() - started)
        row = Epoch(epoch, round(progress.seconds, 1), rate, float(history.history["loss"][-1]), error, regret)
        log.add(asdict(row))
        save_state(run, variables, progress)
        if on_epoch:
            on_epoch(asdict(row))
    load_best(run, task.network.variables)


def count_steps(learned: list[Track], model: PointerConfig, config: TrainingConfig) -> int:
    """Batches in an epoch."""
    horizons = sum(len(track.features) for track in learned) / model.horizon_steps
    return max(1, min(config.steps_per_epoch, round(horizons / config.batch_size)))


class averaged_weights:  # noqa: N801 - used as a context manager
    """Inside the block the network has the running average of its weights, which generalises better."""

    def __init__(self, task: PointerTask) -> None:
        self.task = task

    def __enter__(self) -> None:
        self.raw = [variable.numpy() for variable in self.task.trainable_variables]
        averages = self.task.optimizer._model_variables_moving_average
        for variable, average in zip(self.task.trainable_variables, averages, strict=True):
            variable.assign(average)

    def __exit__(self, *_: object) -> None:
        for variable, value in zip(self.task.trainable_variables, self.raw, strict=True):
            variable.assign(value)


def batch_windows(
    windows: Iterator[Window], model: PointerConfig, *, batch_size: int, memory_steps: int, count: int
) -> Any:
    """A tf.data pipeline of `count` batches ({inputs}, target), drawn while the network computes."""

    def examples() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        for _, window in zip(range(batch_size * count), windows, strict=False):
            yield split_window(window)

    width = model.features.width
    rows = {
        "context": tf.TensorSpec((model.context_steps, width)),
        "context_mask": tf.TensorSpec((model.context_steps,)),
        "memory": tf.TensorSpec((memory_steps, width)),
        "memory_mask": tf.TensorSpec((memory_steps,)),
    }
    target = tf.TensorSpec((model.horizon_steps, model.features.n_mels))
    data = tf.data.Dataset.from_generator(examples, output_signature=(rows, target))
    return data.batch(batch_size, drop_remainder=True).prefetch(4)


def split_window(window: Window) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A window as the network's inputs and its target."""
    inputs = {
        "context": window.context,
        "context_mask": window.context_mask,
        "memory": window.memory,
        "memory_mask": window.memory_mask,
    }
    return inputs, window.target


def validation_batches(held: list[Track], model: PointerConfig, config: TrainingConfig) -> list[Any]:
    """The validation windows, drawn once: only the past as memory."""
    points = validation_points(held, model, points=config.validation_points, seed=config.seed)
    if not points:
        points = validation_points(held, model, points=config.validation_points, seed=config.seed, earliest_seconds=20)
    if not points:
        raise DatasetError("no validation track is longer than 30 s: add longer tracks")
    arrays = [track.features for track in held]
    pairs = [
        split_window(past_window(arrays[number], at, model, memory_steps=config.validation_memory_steps))
        for number, at in points
    ]
    batches = []
    for start in range(0, len(pairs), config.batch_size):
        part = pairs[start : start + config.batch_size]
        inputs = {name: np.stack([pair[0][name] for pair in part]) for name in part[0][0]}
        batches.append((inputs, np.stack([pair[1] for pair in part])))
    return batches


def describe(model: PointerConfig, config: TrainingConfig) -> dict[str, Any]:
    """What the exported file's JSON says of the network and its training."""
    return {"network": "pointer", "model": asdict(model), "recipe": asdict(config)}
