"""The order of a mix: as given, or so that tempo and key change little from song to song."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import get_args

from musex.inspection import PITCH_CLASSES
from musex.mixes.songs import MixSong
from musex.settings import Order

ORDERS: tuple[Order, ...] = get_args(Order)
# What a change costs, by choice: tempo by a semitone's ratio (6 %) as much as key by one step on the circle of fifths.
OCTAVE = 12.0  # twice the tempo, were it not the same pulse: halves and doubles count as what they are nearest to
UNKNOWN = 3.0  # a tempo or a key that one of both does not have


def order_songs(songs: Sequence[MixSong], order: Order) -> list[MixSong]:
    """The songs in their order; `flow` begins with one of the ends of the way that changes least."""
    if order == "given" or len(songs) < 3:
        return list(songs)
    costs = [[measure_change(one, other) for other in songs] for one in songs]
    ways = [_improve(_nearest(first, costs), costs) for first in range(len(songs))]
    best = min(ways, key=lambda way: round(_length(way, costs), 6))
    return [songs[number] for number in (best if best[0] < best[-1] else best[::-1])]


def measure_change(one: MixSong, other: MixSong) -> float:
    """How far tempo and key of two songs lie apart, 0 for none."""
    cost = UNKNOWN
    if one.info.tempo and other.info.tempo:
        octaves = math.log2(one.info.tempo / other.info.tempo)
        cost = OCTAVE * abs(octaves - round(octaves))
    if one.info.key is None or other.info.key is None:
        return cost + UNKNOWN
    apart = abs(_fifths(one.info.key) - _fifths(other.info.key)) % 12
    return cost + min(apart, 12 - apart)


def _fifths(key: str) -> int:
    """Where a key's signature stands on the circle of fifths."""
    tonic, mode = key.split()
    return (PITCH_CLASSES.index(tonic) + (3 if mode == "minor" else 0)) * 7 % 12


def _nearest(first: int, costs: Sequence[Sequence[float]]) -> list[int]:
    way, left = [first], set(range(len(costs))) - {first}
    while left:
        way.append(min(left, key=lambda number: (costs[way[-1]][number], number)))
        left.remove(way[-1])
    return way


def _improve(way: list[int], costs: Sequence[Sequence[float]]) -> list[int]:
    """The way with stretches of it turned round, as long as that makes it shorter."""
    shorter = True
    while shorter:
        shorter = False
        for start, stop in combinations(range(len(way) + 1), 2):
            turned = [*way[:start], *way[start:stop][::-1], *way[stop:]]
            if _length(turned, costs) < _length(way, costs) - 1e-9:
                way, shorter = turned, True
    return way


def _length(way: Sequence[int], costs: Sequence[Sequence[float]]) -> float:
    return sum(costs[one][other] for one, other in pairwise(way))
