"""Train the beat network on rendered scores, whose beats are known (models/render_scores.py).

    python -m musex.beat_training SCORES/ RUN/ --minutes 60

SCORES/GROUP/*.npz hold log-mel, beats and positions; groups are split as one. RUN/ keeps a checkpoint to go on from,
the losses, and the best network on validation groups as `beats.tflite` and `beats.json`.
"""

import argparse
import csv
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from musex.config import FEATURES
from musex.errors import DatasetError
from musex.networks import keras, tf
from musex.networks.beats import BeatConfig, build_beats
from musex.runs import export, load_state, save_state

Array = np.ndarray

FRAME_RATE = FEATURES.sample_rate / FEATURES.hop_length
LEVELS_PER_DB = 2.0  # of what is stored
HELD_OUT, VALIDATION = 2, 1  # of 16 parts of the groups
MODEL_FILE, STATE_FILE, LOG_FILE = "beats.tflite", "state.npz", "losses.csv"


@dataclass(frozen=True)
class BeatTrainingConfig:
    """How the beat network is fitted, and how far its excerpts are varied."""

    frames: int = 1500
    batch_size: int = 8
    epoch_batches: int = 50
    validation_batches: int = 8
    learning_rate: float = 2e-3
    widened: float = 0.5  # the label of the frames beside a beat
    downbeat_weight: float = 2.0
    stretch: float = 0.22  # largest change of tempo, up or down, in nepers
    bands: int = 4  # largest shift of pitch
    tilt_db: float = 12.0  # largest difference of level across the bands
    grain_db: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class ScoreTrack:
    """A rendered score: log-mel levels (frames, n_mels) uint8, its beats in frames, and which begin a bar."""

    levels: Array
    beats: Array
    is_downbeat: Array


def split_of(group: str) -> str:
    """Which part a group of scores belongs to: "held out", "validation" or "training"."""
    part = zlib.crc32(group.encode()) % 16
    return "held out" if part < HELD_OUT else "validation" if part < HELD_OUT + VALIDATION else "training"


def load_scores(folder: Path, known: dict[Path, ScoreTrack], part: str) -> list[ScoreTrack]:
    """The scores of one part that lie in `folder` by now; those in `known` are not read again."""
    for path in sorted(folder.glob("*/*.npz")):
        if path not in known and split_of(path.parent.name) == part:
            try:
                with np.load(path) as stored:
                    beats = stored["beats"].astype(np.float64) * FRAME_RATE - 0.5
                    known[path] = ScoreTrack(stored["levels"], beats, stored["positions"] == 1)
            except (OSError, ValueError, EOFError):  # being written
                continue
    return list(known.values())


def label_frames(track: ScoreTrack, places: Array, widened: float) -> Array:
    """Labels (frames, 2) of the frames at `places` of the track, rising, not always whole."""
    labels = np.zeros((len(places), 2), np.float32)
    for column, beats in enumerate((track.beats, track.beats[track.is_downbeat])):
        inside = beats[(beats >= places[0] - 0.5) & (beats <= places[-1] + 0.5)]
        frames = np.rint(np.interp(inside, places, np.arange(len(places)))).astype(np.int64)
        for offset, value in ((-1, widened), (1, widened), (0, 1.0)):
            near = np.clip(frames + offset, 0, len(places) - 1)
            labels[near, column] = np.maximum(labels[near, column], value)
    return labels


def draw_excerpt(
    track: ScoreTrack, config: BeatTrainingConfig, random: np.random.Generator, *, is_varied: bool = True
) -> tuple[Array, Array]:
    """Log-mel (frames, n_mels) in dB and labels (frames, 2) of a random place, varied unless told otherwise."""
    step = float(np.exp(random.uniform(-config.stretch, config.stretch))) if is_varied else 1.0
    latest = max(0.0, len(track.levels) - 1 - step * (config.frames - 1))
    places = random.uniform(0.0, latest) + step * np.arange(config.frames)
    whole = np.minimum(places.astype(np.int64), len(track.levels) - 2)
    share = np.clip(places - whole, 0.0, 1.0)[:, None].astype(np.float32)
    levels = track.levels[whole] * (1.0 - share) + track.levels[whole + 1] * share
    log_mel = (levels / LEVELS_PER_DB + FEATURES.floor_db).astype(np.float32)
    log_mel[places > len(track.levels) - 1] = FEATURES.floor_db
    labels = label_frames(track, places, config.widened)
    return (vary(log_mel, config, random) if is_varied else log_mel), labels


