"""What batches have made: a ledger in every folder they write to says of each file what it was made of, and how."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from musex.system.json_files import parse_json, read_json_text
from musex.system.side_files import locked, save_text

LEDGER = ".musex-done.json"


@dataclass(frozen=True)
class Origin:
    """What a file is made of, and how, as hashes."""

    song: str
    settings: str


def hash_song(path: Path) -> str:
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
