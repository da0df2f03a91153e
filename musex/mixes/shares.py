"""How long each song of a mix plays: in proportion to what it bears, however long the mix is."""

import math
from collections.abc import Sequence

from musex.errors import DurationError
from musex.system.wording import format_time

LEAST_SECONDS = 15.0  # that a song plays; less is no song but a jingle
LONGEST_ENDLESS = 600.0  # seconds that a song plays in a mix without end


def count_rounds(seconds: float, bears: Sequence[float]) -> int:
    """How many times the songs come round, so that none plays longer at a time than it bears."""
    rounds = math.ceil(seconds / sum(bears) - 1e-9)
    return max(1, min(rounds, int(seconds / (LEAST_SECONDS * len(bears)))))


def check_count(seconds: float, count: int) -> None:
    """Refuse too many songs for so short a mix; raises DurationError."""
    least = LEAST_SECONDS * count
    if seconds < least:
        raise DurationError(
            f"{count} songs in {format_time(seconds)} are too many: each plays {LEAST_SECONDS:g} s at least, so "
            f"give {format_time(least)} or more, or fewer songs"
        )


def share_out(seconds: float, bears: Sequence[float]) -> list[float]:
    """Seconds of each song, in proportion to what each bears; none less than `LEAST_SECONDS` where that can be."""
    least = min(LEAST_SECONDS, seconds / len(bears))
    short: set[int] = set()
    while True:
        left = seconds - least * len(short)
        whole = sum(value for number, value in enumerate(bears) if number not in short)
        shares = [least if number in short else left * value / whole for number, value in enumerate(bears)]
        more = {number for number, share in enumerate(shares) if share < least - 1e-9}
        if not more:
            return shares
        short |= more
