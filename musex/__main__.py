"""The command `musex`: listens to signals before anything that takes time is imported."""

import os
import sys

from musex.system.signals import Stopped, listen

STOPPED = "musex: stopped"
# NumPy's products are small here: a second thread would wait for each of them by turning, for a third of all the
# processor time of a song of 3 min, and take longer for one of 30.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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
    try:
        listen("SIGINT", "SIGTERM", "SIGHUP", message=f"{STOPPED}\n")
        from musex.cli.app import run

        code = run(sys.argv[1:])
    except Stopped as stopped:
        print(STOPPED, file=sys.stderr)
        code = stopped.exit_code
    except KeyboardInterrupt:  # before musex listened
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
