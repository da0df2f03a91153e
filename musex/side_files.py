"""Files written whole or not at all, and those beside the music: plans, figures, pages."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from musex.errors import MusexError


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
        raise MusexError(f"{path} exists already: choose another name, or overwrite it with --force")


@contextmanager
def written_whole(path: str | Path, error: type[MusexError] = MusexError) -> Iterator[Path]:
    """Give a path to write to, and put what is there in place at the end; raises `error` if it cannot be.

    The path is alone in a folder that goes in any case: what another program begins to write too late finds it gone.
    """
    target = Path(os.path.realpath(path))
    folder = target.with_name(f".musex-{secrets.token_hex(8)}")
    temporary = folder / f".output{target.suffix}"  # hidden where a kill leaves it: no later run takes it for music
    try:
        folder.mkdir()
        yield temporary
        temporary.replace(target)
    except OSError as failure:
        raise error(f"could not write {path}: {failure.strerror or failure}") from failure
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_text(text: str, path: str | Path) -> None:
    """Write a text file; raises MusexError if it cannot be."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
