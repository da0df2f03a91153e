"""Vorbis comments, of flac, ogg and opus files: one packet of names and values, and their pictures.

https://xiph.org/vorbis/doc/v-comment.html, RFC 9639 (FLAC) and RFC 7845 (Opus)
"""

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from musex.audio.tags.items import DamagedTagsError, Item, Pairs, Picture, Tags, numbered
from musex.audio.tags.names import name_of

VENDOR = b"ffmpeg"  # whose encoders made the samples
STREAMINFO, PADDING, COMMENTS, PICTURE = 0, 1, 4, 6  # kinds of FLAC's metadata blocks
LARGEST_BLOCK = 2**24 - 1  # bytes of one of them
LARGEST_PACKET = 2**28  # bytes of comments in an Ogg file that are read
FEW_BYTES = 120  # of comments that loop points may follow
_CHAPTERS = re.compile(r"CHAPTER\d+(NAME|URL)?", re.IGNORECASE)
_KEY, _NOT_IN_KEYS = re.compile(r"[ -<>-}]+"), re.compile(r"[^ -<>-}]")
_OF_THE_FILE = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"  # which ffmpeg writes among FLAC's comments
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def parse_comments(data: bytes) -> Tags:
    """Read the comments of a packet or block, after what begins it in Ogg; raises DamagedTagsError."""
    items, pictures, notes = list[Item](), list[Picture](), list[str]()
    for key, value in _comments(data, notes):
        try:
            if key.upper() == "METADATA_BLOCK_PICTURE":
                pictures.append(parse_picture(base64.b64decode(value, validate=False)))
            elif key.upper() == "COVERART":
                pictures.append(Picture(base64.b64decode(value, validate=False)))
            elif not _CHAPTERS.fullmatch(key) and key.upper() != "COVERARTMIME":
                items.append(Item(_pairs(name_of(key), value.decode(errors="replace")), "vorbis", key, value))
        except (DamagedTagsError, binascii.Error):
            notes.append("a damaged picture is left out")
    return Tags(tuple(items), tuple(pictures), notes=tuple(notes))


def build_comments(tags: Tags, *, pictures: bool, more: tuple[bytes, ...] = ()) -> bytes:
    """The comments of a packet or block, pictures among them if they shall be."""
    comments = [item.key.encode("ascii", "replace") + b"=" + item.raw for item in tags.of("vorbis")]
    for name, values in tags.texts_beside("vorbis").items():
        field = name.partition(":")[0] or name
        key = name if _KEY.fullmatch(name) else re.sub(_NOT_IN_KEYS, "_", field)
        comments += [f"{key}={value}".encode(errors="replace") for value in values]
    for number, chapter in enumerate(tags.chapters, 1):
        minutes, seconds = divmod(round(chapter.start * 1000) / 1000, 60)
        time = f"{minutes // 60:02.0f}:{minutes % 60:02.0f}:{seconds:06.3f}"
        comments += [f"CHAPTER{number:03}={time}".encode(), f"CHAPTER{number:03}NAME={chapter.title}".encode()]
    if pictures:
        blocks = [base64.b64encode(build_picture(picture)) for picture in tags.pictures]
        comments += [b"METADATA_BLOCK_PICTURE=" + block for block in blocks]
    comments += more
    return _packed(VENDOR) + struct.pack("<I", len(comments)) + b"".join(map(_packed, _loops_first(comments)))


