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
from musex.system.progress import OnProgress
from musex.system.signals import undoing
from musex.system.wording import format_count, format_time

OPTIONS = {
    "song_path": "song",
    "hits": "hit",
    "keep_from": "jumps-from",
    "keep_to": "jumps-to",
}  # of arguments that are called otherwise
SHOW_CURSOR = b"\r\x1b[2K\x1b[?25h"  # in a line that is empty
LINE_UP = b"\r\x1b[2K\x1b[1A"  # from a line that is empty
SONGS_PER_SECOND = 4  # how often their lines are drawn, beside what is being computed
LONGEST_SONG_NAME = 40  # in a line of progress


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


@contextmanager
def show_songs(quiet: bool, count: int) -> Iterator["SongLines | None"]:
    """A line on stderr for each song that is being extended, and one for all of them; None if that is no terminal."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    name = TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(no_wrap=True, overflow="ellipsis", max_width=LONGEST_SONG_NAME),
    )
    columns = (name, TextColumn("{task.fields[stage]}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    progress = Progress(*columns, console=console, transient=True, refresh_per_second=SONGS_PER_SECOND)
    lines = SongLines(progress, count)
    with undoing(lambda: os.write(2, LINE_UP * lines.running + SHOW_CURSOR)), progress:
        yield lines


class SongLines:
    """How far each song is, and all of them together; rich estimates the time left."""

    def __init__(self, progress: Any, count: int) -> None:
        self._progress = progress
        self._left = count
        self._finished = 0
        self._lines: dict[Path, Any] = {}
        self._stages: dict[Path, str] = {}
        self._shares: dict[Path, float] = {}  # of each running song: how far it was in any of its stages
        self._all = progress.add_task("", total=count, stage="")
        self._count()

    @property
    def running(self) -> int:
        """How many songs have lines."""
        return len(self._lines)

    def report(self, song: Path, stage: str, done: float) -> None:
        """A song is so far in a stage."""
        if song not in self._lines:
            self._lines[song] = self._progress.add_task(song.name, total=1.0, stage=stage)
        line = self._lines[song]
        if stage != self._stages.get(song):
            self._stages[song] = stage
            self._progress.reset(line, total=1.0, stage=stage)
        self._progress.update(line, completed=done)
        self._shares[song] = max(done, self._shares.get(song, 0.0))
        self._count()

    def finish(self, song: Path) -> None:
        """A song is over; one that was never begun counts neither as done nor as left."""
        self._left -= 1
        if song in self._lines:
            self._finished += 1
            self._shares.pop(song)
            self._progress.remove_task(self._lines.pop(song))
        self._count()

    def _count(self) -> None:
        count = self._finished + self._left
        self._progress.update(
            self._all,
            description=f"{self._finished} of {format_count(count, 'song')}",
            total=count,
            completed=self._finished + sum(self._shares.values()),
        )


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
    from musex.seams.bounds import seams_beyond

    generative = plan.model.name in GENERATIVE
    made_of = format_count(plan.predictions, "prediction") if generative else format_count(len(plan.seams), "seam")
    if plan.turns:
        made_of += f", {format_count(len(plan.turns), 'turn')} of stems"
    if plan.settings.nearest and plan.settings.requested_seconds:
        made_of += f", nearest to {format_time(plan.settings.requested_seconds)} that ends a phrase"
    if plan.intro:
        made_of += f", loops from {format_time(plan.intro / plan.song.sample_rate)}"
    beyond = len(seams_beyond(plan))
    if plan.tries > 1:
        made_of += f", {beyond or 'none'} beyond the bounds in the best of {plan.tries} plans"
    elif beyond:  # of what was changed by hand, or is rendered again
        made_of += f", {beyond} beyond the bounds"
    typer.echo(
        f"{path}: {format_time(plan.seconds)} ({made_of}), made in {taken:.1f} s, {tell_speed(plan.seconds, taken)}"
    )


def show_seams(plan: Any, title: str = "") -> None:
    """A row for each seam: when it is heard, and its measures beside their bounds; what exceeds them in red."""
    from musex.seams.bounds import seams_beyond

    count = format_count(len(plan.seams), "seam")
    title = f"{title}{count}, {len(seams_beyond(plan))} beyond the bounds"
    list_seams(plan, [(str(number), seam) for number, seam in enumerate(plan.seams, start=1)], title)


def list_seams(plan: Any, seams: list[tuple[str, Any]], title: str, notes: tuple[str, list[str]] | None = None) -> None:
    """A row for each of some seams by what they are called, with a last column of notes under a heading."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from musex.cli.tables import add_measures, measure_cells
    from musex.seams.bounds import shown_measures

    table = Table("seam", "at", "from", "to", box=None, title_justify="left")
    table.title = Text(title, style="table.title")
    measures = shown_measures([seam for _, seam in seams])
    add_measures(table, measures)
    heading, told = notes or ("", [""] * len(seams))
    if notes:
        table.add_column(heading)
    rate = plan.song.sample_rate
    for (name, seam), note in zip(seams, told, strict=True):
        times = (format_time(place / rate) for place in (seam.at, seam.leave, seam.enter))
        table.add_row(name, *times, *measure_cells(seam, measures), *([note] if notes else []))
    Console(width=None if is_terminal(sys.stdout) else 120, markup=False).print(table)


def check_seams(plans: list[Any], quiet: bool) -> None:
    """Show the seams of plans, and exit with 3 if any exceeds its bounds."""
    from musex.seams.bounds import passes

    for plan in plans:
        if plan.model.name in GENERATIVE:
            raise MusexError(f"{plan.model.name} predicts the waveform itself: there are no seams to check")
        if not quiet:
            check_stdout()
            show_seams(plan)
    if not all(passes(plan) for plan in plans):
        raise typer.Exit(3)
