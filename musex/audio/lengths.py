"""How long a file lasts, a video's or a song's."""

import re
import subprocess
from fractions import Fraction
from pathlib import Path

from musex.audio.ffmpeg import Watch, check_end, ffmpeg, local_input
from musex.audio.reading import check_song
from musex.errors import AudioError
from musex.system.processes import running

PACKET = re.compile(rb"(\d+), *-?\d+, *(-?\d+), *(\d+),")  # of ffmpeg's framecrc: stream, dts, pts and duration


def measure_seconds(path: str | Path) -> float:
    """Seconds that a video or a song lasts: its pictures as they are timed, its sound as it is decoded.

    Headers are not believed: of many files they tell a rounded or an estimated duration. The longer of both counts.

    Raises:
        AudioError: There is no such file, or nothing in it lasts.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path} is a folder: name one video or song")
    check_song(path)
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file: save it to a file first")
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-nostats", *local_input(path), "-map", "0:V?", "-map", "0:a?"]
    command += ["-c:v", "copy", "-f", "framecrc", "pipe:1"]
    end, bases = Fraction(0), dict[bytes, Fraction]()
    with running(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        watch = Watch(process)
        try:
            assert process.stdout is not None
            while True:
                with watch.waiting():
                    line = process.stdout.readline()
                if not line:
                    break
                if base := re.match(rb"#tb (\d+): (\d+)/(\d+)", line):
                    bases[base[1]] = Fraction(int(base[2]), int(base[3]))
                elif packet := PACKET.match(line):
                    end = max(end, (int(packet[2]) + int(packet[3])) * bases[packet[1]])
            process.wait()
        finally:
            process.kill()
            watch.close(path)
        check_end(process, path)
    if end <= 0:
        raise AudioError(f"{path} has no duration: it is no video and no song, or damaged")
    return float(end)
