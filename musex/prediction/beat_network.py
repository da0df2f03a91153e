"""The exported beat network: how likely each frame of a song is a beat and a downbeat."""

from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.bar_pointer import BarPointerConfig, Beats, decode
from musex.config import FEATURES, BeatConfig, FeatureConfig
from musex.errors import ModelError
from musex.prediction.described import BEATS_FILE, find_network, load_described, read_description
from musex.prediction.litert import run
from musex.system.arrays import Array
from musex.system.json_files import check_types

# It hears eighths and half bars, too: without these prices they are told for beats and bars (models/log.md).
DECODER = BarPointerConfig(bar=0.6, unusual=1.3)
RANGE_DB = 70.0  # below a song's loudest band: nothing lower is heard
SPREAD_DB = 15.0
STRETCH_FRAMES = 8192  # of a song that are heard at once, with what has a say in them
MARGIN_FRAMES = 25  # of silence before and after a song
MOST_REACH = 10_000  # frames


def prepare(log_mel: Array, chroma: Array, config: BeatConfig) -> Array:
    """The network's input, float32 (frames, width): the bands' deviations from their means, and the chroma.

    So neither level nor equaliser matter. Frames as `musex.analysis.features.analyse_frames` gives them.
    """
    bands = np.maximum(log_mel, float(log_mel.max()) - RANGE_DB)
    bands = (bands - bands.mean(axis=0)) / SPREAD_DB
    if config.hears_chroma:
        heights = np.log1p(100.0 * chroma / max(float(chroma.max()), 1e-9))
        bands = np.concatenate([bands, heights - heights.mean(axis=0)], axis=1)
    return np.asarray(bands, np.float32)


class BeatNetwork:
    """A loaded `beats.tflite`."""

    def __init__(self, path: Path | None = None) -> None:
        """Load a file, or the one in a folder; the packaged one if there is none, or nothing is named.

        Raises ModelError if it is damaged or another network.
        """
        self.path = find_network(path, BEATS_FILE)
        description = read_description(self.path)
        self.config = self._read_config(description)
        self.runner, _ = load_described(self.path, {"frames": (1, 50, self.config.width)}, description)
        if self.runner.shapes["frames"][-1] != self.config.width:
            raise ModelError(f"{self.path} does not hear what its description says: train it again")

    def _read_config(self, settings: dict[str, Any]) -> BeatConfig:
        try:
            content = dict(settings["config"])
            features = FeatureConfig(**content.pop("features"))
            config = BeatConfig(features, **content | {"dilations": tuple(content["dilations"])})
            check_types(config)
            if features != FEATURES or not 0 < config.reach < MOST_REACH:
                raise ValueError("it hears other features, or too far")
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self.path} is no beat network of this musex: train it again ({error})") from error
        return config

    def track(self, log_mel: Array, chroma: Array) -> Beats:
        """Beats, bars and tempo of a song; see `activations` and `musex.analysis.bar_pointer.decode`."""
        return decode(self.activations(log_mel, chroma), FEATURES.frames_per_second, DECODER)

    def activations(self, log_mel: Array, chroma: Array) -> Array:
        """Probabilities of a beat and of a downbeat, float32 (frames, 2).

        Args:
            log_mel: dB (frames, n_mels), as `musex.analysis.features.analyse_frames` gives it.
            chroma: (frames, n_chroma).

        Raises:
            ModelError: the network gives what is no number.
        """
        silence = ((MARGIN_FRAMES, MARGIN_FRAMES), (0, 0))  # an attack in the first frame rises from it
        log_mel = np.pad(log_mel, silence, constant_values=FEATURES.floor_db)
        frames = prepare(log_mel, np.pad(chroma, silence), self.config)
        reach, odds = self.config.reach, np.empty((len(frames), 2), np.float32)
        for start in range(0, len(frames), STRETCH_FRAMES):
            stop = min(start + STRETCH_FRAMES, len(frames))
            first = max(0, start - reach)
            heard = np.ascontiguousarray(frames[None, first : stop + reach])
            told = next(iter(run(self.runner, frames=heard).values()))
            if told.shape != (*heard.shape[:2], 2) or not np.isfinite(told).all():
                raise ModelError(f"{self.path} does not answer as a beat network does: train it again")
            odds[start:stop] = told[0, start - first : stop - first]
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * odds[MARGIN_FRAMES:-MARGIN_FRAMES]))
