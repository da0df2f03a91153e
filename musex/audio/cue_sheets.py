"""Cue sheets: which tracks a file of sound holds, as text beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from musex.system.wording import plain_line

FRAMES_PER_SECOND = 75  # of a compact disc
MOST_TRACKS = 99
KINDS = {".mp3": "MP3", ".aiff": "AIFF", ".aif": "AIFF"}  # all others are called WAVE


@dataclass(frozen=True)
class Track:
    """A track: the second at which it begins, and what it is called."""

    at: float
    title: str
    performer: str = ""


def compose_cue(file_name: str, tracks: Sequence[Track]) -> str:
    """The cue sheet of a file; of more than 99 tracks the first 99."""
    suffix = file_name[file_name.rfind(".") :].lower() if "." in file_name else ""
    lines = [f'FILE "{_quoted(file_name)}" {KINDS.get(suffix, "WAVE")}']
    for number, track in enumerate(tracks[:MOST_TRACKS], start=1):
        minutes, frames = divmod(round(track.at * FRAMES_PER_SECOND), 60 * FRAMES_PER_SECOND)
        seconds, frames = divmod(frames, FRAMES_PER_SECOND)
        lines += [f"  TRACK {number:02} AUDIO", f'    TITLE "{_quoted(track.title)}"']
        lines += [f'    PERFORMER "{_quoted(track.performer)}"'] if track.performer else []
        lines.append(f"    INDEX 01 {minutes:02}:{seconds:02}:{frames:02}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return plain_line(text).replace('"', "'")
