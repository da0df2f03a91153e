"""Samples in a temporary file."""

import mmap
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soxr

from musex.analysis import features
from musex.analysis.features import mix_down, to_mono
from musex.audio.song import Song, check_usable
from musex.config import FEATURES
from musex.errors import MusexError
from musex.system.spools import Spool, in_blocks, let_go

STATM = Path("/proc/self/statm")


def test_a_spool_holds_what_was_written() -> None:
    samples = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
    spool = Spool()
    for block in in_blocks(samples, 300):
        spool.append(block)
    held = spool.finish()
    np.testing.assert_array_equal(held, samples)
    let_go(held[10:])
    np.testing.assert_array_equal(held, samples)
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 0.0


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
def test_a_place_that_is_full_is_told() -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        spool = Spool()
        with pytest.raises(MusexError, match=r"need a temporary file in .*: File too large; set TMPDIR to"):
            spool.append(np.zeros((1 << 20, 2), np.float32))
        spool.file.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.skipif(not STATM.exists(), reason="only Linux tells what is held")
def test_what_is_let_go_of_takes_no_memory() -> None:
    minute = np.random.default_rng(0).standard_normal((60 * 44_100, 2)).astype(np.float32)
    spool = Spool()
    for _ in range(20):
        spool.append(minute)
    samples = spool.finish()
    before = held_bytes()
    check_usable(Song(samples, 44_100), "a long song")
    assert held_bytes() - before < samples.nbytes / 8
    assert float(samples[::1000].sum()) != 0.0
    assert held_bytes() - before > samples.nbytes / 2  # or this would prove nothing
    let_go(samples)
    assert held_bytes() - before < samples.nbytes / 8


def held_bytes() -> int:
    return int(STATM.read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.parametrize("sample_rate", [22_050, 44_100])
def test_a_long_song_is_mixed_as_a_short_one_is(sample_rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).standard_normal((150 * sample_rate, 2)).astype(np.float32)
    samples[:, 1] = 0.2 * samples[:, 1] - samples[:, 0]
    at_once, usual = mix_down(samples), to_mono(samples, sample_rate)
    if sample_rate != FEATURES.sample_rate:
        at_once = soxr.resample(at_once, sample_rate, FEATURES.sample_rate, quality="HQ")
    monkeypatch.setattr(features, "LONG_STEPS", 100)
    spooled = to_mono(samples, sample_rate)
    assert usual.flags.writeable
    assert not spooled.flags.writeable  # it lies in a file
    for mono in (usual, spooled):
        np.testing.assert_array_equal(mono, at_once)
