"""Read songs: any common format by libsndfile where it can, by ffmpeg through a pipe where it cannot."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import soundfile

from musex.audio.streams import AudioStream, choose_stream, parse_streams
from musex.config import SHORTEST_SONG_SECONDS
from musex.errors import AudioError, suggest
from musex.system.processes import running, tell_stop
from musex.system.signals import undoing
from musex.system.wording import format_count, format_time

if TYPE_CHECKING:
    from pydub import AudioSegment

Samples = np.ndarray[Any, np.dtype[np.float32]]

UNKNOWN_FRAMES = 2**62
BLOCK_FRAMES = 16_384
MOST_CHANNELS = 8
LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 8_000, 192_000
STALL_SECONDS = 60.0  # after which ffmpeg is taken for hung
SILENCE_PEAK = 2 / 32_768  # dither of 16-bit silence stays at or below this

SOUNDFILE_SUFFIXES = (".mp3", ".wav", ".flac", ".ogg", ".opus", ".aiff", ".aif", ".oga", ".aifc", ".caf", ".au", ".w64")
FFMPEG_SUFFIXES = (
    ".m4a",
    ".aac",
    ".wma",
    ".webm",
    ".mp4",
    ".m4b",
    ".mka",
    ".mkv",
    ".mov",
    ".mp2",
    ".ac3",
    ".wv",
    ".tta",
)
# MP4, ASF, Matroska and ADTS by their first bytes: libmpg123 would find sounds in them under another name.
FFMPEG_HEAD = re.compile(rb"....ftyp|\x30\x26\xb2\x75|\x1a\x45\xdf\xa3|\xff[\xf0\xf1\xf8\xf9]", re.DOTALL)
PACKETED = ("MP3", "FLAC", "OGG")  # as libsndfile calls them: their headers may tell of a part only
LOSSLESS_SUFFIXES = (".caf", ".au", ".w64", ".rf64", ".ape", ".wv", ".tta")  # that are not written
READABLE = SOUNDFILE_SUFFIXES + FFMPEG_SUFFIXES

# ffmpeg may open these containers only: playlists and scripts could name other files.
CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,tta,w64,wav,wv"
)


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


def read_song(path: str | Path, *, stream: int | None = None) -> Song:
    """Decode a music file of any supported format.

    Args:
        path: The file.
        stream: Which of its audio streams, from 1; without it the one that the file calls its default.

    Raises:
        AudioError: The file is missing, not music, damaged beyond use, silent, too short or out of range; or it has
            no such stream.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder: name one music file")
    try:
        if path.exists() and not path.is_file():
            raise AudioError(f"{path} is not a regular file: save the music to a file first")
        with open(path, "rb") as file:
            head = file.read(8)
            if not head:
                raise AudioError(f"{path} is empty (0 bytes): was it copied or downloaded completely?")
        foreign = path.suffix.lower() in (*FFMPEG_SUFFIXES, ".raw") or FFMPEG_HEAD.match(head)
        if not foreign and stream is not None and choose_stream(list_streams(path), stream, str(path)) > 1:
            foreign = True  # libsndfile knows of one
        return (None if foreign else _read_by_soundfile(path)) or _read_by_ffmpeg(path, stream)
    except FileNotFoundError as error:
        raise AudioError(_missing(path)) from error
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise AudioError(
            f"{path} does not fit in half of the memory ({most_bytes() / 1e9:.1f} GB) when decoded: "
            "cut it into shorter songs"
        ) from error


def check_song(path: str | Path) -> None:
    """Refuse early what is not there at all; raises AudioError."""
    if not Path(path).exists():
        raise AudioError(_missing(Path(path)))


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
    return _checked(Song(np.ascontiguousarray(samples, np.float32), int(sample_rate), None, subtype), "the array")


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


def _checked(song: Song, name: str) -> Song:
    """Return the song if it can be used, with one clear message if it cannot."""
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
    for start in range(0, song.frames, BLOCK_FRAMES):
        block_peak = float(np.max(np.abs(song.samples[start : start + BLOCK_FRAMES])))
        if not np.isfinite(block_peak):
            raise AudioError(
                f"{name} holds NaN or infinite samples near {start / song.sample_rate:.1f} s: export it again"
            )
        peak = max(peak, block_peak)
    if peak <= SILENCE_PEAK:
        raise AudioError(f"{name} is silence throughout (peak {peak:.1e}): was the right track exported?")
    return song


