"""The sound of a plan as a WAV file that is read while it is being made."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import numpy as np

from musex.audio.song import Samples, to_int16

SAMPLE_BYTES = 2
HEADER_BYTES = 44
MOST_BYTES = 2**32 - 1 - HEADER_BYTES  # that a WAV's header can count
CHUNK_BYTES = 1 << 18  # sent at a time
POLL_SECONDS = 0.004  # between two looks at whether more has been made


class SupersededError(Exception):
    """What is being made is no longer wanted."""


class Sound:
    """16 bits a sample, in a file of its own; its length is known before the first sample is.

    Attributes:
        frames: samples of each channel.
        failed: why there will be no more of it; empty while all is well.
    """

    def __init__(self, path: Path, *, frames: int, channels: int, sample_rate: int) -> None:
        self.path, self.frames, self.channels, self.sample_rate = path, frames, channels, sample_rate
        self.made = 0  # bytes of samples
        self.failed = ""
        path.touch(mode=0o600)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return HEADER_BYTES + self.frames * self.channels * SAMPLE_BYTES

    @property
    def whole(self) -> bool:
        return HEADER_BYTES + self.made >= self.size

    @property
    def seconds_made(self) -> float:
        return self.made / (self.channels * SAMPLE_BYTES * self.sample_rate)

    @property
    def header(self) -> bytes:
        """RIFF's, with the length that the sound will have."""
        width, data = self.channels * SAMPLE_BYTES, self.size - HEADER_BYTES
        form = struct.pack("<HHIIHH", 1, self.channels, self.sample_rate, self.sample_rate * width, width, 16)
        return (
            b"RIFF"
            + struct.pack("<I", 36 + data)
            + b"WAVEfmt "
            + struct.pack("<I", 16)
            + form
            + b"data"
            + (struct.pack("<I", data))
        )

    def fill(self, blocks: Iterable[Samples], *, wanted: Callable[[], bool] = lambda: True) -> None:
        """Write blocks (frames, channels) as they come; raises SupersededError once nobody wants them."""
        with open(self.path, "wb", buffering=0) as file:
            for block in blocks:
                if not wanted():
                    self.failed = "it is no longer wanted"
                    raise SupersededError
                content = np.ascontiguousarray(to_int16(block)).tobytes()
                file.write(content)
                self.made += len(content)

    def fill_apart(self, blocks: Iterable[Samples], *, wanted: Callable[[], bool]) -> None:
        """The same in a thread of its own."""

        def fill() -> None:
            try:
                self.fill(blocks, wanted=wanted)
            except (SupersededError, OSError) as error:
                self.failed = self.failed or str(error)

        threading.Thread(target=fill, daemon=True).start()

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Bytes [start, stop) of the file, each as soon as it is made; silence once there will be no more of it."""
        if start < HEADER_BYTES:
            yield self.header[start : min(stop, HEADER_BYTES)]
            start = HEADER_BYTES
        with open(self.path, "rb", buffering=0) as file:
            while start < stop:
                ready = min(stop, HEADER_BYTES + self.made, start + CHUNK_BYTES)
                if ready <= start:
                    if self.failed:  # who listens goes over to another sound; until then all is as long as was said
                        content = bytes(min(stop - start, CHUNK_BYTES))
                        start += len(content)
                        yield content
                        await asyncio.sleep(0)  # so that who has gone is noticed
                        continue
                    await asyncio.sleep(POLL_SECONDS)
                    continue
                file.seek(start - HEADER_BYTES)
                content = file.read(ready - start)
                start += len(content)
                yield content
                await asyncio.sleep(0)  # so that who has gone is noticed
