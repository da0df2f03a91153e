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


def odd_json(content: dict[str, Any], random: np.random.Generator) -> Any:
    """JSON with something odd in it: a value, a number beside the right one, an entry lost, doubled or of elsewhere."""
    paths = list(places(content))
    path = paths[int(random.integers(len(paths)))]
    value = at(content, path)
    match int(random.integers(4)):
        case 0 if isinstance(value, int | float) and not isinstance(value, bool):
            near = (value + 1, value - 1, -value, 2 * value, 0, value + 0.5, value * 1000)
            return put(content, path, near[int(random.integers(len(near)))])
        case 1 if isinstance(value, dict | list) and value:
            return put(content, path, _without(value, int(random.integers(len(value)))))
        case 2 if isinstance(value, list) and value:
            number = int(random.integers(len(value)))
            return put(content, path, [*value[: number + 1], *value[number:]])
        case 3:
            return put(content, path, at(content, paths[int(random.integers(len(paths)))]))
    return put(content, path, ODD[int(random.integers(len(ODD)))])


def at(content: Any, path: tuple[Any, ...]) -> Any:
    """What stands in a place of JSON."""
    for key in path:
        content = content[key]
    return content


def _without(value: dict[str, Any] | list[Any], number: int) -> Any:
    entries = list(value.items() if isinstance(value, dict) else value)
    del entries[number]
    return dict(entries) if isinstance(value, dict) else entries
