"""Train the generative references, `paper` and `lstm`: they predict the waveform itself, by the paper's recipe."""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.features import standardise, to_mono
from musex.audio.reading import read_song
from musex.config import FEATURES, LSTM_UNITS, Units, WaveformConfig
from musex.errors import AudioError, DatasetError
from musex.system.arrays import Array, load_array, save_array
from musex.system.processes import peak_memory_mb
from musex.training.dataset import Track, cache_file, describe_split, find_tracks, split_tracks
from musex.training.networks import keras
from musex.training.networks.adam import Adam
from musex.training.networks.lstm import build_lstm
from musex.training.networks.paper import build_paper
from musex.training.runs import (
    Checkpoints,
    RunLog,
    Watch,
    export,
    load_state,
    open_run,
    save_settings,
)

logger = logging.getLogger(__name__)

BUILDERS: dict[str, Callable[[WaveformConfig], Any]] = {"paper": build_paper, "lstm": build_lstm}
LEARNERS = BUILDERS | {"lstm": partial(build_lstm, unrolled=False)}  # the same networks, as they are trained


@dataclass(frozen=True)
class ReferenceConfig:
    """The paper's recipe: 120 training and 50 validation files, Adam at 0.01, MSE, 200 epochs."""

    training_tracks: int = 120
    validation_tracks: int = 50
    batch_size: int = 20
    validation_batch_size: int = 10
    learning_rate: float = 0.01
    epochs: int = 200
    least_deviation: float = 1e-4  # of a clip's context and horizon, full scale at 1: below is silence, not the paper's
    seed: int = 0


