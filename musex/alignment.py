"""The exact place of a jump on the waveform: its lag, its cut and its fade, and how well it joins."""

from dataclasses import dataclass, replace

import numpy as np

from musex.plans import Seam
from musex.stitch import crossfade

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
    shortest_fade: float = 0.012
    agreeing_fade: float = 0.030
    longest_fade: float = 0.120
    level_reach: float = 1.0


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


def flux_reference(samples: Array, sample_rate: int, *, excerpts: int = 60) -> Array:
    """The song's own spectral flux, sorted: the greatest within 40 ms, at places all over (frames, channels)."""
    length = min(len(samples), sample_rate)
    found = []
    for start in np.linspace(0, len(samples) - length, excerpts).astype(int):
        strength = onset_strength(_mono(samples[start : start + length]), sample_rate)
        found.append(np.lib.stride_tricks.sliding_window_view(strength, min(8, len(strength))).max(axis=1)[::2])
    return np.sort(np.concatenate(found))


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
    fixed: Array, moving: Array, lags: Array, allowed: tuple[float, float], config: AlignmentConfig
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


def _rhythm_error(fixed: Array, moving: Array, hop_ms: float) -> float:
    """How far the attacks lie apart after alignment, in ms: the nearest peak of their correlation within ±70 ms."""
    reach = max(1, round(70.0 / hop_ms))
    kernel = np.array([0.5, 1.0, 0.5])
    fixed, moving = np.convolve(fixed, kernel, mode="same"), np.convolve(moving, kernel, mode="same")
    inner = fixed[reach : len(fixed) - reach]
    found = _correlations(inner - inner.mean(), moving - moving.mean())
    best = int(np.argmax(found))
    if found[best] < 0.25 or found[best] - found[reach] < 0.02:
        return 0.0
    shift = 0.0
    if 0 < best < len(found) - 1:
        left, middle, right = found[best - 1 : best + 2]
        shift = 0.5 * (left - right) / min(left - 2 * middle + right, -1e-9)
    return float(abs(best - reach + shift) * hop_ms)


def _choose_cut(
    leaving: Array, entering: Array, onsets: Array, *, hop: int, reach: int, allowed: tuple[int, int]
) -> int:
    """Where least changes, in samples from the coarse place: where both agree or are quiet, right before an attack.

    Args:
        leaving: mono samples around the place left, (n,), the coarse place in the middle.
        entering: the same around the place entered, aligned.
        onsets: greater of both sides' onset strength per hop, (n // hop,).
        hop: samples per entry of `onsets`.
        reach: furthest cut from the coarse place, samples.
        allowed: first and last cut that the spans leave room for, samples.
    """
    hops = len(onsets)
    energy = np.add.reduceat(leaving**2 + entering**2, np.arange(hops) * hop)
    change = np.add.reduceat((leaving - entering) ** 2, np.arange(hops) * hop)
    kernel = np.ones(6)
    energy = np.convolve(energy, kernel, mode="same") + 1e-9
    ratio = np.convolve(change, kernel, mode="same") / energy
    loudness = np.sqrt(energy / energy.mean())
    attack = onsets / (np.quantile(onsets, 0.95) + 1e-6)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(attack, (3, 8)), 5)
    inside = windows[:hops].max(axis=1)  # from 15 ms before the cut to 10 ms after it
    following = windows[6 : 6 + hops].max(axis=1)  # an attack soon after masks what was changed
    places = (np.arange(hops) - hops // 2) * hop
    away = np.abs(places) / max(reach, 1)
    score = ratio * loudness + 0.6 * np.minimum(inside, 1.5) - 0.25 * np.minimum(following, 1.0) + 0.05 * away
    score[(np.abs(places) > reach) | (places < allowed[0]) | (places > allowed[1])] = np.inf
    best = int(np.argmin(score))
    return int(places[best]) if np.isfinite(score[best]) else min(max(0, allowed[0]), allowed[1])


def _similarity(one: Array, other: Array) -> float:
    """Correlation of two stretches over all channels together, -1 to 1; 1 if both are silent."""
    one, other = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    energy = np.sqrt(np.dot(one, one) * np.dot(other, other))
    return 1.0 if energy < 1e-9 else float(np.clip(np.dot(one, other) / energy, -1.0, 1.0))


def _fade_length(correlation: float, attack: float, config: AlignmentConfig) -> float:
    """Seconds of crossfade: short where both sides agree or attacks are near, longer the less they agree."""
    if correlation > 0.9:
        return config.agreeing_fade
    if attack > 0.5:
        return config.shortest_fade
    return config.longest_fade - 0.06 * max(correlation, 0.0)


def _level_db(samples: Array) -> float:
    return float(10.0 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-10)) if samples.size else -100.0


