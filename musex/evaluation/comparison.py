"""How good a model is: the same measures for it and for every baseline, on the same points of the same tracks."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.features import analyse_mono
from musex.audio.reading import read_song
from musex.config import GENERATIVE
from musex.errors import AudioError, DatasetError, ModelError, MusexError
from musex.evaluation.baselines import (
    RANDOM_WEIGHTS,
    REFERENCE,
    Guess,
    Point,
    make_point,
    plain_predictors,
    predictor_of,
    shuffle_weights,
)
from musex.evaluation.cost import measure_cost
from musex.evaluation.endurance import (
    CHAIN_SECONDS,
    PLAIN_LOOP,
    chain_song,
    generate_on,
    loop_end,
    measure_chain,
    source_rows,
)
from musex.evaluation.hidden_ending import HIDDEN_SECONDS, LEAST_SECONDS, measure_ending
from musex.evaluation.listening import compares_onsets, find_onsets, hear
from musex.evaluation.match_prior import match_prior
from musex.metrics import (
    choice_skill,
    chroma_similarity,
    describe,
    log_mel_mse,
    onset_correlation,
    onset_f_measure,
    prediction_error_db,
    start_distances,
    start_errors,
)
from musex.prediction.model import Model, WaveformModel, load_model
from musex.system.progress import OnProgress, ignore_progress
from musex.training.dataset import Track, load_tracks, validation_points

Rows = list[tuple[int, dict[str, float]]]  # (track number, {measure: value})

PRIOR = "match prior alone"
TRACK_MEASURES = ("prediction_error_db", "error_against_reference_db", "choice_skill")
WORST_TRACKS = 8  # that are named
NEEDS_RUN = "not given: train it by `musex train --network`, and name its run by --model"
NEEDS_MIR_EVAL = "needs mir_eval: pip install 'musex[evaluate]'"


def load_models(paths: Sequence[Path]) -> dict[str, Model | WaveformModel]:
    """The packaged model as "musex", and those at `paths` by their networks, or by their files' or folders' names."""
    models: dict[str, Model | WaveformModel] = {"musex": load_model()}
    for path in paths:
        model: Model | WaveformModel = load_model(path)
        names = [path.stem] if isinstance(model, Model) else [model.name, path.name]
        models[next((name for name in names if name not in models), str(path))] = model
    return models


def evaluate(
    dataset: Path | Sequence[Track],
    *,
    models: dict[str, Model | WaveformModel] | None = None,
    points: int = 3,
    chains: int = 0,
    seed: int = 0,
    cache_folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Measure models and baselines on the same points of every track of `dataset`.

    Args:
        dataset: A folder of music that was not trained on, or its tracks.
        models: By name; without it the packaged model as "musex".
        points: Places in each track to predict from, each with only the past as memory.
        chains: Tracks on which 10 min are chained, hidden endings continued and the cost is taken.
        seed: Draws the points, the tracks for chains, the random baselines and the intervals.
        cache_folder: Where features are kept; without it in the dataset.
        on_progress: Called with what is being measured and how much of it is done.

    Returns:
        {"data", "seed", "points", "tracks", "predictors": {name: {measure: {"mean", "low", "high"}}}, "worst":
        [{"track", measure: mean}] of the first model that points, "left_out": {name: reason}}. With `chains` also
        {"chains": {"tracks", "predictors"}, "hidden_endings": {seconds: {"tracks", "predictors"}}, "cost": {name:
        {measure: value}}}. Intervals are 95 % bootstrap intervals over tracks, those of differences paired.

    Raises:
        DatasetError: There is no music, or no track is long enough.
        MusexError: The packaged model cannot be loaded.
    """
    report = on_progress or ignore_progress
    models = {"musex": load_model()} if models is None else models
    pointers = {name: model for name, model in models.items() if isinstance(model, Model)}
    if not pointers:
        raise DatasetError("there is no model that points: evaluation measures others beside one")
    first = next(iter(pointers.values()))
    if isinstance(dataset, Path):
        tracks = load_tracks(
            dataset, cache_folder=cache_folder, on_track=lambda done, of: report("Analysing", done / of)
        )
    else:
        tracks = list(dataset)
    predictors = plain_predictors(first.config, seed) | {PRIOR: predictor_of(match_prior(first))}
    left_out = {} if compares_onsets() else {"onset_f_measure": NEEDS_MIR_EVAL}
    try:
        predictors[RANDOM_WEIGHTS] = predictor_of(shuffle_weights(first, seed))
    except ModelError as error:
        left_out[RANDOM_WEIGHTS] = str(error)
    predictors |= {name: predictor_of(model) for name, model in models.items()}
    left_out |= {name: NEEDS_RUN for name in GENERATIVE if name not in models}

    measured: dict[str, Rows] = {name: [] for name in predictors}
    for number, point in _points(tracks, first, points=points, seed=seed, left_out=left_out, report=report):
        for name, predictor in predictors.items():
            measured[name].append((number, measure(predictor(point), point)))
    if not measured[REFERENCE]:
        raise DatasetError("no track is longer than 50 s: evaluation predicts 10 s from at least 40 s")
    _compare(measured, REFERENCE, "prediction_error_db", "error_against_reference_db")
    _compare(measured, PRIOR, "choice_skill", "skill_against_match_prior")
    _compare(measured, PRIOR, "choice_skill_unseen", "skill_unseen_against_match_prior")
    results = {
        "data": str(dataset) if isinstance(dataset, Path) else f"{len(tracks)} tracks",
        "seed": seed,
        "points": len(measured[REFERENCE]),
        "tracks": len({number for number, _ in measured[REFERENCE]}),
        "predictors": summarise(measured, seed),
        "worst": worst_tracks(tracks, measured[next(iter(pointers))]),
    }
    if chains:
        results |= _measure_chains(
            tracks, models, first=first, chains=chains, seed=seed, left_out=left_out, report=report
        )
    return {**results, "left_out": left_out}


