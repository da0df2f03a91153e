"""Train a network on a folder of music: cached features, checkpoints, resume, early stop, export."""

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import GENERATIVE, PointerConfig, Precision, Strategy, Units
from musex.errors import DatasetError
from musex.system.packaged import packaged_file
from musex.system.side_files import written_whole
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
from musex.training.join import JOIN_FILE, JoinTrainingConfig, train_join
from musex.training.networks import keras, tf
from musex.training.networks.pointer import build_pointer
from musex.training.networks.pointer_task import PointerLoss, PointerTask
from musex.training.orders import check_order
from musex.training.prepared import is_prepared, load_prepared
from musex.training.runs import (
    LOG_FIGURE,
    LOG_FILE,
    Progress,
    RunLog,
    Watch,
    export,
    load_best,
    load_state,
    open_run,
    read_rows,
    save_best,
    save_settings,
    save_state,
)
from musex.training.strategies import Sharing, choose_precision, name_policy
from musex.training.waveform import ReferenceConfig, train_reference
from musex.training.workers import read_workers

logger = logging.getLogger(__name__)

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
    samples_per_second: float  # windows, validation apart
    waiting_share: float  # of that time, in which the next windows were waited for


def train(
    dataset: Path,
    run: Path,
    *,
    network: str = "pointer",
    units: Units | None = None,
    strategy: Strategy | None = None,
    precision: Precision = "auto",
    validation: tuple[str, ...] = (),
    resume: bool = False,
    minutes: float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train a network on every song below `dataset`, or on what `prepare` made of them; returns the model's path.

    `pointer` comes with its join head; `paper` and `lstm` are the generative references, trained by the paper's
    recipe; `units` says whether the units of `paper` share their hidden layers over time, or each second has its own,
    and `lstm` gets as many weights. Each is exported, ready for `load_model(run)`, with the curves of its losses as
    `losses.png`. `validation` names folders of `dataset` to hold out; without it some are drawn by `seed`. `minutes`
    bounds the fitting: the learning rate of `pointer` falls to its last value by then. With `resume` a stopped run
    goes on from its last state. `paths` are the songs, if they were looked for before.

    With `strategy` each batch of `pointer` is shared, among the GPUs of this machine ("mirrored") or the machines that
    TF_CONFIG names ("multiworker"); of these the first writes all there is to write, and only its `run` counts.
    `precision` says whether its convolutions multiply bfloat16: where the hardware has it, unless told otherwise.

    Raises:
        WorkerLostError: another machine is gone; the same call on each, with `resume`, goes on from the last state.
        DatasetError: no usable music, or `run` holds another run and `resume` is not given.
        MusexError: something cannot be written; what was written before is as it was.
    """
    limits: dict[str, Any] = {"minutes": minutes, "resume": resume, "validation": validation}
    check_order(dataset, network, strategy=strategy, precision=precision)
    prepared = is_prepared(dataset)
    paths = find_tracks(dataset) if paths is None and not prepared else paths
    reports: dict[str, Any] = {"paths": paths, "on_track": on_track, "on_epoch": on_epoch}
    if network in GENERATIVE:
        recipe = ReferenceConfig(seed=seed)
        recipe = replace(recipe, epochs=epochs) if epochs else recipe
        path = train_reference(dataset, run, network=network, units=units, config=recipe, **limits, **reports)
    else:
        config = TrainingConfig(seed=seed)
        config = replace(config, epochs=epochs) if epochs else config
        shared: dict[str, Any] = {"strategy": strategy, "precision": precision}
        path = train_pointer(dataset, run, config=config, **shared, **limits, **reports)
        if strategy == "multiworker" and read_workers().index:
            return path  # it is the chief's
        if prepared:
            copy_join(dataset, run)
        else:
            join_config = JoinTrainingConfig(seed=seed)
            train_join(dataset, run, config=join_config, validation=validation, paths=paths, on_track=on_track)
    draw_losses(run)
    return path


def copy_join(dataset: Path, run: Path) -> None:
    """Give a run the packaged join head, where there is no sound to make splices of; told as a warning."""
    for name in (JOIN_FILE, Path(JOIN_FILE).with_suffix(".json").name):
        with written_whole(run / name, force=True) as temporary:
            shutil.copyfile(packaged_file(name), temporary)
    logger.warning("%s holds no sound to make splices of: the join head of %s is the packaged one", dataset, run)


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
    strategy: Strategy | None = None,
    precision: Precision = "auto",
    minutes: float | None = None,
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train the pointer network alone, with any configuration; see `train`."""
    model, config = model or PointerConfig(), config or TrainingConfig()
    if strategy != "multiworker" or read_workers().index == 0:
        open_run(run, "pointer", resume=resume)
    if is_prepared(dataset):
        tracks = load_prepared(dataset).tracks
    else:
        tracks = load_tracks(dataset, paths=paths, cache_folder=cache_folder, on_track=on_track)
    learned, held = split_tracks(tracks, validation=validation, seed=config.seed)
    if config.share < 1.0:
        drawn = np.random.default_rng(config.seed).permutation(len(learned))[: math.ceil(config.share * len(learned))]
        learned = [learned[number] for number in sorted(drawn)]
    sharing, precision = Sharing(strategy), choose_precision(precision)
    settings = describe(model, config) | {"precision": precision} | describe_split(learned, held)

    keras.utils.set_random_seed(config.seed)
    task = PointerTask(build_pointer(model, name_policy(precision)), model, config.loss)
    optimizer = keras.optimizers.AdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        use_ema=True,
        ema_momentum=config.ema_momentum,
    )
    task.compile(optimizer=optimizer)
    optimizer.build(task.trainable_variables)
    with sharing.noticing_losses():
        sharing.check_alike(digest_order(settings, learned, held))
        if sharing.is_chief:
            save_settings(run, settings)
        fit(task, learned, held, run, config=config, sharing=sharing, minutes=minutes, on_epoch=on_epoch)
    if not sharing.is_chief:
        return run / MODEL_FILE
    network = build_pointer(model)  # in float32 whatever it was trained in
    network.set_weights(task.network.get_weights())
    return export(network, run / MODEL_FILE, settings)


