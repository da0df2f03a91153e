"""The chunks of wav and aiff files that hold tags: INFO, ID3, broadcast extension, cue points; and a loop.

https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html and EBU Tech 3285 (bext)
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from musex.audio.tags.id3 import build_id3, parse_id3
from musex.audio.tags.items import Chapter, DamagedTagsError, Item, Tags, numbered
from musex.audio.tags.names import INFO_CHUNKS, NAMES_OF_INFO

LARGEST_CHUNK = 2**30  # bytes that are read
MOST_LOOP_FRAMES = (1 << 32) - 1  # that a sampler chunk can tell
_KEPT = (b"bext", b"iXML", b"axml", b"_PMX", b"cart")
_LOUDNESS = slice(412, 422)  # of a broadcast extension from version 2 on
_UNSAID = struct.pack("<5h", *[0x7FFF] * 5)


def read_riff(file: BinaryIO) -> Tags:
    """Read the tags of a wav or aiff file; raises DamagedTagsError."""
    id3, info, chunks, cues = Tags(), list[Item](), list[Item](), dict[int, int]()
    labels, rate, notes = dict[int, str](), 0, list[str]()
    for name, content in _chunks(file):
        if name == b"fmt " and len(content) >= 8:
            (rate,) = struct.unpack_from("<I", content, 4)
        elif name.lower() == b"id3 ":
            try:
                id3 = parse_id3(content)
            except DamagedTagsError as error:
                notes.append(str(error))
        elif name == b"LIST" and content[:4] == b"INFO":
            info += [_parse_info(key, text) for key, text in _subchunks(content[4:])]
        elif name == b"LIST" and content[:4] == b"adtl":
            labelled = [text for key, text in _subchunks(content[4:]) if key == b"labl" and len(text) > 4]
            labels |= {int.from_bytes(text[:4], "little"): _text(text[4:]) for text in labelled}
        elif name == b"cue ":
            count = min(int.from_bytes(content[:4], "little"), (len(content) - 4) // 24)
            cues |= dict(struct.unpack_from("<I16xI", content, 4 + 24 * number) for number in range(count))
        elif name in _KEPT:
            chunks.append(_parse_chunk(name, content))
    chapters = [(place / rate, labels.get(key, "")) for key, place in cues.items()] if rate else []
    points = tuple(Chapter(start, start, title) for start, title in sorted(chapters))
    own = Tags((*(item for item in info if item.pairs or item.raw), *chunks), (), points, notes=tuple(notes))
    return id3.joined(own) if id3 else own


def write_wav(path: Path, tags: Tags, sample_rate: int) -> None:
    """Append tags to a wav file (RF64 too)."""
    for item in tags.of("chunk"):
        append_chunk(path, item.key.encode("latin-1"), item.raw)
    texts = tags.texts_beside("info")
    said = [(INFO_CHUNKS[name].encode(), values) for name, values in texts.items() if name in INFO_CHUNKS]
    listed = [(key, "; ".join(values).encode(errors="replace") + b"\0") for key, values in said]
    listed += [(item.key.encode("latin-1"), item.raw) for item in tags.of("info")]
    if listed:
        append_chunk(path, b"LIST", b"INFO" + b"".join(_chunk(key, text) for key, text in listed))
    beside = {name for item in tags.items if item.family not in ("info", "chunk") for name, _ in item.pairs}
    several = any(len(values) > 1 for values in texts.values())
    if tags.of("id3") or tags.pictures or several or beside - set(INFO_CHUNKS):
        spoken = tuple(item for item in tags.items if item.family not in ("info", "chunk"))
        append_chunk(path, b"id3 ", build_id3(replace(tags, items=spoken, chapters=())))
    if tags.chapters:
        places = [round(chapter.start * sample_rate) for chapter in tags.chapters]
        points = [struct.pack("<II4sIII", n, place, b"data", 0, 0, place) for n, place in enumerate(places, 1)]
        append_chunk(path, b"cue ", struct.pack("<I", len(points)) + b"".join(points))
        titles = [(n, chapter.title.encode(errors="replace")) for n, chapter in enumerate(tags.chapters, 1)]
        labels = [_chunk(b"labl", struct.pack("<I", number) + title + b"\0") for number, title in titles if title]
        if labels:
            append_chunk(path, b"LIST", b"adtl" + b"".join(labels))


def write_aiff(path: Path, tags: Tags) -> None:
    """Append tags to an aiff file, all of them as ID3."""
    append_chunk(path, b"ID3 ", build_id3(tags))


def append_chunk(path: Path, name: bytes, content: bytes) -> None:
    """Append a chunk to a WAV file (RF64 too) or an AIFF file.

    Raises:
        DamagedTagsError: The file has no room for it: it would be larger than WAV files can be.
    """
    with path.open("r+b") as file:
        kind = file.read(4)
        large, order = kind == b"RF64", ">" if kind == b"FORM" else "<"
        size = file.seek(0, 2)
        data = b"\0" * (size % 2) + _chunk(name, content, order)
        if not large and size + len(data) > 0xFFFF_FFFF:
            raise DamagedTagsError("a file of 4 GB has no room for tags")
        file.write(data)
        whole = file.tell() - 8
        file.seek(20 if large else 4)  # an RF64 file has its size in the ds64 chunk, which comes first
        file.write(struct.pack("<Q" if large else f"{order}I", whole))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a file but its samples."""
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64", b"FORM"):
        raise DamagedTagsError("the tags are damaged")
    order, samples = ("big", b"SSND") if head[:4] == b"FORM" else ("little", b"data")
    long_data, place = 0, 12
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "big" if order == "big" else "little")
        if name == samples:
            size = long_data if size == 0xFFFF_FFFF and long_data else size
        elif size <= LARGEST_CHUNK:
            content = file.read(size)
            if name == b"ds64" and len(content) >= 16:
                (long_data,) = struct.unpack_from("<Q", content, 8)
            yield name, content
        place += 8 + size + size % 2
        file.seek(place)


