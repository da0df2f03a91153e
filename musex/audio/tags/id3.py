"""ID3v2 tags, of mp3 files and inside others: read in versions 2.2 to 2.4, written in 2.3 or 2.4.

https://id3.org/id3v2.4.0-structure, id3v2.4.0-frames, id3v2.3.0 and id3v2-chapters-1.0
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from musex.audio.tags.items import Chapter, DamagedTagsError, Item, Pairs, Picture, Tags, numbered, take_number
from musex.audio.tags.names import ID3_FRAMES, NAMES_OF_ID3, genre_of, name_of, words_of

HEADER = 10  # bytes, of the tag and of each frame from version 2.3 on
LARGEST = 2**28 - 1 - HEADER  # bytes of a tag
USUAL_PADDING = 2_048  # bytes that are left for tags to grow, where they must be moved anyway
_MOST_BYTES = 64_000_000  # of a frame that was compressed
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_NO_OFFSET = b"\xff" * 8  # chapters say their bytes' places, or this
_LANGUAGE = b"eng"  # what most programs write and look for, whatever the language is
_MUSICBRAINZ = "http://musicbrainz.org"

# What tells of the samples or bytes of the source: levels, lengths, places, encryption.
_DROPPED = re.compile(
    "RVA2|RVAD|RGAD|XRVA|TLEN|TSIZ|TDEN|TDTG|MLLT|SEEK|ASPI|ETCO|SYTC|SYLT|POSS|RBUF|AENC|ENCR|GRID|SIGN|LINK|CTOC"
)
_ROLES = {"producer": "PRODUCER", "engineer": "ENGINEER", "arranger": "ARRANGER", "mix": "MIXER", "DJ-mix": "DJMIXER"}
_PEOPLE = {name: role for role, name in _ROLES.items()}

# Frames of version 2.2 by their later names.
_LATER_NAMES = (
    "TT1=TIT1 TT2=TIT2 TT3=TIT3 TP1=TPE1 TP2=TPE2 TP3=TPE3 TP4=TPE4 TAL=TALB TRK=TRCK TPA=TPOS TYE=TYER TDA=TDAT "
    "TIM=TIME TCO=TCON TCM=TCOM TXT=TEXT TBP=TBPM TCP=TCMP TKE=TKEY TLA=TLAN TPB=TPUB TCR=TCOP TRC=TSRC TMT=TMED "
    "TOT=TOAL TOA=TOPE TOL=TOLY TOR=TORY TOF=TOFN TEN=TENC TSS=TSSE TLE=TLEN TST=TSOT TSP=TSOP TSA=TSOA TS2=TSO2 "
    "TSC=TSOC TXX=TXXX WXX=WXXX WAR=WOAR WAF=WOAF WAS=WOAS WCM=WCOM WCP=WCOP WPB=WPUB COM=COMM ULT=USLT UFI=UFID "
    "POP=POPM CNT=PCNT GEO=GEOB IPL=IPLS MCI=MCDI MVN=MVNM MVI=MVIN GP1=GRP1"
)
_OF_22 = dict(pair.split("=") for pair in _LATER_NAMES.split())


def tag_bytes(header: bytes) -> int:
    """How many bytes the tag with this header of `HEADER` bytes takes, itself included; 0 if it is none."""
    if len(header) < HEADER or header[:3] != b"ID3" or header[3] not in (2, 3, 4) or max(header[6:10]) > 127:
        return 0
    return HEADER + _syncsafe(header[6:10]) + (HEADER if header[3] == 4 and header[5] & 0x10 else 0)


def parse_id3(data: bytes) -> Tags:
    """Read a tag; raises DamagedTagsError if nothing of it can be."""
    if not tag_bytes(data[:HEADER]):
        raise DamagedTagsError("an ID3 tag has no header")
    version = data[3]
    items, pictures, chapters, notes = list[Item](), list[Picture](), list[Chapter](), list[str]()
    for key, body in _frames(data, notes):
        try:
            if key == "APIC":
                pictures.append(_parse_picture(body))
            elif key == "PIC":
                pictures.append(_parse_picture(body[:1] + body[1:4].strip(b"\0") + b"\0" + body[4:]))
            elif key == "CHAP":
                chapters.append(_parse_chapter(body, version))
            elif not _DROPPED.fullmatch(key):
                items.append(Item(_pairs(key, body), "id3", key, body))
            elif key == "SYLT":
                notes.append("lyrics with times are left out: a longer song has others")
        except (DamagedTagsError, ValueError, IndexError, struct.error):
            notes.append(f"a damaged tag is left out: {key}")
    if version < 4:
        items = _with_whole_date(items)
    return Tags(tuple(items), tuple(pictures), tuple(chapters), max(3, version), tuple(dict.fromkeys(notes)))


def build_id3(tags: Tags, room: int = 0) -> bytes:
    """Write a tag, with zeros up to `room` bytes.

    Raises:
        DamagedTagsError: It is larger than a tag can be.
    """
    version = tags.id3_version
    frames = [(item.key, item.raw) for item in tags.of("id3")]
    frames += _new_frames(tags.texts_beside("id3"), version)
    frames += [("APIC", _build_picture(picture, version)) for picture in tags.pictures]
    frames += _chapter_frames(tags.chapters, version)
    body = b"".join(_frame(key, content, version) for key, content in frames)
    size = max(len(body), room - HEADER)
    if size > LARGEST:
        raise DamagedTagsError(f"tags of {size / 1e6:.0f} MB do not fit into ID3's 256 MB")
    return b"ID3" + bytes((version, 0, 0)) + _to_syncsafe(size) + body.ljust(size, b"\0")


def replace_texts(data: bytes, names: re.Pattern[str], texts: Mapping[str, str]) -> bytes:
    """The same tag, its frames byte for byte, with other texts in the place of those whose own names match.

    Raises:
        DamagedTagsError: It is damaged, or compressed.
    """
    version, flags = data[3], data[5]
    size = _syncsafe(data[6:10])
    body, kept = data[HEADER : HEADER + size], list[bytes]()
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    if flags & 0x40 and version == 2:
        raise DamagedTagsError("the ID3 tag is compressed")
    if flags & 0x40 and len(body) >= 4:  # an extended header, which tells of the tag as it was
        body = body[_syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4]) :]
    head, place = 6 if version == 2 else HEADER, 0
    while place + head <= len(body) and body[place]:
        end = place + head + _frame_size(body, place, version)
        frame, place = body[place:end], end
        if not re.match(rb"[A-Z][A-Z0-9]{2}", frame) or end > len(body):
            raise DamagedTagsError("the ID3 tag is damaged")
        packed = version > 2 and frame[9]  # compressed or encrypted, which says nothing of loops
        described = "" if packed or frame[:3] != b"TXX" else _described(frame[head + 1 :], frame[head])[0]
        if not names.fullmatch(described):
            kept.append(frame)
    for name, text in texts.items():
        content = b"\0" + name.encode() + b"\0" + text.encode()
        new = b"TXX" + len(content).to_bytes(3) + content
        kept.append(new if version == 2 else _frame("TXXX", content, version))
    body = b"".join(kept)
    size = size if len(body) <= size else len(body) + USUAL_PADDING
    flags = flags & 0x80 if version == 4 else 0
    return data[:5] + bytes((flags,)) + _to_syncsafe(size) + body.ljust(size, b"\0")


def parse_id3v1(data: bytes) -> Tags:
    """Read the 128 bytes at a file's end; no tags if they are none."""
    if len(data) != 128 or data[:3] != b"TAG":
        return Tags()
    fields = {"TITLE": data[3:33], "ARTIST": data[33:63], "ALBUM": data[63:93], "DATE": data[93:97]}
    comment = data[97:127]
    if comment[28] == 0 and comment[29]:
        fields["TRACKNUMBER"] = str(comment[29]).encode()
        comment = comment[:28]
    fields["COMMENT"], fields["GENRE"] = comment, genre_of(str(data[127])).encode()
    if data[127] == 255 or fields["GENRE"].isdigit():
        del fields["GENRE"]
    texts = {name: text.split(b"\0")[0].decode("latin-1").strip() for name, text in fields.items()}
    return Tags(tuple(Item(((name, text),)) for name, text in texts.items() if text))


