"""Does everything that musex needs work here? `musex doctor`: versions, codecs, the model and a whole extension."""

import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import numpy as np
import soundfile

from musex import __version__
from musex.analysis.features import analyse
from musex.audio.ffmpeg import STALL_SECONDS, ffmpeg
from musex.audio.formats import WRITABLE
from musex.audio.reading import read_song
from musex.audio.song import song_from_array
from musex.audio.writing import write_song
from musex.errors import MusexError
from musex.extension import extend
from musex.prediction.model import load_model
from musex.system.caches import place_caches
from musex.system.side_files import temporary_folder

PACKAGES = ("numpy", "soundfile", "soxr", "librosa", "pydub", "ai-edge-litert", "imageio-ffmpeg")
EXTRAS = ("tensorflow", "distributed", "universal-pathlib", "s3fs", "gcsfs")  # which are told where they are installed
SECONDS = 20.0  # of the song that is extended as a trial
SAMPLE_RATE = 44_100  # of the same


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, whether it is as it should be, and what was seen."""

    name: str
    works: bool
    details: str


def make_song() -> np.ndarray:
    """Twenty seconds of stereo with chords and a pulse, float32 (frames, 2)."""
    time_axis = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    root = np.array([220.0, 174.6, 130.8, 196.0])[(time_axis // 2).astype(int) % 4]
    chord = np.sin(2 * np.pi * np.outer(time_axis * root, [1, 1.25, 1.5])).mean(axis=1)
    drum = np.random.default_rng(0).standard_normal(len(time_axis)) * np.exp(-30 * (time_axis % 0.5))
    return np.stack([0.3 * chord + 0.05 * drum] * 2, axis=1).astype(np.float32)


def diagnose() -> Iterator[Finding]:
    """Look at one thing after another; never raises for what does not work."""
    yield Finding("musex", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("packages", True, ", ".join(_versions()))
    yield Finding("caches", True, place_caches() or "home can be written to")
    yield _try("temporary folder", tempfile.gettempdir)
    yield _try("libsndfile", lambda: soundfile.__libsndfile_version__)
    yield _try("ffmpeg", _ffmpeg_version)
    song = make_song()
    for suffix in WRITABLE:
        yield _try(f"{suffix[1:]} written and read", partial(_round_trip, song, suffix))
    yield _try("model", lambda: _predict(song))
    yield _try("extension", lambda: _extend(song))


def _try(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except (MusexError, OSError, ImportError, subprocess.SubprocessError) as error:
        return Finding(name, False, " ".join(str(error).split()))


def _versions() -> Iterator[str]:
    for name in (*PACKAGES, *EXTRAS):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            if name not in EXTRAS:
                yield f"{name} missing"


def _ffmpeg_version() -> str:
    told = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=True, timeout=STALL_SECONDS)
    return told.stdout.split(" Copyright")[0].removeprefix("ffmpeg ")


def _round_trip(song: np.ndarray, suffix: str) -> str:
    second = song[: 6 * SAMPLE_RATE]
    with temporary_folder() as folder:
        path = folder / f"song{suffix}"
        began = time.perf_counter()
        write_song(path, iter([second]), song=song_from_array(second, SAMPLE_RATE))
        back = read_song(path)
        taken = time.perf_counter() - began
        length, size = len(back.samples) / back.sample_rate, path.stat().st_size
    if abs(length - 6.0) > 0.2:
        raise MusexError(f"6 s came back as {length:.2f} s")
    return f"{size / 1000:.0f} kB, {taken:.2f} s"


def _predict(song: np.ndarray) -> str:
    began = time.perf_counter()
    model = load_model()
    loaded = time.perf_counter() - began
    features = analyse(np.tile(song, (9, 1)), SAMPLE_RATE)
    memory = model.listen(features)
    model.predict(memory, np.arange(200))
    began = time.perf_counter()
    model.predict(memory, np.arange(200, 400))
    taken = 1000 * (time.perf_counter() - began)
    return f"{model.name} {model.sha256[:12]}, loaded in {loaded:.2f} s, 10 s predicted from 3 min in {taken:.0f} ms"


def _extend(song: np.ndarray) -> str:
    began = time.perf_counter()
    made = extend(song, sample_rate=SAMPLE_RATE, seconds=60.0)
    taken = time.perf_counter() - began
    if abs(made.seconds - 60.0) > 0.1:
        raise MusexError(f"20 s were to last 60 s and came out at {made.seconds:.2f} s")
    return f"20 s to {made.seconds:.2f} s with {len(made.plan.seams)} seams in {taken:.1f} s"
