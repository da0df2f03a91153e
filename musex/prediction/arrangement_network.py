"""The exported arrangement network: which stems play in the bars to come, as likely as in scores, from those before.

Stems are in the order of `musex.settings.STEMS`; a *combination* of them is a number whose bits say which play: bit 0
the first.
"""

from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.activity import PLAYS
from musex.config import ArrangementConfig
from musex.errors import ModelError
from musex.prediction.described import ARRANGEMENT_FILE, find_network, load_described, read_description
from musex.prediction.litert import load_runner, run
from musex.system.arrays import Array
from musex.system.json_files import check_types

LONGEST_RUN = 64  # bars since a stem entered or left that are told apart
MOST_BARS = 512  # heard or predicted by a network that is loaded


def to_combinations(plays: Array) -> Array:
    """Combinations, int64 (…,), of which stems play, (…, stems)."""
    return np.asarray(np.sum(np.asarray(plays, np.int64) << np.arange(plays.shape[-1]), axis=-1))


def to_plays(combinations: Array, stems: int) -> Array:
    """Which stems play, bool (…, stems), of combinations."""
    return np.asarray(np.asarray(combinations)[..., None] >> np.arange(stems) & 1).astype(bool)


def hear_bars(activity: Array, likeness: Array, places: Array, config: ArrangementConfig) -> Array:
    """What the encoder hears of bars, float32 (bars, past_width).

    Args:
        activity: of each stem, (bars, stems), 0 to 1; see `musex.analysis.activity.find_activity`.
        likeness: to bars before, (bars, lags).
        places: of the phrase, (bars,).
        config: of the network.
    """
    known = np.ones((len(activity), 1))
    plays = activity >= PLAYS
    parts = [activity, plays, likeness, np.eye(config.phrase_bars)[places], known]
    return np.concatenate(parts, axis=1).astype(np.float32)


def see_ahead(plays: Array, places: Array, present: Array, config: ArrangementConfig) -> Array:
    """What the decoder is told of each bar, from those before it alone, float32 (…, bars, ahead_width).

    Args:
        plays: which stems play, (…, bars, stems); what a bar itself plays has no say in its row.
        places: of the phrase, (…, bars).
        present: which stems there are, (stems,).
        config: of the network.
    """
    values = np.asarray(plays, np.float32)
    *before, bars, _ = values.shape
    known = np.concatenate([values, np.ones((*before, bars, 1), np.float32)], axis=-1)
    parts = [np.eye(config.phrase_bars, dtype=np.float32)[places]]
    for lag in config.lags:
        earlier = np.zeros_like(known)
        earlier[..., lag:, :] = known[..., : max(0, bars - lag), :]
        parts.append(earlier)
    runs = np.zeros_like(values)
    for bar in range(1, bars):
        stays = values[..., bar - 1, :] == values[..., bar - 2, :] if bar > 1 else False
        runs[..., bar, :] = np.where(stays, np.minimum(runs[..., bar - 1, :] + 1.0, LONGEST_RUN), 1.0)
    parts += [np.broadcast_to(np.asarray(present, np.float32), values.shape), np.log2(1.0 + runs) / 6.0]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def last_bars(rows: Array, bars: int) -> Array:
    """The last so many rows, zeros before the first: (bars, width)."""
    lacking = max(0, bars - len(rows))
    return np.pad(rows[max(0, len(rows) - bars) :], ((lacking, 0), (0, 0)))


class ArrangementNetwork:
    """A loaded `arrangement.tflite`."""

    def __init__(self, path: Path | None = None, content: bytes | None = None) -> None:
        """Load a file, or the one in a folder; the packaged one if there is none, or nothing is named.

        With `content` it runs that in place of the file.

        Raises ModelError if it is damaged or another network.
        """
        self.path = find_network(path, ARRANGEMENT_FILE)
        description = read_description(self.path)
        self.config = self._read_config(description)
        own = self.config
        shapes = {"past": (1, own.past_bars, own.past_width), "ahead": (1, own.horizon_bars, own.ahead_width)}
        if content is None:
            self.runner, _ = load_described(self.path, shapes, description)
        else:
            self.runner = load_runner(self.path, set(shapes), content)
        if any(self.runner.shapes[name][1:] != shape[1:] for name, shape in shapes.items()):
            raise ModelError(f"{self.path} does not hear what its description says: train it again")

    def _read_config(self, settings: dict[str, Any]) -> ArrangementConfig:
        try:
            content = dict(settings["config"])
            config = ArrangementConfig(**content | {"lags": tuple(content["lags"])})
            check_types(config)
            usual = ArrangementConfig()
            same = ("stems", "likeness_lags", "phrase_bars")
            if any(getattr(config, name) != getattr(usual, name) for name in same):
                raise ValueError("it hears other stems or bars")
            if not (0 < config.past_bars <= MOST_BARS and 0 < config.horizon_bars <= MOST_BARS):
                raise ValueError("it hears or predicts no bars, or too many")
            if not all(0 < lag <= MOST_BARS for lag in config.lags):
                raise ValueError("it is told of bars that are not before")
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{self.path} is no arrangement network of this musex: train it again ({error})"
            ) from error
        return config

    def log_likelihoods(self, past: Array, ahead: Array) -> Array:
        """Logarithms of how likely each combination is in bars to come, float32 (n, horizon_bars, combinations).

        A bar's are those given the bars before it in `ahead`.

        Args:
            past: float32 (n, past_bars, past_width), rows of `hear_bars`.
            ahead: float32 (n, horizon_bars, ahead_width), rows of `see_ahead`.

        Raises:
            ModelError: the network gives what is no number.
        """
        inputs = {name: np.ascontiguousarray(rows, np.float32) for name, rows in (("past", past), ("ahead", ahead))}
        told = next(iter(run(self.runner, **inputs).values()))
        if told.shape != (len(past), self.config.horizon_bars, self.config.combinations) or not np.isfinite(told).all():
            raise ModelError(f"{self.path} does not answer as an arrangement network does: train it again")
        return np.asarray(told)