def align_seam(
    samples: Array,
    sample_rate: int,
    leave: int,
    enter: int,
    *,
    lags: tuple[int, int] | None = None,
    slide: float = 0.25,
    reference: Array | None = None,
    config: AlignmentConfig = ALIGNMENT,
) -> Seam:
    """Find the exact place of a jump on the waveform: first the lag (attacks, then phase), then the cut and its fade.

    Args:
        samples: the song, float32 (frames, channels).
        sample_rate: Hz.
        leave: where the jump leaves, about, in samples.
        enter: where it goes on, about, in samples.
        lags: least and greatest change of `enter - leave`, samples; ±150 ms if not given.
        slide: how far the cut may move along, seconds; also bounds the fade, so that spans of twice this stay whole.
        reference: the song's own flux, from `flux_reference`; found here if not given.
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
    lag, pulse = _follow_onsets(left_onsets, right_onsets, lag_hops, allowed, config)
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
    longest = min(round(config.longest_fade * sample_rate), round(slide * sample_rate))
    half = longest // 2 + 1
    room = (half - min(leave, enter + lag), len(samples) - half - max(leave, enter + lag))
    cut = _choose_cut(left, aligned, onsets, hop=hop, reach=min(round(slide * sample_rate), reach // 2), allowed=room)
    lag = _refine(left, right, reach + cut, margin, near=near // 3, search=search // 2, lag=lag, limits=(low, high))

    leave, enter = leave + cut, enter + cut + lag
    around = round(0.015 * sample_rate)
    correlation = _similarity(
        _excerpt(samples, leave - around, leave + around), _excerpt(samples, enter - around, enter + around)
    )
    middle = (reach + cut) // hop
    attack = float(onsets[max(middle - 8, 0) : middle + 12].max() / (np.quantile(onsets, 0.95) + 1e-6))
    strength = attack if pulse >= config.least_pulse else 0.0
    fade = min(round(_fade_length(correlation, strength, config) * sample_rate), longest) // 2 * 2
    fade = max(2, fade)
    half = fade // 2
    before, after = samples[leave - half : leave + half], samples[enter - half : enter + half]
    correlation = _similarity(before, after)
    second = round(config.level_reach * sample_rate)
    seam = Seam(
        at=0,
        leave=leave,
        enter=enter,
        fade=fade,
        correlation=correlation,
        level_db=_level_db(samples[enter : enter + second]) - _level_db(samples[max(leave - second, 0) : leave]),
        flux_percentile=0.0,
        rhythm_ms=_rhythm_error(left_onsets, aligned_onsets, 1000.0 * hop / sample_rate) if pulse > 0.0 else 0.0,
    )
    if reference is None:
        reference = flux_reference(samples, sample_rate)
    percentile = _flux_percentile(samples, sample_rate, seam, reference)
    return replace(seam, flux_percentile=percentile)


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


def _flux_percentile(samples: Array, sample_rate: int, seam: Seam, reference: Array) -> float:
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
    peak = strength[max(middle - reach, 0) : middle + reach + 1].max(initial=0.0)
    return float(100.0 * np.searchsorted(reference, peak) / max(len(reference), 1))
