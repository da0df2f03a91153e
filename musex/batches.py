"""Many songs in one go: found in folders, extended side by side, each on its own; what is done already is skipped."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any, Unpack

from musex import __version__
from musex.audio.file_names import default_output
from musex.audio.formats import FORMATS, WRITABLE
from musex.audio.reading import READABLE, check_song
from musex.audio.tags import read_tags
from musex.errors import AudioError, MusexError, suggest
from musex.plans import Plan
from musex.prediction.model import WaveformModel, load_model
from musex.settings import Options, Settings, check_length
from musex.system.ledgers import Origin, hash_settings, hash_song, is_done, read_ledger, remember
from musex.system.progress import OnProgress
from musex.system.side_files import LONGEST_NAME, name_beside, shorten
from musex.system.workers import collected_warnings, work_side_by_side
from musex.versions import Version, make_versions, name_versions

logger = logging.getLogger(__name__)

DEFAULT_NAME = "{stem}-extended"
OnSongProgress = Callable[[Path, str, float], None]  # a song, what is being done of it, and how much of that is done


@dataclass(frozen=True)
class Task:
    """A song and what it becomes."""

    song: Path
    versions: tuple[Version, ...]
    problem: str = ""  # why it cannot be done

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written of it."""
        return tuple(path for version in self.versions for path in version.files)


@dataclass(frozen=True)
class Outcome:
    """How a task went.

    Attributes:
        task: The song and its versions.
        state: "made", "skipped" (all of it done before, of the same song with the same settings and model) or "failed".
        plans: Those of the versions; none if it failed, or was skipped and nobody asked for them.
        taken: Seconds it took.
        message: Why it failed.
        warnings: What the user should know about the song or the output's format.
    """

    task: Task
    state: str
    plans: tuple[Plan, ...] = ()
    taken: float = 0.0
    message: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def version_plans(self) -> list[tuple[Version, Plan]]:
        """The versions whose plans are known, and these."""
        return list(zip(self.task.versions, self.plans, strict=False))


def are_several(inputs: Sequence[Path]) -> bool:
    """Whether inputs may be more songs than one: several, or a folder."""
    return len(inputs) > 1 or inputs[0].is_dir()


def find_tasks(
    inputs: Sequence[Path],
    output: Path | None = None,
    *,
    name: str = DEFAULT_NAME,
    suffix: str | None = None,
    facts: Mapping[str, str] | None = None,
    variations: int = 1,
    plan: Path | None = None,
    pages: bool = False,
    exports: Sequence[Path] = (),
) -> list[Task]:
    """The songs among `inputs`, files and folders (searched to their depths), and where their outputs go.

    Args:
        inputs: Files are taken as they are; in folders what has the ending of a format that musex reads, and was not
            made by musex.
        output: A folder, which gets the sub-folders of the inputs; or for one song the file. Without it outputs go
            beside their songs.
        name: What an output is called, without its ending; `{stem}` is the song's name without its own.
        suffix: The ending of the outputs, such as ".mp3"; without it the song's own where it can be written.
        facts: What else `name` may hold in braces, the same for every song.
        variations: How many versions of each song, numbered if there are several.
        plan: Where plans are kept: a folder, which gets the sub-folders of the inputs; or for one song the file.
        pages: Whether each output gets a page beside it.
        exports: Where the cuts of one song go, as `musex.export_plan` writes them.

    Returns:
        A task for each song; those of songs that would become the same file say so as their `problem`.

    Raises:
        AudioError: there is no song, the name or the ending is none, or several songs are to become one file.
    """
    check_naming(name, suffix, facts)
    check_folders(inputs, output, plan)
    several = are_several(inputs)
    tasks = []
    for song, folder in find_songs(inputs).items():
        target, kept = output, plan
        if target is None or several or target.is_dir():
            parent = song.parent if target is None else target / folder
            target = parent / _name_file(song, name, suffix, facts or {})
        if kept is not None and (several or kept.is_dir()):
            kept = kept / folder / name_beside(target, ".json").name
        tasks.append(Task(song, name_versions(target, count=variations, plan=kept, page=pages, exports=exports)))
    made = {version.output for task in tasks for version in task.versions if version.output != task.song}
    if several:
        tasks = [task for task in tasks if task.song not in made]  # outputs of an earlier time, beside their songs
    if not tasks:
        raise AudioError(
            f"no songs in {', '.join(map(str, inputs))}; musex reads {', '.join(sorted(READABLE))}, and takes what it "
            "made itself only by name"
        )
    becoming: dict[Path, list[Path]] = {}
    for task in tasks:
        for path in task.files:
            becoming.setdefault(path, []).append(task.song)
    return [replace(task, problem=_tell_clash(task, becoming)) for task in tasks]


