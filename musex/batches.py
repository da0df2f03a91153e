"""Many songs in one go: found in folders, extended side by side, each on its own; what is done already is skipped.

Songs and what becomes of them may be in object stores, too: whoever works on a song fetches it to a temporary folder,
makes its files there, and puts each where it belongs, whole.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from string import Formatter
from typing import Any, Unpack

from musex import __version__
from musex.audio.file_names import default_output
from musex.audio.formats import FORMATS, WRITABLE
from musex.audio.reading import READABLE, check_song
from musex.audio.tags import read_tags
from musex.errors import AudioError, MusexError, suggest
from musex.plans import Plan, read_plan
from musex.prediction.model import Model, WaveformModel, load_model
from musex.settings import Options, Settings, check_length
from musex.system.ledgers import (
    Origin,
    hash_settings,
    hash_song,
    is_done,
    put_remembered,
    read_ledger,
    remember,
    stored_outputs,
)
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import LONGEST_NAME, name_beside, save_text, shorten, temporary_folder
from musex.system.stores import (
    bucket_of,
    check_store,
    fetch,
    identity,
    is_stored,
    is_url,
    lies_here,
    list_files,
    place_of,
    read_bytes,
)
from musex.system.workers import collected_warnings, work_side_by_side
from musex.versions import Version, make_versions, name_versions

logger = logging.getLogger(__name__)

DEFAULT_NAME = "{stem}-extended"
BYTES_PER_SECOND = {
    ".wav": 176_400,
    ".aiff": 176_400,
    ".aif": 176_400,
    ".flac": 110_000,
}  # of others less, by 160 kbit/s
OnSongProgress = Callable[[Path, str, float], None]  # a song, what is being done of it, and how much of that is done


@dataclass(frozen=True)
class Task:
    """A song and what it becomes; paths, or places in object stores as `musex.system.stores` has them."""

    song: Path
    versions: tuple[Version, ...]
    problem: str = ""  # why it cannot be done

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written of it."""
        return tuple(path for version in self.versions for path in version.files)

    @property
    def is_stored(self) -> bool:
        """Whether any of it is in an object store."""
        return any(is_stored(place) for place in (self.song, *self.files))


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


def read_manifest(path: str | Path) -> list[Path]:
    """The songs and folders that a text file lists, one a line, such as a playlist (m3u8).

    Paths are from the list's own folder on, and may be URLs. Lines that are empty or begin with # say nothing.

    Raises:
        MusexError: There is no such list, it is no text, or lists nothing.
    """
    manifest = place_of(path)
    try:
        content = read_bytes(manifest) if is_stored(manifest) else manifest.read_bytes()
        if content is None:
            raise FileNotFoundError
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise AudioError(f"{path} is no list of songs: it is not text in UTF-8") from error
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or 'there is no such list'}") from error
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise AudioError(f"{path} lists no songs: write one a line")
    return [place_of(entry) if is_url(entry) else manifest.parent / entry for entry in entries]


def are_several(inputs: Sequence[Path]) -> bool:
    """Whether inputs may be more songs than one: several, or a folder."""
    return len(inputs) > 1 or _is_folder(inputs[0])


def _is_folder(place: Path) -> bool:
    """Whether there is a folder; in a store, where there are none, whether objects lie below it."""
    return bool(list_files(place)) if is_stored(place) else place.is_dir()


def names_folder(place: Path) -> bool:
    """Whether a place that is written to is a folder; in a store, which makes none, one without a format's ending."""
    return place.suffix.lower() not in (*FORMATS, ".json") if is_stored(place) else place.is_dir()


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
        if target is None or several or names_folder(target):
            parent = song.parent if target is None else _below(target, folder)
            target = parent / _name_file(song, name, suffix, facts or {})
        if kept is not None and (several or names_folder(kept)):
            kept = _below(kept, folder) / name_beside(target, ".json").name
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
        if target is None or names_folder(target):
            continue
        if target.suffix.lower() in endings:
            songs = f"{inputs[0]}{' and others' if len(inputs) > 1 else ''}"
            raise AudioError(
                f"{target} names one file, and several songs may come from {songs}: name a folder for their {what}"
            )
        if not is_stored(target) and target.exists():
            raise AudioError(f"{target} is a file: name a folder for the {what} of several songs")


