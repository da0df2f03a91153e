"""Train the arrangement network on scores, which say which stem plays in which bar.

    python models/score_activity.py SCORES/ …
    python -m musex.training.arrangement SCORES/ RUN/

`SCORES/training` and `SCORES/validation` hold what `models/score_activity.py` leaves.
"""

import argparse
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.activity import PLAYS, Played, find_places
from musex.config import ArrangementConfig
from musex.errors import DatasetError
from musex.prediction.arrangement_network import hear_bars, last_bars, see_ahead, to_combinations
from musex.prediction.described import ARRANGEMENT_FILE
from musex.system.arrays import Array, load_arrays
from musex.training.networks import keras, tf
from musex.training.networks.arrangement import build_arrangement
from musex.training.runs import Progress, RunLog, export, load_best, save_best

Random = np.random.Generator


@dataclass(frozen=True)
class ArrangementTrainingConfig:
    """How the arrangement network is fitted; chosen on validation scores (models/log.md)."""

    network: ArrangementConfig = field(default_factory=ArrangementConfig)
    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 2e-2
    dropout: float = 0.3
    least_bars: int = 4  # heard before what is predicted
    flips: float = 0.03  # share of the stems of bars heard that are called wrong
    without: float = 0.3  # share of scores of which one stem is left out
    swapped: float = 0.3  # share of scores two stems of which change places
    forgotten: float = 0.25  # share of scores that begin somewhere in their midst
    power: float = 0.5  # of a score's length in how often it is drawn
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ActivityScore(Played):
    """Which stem plays when in a score.

    Attributes:
        name: of its file.
        activity: float32 (bars, stems); see `musex.analysis.activity.find_activity`.
        likeness: float32 (bars, lags).
        places: int64 (bars,), of the phrase.
    """

    name: str
    activity: Array
    likeness: Array
    places: Array


def read_scores(folder: Path) -> list[ActivityScore]:
    """All scores of a folder; raises DatasetError if there is none."""
    scores = []
    for path in sorted(folder.glob("*.npz")):
        kept = load_arrays(path)
        if kept is not None and np.any(kept["activity"] >= PLAYS):
            activity, likeness = kept["activity"], kept["likeness"]
            scores.append(ActivityScore(path.stem, activity, likeness, find_places(activity, likeness)))
    if not scores:
        raise DatasetError(f"{folder} holds no scores: models/score_activity.py makes them")
    return scores


def vary(score: ActivityScore, random: Random, config: ArrangementTrainingConfig) -> ActivityScore:
    """The same score with a stem less, with others in each other's place, or from its midst on."""
    activity, start = score.activity.copy(), 0
    if random.random() < config.swapped:
        one, other = random.choice(activity.shape[1], 2, replace=False)
        activity[:, [one, other]] = activity[:, [other, one]]
    present = np.flatnonzero((activity >= PLAYS).any(axis=0))
    if random.random() < config.without and len(present) > 1:
        activity[:, random.choice(present)] = 0.0
    if random.random() < config.forgotten:
        start = int(random.integers(0, max(1, len(activity) - 2 * config.network.horizon_bars)))
    return replace(score, activity=activity[start:], likeness=score.likeness[start:], places=score.places[start:])


def windows_of(
    score: ActivityScore, config: ArrangementTrainingConfig, random: Random | None = None
) -> tuple[Array, ...]:
    """Every window of a score: bars heard, bars to come, and what these play.

    They are float32 (windows, past_bars, past_width), float32 (windows, horizon_bars, ahead_width) and int64
    (windows, horizon_bars). With `random` some stems of what is heard are called wrong.
    """
    network, plays = config.network, score.plays
    activity = score.activity
    if random is not None:
        wrong = (random.random(activity.shape) < config.flips) & score.present
        activity = np.where(wrong, 1.0 - activity, activity)
    heard = hear_bars(activity, score.likeness, score.places, network)
    ahead = see_ahead(activity >= PLAYS, score.places, score.present, network)
    targets = to_combinations(plays)
    origins = range(config.least_bars, len(plays) - network.horizon_bars + 1)
    pasts = [last_bars(heard[:at], network.past_bars) for at in origins]
    coming = [slice(at, at + network.horizon_bars) for at in origins]
    return (
        np.array(pasts, np.float32).reshape(-1, network.past_bars, network.past_width),
        np.array([ahead[bars] for bars in coming], np.float32).reshape(-1, network.horizon_bars, network.ahead_width),
        np.array([targets[bars] for bars in coming], np.int64).reshape(-1, network.horizon_bars),
    )


