"""Stems in an output: each is added as it shall sound, less as it sounds on the path.

    output = path + Σ over stems of (level · [(1 − w) · stem + w · gain · stem from elsewhere] − stem)

with the level of the mix, the share w of a turn and its gain. Where nothing of a stem changes nothing is added: the
output is the path there, bit for bit.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from musex.audio.song import Song
from musex.errors import MusexError
from musex.plans import Plan, Turn
from musex.rendering.swaps import fade_shares, with_swaps
from musex.separation.separated import check_stems, stems_of
from musex.settings import STEMS, Levels, StemName
from musex.system.arrays import Array

BLOCK_FRAMES = 2**15  # changed at a time


def with_stems(
    sound: Iterable[Array], plan: Plan, song: Song, play: Callable[[Array], Iterable[Array]]
) -> Iterator[Array]:
    """The sound of a plan's path with its swaps, its turns and its mix, at its gain.

    Args:
        sound: The path's pieces, float32 (frames, channels) each.
        plan: What is changed.
        song: Whose stems they are.
        play: The pieces of a stem on the path, as long as those of the sound.

    Raises:
        MusexError: A stem that is changed is not among the song's.
    """
    names = changed_stems(plan)
    check_stems(song, names)
    return _with_stems(sound, plan, song, {name: play(stems_of(song)[name]) for name in names})


def play_stem(sound: Iterable[Array], plan: Plan, song: Song, stem: Array, *, name: StemName | None) -> Iterator[Array]:
    """The path of one stem as it shall sound in a plan, at its gain.

    Args:
        sound: The stem's pieces on the path.
        plan: What is changed.
        song: Whose percussion its swaps exchange.
        stem: The stem itself, (frames, channels).
        name: Which stem it is; None for another one, of which nothing is changed.
    """
    changes = None if name is None else StemChanges(plan, name, stem)
    gain, at = np.float32(to_gain(plan.gain_db)), 0
    for block in _swapped(sound, plan, song) if name == "drums" else in_blocks(sound):
        changed = block if changes is None or (made := changes.apply(block, at)) is None else made
        at += len(block)
        yield changed if gain == 1.0 else changed * gain


def changed_stems(plan: Plan) -> list[StemName]:
    """The stems that are heard otherwise than in the song."""
    names = {*plan.settings.changes, *(turn.stem for turn in plan.turns)}
    return [name for name in STEMS if name in names]


def _with_stems(
    sound: Iterable[Array], plan: Plan, song: Song, played: dict[StemName, Iterable[Array]]
) -> Iterator[Array]:
    gain = np.float32(to_gain(plan.gain_db))
    changes = [StemChanges(plan, name, stems_of(song)[name]) for name in played]
    paths = [_swapped(sound, plan, song)]
    for name, stem in played.items():
        paths.append(_swapped(stem, plan, song) if name == "drums" else in_blocks(stem))
    at = 0
    for block, *stems in zip(*paths, strict=True):
        for change, stem in zip(changes, stems, strict=True):
            if (changed := change.apply(stem, at)) is not None:
                block = block + (changed - stem)
        at += len(block)
        yield block if gain == 1.0 else block * gain


def _swapped(sound: Iterable[Array], plan: Plan, song: Song) -> Iterator[Array]:
    """The path of the song or of its drums with what swaps change of it."""
    blocks = in_blocks(sound)
    return with_swaps((block.copy() for block in blocks), plan, song) if plan.swaps else blocks


def in_blocks(sound: Iterable[Array]) -> Iterator[Array]:
    """The same pieces, the long ones in parts."""
    for piece in sound:
        for start in range(0, len(piece), BLOCK_FRAMES):
            yield piece[start : start + BLOCK_FRAMES]


class StemChanges:
    """What an output changes of one stem."""

    def __init__(self, plan: Plan, name: StemName, stem: Array) -> None:
        """Prepare for a stem, (frames, channels), of the plan's song."""
        self.stem, self.frames, self.rate = stem, plan.frames, plan.song.sample_rate
        self.levels = plan.settings.changes.get(name, ())
        self.turns = [turn for turn in plan.turns if turn.stem == name]

    def apply(self, block: Array, at: int) -> Array | None:
        """The block of the stem's path at sample `at` of the output as it shall sound; None where it is as it is."""
        stop, changed = at + len(block), None
        for turn in self.turns:
            first, last = reach(turn, self.frames)
            first, last = max(first, at), min(last, stop)
            if first >= last:
                continue
            changed = block.copy() if changed is None else changed
            inner = slice(first - at, last - at)
            shares = turn_shares(turn, np.arange(first, last), self.frames)[:, None]
            source = block[inner]
            if turn.enter is not None:
                source = self.stem[turn.enter + first - turn.at : turn.enter + last - turn.at]
            changed[inner] += shares * (source * np.float32(to_gain(turn.gain_db)) - block[inner])
        if self.levels:
            gains = level_gains(self.levels, np.arange(at, stop) / self.rate)
            if changed is not None or np.any(gains != 1.0):
                changed = (block if changed is None else changed) * gains[:, None]
        return changed


