"""Write songs: formats, tags and pictures, streaming, atomic replacement.

Every format is encoded by ffmpeg, fed through a pipe: it works on another core while the caller renders, in memory
that does not grow with the output.
"""

import os
import stat
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import IO, Any

import numpy as np

from musex.audio.ffmpeg import Watch, ffmpeg, temporary_file
from musex.audio.formats import (
    FORMATS,
    LOOP_TAGGED,
    PIPED,
    WRITABLE,
    Format,
    check_size,
    choose_format,
    codec_arguments,
    input_layout,
    kilobits_of,
    output_rate,
    raw_format,
)
from musex.audio.song import Samples, Song
from musex.audio.tags import prepare_output, read_source
from musex.audio.tags.items import Chapter
from musex.audio.tags.riff import mark_loop
from musex.errors import AudioError, suggest
from musex.system.processes import running, tell_stop
from musex.system.side_files import written_whole

MOST_WAITING = 20  # blocks that are made while the encoder has not taken them yet


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
        kilobits_of(bitrate, None, 2)
    if path.is_dir():
        raise AudioError(f"{path} is a folder: name the file to write, such as {path / 'song.mp3'}")
    if path.suffix.lower() not in FORMATS:
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
            raise AudioError(f"{path} exists already: choose another name, or overwrite it with `force=True`")


def write_song(
    path: str | Path,
    blocks: Iterable[Samples],
    *,
    song: Song,
    force: bool = False,
    title_suffix: str | None = None,
    encoded_by: str | None = None,
    bitrate: str | None = None,
    loop: tuple[int, int] | None = None,
    untouched: Callable[[], int] | None = None,
) -> list[str]:
    """Encode blocks as they come, with the tags and pictures of the song's file, and put the file in place at the end.

    Args:
        path: The output; its ending chooses the format, one of `WRITABLE`.
        blocks: float32 (frames, channels) at the song's sample rate.
        song: What the output was made from.
        force: Overwrite an existing file.
        title_suffix: Appended to the title, where the song has one.
        encoded_by: What made the file, for the tag of that name.
        bitrate: For lossy formats, such as "256k", or a quality, "small", "good" or "best", which lets the rate vary
            where the format can; without it 192 kb/s or the song's own class above that (for two channels).
        loop: Of an output that loops: the first frame of its loop, and how many that has. Its loop points are written,
            as a `smpl` chunk in wav and as the tags LOOPSTART and LOOPLENGTH in mp3, flac, ogg and opus.
        untouched: Says, once the blocks have ended, how many frames of the song they play from its beginning on as it
            is: chapters within them are kept.

    Returns:
        What the user should know: how the format differs from the song.

    Raises:
        AudioError: As `check_output`; or the disk is full or the encoder fails. Nothing is left behind then, and
            an existing file is as it was.
    """
    check_output(path, song.path, force, bitrate=bitrate)
    with written_whole(path, AudioError, force=force) as temporary:
        return encode_song(
            temporary,
            blocks,
            song=song,
            name=path,
            title_suffix=title_suffix,
            encoded_by=encoded_by,
            bitrate=bitrate,
            loop=loop,
            untouched=untouched,
        )


def encode_song(
    temporary: Path,
    blocks: Iterable[Samples],
    *,
    song: Song,
    name: str | Path,
    title_suffix: str | None = None,
    encoded_by: str | None = None,
    bitrate: str | None = None,
    loop: tuple[int, int] | None = None,
    untouched: Callable[[], int] | None = None,
    chapters: Callable[[], Sequence[Chapter]] | None = None,
) -> list[str]:
    """Encode blocks to a path that `written_whole` gives; errors call it `name`. Arguments as in `write_song`.

    `chapters` are asked for before the blocks, for the room that they take, and again after them, with their times.
    """
    suffix = temporary.suffix.lower()
    source, notes = read_source(song.path, song.stream), list[str]()
    if chapters is not None:
        source = replace(source, tags=replace(source.tags, chapters=tuple(chapters())))
    form = choose_format(suffix, song, source.codec, bitrate=bitrate, notes=notes)
    command, convert = _input_arguments(form, song, notes)
    tagged = None
    if loop is not None and suffix in LOOP_TAGGED:
        start, stop = (round(at * output_rate(form, song) / song.sample_rate) for at in (loop[0], sum(loop)))
        tagged = (start, stop - start)
    output = prepare_output(suffix, source, title_suffix=title_suffix, encoded_by=encoded_by, loop=tagged, notes=notes)
    command += output.arguments(temporary.parent)
    command += codec_arguments(suffix, form, song, source_rate=source.bit_rate, bitrate=bitrate, notes=notes)
    command += ["-fflags", "+bitexact", "-f", form.muxer, "-n", f"file:{temporary}"]
    _encode(command, map(convert, _of_shape(blocks, song, form, name)), Path(name))
    seconds = untouched() / song.sample_rate if untouched is not None else 0.0
    if chapters is not None:
        output, seconds = output.with_chapters(chapters()), inf
    notes += output.write(temporary, sample_rate=song.sample_rate, untouched_seconds=seconds)
    if loop is not None and suffix == ".wav":
        mark_loop(temporary, loop, song.sample_rate)
    return notes


