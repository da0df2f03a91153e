"""Swaps of percussion in an output: what comes from elsewhere in the song is added, less what was there itself."""

from collections.abc import Iterable, Iterator

import numpy as np

from musex.analysis.percussion import percussion_of
from musex.audio.song import Song
from musex.plans import Plan, Swap
from musex.system.arrays import Array


def with_swaps(blocks: Iterable[Array], plan: Plan, song: Song) -> Iterator[Array]:
    """The blocks of a plan's output with its swaps made."""
    percussive, at, waiting = percussion_of(song), 0, list(plan.swaps)
    for block in blocks:
        for swap in waiting:
            half = swap.fade // 2
            first, last = max(at, swap.at - half), min(at + len(block), swap.at + swap.frames + half)
            if first >= at + len(block):
                break
            if first < last:
                change = exchange(percussive, swap, first - swap.at, last - swap.at)
                block[first - at : last - at] += change
        at += len(block)
        waiting = [swap for swap in waiting if swap.at + swap.frames + swap.fade > at]
        yield block


def exchange(percussive: Array, swap: Swap, start: int, stop: int) -> Array:
    """What a swap adds to its samples `start` to `stop`, counted from its own beginning: (stop − start, channels)."""
    places = np.arange(start, stop)
    shares = fade_shares(places + 0.5, swap.frames - places - 0.5, swap.fade)
    other, own = (percussive[begin + start : begin + stop] for begin in (swap.enter, swap.leave))
    return np.asarray((other - own) * shares[:, None], np.float32)


def fade_shares(since: Array | float, until: Array | float, fade: int) -> Array:
    """How much is heard of what begins `since` samples ago and ends in `until`, 0 to 1, faded by sin² around both."""
    shares = np.minimum(since, until) / fade + 0.5
    return np.asarray(np.sin(0.5 * np.pi * np.clip(shares, 0.0, 1.0)) ** 2)