def _syncsafe(data: bytes) -> int:
    return sum(byte << 7 * place for place, byte in enumerate(reversed(data)))


def _to_syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _frames(data: bytes, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """The frames of a tag: their names, of version 2.3 at least, and what is in them, as it was before packing."""
    version, flags = data[3], data[5]
    body = data[HEADER : HEADER + _syncsafe(data[6:10])]
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    place = 0
    if flags & 0x40 and version > 2 and len(body) >= 4:  # an extended header
        place = _syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4])
    yield from split_frames(body[place:], version, unsynchronised=bool(flags & 0x80), notes=notes)


def split_frames(
    body: bytes, version: int, *, notes: list[str], unsynchronised: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Frames one after the other."""
    head, name_length = (6, 3) if version == 2 else (HEADER, 4)
    place = 0
    while place + head <= len(body) and body[place]:
        name = body[place : place + name_length].decode("latin-1")
        if not re.fullmatch(r"[A-Z][A-Z0-9 ]{2,3}", name):
            notes.append("the tags are damaged: what cannot be read of them is left out")
            return
        size = _frame_size(body, place, version)
        content, flags = body[place + head : place + head + size], body[place + 9] if version > 2 else 0
        if len(content) < size:
            notes.append(f"the tags are cut off: {name.strip()} is left out")
            return
        place += head + size
        unpacked = _unpacked(content, flags, version, unsynchronised)
        if unpacked is None:
            notes.append(f"an encrypted or damaged tag is left out: {name}")
        elif version > 2 or name == "PIC":
            yield name.strip(), unpacked
        elif name in _OF_22:
            yield _OF_22[name], unpacked


def _frame_size(body: bytes, place: int, version: int) -> int:
    """A frame's size; some programs write that of version 2.4 as those before it were."""
    if version == 2:
        return int.from_bytes(body[place + 3 : place + 6])
    field = body[place + 4 : place + 8]
    plain = int.from_bytes(field)
    if version == 3 or max(field) > 127:
        return plain
    size = _syncsafe(field)
    if plain == size:
        return size

    def leads_on(end: int) -> bool:
        return end == len(body) or re.match(rb"[A-Z][A-Z0-9]{3}|\0", body[end : end + 4]) is not None

    ends = place + HEADER + size, place + HEADER + plain
    return plain if not leads_on(ends[0]) and leads_on(ends[1]) else size


def _unpacked(content: bytes, flags: int, version: int, unsynchronised: bool) -> bytes | None:
    """What is in a frame; None if it cannot be told."""
    if version == 3:
        compressed, encrypted, skip = flags & 0x80, flags & 0x40, (flags >> 5 & 1) + 4 * (flags >> 7 & 1)
    elif version == 4:
        compressed, encrypted, skip = flags & 0x08, flags & 0x04, (flags >> 6 & 1) + 4 * (flags & 1)
        if flags & 0x02 or unsynchronised:
            content = content.replace(b"\xff\x00", b"\xff")
    else:
        return content
    if encrypted:
        return None
    content = content[skip:]
    if not compressed:
        return content
    try:
        return zlib.decompressobj().decompress(content, _MOST_BYTES)
    except zlib.error:
        return None


def _strings(data: bytes, encoding: int, most: int = -1) -> list[str]:
    """Texts that are ended by NUL, at most so many and the rest."""
    if encoding not in range(4):
        raise DamagedTagsError(f"there is no encoding {encoding}")
    return [text.decode(_ENCODINGS[encoding], "replace") for text in _split(data, encoding, most)]


def _split(data: bytes, encoding: int, most: int = -1) -> list[bytes]:
    """Bytes between NULs, which are two bytes wide in UTF-16."""
    if encoding not in (1, 2):
        return data.split(b"\0", most)
    parts, start, place = list[bytes](), 0, 0
    while most != len(parts) and (place := data.find(b"\0\0", place)) >= 0:
        if (place - start) % 2:
            place += 1
            continue
        parts.append(data[start:place])
        start = place = place + 2
    return [*parts, data[start:]]


def _values(data: bytes, encoding: int) -> list[str]:
    """All texts, without the empty ones of padding."""
    texts = [text.lstrip("\ufeff") for text in _strings(data, encoding)]
    return [text for text in texts if text]


def _pairs(key: str, body: bytes) -> Pairs:
    """What a frame says that other families can say."""
    if key in ("TXXX", "WXXX"):
        words, rest = _described(body[1:], body[0])
        values = _values(rest, body[0] if key == "TXXX" else 0)
        return tuple((name_of(words or "WEBSITE"), value) for value in values)
    if key in ("COMM", "USLT"):
        words, rest = _described(body[4:], body[0])
        name = NAMES_OF_ID3[key] + (f":{words}" if words else "")
        return tuple((name, value) for value in _values(rest, body[0]))
    if key == "UFID":
        owner, _, identifier = body.partition(b"\0")
        return (("MUSICBRAINZ_TRACKID", identifier.decode()),) if owner.decode("latin-1") == _MUSICBRAINZ else ()
    if key in ("TIPL", "TMCL", "IPLS"):
        texts = [text.lstrip("\ufeff") for text in _strings(body[1:], body[0])]
        return tuple(_credit(role, who) for role, who in zip(texts[::2], texts[1::2], strict=False))
    field = {"TYER": "DATE", "TORY": "ORIGINALDATE"}.get(key) or NAMES_OF_ID3.get(key)
    if field is None:
        return ()
    if key[0] == "W":
        return ((field, body.rstrip(b"\0").decode("latin-1")),)
    texts = _values(body[1:], body[0])
    if key in ("TRCK", "TPOS"):
        return tuple(pair for text in texts for pair in numbered(field, text))
    if key == "TCON":
        return tuple((field, genre) for text in texts for genre in _genres(text))
    return tuple((field, text) for text in texts)


def _described(data: bytes, encoding: int) -> tuple[str, bytes]:
    """A text, and what comes after it."""
    words, rest = _split(data, encoding, 1)
    return _strings(words, encoding)[0].lstrip("\ufeff"), rest


def _credit(role: str, who: str) -> tuple[str, str]:
    return (_ROLES[role], who) if role in _ROLES else ("PERFORMER", f"{who} ({role})" if role else who)


def _genres(value: str) -> list[str]:
    """The genres of version 2.3's "(17)(32)Own words", and of others as they are."""
    numbers = re.match(r"(?:\(\d+\))*", value)
    assert numbers is not None
    words = value[numbers.end() :]
    return [words] if words and not words.isdecimal() else [genre_of(n) for n in re.findall(r"\d+", value)]


def _with_whole_date(items: list[Item]) -> list[Item]:
    """Version 2.3 has the day and month in another frame than the year."""
    days = [item.raw[1:].decode("latin-1").strip("\0") for item in items if item.key == "TDAT"]
    if not days or not re.fullmatch(r"\d{4}", days[0]):
        return items

    def dated(item: Item) -> Item:
        whole = tuple((name, f"{value}-{days[0][2:]}-{days[0][:2]}") for name, value in item.pairs)
        return replace(item, pairs=whole) if item.key == "TYER" else item

    return [dated(item) for item in items]


def _parse_picture(body: bytes) -> Picture:
    mime_type, rest = body[1:].split(b"\0", 1)
    description, data = _described(rest[1:], body[0])
    if mime_type == b"-->" or not data:
        raise DamagedTagsError("a picture is not in the file")
    return Picture(data, rest[0], description)


def _parse_chapter(body: bytes, version: int) -> Chapter:
    _, rest = body.split(b"\0", 1)
    start, end = struct.unpack(">II", rest[:8])
    inside = dict(split_frames(rest[16:], version, notes=[]))
    title = _values(inside["TIT2"][1:], inside["TIT2"][0]) if inside.get("TIT2") else []
    return Chapter(start / 1000, end / 1000, title[0] if title else "", body)


def _frame(key: str, content: bytes, version: int) -> bytes:
    size = _to_syncsafe(len(content)) if version == 4 else struct.pack(">I", len(content))
    return key.encode() + size + b"\0\0" + content


def _encoded(texts: Sequence[str], version: int) -> tuple[int, list[bytes]]:
    """Texts in the one encoding that holds them all: UTF-8 in version 2.4, UTF-16 or Latin-1 before."""
    if version == 4:
        return 3, [text.encode("utf-8", "replace") for text in texts]
    try:
        return 0, [text.encode("latin-1") for text in texts]
    except UnicodeEncodeError:
        return 1, [b"\xff\xfe" + text.encode("utf-16-le", "replace") for text in texts]


def _text(texts: Sequence[str], version: int, between: bytes = b"") -> bytes:
    """An encoding, what comes before the texts, and the texts, with NULs between them."""
    encoding, parts = _encoded(texts, version)
    return bytes((encoding,)) + between + (b"\0\0" if encoding == 1 else b"\0").join(parts)


def _new_frames(texts: dict[str, list[str]], version: int) -> Iterator[tuple[str, bytes]]:
    """Frames for what other families said."""
    people = [part for name in [name for name in texts if name in _PEOPLE] for part in _people(name, texts.pop(name))]
    players = [part for text in texts.pop("PERFORMER", []) for part in _player(text)]
    for key, parts in (("TIPL", people), ("TMCL", players)) if version == 4 else (("IPLS", people + players),):
        if parts:
            yield key, _text(parts, version)
    for name in ("TRACKNUMBER", "DISCNUMBER"):
        if number := take_number(texts, name):
            yield ID3_FRAMES[name], _text([number], version)
    if version == 3 and (date := re.match(r"(\d{4})(?:-(\d\d)-(\d\d))?", "".join(texts.get("DATE", [])[:1]))):
        del texts["DATE"]
        yield "TYER", _text([date[1]], version)
        if date[3]:
            yield "TDAT", _text([date[3] + date[2]], version)
    if version == 3 and "ORIGINALDATE" in texts:
        yield "TORY", _text([texts.pop("ORIGINALDATE")[0][:4]], version)
    if identifiers := texts.get("MUSICBRAINZ_TRACKID"):
        yield "UFID", _MUSICBRAINZ.encode() + b"\0" + identifiers.pop(0).encode()
    for name, values in ((name, values) for name, values in texts.items() if values):
        field, _, words = name.partition(":")
        key = ID3_FRAMES.get(name, "")
        if field in ("COMMENT", "LYRICS"):
            for place, value in enumerate(values):
                # frames of the same words would take each other's place
                yield ID3_FRAMES[field], _text([f"{words}{place or ''}", value], version, _LANGUAGE)
        elif key.startswith("W") and all(map(str.isascii, values)):
            yield from ((key, value.encode()) for value in values)
        elif key and not key.startswith("W") and not (version == 3 and key == "TDRL"):
            yield key, _text(values, version)
        else:
            yield "TXXX", _text([words_of(name), *values], version)


def _people(name: str, values: list[str]) -> Iterator[str]:
    for value in values:
        yield from (_PEOPLE[name], value)


def _player(text: str) -> tuple[str, str]:
    """Instrument and player of "Player (instrument)"."""
    match = re.fullmatch(r"(.*\S)\s*\(([^()]*)\)", text)
    return (match[2], match[1]) if match else ("", text)


def _build_picture(picture: Picture, version: int) -> bytes:
    encoding, (description,) = _encoded([picture.description], version)
    head = bytes((encoding,)) + picture.mime_type.encode() + b"\0" + bytes((picture.kind,))
    return head + description + (b"\0\0" if encoding == 1 else b"\0") + picture.data


def _chapter_frames(chapters: Sequence[Chapter], version: int) -> Iterator[tuple[str, bytes]]:
    """Each chapter, after a table of all."""
    frames = [chapter.frame or _build_chapter(number, chapter, version) for number, chapter in enumerate(chapters)]
    names = [frame.split(b"\0")[0] + b"\0" for frame in frames][:255]
    if frames:
        yield "CTOC", b"toc\0" + bytes((3, len(names))) + b"".join(names)  # the top one, in order
    yield from (("CHAP", frame) for frame in frames)


def _build_chapter(number: int, chapter: Chapter, version: int) -> bytes:
    times = struct.pack(">II", round(chapter.start * 1000), round(chapter.end * 1000))
    title = _frame("TIT2", _text([chapter.title], version), version) if chapter.title else b""
    return f"chapter{number}".encode() + b"\0" + times + _NO_OFFSET + title
