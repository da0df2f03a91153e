"""What a seam is measured by: level, flux, rhythm and how alike both sides are."""

from dataclasses import dataclass, replace

import numpy as np

from musex.analysis.correlation import sliding_products
from musex.plans import Seam
from musex.seams.crossfade import crossfade
from musex.system.arrays import Array


@dataclass(frozen=True)
class MeasureConfig:
    """How seams are heard when they are measured: by choice, not by measurement, unless a line says otherwise."""

    onset_rate: int = 11_025  # Hz, at most, at which attacks are heard
    onset_hop: float = 0.005  # seconds
    onset_window: int = 256  # samples at that rate
    compression: float = 300.0  # of spectra, in log(1 + so much times the magnitude)
    cancelled: float = 0.05  # of all channels' energy: if their sum has less, the loudest channel stands for them
    excerpts: int = 60  # of a second each, by whose flux a song's seams are judged
    flux_reach: float = 0.1  # seconds heard beyond both ends of a crossfade
    level_reach: float = 1.0  # seconds on each side whose levels are compared
    rhythm_reach: float = 0.9  # seconds on each side whose attacks are compared
    rhythm_lag_ms: float = 70.0  # farther apart attacks are no error of rhythm: beat and bar tell those
    rhythm_pulse: float = 0.25  # correlation of both sides' attacks below which nobody can tell
    rhythm_gain: float = 0.02  # by which another lag must fit better for there to be an error


MEASURES = MeasureConfig()
SMOOTHING = np.array([0.5, 1.0, 0.5])  # of onset strength, so that what falls between two hops is seen in both


def excerpt(samples: Array, start: int, stop: int) -> Array:
    """Samples [start, stop) of (frames, channels), silence beyond the song's ends."""
    inside = samples[max(start, 0) : max(stop, 0)]
    before, after = max(-start, 0), max(stop - max(len(samples), start), 0)
    return np.pad(inside, ((min(before, stop - start), after), (0, 0))) if before or after else inside


def to_one_channel(samples: Array) -> Array:
    """Sum of the channels, or the loudest one where they cancel: (frames, channels) to float32 (frames,)."""
    mono = samples[:, 0].astype(np.float32)
    for channel in range(1, samples.shape[1]):
        mono += samples[:, channel]
    energies = np.einsum("fc,fc->c", samples, samples)
    if np.dot(mono, mono) < MEASURES.cancelled * energies.sum():
        return samples[:, int(np.argmax(energies))].astype(np.float32)
    return mono


def decimation(sample_rate: int, config: MeasureConfig = MEASURES) -> int:
    """How many samples become one where attacks are heard."""
    return max(1, sample_rate // config.onset_rate)


def hop_length(sample_rate: int, config: MeasureConfig = MEASURES) -> int:
    """Samples, at the full rate, from one value of `onset_strength` to the next."""
    factor = decimation(sample_rate, config)
    return factor * max(1, round(config.onset_hop * sample_rate / factor))


def onset_strength(mono: Array, sample_rate: int, config: MeasureConfig = MEASURES) -> Array:
    """Rise of the compressed spectrum every 5 ms: float32 (len(mono) // hop,), entry n is centred on hop n's middle."""
    factor, hop = decimation(sample_rate, config), hop_length(sample_rate, config)
    low = mono[: len(mono) // factor * factor].reshape(-1, factor).mean(axis=1)
    count, hop = len(mono) // hop, hop // factor
    before = (config.onset_window - hop) // 2
    padded = np.pad(low, (before + hop, config.onset_window))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.onset_window)[::hop][: count + 1]
    window = np.hanning(config.onset_window).astype(np.float32)
    spectrum = np.log1p(np.float32(config.compression) * np.abs(np.fft.rfft(windows * window)).astype(np.float32))
    return np.asarray(np.maximum(np.diff(spectrum, axis=0), 0.0).mean(axis=1), np.float32)


class FluxReference:
    """A song's own spectral flux: how strong the strongest rise within a stretch of some length usually is."""

    def __init__(self, samples: Array, sample_rate: int, *, config: MeasureConfig = MEASURES) -> None:
        """Hear a second at places all over samples (frames, channels)."""
        length = min(len(samples), sample_rate)
        starts = np.linspace(0, len(samples) - length, config.excerpts).astype(int)
        self._strengths = [
            onset_strength(to_one_channel(samples[start : start + length]), sample_rate) for start in starts
        ]
        self._peaks: dict[int, Array] = {}

    def percentile(self, strength: Array) -> float:
        """Where the peak of a stretch (hops,) lies among those of the song's own stretches as long, in percent."""
        length = len(strength)
        if length not in self._peaks:
            own_peaks = [
                np.lib.stride_tricks.sliding_window_view(own, min(length, len(own))).max(axis=1)[::2]
                for own in self._strengths
            ]
            self._peaks[length] = np.sort(np.concatenate(own_peaks))
        peaks = self._peaks[length]
        return float(100.0 * np.searchsorted(peaks, strength.max(initial=0.0)) / max(len(peaks), 1))


def normalised_correlations(fixed: Array, moving: Array) -> Array:
    """Normalised correlation of `fixed` (n,) with every stretch of `moving` (n + lags - 1,): float64 (lags,)."""
    products = sliding_products(moving, fixed).astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(moving.astype(np.float64) ** 2)])
    energy = energy[len(fixed) :] - energy[: -len(fixed)]
    floor = 1e-7 * float(energy.max(initial=0.0)) + 1e-12  # float32 noise in near silence is no agreement
    return np.asarray(products / np.sqrt(np.maximum(energy, floor) * max(float(np.dot(fixed, fixed)), 1e-12)))


