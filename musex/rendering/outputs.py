"""An output as a file: what a plan says of it in its tags, and where it loops."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from musex import __version__
from musex.audio.song import Samples, Song
from musex.audio.writing import write_song
from musex.planning.weights import SEARCH
from musex.plans import Plan
from musex.system.progress import OnProgress

logger = logging.getLogger(__name__)


def write_plan(
    plan: Plan, blocks: Iterable[Samples], song: Song, path: str | Path, *, force: bool, bitrate: str | None
) -> None:
    """Write what a plan plays; as `write_output`."""
    frames, ending = round(plan.seconds * song.sample_rate), plan.settings.ending
    write_output(
        blocks,
        song,
        path,
        force=force,
        bitrate=bitrate,
        title=title_of(plan.song.frames, frames, song.sample_rate, ending),
        encoded_by=made_by(plan.model.name, plan.model.sha256, plan.settings.seed),
        untouched=lambda: plan.untouched,
        loop_frames=frames if ending == "loop" else None,
    )


def write_output(
    blocks: Iterable[Samples],
    song: Song,
    path: str | Path,
    *,
    force: bool,
    bitrate: str | None,
    title: str | None,
    encoded_by: str,
    untouched: Callable[[], int],
    loop_frames: int | None = None,
) -> None:
    """Write blocks as `musex.audio.writing.write_song` does, and log what the user should know."""
    notes = write_song(
        path,
        blocks,
        song=song,
        force=force,
        title_suffix=title,
        encoded_by=encoded_by,
        bitrate=bitrate,
        loop_frames=loop_frames,
        untouched=untouched,
    )
    for note in notes:
        logger.warning(note)


def title_of(song_frames: int, frames: int, sample_rate: int, ending: str) -> str | None:
    """What the title of an output says beside its song's; nothing where it is as long as that."""
    if ending == "loop":
        return " (loop)"
    if abs(frames - song_frames) <= SEARCH.tolerance_seconds * sample_rate:
        return None
    return " (extended)" if frames > song_frames else " (shortened)"


def made_by(name: str, sha256: str, seed: int) -> str:
    """What made an output, for its tag."""
    return f"musex {__version__}, {name} {sha256[:12]}, seed {seed}"


def counted(blocks: Iterable[Samples], frames: int, report: OnProgress, *, done: int = 0) -> Iterator[Samples]:
    """The same blocks; each is reported when it is written, as a part of so many frames, of which some were `done`."""
    for block in blocks:
        yield block
        done += len(block)
        report("Writing", min(1.0, done / frames))