def check_naming(name: str, suffix: str | None, facts: Mapping[str, str] | None) -> None:
    """Refuse a name or an ending that outputs cannot have; raises AudioError. Arguments as in `find_tasks`."""
    if suffix is not None and suffix not in FORMATS:
        listed = ", ".join(known[1:] for known in WRITABLE)
        raise AudioError(f"cannot write {suffix[1:]}: musex writes {listed}{suggest(suffix, WRITABLE)}")
    _name_output(name, {"stem": "song", **(facts or {})})


def check_folders(inputs: Sequence[Path], output: Path | None, plan: Path | None) -> None:
    """Refuse one file where several songs may come; raises AudioError. Arguments as in `find_tasks`."""
    if not are_several(inputs):
        return
    for target, what, endings in ((output, "outputs", tuple(FORMATS)), (plan, "plans", (".json",))):
        if target is None or target.is_dir():
            continue
        if target.suffix.lower() in endings:
            songs = f"{inputs[0]}{' and others' if len(inputs) > 1 else ''}"
            raise AudioError(
                f"{target} names one file, and several songs may come from {songs}: name a folder for their {what}"
            )
        if target.exists():
            raise AudioError(f"{target} is a file: name a folder for the {what} of several songs")


def find_songs(inputs: Sequence[Path]) -> dict[Path, Path]:
    """Songs, and where each lies in the folder among the inputs that it was found in."""
    songs: dict[Path, Path] = {}
    for entry in inputs:
        if entry.is_dir():
            paths = sorted(path for path in entry.rglob("*") if path.suffix.lower() in READABLE and path.is_file())
            paths = [path for path in paths if not path.name.startswith(".")]  # a Mac's notes, a killed run's remains
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                paths = [path for path, own in zip(paths, pool.map(_is_own, paths), strict=True) if not own]
            songs |= {path: path.parent.relative_to(entry) for path in paths}
        else:
            songs[entry] = Path()
    return songs


def _name_file(song: Path, name: str, suffix: str | None, facts: Mapping[str, str]) -> str:
    """What the output of a song is called; the song's name in it is cut where it would be too long for a file's."""
    ending = suffix or default_output(song).suffix
    target = _name_output(name, {"stem": song.stem, **facts}) + ending
    if (beyond := len(os.fsencode(target)) - LONGEST_NAME) > 0:
        stem = shorten(song.stem, len(os.fsencode(song.stem)) - beyond)
        target = _name_output(name, {"stem": stem, **facts}) + ending
    return target


def _tell_clash(task: Task, becoming: Mapping[Path, Sequence[Path]]) -> str:
    """What is wrong where several songs would become one file; nothing where one does."""
    for path in task.files:
        for song in becoming[path]:
            if song != task.song:
                return f"{task.song} and {song} would both become {path}: rename one"
    return ""


def _is_own(path: Path) -> bool:
    """Whether musex made this file, as its folder's ledger or its own tag tells."""
    return path.name in read_ledger(path.parent) or read_tags(path).by_musex


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


@dataclass(frozen=True)
class _Work:
    """What is done with every task of a batch."""

    how: dict[str, Any]  # all that outputs depend on besides their song
    force: bool
    checked: bool
    order: dict[str, Any]  # what `make_versions` takes besides

    def origins(self, task: Task) -> dict[Path, Origin]:
        """What each file of a task is made of; raises OSError where there is no such song."""
        song = hash_song(task.song)
        origins: dict[Path, Origin] = {}
        for number, version in enumerate(task.versions, start=1):
            numbered = self.how if number == 1 else {**self.how, "variation": number}
            origins |= dict.fromkeys(version.files, Origin(song, hash_settings(numbered)))
        return origins

    def is_done(self, task: Task) -> bool:
        """Whether nothing is left to do."""
        if self.force or self.checked:
            return False
        try:
            return all(is_done(path, origin) for path, origin in self.origins(task).items())
        except OSError:
            return False


