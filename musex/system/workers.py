"""Processes that work side by side: they tell the one that gives the work how far they are, and end with it."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from typing import TypeVar

from musex.errors import MusexError
from musex.system.progress import OnProgress, ignore_progress
from musex.system.signals import check_stop, held_off, listen

ORPHAN_SECONDS = 10.0  # in which a worker whose parent is gone tidies up
LOOK_SECONDS = 0.2  # after which the parent looks at the latest whether all shall stop, and how far workers are
TELL_SECONDS = 0.1  # after which a worker tells of its progress within a stage again

Item = TypeVar("Item")
Result = TypeVar("Result")
Channel = SimpleQueue[tuple[int, str, float]]


def work_side_by_side(
    work: Callable[[Item, OnProgress], Result],
    items: Sequence[Item],
    jobs: int,
    on_progress: Callable[[Item, str, float], None] | None = None,
) -> Iterator[tuple[Result, tuple[str, ...]]]:
    """What `work` returns for each item as it ends, with the warnings that it logged; `jobs` processes at a time.

    Args:
        work: Called in another process with an item and with what to tell progress to; it can be pickled, as all is
            that it takes and returns.
        items: Of work.
        jobs: How many processes.
        on_progress: Called with an item, what is being done of it, and how much of that is done.

    Raises:
        MusexError: A process was ended from outside.
        Stopped: A signal asks the program to end.
    """
    context = multiprocessing.get_context("spawn")
    channel: Channel | None = context.SimpleQueue() if on_progress else None
    with held_off(), ProcessPoolExecutor(jobs, context, _begin, (channel,)) as workers:
        futures: set[Future[tuple[Result, tuple[str, ...]]]] = set()
        try:
            with terminal_held_off():
                futures |= {workers.submit(_work, work, number, item) for number, item in enumerate(items)}
            waiting = futures
            while waiting:
                check_stop()  # here, for workers and pool have to end in order
                done, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
                while on_progress and channel and not channel.empty():
                    number, stage, share = channel.get()
                    on_progress(items[number], stage, share)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise MusexError(
                f"one of {jobs} processes was ended from outside, perhaps for lack of memory; run the same command "
                "again with fewer jobs, what is done is skipped"
            ) from error
        except BaseException:  # Ctrl-C, or the caller has had enough: nobody waits for the rest
            for future in futures:
                future.cancel()
            for child in multiprocessing.active_children():
                child.terminate()
            raise


@contextmanager
def terminal_held_off() -> Iterator[None]:
    """Processes begun within do not hear of Ctrl-C or of a closed terminal, from their first moment on.

    A terminal tells all that run in it; who gave the work stops the workers.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # begun by the first process, it would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Collector(logging.Handler):
    """Keeps warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class _Teller:
    """Tells of the progress with one item: of each stage, and within it not too often."""

    def __init__(self, channel: Channel, number: int) -> None:
        self.channel, self.number = channel, number
        self.stage, self.told = "", 0.0

    def __call__(self, stage: str, done: float) -> None:
        now = time.monotonic()
        if stage != self.stage or now - self.told >= TELL_SECONDS:
            self.stage, self.told = stage, now
            self.channel.put((self.number, stage, done))


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """What the package warns of within, while whoever listens hears it as well."""
    collector, log = _Collector(), logging.getLogger("musex")
    log.addHandler(collector)
    try:
        yield collector.messages
    finally:
        log.removeHandler(collector)


_channels: list[Channel] = []  # to who gives the work, where that wants to know of progress


def _begin(channel: Channel | None) -> None:
    """Make a process of the pool ready: SIGTERM ends it, and nothing else that is meant for who gives the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows nothing holds it off before
    listen("SIGTERM")
    logging.getLogger("musex").propagate = False  # who gave the work has the terminal
    threading.Thread(target=_watch_parent, daemon=True).start()
    if channel is not None:
        _channels.append(channel)


def _watch_parent() -> None:
    """End this process when the one that gives the work is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _work(work: Callable[[Item, OnProgress], Result], number: int, item: Item) -> tuple[Result, tuple[str, ...]]:
    report = _Teller(_channels[0], number) if _channels else ignore_progress
    with collected_warnings() as warnings:
        done = work(item, report)
    return done, tuple(warnings)
