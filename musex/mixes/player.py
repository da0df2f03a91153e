"""A mix as blocks of sound: song after song is read, planned, played and let go."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from musex.analysis.loudness import STEP_SECONDS, level, loudness
from musex.audio.song import Samples, Song
from musex.errors import DurationError
from musex.mixes.joins import Join, Stretch, find_join
from musex.mixes.levels import BACK_SECONDS, HEARD_SECONDS, MOST_LED_DB, Gain, find_target, room_of, share_step
from musex.mixes.shares import LONGEST_ENDLESS, count_rounds, share_out
from musex.mixes.songs import MixForm, MixSong, load_song
from musex.planning.course import ModelLike
from musex.planning.planner import plan_song
from musex.plans import Plan
from musex.rendering.stitch import render, to_length
from musex.settings import Ending, Settings
from musex.system.arrays import Array

logger = logging.getLogger(__name__)

GAIN_FRAMES = 64  # between which a gain that changes goes straight
LEADINGS = 3  # times that a turn's level and that of its beginning are matched in turns
PLANNED_BEYOND = 20.0  # seconds after a song's share that are planned, among which it may be left


@dataclass(frozen=True)
class MixedSong:
    """A song in a mix.

    Attributes:
        path: Of its file.
        title: By its tags, or its file's name.
        artist: By its tags, or empty.
        at: Second of the mix at which it begins, with a downbeat if it has any.
        seconds: How long it plays, until the next begins.
        tempo: Beats per minute; None without a pulse.
        key: Such as "A minor"; None where no key stands out.
        gain_db: With which it is played.
        opening_db: What is added to that at its beginning, to be as loud as the end of the song before.
        closing_db: The same at its end.
        loudness: LUFS of what is played of it, with these gains.
        seams: Within it.
        entered: Second of the song at which it begins.
        left: Second of the song at which the next one begins.
        fade_seconds: Of the crossfade from the song before, which ends at `at`; 0.0 for the first.
        level_db: Its level against that of the song before, 3 s on either side of `at`; 0.0 for the first.
    """

    path: str
    title: str
    artist: str
    at: float
    seconds: float
    tempo: float | None
    key: str | None
    gain_db: float
    opening_db: float
    closing_db: float
    loudness: float
    seams: int
    entered: float
    left: float
    fade_seconds: float
    level_db: float


@dataclass(frozen=True, eq=False)
class Turn:
    """What a song plays in its turn.

    Attributes:
        stretch: Its plan.
        song: Its samples, from where the plan begins.
        lead: Samples of the plan that are faded in before its turn begins.
        frames: Samples of its turn.
        gain: In the course of it.
        join: How it is left; None for the last.
    """

    stretch: Stretch
    song: Song
    lead: int
    frames: int
    gain: Gain
    join: Join | None = None

    def powers(self, form: MixForm, start: float = 0.0, stop: float = np.inf) -> Array:
        """Power of each step of the turn, or between two seconds of it, with its gain."""
        rate, length = form.sample_rate, self.frames / form.sample_rate
        first, last = round(max(start, 0.0) * rate), round(min(stop, length) * rate)
        powers = self.stretch.powers_in(form, self.lead + first, self.lead + last)
        seconds = first / rate + STEP_SECONDS * np.arange(len(powers))
        return np.asarray(powers * 10.0 ** (self.gain.at(seconds, length) / 10.0))

    @property
    def room(self) -> float:
        """dB by which all of it can be made louder than it is."""
        peaks = self.stretch.peaks(self.lead, self.lead + self.frames)
        gains = self.gain.at(STEP_SECONDS * np.arange(len(peaks)), self.frames / self.stretch.plan.song.sample_rate)
        return room_of(peaks * 10.0 ** (gains / 20.0))

    @property
    def opening_room(self) -> float:
        """The same of its beginning, as far as that may be led."""
        rate = self.stretch.plan.song.sample_rate
        led = min(self.frames, round((HEARD_SECONDS + BACK_SECONDS) * rate))
        return room_of(self.stretch.peaks(self.lead, self.lead + led)) - self.gain.level

    def begins_at(self, form: MixForm) -> float:
        """Level of its beginning."""
        return level(self.powers(form, 0.0, HEARD_SECONDS))

    def ends_at(self, form: MixForm) -> float:
        """Level of its end."""
        return level(self.powers(form, self.frames / form.sample_rate - HEARD_SECONDS))


@dataclass
class Mixer:
    """Plays songs one after another.

    Attributes:
        songs: In their order.
        form: What they are turned into.
        model: Plans each.
        settings: How each is planned; the seed rises by one from song to song.
        frames: Length of the mix; None for one without end.
        played: What was played, song by song, as far as it is decided.
    """

    songs: Sequence[MixSong]
    form: MixForm
    model: ModelLike
    settings: Settings
    frames: int | None = None
    played: list[MixedSong] = field(default_factory=list)

    @cached_property
    def target(self) -> float:
        """LUFS to which all songs are matched; see `find_target`."""
        return find_target(self.songs, self.form)

    @cached_property
    def turns(self) -> int | None:
        """How many turns the songs have in all; None for a mix without end."""
        if self.frames is None:
            return None
        seconds = self.frames / self.form.sample_rate
        return len(self.songs) * count_rounds(seconds, [song.bears for song in self.songs])

    def song(self, number: int) -> MixSong:
        """The song whose turn it is."""
        return self.songs[number % len(self.songs)]

    def blocks(self) -> Iterator[Samples]:
        """The mix: float32 blocks (frames, channels), `frames` in all, each made when it is taken.

        Raises AudioError where a song has gone or changed meanwhile.
        """
        sound = self._play()
        yield from sound if self.frames is None else to_length(sound, self.frames)

    def _play(self) -> Iterator[Samples]:
        join: Join | None = None
        tail = np.zeros((0, self.form.channels), np.float32)
        number, gone, left_at = 0, 0, 0.0
        while number == 0 or join is not None:
            turn = self._led(self._turn(number, join, gone), None if join is None else left_at)
            self.played.append(self._describe(turn, join, gone, left_at))
            number, gone, left_at, join = number + 1, gone + turn.frames, turn.ends_at(self.form), turn.join
            fade = 0 if join is None else join.fade
            sound = _Reader(turn, self.form)
            yield overlap(tail, sound.read(turn.lead))
            yield from sound.pass_on(turn.frames - fade)
            tail = sound.read(fade)
            del turn, sound  # with the song's samples, before the next one's are read

    def _turn(self, number: int, join: Join | None, gone: int) -> Turn:
        """Read the song whose turn it is, plan what it plays, and decide how it is left."""
        known, rate, lead, skipped = self.song(number), self.form.sample_rate, 0, 0
        song = load_song(known, self.form)
        if join is not None:
            at = round(join.entry.at * rate)
            lead = min(join.fade, round(join.entry.lead * rate), at)
            skipped = at - lead
            song = replace(song, samples=song.samples[skipped:])
        if self.frames is not None and number + 1 == self.turns:
            plan = self._plan(song, number, (lead + self.frames - gone) / rate, ("outro", "fade", "cut"))
            whole = Turn(Stretch(known, plan, skipped / rate), song, lead, plan.frames - lead, Gain(0.0))
            return self._matched(whole)
        share = lead + self._share(number, gone)
        plan = self._plan(song, number, share / rate + PLANNED_BEYOND, ("cut",))
        stretch, other = Stretch(known, plan, skipped / rate), self.song(number + 1)
        gains = self.target - known.loudness_in(self.form), self.target - other.loudness_in(self.form)
        following = find_join(stretch, other, self.form, share=share, gains=gains)
        turn = self._matched(Turn(stretch, song, lead, following.leave - lead, Gain(0.0), following))
        step = following.level_db + gains[0] - turn.gain.level
        closing, _ = share_step(step, turn.room, room_of(other.peaks) - gains[1])
        return replace(turn, gain=replace(turn.gain, closing=closing))

    def _led(self, turn: Turn, left_at: float | None) -> Turn:
        """The turn, led at its beginning towards the level at which the song before was left.

        All of it is then made as loud as the others again.
        """
        for _ in range(LEADINGS):
            turn = self._matched(turn)
            if left_at is not None:
                step = left_at - turn.begins_at(self.form) + turn.gain.opening
                opening = float(np.clip(step, -MOST_LED_DB, min(MOST_LED_DB, max(turn.opening_room, 0.0))))
                turn = replace(turn, gain=replace(turn.gain, opening=opening))
        return self._matched(turn)

    def _matched(self, turn: Turn) -> Turn:
        """The turn as loud as the others, as far as it has room."""
        own = loudness(turn.powers(self.form))
        more = min(self.target - own, turn.room) if np.isfinite(own) else 0.0
        return replace(turn, gain=replace(turn.gain, level=turn.gain.level + more))

    def _share(self, number: int, gone: int) -> int:
        """Samples that a song shall play in its turn."""
        rate = self.form.sample_rate
        if self.turns is None or self.frames is None:
            return round(min(self.song(number).bears, LONGEST_ENDLESS) * rate)
        bears = [self.song(later).bears for later in range(number, self.turns)]
        return round(share_out((self.frames - gone) / rate, bears)[0] * rate)

    def _plan(self, song: Song, number: int, seconds: float, endings: Sequence[Ending]) -> Plan:
        """Plan a song with the first of the endings that can be; as it is where it has too few jumps for that."""
        options: Any = vars(self.settings) | {"seed": self.settings.seed + number}
        for ending in endings:
            try:
                return plan_song(song, self.model, seconds=seconds, **options | {"ending": ending})
            except DurationError as error:
                logger.info(f"{song.path} cannot be played for {seconds:.1f} s with the ending {ending}: {error}")
        return plan_song(song, self.model, seconds=song.seconds, **options | {"ending": endings[-1]})

    def _describe(self, turn: Turn, join: Join | None, gone: int, left_at: float) -> MixedSong:
        rate, stretch, info = self.form.sample_rate, turn.stretch, turn.stretch.song.info
        return MixedSong(
            path=info.path,
            title=stretch.song.title,
            artist=stretch.song.artist,
            at=gone / rate,
            seconds=turn.frames / rate,
            tempo=info.tempo,
            key=info.key,
            gain_db=round(turn.gain.level, 2),
            opening_db=round(turn.gain.opening, 2),
            closing_db=round(turn.gain.closing, 2),
            loudness=round(loudness(turn.powers(self.form)), 2),
            seams=sum(turn.lead <= seam.at < turn.lead + turn.frames for seam in stretch.plan.seams),
            entered=stretch.skipped + turn.lead / rate,
            left=float(stretch.places(np.array([turn.lead + turn.frames - 1]))[0]) + 1 / rate,
            fade_seconds=join.fade / rate if join is not None else 0.0,
            level_db=round(turn.begins_at(self.form) - left_at, 2) if join is not None else 0.0,
        )


class _Reader:
    """The sound of a turn with its gain, read by numbers of samples."""

    def __init__(self, turn: Turn, form: MixForm) -> None:
        self._blocks, self._turn, self._rate = render(turn.stretch.plan, turn.song), turn, form.sample_rate
        self._at = -turn.lead  # sample of the turn that the next block begins with
        self._left: Samples = np.zeros((0, form.channels), np.float32)

    def pass_on(self, frames: int) -> Iterator[Samples]:
        """So many samples, in blocks; fewer where they end."""
        while frames > 0:
            if not len(self._left):
                block = next(self._blocks, None)
                if block is None:
                    return
                self._left = self._louder(block)
            taken, self._left = self._left[:frames], self._left[frames:]
            frames -= len(taken)
            yield taken

    def read(self, frames: int) -> Samples:
        """So many samples, at once."""
        return np.concatenate([self._left[:0], *self.pass_on(frames)])

    def _louder(self, block: Samples) -> Samples:
        seconds = (self._at + np.arange(0, len(block) + GAIN_FRAMES, GAIN_FRAMES)) / self._rate
        levels = self._turn.gain.at(seconds, self._turn.frames / self._rate)
        self._at += len(block)
        gains = 10.0 ** (levels / 20.0)
        if np.ptp(gains) > 0.0:
            gains = np.interp(np.arange(len(block)), GAIN_FRAMES * np.arange(len(gains)), gains)[:, None]
        else:
            gains = gains[:1]
        return np.asarray(block * gains.astype(np.float32), np.float32)


def overlap(tail: Samples, head: Samples) -> Samples:
    """A crossfade: all of `tail` fades out; `head`, which may be shorter, fades in and ends with it.

    At equal power, or at equal amplitude where that would exceed full scale.
    """
    if not len(tail):
        return head
    head = head[len(head) - min(len(head), len(tail)) :]
    begins, rise = len(tail) - len(head), ((np.arange(len(tail)) + 0.5) / len(tail)).astype(np.float32)[:, None]
    shapes = ((np.cos(0.5 * np.pi * rise), np.sin(0.5 * np.pi * rise)), (1.0 - rise, rise))
    mixed = tail
    for falling, rising in shapes:
        mixed = (tail * falling).astype(np.float32)
        mixed[begins:] += (head * rising[begins:]).astype(np.float32)
        if float(np.abs(mixed).max()) <= 1.0:
            break
    return mixed
