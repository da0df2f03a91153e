"""How whoever waits is told of progress."""

from collections.abc import Callable

OnProgress = Callable[[str, float], None]  # what is being done, and how much of it is done, 0 to 1
OnShare = Callable[[float], None]  # how much is done, 0 to 1


def ignore_progress(stage: str, done: float) -> None:
    """Called where nobody asked for progress."""
