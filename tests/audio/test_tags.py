"""Tags: what is read from each family, what is written in each, and what of one can be said in another."""

# mypy: allow-untyped-calls
# (mutagen's, which tells whether the tags are right)

import base64
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm

from musex.audio.formats import WRITABLE
from musex.audio.reading import read_song
from musex.audio.tags import read_source
from musex.audio.tags.id3 import build_id3, parse_id3
from musex.audio.tags.items import Chapter, DamagedTagsError, Item, Tags
from musex.audio.tags.items import Picture as Cover
from musex.audio.tags.riff import append_chunk
from musex.audio.tags.source import read_tags
from musex.audio.tags.vorbis import build_comments, parse_comments
from musex.audio.writing import write_song

RATE = 8_000
SECONDS = 6


def png(color: int) -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes((0, color))))
        + chunk(b"IEND", b"")
    )


FRONT, BACK = png(200), png(50)
BMP = (
    b"BM"
    + struct.pack("<IHHI", 58, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0)
    + b"\0" * 4
)
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A short song without tags, in any format."""
    folder = tmp_path_factory.mktemp("bare")
    times = np.arange(SECONDS * RATE) / RATE
    soundfile.write(folder / "song.wav", 0.3 * np.sin(2 * np.pi * 220 * times) * (times % 1), RATE)

    def make(suffix: str) -> Path:
        path = folder / f"song{suffix}"
        if not path.exists():
            song = read_song(folder / "song.wav")
            write_song(path, [song.samples], song=replace(song, path=None))
        return path

    return make


@pytest.fixture
def tagged(bare: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the short song, to be tagged."""

    def copy(suffix: str) -> Path:
        path = tmp_path / f"in{suffix}"
        path.write_bytes(bare(suffix).read_bytes())
        return path

    return copy


def rewrite(path: Path, suffix: str = "", *, untouched: float = 0.0, **options: Any) -> tuple[Path, list[str]]:
    """Write the song of a file anew, with its tags; returns the file and what is said of it."""
    before = path.read_bytes()
    song, output = read_song(path), path.with_name(f"out{suffix or path.suffix}")
    frames = round(untouched * song.sample_rate)
    notes = write_song(output, [song.samples], song=song, force=True, untouched=lambda: frames, **options)
    assert path.read_bytes() == before
    assert len(read_song(output).samples) > 0
    return output, notes


# The same format


FRAMES: tuple[Any, ...] = (
    id3.TIT2(encoding=3, text="Höhe"),
    id3.TPE1(encoding=3, text=["Alice", "Bob"]),
    id3.TCON(encoding=3, text=["Rock", "Pop"]),
    id3.TRCK(encoding=0, text="3/12"),
    id3.TCMP(encoding=0, text="1"),
    id3.TSOP(encoding=3, text="Alice, A"),
    id3.TBPM(encoding=0, text="120"),
    id3.TDRC(encoding=0, text="2019-12-27"),
    id3.COMM(encoding=3, lang="eng", desc="", text="plain"),
    id3.COMM(encoding=1, lang="deu", desc="Nötiz", text="zweite"),
    id3.USLT(encoding=3, lang="eng", desc="", text="line\n" * 4_000),
    id3.TXXX(encoding=3, desc="multi", text=["x", "y"]),
    id3.TXXX(encoding=3, desc="REPLAYGAIN_TRACK_GAIN", text="-7 dB"),
    id3.TIPL(encoding=3, people=[["producer", "Pr"]]),
    id3.TMCL(encoding=3, people=[["guitar", "Al"]]),
    id3.POPM(email="me@x", rating=196, count=0),
    id3.UFID(owner="http://musicbrainz.org", data=b"abc"),
    id3.PRIV(owner="owner", data=b"xx"),
    id3.GEOB(encoding=0, mime="a/b", filename="", desc="d", data=b"\1\2"),
    id3.TLEN(encoding=0, text="22000"),
    id3.TENC(encoding=0, text="LAME"),
)
PICTURES = (
    id3.APIC(encoding=3, mime="image/png", type=4, desc="back", data=BACK),
    id3.APIC(encoding=3, mime="image/png", type=3, desc="front", data=FRONT),
)
CHAPTERS = (
    id3.CTOC(element_id="toc", flags=id3.CTOCFlags.TOP_LEVEL, child_element_ids=["a", "b"], sub_frames=[]),
    id3.CHAP(element_id="a", start_time=0, end_time=2000, sub_frames=[id3.TIT2(encoding=3, text="One")]),
    id3.CHAP(element_id="b", start_time=2000, end_time=6000, sub_frames=[id3.TIT2(encoding=3, text="Two")]),
)