def pipe_song(
    handle: IO[bytes], blocks: Iterable[Samples], *, song: Song, suffix: str = ".wav", bitrate: str | None = None
) -> list[str]:
    """Encode blocks as they come into a pipe, without tags, to be heard while it grows; arguments as in `write_song`.

    Where the pipe is a file of its own, its header is mended at the end.

    Raises:
        AudioError: The format or its bit rate cannot be used, or the encoder fails.
        BrokenPipeError: Whoever reads has closed the pipe.
    """
    if suffix not in FORMATS:
        raise AudioError(f"{suffix[1:]} is not among {', '.join(name[1:] for name in WRITABLE)}")
    notes, form, mendable = list[str](), FORMATS[suffix], is_mendable(handle)
    if form.muxer == "aiff" and not mendable:
        raise AudioError("aiff cannot be piped: it begins with its length; pipe wav or flac, or name a file by -o")
    command, convert = _input_arguments(form, song, notes)
    command += ["-map", "0:a:0", *codec_arguments(suffix, form, song, source_rate=None, bitrate=bitrate, notes=notes)]
    command += [] if mendable else PIPED.get(suffix, [])
    target = ["-fd", "1", "fd:"] if mendable else ["pipe:1"]  # ffmpeg never goes back in what it calls a pipe
    command += ["-flush_packets", "1", "-fflags", "+bitexact", "-f", form.muxer, *target]
    try:
        _encode(command, map(convert, _of_shape(blocks, song, form, "the stream")), Path("the stream"), output=handle)
    except AudioError as error:
        if "Broken pipe" in str(error) or "SIGPIPE" in str(error):
            raise BrokenPipeError from error
        raise
    return notes


def is_mendable(handle: IO[bytes]) -> bool:
    """Whether what is written there can be gone back in: a file, empty so far, that is not appended to."""
    try:
        import fcntl

        number = handle.fileno()
        appended = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
        return stat.S_ISREG(os.fstat(number).st_mode) and not appended and os.lseek(number, 0, os.SEEK_CUR) == 0
    except (ImportError, OSError, ValueError):  # Windows, or no file behind it
        return False


def _encode(
    command: list[str],
    blocks: Iterable[np.ndarray[Any, Any]],
    path: Path,
    *,
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> None:
    """Feed ffmpeg's pipe until the blocks end, while they are made; kill it on whatever interrupts that."""
    with (
        temporary_file() as log_file,
        running(command, stdin=subprocess.PIPE, stdout=output, stderr=log_file, bufsize=0) as process,
        ThreadPoolExecutor(1) as feeder,
    ):
        watch = Watch(process)
        listened = output is not subprocess.DEVNULL  # whoever listens may pause
        try:
            assert process.stdin is not None
            frames, reads = 0, True
            waiting: deque[Future[bool]] = deque()
            for block in blocks:
                frames += len(block)
                waiting.append(feeder.submit(_feed, process.stdin, block.tobytes(), None if listened else watch))
                if len(waiting) > MOST_WAITING and not (reads := waiting.popleft().result()):
                    break
            reads = all(fed.result() for fed in waiting) and reads
            process.stdin.close()
            with nullcontext() if listened else watch.waiting():
                code = process.wait() or int(not reads)
        except BaseException:
            process.kill()
            raise
        finally:
            watch.close(f"could not write {path}")
        log_file.seek(0)
        log = log_file.read().decode(errors="replace").strip()
    if code:
        if "No space left on device" in log:
            raise AudioError(f"could not write {path}: the disk is full")
        reason = log.splitlines()[-1] if log else f"ffmpeg ended with code {code}"
        if stop := tell_stop(process):
            reason = f"ffmpeg was {stop}"  # SIGXFSZ: a limit on file sizes
        raise AudioError(f"could not write {path}: {reason}")
    if frames == 0:
        raise AudioError(f"could not write {path}: there are no samples to write")


def _feed(pipe: IO[bytes], data: bytes, watch: Watch | None) -> bool:
    """Write all of it; False if nobody reads on (who did says why in its log)."""
    left = memoryview(data)
    try:
        while left:
            with watch.waiting() if watch else nullcontext():
                left = left[pipe.write(left) :]
    except BrokenPipeError:
        return False
    return True


def _of_shape(blocks: Iterable[Samples], song: Song, form: Format, path: str | Path) -> Iterator[Samples]:
    frames = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != song.channels:
            raise AudioError(f"a block of shape {block.shape} does not fit a song of {song.channels} channels")
        frames += len(block)
        check_size(form, song, frames, path)
        if len(block):
            yield block


def _input_arguments(
    form: Format, song: Song, notes: list[str]
) -> tuple[list[str], Callable[[Samples], np.ndarray[Any, Any]]]:
    """How ffmpeg is called and told what comes through its pipe, and what converts a block to that."""
    sample_format, convert = raw_format(form, song, notes)
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-f", sample_format]
    return [*command, "-ar", str(song.sample_rate), "-ch_layout", input_layout(form, song), "-i", "pipe:0"], convert
