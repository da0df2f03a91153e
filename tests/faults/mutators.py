"""What damages files: bytes by chance, JSON by its structure."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

ODD: list[Any] = [None, True, -1, 0.5, 10**30, "", "\ud800", "a\0b", [], [[1]], {}, float("nan"), float("inf")]
WORDS = (b"\0\0\0\0", b"\1\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff")  # that break lengths and places


def damage_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """A file with one thing done to it: bytes changed, a length broken, a part cut out, doubled or left off."""
    changed = bytearray(content)
    start = int(random.integers(min(len(content), 4_096) if random.random() < 0.5 else len(content)))  # often the head
    stop = min(len(content), start + int(random.integers(1, 2_000)))
    match int(random.integers(5)):
        case 0:
            for _ in range(8):
                changed[int(random.integers(start, stop))] = int(random.integers(256))
        case 1:
            changed[start : start + 4] = WORDS[int(random.integers(len(WORDS)))]
        case 2:
            del changed[start:stop]
        case 3:
            changed[start:start] = content[start:stop]
        case _:
            del changed[start:]
    return bytes(changed)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in JSON, containers and what they hold."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def put(content: dict[str, Any], path: tuple[Any, ...], odd: Any) -> Any:
    """JSON with something odd in one of its places."""
    changed: Any = copy.deepcopy(content)
    at = changed
    for key in path[:-1]:
        at = at[key]
    if not path:
        return odd
    at[path[-1]] = odd
    return changed
