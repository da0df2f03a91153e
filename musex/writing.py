"""Write songs: formats, tags and cover, streaming, atomic replacement.

Every format is encoded by ffmpeg, fed through a pipe: it works on another core while the caller renders, in memory
that does not grow with the output.
"""

import os
import re
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from musex.audio import MOST_CHANNELS, Samples, Song, ffmpeg, local_input, to_int16, to_int24
from musex.errors import AudioError, suggest
from musex.loops import mark_loop

# Tags that are wrong for a longer song, or that belong to the source's container rather than to the music.
DROPPED_TAGS = re.compile(
    r"replaygain_.*|r128_.*|loop_?(start|length|end)|itun(smpb|norm)|tlen|length|duration|cuesheet|encoder|encoded_by|"
    r"major_brand|minor_version|compatible_brands|creation_time|handler_name|vendor_id|language|id3v2_priv.*|"
    r"wmfsdk.*|metadata_block_picture|coverart(mime)?",
    re.IGNORECASE,
)
LONGEST_TAG = 8_000  # characters: tags travel on ffmpeg's command line

# By number of channels, from 1: what each encoder takes without mixing or reordering.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_AAC_LAYOUTS = (*_LAYOUTS[:6], "6.1(back)", "7.1")


@dataclass(frozen=True)
class _Format:
    """What a written format can hold."""

    muxer: str
    codec: str
    most_channels: int = MOST_CHANNELS
    sample_rates: tuple[int, ...] = ()  # ascending; empty: any
    cover: bool = False
    lossless: bool = False
    layouts: tuple[str, ...] = _LAYOUTS


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_FORMATS = {
    ".wav": _Format("wav", "pcm", lossless=True),
    ".flac": _Format("flac", "flac", cover=True, lossless=True),
    ".mp3": _Format("mp3", "libmp3lame", most_channels=2, sample_rates=_MPEG_RATES, cover=True),
    ".ogg": _Format("ogg", "libvorbis"),
    ".opus": _Format("opus", "libopus", sample_rates=(48_000,)),
    ".m4a": _Format(
        "ipod", "aac", sample_rates=(*_MPEG_RATES, 64_000, 88_200, 96_000), cover=True, layouts=_AAC_LAYOUTS
    ),
}
WRITABLE = tuple(_FORMATS)
_PIPED = {".wav": ["-rf64", "never"], ".m4a": ["-movflags", "frag_keyframe+empty_moov"]}  # what cannot be mended later
LOOP_TAGGED = (".mp3", ".flac", ".ogg", ".opus")
_BIT_RATES = (192, 224, 256, 320)  # kb/s for two channels: at least the first, up to the source's class
_VORBIS_BIT_RATES = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)  # kb/s for two channels at quality 0 to 10


@dataclass(frozen=True)
class _Source:
    """What an output takes over from the song's file besides its samples."""

    tags: dict[str, str] = field(default_factory=dict)
    cover: str | None = None  # ffmpeg's index of the picture's stream
    bit_rate: int | None = None  # kb/s