def tag_mp3(path: Path, version: int = 4) -> Path:
    tags = ID3()
    for frame in (*FRAMES, *PICTURES, *CHAPTERS):
        tags.add(frame)
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v2_version=version)
    return path


@pytest.mark.parametrize("version", [3, 4])
def test_id3_frames_are_kept_as_they_are(tagged: Callable[[str], Path], version: int) -> None:
    before = tag_mp3(tagged(".mp3"), version)
    output, notes = rewrite(before, untouched=3.0, title_suffix=" (extended)", encoded_by="musex 9")
    tags, old = ID3(output, translate=False), ID3(before, translate=False)
    assert tags.version[1] == version
    gone = {"TXXX:REPLAYGAIN_TRACK_GAIN", "TLEN", "CHAP:b"}
    assert set(old) - set(tags) == gone
    assert set(tags) - set(old) == set()
    changed = {"TIT2", "TENC", "CTOC:toc"}
    for key in set(tags) - changed:
        assert tags[key] == old[key], key
    assert tags["TIT2"].text == ["Höhe (extended)"]
    assert tags["TENC"].text == ["musex 9"]
    assert tags["CTOC:toc"].child_element_ids == ["a"]
    assert [picture.type for picture in tags.getall("APIC")] == [3, 4]
    assert notes == ["1 chapter is left out: the output plays other music at its time"]


def test_vorbis_comments_are_kept_as_they_are(tagged: Callable[[str], Path]) -> None:
    path = tagged(".flac")
    file = FLAC(path)
    texts = {
        "title": ["Höhe = 1; #2"],
        "artist": ["Alice", "Bob; Carol"],
        "comment": ["a comment"],
        "description": ["a description"],
        "lyrics": ["la\n"],
        "unsyncedlyrics": ["word " * 2_000],
        "language": ["eng"],
        "bpm": ["120.5"],
        "tracknumber": ["3"],
        "tracktotal": ["12"],
    }
    file.update(texts | {"replaygain_track_gain": "-7 dB", "loopstart": "1000", "encoded-by": "EAC"})
    for kind, data in ((4, BACK), (3, FRONT)):
        picture = Picture()
        picture.type, picture.mime, picture.data = kind, "image/png", data
        file.add_picture(picture)
    file.save()
    for suffix in (".flac", ".ogg", ".opus"):
        output, _ = rewrite(path, suffix, encoded_by="musex 9")
        written = mutagen.File(output)
        tags = written.tags.as_dict()
        pictures = [Picture(base64.b64decode(text)) for text in tags.pop("metadata_block_picture", [])]
        assert tags == texts | {"encodedby": ["musex 9"]}
        assert [(picture.type, picture.data) for picture in pictures or written.pictures] == [(3, FRONT), (4, BACK)]


