"""Files written whole or not at all, and those beside the music: plans, figures, pages."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from musex.errors import MusexError
from musex.system.signals import held_off, undoing

LEFTOVER = re.compile(r"\.musex-[0-9a-f]{16}")
LONGEST_NAME = 255  # bytes, on most file systems


def check_side_file(path: str | Path, force: bool, *others: str | Path) -> None:
    """Refuse early to write a file where it cannot be, or where one of `others` is: raises MusexError."""
    path = Path(path)
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise MusexError(f"{path} is a folder: name the file to write")
    if not folder.is_dir():
        raise MusexError(f"cannot write {path}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MusexError(f"cannot write {path}: the folder {folder} is not writable")
    if any(os.path.realpath(path) == os.path.realpath(other) for other in others):
        raise MusexError(f"{path} is used twice: choose another name")
    if path.exists() and not force:
        raise MusexError(f"{path} exists already: choose another name, or overwrite it with `force=True`")


@contextmanager
def written_whole(path: str | Path, error: type[MusexError] = MusexError, *, force: bool = False) -> Iterator[Path]:
    """Give a path to write to, and put what is there in place at the end; raises `error` if it cannot be.

    The path is alone in a folder that goes in any case: what another program begins to write too late finds it gone.
    Without `force` a file that has come to be there meanwhile stays, and that is an error.
    """
    target = Path(os.path.realpath(path))
    try:
        _remove_leftovers(target.parent)
        with _own_folder(target.parent) as folder:
            temporary = folder / f".output{target.suffix}"  # hidden where a kill leaves it: no run takes it for music
            yield temporary
            if force:
                temporary.replace(target)
            else:
                _place_new(temporary, target)
    except FileExistsError as failure:
        raise error(f"{path} exists already, since a moment ago: choose another name, or use `force=True`") from failure
    except OSError as failure:
        raise error(f"could not write {path}: {failure.strerror or failure}") from failure


@contextmanager
def written_together(
    paths: Sequence[str | Path], error: type[MusexError] = MusexError, *, force: bool = False
) -> Iterator[list[Path]]:
    """Give paths to write to, as `written_whole`, and put all files in place at the end, or none of them."""
    with ExitStack() as stack:
        waiting = [stack.enter_context(_written_apart(path, error)) for path in paths]
        yield waiting
        placed: list[tuple[Path, Path | None]] = []
        with held_off():
            for path, temporary in zip(paths, waiting, strict=True):
                target = Path(os.path.realpath(path))
                try:
                    before = _keep(target, temporary.with_name("before"))
                    if force:
                        temporary.replace(target)
                    else:
                        _place_new(temporary, target)
                except OSError as failure:
                    for done, earlier in placed:
                        earlier.replace(done) if earlier is not None else done.unlink()
                    reason = failure.strerror or failure
                    raise error(f"could not write {path}: {reason}; none of the files is written") from failure
                placed.append((target, before))


@contextmanager
def _written_apart(path: str | Path, error: type[MusexError]) -> Iterator[Path]:
    """A path for a file that is put in place by whoever asks."""
    target = Path(os.path.realpath(path))
    try:
        _remove_leftovers(target.parent)
        with _own_folder(target.parent) as folder:
            yield folder / f".output{target.suffix}"
    except OSError as failure:
        raise error(f"could not write {path}: {failure.strerror or failure}") from failure


def _keep(path: Path, name: Path) -> Path | None:
    """A file by another name, too; None where there is none, or none can be had."""
    try:
        os.link(path, name)
    except OSError:  # not there, or a file system without links
        return None
    return name


@contextmanager
def made_folder(path: str | Path) -> Iterator[Path]:
    """A folder, made where it is missing; it goes again if what is done within fails. Raises MusexError."""
    folder = Path(path)
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    if folder.exists() and not folder.is_dir():
        raise MusexError(f"{folder} is a file: name a folder to write to")
    remove = partial(_remove_empty, missing)
    with undoing(remove):
        try:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as failure:
                raise MusexError(f"cannot make the folder {folder}: {failure.strerror or failure}") from failure
            yield folder
        except BaseException:
            remove()
            raise


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that nothing is in, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _place_new(temporary: Path, target: Path) -> None:
    """Move a file to where none is; of two that try it, one raises FileExistsError."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with held_off():
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            temporary.replace(target)


@contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A hidden folder that is this process's as long as it lives."""
    while True:
        folder = parent / f".musex-{secrets.token_hex(8)}"
        remove = partial(shutil.rmtree, folder, ignore_errors=True)
        with undoing(remove):
            try:
                folder.mkdir()
                with locked(folder) as own:
                    if own is False or not folder.exists():  # another run has taken it for a leftover
                        continue
                    yield folder
                    return
            finally:
                remove()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder among the temporary ones of the system, which goes in any case."""
    with ExitStack() as stack:
        with held_off():
            folder = tempfile.mkdtemp(prefix="musex-")
            remove = partial(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(undoing(remove))
            stack.callback(remove)
        yield Path(folder)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of runs that were killed: those that no process owns any more."""
    with os.scandir(parent) as entries:
        folders = [
            Path(entry) for entry in entries if LEFTOVER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in folders:
        with locked(folder) as free:
            if free:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[bool | None]:
    """Whether this process alone holds a folder now; None where folders cannot be held."""
    number = held = None
    try:
        import fcntl

        number = os.open(folder, os.O_RDONLY)
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        held = True
    except BlockingIOError:
        held = False
    except (ImportError, OSError):  # Windows, or a network's file system
        held = None
    try:
        yield held
    finally:
        if number is not None:
            os.close(number)


def name_beside(path: str | Path, ending: str) -> Path:
    """`<stem><ending>` beside a file, its stem cut where the name would be longer than file systems allow."""
    path = Path(path) if isinstance(path, str) else path
    return path.with_name(shorten(path.stem, LONGEST_NAME - len(os.fsencode(ending))) + ending)


def shorten(text: str, most_bytes: int) -> str:
    """As much of a text as fits."""
    while len(os.fsencode(text)) > max(most_bytes, 1):
        text = text[:-1]
    return text


def save_text(text: str, path: str | Path, *, force: bool = False) -> None:
    """Write a text file; raises MusexError if it cannot be, or is there already and `force` is not set."""
    with written_whole(path, force=force) as temporary:
        temporary.write_text(text, encoding="utf-8")
