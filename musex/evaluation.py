"""How good a model is: pure metrics, predictors without learning, and one table for all of them on the same points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import PointerConfig
from musex.dataset import Track, load_tracks, validation_points
from musex.errors import DatasetError
from musex.model import Model, load_model

Array = np.ndarray

RESAMPLES = 2000  # of the bootstrap
REFERENCE = "averaged nearest contexts"


def prediction_error_db(predicted: Array, actual: Array) -> float:
    """Mean absolute error of two log-mel spectrograms (steps, n_mels), dB."""
    return float(np.mean(np.abs(predicted - actual)))


def choice_skill(random: float, chosen: float, hindsight: float) -> float:
    """Where a choice lies between chance (0) and hindsight (100), by the errors of the three."""
    if random - hindsight < 1e-9:
        return 100.0 if chosen <= hindsight + 1e-9 else 0.0
    return 100.0 * (random - chosen) / (random - hindsight)


def bootstrap_interval(values: Array, groups: Array, *, seed: int = 0) -> tuple[float, float, float]:
    """Mean of the groups' means and its 95 % bootstrap interval over groups, not values (Efron, 1979)."""
    values, groups = np.asarray(values, np.float64), np.asarray(groups)
    means = np.array([values[groups == group].mean() for group in np.unique(groups)])
    drawn = np.random.default_rng(seed).integers(0, len(means), (RESAMPLES, len(means)))
    low, high = np.percentile(means[drawn].mean(axis=1), [2.5, 97.5])
    return float(means.mean()), float(low), float(high)


def context_distances(past: Array, steps: int, candidates: Array) -> Array:
    """Mean absolute difference (dB) of the last `steps` rows and the rows before each candidate start."""
    total = np.zeros(len(candidates))
    for lag in range(1, steps + 1):
        total += np.abs(past[candidates - lag] - past[-lag]).mean(axis=1)
    return total / steps


def start_errors(past: Array, actual: Array, candidates: Array) -> Array:
    """Prediction error (dB) of playing on from each candidate start."""
    total = np.zeros(len(candidates))
    for step, row in enumerate(actual):
        total += np.abs(past[candidates + step] - row).mean(axis=1)
    return total / len(actual)


@dataclass(frozen=True)
class Point:
    """One place of one track: what was heard, what came next, and every start that could be chosen."""

    past: Array  # (steps, width)
    actual: Array  # (horizon_steps, n_mels)
    candidates: Array
    errors: Array  # of each candidate, dB


@dataclass(frozen=True)
class Guess:
    """What a predictor says: a log-mel, and the start it would play on from, if it names one."""

    log_mel: Array
    start: int | None = None


Predictor = Callable[[Point], Guess]


def plain_predictors(config: PointerConfig, seed: int) -> dict[str, Predictor]:
    """The predictors without learning, by name."""
    random = np.random.default_rng(seed)
    n_mels, horizon, rate = config.features.n_mels, config.horizon_steps, config.features.steps_per_second

    def play_on(point: Point, start: int) -> Guess:
        return Guess(point.past[start : start + horizon, :n_mels], start)

    def hold(rows: Array) -> Guess:
        return Guess(np.repeat(rows[:, :n_mels].mean(axis=0, keepdims=True), horizon, axis=0))

    def distances(point: Point, seconds: int) -> Array:
        return context_distances(point.past[:, :n_mels], seconds * rate, point.candidates)

    def average(point: Point) -> Guess:
        distance = distances(point, 2)
        weights = np.exp(-(distance - distance.min()) / (0.1 * distance.min() + 1e-6))
        weights /= weights.sum()
        mel = point.past[:, :n_mels]
        rows = [weights @ mel[point.candidates + step] for step in range(horizon)]
        return Guess(np.array(rows), int(point.candidates[distance.argmin()]))

    return {
        "random place": lambda point: play_on(point, int(random.choice(point.candidates))),
        "last 10 s": lambda point: play_on(point, len(point.past) - horizon),
        "song mean": lambda point: hold(point.past),
        "context mean": lambda point: hold(point.past[-config.context_steps :]),
        "nearest context 2 s": lambda point: play_on(point, int(point.candidates[distances(point, 2).argmin()])),
        "nearest context 4 s": lambda point: play_on(point, int(point.candidates[distances(point, 4).argmin()])),
        REFERENCE: average,
        "hindsight best (not a predictor)": lambda point: play_on(point, int(point.candidates[point.errors.argmin()])),
    }


