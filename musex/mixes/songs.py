"""The songs of a mix: listened to once, then read again when their turn comes, all in one form.

Of each song a few facts are kept, and its samples only while it plays: memory does not grow with their number.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from musex.analysis.loudness import loudness, step_peaks, step_powers
from musex.audio.reading import read_song
from musex.audio.song import Samples, Song
from musex.audio.streams import channels_of
from musex.audio.tags import read_tags
from musex.errors import AudioError
from musex.inspection import SongInfo, inspect_song
from musex.system.arrays import Array
from musex.system.wording import plain_line

# How many times as long as its music a song can be made, by the share of its places that have a good jump: by choice.
STRETCHED = 4.0
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")  # from coarse to fine
CENTRE, BEHIND = 0.7071, 0.7071  # of what is mixed down to two channels


@dataclass(frozen=True)
class MixForm:
    """What all songs of a mix are turned into."""

    sample_rate: int  # Hz
    channels: int
    subtype: str
    layout: str = ""

    @property
    def blank(self) -> Song:
        """A song of no samples, for what writes others like it."""
        return Song(np.zeros((0, self.channels), np.float32), self.sample_rate, None, self.subtype, layout=self.layout)


@dataclass(frozen=True, eq=False)
class MixSong:
    """What a mix has to know of a song.

    Attributes:
        info: As `musex info` tells it.
        title: By its tags; its file's name without them.
        artist: By its tags, or empty.
        layout: Of its channels, as in `Song`.
        frames: Of its file, at its own rate.
        peaks: The largest sample of each of its steps, full scale at 1.
        powers: Of its steps; see `musex.analysis.loudness`.
        stereo_powers: The same of what it is as two channels.
    """

    info: SongInfo
    title: str
    artist: str
    layout: str
    frames: int
    peaks: Array
    powers: Array
    stereo_powers: Array

    @property
    def path(self) -> Path:
        return Path(self.info.path)

    @property
    def bears(self) -> float:
        """Seconds that it can be played without wearing out: its music, and more the more good jumps it has."""
        start, stop = self.info.music
        return (stop - start) * (1.0 + STRETCHED * self.info.jumps)

    def powers_in(self, form: MixForm) -> Array:
        """Of its steps, in the form of a mix."""
        return self.stereo_powers if form.channels == 2 != self.info.channels else self.powers

    def loudness_in(self, form: MixForm) -> float:
        """LUFS of all of it, in the form of a mix."""
        return loudness(self.powers_in(form))


def listen(path: Path) -> MixSong:
    """Listen to a song; raises AudioError as `read_song`."""
    song = read_song(path)
    tags = {name: value for item in reversed(read_tags(path).items) for name, value in reversed(item.pairs)}
    powers = step_powers(song.samples, song.sample_rate)
    stereo = powers
    if song.channels == 1:
        stereo = 2.0 * powers
    elif song.channels > 2:
        stereo = step_powers(to_channels(song, 2), song.sample_rate)
    return MixSong(
        info=inspect_song(song),
        title=plain_line(tags.get("TITLE") or path.stem),
        artist=plain_line(tags.get("ARTIST", "")),
        layout=song.layout,
        frames=song.frames,
        peaks=step_peaks(song.samples, song.sample_rate),
        powers=powers,
        stereo_powers=stereo,
    )


def choose_form(songs: Sequence[MixSong]) -> MixForm:
    """The highest rate and the finest samples of all songs; two channels where they have different ones."""
    kinds = Counter((song.info.channels, song.layout) for song in songs)
    channels, layout = next(iter(kinds)) if len(kinds) == 1 else (2, "")
    return MixForm(
        sample_rate=max(song.info.sample_rate for song in songs),
        channels=channels,
        subtype=max((song.info.subtype for song in songs), key=SUBTYPES.index),
        layout=layout,
    )


def tell_changes(songs: Sequence[MixSong], form: MixForm) -> list[str]:
    """What the user should know of songs that are changed to fit the others, a line each."""
    notes = []
    for what, wanted, own in (
        ("Hz", form.sample_rate, [song.info.sample_rate for song in songs]),
        ("channels", form.channels, [song.info.channels for song in songs]),
    ):
        if others := sorted({value for value in own if value != wanted}):
            listed = ", ".join(map(str, others))
            notes.append(f"the mix has {wanted} {what}: songs with {listed} are changed to that")
    return notes


def load_song(song: MixSong, form: MixForm) -> Song:
    """Read a song again, in the form of a mix; raises AudioError if it is another one by now."""
    read = read_song(song.path)
    if (read.frames, read.sample_rate, read.channels) != (song.frames, song.info.sample_rate, song.info.channels):
        raise AudioError(f"{song.path} has changed since it was listened to: start again")
    samples = to_channels(read, form.channels)
    if read.sample_rate != form.sample_rate:
        samples = np.asarray(soxr.resample(samples, read.sample_rate, form.sample_rate, quality="HQ"), np.float32)
    return replace(read, samples=samples, sample_rate=form.sample_rate, layout=form.layout)


def to_channels(song: Song, channels: int) -> Samples:
    """A song's samples in one or two channels more or less: mono on both sides, others mixed down to two."""
    if song.channels == channels:
        return song.samples
    if song.channels == 1:
        return np.repeat(song.samples, channels, axis=1)
    gains = np.zeros((song.channels, 2), np.float32)
    for number, name in enumerate(channels_of(song.layout, song.channels)):
        share = 1.0 if name.startswith("F") and name != "FC" else 0.0 if name == "LFE" else BEHIND
        share = CENTRE if name == "FC" else share
        gains[number] = (share * (not name.endswith("R")), share * (not name.endswith("L")))
        if name == "BC":
            gains[number] *= CENTRE
    gains /= max(1.0, float(gains.sum(axis=0).max()))  # never louder than full scale
    return np.asarray(song.samples @ gains, np.float32)
