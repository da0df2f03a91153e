"""Files beside the music: plans, figures, pages. Written whole or not at all."""

import os
import secrets
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
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a path to write to, and put what is there in place at the end; raises MusexError if it cannot be."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".musex-{secrets.token_hex(8)}{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise MusexError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_text(text: str, path: str | Path) -> None:
    """Write a text file; raises MusexError if it cannot be."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