@cache
def most_bytes() -> int:
    """What a decoded song may fill: half of this machine's memory, for a small file can hold many hours of silence."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows
        return 4 * 1024**3


class _Recording:
    """Decoded blocks in one array that grows in place, since headers cannot be trusted to say how many will come."""

    def __init__(self, channels: int, expected_frames: int) -> None:
        hour = 3600 * 48_000  # a header that claims more is believed when the samples come
        self.buffer: Samples = np.empty((min(max(expected_frames, BLOCK_FRAMES), hour), channels), np.float32)
        self.frames = 0

    def append(self, block: Samples) -> None:
        if (self.frames + len(block)) * self.buffer.shape[1] * 4 > most_bytes():
            raise MemoryError
        if self.frames + len(block) > len(self.buffer):
            self.buffer.resize((self.frames * 3 // 2 + len(block), self.buffer.shape[1]), refcheck=False)
        self.buffer[self.frames : self.frames + len(block)] = block
        self.frames += len(block)

    def finish(self) -> Samples:
        self.buffer.resize((self.frames, self.buffer.shape[1]), refcheck=False)
        return self.buffer


def _missing(path: Path) -> str:
    if re.match(r"\w{2,}:/", str(path)):  # a letter alone is a drive
        return f"{path} is no file: musex reads files, so download it first"
    try:
        near = suggest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        near = ""
    return f"no such file: {path}{near}"


def _read_by_soundfile(path: Path) -> Song | None:
    """Decode with libsndfile; None if it does not know the format.

    It believes headers, and ends at what is damaged: where the packets last longer, ffmpeg decodes all of them.
    """
    with muted_stderr():
        try:
            file = soundfile.SoundFile(os.fsencode(path))
        except (soundfile.LibsndfileError, TypeError):
            return None
        with file:
            if file.format == "OGG" and file.channels > 2:
                return None  # libsndfile leaves Vorbis' order of channels, and loses the end of some Opus files
            if file.format == "FLAC" and file.frames >= UNKNOWN_FRAMES:
                return None  # a stream's header does not say its length, and libsndfile loses its end then
            declared, failed = _declared_frames(file), False
            if file.channels > MOST_CHANNELS:
                return _checked(Song(np.empty((0, file.channels), np.float32), file.samplerate), str(path))
            recording = _Recording(file.channels, declared)
            with _counted_packets(path) if file.format in PACKETED else nullcontext(list[float]()) as packets:
                try:
                    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                        recording.append(block)
                except soundfile.LibsndfileError:
                    failed = True
            rate, subtype = file.samplerate, file.subtype
    if recording.frames == 0:
        return None
    ended = _longer_than(recording.frames / rate)
    if any(seconds > ended for seconds in packets):
        with suppress(AudioError):
            whole = _read_by_ffmpeg(path)
            if whole.seconds > ended:
                reason = "damaged" if failed else "ended by its header"
                note = (
                    f"{path} is {reason} at {recording.frames / rate:.1f} s: all of its {whole.seconds:.1f} s are used"
                )
                return replace(whole, warnings=(note, *whole.warnings))
    kind = "PCM_16"
    if subtype.endswith("_24"):
        kind = "PCM_24"
    elif subtype in ("FLOAT", "DOUBLE", "PCM_32", "ALAC_32"):
        kind = "FLOAT"
    notes = _damage(path, declared / rate, recording.frames / rate, failed=failed)
    samples = recording.finish()
    layout = ""
    if samples.shape[1] > 2:
        with suppress(AudioError):  # without ffmpeg
            layout = _layout(list_streams(path), 1, samples.shape[1])
    return _checked(Song(samples, rate, path, kind, notes, layout=layout), str(path))


@contextmanager
def _counted_packets(path: Path) -> Iterator[list[float]]:
    """A list that afterwards holds how many seconds the packets of a file last; counted by ffmpeg meanwhile."""
    counted: list[float] = []
    try:
        program = ffmpeg()
    except AudioError:  # what libsndfile decodes has to do
        yield counted
        return
    command = [program, "-nostdin", "-loglevel", "quiet", *local_input(path), "-map", "0:a:0", "-c", "copy"]
    command += ["-progress", "pipe:1", "-f", "null", "-"]
    with running(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        yield counted
        try:
            told, _ = process.communicate(timeout=STALL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return
    _check_end(process, path)
    counted += [int(microseconds) / 1e6 for microseconds in re.findall(rb"out_time_us=(\d+)", told)[-1:]]


def _longer_than(seconds: float) -> float:
    """What is more than so many seconds, encoders' padding and rounded headers aside."""
    return seconds * 1.01 + 0.1


