"""Dataclasses whose fields may be asked for by name."""

from dataclasses import fields
from typing import Any


class Named:
    """A dataclass whose fields may be asked for as those of a dict, too: `song["path"]` is `song.path`."""

    def __getitem__(self, name: str) -> Any:
        if name not in {field.name for field in fields(self)}:  # type: ignore[arg-type] # of a dataclass
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """The field of that name, or `default` if there is none."""
        try:
            return self[name]
        except KeyError:
            return default
