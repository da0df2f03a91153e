"""Loop points in copies of files: nothing else changes, by the readers of others."""

# mypy: allow-untyped-calls
# (mutagen's, which tells whether the tags are right)

import re
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3
from mutagen.oggvorbis import OggVorbis

from musex.audio.ffmpeg import ffmpeg
from musex.audio.tags.copies import LOOP_NAMES, copy_with_loop
from musex.audio.tags.id3 import replace_texts
from musex.audio.tags.items import Item, Tags
from musex.audio.tags.vorbis import build_comments, parse_comments, replace_comments
from musex.errors import AudioError
from tests.engines import read_by_rpg_maker, read_by_sampler, read_by_sdl_mixer
from tests.looped import RATE, bar

LOOP = (12_345, 60_000)
OLD = {"LOOPSTART": "1", "LOOPLENGTH": "2", "loop_end": "3"}
NEW = {"LOOPSTART": "12345", "LOOPLENGTH": "60000"}
TAGS = {"title": "A song", "artist": "Somebody", "comment": "x" * 300, **OLD}


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("copies") / "song.wav"
    soundfile.write(path, np.concatenate([bar(number) for number in range(3)]), RATE, subtype="PCM_16")
    return path


def encode(wav: Path, path: Path, *options: str) -> Path:
    tags = [option for name, text in TAGS.items() for option in ("-metadata", f"{name}={text}")]
    command = [ffmpeg(), "-loglevel", "error", "-i", str(wav), *tags, *options, str(path)]
    subprocess.run(command, check=True)
    return path