def _declared_frames(file: soundfile.SoundFile) -> int:
    """Frames that the header promises; libsndfile itself cuts those of a truncated WAV or AIFF to what is there."""
    cut = re.search(r"(?:data|SSND) : (\d+) \(should be (\d+)\)", file.extra_info)
    frames = int(file.frames)
    if cut and int(cut[1]) < 0x7FFF_0000 and int(cut[2]):  # streams of unknown length claim the largest number
        return max(frames, frames * int(cut[1]) // int(cut[2]))
    return frames if frames < UNKNOWN_FRAMES else 0


def _damage(path: Path, declared_seconds: float, seconds: float, *, failed: bool) -> tuple[str, ...]:
    if failed or declared_seconds > _longer_than(seconds):
        return (
            f"{path} is damaged or cut off: {seconds:.1f} s of {declared_seconds:.1f} s could be decoded and is used",
        )
    return ()


_mute_lock = threading.Lock()
_mute_depth = 0
_mute_saved = -1


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Keep libraries that write notes straight to file descriptor 2 (libmpg123, LiteRT) from doing so."""
    global _mute_depth, _mute_saved
    with undoing(lambda: os.dup2(_mute_saved, 2)):
        with _mute_lock:
            if _mute_depth == 0:
                try:
                    _mute_saved = os.dup(2)
                    null = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(null, 2)
                    os.close(null)
                except OSError:
                    _mute_saved = -1  # there is no stderr to keep clean
            _mute_depth += 1
        try:
            yield
        finally:
            with _mute_lock:
                _mute_depth -= 1
                if _mute_depth == 0 and _mute_saved >= 0:
                    os.dup2(_mute_saved, 2)
                    os.close(_mute_saved)
                    _mute_saved = -1


@cache
def ffmpeg() -> str:
    """Path of the ffmpeg program."""
    import imageio_ffmpeg

    try:
        program = str(imageio_ffmpeg.get_ffmpeg_exe())
        if os.environ.get("IMAGEIO_FFMPEG_EXE"):  # which is taken as it is
            subprocess.run([program, "-version"], capture_output=True, check=True, timeout=STALL_SECONDS)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise AudioError(
            f"no ffmpeg that works: install imageio-ffmpeg with its binary, or ffmpeg itself ({error})"
        ) from error
    if shutil.which(program) is None:
        raise AudioError(f"no ffmpeg that works: {program} is gone or may not be run; install imageio-ffmpeg again")
    return program


def temporary_file() -> IO[bytes]:
    """A file without a name; raises AudioError where no folder for temporary files can be written to."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise AudioError(
            f"no folder for temporary files can be written to: free some room, or name one by TMPDIR ({error.strerror})"
        ) from error


class Watch:
    """Kills a program that gets no further for `STALL_SECONDS` while it is waited for."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process, self.stalled = process, False
        self._since: float | None = None
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within, something is waited for."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def close(self, name: object) -> None:
        """End watching; raises AudioError if the program was killed."""
        self._over.set()
        if self.stalled:
            raise AudioError(
                f"{name}: ffmpeg got no further for {STALL_SECONDS:g} s and was ended; is the disk or the network slow?"
            )

    def _look(self) -> None:
        while not self._over.wait(STALL_SECONDS / 20):
            since = self._since
            if since is not None and time.monotonic() - since > STALL_SECONDS:
                self.stalled = True
                self.process.kill()
                return


def local_input(path: Path) -> list[str]:
    """ffmpeg's arguments to open a local file, and nothing that it may refer to."""
    guards = ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]
    return [*guards, "-i", f"file:{path.absolute()}"]


