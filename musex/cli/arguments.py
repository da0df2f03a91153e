"""What the command line takes: options that several commands share, and what their text means."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from musex.config import Quality
from musex.errors import MusexError, suggest
from musex.settings import Hit, JumpEnds, Levels, Mix, Settings, find_fault
from musex.system.stores import place_of


class UsageError(MusexError):
    """An option or an argument cannot be used, whatever the song: exit code 2."""


def parse_count(text: str | int, name: str, *, least: int) -> int:
    """A whole number; raises UsageError if it is none, or less than that. A default is an int already."""
    if not re.fullmatch(r"\s*[+-]?\d{1,18}\s*", str(text), re.ASCII) or int(text) < least:
        raise UsageError(f"{name} {text} cannot be used: give a whole number from {least} on")
    return int(text)


def count_option(*names: str, least: int, metavar: str = "N", **shown: Any) -> Any:
    """An option that takes a whole number."""
    return typer.Option(*names, parser=partial(parse_count, name=names[0], least=least), metavar=metavar, **shown)


def number_option(*names: str, least: float, most: float = math.inf, **shown: Any) -> Any:
    """An option that takes a number."""

    def parse(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and math.isfinite(value)):
            limits = f"from {least:g} on" if most == math.inf else f"from {least:g} to {most:g}"
            raise UsageError(f"{names[0]} {text} cannot be used: give a number {limits}")
        return value

    return typer.Option(*names, parser=parse, **shown)


def choice_option(name: str, words: Any, **shown: Any) -> Any:
    """An option that takes one of a Literal's words; one that is nearly written is suggested, which Typer would not."""
    choices: tuple[str, ...] = get_args(words)

    def parse(text: str) -> str:
        if text not in choices:
            listed = ", ".join(choices) + suggest(text, choices)
            raise UsageError(f"{name} {text} is not available; musex has {listed}")
        return text

    def complete(begun: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(begun)]

    return typer.Option(name, parser=parse, metavar=f"[{'|'.join(choices)}]", autocompletion=complete, **shown)


def parse_place(text: str | Path) -> Path:
    """A path, or a place in an object store by its URL; raises UsageError if musex has no such stores."""
    with usage_checked():
        return place_of(text)


ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="PATH", help="A .tflite file or the folder of a training run.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write; or a folder, with --stems.")
]
ForceOption = Annotated[bool, typer.Option("--force", "-f", help="Overwrite what exists.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say on stderr what is decided, and how long it takes.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a summary.")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Print each seam's measures; exit with 3 if any exceeds its bound.")
]
ReportOption = Annotated[
    bool, typer.Option("--report", help="Make a page to listen on beside the output: OUTPUT-report.html.")
]
ExportOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--export",
        metavar="FILE",
        help="Hand the cuts over, beats as markers: .otio, .fcpxml, .edl, .rpp (Reaper), .txt (Audacity) or .csv; "
        "may be given again.",
    ),
]
LikeOption = Annotated[
    Path | None, typer.Option("--like", metavar="CLIP", help="As long as this file, a video or a song.")
]
BitrateOption = Annotated[
    str | None, typer.Option("--bitrate", metavar="RATE", help="For lossy formats, such as 256k.")
]
QualityOption = Annotated[
    Quality | None, choice_option("--quality", Quality, help="The same by ear: the bit rate varies with the music.")
]
NoveltyOption = Annotated[
    float,
    number_option("--novelty", least=0.0, most=1.0, metavar="0..1", help="0: as the song goes, few jumps; 1: many."),
]
StreamOption = Annotated[
    int | None, count_option("--stream", least=1, help="Which audio stream, of several. \\[default: the file's]")
]
MixOption = Annotated[
    str | None,
    typer.Option(
        "--mix",
        metavar="MIX",
        help='How loud stems are (voice, drums, bass, rest): "voice=off drums=-6dB", or over time, as minutes:level: '
        '"drums=0:off,1:0dB".',
    ),
]
ManifestOption = Annotated[
    str | None,
    typer.Option("--manifest", metavar="LIST", help="Songs and folders from a text, one a line, such as a playlist."),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Have the songs extended by the workers of a Dask scheduler (tcp://host:8786, tls://…), or of one that is "
        "started here: local, with --jobs workers.",
    ),
]
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="FILE", help="Add a line of JSON for each output, made or failed, as it ends."),
]
SeedOption = Annotated[int, count_option("--seed", least=0, help="Fixes everything drawn at random.")]


