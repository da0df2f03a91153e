"""Where a mix leaves a song and enters the next: both at downbeats, at levels near each other, at a phrase's end.

the one   ── bar ─┤ bar ──╲          the crossfade ends with the bar that is left; the next song's downbeat
the next           ╱──────├ bar ──    is heard whole, in its place
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from musex.analysis.loudness import STEP_SECONDS, level
from musex.mixes.levels import HEARD_SECONDS
from musex.mixes.songs import MixForm, MixSong
from musex.plans import Plan
from musex.system.arrays import Array

WINDOW_SECONDS = 16.0  # by which a song may be left earlier or later than its share, a third of it at most
ENTRY_SECONDS = 20.0  # of a song, a quarter at most, after which it is not entered
EARLY_SECONDS = 0.06  # by which the first downbeat may be heard before its music sounds
PHRASE_BARS = 4
LONGEST_FADE, LONGEST_FREE_FADE = 1.0, 2.0  # seconds, with a pulse on both sides and without
SHORT_FADE = 0.12  # seconds, where the next song has less before its downbeat: it enters on the one
NEAR_SEAM = 1.0  # seconds around a seam in which a song is not left

# What a join costs, by choice: each dB between the levels of both sides costs 1.
AMID_PHRASE = 3.0  # leaving within a phrase, but for its middle
AT_BAR = 1.0  # leaving after four bars of a section that goes on
SKIPPED = 0.3  # each second of the next song's beginning that is left out
OFF_SHARE = 0.1  # each second by which a song plays longer or shorter than its share
AT_SEAM = 6.0  # leaving where a seam is heard as well
BROKEN_BAR = 4.0  # leaving after a bar that is longer or shorter than bars are
REGULAR = 0.1  # of a bar, by which others may be longer or shorter


@dataclass(frozen=True)
class Entry:
    """Where a song may be entered: at a second of it; `lead` seconds of it before that can be faded in."""

    at: float
    lead: float


@dataclass(frozen=True)
class Join:
    """From one song to the next.

    Attributes:
        leave: Sample of the one's plan at which the next song's downbeat lies.
        entry: Where the next is entered.
        fade: Samples of the crossfade, which ends there.
        level_db: The next song's level against the one's, around the join.
    """

    leave: int
    entry: Entry
    fade: int
    level_db: float


@dataclass(frozen=True, eq=False)
class Stretch:
    """What a plan plays of a song, from where it is cut on.

    Attributes:
        song: The song.
        plan: Of the song without its first `skipped` seconds.
        skipped: Seconds.
    """

    song: MixSong
    plan: Plan
    skipped: float

    def places(self, times: Array) -> Array:
        """Seconds of the song that are heard at samples of the plan."""
        return np.asarray(self.plan.places(times) / self.plan.song.sample_rate + self.skipped)

    def powers_in(self, form: MixForm, start: int, stop: int) -> Array:
        """Power of each step between two samples of the plan."""
        powers = self.song.powers_in(form)
        return np.asarray(powers[self._steps(start, stop, 0.5)])

    def peaks(self, start: int, stop: int) -> Array:
        """What no sample exceeds in each step between two samples of the plan."""
        peaks = self.song.peaks
        return np.asarray(np.maximum(peaks[self._steps(start, stop, 0.0)], peaks[self._steps(start, stop, 1.0)]))

    def _steps(self, start: int, stop: int, ahead: float) -> Array:
        """Which step of the song is heard in each step between two samples of the plan, rounded up by `ahead`."""
        hop = round(STEP_SECONDS * self.plan.song.sample_rate)
        times = np.arange(max(start, 0), max(stop, start + 1), hop)
        steps = (self.places(times) / STEP_SECONDS + ahead).astype(np.int64)
        return np.asarray(np.clip(steps, 0, len(self.song.powers) - 1))

    def downbeats(self) -> tuple[Array, Array]:
        """Samples of the plan at which bars begin, int64, and which bar of the song each is."""
        rate = self.plan.song.sample_rate
        bars = np.rint((np.array(self.song.info.downbeats) - self.skipped) * rate).astype(np.int64)
        times, numbers, at = list[Array](), list[Array](), 0
        for span in self.plan.spans:
            inside = np.flatnonzero((bars >= span.start) & (bars < span.stop))
            times.append(at + bars[inside] - span.start)
            numbers.append(inside)
            at += span.frames
        return np.concatenate(times), np.concatenate(numbers)


def find_entries(song: MixSong) -> list[Entry]:
    """Where a song may be entered: at its first downbeats; where it has no pulse, at any second of its beginning."""
    start, stop = song.info.music
    limit = start + min(ENTRY_SECONDS, (stop - start) / 4)
    bars = [time for time in song.info.downbeats if start - EARLY_SECONDS <= time <= limit]
    times = bars or np.arange(start, limit, 1.0).tolist()
    return [Entry(time, max(0.0, time - max(0.0, start - EARLY_SECONDS))) for time in times]


def fade_seconds(one: MixSong, other: MixSong) -> float:
    """Seconds of a crossfade: a beat of the faster song, two seconds where neither has a pulse."""
    tempos = [song.info.tempo for song in (one, other) if song.info.tempo]
    return min(60.0 / max(tempos), LONGEST_FADE) if tempos else LONGEST_FREE_FADE


def find_join(one: Stretch, other: MixSong, form: MixForm, *, share: int, gains: tuple[float, float]) -> Join:
    """Where to leave a song near `share`, a sample of its plan, for another; `gains` are those of both, in dB."""
    rate, heard = form.sample_rate, round(HEARD_SECONDS * form.sample_rate)
    entries = find_entries(other)
    powers = other.powers_in(form)
    starts = [round(entry.at / STEP_SECONDS) for entry in entries]
    levels = [level(powers[at : at + round(HEARD_SECONDS / STEP_SECONDS)]) + gains[1] for at in starts]
    best: tuple[float, Join] | None = None
    for leave, price in _leaves(one, form, share):
        before = level(one.powers_in(form, leave - heard, leave)) + gains[0]
        for entry, after in zip(entries, levels, strict=True):
            cost = price + abs(after - before) + SKIPPED * (entry.at - entries[0].at)
            if best is None or cost < best[0]:
                wanted = fade_seconds(one.song, other)
                fade = wanted if entry.lead >= min(wanted, SHORT_FADE) else min(wanted, SHORT_FADE)
                fade = min(fade, max(entry.lead, SHORT_FADE))
                best = cost, Join(leave, entry, round(fade * rate), after - before)
    assert best is not None  # there is always somewhere to leave
    return best[1]


def _leaves(one: Stretch, form: MixForm, share: int) -> Iterator[tuple[int, float]]:
    """Samples of a plan at which a song may be left near its share, and what that costs by itself."""
    rate, plan = form.sample_rate, one.plan
    window = min(round(WINDOW_SECONDS * rate), share // 3)
    latest = plan.frames - plan.rest - round(0.1 * rate)  # before its own fade
    times, bars = one.downbeats()
    near = (np.abs(times - share) <= window) & (times <= latest)
    lengths = np.diff(times, prepend=0)
    broken = np.abs(lengths - np.median(lengths)) > REGULAR * np.median(lengths) if len(times) else near
    times, bars, broken = times[near], bars[near], broken[near]
    if not len(times):
        times = np.arange(share - window, min(share + window, latest), rate // 2)
        times = times if len(times) else np.array([min(share, latest)])
        bars, broken = np.full(len(times), -1), np.zeros(len(times), bool)
    seams = np.array([seam.at for seam in plan.seams], np.int64)
    for time, bar, is_broken in zip(times.tolist(), bars.tolist(), broken.tolist(), strict=True):
        price = OFF_SHARE * abs(time - share) / rate + _phrase_price(one.song, bar) + BROKEN_BAR * is_broken
        if len(seams) and int(np.abs(seams - time).min()) < NEAR_SEAM * rate:
            price += AT_SEAM
        yield time, price


def _phrase_price(song: MixSong, bar: int) -> float:
    """What leaving before a bar of the song costs, by where it stands in its phrase; nothing at a section's border."""
    if bar < 0:
        return 0.0
    downbeats = np.array(song.info.downbeats)
    half = 0.5 * float(np.median(np.diff(downbeats))) if len(downbeats) > 1 else 1.0
    firsts = [int(np.abs(downbeats - section).argmin()) for section in song.info.sections]
    before = max((first for first in firsts if first <= bar), default=0)
    if before == bar and min(abs(downbeats[bar] - section) for section in song.info.sections) <= half:
        return 0.0
    return AT_BAR if (bar - before) % PHRASE_BARS == 0 else AMID_PHRASE
