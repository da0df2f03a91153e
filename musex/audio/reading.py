"""Read songs: any common format by libsndfile where it can, by ffmpeg through a pipe where it cannot."""

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from musex.audio.ffmpeg import (
    STALL_SECONDS,
    Watch,
    check_end,
    ffmpeg,
    list_streams,
    local_input,
    muted_stderr,
    temporary_file,
)
from musex.audio.song import BLOCK_FRAMES, MOST_CHANNELS, Samples, Song, check_usable
from musex.audio.streams import AudioStream, choose_stream
from musex.errors import AudioError, suggest
from musex.system.processes import running
from musex.system.spools import Spool

UNKNOWN_FRAMES = 2**62
HELD_BYTES = 100_000_000  # of samples that are held in memory: 4 min 43 s in stereo at 44.1 kHz
ROOMLESS_BYTES = 320_000_000  # of them where temporary files have no room: 15 min

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


def read_song(path: str | Path, *, stream: int | None = None, silent: bool = False) -> Song:
    """Decode a music file of any supported format.

    Args:
        path: The file.
        stream: Which of its audio streams, from 1; without it the one that the file calls its default.
        silent: Whether it may be silence throughout, as stems may.

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
        song = (None if foreign else _read_by_soundfile(path)) or _read_by_ffmpeg(path, stream)
        return check_usable(song, str(path), silent=silent)
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


@cache
def most_bytes() -> int:
    """What a decoded song may fill: half of this machine's memory, for a small file can hold many hours of silence."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows
        return 4 * 1024**3


class _Recording:
    """Decoded blocks in one array that grows in place, since headers cannot be trusted to say how many will come.

    What is longer than `HELD_BYTES` goes on to a file, where there is room for one.
    """

    def __init__(self, channels: int, expected_frames: int) -> None:
        self.held_bytes = HELD_BYTES if _has_room(4 * channels * expected_frames) else ROOMLESS_BYTES
        most = self.held_bytes // (4 * channels)  # a header that claims more is believed when the samples come
        held = max(expected_frames, BLOCK_FRAMES) if expected_frames <= most else 0
        self.buffer: Samples = np.empty((held, channels), np.float32)
        self.frames = 0
        self.spool = Spool() if expected_frames > most else None

    def append(self, block: Samples) -> None:
        length = (self.frames + len(block)) * self.buffer.shape[1] * 4
        if length > most_bytes():
            raise MemoryError
        if self.spool is None and length > self.held_bytes:
            self.spool = Spool()
            self.spool.append(self.buffer[: self.frames])
            self.buffer = np.empty((0, self.buffer.shape[1]), np.float32)
        if self.spool is not None:
            self.spool.append(block)
        else:
            if self.frames + len(block) > len(self.buffer):
                self.buffer.resize((self.frames * 3 // 2 + len(block), self.buffer.shape[1]), refcheck=False)
            self.buffer[self.frames : self.frames + len(block)] = block
        self.frames += len(block)

    def finish(self) -> Samples:
        if self.spool is not None:
            return self.spool.finish()
        self.buffer.resize((self.frames, self.buffer.shape[1]), refcheck=False)
        return self.buffer


def _has_room(length: int) -> bool:
    """Whether temporary files have room for so many bytes more, or twice as many as are held in memory."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free > max(length, 2 * HELD_BYTES)
    except OSError:
        return False


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
                return check_usable(Song(np.empty((0, file.channels), np.float32), file.samplerate), str(path))
            recording = _Recording(file.channels, declared)
            with _counted_packets(path) if file.format in PACKETED else nullcontext(list[float]()) as packets:
                try:
                    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                        recording.append(block)
                except (soundfile.LibsndfileError, ValueError):  # ValueError: it is past the end that its header tells
                    failed = True
            rate, subtype = file.samplerate, file.subtype
    if recording.frames == 0:
        return None
    ended = _longer_than(recording.frames / rate)
    if any(seconds > ended for seconds in packets):
        with suppress(AudioError):
            whole = check_usable(_read_by_ffmpeg(path), str(path))
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
    return Song(samples, rate, path, kind, notes, layout=layout)


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
    check_end(process, path)
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
                    return check_usable(Song(np.empty((0, channels), np.float32), rate), str(path))
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
        check_end(process, path)
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
    return Song(samples, rate, path, subtype, notes, number, _layout(streams, number, samples.shape[1]))


def _layout(streams: list[AudioStream], number: int, channels: int) -> str:
    """How the channels of a stream lie, where there are more than two and the file says it."""
    return streams[number - 1].layout if channels > 2 and len(streams) >= number else ""
