"""How music goes on around a place, at the scale of phrases: what the judge of `musex.evaluation.phrase_judge` hears.

A place is a pair of seconds (leave, enter): what sounds is the 10 s before `leave`, and after it the 10 s from `enter`.
Untouched music has both alike. The 0.3 s on both sides of the place are left out, so that a splice says nothing:

    before                     hole    after
    [leave - 10, leave - 0.3)   ×   [enter + 0.3, enter + 10)

Music repeats itself after beats, bars and phrases, and goes on doing so: the lags at which each side is like itself are
those at which both are alike, across the place. After a jump the lags differ, or nothing is alike. So most of what is
said of a place compares two curves over the lag, the likeness within the sides and that across the place; the rest
compares means, deviations and nearest moments of both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from musex.analysis.features import analyse_frames, to_mono
from musex.config import FEATURES, FeatureConfig
from musex.system.arrays import Array

REACH_SECONDS = 10.0  # heard on both sides of a place
HOLE_SECONDS = 0.3  # left out on both sides of it
ROW_SECONDS = 0.1  # resolution of timbre, harmony and level
ATTACK_SECONDS = 0.05  # of attacks
ATTACK_BANDS = 4  # groups of bands whose attacks are told apart
TIMBRE_COEFFICIENTS = 12  # of the cepstrum
DYNAMIC_DB = 70.0  # what is further below the loudest band is silence
LAG_SECONDS = (1.0, 7.5)  # at which repetition is looked for
PASSAGES = (2.0, 4.0)  # seconds next to the place, looked for on the other side
SCALES = {0.75: 0.6, 2.5: 2.5}  # beats and bars: half the width of the trend removed, and the shifts tried, seconds
CHANGE_SECONDS = (0.5, 1.0, 2.0, 4.0, REACH_SECONDS - HOLE_SECONDS)
USUAL_CHANGE_SECONDS = (1.0, 2.0, 4.0)  # of these, compared with what changes elsewhere on both sides
PLACES_AT_ONCE = 16  # bounds memory, and is faster than more


@dataclass(frozen=True, eq=False)
class PhraseSong:
    """A song as the judge hears it.

    Attributes:
        group: songs of one group are never heard by a judge that has learned from another of it.
        rows: running sums of timbre, harmony and level over frames, float64 (frames + 1, width).
        attacks: running sums of the strength of attacks in bands, float64 (frames + 1, ATTACK_BANDS).
        parts: which columns of a row are of which kind.
    """

    group: str
    rows: Array
    attacks: Array
    parts: Mapping[str, slice]

    @property
    def seconds(self) -> float:
        return (len(self.attacks) - 1) * FEATURES.hop_length / FEATURES.sample_rate

    @cached_property
    def strength(self) -> Array:
        """The strength of attacks in each frame, (frames,)."""
        return np.asarray(np.diff(self.attacks, axis=0).mean(axis=1))


def _to_scale(values: Array) -> Array:
    """Values (frames, width) without their mean, two random rows about 1 apart."""
    centred = values - values.mean(axis=0)
    return np.asarray(centred / np.sqrt(2.0 * np.mean(np.sum(centred**2, axis=1)) + 1e-9))


def _running_sums(values: Array) -> Array:
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])


def hear_phrases(samples: Array, sample_rate: int, *, group: str = "", config: FeatureConfig = FEATURES) -> PhraseSong:
    """A song as the judge hears it; samples (frames, channels) at any rate."""
    return phrase_song(*analyse_frames(to_mono(samples, sample_rate, config), config), group=group, config=config)


def phrase_song(log_mel: Array, chroma: Array, *, group: str = "", config: FeatureConfig = FEATURES) -> PhraseSong:
    """The same from what `analyse_frames` gives: log-mel in dB (frames, n_mels) and chroma (frames, n_chroma)."""
    log_mel = np.maximum(log_mel, log_mel.max() - DYNAMIC_DB)
    bands = np.arange(config.n_mels)[:, None] + 0.5
    cosines = np.cos(np.pi * bands * np.arange(1, TIMBRE_COEFFICIENTS + 1) / config.n_mels)
    values = {
        "timbre": log_mel @ cosines,
        "chroma": np.log1p(3.0 * chroma / (chroma.mean() + 1e-9)),
        "level": 10.0 * np.log10(np.mean(10.0 ** (log_mel / 10.0), axis=1, keepdims=True)),
    }
    stops = np.cumsum([part.shape[1] for part in values.values()])
    parts = {name: slice(stop - part.shape[1], stop) for (name, part), stop in zip(values.items(), stops, strict=True)}
    rise = np.maximum(0.0, np.diff(log_mel, axis=0, prepend=log_mel[:1])).reshape(len(log_mel), ATTACK_BANDS, -1)
    attacks = np.sqrt(rise.mean(axis=2))
    rows = np.concatenate([_to_scale(part) for part in values.values()], axis=1)
    return PhraseSong(group, _running_sums(rows), _running_sums(attacks / (attacks.std() + 1e-6)), parts)


def can_be_heard(song: PhraseSong, leave: float, enter: float) -> bool:
    """Whether the song has 10 s before where a jump leaves and after where it enters."""
    return leave >= REACH_SECONDS and enter + REACH_SECONDS <= song.seconds


def _cells(sums: Array, starts: Array, count: int, seconds: float, *, config: FeatureConfig = FEATURES) -> Array:
    """Means over `count` cells of some length from each start on, to the sample: float32 (starts, count, width)."""
    frames_per_cell = seconds * config.sample_rate / config.hop_length
    edges = starts[:, None] * config.sample_rate / config.hop_length + frames_per_cell * np.arange(count + 1)
    edges = np.clip(edges, 0.0, len(sums) - 1.001)
    whole = edges.astype(np.int64)
    at_edges = sums[whole]
    at_edges += (edges - whole)[..., None] * (sums[whole + 1] - at_edges)
    return np.asarray(np.diff(at_edges, axis=1) / frames_per_cell, np.float32)


def _sides(sums: Array, places: Array, seconds: float) -> tuple[Array, Array]:
    """What sounds before and after each place, in cells of some length: (places, cells, width) each."""
    count = round((REACH_SECONDS - HOLE_SECONDS) / seconds)
    before = _cells(sums, places[:, 0] - HOLE_SECONDS - count * seconds, count, seconds)
    return before, _cells(sums, places[:, 1] + HOLE_SECONDS, count, seconds)


def _correlation(one: Array, other: Array) -> Array:
    """Pearson correlation of rows, (places, n) each, to (places,)."""
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    energies = np.sum(one**2, axis=1) * np.sum(other**2, axis=1)
    return np.asarray(np.sum(one * other, axis=1) / np.sqrt(energies + 1e-9))


def _without_trend(curves: Array, half: int) -> Array:
    """Curves (places, n) less their moving average over 2 half + 1 values."""
    sums = np.cumsum(np.pad(curves, ((0, 0), (half + 1, half)), mode="edge"), axis=1)
    return np.asarray(curves - (sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / (2 * half + 1))


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike the moments of both sides are, by their lag in cells: products of their rows, summed.

    Those of several streams of features add up. Lags across the place are counted over the hole.

    Attributes:
        seconds: of a cell.
        cells: of a side.
        energy: mean product of a moment with itself, (places,).
        sums: arrays (places, size) in the circular order of a Fourier transform; see `compare_sides`.
    """

    seconds: float
    cells: int
    energy: Array
    sums: Mapping[str, Array]

    def __add__(self, other: "Likeness") -> "Likeness":
        sums = {name: values + other.sums[name] for name, values in self.sums.items()}
        return Likeness(self.seconds, self.cells, self.energy + other.energy, sums)

    @property
    def hole(self) -> int:
        return round(2 * HOLE_SECONDS / self.seconds)

    def mean(self, name: str, shifts: Array, counts: Array | int) -> Array:
        """Mean product at some shifts of which each has so many pairs, in parts of the energy: (places, shifts)."""
        sums = self.sums[name]
        return np.asarray(sums[:, shifts % sums.shape[1]] / counts / (self.energy[:, None] + 1e-6))

    def within(self, lags: Array) -> tuple[Array, Array]:
        """How like itself each side is at some lags: (places, lags) of before and after."""
        return self.mean("before", lags, self.cells - lags), self.mean("after", lags, self.cells - lags)

    def across(self, lags: Array) -> Array:
        """How like the sides are to each other: (places, lags)."""
        shifts = np.clip(lags - self.cells - self.hole, 1 - self.cells, self.cells - 1)
        return self.mean("across", shifts, self.cells - np.abs(shifts))