def _points(
    tracks: list[Track], model: Model, *, points: int, seed: int, left_out: dict[str, str], report: OnProgress
) -> Iterator[tuple[int, Point]]:
    """Every point and the number of its track, read one track at a time."""
    places = validation_points(tracks, model.config, points=points, seed=seed)
    for count, (number, group) in enumerate(groupby(places, key=lambda place: place[0])):
        report("Measuring", count * points / len(places))
        track = tracks[number]
        try:
            recording = hear(track.path, len(track.features))
        except AudioError as error:  # its features are from before
            left_out[str(track.path)] = str(error)
            continue
        for _, at in group:
            yield number, make_point(track, at, recording, model.config)


def measure(guess: Guess, point: Point) -> dict[str, float]:
    """What can be said of one guess, by measure."""
    measures = {
        "prediction_error_db": prediction_error_db(guess.log_mel, point.log_mel),
        "log_mel_mse": log_mel_mse(guess.log_mel, point.log_mel),
    }
    if guess.start is not None:
        played = point.past[guess.start : guess.start + len(point.actual)]
        onsets = point.onsets_from(guess.start)
        measures |= skills(guess.start, point)
    elif guess.waveform is not None:
        played = analyse_mono(guess.waveform, point.config.features)
        onsets = find_onsets(guess.waveform) if compares_onsets() else None
    else:
        return measures
    features = point.config.features
    chroma = slice(features.n_mels, features.n_mels + features.n_chroma)
    strength = slice(chroma.stop, features.width)
    measures["chroma_similarity"] = chroma_similarity(played[:, chroma], point.actual[:, chroma])
    measures["onset_correlation"] = onset_correlation(played[:, strength], point.actual[:, strength])
    actual = point.onsets_from(len(point.past))
    if onsets is not None and actual is not None:
        measures["onset_f_measure"] = onset_f_measure(onsets, actual)
    return measures


def skills(start: int, point: Point) -> dict[str, float]:
    """Choice skill of playing on from a start, in log-mel and in features that neither training nor search has seen."""
    at, rows, chosen = len(point.past), point.recording.unseen, np.array([start])
    error = start_errors(point.past[:, : point.log_mel.shape[1]], point.log_mel, chosen)
    unseen = start_distances(rows[:at], rows[at : at + len(point.actual)], chosen)
    errors = {"choice_skill": (error, point.errors), "choice_skill_unseen": (unseen, point.unseen_distances)}
    return {
        name: choice_skill(float(others.mean()), float(own[0]), float(others.min()))
        for name, (own, others) in errors.items()
    }


