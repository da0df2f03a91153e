"""What an output takes over from the song's file besides its samples: tags, pictures and class of bit rate."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from musex.audio.ffmpeg import ask_ffmpeg, local_input
from musex.audio.streams import parse_streams
from musex.audio.tags.ape import read_ape
from musex.audio.tags.id3 import HEADER, parse_id3, parse_id3v1, tag_bytes
from musex.audio.tags.items import Chapter, DamagedTagsError, Item, Pairs, Picture, Tags, numbered
from musex.audio.tags.mp4 import read_mp4
from musex.audio.tags.names import name_of
from musex.audio.tags.riff import read_riff
from musex.audio.tags.vorbis import read_flac, read_ogg

ID3V1 = 128  # bytes
_DAMAGE = (DamagedTagsError, OSError, ValueError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Source:
    """What an output takes over from the song's file besides its samples."""

    tags: Tags = field(default_factory=Tags)
    bit_rate: int | None = None  # kb/s
    codec: str = ""  # as ffmpeg names it


def read_source(path: Path | None, stream: int = 1) -> Source:
    """The tags of the song's file, and codec and bit rate of an audio stream; nothing where they cannot be told."""
    if path is None or not path.is_file():
        return Source()
    number = f"0:a:{stream - 1}"
    arguments = [*local_input(path), "-map", number, "-map_chapters", "-1", "-c", "copy", "-t", "0"]
    answer, log = ask_ffmpeg([*arguments, "-f", "ffmetadata", "pipe:1"], path)
    text, log = answer.decode(errors="replace"), log.split("Stream mapping", 1)[0]
    audio = next((audio_stream.description for audio_stream in parse_streams(log)[stream - 1 :]), "")
    lossy = re.match(r"(?:mp3|vorbis|aac|wma)\b.*?(\d+) kb/s", audio)
    rate = int(lossy[1]) if lossy else None
    codec = next(iter(re.findall(r"^\w+", audio)), "")
    tags = read_tags(path)
    if not tags.items:
        tags = tags.joined(_tags_of_ffmpeg(text))
    if not tags.pictures and (cover := _cover_of_ffmpeg(path, log)):
        tags = replace(tags, pictures=(cover,))
    if not tags.chapters:
        tags = replace(tags, chapters=_chapters_of_ffmpeg(log))
    return Source(tags.kept(), rate, codec)


def read_tags(path: Path) -> Tags:
    """All tags of a file, whatever it holds; damaged ones are left out with a note."""
    tags = Tags()
    blocks = _blocks(path)
    while True:
        try:
            block = next(blocks, None)
        except _DAMAGE as error:
            reason = str(error) if isinstance(error, DamagedTagsError) else "they are damaged"
            return replace(tags, notes=(*tags.notes, f"some tags of {path.name} cannot be read: {reason}"))
        if block is None:
            return tags
        tags = tags.joined(block)


def _blocks(path: Path) -> Iterator[Tags]:
    """A file's tags, those first that count more."""
    with path.open("rb") as file:
        id3, size = Tags(), tag_bytes(file.read(HEADER))
        file.seek(0)
        if size:
            id3 = parse_id3(file.read(size))
        file.seek(size)
        head = file.read(12)
        file.seek(size)
        if head[:4] == b"fLaC":
            file.seek(size + 4)
            yield read_flac(file)
            yield _in_words(id3)
        elif head[:4] == b"OggS":
            yield read_ogg(file)
        elif head[4:8] == b"ftyp":
            yield read_mp4(file)
        elif (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE") or head[:4] == b"FORM":
            yield read_riff(file)
        else:
            yield id3
            end = file.seek(0, 2)
            file.seek(max(0, end - ID3V1))
            old = parse_id3v1(file.read(ID3V1))
            yield read_ape(file, end - ID3V1 * bool(old))
            yield old


def _in_words(tags: Tags) -> Tags:
    """Tags of a family that is not the file's own: what they say, without their bytes."""
    return replace(tags, items=tuple(Item(item.pairs) for item in tags.items if item.pairs))


def _tags_of_ffmpeg(text: str) -> Tags:
    """What ffmpeg tells of tags, for files whose own are not known here."""
    items, names = list[Item](), set[str]()
    for key, value in re.findall(r"^((?:\\.|[^=\\\n])+)=((?:\\.|[^\\\n])*)$", text, re.MULTILINE | re.DOTALL):
        key, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in (key, value))
        name = name_of(key)
        if name not in names and name != "LANGUAGE":  # which is the stream's, and a default
            items.append(Item(_pairs(name, value)))
        names.add(name)  # the file's own come before those of its streams
    return Tags(tuple(item for item in items if item.pairs))


def _pairs(name: str, value: str) -> Pairs:
    return numbered(name, value) if name in ("TRACKNUMBER", "DISCNUMBER") else ((name, value),)


def _cover_of_ffmpeg(path: Path, log: str) -> Picture | None:
    """The picture that ffmpeg finds in a file, as it is."""
    cover = re.search(r"Stream #0:(\d+)\S* Video: (?:mjpeg|png|bmp|gif|webp)\b.*\(attached pic\)", log)
    if not cover:
        return None
    arguments = [*local_input(path), "-map", f"0:{cover[1]}", "-c:v", "copy", "-frames:v", "1"]
    data, _ = ask_ffmpeg([*arguments, "-f", "image2pipe", "pipe:1"], path)
    return Picture(data) if data else None


def _chapters_of_ffmpeg(log: str) -> tuple[Chapter, ...]:
    pattern = r"^ {4}Chapter #0:\d+: start ([\d.]+), end ([\d.]+)\n(?: {6}Metadata:\n {8}title +: (.*)\n)?"
    chapters = re.findall(pattern, log, re.MULTILINE)
    return tuple(Chapter(float(start), float(end), title) for start, end, title in chapters)
