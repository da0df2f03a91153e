"""The command `musex`: catches signals before anything that takes time is imported."""

import os
import signal
import sys
import time
from types import FrameType

GRACE_SECONDS = 2.0  # a second Ctrl-C within it does not interrupt the tidying up after the first


class Stopped(BaseException):
    """Ctrl-C, or another signal that asks the program to end: unwinds everything, so that nothing partial stays."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class _Stopper:
    def __init__(self) -> None:
        self.last = -GRACE_SECONDS

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self.last >= GRACE_SECONDS:
            self.last = now
            raise Stopped(number)


def plug_streams() -> None:
    """Open what a shell has closed by `>&-`, lest the next file that is opened takes its place.

    What is told on stderr goes nowhere then. Stdout stays None, for what is printed there must not be lost in silence.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number else os.O_RDONLY)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end


def main() -> None:
    """Run the command line and exit with its code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    plug_streams()
    stopper = _Stopper()
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(number, stopper)
        from musex.cli import run

        code = run(sys.argv[1:])
    except Stopped as stopped:
        print("musex: stopped", file=sys.stderr)
        code = stopped.exit_code
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
