"""Log-likelihoods of what plays in each bar of scores: the arrangement network beside repetition and means.

    python models/compare_arrangements.py SCORES/ --set validation --model RUN/

All are told which stems a score has, and know the bars before; rates of the references are those of SCORES/training.
*Repetition* goes on with the last bar, *eight ago* repeats the bar eight before, each right as often as it was there,
by stem, by whether it plays and by how far ahead; *mean* is how often each stem has played so far in the score.
"""

import argparse
from pathlib import Path

import numpy as np

from musex.metrics import bootstrap_interval
from musex.prediction.arrangement_network import (
    ArrangementNetwork,
    hear_bars,
    last_bars,
    see_ahead,
    to_combinations,
    to_plays,
)
from musex.settings import STEMS
from musex.system.arrays import Array
from musex.training.arrangement import ActivityScore, read_scores

HORIZONS = (1, 4, 8)
LEAST_BARS = 8  # before the first bar that is predicted
PRIOR = 1.0  # of each rate, as bars with and as bars without
PRIORS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the mean so far, as bars: the best in training
HISTORY = 96  # bars before, of what a chain is told


def origins(score: ActivityScore, horizon: int) -> Array:
    """The bars from which bar `origin + horizon - 1` is predicted."""
    return np.arange(LEAST_BARS, len(score.plays) - max(HORIZONS) + 1)


def rates(scores: list[ActivityScore], horizon: int, lag: int) -> Array:
    """How often each stem plays `horizon - 1` bars after the origin, by whether it did `lag` before: (2, stems)."""
    counts = np.full((2, 2, 4), PRIOR)
    for score in scores:
        bars = origins(score, horizon) + horizon - 1
        now, before = score.plays[bars], score.plays[bars - lag]
        for stem in np.flatnonzero(score.present):
            np.add.at(counts[:, :, stem], (before[:, stem].astype(int), now[:, stem].astype(int)), 1.0 / len(bars))
    return np.asarray(counts[:, 1] / counts.sum(axis=1))


def likelihood(chances: Array, plays: Array, present: Array) -> Array:
    """Nats of each bar, (bars,): stems one by one, those that a score does not have for nothing."""
    nats = np.log(np.where(plays, chances, 1.0 - chances))
    return np.asarray(nats[:, present].sum(axis=1))


def of_repetition(score: ActivityScore, horizon: int, lag: int, rate: Array) -> Array:
    bars = origins(score, horizon) + horizon - 1
    chances = np.where(score.plays[bars - lag], rate[1], rate[0])
    return likelihood(chances, score.plays[bars], score.present)


def of_mean(score: ActivityScore, horizon: int, prior: float, share: Array) -> Array:
    starts = origins(score, horizon)
    sums = np.cumsum(score.plays, axis=0)[starts - 1]
    chances = (sums + prior * share) / (starts[:, None] + prior)
    return likelihood(np.clip(chances, 1e-3, 1 - 1e-3), score.plays[starts + horizon - 1], score.present)


def of_network(score: ActivityScore, network: ArrangementNetwork, paths: int, seed: int) -> dict[int, Array]:
    """Nats of the bar at each horizon, chained: the network draws the bars between from its own predictions."""
    config, random = network.config, np.random.default_rng(seed)
    starts = origins(score, 1)
    heard = hear_bars(score.activity, score.likeness, score.places, config)
    past = np.array([last_bars(heard[:at], config.past_bars) for at in starts])
    combinations, nats = to_combinations(score.plays), dict[int, list[Array]]()
    length = HISTORY + config.horizon_bars
    before = np.arange(length) - HISTORY
    for first in range(0, len(starts), 32):
        some = starts[first : first + 32]
        index = np.clip(some[:, None] + before, 0, len(score.plays) - 1)
        plays = np.repeat(score.plays[index], paths, axis=0)
        places = np.repeat(score.places[index], paths, axis=0)
        repeated = np.repeat(past[first : first + 32], paths, axis=0)
        for step in range(config.horizon_bars):
            rows = history_rows(plays, places, np.repeat(some, paths), score.present, network)
            told = network.log_likelihoods(repeated, rows)[:, step]
            chances = np.exp(told).reshape(len(some), paths, -1).mean(axis=1)
            true = combinations[some + step]
            nats.setdefault(step + 1, []).append(np.log(chances[np.arange(len(some)), true] + 1e-9))
            drawn = np.argmax(told + random.gumbel(size=told.shape), axis=-1)
            plays[:, HISTORY + step] = to_plays(drawn, config.stems)
    return {horizon: np.concatenate(nats[horizon]) for horizon in HORIZONS}


