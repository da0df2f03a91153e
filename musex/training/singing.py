"""Train the singing network on voices set over music, whose place is known.

python models/make_voices.py VOICES/training …    # and VOICES/validation, of other speakers and music
python -m musex.training.singing VOICES/ RUN/ --minutes 30
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import FEATURES, SingingConfig
from musex.errors import DatasetError
from musex.metrics import area_under_curve
from musex.prediction.described import SINGING_FILE
from musex.prediction.singing_network import prepare
from musex.system.arrays import Array, load_arrays
from musex.training.beats import FLOOR_DB, shift_bands
from musex.training.networks import keras, tf
from musex.training.networks.singing import build_singing
from musex.training.runs import RunLog, export, load_best, save_best

Random = np.random.Generator


@dataclass(frozen=True)
class SingingTrainingConfig:
    """How the singing network is fitted; by choice, unless a line says otherwise."""

    network: SingingConfig = field(default_factory=SingingConfig)
    window_seconds: float = 8.0
    batch_size: int = 8
    minutes: float = 30.0
    learning_rate: float = 2e-3
    weight_decay: float = 5e-3
    dropout: float = 0.1
    audible_db: float = 18.0  # a voice so far below the music, or its own loud moments, counts as one
    inaudible_db: float = 28.0  # and from here on as none; between both nobody asks
    dull: float = 0.2  # share of windows without the highest bands
    epoch_batches: int = 200
    seed: int = 0


@dataclass(frozen=True, eq=False)
class VoicedMusic:
    """A piece of music, and where a voice is heard in it.

    Attributes:
        log_mel: float16 (frames, n_mels), dB.
        targets: float32 (frames,), 1 where a voice is heard.
        weights: float32 (frames,), 0 where nobody could tell.
    """

    log_mel: Array
    targets: Array
    weights: Array


def mark(voice: Array, music: Array, config: SingingTrainingConfig) -> tuple[Array, Array]:
    """Targets and weights (frames,) from both levels in dB, (frames,)."""
    loud = float(np.percentile(voice, 95)) if voice.max(initial=-np.inf) > -80.0 else np.inf
    kernel = np.ones(25) / 25.0
    around = 10.0 * np.log10(np.convolve(10.0 ** (music / 10.0), kernel, mode="same") + 1e-10)
    below = np.maximum(loud, around) - voice
    heard, unheard = below <= config.audible_db, below >= config.inaudible_db
    return heard.astype(np.float32), (heard | unheard).astype(np.float32)


def read_voices(folder: Path, config: SingingTrainingConfig) -> list[VoicedMusic]:
    """All pieces of a folder; raises DatasetError if there is none."""
    pieces = []
    for path in sorted(folder.glob("*.npz")):
        stored = load_arrays(path)
        if stored is not None and all(np.isfinite(values).all() for values in stored.values()):
            voice, music = (stored[name].astype(np.float32) for name in ("voice", "music"))
            pieces.append(VoicedMusic(stored["log_mel"], *mark(voice, music, config)))
    if not pieces:
        raise DatasetError(f"{folder} holds no voices over music: models/make_voices.py makes them")
    return pieces


def disguise(log_mel: Array, random: Random, config: SingingTrainingConfig) -> Array:
    """The same on other equipment: other dynamics, an equaliser, shifted bands, no treble."""
    bands = log_mel.shape[1]
    log_mel = shift_bands(log_mel, int(random.integers(-2, 3)))
    top = float(log_mel.max())
    log_mel = top + random.uniform(0.8, 1.2) * (log_mel - top)
    log_mel = log_mel + np.interp(np.linspace(0, 5, bands), np.arange(6), random.normal(0.0, 4.0, 6))
    if random.random() < config.dull:
        log_mel[:, int(random.integers(40, bands)) :] = FLOOR_DB
    return np.asarray(log_mel)


def draw(pieces: list[VoicedMusic], config: SingingTrainingConfig, random: Random) -> tuple[Array, Array, Array]:
    """Inputs (B, frames, n_mels), targets and weights (B, frames)."""
    frames = round(config.window_seconds * FEATURES.frames_per_second)
    inputs: list[Array] = []
    targets: list[Array] = []
    weights: list[Array] = []
    while len(inputs) < config.batch_size:
        piece = pieces[int(random.integers(len(pieces)))]
        start = int(random.integers(max(1, len(piece.log_mel) - frames + 1)))
        view = slice(start, start + frames)
        if len(piece.targets[view]) < frames:
            continue
        inputs.append(prepare(disguise(piece.log_mel[view].astype(np.float32), random, config)))
        targets.append(piece.targets[view])
        weights.append(piece.weights[view])
    return np.stack(inputs), np.stack(targets), np.stack(weights)


def held_windows(pieces: list[VoicedMusic], config: SingingTrainingConfig) -> Iterator[tuple[Array, Array, Array]]:
    """The middle of each piece, as it is."""
    frames = round(config.window_seconds * FEATURES.frames_per_second)
    for piece in pieces:
        if len(piece.log_mel) >= frames:
            view = slice((len(piece.log_mel) - frames) // 2, (len(piece.log_mel) - frames) // 2 + frames)
            yield prepare(piece.log_mel[view].astype(np.float32)), piece.targets[view], piece.weights[view]


def loss_of(targets: Any, log_odds: Any, weights: Any) -> Any:
    """Cross-entropy of a voice, () nats a frame."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(targets, log_odds)
    return tf.reduce_sum(entropy * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)


