"""Loops on the command line: the command `loops`, and what `extend --ending loop` makes besides one output."""

import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from musex.cli.arguments import (
    JsonOption,
    ModelOption,
    QuietOption,
    StreamOption,
    UsageError,
    choice_option,
    count_option,
    parse_settings,
    usage_checked,
)
from musex.cli.terminal import check_stdout, show_progress, show_seams, show_tables, tell_result, tell_speed
from musex.settings import Settings, Voice, check_length, find_fault
from musex.system.stores import is_stored
from musex.system.wording import format_time


def loops(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    count: Annotated[int, count_option("--count", "-n", least=1, help="How many loops, at most.")] = 10,
    keep_from: Annotated[
        str | None,
        typer.Option("--jumps-from", "--keep-from", metavar="TIME", help="Only loops after this, such as 1:30."),
    ] = None,
    keep_to: Annotated[
        str | None, typer.Option("--jumps-to", "--keep-to", metavar="TIME", help="… and before this.")
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--avoid", metavar="A-B", help="Only loops without this, such as 0:40-0:52; may be given again."),
    ] = None,
    voice: Annotated[
        Voice,
        choice_option("--voice", Voice, help="Cut no word that is sung (whole), or do not listen for a voice (off)."),
    ] = "whole",
    model: ModelOption = None,
    stream: StreamOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List a song's best loops: where each begins and ends, and the measures of the seam that closes it.

    `musex extend SONG --ending loop` writes the first. Ends are exclusive: the first sample after the loop.
    """
    options = parse_settings(keep_from, keep_to, avoid, arc=None, mix=None, voice=voice)
    check_stdout()
    from musex.audio.inputs import read_logged
    from musex.cli.tables import describe_loop, loop_table
    from musex.extension import find_loops

    with show_progress(quiet or json) as on_progress:
        read = read_logged(song, stream=stream)
        found = find_loops(read, count=count, model=model, on_progress=on_progress, **options)
    if json:
        about = {"song": str(song), "sample_rate": read.sample_rate, "frames": read.frames}
        tell_result(dumps({**about, "loops": [describe_loop(loop) for loop in found]}, indent=1))
    else:
        show_tables([loop_table(found, str(song))])


def check_form(tag_only: bool, loop_parts: bool, seconds: float | None, *, several: bool, **work: Any) -> None:
    """Refuse a duration, settings and forms of a loop that do not go together; raises UsageError.

    Args:
        tag_only: Whether loop points are written into a copy.
        loop_parts: Whether intro, loop and outro are files of their own.
        seconds: How long the output shall be, if that is said.
        several: Whether more is to be written than that.
        work: What else is asked for, by the names of `musex.extend_file`, and `suffix`.
    """
    encoded, ending = work.pop("bitrate") or work.pop("suffix"), work["ending"]
    settings = Settings(**{name: value for name, value in work.items() if name in Settings.__dataclass_fields__})
    name = "--tag-only" if tag_only else "--loop-parts"
    if (tag_only or loop_parts) and ending != "loop":
        raise UsageError(f"{name} is for loops: give --ending loop with it")
    with usage_checked():
        check_length(seconds, settings)
    if not (tag_only or loop_parts):
        return
    if tag_only and loop_parts:
        raise UsageError("--tag-only and --loop-parts are both given: give one of them")
    if settings.intro:
        raise UsageError(f"--intro and {name} are both given: {name} keeps the intro anyway")
    if several:
        raise UsageError(
            f"{name} is for one song, without --variations, --plan, --report, --export, --from, --stems and -o -"
        )
    if tag_only and seconds is not None:
        raise UsageError("--tag-only marks the loop that the song has: leave out how long it shall last")
    if tag_only and (encoded or settings.mix):
        raise UsageError("--tag-only encodes nothing: leave out --bitrate, --quality, --format and --mix")


def extend_to_parts(task: Any, seconds: float | None, quiet: bool, json: bool, *, check: bool, **work: Any) -> None:
    """Write intro, loop and outro of a song; exit code 3 if a seam fails its check."""
    from musex.cli.tables import describe_output, describe_parts
    from musex.loop_files import write_loop_parts
    from musex.seams.bounds import passes

    output, began = task.versions[0].output, time.monotonic()
    with show_progress(quiet, seconds) as on_progress:
        plan, paths = write_loop_parts(task.song, output, seconds=seconds, on_progress=on_progress, **work)
    taken, parts = time.monotonic() - began, describe_parts(plan, paths)
    if json:
        made = {**describe_output(plan, output, taken), "parts": parts}
        tell_result(dumps({"song": str(task.song), "outputs": [made]}, indent=1))
    if not quiet:
        for part in parts:
            typer.echo(f"{part['output']}: {format_time(part['seconds'])}")
        typer.echo(f"made in {taken:.1f} s, {tell_speed(plan.seconds, taken)}")
    if check:
        if not quiet:
            show_seams(plan)
        if not passes(plan):
            raise typer.Exit(3)


def extend_by_tags(task: Any, seconds: float | None, quiet: bool, json: bool, *, check: bool, **work: Any) -> None:
    """Copy a song's file with loop points; exit code 3 if the loop's seam fails its check."""
    from musex.cli.tables import describe_loop, loop_table
    from musex.loop_files import tag_loop
    from musex.seams.bounds import exceeded

    assert seconds is None
    options = {name: value for name, value in work.items() if name != "bitrate"}
    output, began = task.versions[0].output, time.monotonic()
    with show_progress(quiet) as on_progress:
        loop = tag_loop(task.song, output, on_progress=on_progress, **options)
    taken = time.monotonic() - began
    if json:
        made = {"output": str(output), "made_in_seconds": round(taken, 3), "loop": describe_loop(loop)}
        tell_result(dumps({"song": str(task.song), "outputs": [made]}, indent=1))
    if not quiet:
        bounds = " to ".join(
            f"{format_time(time)} (sample {at})"
            for time, at in ((loop.start_seconds, loop.start), (loop.stop_seconds, loop.stop))
        )
        typer.echo(f"{output}: loops from {bounds}, {format_time(loop.seconds)} long, made in {taken:.1f} s")
    if check:
        if not quiet:
            show_tables([loop_table([loop], str(task.song))])
        if exceeded(loop.seam):
            raise typer.Exit(3)


def repeated_seconds(songs: list[Path], repeats: int, given: float | None, **work: Any) -> float:
    """How long a song is whose best loop is played so often, and with --ending loop that loop alone.

    Raises UsageError for several songs, or where a duration is `given`, too.
    """
    from musex.audio.inputs import read_logged
    from musex.batches import are_several
    from musex.extension import find_loops

    if given is not None:
        raise UsageError("--repeats and a duration are both given: give one of them")
    if are_several(songs):
        raise UsageError("--repeats is for one song: each has a loop of its own")
    if is_stored(songs[0]):
        raise UsageError(f"--repeats listens to the song first, and {songs[0]} is not here: download it")
    song = read_logged(songs[0], stream=work["stream"])
    where = {name: work[name] for name in ("keep_from", "keep_to", "avoid", "voice", "forbid")}
    best = find_loops(song, count=1, model=work["model"], **where)[0]
    seconds = repeats * best.seconds if work["ending"] == "loop" else song.seconds + (repeats - 1) * best.seconds
    if fault := find_fault(seconds):
        raise UsageError(f"--repeats {repeats} of {format_time(best.seconds)} is no duration: {fault}")
    return seconds