def compare_sides(before: Array, after: Array, seconds: float) -> Likeness:
    """The likeness of the moments of both sides, (places, cells, width) each.

    With x · y for the sum of products of x[n] and y[n - shift] over all n, the sums are before · before, after · after,
    after · before; and for the passages next to the place, 2 s and 4 s long, each with all of its own side and of the
    other.
    """
    cells = before.shape[1]
    mean = (before.mean(axis=1, keepdims=True) + after.mean(axis=1, keepdims=True)) / 2.0
    before, after = (np.ascontiguousarray((side - mean).transpose(0, 2, 1)) for side in (before, after))

    def spectrum(values: Array) -> Array:
        return np.asarray(np.fft.rfft(values, 2 * cells))

    def products(one: Array, other: Array) -> Array:
        return np.asarray(np.fft.irfft(np.sum(one * other.conj(), axis=1), 2 * cells))

    whole, following = spectrum(before), spectrum(after)
    sums = {
        "before": products(whole, whole),
        "after": products(following, following),
        "across": products(following, whole),
    }
    for passage in PASSAGES:
        length = round(passage / seconds)
        last, first = spectrum(before[..., -length:]), spectrum(after[..., :length])
        sums |= {
            f"first {passage}": products(first, whole),
            f"last {passage}": products(following, last),
            f"own before {passage}": products(last, whole),
            f"own after {passage}": products(spectrum(after[..., -length:]), following),
        }
    energy = (np.sum(before**2, axis=(1, 2)) + np.sum(after**2, axis=(1, 2))) / (2 * cells)
    return Likeness(seconds, cells, energy, sums)