def test_mp4_atoms_are_kept_as_they_are(tagged: Callable[[str], Path]) -> None:
    path = tagged(".m4a")
    file = MP4(path)
    kept = {
        "©ART": ["Alice", "Bob"],
        "trkn": [(3, 12)],
        "disk": [(1, 2)],
        "cpil": True,
        "pgap": True,
        "tmpo": [120],
        "rtng": [1],
        "soar": ["Alice, A"],
        "©cmt": ["a comment"],
        "©lyr": ["la la\n" * 2_000],
        "----:com.apple.iTunes:MusicBrainz Track Id": [MP4FreeForm(b"b4d32cff")],
        "----:com.apple.iTunes:LABEL": [MP4FreeForm(b"L1"), MP4FreeForm(b"L2")],
        "----:com.apple.iTunes:data": [MP4FreeForm(b"\0\1", dataformat=0)],
    }
    file.update(kept | {"©nam": ["Tune"], "----:com.apple.iTunes:iTunNORM": [MP4FreeForm(b"000")]})
    covers = [MP4Cover(FRONT, MP4Cover.FORMAT_PNG), MP4Cover(BACK, MP4Cover.FORMAT_PNG)]
    file["covr"] = covers
    file.save()
    output, _ = rewrite(path, title_suffix=" (extended)", encoded_by="musex 9")
    made = {"©nam": ["Tune (extended)"], "©too": ["musex 9"], "covr": covers}
    assert dict(mutagen.File(output).tags) == kept | made


def test_chunks_of_a_wav_are_kept(tagged: Callable[[str], Path]) -> None:
    path = tagged(".wav")
    extension = bytearray(602)
    extension[:5], extension[320:330], extension[346] = b"Scene", b"2020-02-03", 2
    info = [(b"INAM", "Höhe".encode("cp1252")), (b"IXYZ", b"own!"), (b"ICMT", b"comment\0")]
    append_chunk(path, b"bext", bytes(extension))
    append_chunk(path, b"LIST", b"INFO" + b"".join(k + struct.pack("<I", len(v)) + v for k, v in info))
    points = [(1, RATE), (2, 4 * RATE)]
    cues = b"".join(struct.pack("<II4sIII", number, at, b"data", 0, 0, at) for number, at in points)
    append_chunk(path, b"cue ", struct.pack("<I", 2) + cues)
    append_chunk(path, b"LIST", b"adtl" + b"labl" + struct.pack("<II", 10, 1) + b"Verse\0")
    output, notes = rewrite(path, untouched=3.0, title_suffix=" (extended)")
    content = output.read_bytes()
    bext = content[content.index(b"bext") + 8 :][:602]
    assert bext[:412] == extension[:412]
    assert struct.unpack("<5h", bext[412:422]) == (0x7FFF,) * 5  # what it said of loudness is not true any more
    assert b"IXYZ\4\0\0\0own!" in content
    assert content.count(b"INAM") == content.count(b"Scene") == 1
    assert read_source(output).tags.chapters == (Chapter(1.0, 1.0, "Verse"),)
    assert "1 chapter is left out" in notes[0]
    flac = FLAC(rewrite(path, ".flac", untouched=3.0)[0])
    assert flac["title"] == ["Höhe"]
    assert (flac["description"], flac["date"], flac["chapter001name"]) == (["Scene"], ["2020-02-03"], ["Verse"])


# Other formats


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITABLE if suffix != ".mp3"])
def test_what_id3_says_is_said_in_other_families_and_back(tagged: Callable[[str], Path], suffix: str) -> None:
    there, _ = rewrite(tag_mp3(tagged(".mp3")), suffix, untouched=3.0)
    back, _ = rewrite(there, ".mp3", untouched=2.0 * SECONDS)
    tags = ID3(back)
    first = ("TIT2", "TPE1", "TCON", "TRCK", "TCMP", "TSOP", "TBPM", "TDRC", "TXXX:multi")
    told = {frame.HashKey: frame.text for frame in FRAMES if frame.HashKey in first}
    assert {key: tags[key].text for key in first} == told
    assert tags["COMM::eng"].text == ["plain"]
    assert [str(frame.text) for frame in tags.getall("USLT")] == ["line\n" * 4_000]
    assert tags["UFID:http://musicbrainz.org"].data == b"abc"
    assert (tags["TIPL"].people, tags["TMCL"].people) == ([["producer", "Pr"]], [["guitar", "Al"]])
    assert [picture.data for picture in tags.getall("APIC")] == [FRONT, BACK]
    (chapter,) = tags.getall("CHAP")
    assert (chapter.start_time, chapter.sub_frames["TIT2"].text) == (0, ["One"])