def vary(log_mel: Array, config: BeatTrainingConfig, random: np.random.Generator) -> Array:
    """Another pitch, tone, room and recording of log-mel (frames, n_mels) in dB."""
    bands = log_mel.shape[1]
    shift = int(random.integers(-config.bands, config.bands + 1))
    log_mel = log_mel[:, np.clip(np.arange(bands) - shift, 0, bands - 1)]
    across = np.linspace(-0.5, 0.5, bands)
    tone = random.uniform(-1, 1) * across + 0.4 * random.uniform(-1, 1) * np.sin(9.0 * across + random.uniform(0, 6))
    log_mel = log_mel + (config.tilt_db * tone).astype(np.float32)
    peak = float(log_mel.max())
    power = 10.0 ** ((log_mel - peak) / 10)
    if random.random() < 0.4:
        power = smear(power, random.uniform(0.1, 1.2), random.uniform(0.02, 0.25))
    power += 10.0 ** (-random.uniform(30.0, 80.0) / 10) * np.exp(random.normal(0.0, 0.5, power.shape[1]))
    log_mel = 10.0 * np.log10(power) + random.normal(0.0, 1.0, power.shape) * random.uniform(0.0, config.grain_db)
    if random.random() < 0.25:
        log_mel[:, int(random.integers(bands // 2, bands)) :] = -80.0
    if random.random() < 0.15:
        log_mel[:, : int(random.integers(2, 12))] = -80.0
    if random.random() < 0.3:
        for start in random.integers(0, len(log_mel), 3):
            log_mel[start : start + int(random.integers(5, 30))] = log_mel.mean()
    return np.asarray(np.maximum(log_mel + peak, FEATURES.floor_db), np.float32)


def smear(power: Array, seconds: float, share: float) -> Array:
    """Power (frames, n_mels) in a room: a share of it is added, falling by 60 dB in `seconds`."""
    decay = 10.0 ** (-6.0 / (seconds * FRAME_RATE))
    tail, width = power.copy(), 1
    while width < min(len(power), seconds * FRAME_RATE / 2):  # a recursive filter, by doubling
        tail[width:] += decay**width * tail[:-width]
        width *= 2
    return np.concatenate([power[:1], power[1:] + share * decay * tail[:-1]])


def draw_batch(
    tracks: list[ScoreTrack], config: BeatTrainingConfig, random: np.random.Generator, *, is_varied: bool = True
) -> tuple[Array, Array]:
    """Log-mel (B, frames, n_mels) and labels (B, frames, 2)."""
    picked = [tracks[int(number)] for number in random.integers(len(tracks), size=config.batch_size)]
    drawn = [draw_excerpt(track, config, random, is_varied=is_varied) for track in picked]
    return np.stack([log_mel for log_mel, _ in drawn]), np.stack([labels for _, labels in drawn])


class BeatTrainer:
    """The network, its optimizer, and what is kept of a run."""

    def __init__(self, config: BeatTrainingConfig, network: BeatConfig) -> None:
        self.config, self.sizes = config, network
        keras.utils.set_random_seed(config.seed)
        self.network = build_beats(network)
        self.optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=1e-3, clipnorm=1.0)
        self.optimizer.build(self.network.trainable_variables)
        self.step = tf.function(self._step, reduce_retracing=True)

    @property
    def state(self) -> list[Any]:
        return [*self.network.variables, *self.optimizer.variables]

    def loss(self, labels: Any, logits: Any) -> Any:
        """Cross entropy, downbeats weighing more; 1.0 is what knowing nothing but their numbers costs, about."""
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return 10.0 * tf.reduce_mean(entropy * tf.constant([1.0, self.config.downbeat_weight])) / 3.0

    def _step(self, log_mel: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = self.loss(labels, self.network(log_mel, training=True))
        gradients = tape.gradient(loss, self.network.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.network.trainable_variables, strict=True))
        return loss

    def validate(self, batches: list[tuple[Array, Array]]) -> float:
        """Mean loss of batches."""
        losses = [float(self.loss(labels, self.network(log_mel, training=False))) for log_mel, labels in batches]
        return float(np.mean(losses))

    def export(self, path: Path, recipe: dict[str, Any]) -> None:
        """Write the network as LiteRT and its description as JSON."""
        settings = {"network": "beats", "model": asdict(self.sizes), "recipe": recipe}
        export(self.network, path, settings)


def train_beats(
    scores: Path,
    run: Path,
    *,
    minutes: float,
    config: BeatTrainingConfig | None = None,
    network: BeatConfig | None = None,
) -> float:
    """Train for some minutes, going on from what `run` holds; returns the best validation loss.

    The learning rate falls to a tenth along a cosine over these minutes. Scores that come to lie in `scores` meanwhile
    are learned from as well.

    Raises:
        DatasetError: there are no scores to learn from or to validate by.
    """
    config, network = config or BeatTrainingConfig(), network or BeatConfig()
    run.mkdir(parents=True, exist_ok=True)
    trainer = BeatTrainer(config, network)
    progress = load_state(run / STATE_FILE, trainer.state) or [0.0, np.inf]
    epoch, best = int(progress[0]), float(progress[1])
    random = np.random.default_rng([config.seed, epoch])
    known: dict[Path, ScoreTrack] = {}
    held = load_scores(scores, {}, "validation")
    if not held or not load_scores(scores, known, "training"):
        raise DatasetError(f"{scores} holds too few rendered scores: see models/render_scores.py")
    fixed = np.random.default_rng(config.seed)
    checked = [draw_batch(held, config, fixed, is_varied=False) for _ in range(config.validation_batches)]
    start = monotonic()
    while (passed := (monotonic() - start) / (60.0 * minutes)) < 1.0:
        tracks = load_scores(scores, known, "training")
        trainer.optimizer.learning_rate = config.learning_rate * (0.1 + 0.45 * (1.0 + np.cos(np.pi * passed)))
        losses = [float(trainer.step(*draw_batch(tracks, config, random))) for _ in range(config.epoch_batches)]
        validation, epoch = trainer.validate(checked), epoch + 1
        hours = sum(len(track.levels) for track in tracks) / FRAME_RATE / 3600
        log_row(run / LOG_FILE, epoch=epoch, training=np.mean(losses), validation=validation, hours=hours)
        if validation < best:
            best = validation
            recipe = asdict(config) | {"scores": len(tracks), "hours": round(hours, 1), "epochs": epoch}
            trainer.export(run / MODEL_FILE, recipe | {"validation": round(best, 4)})
        save_state(run / STATE_FILE, trainer.state, [epoch, best])
    return best


def log_row(path: Path, **row: float) -> None:
    """Append one epoch to a CSV."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(row)
        writer.writerow(f"{value:.4f}" for value in row.values())


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    train_beats(arguments.scores, arguments.run, minutes=arguments.minutes)


if __name__ == "__main__":
    main()
