"""Endless play: the song's own sound, led by wishes; and the command, on a device that writes down what it plays."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

import musex
from musex.cli.app import run
from musex.planning.outlook import Outlook
from musex.planning.path import Path as PlannedPath
from musex.plans import Part
from musex.playing import CALMER, MORE_INTENSE, NEXT, QUIT, _console_keys, made_ahead, play_live
from musex.prediction.model import Model, load_model
from musex.rendering.streaming import stream_song
from tests.analysis.test_moods import sections

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def song() -> musex.Song:
    return musex.read_song(EXAMPLES / "groove.mp3")


@pytest.fixture(scope="module")
def model() -> Model:
    model = load_model()
    assert isinstance(model, Model)
    return model


def take(song: musex.Song, model: Model, seconds: int, wished: dict[int, str]) -> np.ndarray:
    """So many seconds of endless play; wishes by the number of times they were asked for."""
    asked = 0

    def wishes() -> list[str]:
        nonlocal asked
        asked += 1
        return [wished[asked]] if asked in wished else []

    blocks = play_live(song, model, wishes)
    return np.concatenate([block for _, block in zip(range(seconds), blocks, strict=False)])


def test_without_a_wish_it_is_the_song_at_first(song: musex.Song, model: Model) -> None:
    heard = take(song, model, 25, {})
    np.testing.assert_array_equal(heard, song.samples[: len(heard)])


def test_a_jump_comes_soon_after_it_is_wished_for(song: musex.Song, model: Model) -> None:
    heard = take(song, model, 20, {2: NEXT})  # after six seconds
    same = np.all(heard == song.samples[: len(heard)], axis=1)
    first = int(np.argmin(same)) / song.sample_rate
    assert 6.0 <= first <= 13.0


def test_moods_are_followed(model: Model) -> None:
    song, level_db = sections("cicici"), {}
    for wish in (CALMER, MORE_INTENSE):
        heard = take(song, model, 120, {1: wish})[-90 * song.sample_rate :]
        level_db[wish] = 10.0 * np.log10(np.mean(heard**2))
    assert level_db[MORE_INTENSE] > level_db[CALMER] + 3.0, level_db


def test_quit_ends_it(song: musex.Song, model: Model) -> None:
    assert len(take(song, model, 100, {3: QUIT})) == pytest.approx(9 * song.sample_rate, abs=song.sample_rate)


def test_sound_that_is_void_after_all_ends_it(
    song: musex.Song, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    follow, asked = PlannedPath.follow, [0]

    def astray(path: PlannedPath, outlook: Outlook) -> list[Part]:
        asked[0] += 1
        path.clean &= asked[0] != 4
        return follow(path, outlook)

    monkeypatch.setattr(PlannedPath, "follow", astray)
    heard = np.concatenate(list(made_ahead(play_live(song, model, list))))
    assert len(heard) == 9 * song.sample_rate  # three horizons
    assert "ends early" in caplog.text
    asked[0] = 0
    streamed = np.concatenate(list(stream_song(song, model, seconds=60.5)))
    assert len(streamed) == round(60.5 * song.sample_rate)
    assert streamed[29 * song.sample_rate : 30 * song.sample_rate].any()
    assert not streamed[31 * song.sample_rate :].any()


def test_wishes_are_asked_for_after_each_horizon(song: musex.Song, model: Model) -> None:
    asked = 0

    def wishes() -> list[str]:
        nonlocal asked
        asked += 1
        return []

    blocks = play_live(song, model, wishes)
    seconds = sum(len(block) for block, _ in zip(blocks, range(90), strict=False)) // song.sample_rate
    assert asked >= seconds // 3 - 1


def test_blocks_are_made_ahead_and_errors_arrive() -> None:
    blocks = [np.full((4, 1), number, np.float32) for number in range(5)]
    assert [int(block[0, 0]) for block in made_ahead(iter(blocks))] == [0, 1, 2, 3, 4]

    def failing() -> "object":
        yield blocks[0]
        raise musex.MusexError("no more")

    made = made_ahead(failing())  # type: ignore[arg-type]
    next(made)
    with pytest.raises(musex.MusexError, match="no more"):
        next(made)

    def broken() -> "object":
        yield blocks[0]
        raise ZeroDivisionError

    made = made_ahead(broken())  # type: ignore[arg-type]
    next(made)
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_without_the_extra_its_name_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert run(["play", str(EXAMPLES / "groove.mp3"), "--quiet"]) == 1
    assert capsys.readouterr().err == "musex: error: playing needs sounddevice: pip install 'musex[play]'\n"


class Console:
    """Windows' console, as msvcrt shows it: keys that were pressed, one code at a time."""

    def __init__(self, codes: str) -> None:
        self.codes = list(codes)

    def kbhit(self) -> bool:
        return bool(self.codes)

    def getwch(self) -> str:
        return self.codes.pop(0)


def test_keys_of_windows_are_read_without_its_special_ones() -> None:
    page_down, f10 = "\xe0Q", "\x00D"
    with _console_keys(Console(f"n{page_down}c{f10}Q")) as pressed:
        assert "".join(pressed() or "" for _ in range(8)) == "ncQ"


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """ALSA's default device for the command, which needs no hardware: a file of what it played."""
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("sounddevice or PortAudio is not installed")
    played = tmp_path / "played.raw"
    device = f'pcm.!default {{ type file; slave.pcm {{ type null }}; file "{played}"; format raw }}\n'
    (tmp_path / "asound.conf").write_text(device)
    return played


@pytest.mark.skipif(sys.platform != "linux", reason="only ALSA has a device that needs no hardware")
@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 130)])
def test_the_command_plays_until_it_is_ended_by_a_key(key: bytes, code: int, song: musex.Song, device: Path) -> None:
    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "musex", "play", str(EXAMPLES / "groove.mp3")]
    changed = {"ALSA_CONFIG_PATH": str(device.with_name("asound.conf")), "PYTHONPATH": str(EXAMPLES.parent)}
    process = subprocess.Popen(command, env=os.environ | changed, stdin=terminal, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (device.exists() and device.stat().st_size > 30 * 44_100 * 8):
        time.sleep(0.05)
    for pressed in (b"n", b"i", b"x", key):
        os.write(keyboard, pressed)
    if key == b"\x03":  # this terminal is not the process's own, and would not send it
        process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=240)
    assert process.returncode == code, told
    assert told.startswith("n: next jump, c: calmer, i: more intense, q: quit\n")
    assert "Traceback" not in told
    assert termios.tcgetattr(terminal) == before
    with contextlib.suppress(OSError):
        os.close(keyboard)
        os.close(terminal)
    heard = np.fromfile(device, np.float32)[: 25 * 44_100 * 2].reshape(-1, 2)
    np.testing.assert_array_equal(heard, song.samples[: len(heard)])