def find_songs(inputs: Sequence[Path]) -> dict[Path, Path]:
    """Songs, and where each lies in the folder among the inputs that it was found in."""
    songs: dict[Path, Path] = {}
    for entry in inputs:
        if is_stored(entry):
            songs |= _find_stored(entry)
        elif entry.is_dir():
            paths = sorted(path for path in entry.rglob("*") if path.suffix.lower() in READABLE and path.is_file())
            paths = [path for path in paths if not path.name.startswith(".")]  # a Mac's notes, a killed run's remains
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                paths = [path for path, own in zip(paths, pool.map(_is_own, paths), strict=True) if not own]
            songs |= {path: path.parent.relative_to(entry) for path in paths}
        else:
            songs[entry] = Path()
    return songs


def _find_stored(entry: Path) -> dict[Path, Path]:
    """The same of a place in a store: the object itself, or what lies below it and musex did not put there."""
    listed = list_files(entry)
    if not listed:
        return {entry: Path()}
    own, songs = stored_outputs(listed), {}
    for place in listed:
        inner = Path(str(place).removeprefix(str(entry).rstrip("/") + "/"))
        if place.suffix.lower() in READABLE and place not in own and not any(p.startswith(".") for p in inner.parts):
            songs[place] = inner.parent
    return songs