def check_output(
    path: str | Path, song_path: str | Path | None = None, force: bool = False, *, bitrate: str | None = None
) -> None:
    """Refuse early what `write_song` would refuse.

    Raises:
        AudioError: The format is unknown, the folder cannot be written to, the file exists and `force` is not set,
            the output is the song itself (under whatever name), or the bit rate is out of range.
    """
    path = Path(path)
    if bitrate is not None:
        _kilobits(bitrate, _Source(), 2)
    if path.is_dir():
        raise AudioError(f"{path} is a folder: name the file to write, such as {path / 'song.mp3'}")
    if path.suffix.lower() not in _FORMATS:
        supported = ", ".join(suffix[1:] for suffix in WRITABLE) + suggest(path.suffix, WRITABLE)
        raise AudioError(f"cannot write {path.name}: {path.suffix or 'no ending'} is not among {supported}")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise AudioError(f"cannot write {path}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AudioError(f"cannot write {path}: the folder {folder} is not writable")
    if path.exists():
        if song_path is not None and Path(song_path).exists() and path.samefile(song_path):
            raise AudioError(f"{path} is the song itself: choose another output, the input is never overwritten")
        if not path.is_file():
            raise AudioError(f"{path} is not a regular file: name the file to write")
        if not force:
            raise AudioError(f"{path} exists already: choose another name, or overwrite it with --force")


def write_song(
    path: str | Path,
    blocks: Iterable[Samples],
    *,
    song: Song,
    force: bool = False,
    title_suffix: str | None = None,
    encoded_by: str | None = None,
    bitrate: str | None = None,
    loop_frames: int | None = None,
) -> list[str]:
    """Encode blocks as they come, with the tags and cover of the song's file, and put the file in place at the end.

    Args:
        path: The output; its ending chooses the format, one of `WRITABLE`.
        blocks: float32 (frames, channels) at the song's sample rate.
        song: What the output was made from.
        force: Overwrite an existing file.
        title_suffix: Appended to the title, where the song has one.
        encoded_by: What made the file, for the tag of that name.
        bitrate: For lossy formats, such as "256k"; without it 192 kb/s or the song's own class above that
            (for two channels; others in proportion).
        loop_frames: Frames of an output that is one loop: its loop points are written, as a `smpl` chunk in wav and as
            the tags LOOPSTART and LOOPLENGTH in mp3, flac, ogg and opus.

    Returns:
        What the user should know: how the format differs from the song.

    Raises:
        AudioError: As `check_output`; or the disk is full or the encoder fails. Nothing is left behind then, and
            an existing file is as it was.
    """
    check_output(path, song.path, force, bitrate=bitrate)
    suffix = Path(path).suffix.lower()
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".musex-{secrets.token_hex(8)}{suffix}")
    source, notes = _read_source(song.path), list[str]()
    command, convert = _input_arguments(suffix, song, notes)
    command += _tag_arguments(suffix, song, source, title_suffix, notes)
    if encoded_by is not None:
        name = "comment" if suffix == ".m4a" else "encoded_by"  # ffmpeg's MP4 has no tag for it
        if name not in source.tags:
            command += ["-metadata", f"{name}={encoded_by}"]
    if loop_frames is not None and suffix in LOOP_TAGGED:
        frames = round(loop_frames * _output_rate(suffix, song) / song.sample_rate)
        command += ["-metadata", "LOOPSTART=0", "-metadata", f"LOOPLENGTH={frames}"]
    command += _codec_arguments(suffix, song, source, bitrate, notes)
    command += ["-fflags", "+bitexact", "-f", _FORMATS[suffix].muxer, "-n", f"file:{temporary}"]
    try:
        _encode(command, map(convert, _of_shape(blocks, song.channels)), Path(path))
        if loop_frames is not None and suffix == ".wav":
            mark_loop(temporary, loop_frames, song.sample_rate)
        os.replace(temporary, target)
    except OSError as error:
        raise AudioError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return notes


def pipe_song(
    handle: IO[bytes], blocks: Iterable[Samples], *, song: Song, suffix: str = ".wav", bitrate: str | None = None
) -> list[str]:
    """Encode blocks as they come into a pipe, without tags, to be heard while it grows; arguments as in `write_song`.

    Raises:
        AudioError: The format or its bit rate cannot be used, or the encoder fails.
        BrokenPipeError: Whoever reads has closed the pipe.
    """
    if suffix not in _FORMATS:
        raise AudioError(f"{suffix[1:]} is not among {', '.join(name[1:] for name in WRITABLE)}")
    notes: list[str] = []
    command, convert = _input_arguments(suffix, song, notes)
    command += ["-map", "0:a:0", *_codec_arguments(suffix, song, _Source(), bitrate, notes), *_PIPED.get(suffix, [])]
    command += ["-flush_packets", "1", "-fflags", "+bitexact", "-f", _FORMATS[suffix].muxer, "pipe:1"]
    try:
        _encode(command, map(convert, _of_shape(blocks, song.channels)), Path("the stream"), output=handle)
    except AudioError as error:
        if "Broken pipe" in str(error) or "SIGPIPE" in str(error):
            raise BrokenPipeError from error
        raise
    return notes


