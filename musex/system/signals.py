"""Ctrl-C, and other signals that ask the program to end: it ends at once, wherever it is, and leaves nothing half done.

An exception out of a signal's handler is lost wherever Python lets none pass: in callbacks, while modules are imported,
while numba compiles. So whoever begins what must not stay half done says how it is undone, and the handler undoes all
of that, the last first, and ends the process itself.
"""

import atexit
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

GRACE_SECONDS = 2.0  # within it a second Ctrl-C does not interrupt the tidying up after the first; later it does

_undos: list[Callable[[], object]] = []  # changed by single calls: other threads write down theirs, too
_holds: list[None] = []


class Stopped(BaseException):
    """A signal asked the program to end while it was held off."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class _Stopper:
    """The handler: what came, and whether the end has begun."""

    def __init__(self) -> None:
        self.number, self.since, self.ending = 0, 0.0, False
        self.message = b""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.number:
            self.number, self.since = number, now
        if now - self.since >= GRACE_SECONDS or not (self.ending or _holds):
            self.end()

    def end(self) -> None:
        """Undo what is half done, and end the process."""
        self.ending = True
        try:
            while _undos:
                with suppress(Exception):  # what cannot be undone keeps nothing else from being undone
                    _undos.pop()()
            with suppress(OSError):  # the terminal is closed
                os.write(2, self.message)
        finally:
            os._exit(128 + self.number)

    def resume(self) -> None:
        """Do what was held off, in the main thread as always."""
        if threading.current_thread() is threading.main_thread():
            self(self.number, None)
        elif hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, self.number)
        else:  # Windows
            signal.raise_signal(self.number)


_stopper = _Stopper()


def listen(*names: str, message: str = "") -> None:
    """End this process at the signals of these names, where there are such and they are not ignored (nohup).

    Args:
        names: Such as "SIGINT".
        message: What stderr is told then.
    """
    _stopper.message = message.encode()
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stopper)
            # The last of all: Python takes its handlers away before it has ended, and all is done by then.
            atexit.register(signal.signal, number, signal.SIG_IGN)


def undo_at_stop(undo: Callable[[], object]) -> None:
    """Have something done if a signal ends the process; it must want no lock, which the interrupted code may hold."""
    _undos.append(undo)


def end_process() -> None:
    """End this process as a signal would."""
    _stopper.number = _stopper.number or signal.SIGTERM
    _stopper.end()


@contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """The same for as long as the context lasts, which undoes it by itself in every other case."""
    undo_at_stop(undo)
    try:
        yield
    finally:
        with suppress(ValueError):  # it is being undone
            _undos.remove(undo)


@contextmanager
def held_off() -> Iterator[None]:
    """Within, a signal waits: for the end of the context, or for `check_stop`. Not longer than a second signal does."""
    _holds.append(None)
    try:
        yield
    finally:
        _holds.pop()
        if _stopper.number and not _holds and not _stopper.ending:
            _stopper.resume()


def check_stop() -> None:
    """Raise Stopped if a signal was held off: for what has to unwind in order."""
    if _stopper.number and not _stopper.ending:
        _stopper.ending = True
        raise Stopped(_stopper.number)