def describe_repetition(likeness: Likeness) -> dict[str, Array]:
    """Whether what repeats within the sides repeats across the place, by name: (places,) each."""
    rows = np.arange(len(likeness.energy))
    lags = np.arange(*(round(bound / likeness.seconds) for bound in LAG_SECONDS))
    before, after = likeness.within(lags)
    within, across = (before + after) / 2.0, likeness.across(lags)
    best = within.argmax(axis=1)
    measures = {
        "agreement": _correlation(within, across),
        "agreement of sides": _correlation(before, after),
        "strongest": within[rows, best],
        "strongest lag": lags[best] * likeness.seconds,
        "strongest, across": across[rows, best] - within[rows, best],
        "strongest across": across.max(axis=1),
        "strongest across, less": across.max(axis=1) - within[rows, best],
        "strongest across, within": within[rows, across.argmax(axis=1)] - within[rows, best],
    }
    for width, reach in SCALES.items():
        half, furthest = round(width / likeness.seconds), round(reach / likeness.seconds)
        measures |= {
            f"agreement {width}": _correlation(_without_trend(within, half), _without_trend(across, half)),
            f"agreement of sides {width}": _correlation(_without_trend(before, half), _without_trend(after, half)),
        }
        # How well the pattern of repetition fits, were the side after the place moved by a beat or some of it.
        weights = np.maximum(_without_trend(within, half), 0.0)
        weights /= weights.sum(axis=1, keepdims=True) + 1e-9
        shifts = np.arange(-furthest, furthest + 1)
        fits = np.stack([np.sum(weights * likeness.across(lags + shift), axis=1) for shift in shifts], axis=1)
        here, spread = fits[:, furthest], fits.std(axis=1)
        measures |= {
            f"fit {width}": here,
            f"fit, deviations {width}": (here - fits.mean(axis=1)) / (spread + 1e-3),
            f"fit, less than best {width}": here - fits.max(axis=1),
            f"fit, rank {width}": np.mean(fits < here[:, None], axis=1),
            f"fit, less than within {width}": here - np.sum(weights * within, axis=1),
            f"fit, spread {width}": spread,
            f"best fit at {width}": np.abs(shifts[fits.argmax(axis=1)]) * likeness.seconds,
        }
    for passage in PASSAGES:
        length = round(passage / likeness.seconds)
        lags = np.arange(length + likeness.hole, likeness.cells + likeness.hole + 1)
        first = likeness.mean(f"first {passage}", lags - likeness.cells - likeness.hole, length)
        last = likeness.mean(f"last {passage}", lags - length - likeness.hole, length)
        own_lags = np.arange(length, likeness.cells - length + 1)
        shifts = own_lags - likeness.cells + length
        own = [likeness.mean(f"own {side} {passage}", shifts, length) for side in ("before", "after")]
        highest = np.maximum(first.max(axis=1), last.max(axis=1))
        lowest = np.minimum(first.max(axis=1), last.max(axis=1))
        common = slice(None, len(own_lags) - likeness.hole)  # of the lags across, that are also own ones
        across, within = (first + last)[:, common] / 2.0, (own[0] + own[1])[:, likeness.hole :] / 2.0
        best = within.argmax(axis=1)
        measures |= {
            f"passage {passage}": highest,
            f"passage, less than own {passage}": highest - (own[0].max(axis=1) + own[1].max(axis=1)) / 2.0,
            f"worse passage, less than own {passage}": lowest - np.minimum(own[0].max(axis=1), own[1].max(axis=1)),
            f"passage, agreement {passage}": _correlation(across, within),
            f"passage, agreement of sides {passage}": _correlation(*own),
            f"passage at own lag {passage}": across[rows, best] - across.max(axis=1),
            f"passage at own lag, less {passage}": across[rows, best] - within[rows, best],
        }
    return measures