def model_predictor(model: Model) -> Predictor:
    """A packaged model as a predictor."""

    def predict(point: Point) -> Guess:
        memory = model.listen(point.past)
        prediction = model.predict_rows(memory, point.past)
        return Guess(prediction.log_mel, int(point.candidates[prediction.starts[point.candidates, -1].argmax()]))

    return predict


def draw_points(tracks: Sequence[Track], config: PointerConfig, *, points: int, seed: int) -> list[tuple[int, Point]]:
    """The places to predict from, at least 40 s into their tracks: (track number, point)."""
    n_mels, horizon = config.features.n_mels, config.horizon_steps
    drawn = []
    for number, at in validation_points(list(tracks), config, points=points, seed=seed):
        rows = np.asarray(tracks[number].features[: at + horizon], np.float32)
        past, actual = rows[:at], rows[at:, :n_mels]
        candidates = np.arange(4 * config.features.steps_per_second, at - horizon + 1)
        drawn.append((number, Point(past, actual, candidates, start_errors(past[:, :n_mels], actual, candidates))))
    return drawn


def evaluate(
    dataset: Path | Sequence[Track],
    *,
    models: dict[str, Model] | None = None,
    points: int = 3,
    seed: int = 0,
    cache_folder: Path | None = None,
    on_point: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure models and plain predictors on the same points of every track of `dataset`.

    Returns {"data", "seed", "points", "tracks", "predictors": {name: {measure: {"mean", "low", "high"}}}} with the
    measures `prediction_error_db`, `log_mel_mse`, `error_against_reference_db` (paired difference to averaged nearest
    contexts) and `choice_skill`; intervals are 95 % bootstrap intervals over tracks.
    """
    models = {"musex": load_model()} if models is None else models
    config = next(iter(models.values())).config if models else PointerConfig()
    tracks = load_tracks(dataset, cache_folder=cache_folder) if isinstance(dataset, Path) else list(dataset)
    drawn = draw_points(tracks, config, points=points, seed=seed)
    if not drawn:
        raise DatasetError("no track is longer than 50 s: evaluation predicts 10 s from at least 40 s")
    predictors = plain_predictors(config, seed) | {name: model_predictor(model) for name, model in models.items()}
    measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in predictors}
    for count, (_, point) in enumerate(drawn):
        for name, predictor in predictors.items():
            measured[name].append(measure(predictor(point), point))
        if on_point:
            on_point(count + 1, len(drawn))
    groups = np.array([number for number, _ in drawn])
    return {
        "data": str(dataset) if isinstance(dataset, Path) else f"{len(tracks)} tracks",
        "seed": seed,
        "points": len(drawn),
        "tracks": len(set(groups.tolist())),
        "predictors": summarise(measured, groups, seed),
    }


def measure(guess: Guess, point: Point) -> tuple[float, float, float]:
    """Prediction error (dB), MSE (dB²) and choice skill (nan without a choice) of one guess."""
    skill = float("nan")
    if guess.start is not None:
        chosen = start_errors(point.past[:, : point.actual.shape[1]], point.actual, np.array([guess.start]))[0]
        skill = choice_skill(float(point.errors.mean()), float(chosen), float(point.errors.min()))
    squared = float(np.mean((guess.log_mel - point.actual) ** 2))
    return prediction_error_db(guess.log_mel, point.actual), squared, skill


def summarise(
    measured: dict[str, list[tuple[float, float, float]]], groups: Array, seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Means and intervals of every predictor's measures, and its paired difference to the reference."""
    reference = np.array(measured[REFERENCE])[:, 0]
    summary = {}
    for name, rows in measured.items():
        error, squared, skill = np.array(rows).T
        columns = {
            "prediction_error_db": error,
            "log_mel_mse": squared,
            "error_against_reference_db": error - reference,
        }
        if not np.isnan(skill).any():
            columns["choice_skill"] = skill
        summary[name] = {
            measure: dict(zip(("mean", "low", "high"), bootstrap_interval(values, groups, seed=seed), strict=True))
            for measure, values in columns.items()
        }
    return summary
