"""Tracker modules made for a test: a four-channel MOD file whose score is known."""

from pathlib import Path

import numpy as np

PERIODS = (428, 381, 339, 320, 285, 254, 226, 214)  # C-2, D-2 …: Amiga periods


def write_module(path: Path, patterns: list[int], *, seed: int = 0) -> Path:
    """A module that plays `patterns` in this order: 64 rows of 120 ms each, a bass, a melody and a drum.

    Patterns differ in their notes; the drum plays the same in all of them.
    """
    random = np.random.default_rng(seed)
    length = 2048
    time = np.arange(length)
    decay = np.exp(-time / 500.0)
    sounds = [
        np.sign(np.sin(2 * np.pi * time / 32)) * decay,
        np.sin(2 * np.pi * time / 16) * decay,
        random.standard_normal(length) * np.exp(-time / 200.0) / 3.0,
    ]
    header = b"made for a test".ljust(20, b"\0")
    for number in range(31):
        words = length // 2 if number < len(sounds) else 0
        header += bytes(22) + words.to_bytes(2, "big") + bytes([0, 48 if words else 0, 0, 0, 0, 1])
    header += bytes([len(patterns), 127]) + bytes(patterns).ljust(128, b"\0") + b"M.K."
    content = b""
    for _ in range(max(patterns) + 1):
        rows = np.zeros((64, 4, 4), np.uint8)
        for row in range(64):
            notes: list[tuple[int, int] | None] = [None, None, None, None]
            if row % 4 == 0:
                notes[0] = (1, int(random.choice(PERIODS)))
            if random.random() < 0.5:
                notes[1] = (2, int(random.choice(PERIODS)))
            if row % 16 in (0, 4, 10, 12):
                notes[2] = (3, PERIODS[row % 16 // 4])
            for channel, note in enumerate(notes):
                if note:
                    sample, period = note
                    rows[row, channel] = (sample & 0xF0) | period >> 8, period & 0xFF, (sample & 0x0F) << 4, 0
        content += rows.tobytes()
    samples = b"".join((np.clip(sound, -1, 1) * 127).astype(np.int8).tobytes() for sound in sounds)
    path.write_bytes(header + content + samples)
    return path
