"""Data sets prepared for training: the features of a folder of music in a few large files, read where they lie.

    OUT/index.json         what features are, and which shards there are
    OUT/shard-00000.npy    features (rows, width) float16, one track after another
    OUT/shard-00000.json   these tracks: path in the data set, key of what was heard, first row, rows
    OUT/waiting/KEY.npy    features of a track that is in no shard yet

All is written whole or not at all, the index last: whatever ends `prepare`, the next one goes on from there.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from musex.analysis.features import analyse
from musex.audio.reading import read_song
from musex.config import FEATURES
from musex.errors import AudioError, DatasetError, MusexError, one_line
from musex.system.arrays import Array, load_array, save_array
from musex.system.cluster import work_on_cluster
from musex.system.json_files import check_types, parse_json, read_json_text
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import LEFTOVER, locked, save_text
from musex.system.threads import usable_cores
from musex.system.workers import work_side_by_side
from musex.training.dataset import CACHE_FOLDER, FEATURE_VERSION, Track, feature_key, find_tracks

logger = logging.getLogger(__name__)

FORMAT = 1
INDEX_FILE = "index.json"
WAITING_FOLDER = "waiting"
SHARD_NAME = re.compile(r"shard-\d{5,9}")
SHARD_BYTES = 64 * 2**20  # of features, 11 h of music: few files for millions of songs, and little to write anew


@dataclass(frozen=True)
class Shard:
    """A file of features, as the index tells of it."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A track in a shard."""

    path: str  # in the data set, by slashes
    key: str  # as `feature_key`
    start: int
    rows: int


@dataclass(frozen=True)
class Heard:
    """What came of listening to a track: its features, unless they are written already, or why there are none."""

    path: Path
    key: str
    features: Array | None = None
    problem: str = ""


@dataclass
class Prepared:
    """What a folder holds.

    Attributes:
        folder: Where it is.
        shards: By their names, what the index says of each.
        entries: By the same names, the tracks of each.
        made: How many tracks were listened to this time.
        left_out: Files without features, and why.
    """

    folder: Path
    shards: dict[str, Shard] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    made: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def tracks(self) -> list[Track]:
        """All tracks, in the order in which they would be found in the data set itself."""
        found = [
            Track(Path(entry.path), entry.path.split("/")[0], self.folder / f"{name}.npy", entry.start, entry.rows)
            for name, entries in self.entries.items()
            for entry in entries
        ]
        return sorted(found, key=lambda track: track.path)

    @property
    def hours(self) -> float:
        """How much music that is."""
        steps = sum(entry.rows for entries in self.entries.values() for entry in entries)
        return steps / FEATURES.steps_per_second / 3600

    @property
    def bytes(self) -> int:
        """How large the shards are."""
        return sum((self.folder / f"{name}.npy").stat().st_size for name in self.shards)


def is_prepared(folder: Path) -> bool:
    """Whether a folder is what `prepare` makes."""
    return (folder / INDEX_FILE).is_file()


