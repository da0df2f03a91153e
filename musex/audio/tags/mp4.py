"""MP4's tags: the atoms of "ilst", and chapters as Nero writes them.

https://developer.apple.com/documentation/quicktime-file-format and https://mutagen.readthedocs.io/en/latest/api/mp4.html
for the kinds of data.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from musex.audio.tags.items import (
    FRONT_COVER,
    Chapter,
    DamagedTagsError,
    Item,
    Pairs,
    Picture,
    Tags,
    numbered,
    take_number,
)
from musex.audio.tags.names import MP4_ATOMS, NAMES_OF_MP4, genre_of, name_of, words_of

PICTURES = {"image/jpeg": 13, "image/png": 14}  # their kinds of data
LARGEST_MOOV = 2**30  # bytes that are read
_BINARY, _UTF8, _UTF16, _INTEGER = 0, 1, 2, 21  # kinds of data
_MEAN = "com.apple.iTunes"
_FLAGS = ("cpil", "pgap")
_HANDLER = b"\0" * 8 + b"mdirappl" + b"\0" * 9


def read_mp4(file: BinaryIO) -> Tags:
    """Read the tags of a file; raises DamagedTagsError."""
    file.seek(0, 2)
    for kind, start, stop in _top_atoms(file, file.tell()):
        if kind == b"moov":
            if stop - start > LARGEST_MOOV:
                raise DamagedTagsError("the tags are too large")
            file.seek(start)
            return parse_moov(file.read(stop - start))
    return Tags()


def parse_moov(moov: bytes) -> Tags:
    """Read the tags of a file's description."""
    items, pictures, notes = list[Item](), list[Picture](), list[str]()
    for content in _inside(moov, b"udta"):
        for meta in _inside(content, b"meta"):
            for ilst in _inside(meta[0 if meta[4:8] == b"hdlr" else 4 :], b"ilst"):
                for kind, atom in _atoms(ilst):
                    try:
                        if kind == b"covr":
                            pictures += [Picture(data) for _, data in _data(atom) if data]
                        elif item := _parse_item(kind, atom):
                            items.append(item)
                    except (struct.error, ValueError):
                        notes.append(f"a damaged tag is left out: {kind.decode('latin-1')}")
    others = (Picture(picture.data, 0) for picture in pictures[1:])
    first = (Picture(picture.data, FRONT_COVER) for picture in pictures[:1])
    return Tags(tuple(items), (*first, *others), notes=tuple(notes))


