"""The command line: what commands there are, and the one place where errors become messages."""

import logging
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from musex import __version__
from musex.cli import editing, facts, learning, looping, making, mixing, pictures
from musex.cli import studio as studios
from musex.cli.arguments import UsageError
from musex.cli.terminal import check_stdout, in_options, one_line, tell_error, tell_result
from musex.errors import MusexError
from musex.system.caches import place_caches

app = typer.Typer(
    name="musex",
    help="Make any piece of music last as long as you need.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    making.extend,
    looping.loops,
    making.render,
    mixing.mix,
    editing.seams,
    making.stems,
    making.report,
    making.play,
    studios.studio,
    pictures.spectrogram,
    learning.prepare,
    learning.train,
    learning.evaluate,
    facts.info,
    facts.doctor,
):
    app.command()(command)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _print_version(value), is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run the command line: exit code 0, 1 for an error, which is told in one line on stderr, 2 for wrong usage, 3
    for a seam that fails its check."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    place_caches()
    logger = logging.getLogger("musex")
    handler = _Handler(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False  # libraries, such as PyMusicLooper, make the root logger show all
    try:
        if "" in arguments:  # a path of nothing would be the folder that one is in
            raise MusexError("one of the arguments is empty: is a variable of the shell not set?")
        if not arguments or {"--help", "-h"} & {*arguments}:
            check_stdout()
        if arguments and (meant := _meant_by(arguments[0])):
            if len(arguments) > 1 or not (studios.is_installed() and Path(arguments[0]).is_file()):
                tell_error(meant)
                return 2
            arguments = ["studio", *arguments]
        typer.main.get_command(app).main(args=arguments, prog_name="musex")
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else int(finished.code is not None)
    except UsageError as error:
        tell_error(str(error))
        return 2
    except MusexError as error:
        return tell_error(str(error))
    except OSError as error:
        if error.strerror is None:
            raise
        return tell_error(f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror)
    except MemoryError:
        return tell_error("out of memory: use a shorter song, or close other programs")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    return 0


def _meant_by(word: str) -> str:
    """What is wrong where a song stands in the place of a command; nothing where it does not."""
    commands = [command.callback.__name__ for command in app.registered_commands if command.callback is not None]
    if word.startswith("-") or word in commands:
        return ""
    from musex.audio.reading import READABLE  # NumPy with it, which help need not wait for

    path = Path(word)
    if not path.exists() and path.suffix.lower() not in READABLE:
        return ""
    kind = "folder" if path.is_dir() else "song"
    page = f"; to have it open as a page: {studios.CURE}" if path.is_file() and not studios.is_installed() else ""
    return (
        f"{word} is no command but a {kind}: name one before it, such as musex extend {quote(word)} --minutes 10{page}"
    )


class _Handler(logging.Handler):
    """Shows what the library logs as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"musex: {record.levelname.lower()}: {in_options(one_line(record.getMessage()))}", file=sys.stderr)


def _print_version(wanted: bool) -> None:
    if wanted:
        tell_result(f"musex {__version__}")
        raise typer.Exit