def parse_bitrate(bitrate: str | None, quality: Quality | None) -> str | None:
    """What `musex.audio.formats` takes as bit rate; UsageError if both are given, or the bit rate is none."""
    if bitrate is not None and quality is not None:
        raise UsageError("--bitrate and --quality are both given: give one of them")
    if bitrate is not None:
        from musex.audio.formats import kilobits_of  # NumPy with it, which help need not wait for

        with usage_checked():
            kilobits_of(bitrate, None, 2)
    return quality if quality is not None else bitrate


@contextmanager
def usage_checked() -> Iterator[None]:
    """What is refused within is refused as wrong usage, before any song is looked at."""
    try:
        yield
    except MusexError as error:
        raise UsageError(str(error)) from error


def parse_duration(
    minutes: str | None,
    seconds: str | None,
    to: str | None,
    like: Path | None = None,
    *,
    usual: float | None = None,
    natural: bool = False,
) -> float | None:
    """Seconds asked for by exactly one of the four options; raises UsageError otherwise, or if they are none.

    `usual` is what is meant where none is given; with `natural` it is the length that an output has by itself, None.
    """
    options = (("minutes", minutes), ("seconds", seconds), ("to", to))
    given = [(name, value) for name, value in options if value is not None]
    if not given and like is None and (usual is not None or natural):
        return usual
    if len(given) + (like is not None) != 1:
        raise UsageError("give exactly one of --minutes, --seconds, --to and --like: how long shall it last?")
    if like is not None:
        return _seconds_like(like)
    name, value = given[0]
    try:
        wanted = parse_time(value) if name == "to" else float(value) * (60.0 if name == "minutes" else 1.0)
    except ValueError as error:
        meant = f"; as a time it is --to {value}" if re.fullmatch(r"(\d+:){1,2}\d+(\.\d*)?", value, re.ASCII) else ""
        raise UsageError(f"--{name} {value} is not a number: give one such as 10 or 2.5{meant}") from error
    if fault := find_fault(wanted):
        raise UsageError(f"--{name} {value} is no duration: {fault}")
    return wanted


def length_facts(seconds: float | None) -> dict[str, str]:
    """What the names of outputs may say of their length; nothing where they have it by themselves."""
    return {} if seconds is None else {"minutes": f"{seconds / 60:g}", "seconds": f"{seconds:g}"}


def _seconds_like(clip: Path) -> float:
    """How long a file lasts; raises UsageError if nothing may last as long."""
    from musex.audio.lengths import measure_seconds  # NumPy with it, which help need not wait for

    seconds = measure_seconds(clip)
    if fault := find_fault(seconds):
        raise UsageError(f"--like {clip} lasts {seconds:g} s, which is no duration: {fault}")
    return seconds


