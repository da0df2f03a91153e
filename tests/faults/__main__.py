"""Try every promise so many times, and print a table of what came of it; exit 1 if one is broken."""

import argparse
import sys
import time
from contextlib import closing
from dataclasses import dataclass

from tests.faults.cases import Promise
from tests.faults.children import try_apart
from tests.faults.promises import PROMISES


@dataclass
class Count:
    """How cases of a promise went."""

    tried: int = 0
    broken: int = 0
    left_out: int = 0


def count_cases(promise: Promise, cases: int, seed: int, minutes: float) -> Count:
    """How so many cases went, or as many as fit; each that breaks the promise is told, with what repeats it."""
    count, reasons, began = Count(), set[str](), time.monotonic()
    with closing(try_apart(promise, range(seed, seed + cases))) as told:
        for number, wrong, left_out in told:
            if wrong:
                tell(f"--{promise.option} 1 --seed {number}: {wrong}")
            if left_out and left_out not in reasons:
                tell(f"--{promise.option}: left out, {left_out}")
                reasons.add(left_out)
            count.tried += not left_out
            count.broken += bool(wrong)
            count.left_out += bool(left_out)
            if time.monotonic() - began > 60 * minutes:
                break
    return count


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    for promise in PROMISES:
        parser.add_argument(f"--{promise.option}", type=int, metavar="N", help=f"{promise.name}: N times")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first case; the next ones count on")
    parser.add_argument(
        "--minutes", type=float, default=1e6, metavar="M", help="no further case of a promise after so long"
    )
    options = parser.parse_args()
    asked = {promise.option: getattr(options, promise.option) for promise in PROMISES}
    alone = any(cases is not None for cases in asked.values())  # what is named is all that is tried
    rows, broken = [("promise", "tried by", "cases", "broken", "left out", "s")], 0
    for promise in PROMISES:
        cases = asked[promise.option]
        if cases := (0 if alone else promise.usual) if cases is None else cases:
            began = time.monotonic()
            count = count_cases(promise, cases, options.seed, options.minutes)
            broken += count.broken
            numbers = (count.tried, count.broken, count.left_out, round(time.monotonic() - began))
            rows.append((promise.name, promise.how, *map(str, numbers)))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    tell("\n".join(lines))
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
