"""Try every promise so many times, and print a table of what came of it; exit 1 if one is broken."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.faults.promises import PROMISES, Promise

DEFAULTS = {"songs": 200, "plans": 500, "models": 10, "signals": 5, "kills": 5, "disks": 2}


def count_broken(promise: Promise, cases: int, seed: int) -> int:
    """How many of so many cases break a promise; each is told, with what repeats it."""
    broken = 0
    for number in range(seed, seed + cases):
        with tempfile.TemporaryDirectory() as folder:
            wrong = promise.case(Path(folder), np.random.default_rng(number))
        if wrong:
            broken += 1
            tell(f"--{promise.option} 1 --seed {number}: {wrong}")
    return broken


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    for promise in PROMISES:
        default = DEFAULTS[promise.option]
        parser.add_argument(
            f"--{promise.option}", type=int, default=default, metavar="N", help=f"{promise.name}: N times"
        )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first case; the next ones count on")
    options = parser.parse_args()
    rows, broken = [("promise", "tried by", "cases", "broken", "s")], 0
    for promise in PROMISES:
        if cases := getattr(options, promise.option):
            began = time.monotonic()
            failed = count_broken(promise, cases, options.seed)
            broken += failed
            rows.append((promise.name, promise.how, str(cases), str(failed), f"{time.monotonic() - began:.0f}"))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    tell("\n".join(lines))
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