def _below(place: Path, folder: Path) -> Path:
    """A folder below a place, which may be in a store."""
    return place.joinpath(*folder.parts)


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
    model: str | Path | None

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
    jobs: int | None = None,
    cluster: str | None = None,
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
        jobs: How many songs at a time, one without it; with `cluster="local"` how many workers, without it as many as
            there are cores.
        cluster: The address of a Dask scheduler, whose workers extend the songs; or "local" for one that is started
            here. What is at paths must be at the same paths for all workers.
        model: As in `extend_file`.
        force: Make and overwrite what was made before, too.
        bitrate: As in `extend_file`.
        stream: As in `extend_file`.
        checked: Whether outcomes of songs that are skipped have plans, too; planned again where none was kept.
        on_progress: Called with a song, what is being done of it, and how much of that is done.
        options: As in `extend_file`.

    Raises:
        MusexError: the duration, the settings or the model cannot be used for any song, or a process was ended from
            outside, or the cluster cannot be used, or is lost.
    """
    chosen = Settings(**options)
    check_length(seconds, chosen)
    settings = chosen.to_dict()
    loaded = _load_once(model)
    planned = checked or any(len(task.files) > 1 for task in tasks)
    if isinstance(loaded, WaveformModel) and planned:
        raise MusexError(f"{loaded.name} predicts the waveform itself: no plan, page or check, and one version")
    how = {"musex": __version__, "model": loaded.sha256, "seconds": seconds, "bitrate": bitrate, **settings}
    how |= {} if stream is None else {"stream": stream}
    order = {"seconds": seconds, "bitrate": bitrate, "stream": stream, **options}
    work = _Work(how, force, checked, order, model)
    if cluster is not None or (jobs or 1) > 1:
        _check_reach(tasks)
    for place in {bucket_of(path): path for task in tasks for path in task.files if is_stored(path)}.values():
        check_store(place)
    waiting = []
    for task in tasks:
        if task.problem:
            yield Outcome(task, "failed", message=task.problem)
        elif not task.is_stored and work.is_done(task):  # else whoever works on it looks, for stores take their time
            yield Outcome(task, "skipped")
        else:
            waiting.append(task)
    if not waiting:
        return
    if cluster is not None or (jobs or 1) > 1:
        waiting.sort(key=_guess_length, reverse=True)  # lest the longest song begins when all others are done
    if cluster is not None:
        yield from _on_cluster(waiting, work, cluster, jobs, on_progress=on_progress)
    elif jobs in (None, 1):
        yield from _one_by_one(waiting, work, on_progress)
    else:
        yield from _side_by_side(waiting, work, jobs, on_progress)


def _check_reach(tasks: Sequence[Task]) -> None:
    """Refuse what one process alone has where several work; raises AudioError."""
    for task in tasks:
        for place in (task.song, *task.files):
            if lies_here(place):
                raise AudioError(f"{place} is this process's own: others cannot reach it; leave out jobs and cluster")


def _guess_length(task: Task) -> float:
    """About how many seconds a song lasts, by its size alone; 0 where that costs a question to a store."""
    if is_stored(task.song):
        return 0.0
    try:
        size = task.song.stat().st_size
    except OSError:
        return 0.0
    return size / BYTES_PER_SECOND.get(task.song.suffix.lower(), 20_000)


def _one_by_one(tasks: Iterable[Task], work: _Work, on_progress: OnSongProgress | None) -> Iterator[Outcome]:
    for task in tasks:
        with collected_warnings() as warnings:
            outcome = _extend(task, None if on_progress is None else partial(on_progress, task.song), work=work)
        yield replace(outcome, warnings=tuple(warnings))


def _side_by_side(
    tasks: Sequence[Task], work: _Work, jobs: int, on_progress: OnSongProgress | None
) -> Iterator[Outcome]:
    extend = partial(_extend, work=work)
    for outcome, warnings in work_side_by_side(extend, tasks, jobs, _by_task(on_progress)):
        yield _warned(outcome, warnings)


def _by_task(on_progress: OnSongProgress | None) -> Callable[[Task, str, float], None] | None:
    """What to tell the progress of tasks to that other processes work on."""
    if on_progress is None:
        return None
    return lambda task, stage, done: on_progress(task.song, stage, done)


def _warned(outcome: Outcome, warnings: tuple[str, ...]) -> Outcome:
    """An outcome with the warnings that another process logged, logged here as well."""
    for warning in warnings:
        logger.warning(warning)
    return replace(outcome, warnings=warnings)


def _on_cluster(
    tasks: Sequence[Task], work: _Work, address: str, workers: int | None, *, on_progress: OnSongProgress | None
) -> Iterator[Outcome]:
    from musex.system.cluster import work_on_cluster  # takes asyncio along

    seen = [_absolute(task) for task in tasks]  # workers have folders of their own that they run in
    model = None if work.model is None else Path(work.model).absolute()
    extend = partial(_extend_there, work=replace(work, model=model))
    known = dict(zip(seen, tasks, strict=True))
    failed = partial(Outcome, state="failed")
    for outcome, warnings in work_on_cluster(
        extend, seen, address, workers, on_failure=failed, on_progress=_by_task(on_progress)
    ):
        yield _warned(replace(outcome, task=known[outcome.task]), warnings)


def _absolute(task: Task) -> Task:
    """A task whose paths do not depend on the folder that one is in."""

    def resolved(place: Path) -> Path:
        return place if is_stored(place) else place.absolute()

    versions = tuple(
        replace(
            version,
            output=resolved(version.output),
            plan=version.plan and resolved(version.plan),
            page=version.page and resolved(version.page),
            exports=tuple(map(resolved, version.exports)),
        )
        for version in task.versions
    )
    return replace(task, song=resolved(task.song), versions=versions)


def _extend_there(task: Task, on_progress: OnProgress | None, *, work: _Work) -> Outcome:
    """`_extend` on another machine, which may have another musex and another model."""
    try:
        for what, here, asked in (
            ("musex", __version__, work.how["musex"]),
            ("a model with the hash", _load_once(work.model).sha256, work.how["model"]),
        ):
            if here != asked:
                raise MusexError(f"a worker has {what} {here}, not {asked}: install the same there")
    except MusexError as error:
        return Outcome(task, "failed", message=" ".join(str(error).split()))
    return _extend(task, on_progress, work=work)


def _load_once(model: str | Path | None) -> Model | WaveformModel:
    """`load_model`, once for all songs that this process extends."""
    try:
        changed = None if model is None else Path(model).stat().st_mtime_ns
    except OSError:
        changed = None
    return _load(model, changed)


@cache
def _load(model: str | Path | None, changed: int | None) -> Model | WaveformModel:
    return load_model(model)


def _extend(task: Task, on_progress: OnProgress | None, *, work: _Work) -> Outcome:
    """Write what is missing of a task, or all with `force`; each file is remembered as soon as it is in its place."""
    began, stage = time.monotonic(), None
    try:
        if not is_stored(task.song):
            check_song(task.song)
        origins = work.origins(task)
        done = {path for path, origin in origins.items() if not work.force and is_done(path, origin)}
        if done == set(task.files) and task.is_stored and not work.checked:
            return Outcome(task, "skipped")
        _prepare_places(task, done, work.force)
        with ExitStack() as stack:
            stage = _Stage(task, stack.enter_context(temporary_folder()) if task.is_stored else Path())

            def keep(path: Path) -> None:
                place = stage.places[path]
                if is_stored(place):
                    stage.name_song(path)
                    put_remembered(path, place, origins[place])
                else:
                    remember(place, origins[place])

            plans = make_versions(
                stage.fetched_song(on_progress),
                stage.versions,
                model=_load_once(work.model),
                force=work.force,
                done=stage.fetched(done),
                on_written=keep,
                on_progress=on_progress,
                **work.order,
            )
            plans = [stage.named(plan) for plan in plans]
    except (MusexError, OSError, MemoryError) as error:
        message = str(error) if stage is None else stage.named_places(str(error))
        return Outcome(task, "failed", message=" ".join(message.split()) or type(error).__name__)
    state = "skipped" if done == set(task.files) else "made"
    return Outcome(task, state, tuple(plans), time.monotonic() - began)


def _prepare_places(task: Task, done: Set[Path], force: bool) -> None:
    """Make folders, and refuse early to overwrite objects; raises AudioError."""
    for place in task.files:
        if not is_stored(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        elif place not in done and not force and identity(place) is not None:
            raise AudioError(f"{place} exists already: choose another name, or overwrite it with `force=True`")


class _Stage:
    """A task's files while it is worked on: what is in stores is here, in a temporary folder."""

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder
        self.song = folder / "song" / task.song.name if is_stored(task.song) else task.song
        self.places = {self._here(place): place for place in task.files}  # by where they are made
        self.versions = tuple(
            replace(
                version,
                output=self._here(version.output),
                plan=version.plan and self._here(version.plan),
                page=version.page and self._here(version.page),
            )
            for version in task.versions
        )

    def _here(self, place: Path) -> Path:
        return self.folder / "made" / place.name if is_stored(place) else place

    def fetched_song(self, on_progress: OnProgress | None) -> Path:
        """The song's file here."""
        if self.task.is_stored:
            (self.folder / "made").mkdir()
        if is_stored(self.task.song):
            (on_progress or ignore_progress)("Fetching", 0.0)
            self.song.parent.mkdir()
            fetch(self.task.song, self.song)
        return self.song

    def fetched(self, done: Set[Path]) -> set[Path]:
        """Files that are done, by where they would be made here; plans among them are read, and fetched for that."""
        here = {path: place for path, place in self.places.items() if place in done}
        for path, place in here.items():
            if is_stored(place) and path.suffix == ".json":
                fetch(place, path)
        return set(here)

    def named(self, plan: Plan) -> Plan:
        """A plan that says where its song is, not where it was worked on."""
        return replace(plan, song=replace(plan.song, path=str(self.task.song))) if is_stored(self.task.song) else plan

    def named_places(self, message: str) -> str:
        """A message that names places as the user knows them."""
        for path, place in {self.song: self.task.song, **self.places}.items():
            message = message.replace(str(path), str(place))
        return message

    def name_song(self, path: Path) -> None:
        """The same for a plan's file."""
        if path in [version.plan for version in self.versions]:
            save_text(self.named(read_plan(path)).to_json() + "\n", path, force=True)
