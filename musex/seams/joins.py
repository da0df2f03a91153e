"""What the join head hears of a junction, real or spliced."""

from dataclasses import replace

import numpy as np

from musex.analysis.features import log_mel_frames, to_mono
from musex.config import FEATURES, FeatureConfig
from musex.plans import Seam
from musex.prediction.join_head import JoinHead
from musex.seams.crossfade import crossfade
from musex.system.arrays import Array

REACH_SECONDS = 1.5  # heard on both sides of a junction


def junction_window(mono: Array, config: FeatureConfig = FEATURES) -> Array:
    """What the join head hears of 3 s of audio around a junction: (frames, n_mels), each band's mean removed."""
    frames = len(mono) // config.hop_length
    log_mel = log_mel_frames(mono, frames, config)
    return np.asarray((log_mel - log_mel.mean(axis=0)) / 10.0, np.float32)


def splice(samples: Array, seam: Seam, reach: int) -> Array:
    """The audio around a rendered seam: (2 * reach, channels), the crossfade in the middle."""
    half = seam.fade // 2
    before = samples[seam.leave - reach : seam.leave - half]
    after = samples[seam.enter + half : seam.enter + reach]
    return np.concatenate([before, crossfade(samples, seam), after])


def whole_window(samples: Array, sample_rate: int) -> Array:
    """Three seconds of audio in mono at the features' rate, to the sample: (samples,)."""
    mono, wanted = to_mono(samples, sample_rate), 2 * round(REACH_SECONDS * FEATURES.sample_rate)
    return np.pad(mono, (0, max(0, wanted - len(mono))))[:wanted]


def seam_window(samples: Array, sample_rate: int, seam: Seam) -> Array | None:
    """Three seconds around a rendered seam, as `whole_window`; None within 1.5 s of the song's ends."""
    reach = round(REACH_SECONDS * sample_rate)
    if min(seam.leave, seam.enter) < reach or max(seam.leave, seam.enter) + reach > len(samples):
        return None
    return whole_window(splice(samples, seam, reach), sample_rate)


def seam_log_odds(head: JoinHead, mono: Array, sample_rate: int, seam: Seam) -> float:
    """The join head's log-odds that a seam, rendered, is real; 0 (undecided) within 1.5 s of the song's ends.

    Args:
        head: the join head.
        mono: the song in mono at the features' rate, (samples,).
        sample_rate: of the song and the seam, Hz.
        seam: the seam.
    """
    scale = FEATURES.sample_rate / sample_rate
    leave, enter, half = (round(place * scale) for place in (seam.leave, seam.enter, seam.fade / 2))
    window = seam_window(mono[:, None], FEATURES.sample_rate, replace(seam, leave=leave, enter=enter, fade=2 * half))
    return 0.0 if window is None else head.judge(junction_window(window))
