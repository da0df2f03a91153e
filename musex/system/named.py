"""Dataclasses whose fields may be asked for by name."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any


class Named(Mapping[str, Any]):
    """A dataclass that may be read as a mapping of its fields, too: `song["path"]` is `song.path`."""

    def __getitem__(self, name: str) -> Any:
        if name not in iter(self):
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))  # type: ignore[arg-type] # of a dataclass

    def __len__(self) -> int:
        return sum(1 for _ in self)