def parse_time(text: str) -> float:
    """Seconds of "H:MM:SS", "MM:SS" or "SS", with decimals; raises UsageError if it is none."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    if not match or (":" in text and float(match[3]) >= 60) or (match[1] and int(match[2]) >= 60):
        raise UsageError(f"{text} is not a time: give one such as 1:02:03, 4:30 or 90")
    return int(match[1] or 0) * 3600.0 + int(match[2] or 0) * 60.0 + float(match[3])


def parse_stretch(text: str) -> tuple[float, float]:
    """Seconds of "A-B", both as `parse_time` takes them; raises UsageError if it is none."""
    start, dash, stop = text.partition("-")
    if not dash:
        raise UsageError(f"{text} is not a stretch of the song: give its start and end, such as 0:40-0:52")
    return parse_time(start), parse_time(stop)


def parse_jump(text: str) -> JumpEnds:
    """Seconds of "A>B", of which one may be left out, as `parse_time` takes them; raises UsageError if it is none."""
    leave, arrow, enter = (part.strip() for part in text.partition(">"))
    if not arrow or not (leave or enter):
        raise UsageError(f"{text} is no jump: give where it leaves and enters, such as 1:30>0:45, 1:30> or >0:45")
    return parse_time(leave) if leave else None, parse_time(enter) if enter else None


def parse_hit(text: str) -> Hit:
    """Seconds of song and output of "PLACE@TIME", where the place may be "peak"; raises UsageError if it is none."""
    place, at, time = (part.strip() for part in text.partition("@"))
    if not at:
        raise UsageError(f"{text} is no hit: give a place of the song and when it is heard, such as 1:32@0:45")
    return "peak" if place == "peak" else parse_time(place), parse_time(time)


def parse_numbers(texts: list[str] | None, option: str) -> tuple[int, ...]:
    """Whole numbers of "1,3", given once or more often; raises UsageError if they are none."""
    words = [word.strip() for text in texts or () for word in text.split(",")]
    for word in words:
        if not re.fullmatch(r"\d{1,9}", word, re.ASCII):
            raise UsageError(f"{option} {word} names no seam: give numbers of seams from 1 on, such as 1,3")
    return tuple(dict.fromkeys(int(word) for word in words))


def parse_arc(text: str) -> tuple[tuple[float, str], ...]:
    """Seconds and moods of "minutes:mood" given one after another; raises UsageError if they are none."""
    points = []
    for word in text.split():
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+):(\w+)", word, re.ASCII)
        if not match:
            raise UsageError(f'{word} is not a time and a mood: give minutes:mood, such as "0:calm 5:intense 10:calm"')
        points.append((60.0 * float(match[1]), match[2]))
    return tuple(points)


def parse_mix(text: str) -> Mix:
    """Stems and their levels of "stem=level" or "stem=minutes:level,…" one after another; raises UsageError else."""
    return tuple((stem, levels) for stem, levels in map(_parse_levels, text.split()))


def _parse_levels(word: str) -> tuple[Any, Levels]:
    stem, _, text = word.partition("=")
    points = []
    for part in text.split(","):
        match = re.fullmatch(
            r"(?:(\d+(?:\.\d*)?|\.\d+):)?(off|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:dB)?)", part, re.ASCII | re.I
        )
        if not (stem and match) or (match[1] is None and "," in text):
            raise UsageError(
                f"--mix {word} is no stem and its level: give levels such as "
                '"voice=off drums=-6dB", or over time, as minutes:level, "drums=0:off,1:0dB"'
            )
        level = match[2].lower().removesuffix("db")
        points.append((60.0 * float(match[1] or 0.0), None if level == "off" else float(level)))
    return stem, tuple(points)


def parse_settings(
    keep_from: str | None,
    keep_to: str | None,
    avoid: list[str] | None,
    *,
    arc: str | None,
    mix: str | None,
    must: list[str] | None = None,
    forbid: list[str] | None = None,
    require: list[str] | None = None,
    hits: list[str] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """The settings as keyword arguments of the public functions; raises UsageError where they mean nothing."""
    options = {
        **others,
        "must": tuple(parse_stretch(text) for text in must or ()),
        "forbid": tuple(parse_jump(text) for text in forbid or ()),
        "require": tuple(parse_jump(text) for text in require or ()),
        "hits": tuple(sorted((parse_hit(text) for text in hits or ()), key=lambda hit: hit[1])),
        "keep_from": None if keep_from is None else parse_time(keep_from),
        "keep_to": None if keep_to is None else parse_time(keep_to),
        "avoid": tuple(parse_stretch(text) for text in avoid or ()),
        "arc": parse_arc(arc or ""),
        "mix": parse_mix(mix or ""),
    }
    with usage_checked():
        Settings(**options)
    return options
