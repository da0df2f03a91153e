"""The one family of errors that musex raises; the command line turns each into a line on stderr and exit code 1."""


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
