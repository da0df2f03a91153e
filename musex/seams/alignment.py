"""The exact place of a jump on the waveform: its lag, its cut and its first crossfade."""

from dataclasses import dataclass

import numpy as np

from musex.plans import Seam
from musex.seams.fades import first_fade, widest_fade
from musex.seams.measures import (
    SMOOTHING,
    FluxReference,
    excerpt,
    fade_over,
    hop_length,
    level_error,
    normalised_correlations,
    onset_strength,
    rhythm_error,
    similarity,
    to_one_channel,
)
from musex.system.arrays import Array


@dataclass(frozen=True)
class AlignmentConfig:
    """How a seam's exact place is searched; seconds, and by choice, unless a line says otherwise."""

    reach: float = 0.9  # heard on both sides of the place
    onset_lag: float = 0.15  # that attacks may move the jump by, where nobody says how far
    smallest_lag: float = 0.002  # correlation that each hop of lag has to gain
    least_pulse: float = 0.25  # correlation of attacks below which the music has no pulse to follow
    wave_lag: float = 0.010  # that the waveform may then move it by
    wave_reach: float = 0.2  # of waveform compared for that
    cut_attacks: float = 0.3  # what an attack of the usual strength under the crossfade counts, where change counts 1
    cut_loudest: float = 2.0  # times the usual strength after which attacks count no more
    cut_away: float = 0.05  # what a cut as far as it may slide counts
    kept_slide: float = 0.4  # of what a cut may slide by, where something begins
    agreement: float = 0.015  # on both sides of the cut, by whose correlation the first crossfade is chosen