@pytest.mark.parametrize("suffix", WRITABLE)
def test_what_musex_made_is_known(tagged: Callable[[str], Path], suffix: str) -> None:
    output, _ = rewrite(tag_mp3(tagged(".mp3")), suffix, encoded_by="musex 9, pointer")
    assert read_tags(output).by_musex
    assert not read_tags(tagged(suffix)).by_musex


def test_ape_tags_are_read(tagged: Callable[[str], Path]) -> None:
    path = tagged(".mp3")
    tags = APEv2()
    tags.update({"Title": "Ape", "Artist": ["Alice", "Bob"], "Track": "3/12", "Cover Art (Front)": b"c.png\0" + FRONT})
    tags["Cover Art (Front)"].kind = 1
    tags.save(path)
    path.write_bytes(path.read_bytes()[10 + 10 :] if path.read_bytes()[:3] == b"ID3" else path.read_bytes())
    written = ID3(rewrite(path)[0])
    assert (written["TIT2"].text, written["TPE1"].text) == (["Ape"], ["Alice", "Bob"])
    assert written["TRCK"].text == ["3/12"]


def test_old_tags_at_the_end_are_read(tagged: Callable[[str], Path]) -> None:
    path = tagged(".mp3")
    tag = b"TAG" + b"Old".ljust(30, b"\0") + b"Me".ljust(30) + bytes(30) + b"1999" + bytes(28) + b"\0\7" + b"\x11"
    path.write_bytes(path.read_bytes() + tag)
    written = ID3(rewrite(path)[0])
    assert [str(written[key]) for key in ("TIT2", "TPE1", "TDRC", "TRCK", "TCON")] == ["Old", "Me", "1999", "7", "Rock"]


@pytest.mark.parametrize("picture", [BMP, GIF])
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".ogg"])
def test_pictures_of_all_kinds_are_kept(tagged: Callable[[str], Path], picture: bytes, suffix: str) -> None:
    path = tagged(".flac")
    file, cover = FLAC(path), Picture()
    cover.type, cover.mime, cover.data = 3, "image/jpeg", picture
    file.add_picture(cover)
    file.save()
    output, notes = rewrite(path, suffix)
    (found,) = read_source(output).tags.pictures
    assert notes == []
    assert found.mime_type == "image/png" if suffix == ".m4a" else found.data == picture


# Size and damage


@pytest.mark.parametrize("suffix", WRITABLE)
def test_megabytes_of_tags_are_kept(tagged: Callable[[str], Path], suffix: str) -> None:
    path = tagged(".flac")
    file, large = FLAC(path), "0123456789abcde " * 310_000  # 4.96 MB
    file["lyrics"] = large
    file["title"] = "Large"
    file.save()
    output, notes = rewrite(path, suffix, title_suffix=" (extended)")
    texts = {name: value for item in read_source(output).tags.items for name, value in item.pairs}
    assert (texts["TITLE"], texts["LYRICS"]) == ("Large (extended)", large)
    assert [note for note in notes if "Hz" not in note] == []