def train_singing(voices: Path, run: Path, config: SingingTrainingConfig | None = None) -> dict[str, float]:
    """Train the singing network and leave `singing.tflite` and `.json` in `run`; returns what it reaches on validation.

    Raises:
        DatasetError: there is nothing to learn from, or nothing held out.
    """
    config = config or SingingTrainingConfig()
    learned, held = (read_voices(voices / which, config) for which in ("training", "validation"))
    held_inputs, held_targets, held_weights = (
        np.stack(parts) for parts in zip(*held_windows(held, config), strict=True)
    )
    random = np.random.default_rng(config.seed)
    keras.utils.set_random_seed(config.seed)
    network = build_singing(config.network, dropout=config.dropout)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)

    def fit_batch(inputs: Any, targets: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(targets, network(inputs, training=True), weights)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    learn = tf.function(fit_batch)
    run.mkdir(parents=True, exist_ok=True)
    log, began, epoch, share, best = RunLog(run), time.monotonic(), 0, 0.0, {"loss": np.inf}
    while share < 1.0:
        losses: list[float] = []
        for _ in range(config.epoch_batches):
            share = min(1.0, (time.monotonic() - began) / (60.0 * config.minutes))
            optimizer.learning_rate = config.learning_rate * (0.5 + 0.5 * float(np.cos(np.pi * share)) + 1e-3)
            losses.append(float(learn(*draw(learned, config, random))))
            if share >= 1.0:
                break
        odds = network.predict(held_inputs, batch_size=8, verbose=0)
        asked = held_weights > 0
        reached = {
            "loss": float(loss_of(held_targets, odds, held_weights)),
            "area": area_under_curve(odds[asked & (held_targets > 0)], odds[asked & (held_targets == 0)]),
        }
        log.add({"epoch": epoch, "minutes": config.minutes * share, "training": float(np.mean(losses)), **reached})
        if reached["loss"] < best["loss"]:
            best = reached
            save_best(run, network.weights)
        epoch += 1
    load_best(run, network.weights)
    hours = {
        which: sum(len(piece.log_mel) for piece in pieces) / FEATURES.frames_per_second / 3600
        for which, pieces in (("training", learned), ("validation", held))
    }
    report = {
        "network": "singing",
        "config": asdict(config.network),
        "recipe": asdict(config),
        "hours": hours,
        "weights": network.count_params(),
        **best,
    }
    export(network, run / SINGING_FILE, report)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("voices", type=Path, help="folder of what models/make_voices.py leaves")
    parser.add_argument("run", type=Path, help="folder to write singing.tflite to")
    parser.add_argument("--minutes", type=float, default=SingingTrainingConfig.minutes)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = SingingTrainingConfig(minutes=arguments.minutes, seed=arguments.seed)
    print(train_singing(arguments.voices, arguments.run, config))  # noqa: T201


if __name__ == "__main__":
    main()
