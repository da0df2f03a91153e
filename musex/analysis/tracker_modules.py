"""Tracker modules: music whose score is known. libopenmpt plays them and tells which row of which pattern sounds.

Only evaluation and training need it: `apt install libopenmpt0` or its like; nothing is compiled.
"""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from musex.errors import AudioError, MusexError
from musex.system.arrays import Array

SUFFIXES = (".mod", ".xm", ".it", ".s3m")
BLOCK = 128  # frames between two looks at the row: 3 ms
LONGEST_SECONDS = 900.0  # of a module that is played
BEAT_ROWS = 4  # rows of a beat, as is usual
BARS = (16, 12)  # rows of a bar, the first of which all patterns are multiples is taken
CONSTANT = 0.95  # share of the rows that lie in whole bars where the metre counts as constant
SAME_PLACE = 0.07  # seconds, the tolerance of `mir_eval.beat`: what lies farther apart is another place
SAME_ROW = 0.35  # of a row: what lies farther apart is another place, too; a first head had half a row (models/log.md)


@cache
def _library() -> Any:
    """libopenmpt, with the signatures of what is used of it; raises MusexError where it is missing."""
    name = ctypes.util.find_library("openmpt")
    if name is None:
        raise MusexError("libopenmpt is missing, which plays tracker modules: install libopenmpt0 or its like")
    library = ctypes.CDLL(name)
    library.openmpt_module_create_from_memory2.restype = ctypes.c_void_p
    library.openmpt_module_create_from_memory2.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_void_p] * 7]
    library.openmpt_module_destroy.argtypes = [ctypes.c_void_p]
    library.openmpt_module_read_interleaved_float_stereo.restype = ctypes.c_size_t
    library.openmpt_module_read_interleaved_float_stereo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ]
    library.openmpt_module_ctl_set_floatingpoint.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double]
    for what in ("order", "pattern", "row"):
        function = getattr(library, f"openmpt_module_get_current_{what}")
        function.restype, function.argtypes = ctypes.c_int32, [ctypes.c_void_p]
    return library


@dataclass(frozen=True, eq=False)
class Score:
    """What is played when: one entry for each row that sounds, in order.

    Attributes:
        times: float64 (rows,), seconds at which each row begins.
        patterns: int64 (rows,), the pattern it belongs to.
        rows: int64 (rows,), its place in the pattern.
        seconds: how long all of it lasts.
    """

    times: Array
    patterns: Array
    rows: Array
    seconds: float

    @cached_property
    def bar_rows(self) -> int:
        """Rows of a bar; 0 where the metre is not constant."""
        begins = np.flatnonzero(np.diff(self.patterns * 4096 - self.rows, prepend=-1) != 0)
        begins = begins[self.rows[begins] == 0]
        lengths = np.diff(np.append(begins, len(self.rows)))
        for rows in BARS:
            whole = lengths[:-1] % rows == 0
            if len(whole) and np.sum(lengths[:-1] * whole) >= CONSTANT * np.sum(lengths[:-1]):
                return rows
        return 0

    @cached_property
    def written(self) -> set[tuple[int, int, int, int]]:
        """Every (pattern, row, next pattern, next row) that is played."""
        tokens = np.stack([self.patterns[:-1], self.rows[:-1], self.patterns[1:], self.rows[1:]], axis=1)
        return {(int(a), int(b), int(c), int(d)) for a, b, c, d in tokens}

    @cached_property
    def row_seconds(self) -> float:
        """How long a row usually lasts."""
        return float(np.median(np.diff(self.times)))

    def place(self, seconds: Array) -> tuple[Array, Array]:
        """The row that sounds at each time, and how many seconds it has sounded."""
        row = np.clip(np.searchsorted(self.times, seconds, side="right") - 1, 0, len(self.times) - 1)
        return row, seconds - self.times[row]

    def judge(self, leaves: Array, enters: Array) -> dict[str, Array]:
        """Whether jumps go on at the same beat, place of the bar, row of the pattern, and as the composer wrote it.

        Args:
            leaves: seconds of the song at which they leave, (jumps,).
            enters: seconds at which they go on.

        Returns:
            {"beat", "bar", "row", "written": bool (jumps,)}.
        """
        tolerance = min(SAME_PLACE, SAME_ROW * self.row_seconds)
        before, since = self.place(np.asarray(leaves, np.float64))
        after, into = self.place(np.asarray(enters, np.float64))
        late = into - since  # seconds by which the entered side is ahead within its row
        step = np.rint(late / self.row_seconds).astype(np.int64)  # near a row's border the other row is meant
        together = np.abs(late - step * self.row_seconds) <= tolerance
        after = np.clip(after + step, 0, len(self.rows) - 1)
        distance = self.rows[after] - self.rows[before]
        bar = self.bar_rows or BARS[0]
        # Written is also what the composer plays in the row that sounds, and from it on in the next.
        following = np.minimum(after + 1, len(self.rows) - 1)
        pairs = zip(
            self.patterns[before], self.rows[before], self.patterns[following], self.rows[following], strict=True
        )
        same = (self.patterns[before] == self.patterns[after]) & (distance == 0)
        entered = zip(
            self.patterns[np.maximum(before - 1, 0)],
            self.rows[np.maximum(before - 1, 0)],
            self.patterns[after],
            self.rows[after],
            strict=True,
        )
        goes = np.array([tuple(map(int, pair)) in self.written for pair in pairs], bool)
        comes = np.array([tuple(map(int, pair)) in self.written for pair in entered], bool)
        return {
            "beat": together & (distance % BEAT_ROWS == 0),
            "bar": together & (distance % bar == 0),
            "row": together & (distance == 0),
            "written": together & (same | goes | comes),
        }


def read_module(
    path: Path, sample_rate: int = 44_100, longest: float = LONGEST_SECONDS, *, tempo: float = 1.0, pitch: float = 1.0
) -> tuple[Array, Score]:
    """Play a module once: its sound, float32 (frames, 2), and its score.

    `tempo` and `pitch` are factors of what is written.

    Raises:
        AudioError: it is no module, or one without an end.
    """
    library = _library()
    content = path.read_bytes()
    module = library.openmpt_module_create_from_memory2(content, len(content), *[None] * 7)
    if not module:
        raise AudioError(f"{path} is no tracker module that libopenmpt can play")
    for name, factor in ((b"play.tempo_factor", tempo), (b"play.pitch_factor", pitch)):
        if factor != 1.0:
            library.openmpt_module_ctl_set_floatingpoint(module, name, factor)
    block = np.zeros((BLOCK, 2), np.float32)
    pointer = block.ctypes.data_as(ctypes.c_void_p)
    pieces: list[Array] = []
    looks: list[tuple[int, int, int]] = []
    try:
        while count := library.openmpt_module_read_interleaved_float_stereo(module, sample_rate, BLOCK, pointer):
            pieces.append(block[:count].copy())
            looks.append(
                (
                    library.openmpt_module_get_current_order(module),
                    library.openmpt_module_get_current_pattern(module),
                    library.openmpt_module_get_current_row(module),
                )
            )
            if len(pieces) * BLOCK > longest * sample_rate:
                raise AudioError(f"{path} lasts longer than {longest:g} s")
    finally:
        library.openmpt_module_destroy(module)
    if not pieces:
        raise AudioError(f"{path} holds no music")
    places = np.array(looks)
    begins = np.flatnonzero(np.any(np.diff(places, axis=0, prepend=-1) != 0, axis=1))
    samples = np.concatenate(pieces)
    score = Score(begins * BLOCK / sample_rate, places[begins, 1], places[begins, 2], len(samples) / sample_rate)
    return samples, score
