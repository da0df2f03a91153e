"""The exact place of a jump on the waveform: its lag, its cut and its fade, and how well it joins."""

from dataclasses import dataclass, replace

import numpy as np

from musex.plans import Seam
from musex.seams.crossfade import crossfade
from musex.seams.fades import first_fade, widest_fade

Array = np.ndarray


@dataclass(frozen=True)
class AlignmentConfig:
    """How a seam's exact place is searched; seconds unless the name says otherwise."""

    onset_rate: int = 11_025  # Hz, at most; onsets are compared at this rate
    onset_hop: float = 0.005
    onset_window: int = 256  # samples at the onset rate
    reach: float = 0.9  # onsets compared on both sides of the place
    onset_lag: float = 0.15
    wave_lag: float = 0.010
    wave_reach: float = 0.2
    least_pulse: float = 0.25  # onset correlation below which the music has no pulse to follow
    level_reach: float = 1.0
    kept_slide: float = 0.4  # of what a cut may slide by, where something begins


ALIGNMENT = AlignmentConfig()


def _excerpt(samples: Array, start: int, stop: int) -> Array:
    """Samples [start, stop) of (frames, channels), silence beyond the song's ends."""
    inside = samples[max(start, 0) : max(stop, 0)]
    before, after = max(-start, 0), max(stop - max(len(samples), start), 0)
    return np.pad(inside, ((min(before, stop - start), after), (0, 0))) if before or after else inside


def _mono(samples: Array) -> Array:
    """Sum of the channels, or the loudest one where they cancel: (frames, channels) to float32 (frames,)."""
    mono = samples[:, 0].astype(np.float32)
    for channel in range(1, samples.shape[1]):
        mono += samples[:, channel]
    energies = np.einsum("fc,fc->c", samples, samples)
    if np.dot(mono, mono) < 0.05 * energies.sum():
        return samples[:, int(np.argmax(energies))].astype(np.float32)
    return mono


def _hop_length(sample_rate: int, config: AlignmentConfig) -> tuple[int, int]:
    """The decimation for onsets, and the hop in samples at the full rate (a multiple of it)."""
    factor = max(1, sample_rate // config.onset_rate)
    return factor, factor * max(1, round(config.onset_hop * sample_rate / factor))


def onset_strength(mono: Array, sample_rate: int, config: AlignmentConfig = ALIGNMENT) -> Array:
    """Rise of the compressed spectrum every 5 ms: float32 (len(mono) // hop,), entry n is centred on hop n's middle."""
    factor, hop = _hop_length(sample_rate, config)
    low = mono[: len(mono) // factor * factor].reshape(-1, factor).mean(axis=1)
    count, hop = len(mono) // hop, hop // factor
    before = (config.onset_window - hop) // 2
    padded = np.pad(low, (before + hop, config.onset_window))
    windows = np.lib.stride_tricks.sliding_window_view(padded, config.onset_window)[::hop][: count + 1]
    window = np.hanning(config.onset_window).astype(np.float32)
    spectrum = np.log1p(np.float32(300.0) * np.abs(np.fft.rfft(windows * window)).astype(np.float32))
    return np.asarray(np.maximum(np.diff(spectrum, axis=0), 0.0).mean(axis=1), np.float32)


class FluxReference:
    """A song's own spectral flux: how strong the strongest rise within a stretch of some length usually is."""

    def __init__(self, samples: Array, sample_rate: int, *, excerpts: int = 60) -> None:
        """Hear a second at places all over samples (frames, channels)."""
        length = min(len(samples), sample_rate)
        starts = np.linspace(0, len(samples) - length, excerpts).astype(int)
        self._strengths = [onset_strength(_mono(samples[start : start + length]), sample_rate) for start in starts]
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


def _correlations(fixed: Array, moving: Array) -> Array:
    """Normalised correlation of `fixed` (n,) with every stretch of `moving` (n + lags - 1,): float64 (lags,)."""
    size = 1 << (len(moving) + len(fixed) - 1).bit_length()
    spectrum = np.fft.rfft(moving, size) * np.conj(np.fft.rfft(fixed, size))
    lags = len(moving) - len(fixed) + 1
    products = np.fft.irfft(spectrum, size)[:lags].astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(moving.astype(np.float64) ** 2)])
    energy = energy[len(fixed) :] - energy[: -len(fixed)]
    floor = 1e-7 * float(energy.max(initial=0.0)) + 1e-12  # float32 noise in near silence is no agreement
    return np.asarray(products / np.sqrt(np.maximum(energy, floor) * max(float(np.dot(fixed, fixed)), 1e-12)))


