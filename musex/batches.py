"""Many songs in one go: found in folders, extended side by side, each on its own; what is done already is skipped."""

import hashlib
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from typing import Any, Unpack

from musex import __version__
from musex.audio import READABLE
from musex.errors import AudioError, MusexError, suggest
from musex.files import default_output, extend_file
from musex.formats import FORMATS, WRITABLE
from musex.json_files import parse_json, read_json_text
from musex.model import load_model
from musex.settings import Options, Settings, check_seconds
from musex.side_files import LONGEST_NAME, locked, save_text, shorten
from musex.signals import check_stop, held_off, listen
from musex.tags import read_tags

logger = logging.getLogger(__name__)

LEDGER = ".musex-done.json"  # in every folder of outputs: what was made of what, and how
ORPHAN_SECONDS = 10.0  # in which a worker whose parent is gone tidies up
STOP_SECONDS = 0.2  # after which workers are told at the latest that all shall stop
DEFAULT_NAME = "{stem}-extended"


@dataclass(frozen=True)
class Task:
    """A song and what it becomes."""

    song: Path
    output: Path
    problem: str = ""  # why it cannot be done


@dataclass(frozen=True)
class Outcome:
    """How a task went.

    Attributes:
        task: The song and its output.
        state: "made", "skipped" (done before, of the same song with the same settings and model) or "failed".
        seconds: Duration of the output, if it was made now.
        seams: Seams in it.
        message: Why it failed.
        warnings: What the user should know about the song or the output's format.
    """

    task: Task
    state: str
    seconds: float = 0.0
    seams: int = 0
    message: str = ""
    warnings: tuple[str, ...] = ()


def find_tasks(
    inputs: Sequence[Path],
    output: Path | None = None,
    *,
    name: str = DEFAULT_NAME,
    suffix: str | None = None,
    facts: Mapping[str, str] | None = None,
) -> list[Task]:
    """The songs among `inputs`, files and folders (searched to their depths), and where their outputs go.

    Args:
        inputs: Files are taken as they are; in folders what has the ending of a format that musex reads, and was not
            made by musex.
        output: A folder, which gets the sub-folders of the inputs; without it outputs go beside their songs.
        name: What an output is called, without its ending; `{stem}` is the song's name without its own.
        suffix: The ending of the outputs, such as ".mp3"; without it the song's own where it can be written.
        facts: What else `name` may hold in braces, the same for every song.

    Returns:
        A task for each song; those of songs that would become the same file say so as their `problem`.

    Raises:
        AudioError: there is no song, or the name or the ending is none.
    """
    check_naming(name, suffix, facts)
    found: dict[Path, Path] = {}
    for given in inputs:
        if given.is_dir():
            paths = sorted(path for path in given.rglob("*") if path.suffix.lower() in READABLE and path.is_file())
            paths = [path for path in paths if not path.name.startswith(".")]  # a Mac's notes, a killed run's remains
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                paths = [path for path, own in zip(paths, pool.map(_is_own, paths), strict=True) if not own]
            found |= {path: path.parent.relative_to(given) for path in paths}
        else:
            found[given] = Path()
    tasks = []
    for song, folder in found.items():
        ending = suffix or default_output(song).suffix
        target = _name_output(name, {"stem": song.stem, **(facts or {})}) + ending
        if (beyond := len(os.fsencode(target)) - LONGEST_NAME) > 0:
            stem = shorten(song.stem, len(os.fsencode(song.stem)) - beyond)
            target = _name_output(name, {"stem": stem, **(facts or {})}) + ending
        tasks.append(Task(song, (song.parent if output is None else output / folder) / target))
    made = {task.output for task in tasks}
    tasks = [task for task in tasks if task.song not in made]  # outputs of an earlier time, beside their songs
    if not tasks:
        raise AudioError(
            f"no songs in {', '.join(map(str, inputs))}; musex reads {', '.join(sorted(READABLE))}, and takes what it "
            "made itself only by name"
        )
    if output is not None and output.suffix.lower() in FORMATS and not output.is_dir():
        raise AudioError(f"{output} names one file, and several songs may come: name a folder for their outputs")
    if output is not None and output.exists() and not output.is_dir():
        raise AudioError(f"{output} is a file: name a folder for the outputs of several songs")
    becoming: dict[Path, list[Path]] = {}
    for task in tasks:
        becoming.setdefault(task.output, []).append(task.song)
    return [replace(task, problem=_tell_clash(task, becoming[task.output])) for task in tasks]


def check_naming(name: str, suffix: str | None, facts: Mapping[str, str] | None) -> None:
    """Refuse a name or an ending that outputs cannot have; raises AudioError. Arguments as in `find_tasks`."""
    if suffix is not None and suffix not in FORMATS:
        listed = ", ".join(known[1:] for known in WRITABLE)
        raise AudioError(f"cannot write {suffix[1:]}: musex writes {listed}{suggest(suffix, WRITABLE)}")
    _name_output(name, {"stem": "song", **(facts or {})})


def _tell_clash(task: Task, songs: Sequence[Path]) -> str:
    """What is wrong where several songs would become one file; nothing where one does."""
    others = [song for song in songs if song != task.song]
    return f"{task.song} and {others[0]} would both become {task.output}: rename one" if others else ""


