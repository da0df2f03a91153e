"""The exported voice network: which share of a spectrum is the voice's.

Spleeter's U-Net (Hennequin et al., 2020), see `models/convert_spleeter.py`.
"""

from pathlib import Path

import numpy as np

from musex.config import VOICE
from musex.errors import ModelError
from musex.prediction.described import VOICE_FILE, find_network, load_described, read_description
from musex.prediction.litert import run
from musex.system.arrays import Array


class VoiceNetwork:
    """A loaded `voice.tflite`."""

    def __init__(self, path: Path | None = None) -> None:
        """Load a file, or the one in a folder; the packaged one if there is none, or nothing is named.

        Raises ModelError if it is damaged or another network.
        """
        self.path = find_network(path, VOICE_FILE)
        shapes = {"magnitudes": (1, VOICE.block, VOICE.bins, 2)}
        self.runner, _ = load_described(self.path, shapes, read_description(self.path))

    def shares(self, magnitudes: Array) -> Array:
        """Which share of each magnitude is the voice's, 0 to 1: float32 (frames, bins, 2).

        Args:
            magnitudes: of two channels, float32 (frames, bins, 2), by a Hann window that is not scaled.

        Raises:
            ModelError: the network gives what is no number.
        """
        missing = -len(magnitudes) % VOICE.block
        heard = np.pad(np.asarray(magnitudes, np.float32), ((0, missing), (0, 0), (0, 0)))[None]
        odds = next(iter(run(self.runner, magnitudes=heard).values()))
        if odds.shape != heard.shape or not np.isfinite(odds).all():
            raise ModelError(f"{self.path} does not answer as a voice network does: install musex again")
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * odds[0, : len(magnitudes)]), np.float32)