def digest_order(settings: dict[str, Any], learned: list[Track], held: list[Track]) -> str:
    """What is the same for two workers that learn the same of the same; hardware may differ, and precision with it."""
    lengths = [(track.path.name, len(track.features)) for track in (*learned, *held)]
    content = {name: value for name, value in settings.items() if name != "precision"}
    return hashlib.sha256(json.dumps([content, lengths], sort_keys=True).encode()).hexdigest()


def fit(
    task: PointerTask,
    learned: list[Track],
    held: list[Track],
    run: Path,
    *,
    config: TrainingConfig,
    sharing: Sharing,
    minutes: float | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> None:
    """Epochs until the end, the time or the patience runs out; leaves the best averaged weights in the chief's `task`.

    What an epoch does follows from the weights at its beginning, its number and the seed: a resumed run goes on as it
    would have.
    """
    variables, chief = [*task.variables, *task.optimizer.variables], sharing.is_chief
    progress = _agree(load_state(run, variables, task.network) if chief else Progress(), sharing)
    examine = validation_batches(held, task.config, config)[sharing.index :: sharing.workers]
    log = RunLog(run) if chief else None
    started = time.monotonic() - progress.seconds
    steps = count_steps(learned, task.config, config)
    first = progress.epochs * steps * config.batch_size
    batches = draw_batches(learned, task.config, config, sharing, first=first)
    step = sharing.make_step(task)
    for epoch in range(progress.epochs, config.epochs):
        with sharing.varied(task, variables):
            elapsed = time.monotonic() - started
            share = float(sharing.agree(max(epoch / config.epochs, elapsed / 60 / minutes if minutes else 0.0)))
            if share >= 1.0 or epoch - progress.best_epoch > config.patience:
                break
            rate = config.last_learning_rate + 0.5 * (1 + math.cos(math.pi * share)) * (
                config.learning_rate - config.last_learning_rate
            )
            task.optimizer.learning_rate = rate * min(1.0, (epoch + 1) / config.warm_up_epochs)
            watch, losses = Watch(), []
            for _ in range(steps):
                with watch.waiting(config.batch_size):
                    batch = next(batches)
                losses.append(step(*batch))
            loss = float(np.mean([float(each) for each in losses]))
            pace = watch.tell()
        task.optimizer.finalize_variable_values(task.trainable_variables)  # each epoch goes on from the average
        measures = task.examine_all(examine)
        *sums, count = sharing.total([*measures.sum(axis=1), measures.shape[1]])
        error, regret = (float(each / count) for each in sums)
        better = error < progress.best
        progress = progress.after(error, time.monotonic() - started)
        if log is None:
            continue
        if better:
            save_best(run, task.network.variables)
        row = asdict(Epoch(epoch, round(progress.seconds, 1), rate, loss, error, regret, **pace))
        log.add(row)
        save_state(run, variables, progress)
        if on_epoch:
            on_epoch(row)
    if chief:
        load_best(run, task.network.variables)


def _agree(progress: Progress, sharing: Sharing) -> Progress:
    """Where the chief's run stands."""
    epochs, best, best_epoch, seconds = sharing.agree(astuple(progress)).tolist()
    return Progress(int(epochs), best, int(best_epoch), seconds)


def count_steps(learned: list[Track], model: PointerConfig, config: TrainingConfig) -> int:
    """Batches in an epoch."""
    horizons = sum(len(track.features) for track in learned) / model.horizon_steps
    return max(1, min(config.steps_per_epoch, round(horizons / config.batch_size)))


def draw_batches(
    learned: list[Track], model: PointerConfig, config: TrainingConfig, sharing: Sharing, *, first: int
) -> Any:
    """This worker's part of every batch ({inputs}, target) without end, drawn while the network computes.

    The window `first` is where a run stands.
    """
    numbers = sharing.numbers(config.batch_size, first)

    def examples() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        drawn = draw_windows(
            learned, model, config.memory_steps, config.seed, sampling=config.sampling, numbers=numbers
        )
        yield from map(split_window, drawn)

    width = model.features.width
    rows = {
        "context": tf.TensorSpec((model.context_steps, width)),
        "context_mask": tf.TensorSpec((model.context_steps,)),
        "memory": tf.TensorSpec((config.memory_steps, width)),
        "memory_mask": tf.TensorSpec((config.memory_steps,)),
    }
    target = tf.TensorSpec((model.horizon_steps, model.features.n_mels))
    data = tf.data.Dataset.from_generator(examples, output_signature=(rows, target))
    data = data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return sharing.distribute(data.batch(config.batch_size // sharing.replicas, drop_remainder=True).prefetch(4))


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