def _packed(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text


def _loops_first(comments: list[bytes]) -> list[bytes]:
    """Loop points where RPG Maker MV finds them, which reads 255 bytes of the packet: first, or last of few.

    It reads on after a number while there are digits, and the length of the comment that follows may begin with one.
    """
    loops = [comment for comment in comments if comment.startswith((b"LOOPSTART=", b"LOOPLENGTH="))]
    if not loops:
        return comments
    others = [comment for comment in comments if comment not in loops]
    names = [comment.partition(b"=")[0].upper() for comment in others]
    next_ones = [
        number
        for number, (comment, name) in enumerate(zip(others, names, strict=True))
        if len(comment) % 256 not in b"0123456789" and (number == 0 or names.count(name) == 1)
    ]
    if next_ones:
        return [*loops, others.pop(next_ones[0]), *others]
    return [*others, *loops] if sum(map(len, others)) < FEW_BYTES else [*loops, *others]


def replace_comments(data: bytes, names: re.Pattern[str], texts: Mapping[str, str]) -> bytes:
    """The comments of a packet or block, byte for byte, with others in the place of those whose names match.

    Raises:
        DamagedTagsError: They are cut off.
    """
    try:
        (vendor,) = struct.unpack_from("<I", data)
        (count,) = struct.unpack_from("<I", data, 4 + vendor)
        place, kept = 8 + vendor, list[bytes]()
        for _ in range(count):
            (size,) = struct.unpack_from("<I", data, place)
            comment, place = data[place + 4 : place + 4 + size], place + 4 + size
            if place > len(data):
                raise DamagedTagsError("the tags are cut off")
            if not names.fullmatch(comment.partition(b"=")[0].decode(errors="replace")):
                kept.append(comment)
    except struct.error as error:
        raise DamagedTagsError("the tags are cut off") from error
    kept += [f"{name}={text}".encode() for name, text in texts.items()]
    return data[: 4 + vendor] + struct.pack("<I", len(kept)) + b"".join(map(_packed, _loops_first(kept))) + data[place:]


def parse_picture(block: bytes) -> Picture:
    """Read a picture as FLAC and Ogg keep it (RFC 9639, 8.8); raises DamagedTagsError."""
    try:
        kind, length = struct.unpack_from(">II", block)
        mime_type = block[8 : 8 + length]
        (size,) = struct.unpack_from(">I", block, 8 + length)
        place = 12 + length + size
        description = block[12 + length : place].decode(errors="replace")
        (size,) = struct.unpack_from(">I", block, place + 16)
    except struct.error as error:
        raise DamagedTagsError("a picture is cut off") from error
    data = block[place + 20 : place + 20 + size]
    if not data or mime_type == b"-->":
        raise DamagedTagsError("a picture is not in the file")
    return Picture(data, kind if kind < 256 else 0, description)


def build_picture(picture: Picture) -> bytes:
    """A picture as FLAC and Ogg keep it, its size in pixels left unsaid."""
    mime_type, description = picture.mime_type.encode(), picture.description.encode(errors="replace")
    head = struct.pack(">II", picture.kind, len(mime_type)) + mime_type
    head += struct.pack(">I", len(description)) + description
    return head + struct.pack(">IIIII", 0, 0, 0, 0, len(picture.data)) + picture.data


def read_flac(file: BinaryIO) -> Tags:
    """Read the blocks after "fLaC", where the file stands; raises DamagedTagsError if they are cut off."""
    comments, pictures, notes, last = Tags(), list[Picture](), list[str](), False
    while not last:
        head = file.read(4)
        if len(head) < 4:
            raise DamagedTagsError("the tags are cut off")
        last, kind, size = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:])
        if kind not in (COMMENTS, PICTURE):
            file.seek(size, 1)
            continue
        block = file.read(size)
        if kind == COMMENTS:
            comments = parse_comments(block)
        else:
            try:
                pictures.append(parse_picture(block))
            except DamagedTagsError:
                notes.append("a damaged picture is left out")
    return Tags(comments.items, (*pictures, *comments.pictures), notes=(*comments.notes, *notes))


def build_flac(tags: Tags, *, more: tuple[bytes, ...] = ()) -> bytes:
    """The metadata blocks after FLAC's first; pictures that are too large for one are left out."""
    blocks = [(COMMENTS, build_comments(tags, pictures=False, more=more))]
    blocks += [(PICTURE, build_picture(picture)) for picture in tags.pictures]
    return b"".join(_block(kind, block) for kind, block in blocks if len(block) <= LARGEST_BLOCK)


def write_flac(path: Path, tags: Tags) -> None:
    """Put tags into the room that `path` has before its samples, which is enough."""
    with path.open("r+b") as file:
        file.seek(4)
        blocks = list[tuple[int, bytes]]()
        start, last = 0, False
        while not last:
            head = file.read(4)
            last, kind = bool(head[0] & 0x80), head[0] & 0x7F
            blocks.append((kind, file.read(int.from_bytes(head[1:]))))
            start = start or file.tell()  # after STREAMINFO
        room = file.tell() - start
        content = [block for kind, block in blocks if kind == COMMENTS]
        kept = [f"{key}=".encode() + value for key, value in _comments(content[0], []) if key.upper() == _OF_THE_FILE]
        data = build_flac(tags, more=tuple(kept))
        rest = room - len(data) - 4
        assert rest >= 0, "the encoder leaves the room that it was asked for"
        file.seek(start)
        file.write(data + _block(PADDING | 0x80, bytes(rest)))


