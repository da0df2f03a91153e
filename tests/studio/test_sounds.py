"""Sounds are WAV files that can be read while they are made."""

import asyncio
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.studio.sounds import HEADER_BYTES, Sound, SupersededError


def read(sound: Sound, start: int = 0, stop: int | None = None) -> bytes:
    async def collect() -> bytes:
        parts = [part async for part in sound.read(start, sound.size if stop is None else stop)]
        return b"".join(parts)

    return asyncio.run(collect())


def test_a_sound_is_a_wav_of_what_was_made(tmp_path: Path, samples: np.ndarray) -> None:
    sound = Sound(tmp_path / "1", frames=len(samples), channels=2, sample_rate=44_100)
    sound.fill([samples[:1000], samples[1000:]])
    heard, rate = soundfile.read(io.BytesIO(read(sound)), dtype="float32")
    assert rate == 44_100
    assert np.abs(heard - samples).max() <= 0.5 / 2**15
    assert sound.whole
    assert sound.seconds_made == pytest.approx(6.0)
    assert read(sound, 20, HEADER_BYTES + 8) == read(sound)[20 : HEADER_BYTES + 8]


def test_who_reads_waits_for_what_is_still_to_be_made(tmp_path: Path, samples: np.ndarray) -> None:
    sound = Sound(tmp_path / "1", frames=len(samples), channels=2, sample_rate=44_100)
    go_on = threading.Event()

    def blocks() -> Iterator[np.ndarray]:
        yield samples[:44_100]
        go_on.wait(10)
        yield samples[44_100:]

    sound.fill_apart(blocks(), wanted=lambda: True)
    first = read(sound, 0, HEADER_BYTES + 44_100 * 4)
    assert len(first) == HEADER_BYTES + 44_100 * 4
    assert not sound.whole
    threading.Timer(0.1, go_on.set).start()
    assert len(read(sound)) == sound.size


def test_what_is_no_longer_wanted_is_silent(tmp_path: Path, samples: np.ndarray) -> None:
    sound = Sound(tmp_path / "1", frames=len(samples), channels=2, sample_rate=44_100)
    wanted = iter([True, False])
    with pytest.raises(SupersededError):
        sound.fill([samples[:100], samples[100:]], wanted=lambda: next(wanted))
    assert len(read(sound)) == sound.size
    assert not any(read(sound, HEADER_BYTES + 400))


@pytest.mark.parametrize("failed", [False, True])
def test_others_come_to_their_turn_while_a_sound_is_read(failed: bool, tmp_path: Path) -> None:
    """What is sent to who has gone would else be sent to the end, and each part of it be complained of."""
    sound = Sound(tmp_path / "1", frames=2_000_000, channels=2, sample_rate=44_100)
    if failed:
        sound.failed = "it is no longer wanted"
    else:
        sound.fill([np.zeros((2_000_000, 2), np.float32)])

    heard = list[int]()

    async def listen() -> None:
        async for part in sound.read(0, sound.size):
            heard.append(len(part))

    async def leave() -> int:
        listener = asyncio.create_task(listen())
        await asyncio.sleep(0)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        return sum(heard)

    assert asyncio.run(leave()) < sound.size / 4
