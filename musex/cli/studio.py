"""The command that opens a page: `studio`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from musex.cli.arguments import ModelOption, count_option
from musex.cli.terminal import tell_result
from musex.errors import MusexError

NEEDED = ("starlette", "uvicorn")
CURE = "pip install 'musex[studio]'"


def studio(
    song: Annotated[Path | None, typer.Argument(metavar="[SONG]", help="A song; else the page asks for one.")] = None,
    port: Annotated[
        int, count_option("--port", least=0, help="Where the page is served on this machine; 0 for any free port.")
    ] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser: the address is printed.")] = False,
    model: ModelOption = None,
) -> None:
    """Open a page in the browser to make a song longer by hand: its length, its seams, its mood; Ctrl-C ends it."""
    check_installed()
    from musex.studio.serving import open_studio

    open_studio(song, port=port, model=model, show=not no_open, on_address=tell_result)


def is_installed() -> bool:
    """Whether the page can be served here."""
    return all(find_spec(name) is not None for name in NEEDED)


def check_installed() -> None:
    """Refuse where what serves the page is not installed; raises MusexError."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MusexError(f"the studio needs {' and '.join(missing)}: {CURE}")
