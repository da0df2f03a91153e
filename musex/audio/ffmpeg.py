"""ffmpeg, which comes with imageio-ffmpeg: asked about files, given up where it hangs; and stderr kept clean."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from musex.audio.streams import AudioStream, parse_streams
from musex.errors import AudioError
from musex.system.processes import running, tell_stop
from musex.system.signals import undoing

STALL_SECONDS = 60.0  # after which ffmpeg is taken for hung
# ffmpeg may open these containers only: playlists and scripts could name other files.
CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,tta,w64,wav,wv"
)
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
    check_end(process, path)
    return answer, log.decode(errors="replace")


def check_end(process: "subprocess.Popen[bytes]", path: Path | None) -> None:
    """Raise AudioError where ffmpeg did not end by itself: what it said until then may be a part only."""
    if stop := tell_stop(process):
        raise AudioError(
            f"{path or 'the song'} cannot be read: ffmpeg was {stop}, perhaps for lack of memory; try again, or "
            "convert the song to wav or flac"
        )
