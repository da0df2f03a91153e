"""What the command line takes: options that several commands share, and what their text means."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from musex.errors import DurationError, MusexError


class Ending(StrEnum):
    outro = "outro"
    fade = "fade"
    cut = "cut"
    loop = "loop"


class Layers(StrEnum):
    off = "off"
    auto = "auto"
    on = "on"


class Quality(StrEnum):
    small = "small"
    good = "good"
    best = "best"


class Network(StrEnum):
    pointer = "pointer"
    paper = "paper"
    lstm = "lstm"


ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="PATH", help="A .tflite file or the folder of a training run.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]
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
BitrateOption = Annotated[
    str | None, typer.Option("--bitrate", metavar="RATE", help="For lossy formats, such as 256k.")
]
QualityOption = Annotated[
    Quality | None, typer.Option("--quality", help="The same by ear: the bit rate varies with the music.")
]
NoveltyOption = Annotated[
    float, typer.Option("--novelty", metavar="0..1", help="0: as the song goes, few jumps; 1: many.")
]
StreamOption = Annotated[
    int | None,
    typer.Option("--stream", metavar="N", help="Which audio stream, of several. \\[default: the file's]"),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Fixes everything drawn at random.")]


def parse_bitrate(bitrate: str | None, quality: Quality | None) -> str | None:
    """What `musex.formats` takes as bit rate; usage error if both are given."""
    if bitrate is not None and quality is not None:
        raise typer.BadParameter("give --bitrate or --quality, not both")
    return quality.value if quality is not None else bitrate


def parse_duration(minutes: str | None, seconds: str | None, to: str | None) -> float:
    """Seconds asked for by exactly one of the three options; usage error otherwise, DurationError if it is none."""
    given = [
        (name, value) for name, value in (("minutes", minutes), ("seconds", seconds), ("to", to)) if value is not None
    ]
    if len(given) != 1:
        raise typer.BadParameter("give exactly one of --minutes, --seconds and --to: how long shall it last?")
    name, value = given[0]
    if name == "to":
        return parse_time(value)
    try:
        return float(value) * (60.0 if name == "minutes" else 1.0)
    except ValueError as error:
        meant = f"; as a time it is --to {value}" if re.fullmatch(r"(\d+:){1,2}\d+(\.\d*)?", value, re.ASCII) else ""
        raise DurationError(f"--{name} {value} is not a number: give one such as 10 or 2.5{meant}") from error


def parse_time(text: str) -> float:
    """Seconds of "H:MM:SS", "MM:SS" or "SS", with decimals."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    if not match or (":" in text and float(match[3]) >= 60) or (match[1] and int(match[2]) >= 60):
        raise DurationError(f"{text} is not a time: give one such as 1:02:03, 4:30 or 90")
    return int(match[1] or 0) * 3600.0 + int(match[2] or 0) * 60.0 + float(match[3])


def parse_stretch(text: str) -> tuple[float, float]:
    """Seconds of "A-B", both as `parse_time` takes them."""
    start, dash, stop = text.partition("-")
    if not dash:
        raise MusexError(f"{text} is not a stretch of the song: give its start and end, such as 0:40-0:52")
    return parse_time(start), parse_time(stop)


def parse_arc(text: str) -> tuple[tuple[float, str], ...]:
    """Seconds and moods of "minutes:mood" given one after another."""
    points = []
    for word in text.split():
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+):(\w+)", word, re.ASCII)
        if not match:
            raise MusexError(f'{word} is not a time and a mood: give minutes:mood, such as "0:calm 5:intense 10:calm"')
        points.append((60.0 * float(match[1]), match[2]))
    return tuple(points)
