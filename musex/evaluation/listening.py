"""Evaluation's own ears: features that neither training nor search has seen, and attacks, by librosa from the audio."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from musex.analysis.features import to_mono
from musex.audio.reading import read_song
from musex.config import FEATURES, FeatureConfig
from musex.system.arrays import Array
from musex.system.caches import place_caches

N_MFCC = 20  # librosa's own number
TEMPOGRAM_FRAMES = 200  # 4 s


@dataclass(frozen=True, eq=False)
class Recording:
    """A track as evaluation hears it.

    Attributes:
        mono: float32 (samples,) at the features' rate.
        unseen: (steps, D), see `unseen_rows`.
        onsets: Seconds of its attacks; None without mir_eval, which is what compares them.
    """

    mono: Array
    unseen: Array
    onsets: Array | None


def hear(path: Path, steps: int) -> Recording:
    """Read a track that has `steps` steps; raises AudioError if it cannot be read."""
    song = read_song(path)
    mono = to_mono(song.samples, song.sample_rate)
    return Recording(mono, unseen_rows(mono, steps), find_onsets(mono) if compares_onsets() else None)


def compares_onsets() -> bool:
    """Whether mir_eval is there."""
    return find_spec("mir_eval") is not None


def unseen_rows(mono: Array, steps: int, config: FeatureConfig = FEATURES) -> Array:
    """MFCC and tempogram of a signal, float32 (steps, D): timbre and rhythm by other means than the network's.

    Both count alike: two random steps of the song lie about 1 apart.
    """
    place_caches()
    import librosa

    frames = steps * config.frames_per_step
    rate, hop = config.sample_rate, config.hop_length
    mfcc = librosa.feature.mfcc(y=mono, sr=rate, n_mfcc=N_MFCC, n_fft=config.n_fft, hop_length=hop)
    strength = librosa.onset.onset_strength(y=mono, sr=rate, hop_length=hop)
    tempogram = librosa.feature.tempogram(onset_envelope=strength, sr=rate, hop_length=hop, win_length=TEMPOGRAM_FRAMES)
    parts = []
    for part in (mfcc, tempogram):
        part = np.pad(part, ((0, 0), (0, max(0, frames - part.shape[1]))), mode="edge")[:, :frames]
        rows = part.T.reshape(steps, config.frames_per_step, -1).mean(axis=1).astype(np.float64)
        rows -= rows.mean(axis=0)
        spread = 2.0 * float(np.mean(np.sum(rows**2, axis=1)))  # mean squared distance of two random rows
        parts.append(rows * np.sqrt(0.5 / max(spread, 1e-9)))
    return np.concatenate(parts, axis=1).astype(np.float32)


def find_onsets(mono: Array, config: FeatureConfig = FEATURES) -> Array:
    """Seconds of the attacks in a signal."""
    place_caches()
    import librosa

    times = librosa.onset.onset_detect(y=mono, sr=config.sample_rate, hop_length=config.hop_length, units="time")
    return np.asarray(times, np.float64)


def onsets_between(onsets: Array, start: float, stop: float) -> Array:
    """The attacks in [start, stop) seconds, counted from its start."""
    return np.asarray(onsets[(onsets >= start) & (onsets < stop)] - start)