ALIGNMENT = AlignmentConfig()


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
    most = round(config.onset_lag * sample_rate)
    sides = _Sides(samples, sample_rate, (leave, enter), lags=lags or (-most, most), config=config)
    lag, pulse = sides.follow_attacks()
    lag = sides.follow_waveform(lag)
    widest = widest_fade(slide, sample_rate)
    half = widest // 2 + 1
    room = (half - min(leave, enter + lag), len(samples) - half - max(leave, enter + lag))
    far = min(round(slide * (config.kept_slide if keeps_place else 1.0) * sample_rate), sides.reach // 2)
    cut = sides.choose_cut(lag, fade=widest, reach=far, allowed=room)
    rhythm_ms = sides.rhythm_error(lag) if pulse > 0.0 else None
    lag = sides.follow_waveform(lag, cut=cut, closer=True)

    leave, enter = leave + cut, enter + cut + lag
    around = round(config.agreement * sample_rate)
    correlation = similarity(*(excerpt(samples, place - around, place + around) for place in (leave, enter)))
    level_db = level_error(samples, sample_rate, leave, enter)
    seam = Seam(0, leave, enter, 0, 0.0, level_db, 0.0, rhythm_ms)
    reference = reference or FluxReference(samples, sample_rate)
    return fade_over(samples, sample_rate, seam, first_fade(correlation, slide, sample_rate), reference=reference)


class _Sides:
    """Both sides of a jump in one channel, the one entered with a margin, so that it can be moved by a lag in samples.

    The lag is what is added to the jump's own; cuts are counted from where it leaves.
    """

    def __init__(
        self,
        samples: Array,
        sample_rate: int,
        jump: tuple[int, int],
        *,
        lags: tuple[int, int],
        config: AlignmentConfig,
    ) -> None:
        """Hear samples (frames, channels) around both ends of a jump; the lag stays within `lags`."""
        self.lags, self.config, self.sample_rate = lags, config, sample_rate
        self.hop = hop = hop_length(sample_rate)
        self.reach = reach = round(config.reach * sample_rate) // hop * hop
        self.margin = margin = -(-max(map(abs, lags)) // hop) * hop + 4 * hop
        leave, enter = jump
        self.left = to_one_channel(excerpt(samples, leave - reach, leave + reach))
        self.right = to_one_channel(excerpt(samples, enter - reach - margin, enter + reach + margin))
        self.left_onsets, self.right_onsets = (onset_strength(side, sample_rate) for side in (self.left, self.right))

    def follow_attacks(self) -> tuple[int, float]:
        """The lag at which attacks fall together, and their correlation there.

        Both envelopes are smoothed over three hops, so that a lag between two hops is still seen.
        """
        config, hop = self.config, self.hop
        weights = np.hanning(len(self.left_onsets) + 2)[1:-1]
        fixed, moving = (
            np.convolve(onsets, SMOOTHING, mode="same") for onsets in (self.left_onsets, self.right_onsets)
        )
        found = normalised_correlations((fixed - fixed.mean()) * weights, moving - moving.mean())
        lags = np.arange(-(self.margin // hop), self.margin // hop + 1)
        low, high = (lag / hop for lag in self.lags)
        found = np.where((lags >= low) & (lags <= high), found, -2.0)
        best = int(np.argmax(found - config.smallest_lag * np.abs(lags)))
        lag, pulse = int(lags[best]), float(found[best])
        if pulse < config.least_pulse:
            lag, pulse = min(max(0, round(low)), round(high)), max(pulse, 0.0)
        return int(np.clip(lag * hop, *self.lags)), pulse

    def follow_waveform(self, lag: int, *, cut: int = 0, closer: bool = False) -> int:
        """The lag near `lag` at which the waveforms agree best around a cut; with `closer`, less far from both."""
        config, left, margin = self.config, self.left, self.margin
        near, search = (round(seconds * self.sample_rate) for seconds in (config.wave_reach, config.wave_lag))
        near, search = (near // 3, search // 2) if closer else (near, search)
        first, last = max(self.lags[0], lag - search, -margin), min(self.lags[1], lag + search, margin)
        start, stop = max(self.reach + cut - near, 0), min(self.reach + cut + near, len(left))
        if first >= last or stop <= start:
            return lag
        found = normalised_correlations(left[start:stop], self.right[margin + start + first : margin + stop + last])
        best = int(np.argmax(found))
        if lag < first or lag > last:
            return first + best
        return first + best if found[best] > float(found[lag - first]) + 1e-6 else lag

    def entering(self, lag: int) -> tuple[Array, Array]:
        """The side entered at a lag, as long as the side left, and its onset strength per hop."""
        shift = self.margin + lag
        first, hops = round(shift / self.hop), len(self.left_onsets)
        onsets = self.right_onsets[first : first + hops]
        return self.right[shift : shift + 2 * self.reach], np.pad(onsets, (0, hops - len(onsets)))

    def rhythm_error(self, lag: int) -> float | None:
        """How far the attacks of both sides lie apart at a lag, in ms; see `musex.seams.measures.rhythm_error`."""
        return rhythm_error(self.left_onsets, self.entering(lag)[1], 1000.0 * self.hop / self.sample_rate)

    def choose_cut(self, lag: int, *, fade: int, reach: int, allowed: tuple[int, int]) -> int:
        """Where least changes: where both sides agree or are quiet, away from attacks.

        Args:
            lag: of the side entered.
            fade: samples of the crossfade that there will be.
            reach: furthest cut, samples.
            allowed: first and last cut that the spans leave room for, samples.
        """
        config, hop, left = self.config, self.hop, self.left
        entering, onsets = self.entering(lag)
        onsets = np.maximum(self.left_onsets, onsets)
        hops = len(onsets)
        energy = np.add.reduceat(left**2 + entering**2, np.arange(hops) * hop)
        change = np.add.reduceat((left - entering) ** 2, np.arange(hops) * hop)
        kernel = np.hanning(max(6, fade // hop) + 2)[1:-1]
        kernel /= kernel.sum()
        energy = np.convolve(energy, kernel, mode="same") + 1e-9
        ratio = np.convolve(change, kernel, mode="same") / energy
        loudness = np.sqrt(energy / energy.mean())
        attacks = np.convolve(onsets, kernel, mode="same") / (onsets.mean() + 1e-9)
        places = (np.arange(hops) - hops // 2) * hop
        away = np.abs(places) / max(reach, 1)
        score = ratio * loudness + config.cut_attacks * np.minimum(attacks, config.cut_loudest) + config.cut_away * away
        score[(np.abs(places) > reach) | (places < allowed[0]) | (places > allowed[1])] = np.inf
        best = int(np.argmin(score))
        return int(places[best]) if np.isfinite(score[best]) else min(max(0, allowed[0]), allowed[1])