def draw_epoch(
    scores: list[ActivityScore], config: ArrangementTrainingConfig, random: Random
) -> tuple[tuple[Array, ...], Array]:
    """Windows of all scores, each varied anew, and how much each window weighs."""
    parts, weights = [], []
    for score in scores:
        found = windows_of(vary(score, random, config), config, random)
        if count := len(found[0]):
            parts.append(found)
            weights.append(np.full(count, count ** (config.power - 1.0)))
    weight = np.concatenate(weights)
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True)), weight / weight.mean()


def held_loss(network: Any, windows: list[tuple[Array, ...]]) -> float:
    """Nats a bar on windows of each score, the mean of the scores' means."""
    losses = []
    for past, ahead, targets in windows:
        told = network.predict([past, ahead], batch_size=256, verbose=0)
        losses.append(-float(np.take_along_axis(told, targets[..., None], axis=-1).mean()))
    return float(np.mean(losses))


def train_arrangement(scores: Path, run: Path, config: ArrangementTrainingConfig | None = None) -> float:
    """Train the network and leave `arrangement.tflite` and `.json` in `run`; returns nats a bar on validation scores.

    The weights of the best epoch count.

    Raises:
        DatasetError: there are no scores to learn from, or none held out.
    """
    config = config or ArrangementTrainingConfig()
    learned, held = read_scores(scores / "training"), read_scores(scores / "validation")
    held_windows = [found for score in held if len((found := windows_of(score, config))[0])]
    random = np.random.default_rng(config.seed)
    keras.utils.set_random_seed(config.seed)
    network = build_arrangement(config.network, dropout=config.dropout)
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)

    def fit_batch(past: Any, ahead: Any, targets: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            told = network([past, ahead], training=True)
            likelihoods = tf.gather(told, targets, axis=-1, batch_dims=2)
            loss = -tf.reduce_mean(weight[:, None] * likelihoods)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    learn = tf.function(fit_batch, reduce_retracing=True)
    run.mkdir(parents=True, exist_ok=True)
    log, progress = RunLog(run), Progress()
    for epoch in range(config.epochs):
        arrays, weights = draw_epoch(learned, config, random)
        order, losses = random.permutation(len(weights)), []
        batches = len(order) // config.batch_size
        for number in range(batches):
            share = (epoch + number / batches) / config.epochs
            optimizer.learning_rate = (
                config.learning_rate * min(1.0, 20.0 * share + 0.02) * (0.5 + 0.5 * float(np.cos(np.pi * share)) + 1e-3)
            )
            chosen = order[number * config.batch_size : (number + 1) * config.batch_size]
            losses.append(float(learn(*(each[chosen] for each in arrays), weights[chosen].astype(np.float32))))
        loss = held_loss(network, held_windows)
        if loss < progress.best:
            save_best(run, network.variables)
        progress = progress.after(loss, 0.0)
        log.add({"epoch": epoch, "loss": float(np.mean(losses)), "validation": loss})
    load_best(run, network.variables)
    report = {
        "network": "arrangement",
        "config": asdict(config.network),
        "recipe": asdict(config),
        "scores": {"learned from": len(learned), "held out": len(held)},
        "bars": {"learned from": sum(len(s.plays) for s in learned), "held out": sum(len(s.plays) for s in held)},
        "weights": network.count_params(),
        "epoch": progress.best_epoch,
        "loss": progress.best,
    }
    export(network, run / ARRANGEMENT_FILE, report)
    return progress.best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder of what models/score_activity.py leaves")
    parser.add_argument("run", type=Path, help="folder to write arrangement.tflite to")
    usual = ArrangementTrainingConfig()
    for name in ("epochs", "learning_rate", "weight_decay", "dropout", "flips", "without", "swapped", "power", "seed"):
        value = getattr(usual, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--units", type=int, default=usual.network.units)
    arguments = vars(parser.parse_args())
    scores, run, units = (arguments.pop(name) for name in ("scores", "run", "units"))
    loss = train_arrangement(scores, run, replace(usual, network=replace(usual.network, units=units), **arguments))
    print(f"{loss:.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
