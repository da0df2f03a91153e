"""What NumPy does of one song, shared among the processor's cores."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST_THREADS = 2  # blocks of work take memory while they are worked on; by choice

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def work_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `work` returns for each item, in order, worked out by up to `MOST_THREADS`, on a core each.

    NumPy lets other threads run while it is at work on arrays; what takes Python's time gains nothing by it.
    """
    items = list(items)
    count = min(MOST_THREADS, usable_cores(), len(items))
    if count < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, items))