def _encode(
    command: list[str],
    blocks: Iterable[np.ndarray[Any, Any]],
    path: Path,
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> None:
    """Feed ffmpeg's pipe until the blocks end; kill it on whatever interrupts that."""
    with (
        tempfile.TemporaryFile() as log_file,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=log_file, bufsize=0) as process,
    ):
        try:
            assert process.stdin is not None
            frames, data = 0, memoryview(b"")
            for block in blocks:
                frames += len(block)
                data = memoryview(block.tobytes())
                try:
                    while data:
                        data = data[process.stdin.write(data) :]
                except BrokenPipeError:  # it says why in its log
                    break
            process.stdin.close()
            code = process.wait() or int(bool(data))
        except BaseException:
            process.kill()
            raise
        log_file.seek(0)
        log = log_file.read().decode(errors="replace").strip()
    if code:
        if "No space left on device" in log:
            raise AudioError(f"could not write {path}: the disk is full")
        reason = log.splitlines()[-1] if log else f"ffmpeg ended with code {code}"
        if code < 0:
            reason = f"ffmpeg was stopped by {signal.Signals(-code).name}"  # SIGXFSZ: a limit on file sizes
        raise AudioError(f"could not write {path}: {reason}")
    if frames == 0:
        raise AudioError(f"could not write {path}: there are no samples to write")


def _of_shape(blocks: Iterable[Samples], channels: int) -> Iterator[Samples]:
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != channels:
            raise AudioError(f"a block of shape {block.shape} does not fit a song of {channels} channels")
        if len(block):
            yield block


def _to_float32(samples: Samples) -> np.ndarray[Any, Any]:
    return samples.astype("<f4", copy=False)


def _input_arguments(
    suffix: str, song: Song, notes: list[str]
) -> tuple[list[str], Callable[[Samples], np.ndarray[Any, Any]]]:
    """How ffmpeg is called and told what comes through its pipe, and what converts a block to that."""
    sample_format, convert = _raw_format(suffix, song, notes)
    layout = _FORMATS[suffix].layouts[song.channels - 1]
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-f", sample_format]
    return [*command, "-ar", str(song.sample_rate), "-ch_layout", layout, "-i", "pipe:0"], convert


def _raw_format(suffix: str, song: Song, notes: list[str]) -> tuple[str, Callable[[Samples], np.ndarray[Any, Any]]]:
    """The sample format of ffmpeg's pipe, and what converts a block to it."""
    if not _FORMATS[suffix].lossless:
        return "f32le", _to_float32
    if song.subtype == "PCM_16":
        return "s16le", to_int16
    if song.subtype == "FLOAT" and suffix == ".wav":
        return "f32le", _to_float32
    if song.subtype == "FLOAT":
        notes.append("flac holds 24 bits: rounded from floating point")
    return "s32le", to_int24


def _tag_arguments(suffix: str, song: Song, source: _Source, title_suffix: str | None, notes: list[str]) -> list[str]:
    arguments = ["-map", "0:a", "-map_metadata", "-1", "-map_chapters", "-1"]
    if source.cover is not None and song.path is not None:
        if _FORMATS[suffix].cover:
            picture = ["-map", f"1:{source.cover}", "-c:v", "copy", "-disposition:v", "attached_pic"]
            arguments = [*local_input(song.path), *arguments, *picture, "-metadata:s:v", "comment=Cover (front)"]
        else:
            notes.append(f"{suffix[1:]} files are written without a cover picture: left out")
    for key, value in source.tags.items():
        suffixed = value + title_suffix if title_suffix and key.lower() == "title" else value
        arguments += ["-metadata", f"{key}={suffixed}"]
    return arguments


def _output_rate(suffix: str, song: Song) -> int:
    """The song's sample rate, or the next that the format has, Hz."""
    rate, rates = song.sample_rate, _FORMATS[suffix].sample_rates
    return rate if not rates or rate in rates else next((allowed for allowed in rates if allowed >= rate), rates[-1])


