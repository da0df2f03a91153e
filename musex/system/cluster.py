"""Processes on many machines that work side by side: a Dask scheduler hands the work out, and again if one is killed.

Scheduler, workers and who gives the work send each other pickled Python, and so run what the others ask for: all must
trust each other, and their network, or have certificates (an address of tls://). A cluster that is started here has
such, made for it alone, lest other users of this machine could join it.
"""

import asyncio
import logging
import os
import queue
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from musex.errors import MusexError, one_line
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import temporary_folder
from musex.system.signals import check_stop, end_process, held_off
from musex.system.wording import format_count
from musex.system.workers import LOOK_SECONDS, Item, Result, collected_warnings, terminal_held_off

LOCAL = "local"
NEEDED = ("distributed", "cryptography")
CURE = "pip install 'musex[cluster]'"
CONNECT_SECONDS = 10.0  # in which a scheduler answers
WORKERLESS_SECONDS = 30.0  # in which a cluster may have no workers
CLOSE_SECONDS = 5.0  # in which the workers of a cluster that was started here end
TELL_SECONDS = 1.0  # after which a worker tells of its progress within a stage again
RETRIES = 2  # of what fails for a reason that nobody foresaw
TOPIC = "musex-progress"
LOUD = ("distributed", "tornado", "asyncio")  # libraries that tell of each connection that is lost


def work_on_cluster(
    work: Callable[[Item, OnProgress], Result],
    items: Sequence[Item],
    address: str,
    workers: int | None = None,
    *,
    on_failure: Callable[..., Result],
    on_progress: Callable[[Item, str, float], None] | None = None,
) -> Iterator[tuple[Result, tuple[str, ...]]]:
    """What `work` returns for each item as it ends, with the warnings that it logged, as `work_side_by_side`.

    What a killed worker was at is begun anew by another; an item at which several were killed (Dask's
    `allowed-failures`, of the scheduler: 3) is given up.

    Args:
        work: As there; what it uses is installed where the workers are.
        items: Of work.
        address: Of a scheduler, such as tcp://host:8786; or "local": a cluster is started here.
        workers: How many of them the latter has; without it as many as there are cores.
        on_failure: What an item gives for which there is no result, called with it and `message`.
        on_progress: As there.

    Raises:
        MusexError: Dask is not installed, there is no scheduler at the address, it goes, or has no workers.
        Stopped: A signal asks the program to end.
    """
    check_installed()
    check_address(address)
    with _quiet(), _connected(address, workers) as client, held_off():
        watch = _Watch(client, address, len(items))
        with watch.told():
            _check_workers(client)
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        run = f"musex-{os.getpid()}-{time.time_ns()}"
        if on_progress is not None:
            client.subscribe_topic(f"{TOPIC}-{run}", partial(_hear, on_progress, items))
        numbers: dict[Any, int] = {}
        for number, item in enumerate(items):
            future = client.submit(
                _work,
                work,
                item,
                (f"{TOPIC}-{run}", number) if on_progress else None,
                key=f"{run}-{number}",
                pure=False,
                retries=RETRIES,
            )
            numbers[future] = number
            future.add_done_callback(ended.put)
        try:
            while numbers:
                check_stop()
                watch.look()
                try:
                    future = ended.get(timeout=LOOK_SECONDS)
                except queue.Empty:
                    continue
                if future.status == "cancelled":  # by Dask, which lost the scheduler
                    raise watch.lost()
                item, finished = items[numbers.pop(future)], future.status == "finished"
                with watch.told():
                    outcome = future.result() if finished else future.exception()
                watch.done += 1
                yield outcome if finished else (on_failure(item, message=_tell(outcome)), ())
        finally:
            with suppress(Exception):  # where the scheduler is gone there is nothing left to take back
                client.cancel(list(numbers), force=True)
                if numbers and address == LOCAL:
                    client.run(end_process, on_error="ignore")  # else they would be killed, and leave what is half done


def check_installed() -> None:
    """Refuse where Dask is not installed; raises MusexError."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MusexError(f"a cluster needs {' and '.join(missing)}: {CURE}")


def check_address(address: str) -> None:
    """Refuse what is no address of a scheduler; raises MusexError."""
    if address != LOCAL and not re.fullmatch(r"((tcp|tls|ws|wss)://)?[^/\s]+:\d+/?", address):
        raise MusexError(f"{address} is no address of a scheduler: give one such as tcp://host:8786, or {LOCAL}")


def _check_workers(client: Any) -> None:
    """Refuse workers that cannot take what they are given, and would end at it; raises MusexError."""
    for worker, answer in client.run(_answer, on_error="return").items():
        if isinstance(answer, Exception):
            lacks = f"lacks {answer.name}" if isinstance(answer, ModuleNotFoundError) else f"fails: {one_line(answer)}"
            raise MusexError(f"the worker at {worker} {lacks}; install the same musex there, with its extra: {CURE}")


def _answer() -> None:
    """What a worker does that has musex."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, Dask logs nothing: what matters of it is told in an error."""
    import_module("distributed")  # which makes its loggers
    logs = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict] if name.split(".")[0] in LOUD]
    loud = [log for log in logs if not log.disabled]
    for log in loud:
        log.disabled = True
    try:
        yield
    finally:
        for log in loud:
            log.disabled = False


