"""What is taken away from the page: the sound, the plan, a list of its cuts, the report."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import musex
from musex.audio.formats import WRITABLE
from musex.config import QUALITIES
from musex.errors import MusexError, suggest
from musex.plans import Plan
from musex.rendering.outputs import counted, write_plan
from musex.rendering.stitch import render
from musex.system.wording import format_time

if TYPE_CHECKING:
    from musex.studio.session import Session

KINDS = ("audio", "plan", "cuts", "report")


def export(session: "Session", folder: Path, *, kind: str, suffix: str, quality: str | None) -> Path:
    """Write a file of the plan that counts now; returns where it is. Raises MusexError for what cannot be had."""
    plan = portable(session)
    stem = Path(session.name).stem
    makers: dict[str, Callable[[], Path]] = {
        "audio": partial(_write_audio, session, plan, folder, stem=stem, suffix=suffix, quality=quality),
        "plan": lambda: _write(folder / f"{stem}-plan.json", plan.to_json() + "\n"),
        "cuts": lambda: _write(folder / f"{stem}-cuts.csv", list_cuts(plan)),
        "report": lambda: _write(folder / f"{stem}-report.html", musex.report(plan, session.song)),
    }
    if kind not in makers:
        raise MusexError(f"{kind!r} cannot be exported: choose one of {', '.join(KINDS)}{suggest(kind, KINDS)}")
    return makers[kind]()


def portable(session: "Session") -> Plan:
    """The plan as it is given away: of a song that was dropped it names the file, not where the page has put it."""
    plan = session.plan
    return replace(plan, song=replace(plan.song, path=session.name)) if session.dropped else plan


def list_cuts(plan: Plan) -> str:
    """The cuts as a table for a spreadsheet or an editor: what of the song is heard from when to when."""
    text, rate, at = io.StringIO(), plan.song.sample_rate, 0
    rows = csv.writer(text)
    rows.writerow(
        ["cut", "output from", "output to", "song from", "song to", "samples from", "samples to", "crossfade ms"]
    )
    for number, span in enumerate(plan.spans, start=1):
        times = [format_time(place / rate) for place in (at, at + span.frames, span.start, span.stop)]
        fade = f"{1000 * plan.seams[number - 1].fade / rate:.0f}" if number <= len(plan.seams) else ""
        rows.writerow([number, *times, span.start, span.stop, fade])
        at += span.frames
    return text.getvalue()


def _write_audio(session: "Session", plan: Plan, folder: Path, *, stem: str, suffix: str, quality: str | None) -> Path:
    if suffix not in WRITABLE:
        raise MusexError(
            f"{suffix!r} cannot be written: choose one of {', '.join(WRITABLE)}{suggest(suffix, WRITABLE)}"
        )
    if quality is not None and quality not in QUALITIES:
        raise MusexError(f"{quality!r} is no quality: choose one of {', '.join(QUALITIES)}")
    path, song = folder / f"{stem}-extended{suffix}", session.song

    def tell(stage: str, done: float) -> None:
        session.stage, session.done = stage, done

    blocks = counted(render(plan, song), plan.frames, tell)
    write_plan(plan, blocks, song, path, force=True, bitrate=quality)
    session.stage, session.done = "", 0.0
    return path


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
