"""The exported singing network: how likely a voice is heard in each frame of a song."""

from pathlib import Path
from typing import Any

import numpy as np

from musex.config import FEATURES, FeatureConfig, SingingConfig
from musex.errors import ModelError
from musex.prediction.described import SINGING_FILE, find_network, load_described, read_description
from musex.prediction.litert import run
from musex.system.arrays import Array
from musex.system.json_files import check_types

RANGE_DB = 80.0  # below a song's loudest band: nothing lower is heard
QUIETEST_DB = -60.0  # of a loudest band: what is below it is no music
SPREAD_DB = 20.0
STRETCH_FRAMES = 1024  # of a song that are heard at once, with what has a say in them: 40 MB, of 4096 150 MB
MOST_REACH = 10_000  # frames


def prepare(log_mel: Array) -> Array:
    """The network's input, float32 (frames, n_mels): levels in dB below the loudest band, scaled."""
    top = max(float(log_mel.max()), QUIETEST_DB)
    return np.asarray((np.maximum(log_mel, top - RANGE_DB) - top + 0.5 * RANGE_DB) / SPREAD_DB, np.float32)


class SingingNetwork:
    """A loaded `singing.tflite`."""

    def __init__(self, path: Path | None = None) -> None:
        """Load a file, or the one in a folder; the packaged one if there is none, or nothing is named.

        Raises ModelError if it is damaged or another network.
        """
        self.path = find_network(path, SINGING_FILE)
        description = read_description(self.path)
        self.config = self._read_config(description)
        self.runner, self.sha256 = load_described(
            self.path, {"frames": (1, 50, self.config.features.n_mels)}, description
        )

    def _read_config(self, settings: dict[str, Any]) -> SingingConfig:
        try:
            content = dict(settings["config"])
            features = FeatureConfig(**content.pop("features"))
            tuples = {name: tuple(content[name]) for name in ("filters", "dilations")}
            config = SingingConfig(features, **content | tuples)
            check_types(config)
            if features != FEATURES or not 0 < config.reach < MOST_REACH:
                raise ValueError("it hears other features, or too far")
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self.path} is no singing network of this musex: train it again ({error})") from error
        return config

    def activations(self, log_mel: Array) -> Array:
        """Probabilities of a voice, float32 (frames,).

        Args:
            log_mel: dB (frames, n_mels), as `musex.analysis.features.analyse_frames` gives it.

        Raises:
            ModelError: the network gives what is no number.
        """
        frames = prepare(log_mel)
        reach, odds = self.config.reach, np.empty(len(frames), np.float32)
        for start in range(0, len(frames), STRETCH_FRAMES):
            stop = min(start + STRETCH_FRAMES, len(frames))
            first = max(0, start - reach)
            heard = np.ascontiguousarray(frames[None, first : stop + reach])
            told = next(iter(run(self.runner, frames=heard).values()))
            if told.shape != heard.shape[:2] or not np.isfinite(told).all():
                raise ModelError(f"{self.path} does not answer as a singing network does: train it again")
            odds[start:stop] = told[0, start - first : stop - first]
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * odds), np.float32)