def test_more_than_a_flac_file_holds_is_left_out(tagged: Callable[[str], Path]) -> None:
    path = tag_mp3(tagged(".mp3"))
    tags = ID3(path)
    tags["APIC:back"].data = BACK + bytes(17_000_000)
    tags.save()
    output, notes = rewrite(path, ".flac")
    assert [picture.data for picture in FLAC(output).pictures] == [FRONT]
    assert "flac files hold 16 MB of pictures: 1 left out" in notes


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".m4a"])
def test_damaged_tags_never_cost_the_music(tagged: Callable[[str], Path], suffix: str) -> None:
    whole, _ = rewrite(tag_mp3(tagged(".mp3")), suffix, untouched=3.0)
    data, random = whole.read_bytes(), np.random.default_rng(0)
    place = {".mp3": 0, ".flac": 42, ".ogg": 58, ".m4a": data.index(b"moov") if suffix == ".m4a" else 0}[suffix]
    damaged = whole.with_name(f"damaged{suffix}")
    for _ in range(60):
        content = bytearray(data)
        for at in random.integers(place, min(len(data), place + 2_500), 8):
            content[at] = random.integers(256)
        damaged.write_bytes(content)
        tags = read_tags(damaged).kept()
        build_comments(tags, pictures=True)
        build_id3(tags)


def test_cut_off_tags_are_told(tagged: Callable[[str], Path]) -> None:
    path = tagged(".flac")
    file = FLAC(path)
    file["title"], file["comment"] = "Kept", "c" * 100
    file.save()
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 108) + b"comment=", struct.pack("<I", 2**31) + b"comment="))
    output, notes = rewrite(path)
    assert FLAC(output)["title"] == ["Kept"]
    assert any("cut off" in note for note in notes)


# Details of the families


def test_frames_of_every_version_are_read() -> None:
    old = b"TT2\0\0\4\0Old" + b"PIC\0\0\x0b\0PNG\3\0" + b"\x89PNG\0" + b"TCO\0\0\5\0(17)"
    tags = parse_id3(b"ID3\2\0\0\0\0\0" + bytes((len(old),)) + old)
    assert [item.pairs for item in tags.items] == [(("TITLE", "Old"),), (("GENRE", "Rock"),)]
    assert tags.pictures[0].data == b"\x89PNG\0"
    assert tags.id3_version == 3
    packed = zlib.compress(b"\0Packed")
    frame = b"TIT2" + struct.pack(">I", len(packed) + 4) + b"\0\x80" + struct.pack(">I", 7) + packed
    tags = parse_id3(b"ID3\3\0\0\0\0\0" + bytes((len(frame),)) + frame)
    assert tags.items[0].pairs == (("TITLE", "Packed"),)


def test_a_date_in_two_frames_is_one() -> None:
    frames = b"TYER\0\0\0\5\0\0\0002019" + b"TDAT\0\0\0\5\0\0\0002712"
    (year, day) = parse_id3(b"ID3\3\0\0\0\0\0" + bytes((len(frames),)) + frames).items
    assert (year.pairs, day.pairs) == ((("DATE", "2019-12-27"),), ())


@pytest.mark.parametrize("version", [3, 4])
def test_id3_is_padded_to_the_room_that_it_has(version: int) -> None:
    tags = Tags((Item((("TITLE", "Ωmega"),)), Item((("ARTIST", "A"),))), (Cover(FRONT),), id3_version=version)
    data = build_id3(tags, 5_000)
    assert len(data) == 5_000
    again = parse_id3(data)
    assert again.pictures == tags.pictures
    assert [item.pairs for item in again.items] == [item.pairs for item in tags.items]
    assert ID3(BytesIO(data))["TIT2"].text == ["Ωmega"]


def test_too_much_for_id3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musex.audio.tags.id3.LARGEST", 1_000)
    with pytest.raises(DamagedTagsError, match="256 MB"):
        build_id3(Tags((), (Cover(bytes(2_000)),)))


def test_comments_are_read_as_they_were_written() -> None:
    tags = Tags(
        (Item((("TITLE", "a=b"),)), Item((("LYRICS:Ü", "c"),))),
        (Cover(FRONT, 4, "b"),),
        (Chapter(3661.5, 3662.0, "C"),),
    )
    data = build_comments(tags, pictures=True)
    again = parse_comments(data)
    assert [item.pairs for item in again.items] == [(("TITLE", "a=b"),), (("LYRICS", "c"),)]
    assert again.pictures == tags.pictures
    assert b"CHAPTER001=01:01:01.500" in data
