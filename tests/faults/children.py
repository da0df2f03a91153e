"""Cases in a process of their own, so that what ends it, or never ends, is told with the case that it came of.

`python -m tests.faults.children OPTION SEED CASES` is that process: a line of JSON for each case.
"""

import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.cases import LeftOutError, Promise
from tests.processes import ROOT

MOST_CASES = 2_000  # of one process


def try_here(promise: Promise, number: int) -> tuple[str, str]:
    """What went wrong in a case, or nothing; and why it was left out, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return promise.case(Path(folder), np.random.default_rng(number)), ""
        except LeftOutError as error:
            return "", str(error)


def try_apart(promise: Promise, numbers: range) -> Generator[tuple[int, str, str], None, None]:
    """The number of each case with what `try_here` says of it, told by children, one after another."""
    at = numbers.start
    while at < numbers.stop:
        for number, wrong, left_out in _one_child(promise, range(at, min(numbers.stop, at + MOST_CASES))):
            yield number, wrong, left_out
            at = number + 1


def _one_child(promise: Promise, numbers: range) -> Generator[tuple[int, str, str], None, None]:
    """The same of one child; the last case may be the one that it died of."""
    command = [sys.executable, "-m", "tests.faults.children", promise.option, str(numbers.start), str(len(numbers))]
    with tempfile.TemporaryFile("w+") as log:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": log, "text": True}
        expected = numbers.start
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as child:
            try:
                for line in child.stdout or ():
                    number, wrong, left_out = json.loads(line)
                    expected = number + 1
                    yield number, wrong, left_out
            finally:
                code = _end(child)
        if expected < numbers.stop:
            log.seek(0)
            last = [line.strip() for line in log.read().splitlines()]
            yield expected, f"the process ended with code {code}: {' | '.join([*last[:10], *last[-2:]])}", ""


def _end(child: "subprocess.Popen[str]") -> int:
    """End a child that shall not go on, with what it has begun; returns its code."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(10.0)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def main() -> None:
    from tests.faults.promises import PROMISES

    option, first, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    promise = next(promise for promise in PROMISES if promise.option == option)
    told, log = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")  # whatever a case does to 1 and 2
    faulthandler.enable(log)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # folders go and disks are unmounted
    for number in range(first, first + cases):
        faulthandler.dump_traceback_later(promise.seconds, exit=True, file=log)
        told.write(json.dumps([number, *try_here(promise, number)]) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
