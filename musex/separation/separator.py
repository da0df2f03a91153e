"""Drums and bass of a song, by masks on its spectrogram that the exported separator predicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import SeparatorConfig
from musex.errors import ModelError
from musex.prediction.described import SEPARATOR_FILE, find_network, load_described, read_description
from musex.prediction.litert import run
from musex.system.arrays import Array
from musex.system.json_files import check_types

STEMS = ("drums", "bass")
FLOOR = 1e-3  # of the level of white noise as loud as the song: what lies below is silence to the network
OVERLAP = 4  # frames of a spectrogram that a sample lies in
LEAST_RMS = 1e-6  # of what is taken for a song at all
MOST_FRAMES = 4096  # of a block


def window_of(n_fft: int) -> Array:
    """The periodic Hann window, float32 (n_fft,); squared, it adds up to 1.5 over four frames."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft), np.float32)


def spectra_of(samples: Array, n_fft: int, hop_length: int) -> Array:
    """Spectra of frames that begin `hop_length` after one another, complex64 (frames, n_fft // 2 + 1, channels).

    Args:
        samples: float32 (samples, channels), `n_fft` or more.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft, axis=0)[::hop_length]
    spectra = np.fft.rfft(frames * window_of(n_fft), axis=-1)
    return np.ascontiguousarray(np.swapaxes(spectra, 1, 2).astype(np.complex64, copy=False))


def group_cells(values: Array, config: SeparatorConfig) -> Array:
    """Sums over the bins of each cell, (..., bins, channels) to (..., cells, channels)."""
    fine, coarse = values[..., : config.fine_bins, :], values[..., config.fine_bins : config.bins, :]
    groups = coarse.reshape(*coarse.shape[:-2], -1, config.group_bins, coarse.shape[-1])
    return np.concatenate([fine, groups.sum(axis=-2)], axis=-2)


def levels_of(spectra: Array, rms: float, config: SeparatorConfig) -> Array:
    """What the network hears of spectra (frames, bins, 2), float32 (frames, cells, 3): left, right, their difference.

    They are logarithms of amplitudes in parts of those of white noise whose root of the mean square is `rms`.
    """
    left, right = spectra[..., : config.bins, 0], spectra[..., : config.bins, 1]
    powers = np.empty((*left.shape, 3), np.float32)
    for number, view in enumerate((left, right, left - right)):
        powers[..., number] = view.real**2 + view.imag**2  # far faster than the amplitude of complex numbers
    cells = group_cells(powers, config)
    cells[..., config.fine_bins :, :] /= config.group_bins
    amplitudes = np.sqrt(cells) * np.float32(1.0 / (np.sqrt(0.375 * config.n_fft) * rms)) + np.float32(FLOOR)
    return np.asarray(np.log(amplitudes) * np.float32(1.0 / np.log(10.0)) + np.float32(1.0))


class Separator:
    """A loaded `separator.tflite`."""

    def __init__(self, path: Path | None = None) -> None:
        """Load a file, or the one in a folder; the packaged one if there is none, or nothing is named.

        Raises ModelError if it is damaged or another network.
        """
        self.path = find_network(path, SEPARATOR_FILE)
        description = read_description(self.path)
        self.config = self._read_config(description)
        shape = (1, self.config.block_frames, self.config.cells, 3)
        self.runner, self.sha256 = load_described(self.path, {"levels": shape}, description)
        if self.runner.shapes["levels"] != shape:
            raise ModelError(f"{self.path} does not hear what its description says: train it again")

    def _read_config(self, settings: dict[str, Any]) -> SeparatorConfig:
        try:
            content = dict(settings["config"])
            lists = {name: tuple(content[name]) for name in ("widths", "dilations")}
            config = SeparatorConfig(**content | lists | {"bands": tuple(map(tuple, content["bands"]))})
            check_types(config)
            if not 0 < 2 * config.overlap_frames <= config.block_frames <= MOST_FRAMES or config.cells < 1:
                raise ValueError("its blocks overlap too far, or are too long")
            if config.n_fft != OVERLAP * config.hop_length or not 0 < config.sample_rate < 1_000_000:
                raise ValueError("its spectrogram is another one")
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self.path} is no separator of this musex: train it again ({error})") from error
        return config

    def separate(self, samples: Array, sample_rate: int) -> dict[str, Array]:
        """Drums and bass of a song, each float32 as `samples`; what is left of it is the rest.

        Args:
            samples: float32 (frames, channels) or (frames,), at any sample rate; channels are taken by two.
            sample_rate: Hz.

        Raises:
            ModelError: the network gives what is no number.
        """
        shaped = samples[:, None] if samples.ndim == 1 else samples
        stems = {stem: np.zeros(shaped.shape, np.float32) for stem in STEMS}
        for first in range(0, shaped.shape[1], 2):
            pair = slice(first, min(first + 2, shaped.shape[1]))
            self._separate_pair(shaped[:, pair], sample_rate, [stems[stem][:, pair] for stem in STEMS])
        return {stem: sound.reshape(samples.shape) for stem, sound in stems.items()}

    def _separate_pair(self, samples: Array, sample_rate: int, outputs: list[Array]) -> None:
        """Add the stems of one or two channels to `outputs`, block by block."""
        rms = _rms_of(samples)
        if rms < LEAST_RMS:
            return
        hop = self._hop_at(sample_rate)
        n_fft, window = OVERLAP * hop, window_of(OVERLAP * hop) / np.float32(1.5)
        for first, masks in self._masks_at(samples, sample_rate, rms):
            start = (first - 1) * hop - n_fft // 2  # frame 1 has its middle at the first sample
            stop = start + (len(masks[0]) - 1) * hop + n_fft
            spectra = spectra_of(_cut(samples, start, stop), n_fft, hop)
            inside = slice(max(start, 0), min(stop, len(samples)))
            for output, mask in zip(outputs, masks, strict=True):
                masked = np.swapaxes(spectra * mask[..., : spectra.shape[-1]], 1, 2)
                frames = np.fft.irfft(masked, n_fft, axis=-1).astype(np.float32, copy=False) * window
                sound = np.zeros((stop - start, spectra.shape[-1]), np.float32)
                for part in range(OVERLAP):  # every fourth frame begins where the last one ends
                    some = np.swapaxes(frames[part::OVERLAP], 1, 2).reshape(-1, spectra.shape[-1])
                    sound[part * hop : part * hop + len(some)] += some
                output[inside] += sound[inside.start - start : inside.stop - start]

    def _hop_at(self, sample_rate: int) -> int:
        """Samples from frame to frame: about as long as the network's, and no length that a transform is slow at."""
        if sample_rate == self.config.sample_rate:
            return self.config.hop_length
        return max(16, 16 * round(self.config.hop_length * sample_rate / self.config.sample_rate / 16))

    def _masks_at(self, samples: Array, sample_rate: int, rms: float) -> Iterator[tuple[int, list[Array]]]:
        """Masks of the spectrogram at the song's own rate: number of the first frame, and (frames, bins, 2) by stem."""
        config, hop = self.config, self._hop_at(sample_rate)
        n_fft, count = OVERLAP * hop, -(-len(samples) // hop) + 3
        pace = hop / sample_rate * config.sample_rate / config.hop_length  # frames of the network in one
        bins = np.rint(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft * config.n_fft / config.sample_rate))
        cells = np.where(
            bins < config.fine_bins, bins, config.fine_bins + (bins - config.fine_bins) // config.group_bins
        )
        cells = np.minimum(cells, config.cells - 1).astype(np.int64)
        held: list[Array] | None = None
        done = 0
        for start, block in self._masks(samples, sample_rate, rms):
            before = 0 if held is None else len(held[0])
            block = [np.concatenate([old, new]) for old, new in zip(held, block, strict=True)] if held else block
            start -= before
            ready = start + len(block[0]) - 1
            number = np.arange(done, count)
            places = 1.0 + pace * (number - 1)  # in the network's frames; both have frame 1 at the first sample
            number = number[places <= ready] if ready < self._count(samples, sample_rate) - 1 else number
            if len(number):
                places = np.clip(places[: len(number)] - start, 0, len(block[0]) - 1)
                yield done, [_interpolate(mask, places)[:, cells] for mask in block]
                done += len(number)
            held = [mask[-2:] for mask in block]

    def _count(self, samples: Array, sample_rate: int) -> int:
        """The network's frames in a song: one before it, and two after."""
        return -(-len(samples) * self.config.sample_rate // (sample_rate * self.config.hop_length)) + 3

    def _masks(self, samples: Array, sample_rate: int, rms: float) -> Iterator[tuple[int, list[Array]]]:
        """Masks of the network's spectrogram, blocks without gaps: first frame, and (frames, cells, 2) by stem."""
        config, count = self.config, self._count(samples, sample_rate)
        rise = (np.arange(config.overlap_frames, dtype=np.float32) + 0.5)[:, None, None] / config.overlap_frames
        ahead = config.block_frames - config.overlap_frames
        tails: list[Array] = []
        for start in range(0, max(1, count - config.overlap_frames), ahead):
            masks = self._predict(self._levels(samples, sample_rate, rms, start))
            for mask, tail in zip(masks, tails, strict=False):
                mask[: len(tail)] = tail + rise * (mask[: len(tail)] - tail)
            tails = [mask[ahead:] for mask in masks]
            stop = count - start if start + config.block_frames >= count else ahead
            yield start, [mask[:stop] for mask in masks]

    def _levels(self, samples: Array, sample_rate: int, rms: float, start: int) -> Array:
        """What the network hears of the block from a frame on, (1, block_frames, cells, 3); silence beyond the song."""
        config = self.config
        first = (start - 1) * config.hop_length - config.n_fft // 2
        last = first + (config.block_frames - 1) * config.hop_length + config.n_fft
        sound = _cut_at(samples, sample_rate, config.sample_rate, (first, last))
        sound = np.repeat(sound, 2, axis=1) if sound.shape[1] == 1 else sound
        return levels_of(spectra_of(sound, config.n_fft, config.hop_length), rms, config)[None]

    def _predict(self, levels: Array) -> list[Array]:
        told = run(self.runner, levels=levels)
        shape = (*levels.shape[:3], 2)
        fits = set(told) == set(STEMS) and all(masks.shape == shape for masks in told.values())
        if not (fits and all(np.isfinite(masks).all() for masks in told.values())):
            raise ModelError(f"{self.path} does not answer as a separator does: train it again")
        return [told[stem][0] for stem in STEMS]


def _rms_of(samples: Array) -> float:
    """Root of the mean square, a stretch at a time."""
    power = sum(float(np.sum(np.square(part, dtype=np.float64))) for part in np.array_split(samples, 64))
    return float(np.sqrt(power / max(1, samples.size)))


def _cut(samples: Array, start: int, stop: int) -> Array:
    """A stretch of samples (frames, channels), with silence where there are none."""
    inside = samples[max(start, 0) : max(0, min(stop, len(samples)))]
    before = min(max(0, -start), stop - start)
    return np.asarray(np.pad(inside, ((before, stop - start - before - len(inside)), (0, 0))))


def _cut_at(samples: Array, sample_rate: int, wanted: int, stretch: tuple[int, int]) -> Array:
    """A stretch, in samples at the rate that is wanted, resampled with a second to either side."""
    first, last = stretch
    if sample_rate == wanted:
        return _cut(samples, first, last)
    import soxr

    begin, end = first // wanted - 1, -(-last // wanted) + 1  # whole seconds
    sound = soxr.resample(_cut(samples, begin * sample_rate, end * sample_rate), sample_rate, wanted)
    return _cut(np.asarray(sound, np.float32), first - begin * wanted, last - begin * wanted)


def _interpolate(values: Array, places: Array) -> Array:
    """Values (frames, …) at places between their numbers, which may be whole."""
    before = np.floor(places).astype(np.int64)
    share = (places - before).astype(np.float32)[:, None, None]
    if not share.any():
        return np.asarray(values[before])
    after = np.minimum(before + 1, len(values) - 1)
    return np.asarray(values[before] + share * (values[after] - values[before]))
