"""Music that says the same again: for tests of data sets, models and training."""

from pathlib import Path

import numpy as np
import soundfile

from musex.config import PointerConfig


def compose(seconds: float, seed: int, sample_rate: int = 22_050) -> np.ndarray:
    """Phrases of noise and tones that come again."""
    random = np.random.default_rng(seed)
    time = np.arange(2 * sample_rate) / sample_rate
    phrases = [
        0.3 * np.sin(2 * np.pi * random.uniform(100, 2000) * time) * np.exp(-time)
        + 0.02 * random.standard_normal(len(time))
        for _ in range(4)
    ]
    count = round(seconds / 2)
    return np.concatenate([phrases[number % 4] for number in range(count)]).astype(np.float32)


def write_tracks(folder: Path) -> Path:
    """Six tracks in five groups, and two files that are no music."""
    for number, suffix in enumerate(("wav", "flac", "wav", "flac", "wav", "flac")):
        path = folder / f"group{number % 5}" / f"track{number}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, compose(50, number), 22_050)
    (folder / "group0" / "notes.txt").write_text("not music")
    (folder / "group0" / "broken.mp3").write_text("not music either")
    return folder


def wander(steps: int, seed: int) -> np.ndarray:
    """Features that wander: float32 (steps, width)."""
    random = np.random.default_rng(seed)
    rows = random.normal(-40.0, 8.0, (steps, PointerConfig().features.width)).cumsum(axis=0) / 4.0
    return np.asarray(rows - rows.mean(axis=0) - 40.0, np.float32)