def rhythm_error(fixed: Array, moving: Array, hop_ms: float) -> float | None:
    """How far the attacks of both sides lie apart, in ms, by where they correlate best within `rhythm_lag_ms`.

    None where they have too little in common to tell.
    """
    reach = max(1, round(MEASURES.rhythm_lag_ms / hop_ms))
    fixed, moving = (np.convolve(onsets, SMOOTHING, mode="same") for onsets in (fixed, moving))
    inner = fixed[reach : len(fixed) - reach]
    found = normalised_correlations(inner - inner.mean(), moving - moving.mean())
    best = int(np.argmax(found))
    if found[best] < MEASURES.rhythm_pulse:
        return None
    if found[best] - found[reach] < MEASURES.rhythm_gain:
        return 0.0
    shift = 0.0
    if 0 < best < len(found) - 1:
        left, middle, right = found[best - 1 : best + 2]
        shift = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)
    return float(abs(best - reach + shift) * hop_ms)


def similarity(one: Array, other: Array) -> float:
    """Correlation of two stretches over all channels together, -1 to 1; 1 if both are silent."""
    one, other = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    energy = np.sqrt(np.dot(one, one) * np.dot(other, other))
    return 1.0 if energy < 1e-9 else float(np.clip(np.dot(one, other) / energy, -1.0, 1.0))


def _level_db(samples: Array) -> float:
    return float(10.0 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-10)) if samples.size else -100.0


def _levels_around(samples: Array, sample_rate: int, place: int, config: MeasureConfig = MEASURES) -> Array:
    """Levels in dB of the second before a sample and of the second from it on, (2,)."""
    second = round(config.level_reach * sample_rate)
    sides = samples[max(place - second, 0) : place], samples[place : place + second]
    return np.array([_level_db(side) for side in sides])


def level_step(samples: Array, sample_rate: int, leave: int, enter: int, *, config: MeasureConfig = MEASURES) -> float:
    """Level of the second after sample `enter` over that of the second before sample `leave`, in dB."""
    before, after = (_levels_around(samples, sample_rate, place, config) for place in (leave, enter))
    return float(after[1] - before[0])


def beyond_own(step: Array, *own: Array) -> Array:
    """Level steps of jumps, or how far they are from the song's own where they leave or enter, whichever is least.

    A kick on the first beat makes a step wherever a bar begins: to go on with it is no error.
    """
    least = np.asarray(step)
    for usual in own:
        least = np.where(np.abs(step - usual) < np.abs(least), step - usual, least)
    return least


def level_error(samples: Array, sample_rate: int, leave: int, enter: int, *, config: MeasureConfig = MEASURES) -> float:
    """What a jump's `level_step` has beyond the song's own, see `beyond_own`, in dB."""
    left, entered = (_levels_around(samples, sample_rate, place, config) for place in (leave, enter))
    return float(beyond_own(entered[1] - left[0], left[1] - left[0], entered[1] - entered[0]))


def measure_seam(samples: Array, sample_rate: int, seam: Seam, reference: FluxReference) -> Seam:
    """The same seam with the measures of its place, whatever it says of them; `reference` is the song's own flux."""
    reach = round(MEASURES.rhythm_reach * sample_rate)
    before, after = (
        onset_strength(to_one_channel(excerpt(samples, place - reach, place + reach)), sample_rate)
        for place in (seam.leave, seam.enter)
    )
    hop = hop_length(sample_rate)
    seam = replace(
        seam,
        level_db=level_error(samples, sample_rate, seam.leave, seam.enter),
        rhythm_ms=rhythm_error(before, after, 1000.0 * hop / sample_rate),
    )
    return fade_over(samples, sample_rate, seam, seam.fade, reference=reference)


def fade_over(samples: Array, sample_rate: int, seam: Seam, fade: int, *, reference: FluxReference) -> Seam:
    """The same seam with a crossfade of `fade` samples (even); `reference` is the song's own flux."""
    half = fade // 2
    sides = (samples[place - half : place + half] for place in (seam.leave, seam.enter))
    seam = replace(seam, fade=fade, correlation=similarity(*sides))
    return replace(seam, flux_percentile=_flux_percentile(samples, sample_rate, seam, reference))


def _flux_percentile(samples: Array, sample_rate: int, seam: Seam, reference: FluxReference) -> float:
    """The flux of the crossfade, once rendered, among the song's own, in percent."""
    half, around = seam.fade // 2, round(MEASURES.flux_reach * sample_rate)
    rendered = np.concatenate(
        [
            excerpt(samples, seam.leave - half - around, seam.leave - half),
            crossfade(samples, seam),
            excerpt(samples, seam.enter + half, seam.enter + half + around),
        ]
    )
    strength = onset_strength(to_one_channel(rendered), sample_rate)
    middle = len(strength) // 2
    reach = max(4, round(half / hop_length(sample_rate)))
    return reference.percentile(strength[max(middle - reach, 0) : middle + reach])
