"""A song: its samples and where they came from; made of arrays and pydub's segments, and turned into these."""

import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musex.config import SHORTEST_SONG_SECONDS
from musex.errors import AudioError
from musex.system.spools import in_blocks
from musex.system.wording import format_count, format_time

if TYPE_CHECKING:
    from pydub import AudioSegment

Samples = np.ndarray[Any, np.dtype[np.float32]]

BLOCK_FRAMES = 16_384  # read or written at a time
MOST_CHANNELS = 8  # as 7.1 has
LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 8_000, 192_000  # Hz, of telephones and of studios
SILENCE_PEAK = 2 / 32_768  # dither of 16-bit silence stays at or below this


@dataclass(frozen=True, eq=False)
class Song:
    """A decoded song.

    Attributes:
        samples: float32, (frames, channels), full scale at ±1.
        sample_rate: Hz.
        path: The file it came from; None for arrays.
        subtype: What a lossless output of it should hold: "PCM_16", "PCM_24" or "FLOAT".
        warnings: What the user should know about the input, one line each.
        stream: Which of the file's audio streams it is, from 1.
        layout: Of its channels, by ffmpeg's name ("2.1"); empty where nothing says it.
    """

    samples: Samples
    sample_rate: int
    path: Path | None = None
    subtype: str = "PCM_16"
    warnings: tuple[str, ...] = ()
    stream: int = 1
    layout: str = ""

    @property
    def frames(self) -> int:
        return int(self.samples.shape[0])

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    def __repr__(self) -> str:
        name, channels = self.path.name if self.path else "of an array", format_count(self.channels, "channel")
        return f"<Song {name}: {format_time(self.seconds)}, {self.sample_rate} Hz, {channels}>"

    @cached_property
    def sha256(self) -> str:
        """Of the file, or of the samples' bytes where there is no file."""
        if self.path is None:
            return hashlib.sha256(np.ascontiguousarray(self.samples).data).hexdigest()
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def song_from_array(samples: np.ndarray[Any, Any], sample_rate: int) -> Song:
    """Make a song of an array.

    Args:
        samples: (frames,) or (frames, channels); floats with full scale at ±1, or int16 or int32.
        sample_rate: Hz.

    Raises:
        AudioError: The array is of another type or shape, not finite, silent, too short or out of range.
    """
    samples = np.asarray(samples)
    subtype = "FLOAT"
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2:
        raise AudioError(f"samples have {samples.ndim} dimensions: give (frames,) or (frames, channels)")
    if samples.dtype in (np.int16, np.int32):
        subtype = "PCM_16" if samples.dtype == np.int16 else _subtype_of_int32(samples)
        samples = samples * np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize))
    elif not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"samples are of type {samples.dtype}: give floats with full scale at ±1, int16 or int32")
    return check_usable(Song(np.ascontiguousarray(samples, np.float32), int(sample_rate), None, subtype), "the array")


def song_from_segment(segment: "AudioSegment") -> Song:
    """Make a song of a pydub segment of 8, 16, 24 or 32 bits.

    Raises:
        AudioError: As `song_from_array`.
    """
    width = segment.sample_width
    if width not in (1, 2, 3, 4):
        raise AudioError(f"the segment holds {width} bytes a sample: 1 to 4 can be read")
    raw = np.frombuffer(segment.raw_data, np.uint8).reshape(-1, segment.channels, width)
    integers = np.zeros((*raw.shape[:2], 4), np.uint8)
    integers[..., 4 - width :] = raw  # little-endian, moved to the top of 32 bits
    samples = integers.view("<i4")[..., 0].astype(np.int32, copy=False)
    if np.all((integers[..., 0] == 0) | ((integers[..., 0] == 0xFF) & (samples < 0))):
        samples &= ~0xFF  # pydub widens 24 bits to 32 by repeating the sign below them
    song = song_from_array(samples, segment.frame_rate)
    return Song(song.samples, song.sample_rate, None, "PCM_16" if width <= 2 else song.subtype)


def to_segment(samples: Samples, sample_rate: int, *, sample_width: int = 2) -> "AudioSegment":
    """Make a pydub segment of float samples; beyond ±1 is clipped.

    Args:
        samples: (frames,) or (frames, channels).
        sample_rate: Hz.
        sample_width: Bytes a sample: 2, or 4 for sources of 24 bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub's search for an ffmpeg that is not needed here
        from pydub import AudioSegment
    samples = samples[:, None] if samples.ndim == 1 else samples
    convert = {2: to_int16, 4: to_int24}[sample_width]
    return AudioSegment(
        data=convert(samples).tobytes(), sample_width=sample_width, frame_rate=sample_rate, channels=samples.shape[1]
    )


def to_int16(samples: Samples) -> np.ndarray[Any, Any]:
    """Round to 16 bits; exact where the samples were decoded from 16 bits."""
    rounded: Samples = np.rint(samples * np.float32(2**15))
    return rounded.clip(-(2**15), 2**15 - 1, out=rounded).astype("<i2")


def to_int24(samples: Samples) -> np.ndarray[Any, Any]:
    """Round to 24 bits at the top of 32; exact where the samples were decoded from 24 bits."""
    rounded: Samples = np.rint(samples * np.float32(2**23))
    integers: np.ndarray[Any, Any] = rounded.clip(-(2**23), 2**23 - 1, out=rounded).astype("<i4")
    return integers << 8


def _subtype_of_int32(samples: np.ndarray[Any, Any]) -> str:
    return "FLOAT" if np.any(samples & 0xFF) else "PCM_24"


def check_usable(song: Song, name: str, *, silent: bool = False) -> Song:
    """Return the song if it can be used, with one clear message if it cannot; it may be `silent` where that is said."""
    if song.channels == 0:
        raise AudioError(f"{name} has zero channels: there is nothing to play")
    if song.channels > MOST_CHANNELS:
        raise AudioError(
            f"{name} has {song.channels} channels; {MOST_CHANNELS} is the most: mix it down "
            "(arrays are (frames, channels))"
        )
    if not LOWEST_SAMPLE_RATE <= song.sample_rate <= HIGHEST_SAMPLE_RATE:
        raise AudioError(
            f"{name} has a sample rate of {song.sample_rate} Hz; {LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE} Hz "
            "can be used: resample it"
        )
    if song.seconds < SHORTEST_SONG_SECONDS:
        lost = f" ({song.warnings[0]})" if song.warnings else ""
        raise AudioError(
            f"{name} lasts {song.seconds:.2f} s; {SHORTEST_SONG_SECONDS:g} s is the shortest song that can be "
            f"extended{lost}"
        )
    peak = 0.0
    for number, block in enumerate(in_blocks(song.samples, BLOCK_FRAMES)):
        block_peak, start = float(np.max(np.abs(block))), number * BLOCK_FRAMES
        if not np.isfinite(block_peak):
            raise AudioError(
                f"{name} holds NaN or infinite samples near {start / song.sample_rate:.1f} s: export it again"
            )
        peak = max(peak, block_peak)
    if peak <= SILENCE_PEAK and not silent:
        raise AudioError(f"{name} is silence throughout (peak {peak:.1e}): was the right track exported?")
    return song
