"""Commands that tell: `info` and `doctor`."""

from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from musex.cli.arguments import StreamOption
from musex.cli.terminal import check_stdout, show_tables, tell_result


def info(
    song: Annotated[Path, typer.Argument(metavar="FILE", help="A song.")],
    stream: StreamOption = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FOLDER", help="Hear beats as the beats.tflite in it does.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a song is, and what an extension can use of it."""
    from musex.cli.tables import info_table
    from musex.inspection import inspect_file

    facts = inspect_file(song, stream=stream, model=model)
    if json:
        tell_result(dumps(asdict(facts), indent=1))
    else:
        check_stdout()
        show_tables([info_table(facts)])


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check this installation: versions, codecs, the model, a whole extension; exit 1 if something does not work."""
    from musex.diagnosis import diagnose

    findings = []
    for finding in diagnose():
        findings.append(finding)
        if not json:
            tell_result(f"{'ok  ' if finding.works else 'FAIL'}  {finding.name}: {finding.details}")
    if json:
        tell_result(dumps([asdict(finding) for finding in findings], indent=1))
    if not all(finding.works for finding in findings):
        raise typer.Exit(1)
