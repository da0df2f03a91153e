"""The exported transition head: how likely a jump goes on as a composer would, from what there is to see of it."""

from pathlib import Path

import numpy as np

from musex.config import TRANSITION_QUESTIONS
from musex.errors import ModelError
from musex.prediction.described import load_described, read_description
from musex.prediction.litert import Runner, load_runner, run
from musex.system.arrays import Array

JUMPS_AT_ONCE = 4096  # of which all layers take 10 MB
TRIED_JUMPS = 4  # with which a head is tried
SURE = 12.0  # log-odds of 160,000 to 1, as many jumps as it learned from: nothing more is known


class TransitionHead:
    """A loaded `transition.tflite`. Calls are not thread-safe: use one per thread."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """Load the file, or `content` in its place; raises ModelError if it is damaged or another network."""
        self.path, self.runner = path, self._load(path) if content is None else load_runner(path, {"seen"}, content)

    def _load(self, path: Path) -> Runner:
        runner, _ = load_described(path, {"seen": (TRIED_JUMPS, 0)}, read_description(path))
        return runner

    def log_odds(self, seen: Array) -> Array:
        """Log-odds that jumps keep the beat, the bar and the row, and are written so.

        Args:
            seen: float32 (jumps, width), as `musex.planning.transitions.see` gives it.

        Returns:
            float32 (jumps, 4), in the order of `TRANSITION_QUESTIONS`.

        Raises:
            ModelError: the network takes another width, or gives what is no number.
        """
        if not len(seen):
            return np.zeros((0, len(TRANSITION_QUESTIONS)), np.float32)
        blocks = (seen[first : first + JUMPS_AT_ONCE] for first in range(0, len(seen), JUMPS_AT_ONCE))
        odds = np.concatenate([self._answer(np.ascontiguousarray(block, np.float32)) for block in blocks])
        return np.asarray(np.clip(odds, -SURE, SURE))

    def _answer(self, seen: Array) -> Array:
        odds = next(iter(run(self.runner, seen=seen).values()))
        if odds.shape != (len(seen), len(TRANSITION_QUESTIONS)) or not np.isfinite(odds).all():
            raise ModelError(f"{self.path} does not answer as a transition head does: train it again")
        return odds
