"""Speed and memory of `musex extend`: `python tests/benchmark_extend.py`. Exits with 1 if a limit is missed.

A 3 min stereo mp3 is made to last 10 min, as wav and as mp3, each by a fresh process. Beside the mp3 stands what
ffmpeg alone needs to encode the same 10 min at the same settings.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musex.audio.ffmpeg import ffmpeg
from musex.audio.reading import read_song

ROOT = Path(__file__).parent.parent
FIRST_PREDICTION_SECONDS = 3.0
WAV_SECONDS = 8.0
MP3_RATIO, MP3_SECONDS = 1.5, 3.0  # times what ffmpeg alone needs, plus
PEAK_MEGABYTES = 700.0
FIRST_PREDICTION = """
import sys, time
from musex.audio.reading import read_song
from musex.analysis.features import analyse
from musex.prediction.model import load_model
song = read_song(sys.argv[1])
features = analyse(song.samples, song.sample_rate)
model = load_model()
model.predict(model.listen(features), range(200))
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: wall-clock and processor seconds, its children's peak memory beside its own."""

    seconds: float
    processor_seconds: float
    megabytes: float


def measure(command: list[str]) -> Cost:
    """Run a command and tell what it took; the memory is that of its largest process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    scale = 1024 if sys.platform != "darwin" else 1024**2
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def best(command: list[str], repeats: int) -> Cost:
    return min((measure(command) for _ in range(repeats)), key=lambda cost: cost.seconds)


def make_long_song(path: Path, seconds: int) -> None:
    """The examples one after another, cut to `seconds`, as a 192 kb/s mp3."""
    songs = [read_song(ROOT / "examples" / f"{name}.mp3") for name in ("groove", "waltz", "drift")]
    samples = np.concatenate([song.samples for song in songs])[: seconds * songs[0].sample_rate]
    command = [ffmpeg(), "-loglevel", "error", "-f", "f32le", "-ar", "44100", "-ac", "2", "-i", "pipe:0"]
    subprocess.run([*command, "-b:a", "192k", "-y", str(path)], input=samples.tobytes(), check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure musex extend against its limits.")
    parser.add_argument("--song", type=Path, help="another song than 3 min of the examples")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3, help="the best counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        song = options.song or folder / "song.mp3"
        if options.song is None:
            make_long_song(song, 180)
        wav, mp3, alone = (folder / file for file in ("long.wav", "long.mp3", "alone.mp3"))
        extend = [sys.executable, "-m", "musex", "extend", str(song), "--minutes", str(options.minutes), "--force"]
        # As musex/audio/writing.py has it encoded.
        settings = ["-c:a", "libmp3lame", "-compression_level", "7", "-b:a", "192k", "-fflags", "+bitexact"]
        first = best([sys.executable, "-c", FIRST_PREDICTION, str(song)], options.repeats)
        to_wav = best([*extend, "-o", str(wav)], options.repeats)
        to_mp3 = best([*extend, "-o", str(mp3), "--bitrate", "192k"], options.repeats)
        encoding = best([ffmpeg(), "-loglevel", "error", "-y", "-i", str(wav), *settings, str(alone)], options.repeats)
    rows = [
        ("start-up to first prediction, s", first.seconds, FIRST_PREDICTION_SECONDS),
        ("to wav, s", to_wav.seconds, WAV_SECONDS),
        ("to mp3, s", to_mp3.seconds, MP3_RATIO * encoding.seconds + MP3_SECONDS),
        ("peak memory to wav, MB", to_wav.megabytes, PEAK_MEGABYTES),
        ("peak memory to mp3, MB", to_mp3.megabytes, PEAK_MEGABYTES),
    ]
    facts = {
        "ffmpeg alone, s": encoding.seconds,
        "mp3 to ffmpeg alone, ratio": to_mp3.seconds / encoding.seconds,
        "processor time to wav, s": to_wav.processor_seconds,
        "processor time to mp3, s": to_mp3.processor_seconds,
    }
    if options.json:
        print(json.dumps({**{row[0]: row[1] for row in rows}, **facts}, indent=1))
    else:
        for label, value, limit in rows:
            print(f"{label:34s} {value:8.2f}   limit {limit:8.2f}   {'ok' if value <= limit else 'MISSED'}")
        for label, value in facts.items():
            print(f"{label:34s} {value:8.2f}")
    return int(any(value > limit for _, value, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