def _follow_onsets(
    fixed: Array, moving: Array, lags: Array, allowed: tuple[float, float], *, config: AlignmentConfig
) -> tuple[int, float]:
    """The lag in hops (from `lags`) at which attacks fall together, and their correlation there.

    Both envelopes are smoothed over three hops, so that a lag between two hops is still seen.
    """
    kernel = np.array([0.5, 1.0, 0.5])
    weights = np.hanning(len(fixed) + 2)[1:-1]
    fixed = np.convolve(fixed, kernel, mode="same")
    moving = np.convolve(moving, kernel, mode="same")
    found = _correlations((fixed - fixed.mean()) * weights, moving - moving.mean())
    found = np.where((lags >= allowed[0]) & (lags <= allowed[1]), found, -2.0)
    best = int(np.argmax(found - 0.002 * np.abs(lags)))
    if found[best] < config.least_pulse:
        nearest = min(max(0, round(allowed[0])), round(allowed[1]))
        return nearest, max(float(found[best]), 0.0)
    return int(lags[best]), float(found[best])


def _rhythm_error(fixed: Array, moving: Array, hop_ms: float) -> float | None:
    """How far the attacks lie apart after alignment, in ms: the nearest peak of their correlation within ±70 ms.

    None where they have too little in common to tell.
    """
    reach = max(1, round(70.0 / hop_ms))
    kernel = np.array([0.5, 1.0, 0.5])
    fixed, moving = np.convolve(fixed, kernel, mode="same"), np.convolve(moving, kernel, mode="same")
    inner = fixed[reach : len(fixed) - reach]
    found = _correlations(inner - inner.mean(), moving - moving.mean())
    best = int(np.argmax(found))
    if found[best] < 0.25:
        return None
    if found[best] - found[reach] < 0.02:
        return 0.0
    shift = 0.0
    if 0 < best < len(found) - 1:
        left, middle, right = found[best - 1 : best + 2]
        shift = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)
    return float(abs(best - reach + shift) * hop_ms)


