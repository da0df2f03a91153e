"""The command that makes one stream of many songs: `mix`."""

import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from musex.cli.arguments import (
    BitrateOption,
    ForceOption,
    JsonOption,
    LikeOption,
    ModelOption,
    NoveltyOption,
    QualityOption,
    QuietOption,
    SeedOption,
    UsageError,
    VerboseOption,
    choice_option,
    parse_bitrate,
    parse_duration,
    parse_settings,
    usage_checked,
)
from musex.cli.terminal import check_stdout, show_progress, tell_everything, tell_result, tell_speed
from musex.errors import MusexError
from musex.settings import Order, Voice
from musex.system.wording import format_count, format_time

STREAM = Path("-")


def mix(
    songs: Annotated[list[Path], typer.Argument(metavar="SONGS", help="Two songs or more, and folders of them.")],
    minutes: Annotated[str | None, typer.Option("--minutes", "-m", metavar="M", help="How long it shall last.")] = None,
    seconds: Annotated[str | None, typer.Option("--seconds", "-s", metavar="S", help="The same in seconds.")] = None,
    to: Annotated[str | None, typer.Option("--to", "-t", metavar="H:MM:SS", help="The same as a time.")] = None,
    like: LikeOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write, its ending says the format; - for a stream to stdout (--format, else wav), "
            "which without a duration never ends.",
        ),
    ] = None,
    suffix: Annotated[str | None, typer.Option("--format", metavar="NAME", help="The format of a stream.")] = None,
    order: Annotated[
        Order,
        choice_option("--order", Order, help="As given, or so that tempo and key change little from song to song."),
    ] = "given",
    seed: SeedOption = 0,
    novelty: NoveltyOption = 0.5,
    mood: Annotated[
        str | None, typer.Option("--mood", metavar="MOOD", help="What to play more of: calm, bright, intense or dark.")
    ] = None,
    voice: Annotated[
        Voice,
        choice_option("--voice", Voice, help="Cut no word that is sung (whole), or do not listen for a voice (off)."),
    ] = "whole",
    model: ModelOption = None,
    force: ForceOption = False,
    bitrate: BitrateOption = None,
    quality: QualityOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make one stream of many songs, each as long as it is good for, joined on bars at one level, with chapters.

    Songs that are not good for so long together come round again, with other jumps.
    """
    endless = output == STREAM and (minutes, seconds, to, like) == (None, None, None, None)
    wanted = None if endless else parse_duration(minutes, seconds, to, like)
    bitrate = parse_bitrate(bitrate, quality)
    if output is None:
        raise UsageError("-o is not given: name the file to write, or - for a stream")
    if suffix is not None and output != STREAM:
        raise UsageError(f"--format is for a stream, -o -: the ending of {output} says its format")
    if json and output == STREAM:
        raise UsageError("-o - and --json both write to stdout: name a file, or leave out --json")
    chosen: dict[str, Any] = {"seed": seed, "novelty": novelty, "mood": mood, "voice": voice}
    parse_settings(None, None, None, arc=None, mix=None, **chosen)
    if verbose:
        tell_everything()
    from musex.batches import check_naming, find_songs

    ending_of = None if suffix is None else f".{suffix.lower().lstrip('.')}"
    with usage_checked():
        check_naming("{stem}", ending_of, None)
    together = find_songs(songs)
    optional = together.keys() - set(songs)  # what was found in folders
    work = {"order": order, "model": model, "bitrate": bitrate, "optional": optional, **chosen}
    if output == STREAM:
        _stream(list(together), wanted, quiet, suffix=ending_of or ".wav", **work)
    elif wanted is not None:
        _write(list(together), output, wanted, quiet, json, force=force, **work)


def _write(songs: list[Path], output: Path, seconds: float, quiet: bool, json: bool, **work: Any) -> None:
    """Write a mix to a file, and tell of it."""
    from musex.mixing import mix_files

    if json:
        check_stdout()
    began = time.monotonic()
    with show_progress(quiet or json, seconds) as on_progress:
        made = mix_files(songs, output, seconds=seconds, on_progress=on_progress, **work)
    taken = time.monotonic() - began
    if json:
        tell_result(dumps({"output": str(output), **made.to_dict(), "taken_seconds": round(taken, 2)}, indent=1))
    elif not quiet:
        _summarise(made, output, taken)


def _summarise(made: Any, output: Path, taken: float) -> None:
    """A line for each song, and one for all."""
    for song in made.songs:
        facts = [f"{song.tempo:.0f} beats a minute" if song.tempo else "no pulse", song.key or "no clear key"]
        facts += [f"{song.gain_db:+.1f} dB to {song.loudness:.1f} LUFS"]
        typer.echo(f"{format_time(song.at):>9}  {song.title}: {format_time(song.seconds)}, {', '.join(facts)}")
    count = format_count(len({song.path for song in made.songs}), "song")
    turns = f" in {len(made.songs)} turns" if len(made.songs) > len({song.path for song in made.songs}) else ""
    sheet = f", {made.cue}" if made.cue is not None else ""
    turns += f", {len(made.left_out)} left out" if made.left_out else ""
    kind = f"{count}{turns}, {made.sample_rate} Hz"
    speed = tell_speed(made.seconds, taken)
    typer.echo(f"{output}{sheet}: {format_time(made.seconds)} ({kind}), made in {taken:.1f} s, {speed}")


def _stream(songs: list[Path], seconds: float | None, quiet: bool, **work: Any) -> None:
    """Play a mix into stdout."""
    from musex.mixing import stream_mix

    check_stdout()
    if sys.stdout.isatty():
        raise MusexError("-o - writes sound to stdout, which is a terminal: pipe it on, as in … -o - | ffplay -")
    with show_progress(quiet, seconds) as on_progress:
        try:
            stream_mix(songs, sys.stdout.buffer, seconds=seconds, on_progress=on_progress, **work)
        except BrokenPipeError:  # whoever listens has heard enough: as a command that SIGPIPE ends
            raise typer.Exit(128 + 13) from None
