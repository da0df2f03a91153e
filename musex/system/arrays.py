"""Arrays kept in files: written whole or not at all, and read, or known to be damaged."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from musex.system.side_files import written_whole

Array = np.ndarray
logger = logging.getLogger(__name__)


def save_array(array: Array, path: Path) -> None:
    """Write an array as .npy; raises MusexError if it cannot be, and what was there stays."""
    with written_whole(path, force=True) as temporary:
        np.save(temporary, array)


def save_arrays(arrays: Mapping[str, Array], path: Path) -> None:
    """Write arrays by their names, none of them "file", as .npz; raises as `save_array`."""
    by_name: dict[str, Any] = dict(arrays)
    with written_whole(path, force=True) as temporary:
        np.savez(temporary, **by_name)


def load_array(path: Path, *, mapped: bool = False) -> Array | None:
    """An array of a .npy file, or mapped from it; None where there is no such file, or a damaged one, which is told."""
    content: Any = _load(path, mapped=mapped)
    return content if isinstance(content, np.ndarray) else None


def load_arrays(path: Path) -> dict[str, Array] | None:
    """The arrays of a .npz file by their names; None as `load_array`."""
    content: Any = _load(path)
    return content if isinstance(content, dict) else None


def _load(path: Path, *, mapped: bool = False) -> Any:
    try:
        if mapped:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            return content if isinstance(content, np.ndarray) else dict(content.items())
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - NumPy parses a header as Python: a damaged one ends in anything
        logger.warning(f"{path} is damaged: it is made anew ({' '.join(str(error).split())})")
        return None
