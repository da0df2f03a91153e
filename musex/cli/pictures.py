"""The command that draws: `spectrogram`."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from musex.cli.arguments import (
    ForceOption,
    JsonOption,
    QuietOption,
    StreamOption,
    UsageError,
    parse_time,
)
from musex.cli.terminal import tell_result


def spectrogram(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    other: Annotated[Path | None, typer.Argument(metavar="OTHER", help="Another, to compare it with.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SECONDS", help="Where the prediction begins. \\[default: the middle]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The figure: png, svg or pdf.")
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="PATH", help="A .tflite file or the folder of a run; again for several."),
    ] = None,
    stream: StreamOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw what the network heard, what it predicted and what really came; or compare two songs."""
    if other is not None and (at is not None or model or stream is not None):
        raise UsageError("--at, --model and --stream are for one song: two songs are compared as they are")
    from musex.system.side_files import name_beside, shorten
    from musex.views.spectrograms import compare_files, predict_file

    if other is not None:
        target = output or name_beside(song, f"-{shorten(other.stem, 100)}-spectrogram.png")
        errors = {"difference": compare_files(song, other, target, force=force)}
        told = f"mean absolute difference {errors['difference']:.2f} dB"
    else:
        target = output or name_beside(song, "-spectrogram.png")
        place = None if at is None else parse_time(at)
        errors = predict_file(song, target, at=place, models=model or (), stream=stream, force=force)
        told = ", ".join(f"{name} {error:.2f} dB" for name, error in errors.items())
        told = f"mean absolute error {told if len(errors) > 1 else told.split(' ', 1)[1]}"
    if json:
        tell_result(dumps({"figure": str(target), "error_db": errors}, indent=1))
    elif not quiet:
        typer.echo(f"{target}: {told}")