@contextmanager
def _connected(address: str, workers: int | None) -> Iterator[Any]:
    """A client of a scheduler, whose workers are there; raises MusexError where there are none."""
    import dask

    distributed: Any = import_module("distributed")  # whose classes have no types
    comm: Any = import_module("distributed.comm")

    with ExitStack() as stack:
        limits = {"distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:g} s"}
        stack.enter_context(dask.config.set(limits))
        place: Any = stack.enter_context(_started(workers)) if address == LOCAL else address
        try:
            if address != LOCAL:
                security = distributed.Security().get_connection_args("client")
                with ThreadPoolExecutor(1) as apart:  # who calls may run in a loop of its own, such as a notebook's
                    apart.submit(asyncio.run, _greet(comm, address, security)).result()
            client = distributed.Client(place, timeout=CONNECT_SECONDS, set_as_default=False)
        except TypeError as error:  # so Dask says that there is no certificate
            raise MusexError(
                f"{address} asks for certificates: name their files in Dask's settings, distributed.comm.tls.ca-file, "
                f"client.cert and client.key ({one_line(error)})"
            ) from error
        except (OSError, ValueError, MemoryError) as error:
            raise MusexError(
                f"no Dask scheduler answers at {address} ({one_line(error)}); start one by `dask scheduler`, or use "
                f"{LOCAL}"
            ) from error
        stack.callback(_close, client)
        yield client


async def _greet(comm: Any, address: str, security: dict[str, Any]) -> None:
    """Connect to a scheduler, and leave; what is none may never answer, for which a client would wait."""
    try:
        greeted = await asyncio.wait_for(
            comm.connect(address, timeout=CONNECT_SECONDS, **security), CONNECT_SECONDS + 1
        )
    except TimeoutError as error:
        raise OSError("what is there does not speak as Dask does") from error
    await greeted.close()


@contextmanager
def _started(workers: int | None) -> Iterator[Any]:
    """A cluster on this machine, of processes that work on one item each; they end with this one."""
    from dask.system import CPU_COUNT

    distributed: Any = import_module("distributed")

    with temporary_folder() as folder:
        with terminal_held_off():
            cluster = distributed.LocalCluster(
                n_workers=workers or CPU_COUNT,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                local_directory=str(folder),
                protocol="tls://",
                security=distributed.Security.temporary(),
                silence_logs=logging.CRITICAL + 1,
            )
        try:
            yield cluster
        finally:
            with suppress(TimeoutError, OSError):
                cluster.close(timeout=CLOSE_SECONDS)


def _close(client: Any) -> None:
    with suppress(TimeoutError, OSError):
        client.close(timeout=CLOSE_SECONDS)


class _Watch:
    """Looks now and then whether there are still a scheduler and workers."""

    def __init__(self, client: Any, address: str, count: int) -> None:
        self.client, self.address, self.count, self.done = client, address, count, 0
        self._seen = time.monotonic()  # a worker
        self._next = 0.0
        self._told = False

    def look(self) -> None:
        """Raise MusexError where something is missing for too long."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 5 * LOOK_SECONDS
        try:
            threads = self.client.nthreads()
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            raise self.lost() from error
        if threads:
            self._seen = now
        elif now - self._seen > WORKERLESS_SECONDS:
            raise MusexError(
                f"the scheduler at {self.address} has no workers: start some by `dask worker {self.address} "
                f"--nthreads 1`; {self._so_far()}"
            )
        most = max(threads.values(), default=1)
        if most > 1 and not self._told:
            self._told = True
            logging.getLogger(__name__).warning(
                f"workers at {self.address} work on up to {most} songs at a time in one process, which share its "
                "memory: start them with --nthreads 1 --nworkers N"
            )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what Dask raises where the scheduler is gone as what it is, a MusexError."""
        from distributed.client import FutureCancelledError

        try:
            yield
        except (OSError, FutureCancelledError) as error:
            raise self.lost() from error

    def lost(self) -> MusexError:
        """What to raise where the scheduler is gone."""
        return MusexError(f"the scheduler at {self.address} is gone; {self._so_far()}")

    def _so_far(self) -> str:
        songs = format_count(self.count, "song")
        return f"{self.done} of {songs} are done, and skipped when the same command is run again"


def _tell(error: BaseException | None) -> str:
    """Why there is no result, for who gave the work."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "several workers were killed at it, perhaps for lack of memory; it is given up"
    if isinstance(error, ModuleNotFoundError):
        return f"a worker lacks {error.name}; install the same musex there, with its extra: {CURE}"
    return f"a worker failed at it: {type(error).__name__}: {one_line(error or RuntimeError())}"


def _hear(on_progress: Callable[[Item, str, float], None], items: Sequence[Item], event: tuple[float, Any]) -> None:
    number, stage, done = event[1]
    on_progress(items[number], stage, done)


class _Teller:
    """Tells the scheduler's listeners of the progress with an item: of each stage, and within it not too often."""

    def __init__(self, topic: str, number: int) -> None:
        from distributed import get_worker

        self.topic, self.number, self.worker = topic, number, get_worker()
        self.stage, self.told = "", 0.0

    def __call__(self, stage: str, done: float) -> None:
        now = time.monotonic()
        if stage != self.stage or now - self.told >= TELL_SECONDS:
            self.stage, self.told = stage, now
            self.worker.log_event(self.topic, (self.number, stage, float(done)))


def _work(
    work: Callable[[Item, OnProgress], Result], item: Item, teller: tuple[str, int] | None
) -> tuple[Result, tuple[str, ...]]:
    """What a worker does."""
    from distributed import get_worker

    from musex.system.caches import place_caches

    place_caches()
    tempfile.tempdir = get_worker().local_directory  # which goes with a worker, even with one that is killed
    logging.getLogger("musex").propagate = False  # who gave the work tells
    report = ignore_progress if teller is None else _Teller(*teller)
    with collected_warnings() as warnings:
        done = work(item, report)
    return done, tuple(warnings)