def level_gains(levels: Levels, seconds: Array) -> Array:
    """A stem's gains at times of the output, float32: even between the levels given, and beyond them as they are."""
    times = [time for time, _ in levels]
    gains = np.interp(seconds, times, [to_gain(level) for _, level in levels])
    return np.asarray(gains, np.float32)


def to_gain(level: float | None) -> float:
    """What a level in dB multiplies amplitudes by; None is silence."""
    return 0.0 if level is None else float(10.0 ** (level / 20.0))


def trace_stem(plan: Plan, name: StemName, places: Array) -> tuple[Array, Array]:
    """How loud a stem is at samples of the output, as a gain, and how much of it is from elsewhere, 0 to 1."""
    gains, elsewhere = np.ones(len(places), np.float32), np.zeros(len(places), np.float32)
    for turn in plan.turns:
        if turn.stem == name:
            shares = turn_shares(turn, places, plan.frames)
            gains += shares * np.float32(to_gain(turn.gain_db) - 1.0)
            elsewhere += shares * (turn.enter is not None and turn.gain_db is not None)
    if levels := plan.settings.changes.get(name):
        gains *= level_gains(levels, places / plan.song.sample_rate)
    return gains, elsewhere


def reach(turn: Turn, frames: int) -> tuple[int, int]:
    """The samples of an output of so many `frames` that a turn changes, with its fades: from and to."""
    half = turn.fade // 2
    return max(0, turn.at - half), min(turn.at + turn.frames + half, frames)


def turn_shares(turn: Turn, places: Array, frames: int) -> Array:
    """How much of a turn is heard at samples of an output of so many `frames`, 0 to 1, float32 as the places."""
    since = places - turn.at + 0.5 if turn.at > 0 else np.inf
    end = turn.at + turn.frames
    until = end - places - 0.5 if end < frames else np.inf
    return np.broadcast_to(fade_shares(since, until, turn.fade), places.shape).astype(np.float32)


def check_turns(plan: Plan) -> None:
    """Refuse turns beyond the output or the song, and of one stem at once; raises MusexError."""
    for turn in plan.turns:
        first, last = reach(turn, plan.frames)
        fits = 0 < turn.fade <= turn.frames and turn.at >= 0 and turn.at + turn.frames <= plan.frames
        if turn.enter is not None:
            fits &= turn.enter + first - turn.at >= 0 and turn.enter + last - turn.at <= plan.song.frames
        if not fits:
            raise MusexError(f"the plan's turn of {turn.stem} at output sample {turn.at} does not fit it or the song")
        half = turn.fade // 2
        if plan.loops and not half <= turn.at <= plan.frames - turn.frames - half:
            raise MusexError(
                f"the plan's turn of {turn.stem} at output sample {turn.at} reaches an end of the loop, which would be "
                "heard as a cut"
            )
    for name in STEMS:
        turns = sorted((turn for turn in plan.turns if turn.stem == name), key=lambda turn: turn.at)
        for before, after in pairwise(turns):
            gap = after.at - before.at - before.frames
            if gap < before.fade // 2 + after.fade // 2 and (gap != 0 or before.fade != after.fade):
                raise MusexError(f"the plan's turns of {name} at output samples {before.at} and {after.at} overlap")
