"""APE tags, at the end of mp3, ape, wv and mpc files; https://wiki.hydrogenaudio.org/index.php?title=APEv2_specification"""

import struct
from typing import BinaryIO

from musex.audio.tags.items import FRONT_COVER, DamagedTagsError, Item, Pairs, Picture, Tags, numbered
from musex.audio.tags.names import name_of

FOOTER = 32  # bytes
LARGEST = 2**28  # bytes that are read
_COVERS = {"COVER ART (FRONT)": FRONT_COVER, "COVER ART (BACK)": 4}
_BINARY = 1  # of the kinds of values


def read_ape(file: BinaryIO, end: int) -> Tags:
    """Read the tag that ends at byte `end`; none if there is none. Raises DamagedTagsError."""
    if end < FOOTER:
        return Tags()
    file.seek(end - FOOTER)
    footer = file.read(FOOTER)
    if footer[:8] != b"APETAGEX":
        return Tags()
    size, count = struct.unpack_from("<II", footer, 12)
    if not FOOTER <= size <= min(end, LARGEST):
        raise DamagedTagsError("the APE tag is damaged")
    file.seek(end - size)
    data, place = file.read(size - FOOTER), 0
    items, pictures = list[Item](), list[Picture]()
    for _ in range(count):
        key, separator, _ = data[place + 8 : place + 8 + 256].partition(b"\0")
        if place + 8 > len(data) or not separator:
            return Tags(tuple(items), tuple(pictures), notes=("the APE tag is cut off",))
        length, flags = struct.unpack_from("<II", data, place)
        place += 9 + len(key)
        value, name = data[place : place + length], key.decode("ascii", "replace")
        place += length
        if name.upper() in _COVERS:
            description, _, content = value.partition(b"\0")
            pictures.append(Picture(content, _COVERS[name.upper()], description.decode(errors="replace")))
        elif flags >> 1 & 3 != _BINARY:
            items.append(Item(_pairs(name_of(name), value.decode(errors="replace").split("\0"))))
    return Tags(tuple(items), tuple(picture for picture in pictures if picture.data))


def _pairs(name: str, values: list[str]) -> Pairs:
    if name in ("TRACKNUMBER", "DISCNUMBER"):
        return tuple(pair for value in values for pair in numbered(name, value))
    return tuple((name, value) for value in values if value)