def packets(path: Path) -> str:
    """What ffmpeg finds in a file: the packets, with their times, sizes and sums."""
    command = [ffmpeg(), "-loglevel", "error", "-i", str(path), "-map", "0:a", "-c", "copy", "-f", "framemd5", "pipe:1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not done.stderr
    return "\n".join(line.partition(", S=")[0] for line in done.stdout.splitlines() if line[0] != "#")


def tags_of(path: Path) -> dict[str, list[str]]:
    """Tags but those of loops, as mutagen reads them; those of loops by their own names."""
    tags = mutagen.File(path).tags or {}
    return {name.removeprefix("TXXX:").upper(): [str(text) for text in texts] for name, texts in tags.items()}


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus"])
def test_a_copy_has_the_loop_and_else_what_the_file_has(suffix: str, wav: Path, tmp_path: Path) -> None:
    source, copy = encode(wav, tmp_path / f"song.{suffix}"), tmp_path / f"copy.{suffix}"
    rate = 48_000 if suffix == "opus" else RATE
    copy_with_loop(source, copy, LOOP, rate)
    assert packets(copy) == packets(source)
    before, after = tags_of(source), tags_of(copy)
    assert (before.pop("LOOPSTART"), before.pop("LOOPLENGTH"), before.pop("LOOP_END")) == (["1"], ["2"], ["3"])
    assert (after.pop("LOOPSTART"), after.pop("LOOPLENGTH")) == (["12345"], ["60000"])
    assert after == before
    np.testing.assert_array_equal(soundfile.read(copy)[0], soundfile.read(source)[0])
    again = tmp_path / f"again.{suffix}"
    copy_with_loop(copy, again, LOOP, rate)
    assert again.read_bytes() == copy.read_bytes()


def test_places_in_opus_are_counted_at_48_khz(wav: Path, tmp_path: Path) -> None:
    source, copy = encode(wav, tmp_path / "song.opus"), tmp_path / "copy.opus"
    copy_with_loop(source, copy, (24_000, 8_000), 16_000)
    assert (tags_of(copy)["LOOPSTART"], tags_of(copy)["LOOPLENGTH"]) == (["72000"], ["24000"])


def test_tags_that_move_pages_move_no_sound(wav: Path, tmp_path: Path) -> None:
    """Where comments take a page more or less, those after them are numbered anew."""
    source, copy = encode(wav, tmp_path / "song.ogg"), tmp_path / "copy.ogg"
    tags = OggVorbis(source)
    tags["filler"] = "y" * (255 * 255 * 2 - 4_480)
    tags.save()
    copy_with_loop(source, copy, LOOP, RATE)
    assert packets(copy) == packets(source)
    assert OggVorbis(copy)["looplength"] == ["60000"]
    np.testing.assert_array_equal(soundfile.read(copy)[0], soundfile.read(source)[0])
    numbers = [
        struct.unpack_from("<I", page.group(), 18)[0] for page in re.finditer(b"OggS.{22}", copy.read_bytes(), re.S)
    ]
    assert numbers == list(range(len(numbers)))
    tags = OggVorbis(source)
    tags.clear()
    tags.save()
    copy_with_loop(source, tmp_path / "bare.ogg", LOOP, RATE)
    assert packets(tmp_path / "bare.ogg") == packets(source)


def test_a_copy_of_a_wav_has_one_sampler_chunk(wav: Path, tmp_path: Path) -> None:
    copies = [tmp_path / f"{number}.wav" for number in range(2)]
    copy_with_loop(wav, copies[0], (5, 6), RATE)
    copy_with_loop(copies[0], copies[1], LOOP, RATE)
    for copy, loop in zip(copies, ((5, 6), LOOP), strict=True):
        assert copy.read_bytes().count(b"smpl") == 1
        assert read_by_sampler(copy) == loop
        assert struct.unpack_from("<I", copy.read_bytes(), 4)[0] == copy.stat().st_size - 8
        np.testing.assert_array_equal(soundfile.read(copy)[0], soundfile.read(wav)[0])


def test_a_large_wav_is_copied_too(wav: Path, tmp_path: Path) -> None:
    source, copy = encode(wav, tmp_path / "large.wav", "-rf64", "always"), tmp_path / "copy.wav"
    assert source.read_bytes()[:4] == b"RF64"
    copy_with_loop(source, copy, LOOP, RATE)
    assert struct.unpack_from("<Q", copy.read_bytes(), 20)[0] == copy.stat().st_size - 8
    np.testing.assert_array_equal(soundfile.read(copy)[0], soundfile.read(wav)[0])
    assert copy.read_bytes()[-24:] == struct.pack("<6I", 0, 0, LOOP[0], sum(LOOP) - 1, 0, 0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.ogg", b"OggS" + bytes(10), "it is cut off"),
        ("a.ogg", b"OggS" + bytes(22) + b"\x01\x08" + b"\x7fFLAC\1\0\0", "neither Vorbis nor Opus"),
        ("a.flac", b"fLaC\x00\x00\x00\x22" + bytes(8), "it is cut off"),
        ("a.wav", b"RIFF" + bytes(4) + b"WAVEdata" + bytes(4) + b"\1\2\3\4", "does not tell how long"),
        ("a.wav", b"RIFF" + bytes(4) + b"WAVEdata" + b"\xff" * 4 + b"\1\2\3\4", "does not tell how long"),
        ("a.m4a", b"\0\0\0\x1cftypM4A " + bytes(8), "it is no ogg, mp3, flac or wav"),
        ("a.mp3", b"ID3\x03\0\0\0\0\0\x14tag!" + bytes(16), "the ID3 tag is damaged"),
    ],
)
def test_what_cannot_be_copied(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        copy_with_loop(tmp_path / name, tmp_path / f"copy-{name}", LOOP, RATE)


def test_damage_among_the_pages_is_told_where_they_would_be_renumbered(wav: Path, tmp_path: Path) -> None:
    source = encode(wav, tmp_path / "song.ogg")
    content = source.read_bytes()
    second = [match.start() for match in re.finditer(b"OggS", content)][1]
    source.write_bytes(content[: second + 60])
    with pytest.raises(AudioError, match=r"song\.ogg cannot be copied with other tags: it is cut off"):
        copy_with_loop(source, tmp_path / "copy.ogg", LOOP, RATE)


def frame(name: str, content: bytes, version: int) -> bytes:
    if version == 2:
        return name.encode() + len(content).to_bytes(3) + content
    return name.encode() + len(content).to_bytes(4) + b"\0\0" + content


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("flags", [0, 0x40, 0x80])
def test_other_frames_stay_in_every_version(version: int, flags: int) -> None:
    if version == 2 and flags == 0x40:
        flags = 0
    short = version == 2
    frames = frame("TT2" if short else "TIT2", b"\0A song", version)
    frames += frame("TXX" if short else "TXXX", b"\0LoopStart\0" + b"1", version)
    frames += frame("TXX" if short else "TXXX", b"\1" + "Wörter\0mehr".encode("utf-16"), version)
    if flags == 0x40:
        extended = b"\0\0\0\6\1\0" if version == 4 else b"\0\0\0\6" + bytes(6)
        frames = extended + frames
    if flags == 0x80:
        frames = frames.replace(b"\xff", b"\xff\0") if version < 4 else frames
    body = frames + bytes(30)
    tag = b"ID3" + bytes((version, 0, flags)) + bytes((0, 0, len(body) >> 7, len(body) & 0x7F)) + body
    made = replace_texts(tag, LOOP_NAMES, NEW)
    read = ID3()
    read.load(BytesIO(made + bytes(100)))
    texts = {text.desc: text.text for text in read.getall("TXXX")}
    assert texts["LOOPSTART"] == ["12345"]
    assert texts["LOOPLENGTH"] == ["60000"]
    assert "LoopStart" not in texts
    assert read["TIT2"].text == ["A song"]


def comments(packet: bytes) -> list[tuple[str, str]]:
    return [pair for item in parse_comments(packet).items for pair in item.pairs]


@pytest.mark.parametrize("others", [[], ["E" * 51], ["E" * 51, "F" * 48], ["E" * 51, "S" * 20], ["T" * 400, "E" * 57]])
def test_rpg_maker_reads_the_right_numbers_whatever_comes_after_them(others: list[str]) -> None:
    """The length of a comment of 48 to 57 bytes begins with a digit, which that reader takes for more of a number."""
    pairs = [(f"K{number}", text[3:]) for number, text in enumerate(others)]
    tags = Tags(tuple(Item((pair,)) for pair in pairs))
    built = build_comments(tags.with_pairs(*NEW.items()), pictures=False)
    replaced = replace_comments(build_comments(tags.with_pairs(*OLD.items()), pictures=False), LOOP_NAMES, NEW)
    for packet in (built, replaced):
        assert read_by_rpg_maker(b"\3vorbis" + packet + b"\1") == LOOP
        assert sorted(comments(packet)) == sorted([*pairs, *NEW.items()])


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_sdl_mixer_reads_a_copy(suffix: str, wav: Path, tmp_path: Path) -> None:
    source, copy = encode(wav, tmp_path / f"song.{suffix}"), tmp_path / f"copy.{suffix}"
    rate = 48_000 if suffix == "opus" else RATE
    copy_with_loop(source, copy, LOOP, rate)
    assert read_by_sdl_mixer(copy, rate) == LOOP


def test_pictures_and_padding_of_a_flac_stay(wav: Path, tmp_path: Path) -> None:
    source, copy = encode(wav, tmp_path / "song.flac"), tmp_path / "copy.flac"
    tags, picture = FLAC(source), Picture()
    picture.data, picture.mime = b"\x89PNG" + bytes(5_000), "image/png"
    tags.add_picture(picture)
    tags.save(padding=lambda info: 1_000)
    copy_with_loop(source, copy, LOOP, RATE)
    assert FLAC(copy).pictures[0].data == picture.data
    assert copy.stat().st_size == source.stat().st_size
    tags.delete()
    tags.save(padding=lambda info: 0)
    copy_with_loop(source, tmp_path / "bare.flac", LOOP, RATE)
    assert FLAC(tmp_path / "bare.flac")["loopstart"] == ["12345"]
    np.testing.assert_array_equal(soundfile.read(tmp_path / "bare.flac")[0], soundfile.read(source)[0])
