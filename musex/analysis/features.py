"""What the network hears: log-mel, chroma and onset strength. The same NumPy code serves training and inference."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import soxr

from musex.config import FEATURES, LONG_STEPS, FeatureConfig
from musex.system.arrays import Array
from musex.system.spools import Spool, in_blocks, let_go
from musex.system.threads import work_in_threads

MIXED_SECONDS = 60  # of a song, mixed and resampled at once
BLOCK_FRAMES = 256  # frames transformed at once: they stay in the processor's cache, however long a song is


def hz_to_mel(hertz: Array) -> Array:
    """The Slaney mel scale: linear below 1 kHz, logarithmic above (Slaney, Auditory Toolbox, 1998)."""
    hertz = np.asarray(hertz, dtype=np.float64)
    return np.where(hertz < 1000.0, hertz * 0.015, 15.0 + 27.0 * np.log(np.maximum(hertz, 1.0) / 1000.0) / np.log(6.4))


def mel_to_hz(mel: Array) -> Array:
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    return np.where(mel < 15.0, mel / 0.015, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27.0))


@cache
def mel_filters(config: FeatureConfig = FEATURES) -> Array:
    """Triangular mel filters of equal area, (n_fft // 2 + 1, n_mels), as `librosa.filters.mel` makes them.

    Written out because importing librosa's takes longer than all of the analysis.
    """
    bins = np.linspace(0.0, config.sample_rate / 2, config.n_fft // 2 + 1)
    edges = mel_to_hz(np.linspace(0.0, float(hz_to_mel(np.array(config.sample_rate / 2))), config.n_mels + 2))
    widths = np.diff(edges)
    rising = (bins[:, None] - edges[None, :-2]) / widths[None, :-1]
    falling = (edges[None, 2:] - bins[:, None]) / widths[None, 1:]
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return np.asarray(filters, np.float32)


@cache
def chroma_filters(config: FeatureConfig = FEATURES) -> Array:
    """Pitch-class weights of each bin from 60 Hz to 5 kHz, (n_fft // 2 + 1, n_chroma), Gaussian, a semitone wide."""
    hertz = np.linspace(0.0, config.sample_rate / 2, config.n_fft // 2 + 1)
    pitch = 12.0 * np.log2(np.maximum(hertz, 1.0) / 440.0) + 9.0
    distance = (pitch[:, None] - np.arange(config.n_chroma)[None, :] + 6.0) % 12.0 - 6.0
    weights = np.exp(-0.5 * (distance / 0.6) ** 2)
    weights[(hertz < 60.0) | (hertz > 5000.0)] = 0.0
    return weights.astype(np.float32)


def to_mono(samples: Array, sample_rate: int, config: FeatureConfig = FEATURES) -> Array:
    """Mix (frames, channels) to mono at the features' sample rate: float32 (samples,); of what lasts long, in a spool.

    A channel in opposite phase to the loudest one is turned over: one of which their mean would keep less than a
    quarter of the power.
    """
    samples, at_once = samples.reshape(len(samples), -1), MIXED_SECONDS * sample_rate
    nothing = np.zeros((samples.shape[1], samples.shape[1]))
    gains = _mixing_gains(sum((block.T @ block for block in in_blocks(samples, at_once)), nothing), samples.dtype)
    stream = soxr.ResampleStream(sample_rate, config.sample_rate, 1, quality="HQ")
    spool = Spool() if len(samples) * FEATURES.steps_per_second > LONG_STEPS * sample_rate else None
    blocks = [np.zeros(0, np.float32)]
    for number, block in enumerate(in_blocks(samples, at_once)):
        mono = block @ gains
        if sample_rate != config.sample_rate:
            mono = stream.resample_chunk(mono, last=(number + 1) * at_once >= len(samples))
        blocks.append(mono) if spool is None else spool.append(mono)
    return np.concatenate(blocks) if spool is None else spool.finish()


def mix_down(samples: Array) -> Array:
    """Mix (frames, channels) to mono as `to_mono` does, at its own rate: float (frames,)."""
    return np.asarray(samples @ _mixing_gains(samples.T @ samples, samples.dtype))


def _mixing_gains(products: Array, dtype: Any) -> Array:
    """What each channel counts in the mix, (channels,), by the products of each with each."""
    powers = np.diagonal(products)
    loudest = int(powers.argmax())
    opposite = products[loudest] < -0.5 * np.sqrt(powers * powers[loudest])
    return np.asarray(np.where(opposite, -1.0, 1.0) / len(opposite), dtype)


def standardise(waveform: Array) -> tuple[Array, float, float]:
    """A waveform at zero mean and unit variance, float32, as generative networks hear it; its mean and deviation."""
    mean, deviation = float(waveform.mean(dtype=np.float64)), float(waveform.std(dtype=np.float64))
    return np.asarray((waveform - mean) / max(deviation, 1e-9), np.float32), mean, deviation


def magnitudes(mono: Array, block: slice, config: FeatureConfig = FEATURES) -> Array:
    """Magnitude spectra (frames of the block, n_fft // 2 + 1) of so many frames of a mono signal.

    Frame n is centred on the middle of its hop, so that a step's frames describe that step's samples; beyond the
    signal there is silence.
    """
    before = (config.n_fft - config.hop_length) // 2
    window = np.hanning(config.n_fft + 1)[:-1].astype(np.float32)
    first = block.start * config.hop_length - before
    stop = (block.stop - 1) * config.hop_length - before + config.n_fft
    heard = np.pad(mono[max(first, 0) : max(stop, 0)], (max(-first, 0), max(stop - max(len(mono), first), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(heard, config.n_fft)[:: config.hop_length]
    let_go(mono)
    return np.asarray(np.abs(np.fft.rfft(windows * window)) * (2.0 / window.sum()), np.float32)


def frame_blocks(frames: int) -> list[slice]:
    """So many frames, in order, `BLOCK_FRAMES` at a time."""
    return [slice(start, min(start + BLOCK_FRAMES, frames)) for start in range(0, frames, BLOCK_FRAMES)]


def to_log_mel(magnitude: Array, config: FeatureConfig = FEATURES) -> Array:
    """Log-mel in dB (frames, n_mels) of magnitude spectra."""
    mel = magnitude**2 @ mel_filters(config)
    return np.asarray(10.0 * np.log10(np.maximum(mel, 10 ** (config.floor_db / 10))))


def log_mel_frames(mono: Array, frames: int, config: FeatureConfig = FEATURES) -> Array:
    """Log-mel in dB (frames, n_mels) of a mono signal at the features' sample rate; see `magnitudes`."""
    return np.concatenate([to_log_mel(magnitudes(mono, block, config), config) for block in frame_blocks(frames)])


def analyse_frames(mono: Array, config: FeatureConfig = FEATURES) -> tuple[Array, Array]:
    """Log-mel in dB (frames, n_mels) and chroma (frames, n_chroma) of whole steps; the last is padded with silence.

    `mono` is a signal at the features' sample rate.
    """
    steps = max(1, -(-len(mono) // config.step_length))
    frames = steps * config.frames_per_step
    log_mel = np.empty((frames, config.n_mels), np.float32)
    chroma = np.empty((frames, config.n_chroma), np.float32)

    def analyse_block(block: slice) -> None:
        magnitude = magnitudes(mono, block, config)
        log_mel[block] = to_log_mel(magnitude, config)
        chroma[block] = magnitude @ chroma_filters(config)

    work_in_threads(analyse_block, frame_blocks(frames))
    return log_mel, chroma


def to_rows(log_mel: Array, chroma: Array, config: FeatureConfig = FEATURES) -> Array:
    """Features of the frames that `analyse_frames` gives, one row per step: float32 (steps, width).

    A row holds the log-mel in dB (mean over the step's frames), the chroma (unit length) and the onset strength of
    each frame (mean rise of the log-mel, dB).
    """
    by_step = (len(log_mel) // config.frames_per_step, config.frames_per_step)
    rise = np.maximum(0.0, np.diff(log_mel, axis=0, prepend=log_mel[:1])).mean(axis=1)
    harmony = chroma.reshape(*by_step, -1).mean(axis=1)
    harmony /= np.linalg.norm(harmony, axis=1, keepdims=True) + 1e-6
    rows = [log_mel.reshape(*by_step, -1).mean(axis=1), harmony, rise.reshape(by_step)]
    return np.concatenate(rows, axis=1).astype(np.float32)


class Columns(NamedTuple):
    """What the rows of features hold: views of their columns."""

    log_mel: Array  # (steps, n_mels), dB
    chroma: Array  # (steps, n_chroma), unit length
    onsets: Array  # (steps, frames of a step), dB


def columns(features: Array, config: FeatureConfig = FEATURES) -> Columns:
    """Features, (steps, width), taken apart."""
    log_mel, chroma, onsets = np.split(features, [config.n_mels, config.n_mels + config.n_chroma], axis=1)
    return Columns(log_mel, chroma, onsets)


def analyse_mono(mono: Array, config: FeatureConfig = FEATURES) -> Array:
    """Features of a mono signal at the features' sample rate: float32 (steps, width), one row per step; `to_rows`."""
    return to_rows(*analyse_frames(mono, config), config)


def analyse(samples: Array, sample_rate: int, config: FeatureConfig = FEATURES) -> Array:
    """Features of a song, (frames, channels) at any rate: float32 (steps, width); see `analyse_mono`."""
    return analyse_mono(to_mono(samples, sample_rate, config), config)
