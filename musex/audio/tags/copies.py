"""A copy of a song's file with other loop points: nothing is encoded again, all else is byte for byte as it was.

mp3     frames in the ID3 tag before the sound             flac    comments among the blocks before the sound
wav     a `smpl` chunk after the sound                     ogg     comments in the pages before the sound, whose
                                                                   number later pages tell and are renumbered by
"""

import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from musex.audio.tags.id3 import HEADER, build_id3, replace_texts, tag_bytes
from musex.audio.tags.items import DamagedTagsError, Tags
from musex.audio.tags.riff import mark_loop
from musex.audio.tags.vorbis import COMMENTS, LARGEST_BLOCK, LARGEST_PACKET, PADDING, replace_comments, seal_page
from musex.errors import AudioError

COPIED = (".ogg", ".mp3", ".flac", ".wav", ".opus", ".oga")  # endings of files that may have loop points so
LOOP_NAMES = re.compile(r"loop_?(start|length|end)", re.IGNORECASE)
OPUS_RATE = 48_000  # Hz, in which the places of an Opus file are counted whatever it was made from
MOST_SEGMENTS = 255  # of an Ogg page, of 255 bytes each
_NOTHING_ENDS = b"\xff" * 8  # what an Ogg page says in which no packet ends


def copy_with_loop(source: Path, target: Path, loop: tuple[int, int], sample_rate: int) -> None:
    """Copy a file to one that is not there, with a loop's points in the place of any that it had.

    Args:
        source: An mp3, flac or wav file, or Ogg Vorbis or Opus.
        target: Where the copy goes.
        loop: Its first frame and how many it has, at `sample_rate`, which is the file's own.
        sample_rate: Hz.

    Raises:
        AudioError: The file is of another kind, or damaged where its tags are.
        OSError: It cannot be read, or the copy cannot be written.
    """
    with source.open("rb") as file, target.open("wb") as copy:
        size = tag_bytes(file.read(HEADER))
        file.seek(size)
        head = file.read(12)
        file.seek(0)
        try:
            if head[:4] == b"fLaC":
                copy.write(file.read(size))
                _copy_flac(file, copy, _texts(loop))
            elif head[:4] == b"OggS" and not size:
                _copy_ogg(file, copy, loop, sample_rate)
            elif head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE" and not size:
                _copy_wav(file, copy)
            elif source.suffix.lower() == ".mp3" and head[4:8] != b"ftyp":
                tag = replace_texts(file.read(size), LOOP_NAMES, _texts(loop)) if size else _new_id3(_texts(loop))
                copy.write(tag)
            else:
                raise DamagedTagsError("it is no ogg, mp3, flac or wav")
        except (DamagedTagsError, struct.error, IndexError) as error:
            reason = str(error) if isinstance(error, DamagedTagsError) else "they are damaged"
            raise AudioError(f"{source} cannot be copied with other tags: {reason}") from error
        shutil.copyfileobj(file, copy)
    if head[:4] in (b"RIFF", b"RF64") and not size:
        mark_loop(target, loop, sample_rate)


def _texts(loop: tuple[int, int]) -> dict[str, str]:
    return {"LOOPSTART": str(loop[0]), "LOOPLENGTH": str(loop[1])}


def _new_id3(texts: Mapping[str, str]) -> bytes:
    return build_id3(Tags(id3_version=3).with_pairs(*texts.items()))


def _copy_flac(file: BinaryIO, copy: BinaryIO, texts: Mapping[str, str]) -> None:
    """Copy the blocks before the sound, padding shortened by what comments grow by where there is as much."""
    blocks, last = list[tuple[int, bytes]](), False
    copy.write(_exactly(file, 4))
    while not last:
        head = _exactly(file, 4)
        last = bool(head[0] & 0x80)
        blocks.append((head[0] & 0x7F, _exactly(file, int.from_bytes(head[1:]))))
    if all(kind != COMMENTS for kind, _ in blocks):
        blocks.insert(1, (COMMENTS, struct.pack("<II", 0, 0)))
    grown, made = 0, list[tuple[int, bytes]]()
    for kind, block in blocks:
        if kind == COMMENTS:
            longer = replace_comments(block, LOOP_NAMES, texts)
            grown += len(longer) - len(block)
            block = longer
        made.append((kind, block))
    for number, (kind, block) in enumerate(made):
        if kind == PADDING and grown <= len(block):
            block, grown = bytes(len(block) - grown), 0
        if len(block) > LARGEST_BLOCK:
            raise DamagedTagsError("a flac file holds 16 MB of them")
        copy.write(bytes((kind | 0x80 * (number == len(made) - 1),)) + len(block).to_bytes(3) + block)


