"""Tags as any format can say them: each with its names and values, and its own bytes where its format wrote them.

A tag goes to a file of its own family (ID3, Vorbis comments, MP4 atoms, RIFF chunks) byte for byte, with all that only
that family can say. Into other families go its names, which are those of Vorbis comments, and its values.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from musex.errors import AudioError

Family = Literal["id3", "vorbis", "mp4", "info", "chunk", "other"]
Pairs = tuple[tuple[str, str], ...]  # names, in capitals, and values
FRONT_COVER = 3  # its number among the kinds of pictures of ID3, FLAC and Ogg

# What is wrong of a longer song, or belongs to the source's file rather than to the music.
DROPPED_NAMES = re.compile(
    r"replaygain_.*|r128_.*|loop_?(start|length|end)|(comment:)?itun(smpb|norm|pgap)|tlen|length|duration|cuesheet|"
    r"encoder|encoded_?by|encoder_?settings|waveformatextensible_channel_mask|"
    r"major_brand|minor_version|compatible_brands|creation_time|handler_name|vendor_id|id3v2_priv.*|wmfsdk.*",
    re.IGNORECASE,
)
MADE_BY = re.compile(r"encoder|encoded_?by|comment", re.IGNORECASE)


class DamagedTagsError(AudioError):
    """Tags that cannot be read; they never cost the music."""


@dataclass(frozen=True)
class Item:
    """One tag.

    Attributes:
        pairs: What it says: names and values; none where no other family could say it.
        family: Whose bytes `raw` are.
        key: Its own name there.
        raw: What its family writes after that name.
    """

    pairs: Pairs = ()
    family: Family = "other"
    key: str = ""
    raw: bytes = b""

    @property
    def dropped(self) -> bool:
        names = [name for name, _ in self.pairs] or [self.key]
        return all(DROPPED_NAMES.fullmatch(name) for name in names)


@dataclass(frozen=True)
class Picture:
    """A picture: its file, and what kind it is by the numbers of ID3."""

    data: bytes
    kind: int = FRONT_COVER
    description: str = ""

    @property
    def mime_type(self) -> str:
        """By its first bytes, for what tags say of it is often wrong."""
        heads = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"GIF8": "image/gif", b"BM": "image/bmp"}
        if self.data[:4] == b"RIFF" and self.data[8:12] == b"WEBP":
            return "image/webp"
        return next((name for head, name in heads.items() if self.data.startswith(head)), "image/")


@dataclass(frozen=True)
class Chapter:
    """A chapter, in seconds of the song; `frame` is all of its ID3 frame."""

    start: float
    end: float
    title: str = ""
    frame: bytes = b""


@dataclass(frozen=True)
class Tags:
    """All of a file's tags; `id3_version` is that of its ID3 frames, 3 or 4."""

    items: tuple[Item, ...] = ()
    pictures: tuple[Picture, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    id3_version: int = 4
    notes: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.items or self.pictures or self.chapters)

    @property
    def by_musex(self) -> bool:
        """Whether a tag says that musex made the file."""
        pairs = [pair for item in self.items for pair in item.pairs]
        return any(MADE_BY.fullmatch(name) and value.startswith("musex ") for name, value in pairs)

    def kept(self) -> "Tags":
        """Without what is wrong of a longer song; the front cover first."""
        pictures = sorted(self.pictures, key=lambda picture: picture.kind != FRONT_COVER)
        return replace(self, items=tuple(item for item in self.items if not item.dropped), pictures=tuple(pictures))

    def joined(self, others: "Tags") -> "Tags":
        """With what other tags of the same file say besides."""
        names = {name for item in self.items for name, _ in item.pairs}
        more = [item for item in others.items if not names.intersection(name for name, _ in item.pairs)]
        version = self.id3_version if self.of("id3") else others.id3_version
        return Tags(
            (*self.items, *more),
            self.pictures or others.pictures,
            self.chapters or others.chapters,
            version,
            (*self.notes, *others.notes),
        )

    def retitled(self, suffix: str) -> "Tags":
        """With something appended to the title."""
        return self.changed(lambda name, value: value + suffix if name == "TITLE" else value)

    def changed(self, change: Callable[[str, str], str]) -> "Tags":
        """With other values; what changes is said anew in every family."""
        items = []
        for item in self.items:
            pairs = tuple((name, change(name, value)) for name, value in item.pairs)
            items.append(item if pairs == item.pairs else Item(pairs))
        return replace(self, items=tuple(items))

    def with_pairs(self, *pairs: tuple[str, str]) -> "Tags":
        """With more tags."""
        return replace(self, items=(*self.items, *(Item((pair,)) for pair in pairs)))

    def of(self, family: Family) -> list[Item]:
        """The tags that were written by this family."""
        return [item for item in self.items if item.family == family]

    def texts_beside(self, *families: Family) -> dict[str, list[str]]:
        """The values by name of what these families' own tags do not say."""
        said = {name for family in families for item in self.of(family) for name, _ in item.pairs}
        others = [item for item in self.items if item.family not in families]
        return by_name(pair for item in others for pair in item.pairs if pair[0] not in said)


def by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name, in order, each once."""
    texts: dict[str, list[str]] = {}
    for name, value in pairs:
        if value not in texts.setdefault(name, []):
            texts[name].append(value)
    return texts


def numbered(name: str, value: str) -> Pairs:
    """The pairs of a number such as "3/12": of a track (TRACKNUMBER, TRACKTOTAL) or a disc."""
    number, _, total = value.partition("/")
    pairs = (name, number.strip()), (name.replace("NUMBER", "TOTAL"), total.strip())
    return tuple(pair for pair in pairs if pair[1].strip("0"))


def take_number(texts: dict[str, list[str]], name: str) -> str:
    """Take a number and its total out of texts, as "3/12"; empty if there is none."""
    number = next(iter(texts.pop(name, [])), "")
    total = next(iter(texts.pop(name.replace("NUMBER", "TOTAL"), [])), "")
    return f"{number or 0}/{total}" if total else number