def _subchunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + b"\0" * (len(content) % 2)


def _text(data: bytes) -> str:
    """UTF-8 where it is, else as Windows wrote it."""
    data = data.split(b"\0")[0]
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace").strip()


def _parse_info(key: bytes, data: bytes) -> Item:
    """A text of the INFO list; those that have a name are written anew."""
    name, text = NAMES_OF_INFO.get(key.decode("latin-1")), _text(data)
    if name is None:
        return Item((), "info", key.decode("latin-1"), data)
    if not text:
        return Item()
    return Item(numbered(name, text) if name == "TRACKNUMBER" else ((name, text),))


def _parse_chunk(name: bytes, content: bytes) -> Item:
    """A chunk that is kept whole, but for the loudness that a broadcast extension tells."""
    key = name.decode("latin-1")
    if name != b"bext" or len(content) < 602:
        return Item((), "chunk", key, content)
    if content[346] >= 2:
        content = content[: _LOUDNESS.start] + _UNSAID + content[_LOUDNESS.stop :]
    fields = {"DESCRIPTION": slice(0, 256), "ORIGINATOR": slice(256, 288), "DATE": slice(320, 330)}
    texts = {field: _text(content[place]) for field, place in fields.items()}
    return Item(tuple((field, text) for field, text in texts.items() if text), "chunk", key, content)


def mark_loop(path: Path, loop: tuple[int, int], sample_rate: int) -> None:
    """Append a `smpl` chunk to a WAV file (RF64 too): it loops, for ever, from a frame on for so many frames.

    The chunk names the loop's first frame and its last, which is played, too.
    """
    start, frames = loop
    if start + frames > MOST_LOOP_FRAMES:
        return
    period = round(1e9 / sample_rate)
    sampler = struct.pack("<9I", 0, 0, period, 60, 0, 0, 0, 1, 0)  # middle C, one loop
    append_chunk(path, b"smpl", sampler + struct.pack("<6I", 0, 0, start, start + frames - 1, 0, 0))  # forward, endless
