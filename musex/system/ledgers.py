"""What batches have made: a ledger in every folder they write to says of each file what it was made of, and how.

Object stores lock nothing, so that many who write one ledger would lose each other's entries: there every output has an
entry of its own, beside it in `.musex-done/`. It is written before the output, with the size that this will have, and
again afterwards, with its hash: whoever is killed between the two is understood, and nothing is made twice.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from musex.system.json_files import parse_json, read_json_text
from musex.system.side_files import locked, save_text
from musex.system.stores import identity, is_stored, put, read_bytes, write_bytes

LEDGER = ".musex-done.json"
ENTRIES = ".musex-done"  # a folder of them, in object stores


@dataclass(frozen=True)
class Origin:
    """What a file is made of, and how, as hashes."""

    song: str
    settings: str


def hash_song(path: Path) -> str:
    """Of a file's bytes; of an object, which is not fetched for that, by what its store tells of them."""
    if is_stored(path):
        if (facts := identity(path)) is None:
            raise FileNotFoundError(f"{path}: there is no such song")
        return hashlib.sha256(facts.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_settings(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def read_ledger(folder: Path) -> dict[str, Any]:
    """Entries by the names of files; none where there is no ledger, or a damaged one."""
    try:
        content = parse_json(read_json_text(folder / LEDGER))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_done(path: Path, origin: Origin) -> bool:
    """Whether a file was made of this, and is as it was then."""
    if is_stored(path):
        return _is_stored_as(path, origin)
    known = read_ledger(path.parent).get(path.name)
    try:
        return known is not None and bool(known == _entry(path, origin))
    except OSError:
        return False


def remember(path: Path, origin: Origin) -> None:
    """Write down what a file was made of, now that it is in its place."""
    folder, entry = path.parent, _entry(path, origin)
    with locked(folder, wait=True):  # another process may write there, too
        ledger = {**read_ledger(folder), path.name: entry}
        save_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n", folder / LEDGER, force=True)


def _entry(path: Path, origin: Origin) -> dict[str, Any]:
    status = path.stat()
    return {**asdict(origin), "size": status.st_size, "modified": status.st_mtime_ns}


def put_remembered(source: Path, place: Path, origin: Origin) -> None:
    """Put a file into a store, with an entry of what it was made of."""
    entry = {**asdict(origin), "size": source.stat().st_size}
    _write_entry(place, entry)
    put(source, place)
    _write_entry(place, entry | {"identity": identity(place)})


def stored_outputs(places: Iterable[Path]) -> set[Path]:
    """What musex has put among these places: those beside which an entry lies."""
    return {place.parent.parent / place.stem for place in places if place.parent.name == ENTRIES}


def _is_stored_as(place: Path, origin: Origin) -> bool:
    entry = _read_entry(place)
    if {name: entry.get(name) for name in asdict(origin)} != asdict(origin):
        return False
    now = identity(place)
    return now is not None and entry.get("identity", now) == now and now.split()[0] == str(entry.get("size"))


def _entry_of(place: Path) -> Path:
    return place.parent / ENTRIES / f"{place.name}.json"


def _read_entry(place: Path) -> dict[str, Any]:
    try:
        content = parse_json((read_bytes(_entry_of(place)) or b"{}").decode())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _write_entry(place: Path, entry: Mapping[str, Any]) -> None:
    write_bytes(json.dumps(entry, indent=1, sort_keys=True).encode() + b"\n", _entry_of(place))
