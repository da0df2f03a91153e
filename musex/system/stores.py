"""Object stores by URL, such as s3://bucket/song.mp3: what lies in them, fetched and put.

Their paths are those of universal_pathlib, which have the methods of pathlib's and are no `Path`s: nothing opens them
by mistake. A store takes an object whole or not at all: it appears when all its bytes have arrived (S3: PutObject, or
CompleteMultipartUpload for a large one; Google Cloud Storage: the last request of an upload), and until then, or if
whoever sends it is killed, what was there before is there. So nothing is put under another name first and moved, which
in a store is a copy and no more atomic.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from musex.errors import AudioError, MusexError, one_line, suggest

CURE = "pip install 'musex[cluster]'"
STORES = {"s3": "s3fs", "gs": "gcsfs", "memory": "fsspec"}  # what can be named, and what is needed for it
FAULTS = (
    ("botocore.exceptions", "BotoCoreError"),  # no credentials, no connection
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
)  # of the stores' libraries, which are no OSErrors


def is_url(text: str) -> bool:
    """Whether a text is a URL and no path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def is_stored(place: object) -> bool:
    """Whether a place is in an object store."""
    return not isinstance(place, Path)


def lies_here(place: Path) -> bool:
    """Whether a place can be reached by this process alone."""
    return is_stored(place) and cast(Any, place).protocol == "memory"


def place_of(text: str | Path) -> Path:
    """A path, or of a URL a place that has a path's methods.

    Raises:
        MusexError: musex has no such stores, or what reaches them is not installed.
    """
    if not isinstance(text, str):
        return text
    if not is_url(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme in ("http", "https", "ftp"):
        return Path(text)  # which is not there, and whoever reads it says what to do
    if parts.scheme not in STORES:
        listed = ", ".join(f"{name}://" for name in STORES if name != "memory")
        raise AudioError(
            f"{text} cannot be used: musex reads and writes paths and {listed}{suggest(parts.scheme, STORES)}"
        )
    if not parts.netloc:
        raise AudioError(f"{text} names no bucket: give one such as {parts.scheme}://bucket/folder/song.mp3")
    if find_spec("upath") is None:
        raise MusexError(f"{text} needs universal_pathlib: {CURE}")
    needed = STORES[parts.scheme]
    if find_spec(needed) is None:
        raise MusexError(f"{text} needs {needed}: pip install {needed}")
    from upath import UPath

    return cast(Path, UPath(text))


@contextmanager
def told(place: object) -> Iterator[None]:
    """Tell what a store refuses or what is wrong with it as a MusexError."""
    try:
        yield
    except FileNotFoundError as error:
        bucket = "bucket" in str(error)
        reason = "there is no such bucket; create it first" if bucket else "there is no such song or folder"
        raise AudioError(f"{place}: {reason}") from error
    except PermissionError as error:
        raise AudioError(f"{place}: access is denied ({_reason(error)}); check the credentials and their rights") from (
            error
        )
    except _faults() as error:
        raise AudioError(f"{place}: {_reason(error)}{_cure(error)}") from error


def _faults() -> tuple[type[Exception], ...]:
    known = [(sys.modules.get(module), name) for module, name in FAULTS]
    return (OSError, *(getattr(module, name) for module, name in known if hasattr(module, name)))


def _reason(error: BaseException) -> str:
    return one_line(error).rstrip(".")


def _cure(error: BaseException) -> str:
    if "redential" in type(error).__name__ or "redential" in str(error):
        return "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what else tells who you are to the store"
    if "ndpoint" in type(error).__name__:
        return "; is AWS_ENDPOINT_URL right?"
    return ""


def _parts(place: Path) -> tuple[Any, str]:
    """A place's file system, as fsspec knows it, and its path there."""
    stored = cast(Any, place)
    return stored.fs, stored.path


def check_store(place: Path) -> None:
    """Refuse early where a place's store does not answer, or has no such bucket; raises AudioError."""
    identity(place)


def bucket_of(place: Path) -> str:
    """What of a place's path names the part of its store that somebody has to make."""
    return str(cast(Any, place).fs._strip_protocol(str(place))).split("/")[0]


def identity(place: Path) -> str | None:
    """What changes when an object is replaced: its size, and its hash or else its time; None where there is none."""
    files, path = _parts(place)
    with told(place):
        files.invalidate_cache(files._parent(path))  # others write there, too
        try:
            facts = files.info(path)
        except FileNotFoundError as error:
            if "bucket" in str(error):
                raise
            return None
    if facts["type"] != "file":
        return None
    own = next((facts[name] for name in ("ETag", "etag", "md5Hash", "mtime", "created") if facts.get(name)), "")
    return f"{facts['size']} {own}"


def list_files(place: Path) -> list[Path]:
    """All objects below a place, at any depth; none where it is an object itself.

    Raises:
        AudioError: There is nothing.
    """
    files, path = _parts(place)
    with told(place):
        files.invalidate_cache()
        found = files.find(path)
    if not found and identity(place) is None:
        raise AudioError(f"{place}: there is no such song or folder")
    root = path.rstrip("/") + "/"
    return sorted(cast(Path, place / each.removeprefix(root)) for each in found if each.startswith(root))


def fetch(place: Path, target: Path) -> None:
    """Bring an object to a file here."""
    files, path = _parts(place)
    with told(place):
        files.get_file(path, str(target))


def put(source: Path, place: Path) -> None:
    """Put a file into a store, whole or not at all."""
    files, path = _parts(place)
    with told(place):
        if lies_here(place):
            files.pipe_file(path, source.read_bytes())  # at once, where put_file writes part after part
        else:
            files.put_file(str(source), path)
        files.invalidate_cache(files._parent(path))


def read_bytes(place: Path) -> bytes | None:
    """All of an object; None where there is none."""
    files, path = _parts(place)
    with told(place):
        try:
            return bytes(files.cat_file(path))
        except FileNotFoundError:
            return None


def write_bytes(content: bytes, place: Path) -> None:
    """Write an object, whole or not at all."""
    files, path = _parts(place)
    with told(place):
        files.pipe_file(path, content)