def _choose_cut(
    leaving: Array, entering: Array, onsets: Array, *, hop: int, fade: int, reach: int, allowed: tuple[int, int]
) -> int:
    """Where least changes, in samples from the coarse place: where both agree or are quiet, away from attacks.

    Args:
        leaving: mono samples around the place left, (n,), the coarse place in the middle.
        entering: the same around the place entered, aligned.
        onsets: greater of both sides' onset strength per hop, (n // hop,).
        hop: samples per entry of `onsets`.
        fade: samples of the crossfade that there will be.
        reach: furthest cut from the coarse place, samples.
        allowed: first and last cut that the spans leave room for, samples.
    """
    hops = len(onsets)
    energy = np.add.reduceat(leaving**2 + entering**2, np.arange(hops) * hop)
    change = np.add.reduceat((leaving - entering) ** 2, np.arange(hops) * hop)
    kernel = np.hanning(max(6, fade // hop) + 2)[1:-1]
    kernel /= kernel.sum()
    energy = np.convolve(energy, kernel, mode="same") + 1e-9
    ratio = np.convolve(change, kernel, mode="same") / energy
    loudness = np.sqrt(energy / energy.mean())
    attacks = np.convolve(onsets, kernel, mode="same") / (onsets.mean() + 1e-9)
    places = (np.arange(hops) - hops // 2) * hop
    away = np.abs(places) / max(reach, 1)
    score = ratio * loudness + 0.3 * np.minimum(attacks, 2.0) + 0.05 * away
    score[(np.abs(places) > reach) | (places < allowed[0]) | (places > allowed[1])] = np.inf
    best = int(np.argmin(score))
    return int(places[best]) if np.isfinite(score[best]) else min(max(0, allowed[0]), allowed[1])


def _similarity(one: Array, other: Array) -> float:
    """Correlation of two stretches over all channels together, -1 to 1; 1 if both are silent."""
    one, other = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    energy = np.sqrt(np.dot(one, one) * np.dot(other, other))
    return 1.0 if energy < 1e-9 else float(np.clip(np.dot(one, other) / energy, -1.0, 1.0))


def _level_db(samples: Array) -> float:
    return float(10.0 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-10)) if samples.size else -100.0


def _levels_around(samples: Array, sample_rate: int, place: int, config: AlignmentConfig = ALIGNMENT) -> Array:
    """Levels in dB of the second before a sample and of the second from it on, (2,)."""
    second = round(config.level_reach * sample_rate)
    sides = samples[max(place - second, 0) : place], samples[place : place + second]
    return np.array([_level_db(side) for side in sides])


def level_step(
    samples: Array, sample_rate: int, leave: int, enter: int, *, config: AlignmentConfig = ALIGNMENT
) -> float:
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


def level_error(
    samples: Array, sample_rate: int, leave: int, enter: int, *, config: AlignmentConfig = ALIGNMENT
) -> float:
    """What a jump's `level_step` has beyond the song's own, see `beyond_own`, in dB."""
    left, entered = (_levels_around(samples, sample_rate, place, config) for place in (leave, enter))
    return float(beyond_own(entered[1] - left[0], left[1] - left[0], entered[1] - entered[0]))


def align_seam(
    samples: Array,
    sample_rate: int,
    leave: int,
    enter: int,
    *,
    lags: tuple[int, int] | None = None,
    slide: float = 0.25,
    keeps_place: bool = False,
    reference: FluxReference | None = None,
    config: AlignmentConfig = ALIGNMENT,
) -> Seam:
    """Find the exact place of a jump on the waveform: first the lag (attacks, then phase), then the cut and its fade.

    Args:
        samples: the song, float32 (frames, channels).
        sample_rate: Hz.
        leave: where the jump leaves, about, in samples.
        enter: where it goes on, about, in samples.
        lags: least and greatest change of `enter - leave`, samples; ±150 ms if not given.
        slide: how far the cut may move along, seconds.
        keeps_place: whether the cut shall stay near `enter`, as where something begins: it slides less then.
        reference: the song's own flux, found here if not given.
        config: search windows.

    Returns:
        The seam, with `at` zero: only the chain knows where in the output it will be.
    """
    hop = _hop_length(sample_rate, config)[1]
    most = round(config.onset_lag * sample_rate)
    low, high = lags or (-most, most)
    reach = round(config.reach * sample_rate) // hop * hop
    margin = -(-max(abs(low), abs(high)) // hop) * hop + 4 * hop
    left = _mono(_excerpt(samples, leave - reach, leave + reach))
    right = _mono(_excerpt(samples, enter - reach - margin, enter + reach + margin))
    left_onsets, right_onsets = onset_strength(left, sample_rate), onset_strength(right, sample_rate)
    lag_hops = np.arange(-(margin // hop), margin // hop + 1)
    allowed = (low / hop, high / hop)
    lag, pulse = _follow_onsets(left_onsets, right_onsets, lag_hops, allowed, config=config)
    lag = int(np.clip(lag * hop, low, high))

    near = round(config.wave_reach * sample_rate)
    search = round(config.wave_lag * sample_rate)
    lag = _refine(left, right, reach, margin, near=near, search=search, lag=lag, limits=(low, high))

    shift = margin + lag
    aligned = right[shift : shift + 2 * reach]
    first = round(shift / hop)
    aligned_onsets = right_onsets[first : first + len(left_onsets)]
    aligned_onsets = np.pad(aligned_onsets, (0, len(left_onsets) - len(aligned_onsets)))
    onsets = np.maximum(left_onsets, aligned_onsets)
    widest = widest_fade(slide, sample_rate)
    half = widest // 2 + 1
    room = (half - min(leave, enter + lag), len(samples) - half - max(leave, enter + lag))
    far = min(round(slide * (config.kept_slide if keeps_place else 1.0) * sample_rate), reach // 2)
    cut = _choose_cut(left, aligned, onsets, hop=hop, fade=widest, reach=far, allowed=room)
    lag = _refine(left, right, reach + cut, margin, near=near // 3, search=search // 2, lag=lag, limits=(low, high))

    leave, enter = leave + cut, enter + cut + lag
    around = round(0.015 * sample_rate)
    correlation = _similarity(
        _excerpt(samples, leave - around, leave + around), _excerpt(samples, enter - around, enter + around)
    )
    fade = first_fade(correlation, slide, sample_rate)
    seam = Seam(
        at=0,
        leave=leave,
        enter=enter,
        fade=0,
        correlation=0.0,
        level_db=level_error(samples, sample_rate, leave, enter, config=config),
        flux_percentile=0.0,
        rhythm_ms=_rhythm_error(left_onsets, aligned_onsets, 1000.0 * hop / sample_rate) if pulse > 0.0 else None,
    )
    if reference is None:
        reference = FluxReference(samples, sample_rate)
    return fade_over(samples, sample_rate, seam, fade, reference=reference)


def measure_seam(samples: Array, sample_rate: int, seam: Seam, reference: FluxReference) -> Seam:
    """The same seam with the measures of its place, whatever it says of them; `reference` is the song's own flux."""
    reach = round(ALIGNMENT.reach * sample_rate)
    before, after = (
        onset_strength(_mono(_excerpt(samples, place - reach, place + reach)), sample_rate)
        for place in (seam.leave, seam.enter)
    )
    hop = _hop_length(sample_rate, ALIGNMENT)[1]
    seam = replace(
        seam,
        level_db=level_error(samples, sample_rate, seam.leave, seam.enter),
        rhythm_ms=_rhythm_error(before, after, 1000.0 * hop / sample_rate),
    )
    return fade_over(samples, sample_rate, seam, seam.fade, reference=reference)


def fade_over(samples: Array, sample_rate: int, seam: Seam, fade: int, *, reference: FluxReference) -> Seam:
    """The same seam with a crossfade of `fade` samples (even); `reference` is the song's own flux."""
    half = fade // 2
    sides = (samples[place - half : place + half] for place in (seam.leave, seam.enter))
    seam = replace(seam, fade=fade, correlation=_similarity(*sides))
    return replace(seam, flux_percentile=_flux_percentile(samples, sample_rate, seam, reference))


def _refine(
    left: Array,
    right: Array,
    centre: int,
    margin: int,
    *,
    near: int,
    search: int,
    lag: int,
    limits: tuple[int, int],
) -> int:
    """The lag near `lag` at which the waveforms agree best around sample `centre` of `left`.

    `right` starts `margin` samples earlier than `left` and ends as much later.
    """
    first, last = max(limits[0], lag - search, -margin), min(limits[1], lag + search, margin)
    start, stop = max(centre - near, 0), min(centre + near, len(left))
    if first >= last or stop <= start:
        return lag
    found = _correlations(left[start:stop], right[margin + start + first : margin + stop + last])
    if lag < first or lag > last:
        return first + int(np.argmax(found))
    here = float(found[lag - first])
    best = int(np.argmax(found))
    return first + best if found[best] > here + 1e-6 else lag


def _flux_percentile(samples: Array, sample_rate: int, seam: Seam, reference: FluxReference) -> float:
    """The flux of the crossfade, once rendered, among the song's own, in percent."""
    half, around = seam.fade // 2, sample_rate // 10
    rendered = np.concatenate(
        [
            _excerpt(samples, seam.leave - half - around, seam.leave - half),
            crossfade(samples, seam),
            _excerpt(samples, seam.enter + half, seam.enter + half + around),
        ]
    )
    strength = onset_strength(_mono(rendered), sample_rate)
    middle = len(strength) // 2
    reach = max(4, round(half / _hop_length(sample_rate, ALIGNMENT)[1]))
    return reference.percentile(strength[max(middle - reach, 0) : middle + reach])
