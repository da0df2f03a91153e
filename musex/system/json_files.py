"""JSON that came from outside: whatever could not be used is refused where it enters."""

import json
import math
import os
import types
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST_NUMBER = 1e300  # with room for sums that are still finite
LARGEST_BYTES = 2**28  # of a file that is read


def read_json_text(path: Path) -> str:
    """The text of a regular file; raises OSError or ValueError for any other, and for one that is too large."""
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("it is not a regular file")
    if size > LARGEST_BYTES:
        raise ValueError(f"it has {size} bytes, of {LARGEST_BYTES} at most")
    return path.read_text(encoding="utf-8")


def parse_json(text: str) -> Any:
    """What a text says, as `json.loads`; raises ValueError also for numbers and words that cannot be used."""
    try:
        content = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            raise ValueError("it holds a number that is too large")
        elif isinstance(value, str):
            if "\0" in value:
                raise ValueError("it holds a word with a null character")
            os.fsencode(value)  # which half of a surrogate pair is not for
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number")


def check_types(instance: Any) -> None:
    """Refuse a dataclass whose fields hold what they are not declared to hold; raises TypeError."""
    hints = get_type_hints(type(instance))
    for field in fields(instance):
        value = getattr(instance, field.name)
        if not fits(value, hints[field.name]):
            raise TypeError(f"{field.name} cannot be {str(value)[:40]!r}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type; True and False are no numbers, and an integer is a float, too.

    Of a Literal only the type is asked: which words are known is for the dataclass to say, in a better sentence.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(word) for word in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    if hint in (int, float):
        known = type(value) is int or (hint is float and isinstance(value, float))
        return known and math.isfinite(value)
    return isinstance(value, origin or hint)