def _usual_changes(side: Array, length: int, hole: int) -> Array:
    """How much the mean changes over a hole at every place of a side (places, cells, width): (places, n)."""
    sums = np.concatenate([np.zeros_like(side[:, :1]), np.cumsum(side, axis=1)], axis=1)
    at = np.arange(length, side.shape[1] - length - hole + 1)
    change = sums[:, at + hole + length] - sums[:, at + hole] - sums[:, at] + sums[:, at - length]
    return np.asarray(np.linalg.norm(change / length, axis=2))


def describe_change(before: Array, after: Array) -> dict[str, Array]:
    """How unlike both sides are, (places, cells, width) each, over several spans: by name (places,) each.

    Distances of means and deviations, the former also among those that the same span shows elsewhere on both sides.
    """
    measures: dict[str, Array] = {}
    hole = round(2 * HOLE_SECONDS / ROW_SECONDS)
    for seconds in CHANGE_SECONDS:
        length = round(seconds / ROW_SECONDS)
        last, first = before[:, -length:], after[:, :length]
        change = np.linalg.norm(first.mean(axis=1) - last.mean(axis=1), axis=1)
        measures[f"change {seconds}"] = change
        if before.shape[2] == 1:
            measures[f"rise {seconds}"] = np.mean(first - last, axis=(1, 2))
        else:
            measures[f"change of spread {seconds}"] = np.abs(first.std(axis=1) - last.std(axis=1)).mean(axis=1)
        if seconds in USUAL_CHANGE_SECONDS:
            usual = np.concatenate([_usual_changes(side, length, hole) for side in (before, after)], axis=1)
            measures[f"change, rank {seconds}"] = np.mean(usual < change[:, None], axis=1)
            measures[f"change, deviations {seconds}"] = (change - usual.mean(axis=1)) / (usual.std(axis=1) + 1e-3)
    if before.shape[2] > 1:
        products = after @ before.transpose(0, 2, 1)
        squares = np.sum(after**2, axis=2)[:, :, None] + np.sum(before**2, axis=2)[:, None] - 2.0 * products
        distances = np.sqrt(np.maximum(squares, 0.0))
        near = round(PASSAGES[-1] / ROW_SECONDS)
        measures |= {
            "nearest before": distances.min(axis=2).mean(axis=1),
            "nearest after": distances.min(axis=1).mean(axis=1),
            "nearest before, of first": distances[:, :near].min(axis=2).mean(axis=1),
            "nearest after, of last": distances[:, :, -near:].min(axis=1).mean(axis=1),
            "next": distances[:, :5, -5:].mean(axis=(1, 2)),
        }
    return measures


def _named(kind: str, found: dict[str, Array]) -> dict[str, Array]:
    return {f"{kind}: {name}": values for name, values in found.items()}


def _totals(attacks: Array) -> Array:
    """Attacks in bands (places, cells, bands) as those in all of them, (places, cells, 1)."""
    return np.asarray(attacks.mean(axis=2, keepdims=True))


def describe_phrases(song: PhraseSong, places: Array) -> dict[str, Array]:
    """What is heard at places (places, 2) of leaving and entering seconds, by name: (places,) each."""
    before, after = _sides(song.rows, places, ROW_SECONDS)
    struck_before, struck_after = _sides(song.attacks, places, ATTACK_SECONDS)
    timbre, chroma = (
        compare_sides(before[..., song.parts[name]], after[..., song.parts[name]], ROW_SECONDS)
        for name in ("timbre", "chroma")
    )
    streams = {
        "timbre": timbre,
        "chroma": chroma,
        "both": timbre + chroma,
        "attacks": compare_sides(struck_before, struck_after, ATTACK_SECONDS),
        "all attacks": compare_sides(_totals(struck_before), _totals(struck_after), ATTACK_SECONDS),
    }
    measures: dict[str, Array] = {}
    for name, likeness in streams.items():
        measures |= _named(name, describe_repetition(likeness))
    for name, part in {**song.parts, "both": slice(None)}.items():
        measures |= _named(name, describe_change(before[..., part], after[..., part]))
    for seconds in CHANGE_SECONDS[1:]:
        length = round(seconds / ATTACK_SECONDS)
        change = struck_after[:, :length].mean(axis=1) - struck_before[:, -length:].mean(axis=1)
        measures[f"attacks: change {seconds}"] = np.abs(change).mean(axis=1)
        measures[f"attacks: rise {seconds}"] = change.mean(axis=1)
    return measures


def phrase_rows(song: PhraseSong, places: Array) -> Array:
    """What is heard at places (places, 2), as the judge takes it: float32 (places, features)."""
    batches = [places[start : start + PLACES_AT_ONCE] for start in range(0, len(places), PLACES_AT_ONCE)]
    described = [np.stack(list(describe_phrases(song, batch).values()), axis=1) for batch in batches]
    return np.concatenate(described).astype(np.float32)
