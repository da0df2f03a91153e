"""What is taken away from the page: the sound, the plan, a list of its cuts, the report."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import musex
from musex.audio.formats import WRITABLE
from musex.config import QUALITIES
from musex.errors import MusexError, suggest
from musex.exports.cuts import cut_plan, find_beats
from musex.exports.formats import TEXTS, check_formats, write_cuts
from musex.exports.timelines import ADAPTERS, check_adapter
from musex.plans import Plan
from musex.rendering.outputs import counted, write_plan
from musex.rendering.stitch import render

if TYPE_CHECKING:
    from musex.studio.session import Session

KINDS = ("audio", "plan", "cuts", "report")
EDITORS = {
    ".csv": "a spreadsheet (csv)",
    ".txt": "Audacity (labels)",
    ".rpp": "Reaper (rpp)",
    ".otio": "OpenTimelineIO (otio)",
    ".fcpxml": "Final Cut (fcpxml)",
    ".edl": "other editors (edl)",
}


def export(session: "Session", folder: Path, *, kind: str, suffix: str, quality: str | None) -> Path:
    """Write a file of the plan that counts now; returns where it is. Raises MusexError for what cannot be had."""
    plan = portable(session)
    stem = Path(session.name).stem
    makers: dict[str, Callable[[], Path]] = {
        "audio": partial(_write_audio, session, plan, folder, stem=stem, suffix=suffix, quality=quality),
        "plan": lambda: _write(folder / f"{stem}-plan.json", plan.to_json() + "\n"),
        "cuts": lambda: _write_cuts(session, plan, folder / f"{stem}-cuts{suffix}"),
        "report": lambda: _write(folder / f"{stem}-report.html", musex.report(plan, session.song)),
    }
    if kind not in makers:
        raise MusexError(f"{kind!r} cannot be exported: choose one of {', '.join(KINDS)}{suggest(kind, KINDS)}")
    return makers[kind]()


def portable(session: "Session") -> Plan:
    """The plan as it is given away: of a song that was dropped it names the file, not where the page has put it."""
    plan = session.plan
    return replace(plan, song=replace(plan.song, path=session.name)) if session.dropped else plan


def editors() -> list[tuple[str, str]]:
    """The formats of cut lists that can be written here, and what each is for."""
    return [(suffix[1:], words) for suffix, words in EDITORS.items() if suffix in TEXTS or _has_adapter(suffix)]


def _has_adapter(suffix: str) -> bool:
    try:
        check_adapter(suffix)
    except MusexError:
        return False
    return True


def _write_cuts(session: "Session", plan: Plan, path: Path) -> Path:
    check_formats([path])
    cuts = cut_plan(plan, session.song, find_beats(session.song))
    if session.dropped:
        # Where it was dropped from nobody knows: editors look beside the list, or ask; timelines want a whole address.
        cuts = replace(cuts, path=Path(Path.cwd().anchor if path.suffix in ADAPTERS else "") / session.name)
    write_cuts(cuts, path, force=True)
    return path


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