def read_ogg(file: BinaryIO) -> Tags:
    """Read the comments of an Ogg file's first stream; raises DamagedTagsError."""
    packets = _packets(file)
    try:
        first, second = next(packets), next(packets)
    except StopIteration:
        raise DamagedTagsError("the tags are cut off") from None
    if first[1:7] == b"vorbis":
        return parse_comments(second[7:])
    if first[:8] == b"OpusHead":
        return parse_comments(second[8:])
    if first[:5] == b"\x7fFLAC":
        return parse_comments(second[4:])
    raise DamagedTagsError("an Ogg file of another kind")


def write_ogg(path: Path, tags: Tags) -> None:
    """Put tags in the place of the comments of a file, whose packet is long enough."""
    with path.open("r+b") as file:
        pages = list(_pages(file, packets=2))
        packet = b"".join(content for _, _, content, number in pages if number == 1)
        start = 8 if packet[:8] == b"OpusTags" else 7
        data = packet[:start] + build_comments(tags, pictures=True) + (b"\1" if start == 7 else b"")
        assert len(data) <= len(packet), "the packet has the length that it was given"
        data = data.ljust(len(packet), b"\0")  # which every reader skips
        place, touched = 0, dict[int, int]()
        for page, offset, content, number in pages:
            if number == 1:
                file.seek(offset)
                file.write(data[place : place + len(content)])
                place += len(content)
                touched[page] = page
        for page in touched:
            _seal_page(file, page)


def _block(kind: int, block: bytes) -> bytes:
    return bytes((kind,)) + len(block).to_bytes(3) + block


def _comments(data: bytes, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """The names and values of a packet."""
    try:
        (vendor,) = struct.unpack_from("<I", data)
        (count,) = struct.unpack_from("<I", data, 4 + vendor)
    except struct.error as error:
        raise DamagedTagsError("the tags are damaged") from error
    place = 8 + vendor
    for _ in range(count):
        size = int.from_bytes(data[place : place + 4], "little")
        if place + 4 + size > len(data) or place + 4 > len(data):
            notes.append("the tags are cut off: what cannot be read of them is left out")
            return
        key, separator, value = data[place + 4 : place + 4 + size].partition(b"=")
        place += 4 + size
        if separator and key:
            yield key.decode(errors="replace"), value


def _pairs(name: str, value: str) -> Pairs:
    if name in ("TRACKNUMBER", "DISCNUMBER"):
        return numbered(name, value)
    return ((name, value),) if value else ()


def _pages(file: BinaryIO, packets: int) -> Iterator[tuple[int, int, bytes, int]]:
    """Pieces of the first packets: where their page and they begin, what they hold, and the packet's number."""
    number, page, serial = 0, 0, b""
    while number < packets:
        file.seek(page)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            raise DamagedTagsError("the tags are cut off")
        lengths = file.read(head[26])
        offset, end = page + 27 + len(lengths), page + 27 + len(lengths) + sum(lengths)
        serial = serial or head[14:18]
        length = 0
        for lacing in (*lengths, -1) if head[14:18] == serial else ():
            length += max(lacing, 0)
            if lacing < 255 and (length or lacing == 0) and number < packets:
                file.seek(offset)
                yield page, offset, file.read(length), number
                offset, length = offset + length, 0
                number += lacing >= 0
        page = end


def _packets(file: BinaryIO) -> Iterator[bytes]:
    """The first two packets of a file's first stream."""
    packet, packet_number = list[bytes](), 0
    for _, _, content, number in _pages(file, packets=2):
        if number != packet_number:
            yield b"".join(packet)
            packet, packet_number = [], number
        packet.append(content)
        if sum(map(len, packet)) > LARGEST_PACKET:
            raise DamagedTagsError("the tags are too large")
    yield b"".join(packet)


def _seal_page(file: BinaryIO, page: int) -> None:
    """Write a page's checksum anew."""
    file.seek(page)
    head = file.read(27)
    lengths = file.read(head[26])
    sealed = seal_page(head + lengths + file.read(sum(lengths)))
    file.seek(page)
    file.write(sealed)


def seal_page(page: bytes) -> bytes:
    """A page with its checksum: a CRC of 32 bits like zlib's, but with the highest bit of each byte first."""
    content = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(content.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return page[:22] + int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little") + page[26:]
