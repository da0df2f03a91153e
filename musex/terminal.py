"""What the command line shows of `extend` and `render`: progress, a summary, the seams."""

import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import typer

from musex.config import GENERATIVE
from musex.errors import MusexError
from musex.progress import OnProgress
from musex.signals import undoing
from musex.wording import format_count, format_time

OPTIONS = {"song_path": "song"}  # of arguments that are called otherwise
SHOW_CURSOR = b"\r\x1b[2K\x1b[?25h"  # in a line that is empty


def tell_everything() -> None:
    """Show on stderr what the library logs of its decisions, not its warnings alone."""
    logger = logging.getLogger("musex")
    logger.setLevel(logging.INFO)
    for handler in logger.handlers:
        handler.setLevel(logging.INFO)


def tell_error(message: str) -> int:
    """One line on stderr; returns the exit code of an error."""
    typer.echo(f"musex: error: {in_options(one_line(message))}", err=True)
    return 1


def tell_result(text: str) -> None:
    """Print what a command was asked for; raises MusexError where there is no stdout to print it on."""
    check_stdout()
    typer.echo(text)


def check_stdout() -> None:
    """Refuse to print where nobody could read it; raises MusexError."""
    if sys.stdout is None:
        raise MusexError("stdout is closed: there is nowhere to print what was asked for; redirect it to a file")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is there, and a terminal."""
    return stream is not None and stream.isatty()


def in_options(message: str) -> str:
    """A message of the library, which speaks of arguments, such as `song_path=`, in the command line's options."""

    def option(argument: re.Match[str]) -> str:
        name, value = OPTIONS.get(argument[1], argument[1]).replace("_", "-"), argument[2].strip("'")
        return f"--{name}" + f" {value}" * (value not in ("", "True"))

    return re.sub(r"`(\w+)=([^`]*)`", option, message)


def one_line(message: str) -> str:
    return " ".join(message.split())


@contextmanager
def show_progress(quiet: bool, seconds: float | None = None) -> Iterator[OnProgress | None]:
    """A bar with the time left on stderr, if that is a terminal; with the speed where `seconds` of music are made."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    speed = TextColumn("{task.fields[speed]}")
    progress = Progress(*columns, speed, console=Console(stderr=True), transient=True)
    with undoing(partial(os.write, 2, SHOW_CURSOR)), progress:
        task, current, began = progress.add_task("", total=1.0, speed=""), "", 0.0

        def on_progress(stage: str, done: float) -> None:
            nonlocal current, began
            if stage != current:
                current, began = stage, time.monotonic()
                progress.reset(task, description=stage, total=1.0, speed="")
            progress.update(task, completed=done)
            if seconds is not None and done > 0.0:
                progress.update(task, speed=tell_speed(done * seconds, time.monotonic() - began))

        yield on_progress


def tell_speed(seconds: float, taken: float) -> str:
    """How fast `seconds` of music were made."""
    return f"{seconds / max(taken, 1e-3):.0f} × real time"


def show_tables(tables: Iterable[Any]) -> None:
    """Tables one after another; wide where there is no terminal to fit."""
    from rich.console import Console

    console = Console(width=None if is_terminal(sys.stdout) else 240, markup=False)
    for table in tables:
        console.print(table)


def summarise(plan: Any, path: Path, taken: float) -> None:
    """One line about what was made."""
    from musex.checks import seams_beyond

    generative = plan.model["name"] in GENERATIVE
    made_of = format_count(plan.predictions, "prediction") if generative else format_count(len(plan.seams), "seam")
    if plan.tries > 1:
        made_of += f", {len(seams_beyond(plan)) or 'none'} beyond the bounds in the best of {plan.tries} plans"
    typer.echo(
        f"{path}: {format_time(plan.seconds)} ({made_of}), made in {taken:.1f} s, {tell_speed(plan.seconds, taken)}"
    )


def show_seams(plan: Any) -> None:
    """A row for each seam: when it is heard, and its measures beside their bounds; what exceeds them in red."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from musex.checks import MEASURES, exceeded, format_measure, seams_beyond

    table = Table("seam", "at", "from", "to", box=None, title_justify="left")
    count = format_count(len(plan.seams), "seam")
    table.title = f"{count}, {len(seams_beyond(plan))} beyond the bounds"
    for measure in MEASURES.values():
        bound = f" ({measure.bound})" if measure.bound else ""
        table.add_column(f"{measure.title}{measure.unit}{bound}", justify="right")
    rate = plan.song["sample_rate"]
    for number, seam in enumerate(plan.seams, start=1):
        beyond = exceeded(seam)
        cells = [
            Text(format_measure(seam, name) + "!" * (name in beyond), style="red" if name in beyond else "")
            for name in MEASURES
        ]
        times = (format_time(place / rate) for place in (seam.at, seam.leave, seam.enter))
        table.add_row(str(number), *times, *cells)
    Console(width=None if is_terminal(sys.stdout) else 120, markup=False).print(table)
