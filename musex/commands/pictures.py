"""The command that draws: `spectrogram`."""

from pathlib import Path
from typing import Annotated

import typer

from musex.arguments import (
    ForceOption,
    ModelOption,
    QuietOption,
    parse_time,
)


def spectrogram(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    other: Annotated[Path | None, typer.Argument(metavar="[OTHER]", help="Another, to compare it with.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SECONDS", help="Where the prediction begins. [default: the middle]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The figure: png, svg or pdf.")
    ] = None,
    model: ModelOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw what the network heard, what it predicted and what really came; or compare two songs."""
    if other is not None and (at is not None or model is not None):
        raise typer.BadParameter("--at and --model are for one song: two songs are compared as they are")
    from musex.plots import compare_files, predict_file

    if other is not None:
        target = output or song.with_name(f"{song.stem}-{other.stem}-spectrogram.png")
        error = compare_files(song, other, target, force=force)
    else:
        target = output or song.with_name(f"{song.stem}-spectrogram.png")
        error = predict_file(song, target, at=None if at is None else parse_time(at), model=model, force=force)
    if not quiet:
        typer.echo(f"{target}: mean absolute {'difference' if other else 'error'} {error:.2f} dB")
