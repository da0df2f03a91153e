"""The exported join head: does a junction sound as if the music had been made so?"""

from pathlib import Path

import numpy as np

from musex.prediction.described import load_described, read_description
from musex.prediction.litert import run
from musex.system.arrays import Array


class JoinHead:
    """The exported join head: does a junction sound as if the music had been made so?"""

    def __init__(self, path: Path) -> None:
        self.runner, _ = load_described(path, {"window": (1, 0, 0)}, read_description(path))

    def judge(self, window: Array) -> float:
        """Log-odds that a junction, heard as `musex.seams.joins.junction_window` (frames, n_mels), is real."""
        outputs = run(self.runner, window=window[None].astype(np.float32))
        return float(next(iter(outputs.values()))[0, 0])
