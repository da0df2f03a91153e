"""Songs made with NumPy, for all tests; and how long testing may take."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

# Started in the background of a shell, a process ignores Ctrl-C, and so would every `musex` that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--until", type=float, metavar="TIME", help="Leave out what has not begun by then (UNIX time).")


def pytest_runtest_setup(item: pytest.Item) -> None:
    until = item.config.getoption("--until")
    if until and time.time() > until:
        pytest.skip("left out: the time for tests is over")


@pytest.fixture
def usual_speed() -> None:
    """Skips where NumPy, usually imported in 0.2 s, takes more than one: bounds in seconds say nothing there."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    if time.perf_counter() - began > 1.0:
        pytest.skip("this machine is too slow for bounds in seconds")


MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Gives a folder by its name, filled once for all workers (pytest-xdist, "Making session-scoped fixtures execute
    only once"). Whoever uses it leaves it as it is."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, begun = shared / name, shared / f"{name}.begun"
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(begun, ignore_errors=True)
                begun.mkdir()
                fill(begun)
                begun.rename(folder)
        return folder

    return make


def synthesise(seconds: float = 6.0, sample_rate: int = 44_100, channels: int = 2, seed: int = 0) -> np.ndarray:
    """A chord progression with a pulse, float32 (frames, channels), peaks near 0.5."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    bar = (time // 2).astype(int) % 4
    root = np.array([220.0, 174.6, 130.8, 196.0])[bar]
    tone = np.sin(2 * np.pi * np.outer(time * root, [1, 1.25, 1.5])).mean(axis=1)
    drum = rng.standard_normal(len(time)) * np.exp(-30 * (time % 0.5))
    pan = np.linspace(0.8, 1.0, channels)
    song: np.ndarray = ((0.35 * tone + 0.05 * drum)[:, None] * pan).astype(np.float32)
    return song


@pytest.fixture(scope="session")
def make_song() -> Callable[..., np.ndarray]:
    """`synthesise`, for tests that want songs of their own kind."""
    return synthesise


@pytest.fixture(scope="session")
def samples() -> np.ndarray:
    """Six seconds of stereo at 44 100 Hz, float32 (frames, channels)."""
    return synthesise()


@pytest.fixture(scope="session")
def wav_path(tmp_path_factory: pytest.TempPathFactory, samples: np.ndarray) -> Path:
    """The same as a 16-bit WAV."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    soundfile.write(path, samples, 44_100, subtype="PCM_16")
    return path
