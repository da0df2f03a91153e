"""The one family of errors that musex raises; the command line turns each into a line on stderr and exit code 1."""

from collections.abc import Iterable
from difflib import get_close_matches


class MusexError(Exception):
    """Anything that musex refuses or fails at, with a message for its user: the value, the limit, the cure."""


class AudioError(MusexError):
    """A song cannot be read, used or written."""


class ModelError(MusexError):
    """A model file is missing, damaged or of another version."""


class DurationError(MusexError):
    """A requested duration is not a number, out of range or not reachable with the song."""


class DatasetError(MusexError):
    """A folder of music cannot be trained or evaluated on."""


def one_line(error: BaseException) -> str:
    """What an error says, on one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def suggest(word: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" where something known is nearly what was written, else nothing."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {nearest[0]}?" if nearest else ""
