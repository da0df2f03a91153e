"""An output as a file: what a plan says of it in its tags, and where it loops."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from musex import __version__
from musex.audio.song import Samples, Song
from musex.audio.writing import encode_song, write_song
from musex.errors import AudioError
from musex.planning.weights import SEARCH
from musex.plans import Plan
from musex.system.progress import OnProgress
from musex.system.side_files import written_together

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sound:
    """What goes into a file.

    Attributes:
        blocks: of it.
        frames: of all blocks.
        song: in whose form it is, and with whose tags.
        title: what these add to the song's.
        encoded_by: what they say of its making.
        loop: the first frame of its loop, and how many that has, where it loops.
    """

    blocks: Iterable[Samples]
    frames: int
    song: Song
    title: str | None
    encoded_by: str
    loop: tuple[int, int] | None = None


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
        loop=(plan.intro, frames - plan.intro) if ending == "loop" else None,
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
    loop: tuple[int, int] | None = None,
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
        loop=loop,
        untouched=untouched,
    )
    for note in notes:
        logger.warning(note)


def write_together(
    paths: Sequence[Path],
    sounds: Iterable[Sound],
    *,
    frames: int,
    force: bool,
    report: OnProgress,
    bitrate: str | None = None,
) -> None:
    """Write a sound to each path, or none, of so many frames in all; the log tells what the user should know."""
    done = 0
    with written_together(paths, AudioError, force=force) as waiting:
        for path, temporary, sound in zip(paths, waiting, sounds, strict=True):
            notes = encode_song(
                temporary,
                counted(sound.blocks, frames, report, done=done),
                song=sound.song,
                name=path,
                title_suffix=sound.title,
                encoded_by=sound.encoded_by,
                bitrate=bitrate,
                loop=sound.loop,
            )
            done += sound.frames
            for note in notes:
                logger.warning(f"{path.name}: {note}")


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
