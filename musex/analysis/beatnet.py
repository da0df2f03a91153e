"""BeatNet: where beats and bars lie in a song, by networks that others trained.

Nothing here is used to plan or to render: it judges plans that were not optimised for it. Its three networks
(M. Heydari, F. Cwitkowitz and Z. Duan, BeatNet: CRNN and particle filtering for online joint beat, downbeat and meter
tracking, ISMIR 2021; CC BY 4.0) are averaged; features and network are written anew in NumPy, after theirs. Their
weights stand in `models/beatnet.npz`, which `models/convert_beatnet.py` made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from musex.analysis.bar_pointer import Beats, decode
from musex.config import exact_div
from musex.errors import ModelError
from musex.system.arrays import Array
from musex.system.packaged import packaged_file

WEIGHTS = packaged_file("beatnet.npz")
BLOCK_FRAMES = 2048  # frames transformed at once, which bounds memory
STRETCH_FRAMES = 1000  # frames of a song that a network hears in a row: stretches are computed side by side
WARM_UP_FRAMES = 400  # frames before a stretch that a network hears first, as its state needs


@dataclass(frozen=True)
class BeatNetConfig:
    """What the networks were trained to hear: a spectrogram of 24 bands an octave, and its rise."""

    sample_rate: int = 22_050
    hop_length: int = 441
    window_length: int = 1411
    bands_per_octave: int = 24
    lowest: float = 30.0  # Hz
    highest: float = 17_000.0

    @property
    def frames_per_second(self) -> int:
        return exact_div(self.sample_rate, self.hop_length)


CONFIG = BeatNetConfig()


def track(mono: Array, sample_rate: int) -> Beats:
    """Beats, bars and tempo of a mono signal (samples,) as BeatNet hears them, decoded as musex decodes its own.

    Raises:
        ModelError: the weights are not there.
    """
    return decode(activations(mono, sample_rate), CONFIG.frames_per_second)


def activations(mono: Array, sample_rate: int) -> Array:
    """Probabilities of a beat and of a downbeat, (frames, 2), the mean over the networks; frames as in `decode`."""
    if sample_rate != CONFIG.sample_rate:
        mono = soxr.resample(mono, sample_rate, CONFIG.sample_rate, quality="HQ")
    return np.asarray(_listen(analyse(mono), load_weights()).mean(axis=0))


@cache
def load_weights(path: Path = WEIGHTS) -> Mapping[str, Array]:
    """Weights by name, float32 (networks, …); raises ModelError if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name].astype(np.float32) for name in stored.files}
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: install musex anew") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


@cache
def band_filters(config: BeatNetConfig = CONFIG) -> Array:
    """Triangles of unit area between neighbouring bands, (window_length // 2, bands), as madmom makes them.

    Bands that are nearest to the same bin are one; the lowest are as wide as a bin.
    """
    bins = config.window_length // 2
    hertz = np.arange(bins) * config.sample_rate / (2 * bins)
    lowest, highest = (np.log2(edge / 440.0) * config.bands_per_octave for edge in (config.lowest, config.highest))
    bands = 440.0 * 2.0 ** (np.arange(np.ceil(lowest), np.floor(highest) + 1) / config.bands_per_octave)
    above = np.clip(np.searchsorted(hertz, bands), 1, bins - 1)
    nearest = np.unique(above - (bands - hertz[above - 1] < hertz[above] - bands))
    filters = np.zeros((bins, len(nearest) - 2), np.float32)
    for band, (start, centre, stop) in enumerate(zip(nearest[:-2], nearest[1:-1], nearest[2:], strict=True)):
        if stop - start < 2:
            filters[start, band] = 1.0
            continue
        filters[start:centre, band] = np.linspace(0.0, 1.0, centre - start, endpoint=False)
        filters[centre:stop, band] = np.linspace(1.0, 0.0, stop - centre, endpoint=False)
    return np.asarray(filters / filters.sum(axis=0))