def extend_songs(
    tasks: Sequence[Task],
    *,
    seconds: float | None,
    jobs: int = 1,
    model: str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    stream: int | None = None,
    checked: bool = False,
    on_progress: OnSongProgress | None = None,
    **options: Unpack[Options],
) -> Iterator[Outcome]:
    """Extend every song to `seconds`, `jobs` at a time; yields how each went, as it ends. One failure stops no other.

    Folders are made where they are missing. What an interruption leaves undone is done by the next call, and of what a
    song becomes only the files that are missing: the others stay as they are.

    Args:
        tasks: As `find_tasks` finds them.
        seconds: As in `extend_file`.
        jobs: How many songs at a time.
        model: As in `extend_file`.
        force: Make and overwrite what was made before, too.
        bitrate: As in `extend_file`.
        stream: As in `extend_file`.
        checked: Whether outcomes of songs that are skipped have plans, too; planned again where none was kept.
        on_progress: Called with a song, what is being done of it, and how much of that is done.
        options: As in `extend_file`.

    Raises:
        MusexError: the duration, the settings or the model cannot be used for any song, or a process was ended from
            outside.
    """
    chosen = Settings(**options)
    check_length(seconds, chosen)
    settings = chosen.to_dict()
    loaded = load_model(model)
    planned = checked or any(len(task.files) > 1 for task in tasks)
    if isinstance(loaded, WaveformModel) and planned:
        raise MusexError(f"{loaded.name} predicts the waveform itself: no plan, page or check, and one version")
    how = {"musex": __version__, "model": loaded.sha256, "seconds": seconds, "bitrate": bitrate, **settings}
    how |= {} if stream is None else {"stream": stream}
    order = {"seconds": seconds, "model": model, "bitrate": bitrate, "stream": stream, **options}
    work = _Work(how, force, checked, order)
    waiting = []
    for task in tasks:
        if task.problem:
            yield Outcome(task, "failed", message=task.problem)
        elif work.is_done(task):
            yield Outcome(task, "skipped")
        else:
            waiting.append(task)
    yield from _one_by_one(waiting, work, on_progress) if jobs == 1 else _side_by_side(waiting, work, jobs, on_progress)


def _one_by_one(tasks: Iterable[Task], work: _Work, on_progress: OnSongProgress | None) -> Iterator[Outcome]:
    for task in tasks:
        with collected_warnings() as warnings:
            outcome = _extend(task, None if on_progress is None else partial(on_progress, task.song), work=work)
        yield replace(outcome, warnings=tuple(warnings))


def _side_by_side(
    tasks: Sequence[Task], work: _Work, jobs: int, on_progress: OnSongProgress | None
) -> Iterator[Outcome]:
    def report(task: Task, stage: str, done: float) -> None:
        if on_progress is not None:
            on_progress(task.song, stage, done)

    extend = partial(_extend, work=work)
    for outcome, warnings in work_side_by_side(extend, tasks, jobs, on_progress and report):
        for warning in warnings:
            logger.warning(warning)
        yield replace(outcome, warnings=warnings)


def _extend(task: Task, on_progress: OnProgress | None, *, work: _Work) -> Outcome:
    """Write what is missing of a task, or all with `force`; each file is remembered as soon as it is in its place."""
    began = time.monotonic()
    try:
        check_song(task.song)
        origins = work.origins(task)
        done = {path for path, origin in origins.items() if not work.force and is_done(path, origin)}
        for path in task.files:
            path.parent.mkdir(parents=True, exist_ok=True)
        plans = make_versions(
            task.song,
            task.versions,
            force=work.force,
            done=done,
            on_written=lambda path: remember(path, origins[path]),
            on_progress=on_progress,
            **work.order,
        )
    except (MusexError, OSError, MemoryError) as error:
        return Outcome(task, "failed", message=" ".join(str(error).split()) or type(error).__name__)
    state = "skipped" if done == set(task.files) else "made"
    return Outcome(task, state, tuple(plans), time.monotonic() - began)
