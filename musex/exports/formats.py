"""Cut lists as files: what can be written, and by which name."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musex.audio.file_names import find_song
from musex.audio.inputs import read_logged, song_of
from musex.audio.song import Song
from musex.errors import MusexError, suggest
from musex.exports.cuts import CutList, cut_plan, find_beats
from musex.exports.listings import to_labels, to_table
from musex.exports.reaper import to_reaper
from musex.exports.timelines import ADAPTERS, check_adapter, write_timeline
from musex.plans import Plan, read_plan
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import check_side_file, written_whole

if TYPE_CHECKING:
    from pydub import AudioSegment

logger = logging.getLogger(__name__)

TEXTS: dict[str, Callable[[CutList], str]] = {".rpp": to_reaper, ".txt": to_labels, ".csv": to_table}
EXPORTABLE = (*ADAPTERS, *TEXTS)


def check_formats(paths: Sequence[str | Path]) -> None:
    """Refuse endings that name no format; raises MusexError."""
    for path in map(Path, paths):
        suffix = path.suffix.lower()
        if suffix not in EXPORTABLE:
            known = ", ".join(name[1:] for name in EXPORTABLE) + suggest(suffix, EXPORTABLE)
            raise MusexError(f"cannot export {path}: {suffix or 'no ending'} is not among {known}")


def check_exports(paths: Sequence[str | Path], force: bool, *others: str | Path) -> None:
    """Refuse early what cannot be exported: an unknown format, a missing adapter, a file that is there or taken.

    Raises MusexError.
    """
    check_formats(paths)
    for number, path in enumerate(map(Path, paths)):
        if path.suffix.lower() in ADAPTERS:
            check_adapter(path.suffix.lower())
        check_side_file(path, force, *others, *paths[:number])


def export_plan(
    plan: "Plan | str | Path",
    path: str | Path,
    *,
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment | None" = None,
    force: bool = False,
) -> Path:
    """Hand a plan's cuts over to an editor: write them as what the ending of `path` says.

    `.otio` (and `.fcpxml` and `.edl`, where their adapters are installed) by OpenTimelineIO, `.rpp` for Reaper, `.txt`
    as labels for Audacity, `.csv` as a table. Beats and downbeats of the output become markers.

    Args:
        plan: A plan, or the file of one.
        path: The file to write.
        song: The plan's song, from a file; without it what the plan names.
        force: Overwrite an existing file.

    Returns:
        The path.

    Raises:
        MusexError: The format is unknown or its package is not installed, the song is missing or another one, or the
            file cannot be written. Nothing is left behind then, and an existing file is as it was.
    """
    made, folder = (plan, Path("a plan")) if isinstance(plan, Plan) else (read_plan(plan), Path(plan))
    if isinstance(song, str | os.PathLike) or song is None:
        found = find_song(made, folder) if song is None else Path(song)
        check_exports([path], force, found, *([] if isinstance(plan, Plan) else [plan]))
        source = read_logged(found, stream=made.song.stream)
    else:
        source = song_of(song)
        check_exports([path], force, *([] if source.path is None else [source.path]))
    save_exports(made, source, [path], force=force)
    return Path(path)


def export_file(
    plan_path: str | Path,
    paths: Sequence[str | Path],
    *,
    song_path: str | Path | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> None:
    """Write the cuts of a plan file to several files; arguments and errors as in `export_plan`."""
    plan = read_plan(plan_path)
    found = find_song(plan, Path(plan_path)) if song_path is None else Path(song_path)
    check_exports(paths, force, found, plan_path)
    (on_progress or ignore_progress)("Reading", 0.0)
    save_exports(plan, read_logged(found, stream=plan.song.stream), paths, on_progress, force=force)


def save_exports(
    plan: Plan,
    song: Song,
    paths: Sequence[str | Path],
    on_progress: OnProgress | None = None,
    *,
    force: bool = False,
    on_written: Callable[[Path], None] | None = None,
) -> None:
    """Write a plan's cuts to several files; what they do not hold is logged in a line each."""
    report = on_progress or ignore_progress
    report("Exporting", 0.0)
    cuts = cut_plan(plan, song, find_beats(song))
    for number, path in enumerate(map(Path, paths), start=1):
        write_cuts(cuts, path, force=force)
        if lost := tell_lost(cuts, path.suffix.lower()):
            logger.warning(f"{path} holds cuts alone: left out is {lost}")
        if on_written is not None:
            on_written(path)
        report("Exporting", number / len(paths))


def write_cuts(cuts: CutList, path: Path, *, force: bool = False) -> None:
    """Write a cut list to a file, whole or not at all; raises MusexError."""
    suffix = path.suffix.lower()
    text = TEXTS[suffix](cuts) if suffix in TEXTS else ""
    with written_whole(path, force=force) as temporary:
        if suffix in TEXTS:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")  # names of any bytes
        else:
            write_timeline(cuts, temporary)


def tell_lost(cuts: CutList, suffix: str) -> str:
    """What a file of this format does not hold of an output, in words; nothing where it holds all."""
    lost = list(cuts.left_out)
    adapter = ADAPTERS.get(suffix)
    if cuts.closing and suffix != ".rpp":
        lost.append("the crossfade from the loop's end to its beginning")
    if adapter is not None and adapter.lost:
        lost.append(adapter.lost)
    if adapter is not None and adapter.frame_rate:
        lost.append(f"what is finer than 1/{adapter.frame_rate} s")
    return " and ".join([", ".join(lost[:-1]), lost[-1]]) if len(lost) > 1 else "".join(lost)