def history_rows(plays: Array, places: Array, starts: Array, present: Array, network: ArrangementNetwork) -> Array:
    """`see_ahead` of the last bars of histories that begin at different bars."""
    config = network.config
    rows = np.zeros((len(plays), config.horizon_bars, config.ahead_width), np.float32)
    for start in np.unique(starts):
        some = starts == start
        first = max(0, HISTORY - int(start))
        rows[some] = see_ahead(plays[some, first:], places[some, first:], present, config)[:, -config.horizon_bars :]
    return rows


def of_given(score: ActivityScore, network: ArrangementNetwork) -> Array:
    """Nats a bar where all bars before each one are given, the mean of a horizon."""
    config = network.config
    starts = origins(score, 1)
    heard = hear_bars(score.activity, score.likeness, score.places, config)
    ahead = see_ahead(score.plays, score.places, score.present, config)
    past = np.array([last_bars(heard[:at], config.past_bars) for at in starts])
    told = network.log_likelihoods(past, np.array([ahead[at : at + config.horizon_bars] for at in starts]))
    targets = to_combinations(score.plays)
    index = starts[:, None] + np.arange(config.horizon_bars)
    return np.asarray(np.take_along_axis(told, targets[index][..., None], axis=-1)[..., 0].mean(axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path)
    parser.add_argument("--set", default="validation", dest="which")
    parser.add_argument("--model", type=Path, help="a run; the packaged network without it")
    parser.add_argument("--paths", type=int, default=24, help="drawn for each bar")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    learned = read_scores(arguments.scores / "training")
    held = [score for score in read_scores(arguments.scores / arguments.which) if len(origins(score, 1))]
    network = ArrangementNetwork(arguments.model)
    enough = [score for score in learned if len(origins(score, 1))]
    share = np.array([np.mean([s.plays[:, k].mean() for s in enough if s.present[k]]) for k in range(len(STEMS))])
    means: dict[str, dict[int, list[float]]] = {}
    for horizon in HORIZONS:
        prior = max(PRIORS, key=lambda p: np.mean([of_mean(s, horizon, p, share).mean() for s in enough]))
        last, eight = rates(enough, horizon, horizon), rates(enough, horizon, 8)
        for score in held:
            for name, nats in (
                ("repetition", of_repetition(score, horizon, horizon, last)),
                ("eight ago", of_repetition(score, horizon, 8, eight)),
                ("mean so far", of_mean(score, horizon, prior, share)),
            ):
                means.setdefault(name, {}).setdefault(horizon, []).append(float(nats.mean()))
    for score in held:
        for horizon, nats in of_network(score, network, arguments.paths, arguments.seed).items():
            means.setdefault("network", {}).setdefault(horizon, []).append(float(nats.mean()))
    given = [float(of_given(score, network).mean()) for score in held]
    bars = sum(len(origins(score, 1)) for score in held)
    print(f"{arguments.which}: {len(held)} scores, {bars} bars; nats a bar, mean of scores, 95 % interval")
    for name, by_horizon in means.items():
        cells = [interval(by_horizon[horizon]) for horizon in HORIZONS]
        less = ""
        if name != "network":
            gains = [np.subtract(means["network"][h], by_horizon[h]) for h in HORIZONS]
            less = "  network better by " + ", ".join(interval(gain) for gain in gains)
        print(f"{name:12} " + "  ".join(cells) + less)
    print(f"network, all bars before each one given: {interval(given)}")


def interval(values: list[float] | Array) -> str:
    mean, low, high = bootstrap_interval(np.asarray(values), np.arange(len(values)))
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