def _measure_chains(
    tracks: list[Track],
    models: dict[str, Model | WaveformModel],
    *,
    first: Model,
    chains: int,
    seed: int,
    left_out: dict[str, str],
    report: OnProgress,
) -> dict[str, Any]:
    """Long chains and hidden endings of some tracks, and the cost on the first of them."""
    pointers = {name: model for name, model in models.items() if isinstance(model, Model)}
    searched: dict[str, Any] = {PRIOR: match_prior(first), **pointers}
    least = (LEAST_SECONDS + max(HIDDEN_SECONDS)) * first.config.features.steps_per_second
    enough = [number for number, track in enumerate(tracks) if len(track.features) >= least]
    drawn = np.random.default_rng(seed).permutation(enough or len(tracks))[:chains].tolist()
    endured: dict[str, Rows] = {}
    endings: dict[int, dict[str, Rows]] = {}
    for count, number in enumerate(drawn):
        report("Chaining", count / len(drawn))
        try:
            song = read_song(tracks[number].path)
            made = {name: chain_song(song, model, CHAIN_SECONDS, seed=seed) for name, model in pointers.items()}
        except MusexError as error:
            left_out[f"{tracks[number].path}, chained"] = str(error)
            continue
        made[PLAIN_LOOP] = loop_end(song, CHAIN_SECONDS)
        made |= {name: generate_on(song, m, CHAIN_SECONDS) for name, m in models.items() if not isinstance(m, Model)}
        source = source_rows(song)
        for name, chain in made.items():
            endured.setdefault(name, []).append((number, measure_chain(chain, source)))
        for seconds in HIDDEN_SECONDS:
            try:
                continued = measure_ending(song, searched, seconds, seed=seed)
            except MusexError as error:
                left_out[f"{tracks[number].path}, last {seconds} s hidden"] = str(error)
                continue
            for name, measures in continued.items():
                endings.setdefault(seconds, {}).setdefault(name, []).append((number, measures))
    for rows in endings.values():
        _compare(rows, PRIOR, "prediction_error_db", "error_against_match_prior_db")
    report("Taking the cost", 0.0)
    cost = {}
    try:
        for name, model in pointers.items():
            cost[name] = measure_cost(tracks[drawn[0]].path, model)
    except MusexError as error:
        left_out["cost"] = str(error)
    return {
        "chains": _table(endured, seed),
        "hidden_endings": {str(seconds): _table(rows, seed) for seconds, rows in sorted(endings.items())},
        "cost": cost,
    }


def _table(measured: dict[str, Rows], seed: int) -> dict[str, Any]:
    tracks = {number for rows in measured.values() for number, _ in rows}
    return {"tracks": len(tracks), "predictors": summarise(measured, seed)}


def _compare(measured: dict[str, Rows], reference: str, measure: str, name: str) -> None:
    """Add to every row that has `measure` by how much it is above the reference's."""
    theirs = [row[measure] for _, row in measured[reference]]
    for rows in measured.values():
        for (_, row), their in zip(rows, theirs, strict=True):
            if measure in row:
                row[name] = row[measure] - their


def summarise(measured: dict[str, Rows], seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """Means and 95 % intervals over tracks: {name: {measure: {"mean", "low", "high"}}}."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for name, rows in measured.items():
        groups = np.array([number for number, _ in rows])
        summary[name] = {
            measure: describe(np.array([row.get(measure, np.nan) for _, row in rows]), groups, seed=seed)
            for measure in dict.fromkeys(measure for _, row in rows for measure in row)
        }
    return summary


def worst_tracks(tracks: Sequence[Track], rows: Rows) -> list[dict[str, Any]]:
    """The tracks on which a predictor does worst against the averaged nearest contexts, worst first, with its means."""
    worst: list[tuple[float, dict[str, Any]]] = []
    for number, group in groupby(rows, key=lambda row: row[0]):
        measures = [row for _, row in group]
        means = {name: float(np.mean([row[name] for row in measures])) for name in TRACK_MEASURES}
        name = f"{tracks[number].group}/{tracks[number].path.name}"
        worst.append((means["error_against_reference_db"], {"track": name, **means}))
    worst.sort(key=lambda track: track[0], reverse=True)
    return [track for _, track in worst[:WORST_TRACKS]]
