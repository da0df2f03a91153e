"""Layers: where the song is heard again, its percussive part may come from another place with the same rhythm.

An output with layers is the song's path plus, in each *swap*, the percussive part of another place less that of the
place itself: with both places the same it is the song, bit for bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from musex.analysis.correlation import sliding_products
from musex.analysis.features import mix_down
from musex.analysis.percussion import percussion_of
from musex.audio.song import Song
from musex.plans import Plan, Swap
from musex.system.arrays import Array


@dataclass(frozen=True)
class SwapConfig:
    """When percussion is exchanged, and for what; by choice, and by ear of what examples/measured.md tells."""

    crowded: float = 4.0  # "auto" exchanges where the output is this many times as long as the song
    piece_seconds: float = 6.0  # of percussion that are exchanged together, about
    least_seconds: float = 2.0
    slide_seconds: float = 1.0  # by which a piece may begin beside that, on an attack
    edge_seconds: float = 8.0  # at the output's ends nothing is exchanged
    apart_seconds: float = 4.0  # between what is exchanged
    likeness: float = 0.6  # least correlation of both rhythms
    level_db: float = 3.0  # most difference of their levels
    audible_db: float = 25.0  # percussion this far below the song is not worth it
    worn: float = 0.15  # each earlier use of a combination, as correlation
    noise: float = 0.03  # of the seed, as correlation
    lead_seconds: float = 0.004  # by which an exchange is over before the attack it makes room for
    fade_seconds: float = 0.012
    envelope_rate: int = 200  # Hz, at which rhythms are compared
    smoothing: int = 7  # of those, to which attacks are widened
    fine_rate: int = 2000  # Hz, at which a place is then aligned
    fine_reach: int = 20  # of those, by which it may move for that
    tried: int = 3  # places that are aligned for one piece


SWAPS = SwapConfig()


def plan_swaps(plan: Plan, song: Song, *, always: bool, seed: int, config: SwapConfig = SWAPS) -> tuple[Swap, ...]:
    """Exchange percussion in what a plan plays again.

    Args:
        plan: Without swaps.
        song: Its song.
        always: Also where the output is not much longer than the song.
        seed: Varies the choice among places of like rhythm.
        config: When and what.
    """
    if not always and plan.frames < config.crowded * len(song.samples):
        return ()
    finder = PlaceFinder(song.samples, percussion_of(song), song.sample_rate, seed=seed, config=config)
    return tuple(_find_swaps(plan, finder))


def _find_swaps(plan: Plan, finder: "PlaceFinder") -> Iterator[Swap]:
    """A swap for each piece that was heard before, where there is a place for it."""
    config, rate = finder.config, finder.rate
    heard = np.zeros(plan.song.frames // rate + 1, bool)  # each second of the song
    edge = round(config.edge_seconds * rate)
    for at, source, frames in finder.pieces(plan):
        seconds = slice(source // rate, (source + frames) // rate + 1)
        again = bool(heard[seconds].mean() > 0.5)
        heard[seconds] = True
        if not again or at < edge or at + frames > plan.frames - edge:
            continue
        enter = finder.partner(source, frames)
        if enter is not None:
            yield Swap(at, frames, source, enter, round(config.fade_seconds * rate))


class PlaceFinder:
    """Finds places of the same rhythm in a song's percussion."""

    def __init__(
        self, samples: Array, percussive: Array, sample_rate: int, *, seed: int, config: SwapConfig = SWAPS
    ) -> None:
        """Prepare for a song, (frames, channels), and its percussion or drums, the same; `seed` varies the choice."""
        self.samples, self.percussive, self.rate, self.config = samples, percussive, sample_rate, config
        self.mono = mix_down(self.percussive)
        self.rises = self._rises(config.envelope_rate)
        power = np.square(self.mono, dtype=np.float64)
        self.energy = np.concatenate([[0.0], np.cumsum(power)])
        whole = np.square(samples, dtype=np.float64).mean(axis=1)
        self.whole_energy = np.concatenate([[0.0], np.cumsum(whole)])
        self.random = np.random.default_rng(seed)
        self.uses: dict[tuple[int, int], int] = {}
        self.peak = max(1.0, float(np.abs(samples).max()))

    def _rises(self, rate: int) -> Array:
        """How much louder (in logarithm) the percussion grows, so many times a second."""
        hop = self.rate / rate
        bounds = np.rint(np.arange(int(len(self.mono) / hop)) * hop).astype(np.int64)
        lengths = np.diff(bounds, append=len(self.mono))
        levels = 0.5 * np.log10(np.add.reduceat(np.square(self.mono), bounds) / lengths + 1e-8)
        rises = np.maximum(np.diff(levels, prepend=levels[:1]), 0.0)
        return np.asarray(np.convolve(rises, np.hanning(self.config.smoothing + 2)[1:-1], mode="same"), np.float32)

    def pieces(self, plan: Plan) -> Iterator[tuple[int, int, int]]:
        """(output sample, source sample, samples) of stretches within spans, cut before attacks where they may be."""
        config, at = self.config, 0
        halves = [0, *(seam.fade // 2 for seam in plan.seams), 0]
        room = round(config.fade_seconds * self.rate)
        for number, span in enumerate(plan.spans):
            start, stop = span.start + halves[number] + room, span.stop - halves[number + 1] - room
            while stop - start >= config.least_seconds * self.rate:
                end = min(start + round(config.piece_seconds * self.rate), stop)
                if stop - end < config.least_seconds * self.rate:
                    end = stop
                elif end < stop:
                    end = self._before_attack(end)
                yield at + start - span.start, start, end - start
                start = end
            at += span.frames

    def _before_attack(self, place: int) -> int:
        """Just before the strongest attack near a place."""
        reach, hop = self.config.slide_seconds, self.rate / self.config.envelope_rate
        first = max(0, int((place - reach * self.rate) / hop))
        near = self.rises[first : int((place + reach * self.rate) / hop)]
        return round((first + int(near.argmax())) * hop - self.config.lead_seconds * self.rate)

    def _level(self, energy: Array, start: int | Array, frames: int) -> Array:
        return np.asarray(10.0 * np.log10((energy[np.add(start, frames)] - energy[start]) / frames + 1e-12))

    def partner(self, source: int, frames: int) -> int | None:
        """Where percussion of the same rhythm as that of a piece begins; None if it is found nowhere."""
        config, hop = self.config, self.rate / self.config.envelope_rate
        own = float(self._level(self.energy, source, frames))
        if own < float(self._level(self.whole_energy, source, frames)) - config.audible_db:
            return None
        first, count = round(source / hop), round(frames / hop)
        likeness = correlations(self.rises, self.rises[first : first + count])
        starts = np.rint(np.arange(len(likeness)) * hop).astype(np.int64) + source - round(first * hop)
        valid = (starts >= 0) & (starts + frames <= len(self.mono))
        valid &= np.abs(starts - source) >= config.apart_seconds * self.rate
        valid &= likeness >= config.likeness
        places = np.flatnonzero(valid)
        if not len(places):
            return None
        levels = self._level(self.energy, starts[places], frames)
        places = places[np.abs(levels - own) <= config.level_db]
        key = source // self.rate
        worn = np.array([self.uses.get((key, int(starts[place]) // self.rate), 0) for place in places])
        scores = likeness[places] - config.worn * worn + config.noise * self.random.gumbel(size=len(places))
        for number in np.argsort(-scores)[: config.tried]:
            enter = self._align(source, int(starts[places[number]]), frames)
            if enter is not None and self._fits(source, enter, frames):
                cell = key, enter // self.rate
                self.uses[cell] = self.uses.get(cell, 0) + 1
                return enter
        return None

    def _align(self, source: int, enter: int, frames: int) -> int | None:
        """The same place to a fraction of a millisecond; None at the song's ends."""
        hop, reach = self.rate // self.config.fine_rate, self.config.fine_reach
        if enter < reach * hop or enter + frames + reach * hop > len(self.mono):
            return None
        count = frames // hop
        own, other = (
            np.square(self.mono[start : start + (count + extra) * hop]).reshape(-1, hop).mean(axis=1)
            for start, extra in ((source, 0), (enter - reach * hop, 2 * reach))
        )
        own, other = np.sqrt(own), np.sqrt(other)
        fit = [float(own @ other[lag : lag + count]) for lag in range(2 * reach + 1)]
        return enter + (int(np.argmax(fit)) - reach) * hop

    def _fits(self, source: int, enter: int, frames: int) -> bool:
        """Whether the song with the other percussion stays below its peak."""
        own, other = (self.percussive[start : start + frames] for start in (source, enter))
        return bool(np.abs(self.samples[source : source + frames] - own + other).max() <= self.peak)


def correlations(values: Array, pattern: Array) -> Array:
    """Pearson's correlation of a pattern with every stretch of values: (len(values) − len(pattern) + 1,)."""
    count = len(pattern)
    centred = pattern - pattern.mean()
    products = sliding_products(values, centred)
    sums, squares = (np.concatenate([[0.0], np.cumsum(np.power(values, n, dtype=np.float64))]) for n in (1, 2))
    totals, powers = sums[count:] - sums[:-count], squares[count:] - squares[:-count]
    deviations = np.sqrt(np.maximum(powers - totals**2 / count, 1e-12))
    return np.asarray(products / (deviations * max(float(np.linalg.norm(centred)), 1e-6)), np.float32)