def train_reference(
    dataset: Path,
    run: Path,
    *,
    network: str,
    units: Units | None = None,
    model: WaveformConfig | None = None,
    config: ReferenceConfig | None = None,
    validation: tuple[str, ...] = (),
    resume: bool = False,
    minutes: float | None = None,
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train `paper` or `lstm` with any configuration; see `musex.training.train.train`.

    The weights after the last epoch are exported: the paper chose none by validation.
    """
    model, config = model or WaveformConfig(), config or ReferenceConfig()
    if units:
        model = replace(model, hidden=units, units=LSTM_UNITS[units])
    open_run(run, network, resume=resume)
    learned, held = draw_tracks(dataset, model, config, validation=validation, paths=paths, on_track=on_track)
    keras.utils.set_random_seed(config.seed)
    learner = LEARNERS[network](model)
    settings = {
        "network": network,
        "model": asdict(model),
        "recipe": asdict(config),
        "weights": learner.count_params(),
        **describe_split(learned, held),
    }
    save_settings(run, settings)
    # XLA compiles the unrolled units for minutes.
    learner.compile(Adam(config.learning_rate), loss="mse", jit_compile=False)
    learner.optimizer.build(learner.trainable_variables)
    heard, examined = (np.array([load_clip(track, model, config) for track in tracks]) for tracks in (learned, held))
    fit(learner, heard, examined, run=run, model=model, config=config, minutes=minutes, on_epoch=on_epoch)
    weights = learner.get_weights()
    del learner  # with its optimizer, which is twice as large
    built = BUILDERS[network](model)
    built.set_weights(weights)
    return export(built, run / f"{network}.tflite", settings)


def fit(
    task: Any,
    learned: Array,
    held: Array,
    *,
    run: Path,
    model: WaveformConfig,
    config: ReferenceConfig,
    minutes: float | None,
    on_epoch: Callable[[dict[str, float]], None] | None,
) -> None:
    """Epochs over clips (n, seconds, rate) until their number or the time runs out.

    The order of each epoch follows from the seed and its number, so that a resumed run goes on as it would have.
    """
    variables = [*task.weights, *task.optimizer.variables]
    progress = load_state(run, variables, task)
    log, checkpoints = RunLog(run), Checkpoints(run, variables)
    cut = model.context_seconds
    silence = round(float(np.mean(learned[:, cut:] ** 2)), 5)  # what predicting nothing scores

    def ended() -> bool:
        return progress.epochs >= config.epochs or bool(minutes and progress.seconds >= 60 * minutes)

    while not ended():
        started, epoch = time.monotonic(), progress.epochs
        order = np.random.default_rng((config.seed, epoch)).permutation(len(learned))
        task.reset_metrics()
        loss, watch = math.nan, Watch()
        for start in range(0, len(order), config.batch_size):
            chosen = order[start : start + config.batch_size]
            with watch.waiting(len(chosen)):
                batch = learned[chosen]
            loss = float(task.train_on_batch(batch[:, :cut], batch[:, cut:]))  # the mean of the epoch so far
        pace, size = watch.tell(), config.validation_batch_size
        error = float(task.evaluate(held[:, :cut], held[:, cut:], batch_size=size, verbose=0))
        progress = progress.after(error, progress.seconds + time.monotonic() - started)
        row = {
            "epoch": epoch,
            "loss": loss,
            "validation_loss": error,
            "silence": silence,
            "seconds": round(progress.seconds, 1),
            **pace,
            "peak_memory_mb": round(peak_memory_mb()),
        }
        log.add(row)
        checkpoints.save(progress, last=ended())
        if on_epoch:
            on_epoch(row)


def draw_tracks(
    dataset: Path,
    model: WaveformConfig,
    config: ReferenceConfig,
    *,
    validation: tuple[str, ...] = (),
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
) -> tuple[list[Track], list[Track]]:
    """The recipe's number of training and validation tracks that last a clip, whole groups apart, drawn by the seed."""
    paths = find_tracks(dataset) if paths is None else paths
    tracks = [Track(path, path.relative_to(dataset).parts[0], clip_file(path, dataset, model)) for path in paths]
    wanted = config.training_tracks + config.validation_tracks
    sides = split_tracks(tracks, validation=validation, share=config.validation_tracks / wanted, seed=config.seed)
    drawn: list[list[Track]] = []
    for side, count in zip(sides, (config.training_tracks, config.validation_tracks), strict=True):
        usable: list[Track] = []
        for number in np.random.default_rng(config.seed).permutation(len(side)):
            if len(usable) == count:
                break
            if load_clip(side[number], model, config) is not None:
                usable.append(side[number])
                if on_track:
                    on_track(sum(map(len, drawn)) + len(usable), wanted)
        drawn.append(usable)
    if not all(drawn):
        raise DatasetError(
            f"{dataset} has {len(drawn[0])} tracks to learn from and {len(drawn[1])} to validate on that last "
            f"{model.clip_seconds} s: at least 1 of each is needed"
        )
    return drawn[0], drawn[1]


def clip_file(path: Path, dataset: Path, model: WaveformConfig) -> Path:
    """Where the clip of a track is cached."""
    stat = path.stat()
    key = f"{model.clip_seconds} {model.sample_rate} {path.relative_to(dataset)} {stat.st_size} {stat.st_mtime_ns}"
    return cache_file(dataset, f"clip-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy")


def load_clip(track: Track, model: WaveformConfig, config: ReferenceConfig) -> Array | None:
    """A track's first 30 s, (30, rate), context and horizon standardised each; None if too short, silent, unreadable.

    Each by itself, so that the context tells nothing of the horizon's level, and silence scores exactly 1.
    """
    waveform = load_array(track.cache)
    if waveform is None or waveform.ndim != 1:
        try:
            song = read_song(track.path)
        except AudioError as error:
            logger.warning("left out: %s", error)
            return None
        opening = song.samples[: model.clip_seconds * song.sample_rate]
        waveform = to_mono(opening, song.sample_rate, replace(FEATURES, sample_rate=model.sample_rate))
        save_array(waveform, track.cache)
    waveform = waveform[: model.clip_seconds * model.sample_rate]
    parts = np.split(waveform, [model.context_seconds * model.sample_rate])
    quietest = min(part.std() for part in parts)
    if len(waveform) < model.clip_seconds * model.sample_rate or quietest < config.least_deviation:
        return None
    scaled = np.concatenate([standardise(part)[0] for part in parts])
    return scaled.reshape(model.clip_seconds, model.sample_rate)