def write_mp4(path: Path, tags: Tags) -> None:
    """Put tags into the description of an encoded file, which is its last part."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        *_, (kind, start, stop) = _top_atoms(file, file.tell())
        assert kind == b"moov", "ffmpeg describes a file after its samples"
        file.seek(start)
        moov = file.read(stop - start)
        atoms = [(name, content) for name, content in _atoms(moov) if name != b"udta"]
        ilst = b"".join(_build_items(tags))
        meta = b"\0" * 4 + _atom(b"hdlr", _HANDLER) + _atom(b"ilst", ilst)
        udta = _atom(b"meta", meta) + (_atom(b"chpl", _build_chapters(tags.chapters)) if tags.chapters else b"")
        file.seek(start - 8)
        file.write(_atom(b"moov", b"".join(_atom(name, content) for name, content in (*atoms, (b"udta", udta)))))
        file.truncate()


def _top_atoms(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, beginning and end of what is in each part of a file."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        start = place + 8
        if length == 1:
            length, start = int.from_bytes(file.read(8)), place + 16
        stop = size if length == 0 else place + length
        if stop < start or stop > size:
            raise DamagedTagsError("the tags are cut off")
        yield kind, start, stop
        place = stop


def _atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8 or place + length > len(data):
            return
        yield kind, data[place + 8 : place + length]
        place += length


def _inside(data: bytes, kind: bytes) -> Iterator[bytes]:
    return (content for name, content in _atoms(data) if name == kind)


def _atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _data(atom: bytes) -> list[tuple[int, bytes]]:
    """The kinds and values of an atom."""
    return [(int.from_bytes(content[:4]), content[8:]) for content in _inside(atom, b"data")]


def _parse_item(kind: bytes, atom: bytes) -> Item | None:
    """One atom of "ilst"; None for those without a value."""
    key, values = kind.decode("latin-1"), _data(atom)
    if not values:
        return None
    if key == "----":
        mean, words = (b"".join(_inside(atom, part))[4:].decode() for part in (b"mean", b"name"))
        texts = [data.decode(errors="replace") for kind_of_data, data in values if kind_of_data == _UTF8]
        return Item(tuple((name_of(words), text) for text in texts if text), "mp4", f"{key}:{mean}:{words}", atom)
    return Item(_pairs(key, values), "mp4", key, atom)


def _pairs(key: str, values: list[tuple[int, bytes]]) -> Pairs:
    """What an atom says that other families can say."""
    name, data = NAMES_OF_MP4.get(key), values[0][1]
    if key in ("trkn", "disk"):
        number, total = struct.unpack_from(">HH", data, 2)
        return numbered(NAMES_OF_MP4[key], f"{number}/{total}")
    if key == "gnre":
        return (("GENRE", genre_of(str(int.from_bytes(data) - 1))),)
    if key in _FLAGS or key == "tmpo":
        return ((NAMES_OF_MP4[key], str(int.from_bytes(data))),) if any(data) else ()
    if name is None and key != "©enc":
        return ()
    texts = [text.decode({_UTF16: "utf-16-be"}.get(kind, "utf-8"), "replace") for kind, text in values]
    return tuple((name or "ENCODEDBY", text) for text in texts if text)


def _build_items(tags: Tags) -> Iterator[bytes]:
    """The atoms of "ilst"."""
    for item in tags.of("mp4"):
        yield _atom(item.key[:4].encode("latin-1"), item.raw)
    texts = tags.texts_beside("mp4")
    for key in ("trkn", "disk"):
        if number := take_number(texts, NAMES_OF_MP4[key]):
            parts = [int(part) if part.isdecimal() else 0 for part in f"{number}/0".split("/")[:2]]
            numbers = struct.pack(">HHH", 0, *(min(part, 65_535) for part in parts))
            yield _atom(key.encode(), _value(_BINARY, numbers + b"\0\0" * (key == "trkn")))
    for name, values in texts.items():
        atom = MP4_ATOMS.get(name)
        if atom == "tmpo" and (tempo := _tempo_of(values[0])):
            yield _atom(b"tmpo", _value(_INTEGER, struct.pack(">H", tempo)))
        elif atom in _FLAGS:
            yield _atom(atom.encode(), _value(_INTEGER, bytes((values[0].strip() not in ("", "0"),))))
        elif atom and atom != "tmpo":
            yield _atom(atom.encode("latin-1"), b"".join(_value(_UTF8, _utf8(value)) for value in values))
        else:
            words = _atom(b"mean", b"\0" * 4 + _MEAN.encode()) + _atom(b"name", b"\0" * 4 + _utf8(words_of(name)))
            yield _atom(b"----", words + b"".join(_value(_UTF8, _utf8(value)) for value in values))
    pictures = [(PICTURES[picture.mime_type], picture.data) for picture in tags.pictures]
    if pictures:
        yield _atom(b"covr", b"".join(_value(kind, data) for kind, data in pictures))


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")


def _value(kind: int, data: bytes) -> bytes:
    return _atom(b"data", struct.pack(">II", kind, 0) + data)


def _tempo_of(text: str) -> int:
    """Beats per minute as a whole number; 0 if it is none."""
    try:
        tempo = round(float(text.replace(",", ".")))
    except (ValueError, OverflowError):
        return 0
    return tempo if 0 < tempo < 65_536 else 0


def _build_chapters(chapters: tuple[Chapter, ...]) -> bytes:
    """Nero's list: beginnings in units of 100 ns, and titles of up to 255 bytes."""
    packed = [(round(chapter.start * 10_000_000), _utf8(chapter.title)[:255]) for chapter in chapters[:255]]
    entries = [struct.pack(">QB", start, len(title)) + title for start, title in packed]
    return b"\1" + b"\0" * 7 + bytes((len(entries),)) + b"".join(entries)
