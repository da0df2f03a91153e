"""What an output's tags are, the room that its encoder leaves for them, and how they come into the file.

ffmpeg knows one text a name and few of the fields that formats have, so it writes none: it leaves as much room as they
take, where a file has its tags before its samples, and they are put there when all else is done.
"""

import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from musex.audio.ffmpeg import ask_ffmpeg
from musex.audio.tags.id3 import HEADER, build_id3, tag_bytes
from musex.audio.tags.items import Chapter, DamagedTagsError, Picture, Tags
from musex.audio.tags.mp4 import PICTURES, write_mp4
from musex.audio.tags.riff import write_aiff, write_wav
from musex.audio.tags.source import Source
from musex.audio.tags.vorbis import LARGEST_BLOCK, build_comments, build_flac, build_picture, write_flac, write_ogg

logger = logging.getLogger(__name__)

USUAL_PADDING = 8_192  # bytes that flac files have left for tags to grow
_OGG = (".ogg", ".opus")
_DECODERS = {"image/webp": "webp_pipe", "image/gif": "gif", "image/bmp": "bmp_pipe"}  # ffmpeg's


@dataclass(frozen=True)
class Output:
    """The tags of a file that is to be written."""

    suffix: str
    tags: Tags

    def arguments(self, folder: Path) -> list[str]:
        """What ffmpeg is told: no tags, and room for these; `folder` is for what is too long for its command line."""
        bare = ["-map", "0:a", "-map_chapters", "-1"]
        if self.suffix in _OGG:
            file, length = folder / "room.txt", len(build_comments(self.tags, pictures=True))
            file.write_text(f";FFMETADATA1\nroom={'.' * length}\n", encoding="ascii")
            return ["-f", "ffmetadata", "-i", f"file:{file}", *bare, "-map_metadata", "1"]
        bare += ["-map_metadata", "-1"]
        if self.suffix == ".mp3":
            bare += ["-metadata_header_padding", str(len(build_id3(self.tags)) - HEADER)]
        if self.suffix == ".flac":
            room = max(len(build_flac(self.tags)), USUAL_PADDING)
            bare += ["-metadata_header_padding", str(room)]
        return bare

    def with_chapters(self, chapters: Sequence[Chapter]) -> "Output":
        """With other chapters, no more and with no longer titles than those that room was left for."""
        return replace(self, tags=replace(self.tags, chapters=tuple(chapters)))

    def write(self, path: Path, *, sample_rate: int, untouched_seconds: float) -> list[str]:
        """Put the tags into the encoded file; chapters only where the song plays as it is, from its beginning on.

        Returns:
            What was left out.
        """
        chapters = tuple(chapter for chapter in self.tags.chapters if chapter.end <= untouched_seconds)
        tags, notes = replace(self.tags, chapters=chapters), list[str]()
        if left_out := len(self.tags.chapters) - len(chapters):
            what = "chapter is" if left_out == 1 else "chapters are"
            notes.append(f"{left_out} {what} left out: the output plays other music at its time")
        if self.suffix == ".mp3":
            with path.open("r+b") as file:
                room = tag_bytes(file.read(HEADER))
                file.seek(0)
                file.write(build_id3(tags, room))
        elif self.suffix == ".flac":
            write_flac(path, tags)
        elif self.suffix in _OGG:
            write_ogg(path, tags)
        elif self.suffix == ".m4a":
            write_mp4(path, tags)
        elif self.suffix == ".wav":
            try:
                write_wav(path, tags, sample_rate)
            except DamagedTagsError as error:
                notes.append(str(error))
        elif self.suffix in (".aiff", ".aif"):
            write_aiff(path, tags)
        return notes


def prepare_output(
    suffix: str,
    source: Source,
    *,
    title_suffix: str | None,
    encoded_by: str | None,
    loop: tuple[int, int] | None,
    notes: list[str],
) -> Output:
    """The tags of a file of this format, and what is said in it of its making.

    Args:
        suffix: The file's ending, one that can be written.
        source: What is taken over from the song's file.
        title_suffix: Appended to the title, where the song has one.
        encoded_by: What made the file.
        loop: Where the file loops: the first frame and how many, for the tags LOOPSTART and LOOPLENGTH.
        notes: What is left out is added to them.
    """
    notes += source.tags.notes
    own = list[tuple[str, str]]()
    if encoded_by is not None:
        own.append(("ENCODER" if suffix == ".m4a" else "ENCODEDBY", encoded_by))
    if loop is not None:
        own += [("LOOPSTART", str(loop[0])), ("LOOPLENGTH", str(loop[1]))]
    tags = source.tags.retitled(title_suffix) if title_suffix else source.tags
    tags = replace(tags.with_pairs(*own), pictures=_fitting_pictures(suffix, tags.pictures, notes))
    output = Output(suffix, tags)
    try:
        _check(output)
    except (DamagedTagsError, ValueError, OverflowError, struct.error) as error:
        logger.debug("tags cannot be written", exc_info=True)
        reason = str(error) if isinstance(error, DamagedTagsError) else "they are damaged"
        notes.append(f"the song's tags cannot be written: {reason}")
        output = Output(suffix, Tags().with_pairs(*own))
    return output


def _check(output: Output) -> None:
    """Write tags to nowhere, as `Output.write` does later."""
    if output.suffix == ".flac":
        if len(build_flac(output.tags)) > LARGEST_BLOCK:
            raise DamagedTagsError("a flac file holds 16 MB of them")
    elif output.suffix in _OGG:
        build_comments(output.tags, pictures=True)
    else:
        build_id3(output.tags)


def _fitting_pictures(suffix: str, pictures: tuple[Picture, ...], notes: list[str]) -> tuple[Picture, ...]:
    """Those that the format has room for and can hold, converted where it has no name for their kind."""
    fitting, left, lost = list[Picture](), LARGEST_BLOCK * 3 // 4, 0  # in a flac file texts need room, too
    for picture in pictures:
        if suffix == ".m4a" and picture.mime_type not in PICTURES:
            converted = _to_png(picture)
            if converted is None:
                notes.append(f"m4a files hold no picture of the type {picture.mime_type}: left out")
                continue
            picture = converted
        size = len(build_picture(picture))
        if suffix == ".flac" and size > left:
            lost += 1
            continue
        left -= size
        fitting.append(picture)
    if lost:
        notes.append(f"flac files hold 16 MB of pictures: {lost} left out")
    return tuple(fitting)


def _to_png(picture: Picture) -> Picture | None:
    """The same picture as PNG; None if it cannot be read."""
    if picture.mime_type not in _DECODERS:
        return None
    arguments = ["-f", _DECODERS[picture.mime_type], "-i", "pipe:0", "-frames:v", "1", "-c:v", "png"]
    data, _ = ask_ffmpeg([*arguments, "-f", "image2pipe", "pipe:1"], None, given=picture.data)
    return replace(picture, data=data) if data else None
