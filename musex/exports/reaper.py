"""Cut lists as Reaper projects: one track of items that overlap by their crossfades, and markers.

Seconds have nine decimals, which is finer than a sample at any rate. An item's fade is written as its own and as the
automatic one of its overlap, so that it is the same whether automatic crossfades are on or off.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from musex.errors import MusexError
from musex.exports.cuts import CutList

LINEAR, FAST_START = 0, 1  # shapes of fades: for sides that are alike, whose amplitudes add up, and for others
ALIKE = 0.5  # least correlation of sides that are
SOURCES = {".mp3": "MP3", ".flac": "FLAC", ".ogg": "VORBIS", ".oga": "VORBIS", ".opus": "OPUS", ".wv": "WAVPACK"}
WAVES = (".wav", ".aiff", ".aif", ".aifc", ".caf", ".w64")


@dataclass(frozen=True)
class _Item:
    """A stretch of the song on the track; samples."""

    at: int
    frames: int
    start: int
    fade_in: int
    fade_out: int
    shapes: tuple[int, int] = (FAST_START, FAST_START)


def to_reaper(cuts: CutList) -> str:
    """A Reaper project; raises MusexError for a file that it cannot name."""
    rate = cuts.sample_rate
    lines = [
        '<REAPER_PROJECT 0.1 "6.0" 0',
        f"  SAMPLERATE {rate} 1 0",
        f"  TEMPO {cuts.tempo or 120.0:.6f} {cuts.metre or 4} 4",
    ]
    if cuts.closing:
        lines += [f"  SELECTION 0 {_seconds(cuts.frames, rate)}", "  LOOP 1"]
    for number, beat in enumerate(cuts.beats, start=1):
        lines.append(f"  MARKER {number} {_seconds(beat.at, rate)} {quote(beat.label)} 0")
    lines.append(f"  MARKER {len(cuts.beats) + 1} {_seconds(cuts.frames, rate)} =END 0")
    gain = 10.0 ** (cuts.gain_db / 20.0)
    lines += ["  <TRACK", f"    NAME {quote(cuts.title)}", f"    VOLPAN {gain:.9f} 0 -1 -1 1"]
    lines += [f"    NCHAN {max(2, cuts.channels + cuts.channels % 2)}"]
    for number, item in enumerate(_items(cuts), start=1):
        lines += _item_lines(item, cuts, number)
    return "\n".join([*lines, "  >", ">", ""])


def _items(cuts: CutList) -> Iterator[_Item]:
    """An item for each clip; a loop has the two halves of its closing crossfade at its ends, too."""
    clips, half = cuts.clips, cuts.closing.fade // 2 if cuts.closing else 0
    shapes = [_shape(clip.correlation) for clip in clips]
    closing = _shape(cuts.closing.correlation) if cuts.closing else FAST_START
    if cuts.closing and half:
        yield _Item(0, half, cuts.closing.leave, 0, half, (closing, closing))
    for number, clip in enumerate(clips):
        first, last = number == 0, number == len(clips) - 1
        fade_in = (cuts.fades[0] or half) if first else 2 * clip.lead
        fade_out = (max(0, cuts.fades[1] - cuts.rest) or half) if last else 2 * clip.tail
        yield _Item(
            at=clip.at - clip.lead,
            frames=clip.frames + clip.lead + clip.tail,
            start=clip.start - clip.lead,
            fade_in=fade_in,
            fade_out=fade_out,
            shapes=(closing if first else shapes[number], closing if last else shapes[number + 1]),
        )
    if cuts.closing and half:
        yield _Item(cuts.frames - half, half, cuts.closing.enter - half, half, 0, (closing, closing))


def _shape(correlation: float) -> int:
    return LINEAR if correlation >= ALIKE else FAST_START


def _item_lines(item: _Item, cuts: CutList, number: int) -> list[str]:
    rate = cuts.sample_rate
    fade_in, fade_out = _seconds(item.fade_in, rate), _seconds(item.fade_out, rate)
    return [
        "    <ITEM",
        f"      POSITION {_seconds(item.at, rate)}",
        f"      LENGTH {_seconds(item.frames, rate)}",
        "      LOOP 0",
        f"      FADEIN {item.shapes[0]} {fade_in} {fade_in} {item.shapes[0]} 0 0 0",
        f"      FADEOUT {item.shapes[1]} {fade_out} {fade_out} {item.shapes[1]} 0 0 0",
        f"      NAME {quote(f'{cuts.title} {number}')}",
        f"      SOFFS {_seconds(item.start, rate)}",
        "      PLAYRATE 1 1 0 -1 0 0.0025",
        f"      <SOURCE {source_kind(cuts.path)}",
        f"        FILE {quote(str(cuts.path))}",
        "      >",
        "    >",
    ]


def _seconds(frames: int, sample_rate: int) -> str:
    return f"{frames / sample_rate:.9f}"


def source_kind(path: Path) -> str:
    """What Reaper calls the reader of such a file."""
    suffix = path.suffix.lower()
    return "WAVE" if suffix in WAVES else SOURCES.get(suffix, "VIDEO")


def quote(text: str) -> str:
    """A text as projects have it: in the first kind of quotes that it does not hold; MusexError where none is left."""
    mark = next((mark for mark in ('"', "'", "`") if mark not in text), None)
    if mark is None or "\n" in text or "\r" in text:
        raise MusexError(f"a Reaper project cannot name {text!r}: rename it without line breaks and kinds of quotes")
    return f"{mark}{text}{mark}"