def _copy_ogg(file: BinaryIO, copy: BinaryIO, loop: tuple[int, int], sample_rate: int) -> None:
    """Copy a file of one stream after another; the loop is that of the first."""
    begin, _, first = _read_page(file)
    if first[1:7] == b"vorbis":
        headers, start = 2, 7
    elif first[:8] == b"OpusHead":
        headers, start = 1, 8
        at, stop = (round(place * OPUS_RATE / sample_rate) for place in (loop[0], sum(loop)))
        loop = (at, stop - at)
    else:
        raise DamagedTagsError("it is an Ogg file of neither Vorbis nor Opus")
    packets, pages = [b""], 0
    while len(packets) <= headers:
        head, lengths, content = _read_page(file)
        if head[14:18] != begin[14:18]:
            raise DamagedTagsError("it holds several streams at once")
        pages, place = pages + 1, 0
        for length in lengths:
            packets[-1] += content[place : place + length]
            place += length
            if length < MOST_SEGMENTS:
                packets.append(b"")
        if len(packets) > headers + 1 or (packets[-1] and len(packets) > headers) or len(packets[0]) > LARGEST_PACKET:
            raise DamagedTagsError("its sound begins amid its tags")
    comments = packets[0]
    packets[0] = comments[:start] + replace_comments(comments[start:], LOOP_NAMES, _texts(loop))
    copy.write(begin + first)
    made = list(_pages_of(packets[:headers], begin[14:18]))
    for page in made:
        copy.write(page)
    if (more := len(made) - pages) == 0:
        return
    while head := file.read(27):
        file.seek(-len(head), 1)
        if head[:4] != b"OggS" or head[14:18] != begin[14:18]:
            return  # another stream after this one, which is copied as it is
        head, _, content = _read_page(file)
        number = int.from_bytes(head[18:22], "little") + more
        copy.write(seal_page(head[:18] + (number % 2**32).to_bytes(4, "little") + head[22:] + content))


def _read_page(file: BinaryIO) -> tuple[bytes, bytes, bytes]:
    """A page of an Ogg file: its header, the lengths of the segments in it, its content."""
    head = _exactly(file, 27)
    if head[:4] != b"OggS":
        raise DamagedTagsError("its pages are damaged")
    lengths = _exactly(file, head[26])
    return head + lengths, lengths, _exactly(file, sum(lengths))


def _pages_of(packets: list[bytes], serial: bytes) -> Iterator[bytes]:
    """The pages, from the second on, that hold packets before the sound, as full as they can be."""
    segments = list[bytes]()
    for packet in packets:
        segments += [packet[at : at + MOST_SEGMENTS] for at in range(0, len(packet) + 1, MOST_SEGMENTS)]
    continued = False
    for number, first in enumerate(range(0, len(segments), MOST_SEGMENTS), start=1):
        some = segments[first : first + MOST_SEGMENTS]
        ends = any(len(segment) < MOST_SEGMENTS for segment in some)
        head = b"OggS\0" + bytes((continued,)) + (bytes(8) if ends else _NOTHING_ENDS) + serial
        head += number.to_bytes(4, "little") + bytes(4) + bytes((len(some), *map(len, some)))
        yield seal_page(head + b"".join(some))
        continued = len(some[-1]) == MOST_SEGMENTS


def _copy_wav(file: BinaryIO, copy: BinaryIO) -> None:
    """Copy a file without the loops that it has; how long it is then is told as others are appended."""
    copy.write(_exactly(file, 12))
    long_data = 0
    while head := file.read(8):
        if len(head) < 8:
            return
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data" and size == 0xFFFF_FFFF:
            size = long_data
        if name == b"ds64":
            content = _exactly(file, size)
            long_data = int.from_bytes(content[8:16], "little")
            file.seek(-size, 1)
        end = file.tell() + size + size % 2
        if name == b"data" and (size == 0 or file.seek(0, 2) < end - size % 2):
            raise DamagedTagsError("its header does not tell how long its sound is")
        if name != b"smpl":
            copy.write(head)
            file.seek(end - size - size % 2)
            _copy_bytes(file, copy, size + size % 2)
        file.seek(end)


def _copy_bytes(file: BinaryIO, copy: BinaryIO, size: int) -> None:
    """Copy so many bytes, or as many as there are."""
    while size > 0 and (some := file.read(min(size, 1 << 20))):
        copy.write(some)
        size -= len(some)


def _exactly(file: BinaryIO, size: int) -> bytes:
    """So many bytes; raises DamagedTagsError where there are fewer."""
    data = file.read(size)
    if len(data) < size:
        raise DamagedTagsError("it is cut off")
    return data