def list_streams(path: Path) -> list[AudioStream]:
    """The audio streams of a file; none where ffmpeg finds none."""
    return parse_streams(ask_ffmpeg(local_input(path), path)[1])


def ask_ffmpeg(arguments: list[str], path: Path | None, *, given: bytes = b"") -> tuple[bytes, str]:
    """What ffmpeg answers on stdout, and what it logs, where it is given some bytes on stdin.

    Raises:
        AudioError: It is missing, or takes longer than `STALL_SECONDS` over what should take a moment.
    """
    command = [ffmpeg(), "-hide_banner", "-nostats", *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with running(command, **pipes) as process:
        try:
            answer, log = process.communicate(given, timeout=STALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            name = path or "the song"
            raise AudioError(f"{name}: ffmpeg got no further for {STALL_SECONDS:g} s and was ended") from error
        finally:
            process.kill()
    _check_end(process, path)
    return answer, log.decode(errors="replace")


def _check_end(process: "subprocess.Popen[bytes]", path: Path | None) -> None:
    """Raise AudioError where ffmpeg did not end by itself: what it said until then may be a part only."""
    if stop := tell_stop(process):
        raise AudioError(
            f"{path or 'the song'} cannot be read: ffmpeg was {stop}, perhaps for lack of memory; try again, or "
            "convert the song to wav or flac"
        )


def _read_by_ffmpeg(path: Path, stream: int | None = None) -> Song:
    """Decode with ffmpeg, which sends Sun audio: a header with rate and channels, then big-endian floats."""
    streams = list_streams(path)
    number = choose_stream(streams, stream, str(path))
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-nostats", *local_input(path)]
    command += ["-map", f"0:a:{number - 1}", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    with (
        temporary_file() as log_file,
        running(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log_file) as process,
    ):
        watch = Watch(process)
        try:
            assert process.stdout is not None
            recording, rate = None, 0
            with watch.waiting():
                header = process.stdout.read(24)
            if len(header) == 24:
                _, offset, _, _, rate, channels = struct.unpack(">6I", header)
                process.stdout.read(offset - 24)
                if channels > MOST_CHANNELS:
                    return _checked(Song(np.empty((0, channels), np.float32), rate), str(path))
                recording = _Recording(channels, 0)
                while True:
                    with watch.waiting():
                        data = process.stdout.read(BLOCK_FRAMES * channels * 4)
                    if not data:
                        break
                    frames = len(data) // (channels * 4)
                    block = np.frombuffer(data, ">f4", frames * channels)
                    recording.append(block.reshape(frames, channels).astype(np.float32))
            process.wait()
        finally:
            process.kill()
            watch.close(path)
        _check_end(process, path)
        log_file.seek(0)
        log = log_file.read().decode(errors="replace")
    if recording is None or recording.frames == 0:
        supported = ", ".join(suffix[1:] for suffix in READABLE)
        cause = "it holds no audio" if "matches no streams" in log else "it is not music, or damaged"
        raise AudioError(f"{path} cannot be read: {cause}; musex reads {supported}")
    duration = re.search(r"Duration: (\d+):(\d+):([\d.]+)", log)
    declared = 0.0
    if duration and "Estimating duration" not in log:
        declared = int(duration[1]) * 3600 + int(duration[2]) * 60 + float(duration[3])
    notes = _damage(path, declared, recording.frames / rate, failed=False)
    if len(streams) > 1 and stream is None:
        notes = (f"{path} has {len(streams)} audio streams: number {number} is used; `stream=` chooses another", *notes)
    subtype = streams[number - 1].subtype if streams else "PCM_16"
    samples = recording.finish()
    song = Song(samples, rate, path, subtype, notes, number, _layout(streams, number, samples.shape[1]))
    return _checked(song, str(path))


def _layout(streams: list[AudioStream], number: int, channels: int) -> str:
    """How the channels of a stream lie, where there are more than two and the file says it."""
    return streams[number - 1].layout if channels > 2 and len(streams) >= number else ""