def prepare(
    dataset: Path,
    out: Path,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    on_track: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Write the features of every song below `dataset` into `out`, from which training reads them.

    Only what is missing is listened to: new and changed songs, and those whose shard is gone or damaged. Songs that
    are gone from the data set are left out. Files that cannot be read are told, and harm nobody.

    Args:
        dataset: A folder of music.
        out: A folder that is empty, missing or prepared before.
        jobs: How many songs are listened to at a time; without it one for each core.
        cluster: The address of a Dask scheduler whose workers listen, which find `dataset` at the same path; or
            "local" for `jobs` workers on this machine.
        shard_bytes: About how large a shard is.
        on_track: Called with the number of tracks done, and of all.

    Raises:
        DatasetError: There is no usable music, or `out` holds something else.
        MusexError: Something cannot be written, or the cluster does not answer.
    """
    paths = find_tracks(dataset)
    _check_out(out)
    try:
        (out / WAITING_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{out} cannot be written to: {error.strerror or error}") from error
    with locked(out) as own:
        if own is False:
            raise DatasetError(f"{out} is being prepared by another process: wait for its end")
        return _Store(dataset, out, shard_bytes).fill(paths, jobs or usable_cores(), cluster, on_track)


def _check_out(out: Path) -> None:
    """Refuse a folder that holds something else; raises DatasetError."""
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out} is a file: name a folder for what is prepared")
    if out.is_dir() and not is_prepared(out):
        others = [path.name for path in out.iterdir() if not LEFTOVER.fullmatch(path.name)]
        if set(others) - {WAITING_FOLDER}:
            raise DatasetError(f"{out} holds other files, such as {min(others)}: name an empty or a new folder")


class _Store:
    """A prepared folder that is being filled."""

    def __init__(self, dataset: Path, out: Path, shard_bytes: int) -> None:
        self.dataset, self.out, self.waiting = dataset, out, out / WAITING_FOLDER
        self.shard_rows = max(1, shard_bytes // (2 * FEATURES.width))
        self.held = _read(out, missing_are_told=True) if is_prepared(out) else Prepared(out)
        self.queue: list[Entry] = []  # written to the waiting folder, in no shard yet; starts are all 0

    def fill(
        self, paths: Sequence[Path], jobs: int, cluster: str | None, on_track: Callable[[int, int], None] | None
    ) -> Prepared:
        keys = self._keys(paths)
        self._forget_others(keys)
        known = {entry.key for entries in self.held.entries.values() for entry in entries}
        missing = []
        for path, key in keys.items():
            if key not in known and not self._find(path, key):
                missing.append((path, key))
        done = len(paths) - len(missing)
        for heard in self._hear(missing, jobs, cluster):
            done += 1
            if heard.problem:
                self._leave_out(heard.path, heard.problem)
            else:
                self._take(heard.path, heard.key, heard.features)
                self.held.made += 1
            if on_track:
                on_track(done, len(paths))
        self._gather(all_of_it=True)
        if not self.held.shards:
            raise DatasetError(f"none of {len(paths)} files below {self.dataset} can be learned from")
        self._save_index()
        self._clean()
        return self.held

    def _keys(self, paths: Sequence[Path]) -> dict[Path, str]:
        keys = {}
        for path in paths:
            try:
                keys[path] = feature_key(path, self.dataset)
            except OSError as error:  # gone since it was found
                self._leave_out(path, error.strerror or str(error))
        return keys

    def _leave_out(self, path: Path, reason: str) -> None:
        logger.warning("%s left out: %s", path, reason.removeprefix(f"{path} "))
        self.held.left_out[self._name(path)] = reason.removeprefix(f"{path} ")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.dataset).as_posix()

    def _forget_others(self, keys: Mapping[Path, str]) -> None:
        """Leave out the tracks that are gone or changed; raises DatasetError where all of them are gone."""
        wanted = {self._name(path): key for path, key in keys.items()}
        entries = [entry for each in self.held.entries.values() for entry in each]
        if entries and not wanted.keys() & {entry.path for entry in entries}:
            raise DatasetError(f"{self.out} was prepared from another data set than {self.dataset}: name a new folder")
        for name, each in list(self.held.entries.items()):
            kept = [entry for entry in each if wanted.get(entry.path) == entry.key]
            if kept and kept != each:
                self._save_entries(name, kept)
            if kept:
                self.held.entries[name] = kept
            else:
                self.held.entries.pop(name)
                self.held.shards.pop(name)

    def _find(self, path: Path, key: str) -> bool:
        """Take features made before: by a `prepare` that was stopped, or for a training on the data set itself."""
        for folder in (self.waiting, self.dataset / CACHE_FOLDER):
            features = load_array(folder / f"{key}.npy", mapped=True)
            if features is not None and not find_fault(features):
                self._take(path, key, None if folder == self.waiting else features)
                return True
        return False

    def _hear(self, missing: Sequence[tuple[Path, str]], jobs: int, cluster: str | None) -> Iterator[Heard]:
        if cluster is not None and missing:
            sources = [(path.resolve(), key) for path, key in missing]  # workers are in other folders
            paths = {key: path for path, key in missing}
            for heard, _ in work_on_cluster(_hear_far, sources, cluster, jobs, on_failure=_give_up):
                yield replace(heard, path=paths[heard.key])
        elif min(jobs, len(missing)) > 1:
            for heard, _ in work_side_by_side(partial(_hear_into, self.waiting), missing, min(jobs, len(missing))):
                yield heard
        else:
            yield from map(hear, missing)

    def _take(self, path: Path, key: str, features: Array | None) -> None:
        """Keep features, or those in the waiting folder already, until there are enough for a shard."""
        file = self.waiting / f"{key}.npy"
        if features is not None:
            save_array(np.asarray(features), file)
        self.queue.append(Entry(self._name(path), key, 0, len(np.load(file, mmap_mode="r", allow_pickle=False))))
        if sum(entry.rows for entry in self.queue) >= self.shard_rows:
            self._gather()

    def _gather(self, *, all_of_it: bool = False) -> None:
        """Make shards of what is waiting: as many as are full, or all."""
        while self.queue and (all_of_it or sum(entry.rows for entry in self.queue) >= self.shard_rows):
            entries: list[Entry] = []
            rows = 0
            while self.queue and rows < self.shard_rows:
                entries.append(replace(self.queue.pop(0), start=rows))
                rows += entries[-1].rows
            files = [self.waiting / f"{entry.key}.npy" for entry in entries]
            features = np.concatenate([np.load(file, allow_pickle=False) for file in files])
            name = self._new_name()
            save_array(features, self.out / f"{name}.npy")
            self._save_entries(name, entries)
            self.held.shards[name] = Shard(name, rows, hash_file(self.out / f"{name}.npy"))
            self.held.entries[name] = entries
            self._save_index()
            for file in files:
                file.unlink()

    def _new_name(self) -> str:
        numbers = [int(name.split("-")[1]) for name in self.held.shards]
        return f"shard-{max(numbers, default=-1) + 1:05d}"

    def _save_entries(self, name: str, entries: Iterable[Entry]) -> None:
        text = json.dumps({"tracks": [asdict(entry) for entry in entries]}, indent=1) + "\n"
        save_text(text, self.out / f"{name}.json", force=True)

    def _save_index(self) -> None:
        content = {**_kind(), "shards": [asdict(shard) for shard in self.held.shards.values()]}
        content["left_out"] = self.held.left_out
        save_text(json.dumps(content, indent=1) + "\n", self.out / INDEX_FILE, force=True)

    def _clean(self) -> None:
        """Remove what no shard needs any more."""
        shutil.rmtree(self.waiting, ignore_errors=True)
        for path in (*self.out.glob("shard-*.npy"), *self.out.glob("shard-*.json")):
            if SHARD_NAME.fullmatch(path.stem) and path.stem not in self.held.shards:
                path.unlink()


def _kind() -> dict[str, Any]:
    """What a folder of features is: only one of the same kind can be gone on with, or learned from."""
    return {"format": FORMAT, "feature_version": FEATURE_VERSION, "features": asdict(FEATURES)}


def find_fault(features: Array) -> str:
    """What is wrong with the features of a track; nothing where nothing is."""
    if features.ndim != 2 or features.shape[1] != FEATURES.width or features.dtype != np.float16 or not len(features):
        return "its features are not such as musex makes"
    return "" if np.isfinite(features).all() else "its features are not finite"


def hear(source: tuple[Path, str]) -> Heard:
    """The features of one file, or why there are none; raises nothing that a file could cause."""
    path, key = source
    try:
        song = read_song(path)
        features = analyse(song.samples, song.sample_rate).astype(np.float16)
    except (AudioError, OSError, MemoryError) as error:
        return Heard(path, key, problem=one_line(error))
    return Heard(path, key, features, find_fault(features))


def _hear_into(folder: Path, source: tuple[Path, str], on_progress: OnProgress = ignore_progress) -> Heard:
    """The same in a process of its own: features are written there, for whoever gives the work keeps all answers."""
    heard = hear(source)
    if heard.features is not None and not heard.problem:
        save_array(heard.features, folder / f"{heard.key}.npy")
    return replace(heard, features=None)


def _hear_far(source: tuple[Path, str], on_progress: OnProgress) -> Heard:
    """The same by a worker of a cluster, whose answer comes over the network."""
    return hear(source)


def _give_up(source: tuple[Path, str], *, message: str) -> Heard:
    """What is said of a file at which workers died."""
    return Heard(*source, problem=message)


def load_prepared(folder: Path) -> Prepared:
    """What `prepare` has made, whole and undamaged.

    Raises:
        DatasetError: It is not such a folder, of other features, or something of it is gone or damaged.
    """
    return _read(folder, missing_are_told=False)


def _read(folder: Path, *, missing_are_told: bool) -> Prepared:
    """What a folder holds; shards that are gone or damaged are errors, or told and left out."""
    held = Prepared(folder)
    for shard in _read_index(folder):
        try:
            entries = _read_shard(folder, shard)
        except DatasetError as error:
            if not missing_are_told:
                raise
            logger.warning("%s; what it held is made anew", str(error).split(":")[0])
            continue
        held.shards[shard.name], held.entries[shard.name] = shard, entries
    if not held.shards and not missing_are_told:
        raise DatasetError(f"{folder} is not prepared yet: run musex prepare DATASET {folder} to its end")
    return held


def _read_index(folder: Path) -> list[Shard]:
    path = folder / INDEX_FILE
    content = _read_object(path)
    known = {name: content.get(name) for name in _kind()}
    if known != json.loads(json.dumps(_kind())):
        raise DatasetError(
            f"{folder} was prepared by another musex, with other features, or is something else: name a new folder, "
            "and run musex prepare DATASET FOLDER"
        )
    try:
        shards = [Shard(**each) for each in content["shards"]]
        for shard in shards:
            check_types(shard)
            if not SHARD_NAME.fullmatch(shard.name) or shard.rows < 1:
                raise ValueError(f"no shard is {shard.name[:40]!r} with {shard.rows} rows")
        if len({shard.name for shard in shards}) < len(shards):
            raise ValueError("it names a shard twice")
    except (TypeError, ValueError, KeyError) as error:
        raise DatasetError(f"{path} is damaged: {error}; remove {folder} and prepare it anew") from error
    return shards


def _read_shard(folder: Path, shard: Shard) -> list[Entry]:
    """The tracks of a shard, which is as it was written; raises DatasetError."""
    file = folder / f"{shard.name}.npy"
    cure = f"run musex prepare DATASET {folder} again, which makes what is missing"
    if not file.is_file():
        raise DatasetError(f"{folder} has lost {file.name}: {cure}")
    if hash_file(file) != shard.sha256 or load_shape(file) != (shard.rows, FEATURES.width):
        raise DatasetError(f"{file} is damaged: {cure}")
    path = folder / f"{shard.name}.json"
    try:
        content = _read_object(path)
        entries = [Entry(**each) for each in content["tracks"]]
        for entry in entries:
            check_types(entry)
            place = PurePosixPath(entry.path)
            if place.is_absolute() or ".." in place.parts or not place.parts:
                raise ValueError(f"no track is {entry.path[:40]!r}")
            if not (entry.start >= 0 and 1 <= entry.rows <= shard.rows - entry.start):
                raise ValueError(f"{entry.path} does not lie within {file.name}")
    except (TypeError, ValueError, KeyError, DatasetError) as error:
        raise DatasetError(f"{path} is damaged: {cure}") from error
    return entries


def load_shape(file: Path) -> tuple[int, ...]:
    """How many rows and columns a file of features has; none where it holds anything else."""
    features = load_array(file, mapped=True)
    return () if features is None or features.dtype != np.float16 else features.shape


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_json_text(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} is damaged: it is no object")
    return content


def hash_file(path: Path) -> str:
    """SHA-256 of a file; raises MusexError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MusexError(f"{path} cannot be read: {error.strerror or error}") from error