def analyse(mono: Array, config: BeatNetConfig = CONFIG) -> Array:
    """Features of a mono signal at the networks' rate, float32 (frames, 2 × bands).

    Logarithmic bands of the magnitude spectrum, then how much each rose since the frame before. Frame n is centred on
    the middle of its hop.
    """
    frames = -(-len(mono) // config.hop_length)
    before = config.window_length // 2 - config.hop_length // 2
    after = config.window_length + max(0, (frames - 1) * config.hop_length - before - len(mono))
    padded = np.pad(np.asarray(mono, np.float32), (before, after))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.window_length)[:: config.hop_length][:frames]
    taper = np.hanning(config.window_length).astype(np.float32)
    filters = band_filters(config)
    bands = np.empty((frames, filters.shape[1]), np.float32)
    for start in range(0, frames, BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        magnitude = np.abs(np.fft.rfft(windows[block] * taper))[:, : len(filters)]
        bands[block] = np.log10(1.0 + magnitude @ filters)
    return np.hstack([bands, np.maximum(0.0, np.diff(bands, axis=0, prepend=0.0))])


def _listen(features: Array, weights: Mapping[str, Array]) -> Array:
    """What the networks say, (networks, frames, 2): convolution over the bands, two recurrent layers, softmax.

    Stretches of the song are heard side by side, each after so much of what precedes it that nothing is missed: the
    first one after silence. A song is so heard in a fraction of the steps.
    """
    warm, step = WARM_UP_FRAMES, STRETCH_FRAMES
    count = max(1, -(-len(features) // step))
    padded = np.pad(features, ((warm, count * step - len(features)), (0, 0)))
    stretches = np.lib.stride_tricks.sliding_window_view(padded, warm + step, axis=0)[::step].transpose(0, 2, 1)
    hidden = _apply(_convolve(stretches, weights), weights["linear0.weight"], weights["linear0.bias"])
    for level in (0, 1):
        bias = weights[f"lstm.bias_ih_l{level}"] + weights[f"lstm.bias_hh_l{level}"]
        inputs = _apply(hidden, weights[f"lstm.weight_ih_l{level}"], bias)
        hidden = _recur(inputs, weights[f"lstm.weight_hh_l{level}"])
    logits = _apply(hidden[:, :, warm:], weights["linear.weight"], weights["linear.bias"])  # beat, downbeat, neither
    shares = np.exp(logits - logits.max(axis=3, keepdims=True))
    shares /= shares.sum(axis=3, keepdims=True)
    shares = shares.reshape(len(shares), -1, shares.shape[3])[:, : len(features)]
    return np.stack([shares[:, :, 0] + shares[:, :, 1], shares[:, :, 1]], axis=2)


def _convolve(stretches: Array, weights: Mapping[str, Array]) -> Array:
    """Features (stretches, frames, bands) convolved over the bands and pooled: (networks, stretches, frames, …)."""
    kernels = weights["conv1.weight"][:, :, 0]  # (networks, 2 channels, 10 bands)
    networks, channels, reach = kernels.shape
    width = stretches.shape[2]
    places = np.arange((width - reach + 1) // 2 * 2)  # pooled by twos; an odd one is left out
    matrix = np.zeros((networks, width, channels, len(places)), np.float32)  # the convolution as a product
    for band in range(reach):
        matrix[:, places + band, :, places] = kernels[:, :, band]
    convolved = stretches @ matrix.reshape(networks, 1, width, -1)
    convolved = (
        convolved.reshape(*convolved.shape[:3], channels, -1, 2) + weights["conv1.bias"][:, None, None, :, None, None]
    )
    return np.asarray(np.maximum(convolved.max(axis=5), 0.0).reshape(*convolved.shape[:3], -1))


def _apply(hidden: Array, weight: Array, bias: Array) -> Array:
    """A linear layer of each network, (networks, stretches, frames, inputs) to the same with its outputs."""
    return np.asarray(hidden @ weight.transpose(0, 2, 1)[:, None] + bias[:, None, None])


def _recur(inputs: Array, recurrent: Array) -> Array:
    """States (networks, stretches, frames, units) of long short-term memories.

    `inputs` (networks, stretches, frames, 4 × units) are what the layer below adds to the gates.
    """
    networks, stretches, frames, width = inputs.shape
    units = width // 4
    turned = np.ascontiguousarray(recurrent.transpose(0, 2, 1))
    states = np.empty((networks, stretches, frames, units), np.float32)
    state, cell = np.zeros((2, networks, stretches, units), np.float32)
    for frame in range(frames):
        gates = inputs[:, :, frame] + state @ turned
        opened = 0.5 + 0.5 * np.tanh(0.5 * gates)  # the logistic function
        enters, stays, leaves = opened[..., :units], opened[..., units : 2 * units], opened[..., 3 * units :]
        cell = stays * cell + enters * np.tanh(gates[..., 2 * units : 3 * units])
        state = leaves * np.tanh(cell)
        states[:, :, frame] = state
    return states
