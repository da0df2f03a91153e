"""Train the beat network on rendered scores, whose beats and bars are known.

    python models/render_scores.py SCORES/ …
    python -m musex.training.beats SCORES/ RUN/ --minutes 40

`SCORES/training` and `SCORES/validation` hold what `models/render_scores.py` leaves.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import FEATURES, BeatConfig
from musex.errors import DatasetError
from musex.prediction.beat_network import prepare
from musex.prediction.described import BEATS_FILE
from musex.system.arrays import Array, load_arrays
from musex.training.networks import keras, tf
from musex.training.networks.beats import build_beats
from musex.training.runs import Progress, RunLog, export, load_best, save_best

Random = np.random.Generator

FLOOR_DB = -100.0
RATE = FEATURES.frames_per_second


@dataclass(frozen=True)
class BeatTrainingConfig:
    """How the beat network is fitted; chosen on validation scores (models/log.md)."""

    network: BeatConfig = field(default_factory=BeatConfig)
    window_seconds: float = 32.0
    batch_size: int = 3
    minutes: float = 30.0
    learning_rate: float = 2e-3
    weight_decay: float = 5e-3
    dropout: float = 0.0
    beside: float = 0.5  # target of the frames next to a beat's
    beat_weight: float = 2.0  # of frames with a beat in the loss
    stretch: float = 0.12  # most by which a window is played faster or slower
    covered: float = 0.1  # share of windows with music without a pulse on top
    noisy: float = 0.2
    dull: float = 0.25  # share of windows without the highest bands
    epoch_batches: int = 300
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Lesson:
    """A rendered score.

    Attributes:
        kind: what sort of score it is.
        log_mel: float16 (frames, n_mels), dB.
        chroma: float16 (frames, n_chroma).
        beats: float64 (beats,), seconds; empty in music without a pulse.
        downbeats: float64 (bars,), seconds.
        metre: beats of a bar.
    """

    name: str
    log_mel: Array
    chroma: Array
    beats: Array
    downbeats: Array
    metre: int

    @property
    def kind(self) -> str:
        return self.name.split("-")[0]


def read_lessons(folder: Path) -> list[Lesson]:
    """All rendered scores of a folder; raises DatasetError if there is none."""
    lessons = []
    for path in sorted(folder.glob("*.npz")):
        found = load_arrays(path)
        if found is not None and len(found["log_mel"]):
            beats, first = found["beats"], found["positions"] == 0
            lessons.append(
                Lesson(path.stem, found["log_mel"], found["chroma"], beats, beats[first], int(found["metre"]))
            )
    if not lessons:
        raise DatasetError(f"{folder} holds no rendered scores: models/render_scores.py makes them")
    return lessons


def mark(moments: Array, frames: int, rate: float, beside: float) -> Array:
    """Targets (frames,): 1 in the frame of each moment, `beside` in those next to it."""
    targets = np.zeros(frames + 2, np.float32)
    places = np.floor(moments * rate).astype(np.int64) + 1
    places = places[(places >= 1) & (places <= frames)]
    for shift in (-1, 1):
        targets[places + shift] = beside
    targets[places] = 1.0
    return targets[1:-1]


def add_db(one: Array, other: Array) -> Array:
    """The level of two sounds at once, dB."""
    return np.asarray(np.logaddexp(one * 0.2302585, other * 0.2302585) / 0.2302585)


def cut(lesson: Lesson, frames: int, random: Random, stretch: float = 0.0) -> tuple[Array, Array, Array, Array]:
    """A window of a lesson, played faster or slower: log-mel and chroma (frames, …), beats and downbeats in frames."""
    pace = float(np.exp(random.uniform(-stretch, stretch)))
    start = random.uniform(-0.1 * frames, max(0.0, len(lesson.log_mel) - 0.9 * frames * pace))
    places = start + pace * np.arange(frames)
    inside = (places >= 0) & (places <= len(lesson.log_mel) - 1)
    before = np.clip(np.floor(places), 0, len(lesson.log_mel) - 2).astype(np.int64)
    share = np.clip(places - before, 0.0, 1.0).astype(np.float32)[:, None]
    views = []
    for values, silence in ((lesson.log_mel, FLOOR_DB), (lesson.chroma, 0.0)):
        near = values[before[0] : before[-1] + 2].astype(np.float32)
        here = before - before[0]
        view = near[here] + share * (near[here + 1] - near[here])
        view[~inside] = silence
        views.append(view)
    moments = [(RATE * times - 0.5 - start) / pace + 0.5 for times in (lesson.beats, lesson.downbeats)]
    return views[0], views[1], moments[0], moments[1]


def shift_bands(log_mel: Array, shift: int) -> Array:
    """The same some bands higher, the outermost ones filled with what is next to them: (frames, bands)."""
    if not shift:
        return log_mel
    bands = log_mel.shape[1]
    log_mel = np.roll(log_mel, shift, axis=1)
    log_mel[:, : max(shift, 0)] = log_mel[:, max(shift, 0), None]
    log_mel[:, bands + min(shift, 0) :] = log_mel[:, bands + min(shift, 0) - 1, None]
    return log_mel


def disguise(log_mel: Array, random: Random, config: BeatTrainingConfig) -> Array:
    """The same music on other equipment: shifted bands, other dynamics, an equaliser, noise, no treble."""
    frames, bands = log_mel.shape
    log_mel = shift_bands(log_mel, int(random.integers(-3, 4)))
    top = float(log_mel.max())
    log_mel = top + random.uniform(0.75, 1.25) * (log_mel - top)
    knots = random.normal(0.0, 5.0, 6)
    log_mel = log_mel + np.interp(np.linspace(0, 5, bands), np.arange(6), knots)
    if random.random() < config.noisy:
        tilt = random.uniform(-20.0, 20.0) * np.linspace(-0.5, 0.5, bands) - random.uniform(15.0, 55.0)
        grain = 4.0 * random.standard_normal((frames, bands), np.float32)
        log_mel = add_db(log_mel, top + tilt + grain)
    if random.random() < config.dull:
        log_mel[:, int(random.integers(24, bands)) :] = FLOOR_DB
    return log_mel


class Batches:
    """Windows for training, drawn without end: every kind of score in its share."""

    def __init__(self, lessons: list[Lesson], config: BeatTrainingConfig, shares: dict[str, float]) -> None:
        self.lessons, self.config = lessons, config
        self.random = np.random.default_rng(config.seed)
        seconds = np.array([len(lesson.log_mel) for lesson in lessons], float)
        kinds = np.array([lesson.kind for lesson in lessons])
        weights = np.zeros(len(lessons))
        for kind in np.unique(kinds):
            of_kind = kinds == kind
            weights[of_kind] = shares.get(kind, 0.0) * seconds[of_kind] / seconds[of_kind].sum()
        self.chances = weights / weights.sum()
        self.pads = [lesson for lesson in lessons if not len(lesson.beats)]

    def draw(self) -> tuple[Array, Array]:
        """Inputs (B, frames, width) and targets (B, frames, 2)."""
        config, random = self.config, self.random
        frames = round(config.window_seconds * RATE)
        inputs = np.empty((config.batch_size, frames, config.network.width), np.float32)
        targets = np.empty((config.batch_size, frames, 2), np.float32)
        for row in range(config.batch_size):
            lesson = self.lessons[int(random.choice(len(self.lessons), p=self.chances))]
            log_mel, chroma, beats, downbeats = cut(lesson, frames, random, config.stretch)
            if self.pads and random.random() < config.covered:
                other, harmony, _, _ = cut(self.pads[int(random.integers(len(self.pads)))], frames, random)
                gain = float(log_mel.max() - other.max()) - random.uniform(0.0, 15.0)
                log_mel, chroma = add_db(log_mel, other + gain), chroma + 0.5 * harmony
            inputs[row] = prepare(disguise(log_mel, random, config), chroma, config.network)
            for column, moments in enumerate((beats, downbeats)):
                targets[row, :, column] = mark(moments, frames, 1.0, config.beside)
        return inputs, targets


SHARES = {"accompaniments": 0.42, "patterns": 0.2, "modules": 0.2, "midi": 0.12, "pulseless": 0.06}


def held_windows(lessons: list[Lesson], config: BeatTrainingConfig) -> Iterator[tuple[Array, Array]]:
    """One window of each lesson as it is, its middle."""
    frames = round(config.window_seconds * RATE)
    for lesson in lessons:
        if len(lesson.log_mel) >= frames:
            start = (len(lesson.log_mel) - frames) // 2
            view = slice(start, start + frames)
            seen = prepare(
                lesson.log_mel[view].astype(np.float32), lesson.chroma[view].astype(np.float32), config.network
            )
            marks = [
                mark(times - start / RATE, frames, RATE, config.beside) for times in (lesson.beats, lesson.downbeats)
            ]
            yield seen, np.stack(marks, axis=1)


def loss_of(targets: Any, log_odds: Any, beat_weight: float) -> Any:
    """Cross-entropy of beats and downbeats, (): frames with beats weigh more."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, log_odds)
    return tf.reduce_mean(entropy * (1.0 + (beat_weight - 1.0) * targets))