def _codec_arguments(suffix: str, song: Song, source: _Source, bitrate: str | None, notes: list[str]) -> list[str]:
    form, name = _FORMATS[suffix], suffix[1:]
    rate, channels = _output_rate(suffix, song), min(song.channels, form.most_channels)
    if rate != song.sample_rate:
        only = "only" if len(form.sample_rates) == 1 else "at most" if rate < song.sample_rate else "as the next rate"
        notes.append(f"{name} holds {rate} Hz {only}: resampled from {song.sample_rate} Hz")
    arguments = ["-ar", str(rate)]
    if channels < song.channels:
        notes.append(f"{name} holds {channels} channels at most: mixed down from {song.channels}")
        arguments += ["-af", "aresample=out_chlayout=stereo:rematrix_maxval=1"]  # never louder than full scale
    if form.lossless:
        if bitrate is not None:
            notes.append(f"{name} is lossless: the bit rate of {bitrate} has no effect")
        if suffix == ".wav":
            codec = {"PCM_16": "pcm_s16le", "PCM_24": "pcm_s24le", "FLOAT": "pcm_f32le"}[song.subtype]
            return [*arguments, "-c:a", codec, "-rf64", "auto"]
        bits = ["s16", "16"] if song.subtype == "PCM_16" else ["s32", "24"]
        return [*arguments, "-c:a", "flac", "-sample_fmt", bits[0], "-bits_per_raw_sample", bits[1]]
    kilobits = _kilobits(bitrate, source, channels)
    arguments += ["-c:a", form.codec]
    if suffix == ".ogg":
        quality = np.interp(kilobits * 2 / channels, _VORBIS_BIT_RATES, range(len(_VORBIS_BIT_RATES)))
        return [*arguments, "-q:a", f"{quality:.2f}"]
    if suffix == ".mp3":
        arguments += ["-compression_level", "7", "-id3v2_version", "3"]
    if suffix == ".m4a":
        arguments += ["-aac_coder", "fast"]  # half the time, and nearer to the waveform at these bit rates
    if suffix == ".opus" and channels > 2:
        arguments += ["-mapping_family", "1"]  # left to itself, ffmpeg shuffles 5 and 7 channels
    return [*arguments, "-b:a", f"{min(kilobits, 250 * channels)}k"]


def _kilobits(bitrate: str | None, source: _Source, channels: int) -> int:
    """The bit rate of all channels in kb/s."""
    if bitrate is None:
        wanted = source.bit_rate or 0
        return next((step for step in _BIT_RATES if step >= wanted), _BIT_RATES[-1]) * channels // 2
    match = re.fullmatch(r"(\d{1,4})k?", bitrate.strip().lower())
    if not match or not 8 <= int(match[1]) <= 512:
        raise AudioError(f"a bit rate of {bitrate!r} cannot be used: give 8k to 512k, such as 192k")
    return int(match[1])


def _read_source(path: Path | None) -> _Source:
    """Ask ffmpeg for the tags, cover and bit rate of the song's file; nothing where it cannot say."""
    if path is None or not path.is_file():
        return _Source()
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-nostats", *local_input(path)]
    command += ["-map", "0:a:0", "-map_chapters", "-1", "-c", "copy", "-t", "0", "-f", "ffmetadata", "pipe:1"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    text, log = answer.stdout.decode(errors="replace"), answer.stderr.decode(errors="replace")
    tags: dict[str, str] = {}
    for key, value in re.findall(r"^((?:\\.|[^=\\\n])+)=((?:\\.|[^\\\n])*)$", text, re.MULTILINE | re.DOTALL):
        key, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in (key, value))
        if not DROPPED_TAGS.fullmatch(key) and len(value) <= LONGEST_TAG:
            tags.setdefault(key, value)  # the file's own come before those of its streams
    streams = log.split("Stream mapping", 1)[0]
    cover = re.search(r"Stream #0:(\d+)\S* Video: (?:mjpeg|png)\b.*\(attached pic\)", streams)
    audio = re.search(r"Stream #0:\S+ Audio: (?:mp3|vorbis|aac|wma)\b.*?(\d+) kb/s", streams)
    return _Source(tags, cover[1] if cover else None, int(audio[1]) if audio else None)
