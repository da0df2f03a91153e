"""The exported beat network: log-mel to probabilities of beats and downbeats."""

import json
from pathlib import Path

import numpy as np

from musex.errors import ModelError
from musex.model import FORMAT_VERSION, load_described, run

Array = np.ndarray


class BeatTracker:
    """The exported beat network. Calls are not thread-safe: use one tracker per thread."""

    def __init__(self, path: Path) -> None:
        """Load `path`, a .tflite file with its description beside it; raises ModelError if they are no beat network."""
        description = path.with_suffix(".json")
        try:
            settings = json.loads(description.read_text(encoding="utf-8"))
            version, network = settings["format"], settings["network"]
        except FileNotFoundError as error:
            raise ModelError(f"no {description.name} beside {path}: a model is both files") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{description} does not describe a model of this musex: {error}") from error
        if (version, network) != (FORMAT_VERSION, "beats"):
            raise ModelError(f"{path} is a network {network} of format {version}, not beats of format {FORMAT_VERSION}")
        if not path.is_file():
            raise ModelError(f"no model at {path}: a model is both files")
        self.path, self.settings = path, settings
        self.runner, self.sha256 = load_described(path, {"log_mel"}, settings)

    def activations(self, log_mel: Array) -> Array:
        """Probabilities that a beat, and that a bar, begins in each frame.

        Args:
            log_mel: (frames, n_mels), dB, as `musex.features.log_mel_frames` makes it, at any level.

        Returns:
            float32 (frames, 2): of a beat (downbeats, too), and of a downbeat. Frame n lies at (n + 0.5) / 50 s.

        Raises:
            ModelError: the network says what is no number.
        """
        if not len(log_mel):
            return np.zeros((0, 2), np.float32)
        outputs = run(self.runner, log_mel=log_mel[None].astype(np.float32))
        logits = next(iter(outputs.values()))[0]
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.path} says what is no number: train it again")
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)
