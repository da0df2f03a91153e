"""A long song in a temporary file, mapped: what is let go of takes no memory until it is looked at again."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from musex.errors import MusexError
from musex.system.arrays import Array


class Spool:
    """Blocks of float32 samples, (frames, channels) or (frames,), written one after another to a temporary file."""

    def __init__(self) -> None:
        """Make the file, which goes with the last array that shows it. Raises MusexError without a place for it."""
        with _told():
            self.file = tempfile.TemporaryFile(prefix="musex-", buffering=0)  # noqa: SIM115 (`finish` closes it)
        self.shape: tuple[int, ...] = ()

    def append(self, block: Array) -> None:
        """Write a block down. Raises MusexError if there is no place for it."""
        rest = np.ascontiguousarray(block, np.float32).data.cast("B")
        with _told():
            while rest:
                rest = rest[self.file.write(rest) :]
        self.shape = (sum(self.shape[:1]) + len(block), *block.shape[1:])

    def finish(self) -> Array:
        """All blocks as one array, float32, that cannot be written to."""
        with self.file:
            mapped = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, np.float32).reshape(self.shape)


@contextmanager
def _told() -> Iterator[None]:
    """Tell that a disk is full as what it is: the song can be read, its samples have no place."""
    try:
        yield
    except OSError as error:
        raise MusexError(
            f"the samples of a long song need a temporary file in {tempfile.gettempdir()}: {error.strerror}; set "
            "TMPDIR to a folder with more room"
        ) from error


def let_go(samples: Array) -> None:
    """Give back the memory of a spool's samples; nothing for others. They are there again when looked at."""
    owner: Any = samples
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(owner, "madvise"):
        owner.madvise(mmap.MADV_DONTNEED)


def in_blocks(samples: Array, frames: int) -> Iterator[Array]:
    """Samples by so many frames at a time, each let go of after it."""
    for start in range(0, len(samples), frames):
        yield samples[start : start + frames]
        let_go(samples)
