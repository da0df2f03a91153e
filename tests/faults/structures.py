"""Files of music as the parts that they are made of, and what may be wrong with those.

Parts are chunks (RIFF, AIFF, CAF, Wave64), boxes (MP4), pages (Ogg), blocks (FLAC), elements (Matroska),
objects (ASF), and frames (ID3, MPEG, AAC, AC-3). What is damaged is given fresh checksums and, half of the time,
lengths that fit, lest every reader stops at the first of them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**63 - 1, 2**64 - 1)
NESTED_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"ilst", b"edts", b"dinf", b"moof")
NESTED_ELEMENTS = (
    *(b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\xae", b"\xe1", b"\x12\x54\xc3\x67"),
    *(b"\x73\x73", b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b", b"\x10\x43\xa7\x70", b"\x19\x41\xa4\x69"),
)
ASF_HEADER = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"


@dataclass(frozen=True)
class Length:
    """Where a part says how long it is."""

    at: int
    width: int
    big: bool = True
    bits: int = 8  # 7 in ID3

    def add(self, content: bytearray, change: int) -> None:
        """Say that it is longer by so much."""
        digits = content[self.at : self.at + self.width]
        order = 1 if self.big else -1
        value = sum(int(digit) << self.bits * place for place, digit in enumerate(digits[::-order]))
        value = max(0, value + change)
        written = [value >> self.bits * place & (2**self.bits - 1) for place in range(len(digits))]
        content[self.at : self.at + self.width] = bytes(written[::-order])


@dataclass(frozen=True)
class Part:
    """A header, [start, body), and what it heads, [body, stop)."""

    start: int
    body: int
    stop: int
    length: Length | None = None


def find_parts(content: bytes) -> list[Part]:
    """All parts of a file, those within others after them; the whole of it where its structure is not known."""
    whole = len(content)
    for magic, parts in STRUCTURES:
        if re.match(magic, content, re.DOTALL):
            return [part for part in parts(content, 0, whole) if part.body <= part.stop] or [Part(0, 16, whole)]
    return [Part(0, min(32, whole), whole)]


def _riff(content: bytes, start: int, stop: int) -> Iterator[Part]:
    big = content[start : start + 4] == b"FORM"
    yield Part(start, start + 12, stop, Length(start + 4, 4, big))
    yield from _chunks(content, start + 12, stop, big)


def _chunks(content: bytes, at: int, stop: int, big: bool) -> Iterator[Part]:
    while at + 8 <= stop:
        size = int.from_bytes(content[at + 4 : at + 8], "big" if big else "little")
        end = min(stop, at + 8 + size + size % 2)
        yield Part(at, at + 8, end, Length(at + 4, 4, big))
        if content[at : at + 4] == b"LIST":
            yield from _chunks(content, at + 12, end, big)
        if content[at : at + 4].lower().startswith(b"id3"):
            yield from _id3(content, at + 8, end)
        at = end


def _caf(content: bytes, start: int, stop: int) -> Iterator[Part]:
    at = start + 8
    while at + 12 <= stop:
        end = min(stop, at + 12 + int.from_bytes(content[at + 4 : at + 12], "big"))
        yield Part(at, at + 12, end, Length(at + 4, 8))
        at = end


def _wave64(content: bytes, start: int, stop: int) -> Iterator[Part]:
    yield Part(start, start + 40, stop, Length(start + 16, 8, big=False))
    at = start + 40
    while at + 24 <= stop:
        size = max(24, int.from_bytes(content[at + 16 : at + 24], "little"))
        end = min(stop, at + (size + 7) // 8 * 8)
        yield Part(at, at + 24, end, Length(at + 16, 8, big=False))
        at = end


def _boxes(content: bytes, at: int, stop: int) -> Iterator[Part]:
    while at + 8 <= stop:
        size = int.from_bytes(content[at : at + 4], "big")
        end = stop if size < 8 else min(stop, at + size)
        yield Part(at, at + 8, end, Length(at, 4))
        kind = content[at + 4 : at + 8]
        if kind in NESTED_BOXES:
            yield from _boxes(content, at + (12 if kind == b"meta" else 8), end)
        elif kind == b"stsd":
            yield from _boxes(content, at + 16, end)
        elif kind == b"mp4a":
            yield from _boxes(content, at + 36, end)
        elif content[at + 12 : at + 16] == b"data":  # an item of tags
            yield from _boxes(content, at + 8, end)
        at = end


def _pages(content: bytes, at: int, stop: int) -> Iterator[Part]:
    while at + 27 <= stop and content[at : at + 4] == b"OggS":
        body = at + 27 + content[at + 26]
        end = min(stop, body + sum(content[at + 27 : body]))
        yield Part(at, body, end)
        at = end


def _flac(content: bytes, start: int, stop: int) -> Iterator[Part]:
    at, last = start + 4, False
    while at + 4 <= stop and not last:
        last = bool(content[at] & 0x80)
        end = min(stop, at + 4 + int.from_bytes(content[at + 1 : at + 4], "big"))
        yield Part(at, at + 4, end, Length(at + 1, 3))
        at = end
    yield from _frames(content, at, stop)


def _frames(content: bytes, at: int, stop: int) -> Iterator[Part]:
    """Frames that begin with the same two bytes as the first."""
    begins, found = [at], at
    while (found := content.find(content[at : at + 2], found + 24, stop)) >= 0:
        begins.append(found)
    for begin, end in zip(begins, [*begins[1:], stop], strict=True):
        yield Part(begin, min(begin + 7, end), end)


def _id3(content: bytes, start: int, stop: int) -> Iterator[Part]:
    size = sum(digit << 7 * place for place, digit in enumerate(content[start + 6 : start + 10][::-1]))
    end = min(stop, start + 10 + size)
    yield Part(start, start + 10, end, Length(start + 6, 4, bits=7))
    at, bits = start + 10, 7 if content[start + 3 : start + 4] == b"\4" else 8
    while at + 10 <= end and content[at]:
        length = sum(digit << bits * place for place, digit in enumerate(content[at + 4 : at + 8][::-1]))
        yield Part(at, at + 10, min(end, at + 10 + length), Length(at + 4, 4, bits=bits))
        at += 10 + length
    if end + 4 <= stop:
        yield from _frames(content, end, stop)


def _elements(content: bytes, at: int, stop: int) -> Iterator[Part]:
    while at < stop and content[at]:
        name = content[at : at + 9 - content[at].bit_length()]
        size_at = at + len(name)
        if size_at >= stop or not content[size_at]:
            return
        width = 9 - content[size_at].bit_length()
        size = int.from_bytes(content[size_at : size_at + width], "big") & (2 ** (7 * width) - 1)
        body = size_at + width
        end = min(stop, body + size)
        yield Part(at, body, end)
        if name in NESTED_ELEMENTS:
            yield from _elements(content, body, end)
        at = end


def _objects(content: bytes, at: int, stop: int) -> Iterator[Part]:
    while at + 24 <= stop:
        end = min(stop, at + max(24, int.from_bytes(content[at + 16 : at + 24], "little")))
        yield Part(at, at + 24, end, Length(at + 16, 8, big=False))
        if content[at : at + 8] == ASF_HEADER:
            yield from _objects(content, at + 30, end)
        at = end


STRUCTURES: tuple[tuple[bytes, Callable[[bytes, int, int], Iterator[Part]]], ...] = (
    (rb"RIFF|FORM", _riff),
    (rb"caff", _caf),
    (rb"riff\x2e\x91", _wave64),
    (rb"....ftyp", _boxes),
    (rb"OggS", _pages),
    (rb"fLaC", _flac),
    (rb"ID3", _id3),
    (rb"\x1a\x45\xdf\xa3", _elements),
    (re.escape(ASF_HEADER), _objects),
    (rb"\xff[\xe0-\xff]|\x0b\x77", _frames),
)


def damage_structure(content: bytes, random: np.random.Generator) -> bytes:
    """A file with something wrong in its structure, once or a few times."""
    for _ in range(1 + int(random.geometric(0.7) - 1)):
        content = _damage_once(content, random)
    return renew_checksums(content) if content.startswith(b"OggS") and random.random() < 0.8 else content


def _damage_once(content: bytes, random: np.random.Generator) -> bytes:
    if len(content) < 64:
        return content
    parts = find_parts(content)
    part = parts[int(len(parts) * random.random() ** 2)]  # rather one of the first
    changed = bytearray(content)
    piece, body = content[part.start : part.stop], content[part.body : part.stop]
    fitting = random.random() < 0.5
    match int(random.integers(9)):
        case 0:
            _replace(changed, part.start, part.stop, b"", parts, fitting)
        case 1:
            _replace(changed, part.start, part.start, piece, parts, fitting)
        case 2:
            other = parts[int(random.integers(len(parts)))]
            _replace(changed, part.start, part.stop, content[other.start : other.stop], parts, fitting)
        case 3:
            _odd_word(changed, part.start, part.body, random)
        case 4:
            _odd_word(changed, part.body, min(part.stop, part.body + 64), random)
        case 5:
            _replace(changed, part.body, part.stop, body[: int(random.integers(len(body) + 1))], parts, fitting)
        case 6:
            more = bytes(random.integers(0, 256, int(random.integers(1, 500)), np.uint8))
            _replace(changed, part.stop, part.stop, more, parts, fitting)
        case 7:
            some = min(len(body), int(random.integers(1, 500)))
            changed[part.body : part.body + some] = bytes(random.integers(0, 256, some, np.uint8))
        case _:
            del changed[int(random.integers(part.start, part.stop + 1)) :]
    return bytes(changed)


def _replace(changed: bytearray, start: int, stop: int, by: bytes, parts: list[Part], fitting: bool) -> None:
    """Put something in the place of [start, stop), with lengths that fit around it if so wished."""
    if fitting:
        for part in parts:
            if part.length and part.length.at < start and part.body <= start and stop <= part.stop:
                part.length.add(changed, len(by) - (stop - start))
    changed[start:stop] = by


def _odd_word(changed: bytearray, start: int, stop: int, random: np.random.Generator) -> None:
    """A number that breaks what counts or points, in any width, somewhere in [start, stop)."""
    if start >= stop:
        return
    width = int(2 ** random.integers(4))
    at = int(random.integers(start, stop))
    word = WORDS[int(random.integers(len(WORDS)))] & (2 ** (8 * width) - 1)
    order = ("big", "little")[int(random.integers(2))]
    changed[at : at + width] = word.to_bytes(width, "big" if order == "big" else "little")


def renew_checksums(content: bytes) -> bytes:
    """An Ogg file whose pages have the checksums that they should have, as far as it is one."""
    changed = bytearray(content)
    for page in _pages(content, 0, len(content)):
        changed[page.start + 22 : page.start + 26] = bytes(4)
        checksum = 0
        for byte in changed[page.start : page.stop]:
            checksum = (checksum << 8) & 0xFFFF_FFFF ^ _crc_table()[checksum >> 24 ^ byte]
        changed[page.start + 22 : page.start + 26] = checksum.to_bytes(4, "little")
    return bytes(changed)


@cache
def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) & 0xFFFF_FFFF ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)
        table.append(value)
    return table