def _is_own(path: Path) -> bool:
    """Whether musex made this file, as its folder's ledger or its own tag tells."""
    return path.name in _read_ledger(path.parent) or read_tags(path).by_musex


def _name_output(template: str, facts: Mapping[str, str]) -> str:
    """A template with `facts` in it, for its braces hold their names and nothing else."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise AudioError(f"{template!r} is no name for outputs: {error}") from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in facts or form or conversion):
            known = ", ".join(f"{{{fact}}}" for fact in facts)
            raise AudioError(f"{template!r} is no name for outputs: it may hold {known}{suggest(field, facts)}")
    return template.format(**facts)


def extend_songs(
    tasks: Sequence[Task],
    *,
    seconds: float,
    jobs: int = 1,
    model: str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    stream: int | None = None,
    on_progress: Callable[[str, float], None] | None = None,
    **options: Unpack[Options],
) -> Iterator[Outcome]:
    """Extend every song to `seconds`, `jobs` at a time; yields how each went, as it ends. One failure stops no other.

    Folders of outputs are made where they are missing. What an interruption leaves undone is done by the next call.

    Raises:
        MusexError: the duration, the settings or the model cannot be used for any song, or a process was ended from
            outside.
    """
    check_seconds(seconds)
    settings = Settings(**options).to_dict()
    how = {"musex": __version__, "model": load_model(model).sha256, "seconds": seconds, "bitrate": bitrate, **settings}
    how |= {} if stream is None else {"stream": stream}
    waiting = []
    for task in tasks:
        if task.problem:
            yield Outcome(task, "failed", message=task.problem)
            continue
        task.output.parent.mkdir(parents=True, exist_ok=True)
        if not force and _is_done(task, how):
            yield Outcome(task, "skipped")
        else:
            waiting.append(task)
    work = {"seconds": seconds, "model": model, "force": force, "bitrate": bitrate, "stream": stream, **options}
    for outcome in _one_by_one(waiting, work, on_progress) if jobs == 1 else _side_by_side(waiting, work, jobs):
        if outcome.state == "made":
            _remember(outcome.task, how)
        yield outcome


def _one_by_one(
    tasks: Iterable[Task], work: dict[str, Any], on_progress: Callable[[str, float], None] | None
) -> Iterator[Outcome]:
    for task in tasks:

        def report(stage: str, done: float, task: Task = task) -> None:
            if on_progress is not None:
                on_progress(f"{task.song.name}: {stage}", done)

        yield _extend(task, {**work, "on_progress": report})


def _side_by_side(tasks: Sequence[Task], work: dict[str, Any], jobs: int) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    with held_off(), ProcessPoolExecutor(jobs, context, _begin_worker) as workers:
        futures: set[Future[Outcome]] = set()
        try:
            with _terminal_held_off():
                futures |= {workers.submit(_work, task, work) for task in tasks}
            waiting = futures
            while waiting:
                check_stop()  # here, for workers and pool have to end in order
                done, waiting = wait(waiting, STOP_SECONDS, FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    for warning in outcome.warnings:
                        logger.warning(warning)
                    yield outcome
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
def _terminal_held_off() -> Iterator[None]:
    """Processes begun within do not hear of Ctrl-C or of a closed terminal, from their first moment on.

    A terminal tells all that run in it; who gave the work stops the workers.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Collector(logging.Handler):
    """Keeps warnings for the outcome: a worker has no terminal of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def take(self) -> tuple[str, ...]:
        taken, self.messages = tuple(self.messages), []
        return taken


_collector = _Collector()


def _begin_worker() -> None:
    """Make a process of the pool ready: SIGTERM ends it, and nothing else that is meant for who gives the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows nothing holds it off before
    listen("SIGTERM")
    logging.getLogger("musex").addHandler(_collector)
    logging.getLogger("musex").propagate = False
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    """End this process when the one that gives the work is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _work(task: Task, work: dict[str, Any]) -> Outcome:
    return replace(_extend(task, work), warnings=_collector.take())


def _extend(task: Task, work: dict[str, Any]) -> Outcome:
    try:
        plan = extend_file(task.song, task.output, **work)
        return Outcome(task, "made", plan.seconds, len(plan.seams))
    except (MusexError, OSError, MemoryError) as error:
        return Outcome(task, "failed", message=" ".join(str(error).split()) or type(error).__name__)


def _read_ledger(folder: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_json_text(folder / LEDGER))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _entry(task: Task, how: dict[str, Any]) -> dict[str, Any]:
    """What the ledger says of a finished output."""
    with task.song.open("rb") as file:
        song = hashlib.file_digest(file, "sha256").hexdigest()
    status = task.output.stat()
    settings = hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()
    return {"song": song, "settings": settings, "size": status.st_size, "modified": status.st_mtime_ns}


def _is_done(task: Task, how: dict[str, Any]) -> bool:
    known = _read_ledger(task.output.parent).get(task.output.name)
    try:
        return known is not None and bool(known == _entry(task, how))
    except OSError:
        return False


def _remember(task: Task, how: dict[str, Any]) -> None:
    folder = task.output.parent
    entry = _entry(task, how)
    with locked(folder, wait=True):  # another batch may write there, too
        ledger = {**_read_ledger(folder), task.output.name: entry}
        save_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n", folder / LEDGER, force=True)
