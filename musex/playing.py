"""A song played endlessly on the sound device, steered while it plays.

The sound is made by a generator that asks for wishes between its predictions; the device and the keyboard are a thin
loop around it.
"""

import contextlib
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from musex.audio.reading import read_song
from musex.audio.song import Samples, Song
from musex.config import LONGEST_OUTPUT_SECONDS
from musex.errors import MusexError
from musex.planning.chain import Chain
from musex.planning.course import ModelLike, Request
from musex.planning.weights import SEARCH
from musex.plans import Beginning, Part
from musex.prediction.model import Model, load_model
from musex.rendering.stitch import pieces, play
from musex.rendering.streaming import until_void
from musex.settings import Settings
from musex.system.signals import undoing

NEXT, CALMER, MORE_INTENSE, QUIT = "next jump", "calmer", "more intense", "quit"
KEYS = {"n": NEXT, "c": CALMER, "i": MORE_INTENSE, "q": QUIT}
MOODS = ("calm", None, "intense")  # what the wishes lead through
AHEAD_STEPS = 30  # decided at a time: a wish is heard after three to six seconds
URGE = 50.0  # taken off a jump that is wished for
KEY_SECONDS = 0.1  # waited for a key
SPECIAL_KEYS = ("\x00", "\xe0")  # with which Windows begins what is no letter
AHEAD_BLOCKS = 2  # of a second, made before they are heard


def play_live(
    song: Song, model: ModelLike, wishes: Callable[[], list[str]], *, settings: Settings | None = None
) -> Iterator[Samples]:
    """A song without end: float32 blocks (frames, channels) of about a second, made as they are taken.

    Args:
        song: What is played.
        model: Predicts which place should come next.
        wishes: Asked between predictions: what was wished for since, of `KEYS`; QUIT ends the sound.
        settings: As in `musex.extend`; how it ends does not matter.
    """
    settings = replace(settings or Settings(), ending="cut")
    target = round(LONGEST_OUTPUT_SECONDS * song.sample_rate)
    weights = SEARCH.at(settings.novelty)
    weights = replace(weights, steady_mood=weights.mood)  # who wishes for one wants to hear it soon
    request = Request(song, model, target, settings, weights)
    request.check()
    chain = Chain(request, longest=AHEAD_STEPS)
    sound = until_void(pieces(song.samples, _steer(chain, wishes)))
    return play(sound, song, frames=target, fades=lambda: (0, 0))


def _steer(chain: Chain, wishes: Callable[[], list[str]]) -> Iterator[Beginning | Part]:
    """The parts of a chain whose path follows wishes, which are asked for after each of its horizons."""
    mood, wished = MOODS.index(None), False
    for decided in chain.horizons():
        yield from decided
        path = chain.path
        if path is None or isinstance(decided[0], Beginning):
            continue
        if any(isinstance(part, Part) and part.seam for part in decided):
            wished = False
        for wish in wishes():
            if wish == QUIT:
                return
            if wish == NEXT:
                wished = True
            else:
                mood = min(max(mood + (1 if wish == MORE_INTENSE else -1), 0), len(MOODS) - 1)
                wanted = MOODS[mood]
                path.wish(() if wanted is None else ((0.0, wanted),))
        path.urge = URGE if wished else chain.request.weights.urge


def play_file(
    song_path: str | Path,
    *,
    model: str | Path | None = None,
    stream: int | None = None,
    settings: Settings | None = None,
) -> None:
    """Play a song on the sound device until it is quit by key; Ctrl-C ends it, too.

    Raises:
        MusexError: The song or the model cannot be used, or there is no sound device.
    """
    device = _sound_library()
    song, loaded = read_song(song_path, stream=stream), load_model(model)
    if not isinstance(loaded, Model):
        raise MusexError(f"{loaded.name} predicts the waveform itself, too slowly to be played: use extend")
    wishes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def asked() -> list[str]:
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(wishes.get_nowait())
        return found

    blocks = play_live(song, loaded, asked, settings=settings)
    try:
        sound = device.OutputStream(samplerate=song.sample_rate, channels=song.channels, dtype="float32")
    except device.PortAudioError as error:
        raise MusexError(f"there is no sound device to play on: {error}") from error
    left = threading.Event()

    def wish(wanted: str) -> None:
        wishes.put(wanted)
        if wanted == QUIT:
            left.set()

    with sound, read_keys(wish):
        for block in made_ahead(blocks):
            sound.write(block)
            if left.is_set():  # at once: what is decided ahead need not be heard
                break


def made_ahead(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """The same blocks, made in a thread of their own before they are taken."""
    ready: queue.Queue[Samples | Exception | None] = queue.Queue(AHEAD_BLOCKS)
    left = threading.Event()

    def make() -> None:
        last: Exception | None = None
        try:
            for block in blocks:
                ready.put(block)
                if left.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the blocks are taken
            last = error
        ready.put(last)

    threading.Thread(target=make, daemon=True).start()
    try:
        while (block := ready.get()) is not None:
            if isinstance(block, Exception):
                raise block
            yield block
    finally:
        left.set()


@contextlib.contextmanager
def read_keys(wish: Callable[[str], None]) -> Iterator[None]:
    """Pass on what the terminal's keys wish for, without waiting for Enter; nothing where stdin is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    done = threading.Event()

    def read(pressed: Callable[[], str | None]) -> None:
        while not done.is_set() and (keys := pressed()) is not None:
            for key in keys.lower():
                if key in KEYS:
                    wish(KEYS[key])

    with _terminal_keys() if sys.platform != "win32" else _console_keys(import_module("msvcrt")) as pressed:
        reader = threading.Thread(target=read, args=(pressed,), daemon=True)
        reader.start()
        try:
            yield
        finally:
            done.set()
            reader.join(1.0)


@contextlib.contextmanager
def _terminal_keys() -> Iterator[Callable[[], str | None]]:
    """What a terminal's keys wrote within a moment, None once it is closed; the terminal is then as it was before."""
    import termios
    import tty

    def pressed() -> str | None:
        if not select.select([sys.stdin], [], [], KEY_SECONDS)[0]:
            return ""
        keys = os.read(sys.stdin.fileno(), 64)  # past Python's buffer, in which select sees no keys
        return keys.decode(errors="ignore") if keys else None

    restore = partial(termios.tcsetattr, sys.stdin, termios.TCSANOW, termios.tcgetattr(sys.stdin))
    with undoing(restore):
        tty.setcbreak(sys.stdin)
        try:
            yield pressed
        finally:
            restore()


@contextlib.contextmanager
def _console_keys(console: Any) -> Iterator[Callable[[], str | None]]:
    """The same on Windows, whose `console` is the module msvcrt."""

    def pressed() -> str:
        if not console.kbhit():
            time.sleep(KEY_SECONDS)
            return ""
        key = str(console.getwch())
        if key in SPECIAL_KEYS:
            console.getwch()  # an arrow's second code may be the letter of a wish
            return ""
        return key

    yield pressed


def _sound_library() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MusexError("playing needs sounddevice: pip install 'musex[play]'") from error
    except OSError as error:  # it is there, the library behind it is not
        raise MusexError(f"playing needs PortAudio ({error}): install it, such as apt install libportaudio2") from error
    return sounddevice