def train_beats(
    scores: Path, run: Path, config: BeatTrainingConfig | None = None, *, begin: Path | None = None
) -> float:
    """Train the beat network and leave `beats.tflite` and `.json` in `run`; returns the loss on validation scores.

    With `begin` it goes on from the best weights of that run.

    Raises:
        DatasetError: there are no scores to learn from, or none held out; `begin` holds no weights of such a network.
    """
    config = config or BeatTrainingConfig()
    learned, held = read_lessons(scores / "training"), read_lessons(scores / "validation")
    batches = Batches(learned, config, SHARES)
    windows = list(held_windows(held, config))
    held_inputs, held_targets = (np.stack(parts) for parts in zip(*windows, strict=True))

    keras.utils.set_random_seed(config.seed)
    network = build_beats(config.network, dropout=config.dropout)
    if begin and not load_best(begin, network.variables):
        raise DatasetError(f"{begin} holds no weights that fit: name the run of a beat network of the same size")
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)

    def fit_batch(inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(targets, network(inputs, training=True), config.beat_weight)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    learn = tf.function(fit_batch)
    run.mkdir(parents=True, exist_ok=True)
    log, began, progress, share = RunLog(run), time.monotonic(), Progress(), 0.0
    while share < 1.0:
        losses: list[float] = []
        for _ in range(config.epoch_batches):
            share = min(1.0, (time.monotonic() - began) / (60.0 * config.minutes))
            warm = min(1.0, (len(losses) + 1) / 100) if progress.epochs == 0 else 1.0
            optimizer.learning_rate = config.learning_rate * warm * (0.5 + 0.5 * float(np.cos(np.pi * share)) + 1e-3)
            losses.append(float(learn(*batches.draw())))
            if share >= 1.0:
                break
        odds = network.predict(held_inputs, batch_size=16, verbose=0)
        held_loss = float(loss_of(held_targets, odds, config.beat_weight))
        minutes, loss = config.minutes * share, float(np.mean(losses))
        log.add({"epoch": progress.epochs, "minutes": minutes, "loss": loss, "validation": held_loss})
        if held_loss < progress.best:
            save_best(run, network.variables)
        progress = progress.after(held_loss, 60.0 * minutes)
    load_best(run, network.variables)
    hours = {
        which: sum(len(lesson.log_mel) for lesson in lessons) / RATE / 3600
        for which, lessons in (("training", learned), ("validation", held))
    }
    report = {
        "network": "beats",
        "config": asdict(config.network),
        "recipe": asdict(config),
        "hours": hours,
        "weights": network.count_params(),
        "loss": progress.best,
    }
    export(network, run / BEATS_FILE, report)
    return progress.best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder of what models/render_scores.py leaves")
    parser.add_argument("run", type=Path, help="folder to write beats.tflite to")
    parser.add_argument("--begin", type=Path, help="a run whose weights are gone on with")
    parser.add_argument("--minutes", type=float, default=BeatTrainingConfig.minutes)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--channels", type=int, default=BeatConfig.channels)
    parser.add_argument("--chroma", action="store_true")
    arguments = parser.parse_args()
    network = BeatConfig(channels=arguments.channels, hears_chroma=arguments.chroma)
    config = BeatTrainingConfig(network, minutes=arguments.minutes, seed=arguments.seed)
    loss = train_beats(arguments.scores, arguments.run, config, begin=arguments.begin)
    print(f"{loss:.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
