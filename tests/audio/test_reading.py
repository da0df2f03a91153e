import base64
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import Picture

from musex.audio import ffmpeg as ffmpeg_module
from musex.audio import reading, writing
from musex.audio.ffmpeg import ffmpeg, list_streams
from musex.audio.file_names import default_output
from musex.audio.formats import WRITABLE
from musex.audio.reading import READABLE, read_song
from musex.audio.song import Song, song_from_array, song_from_segment, to_segment
from musex.audio.tags import read_source
from musex.audio.writing import check_output, write_song
from musex.config import QUALITIES
from musex.errors import AudioError
from musex.files import extend_file
from tests.faults.damaged import damaged_file

ROOT = Path(__file__).parent.parent.parent
RATE = 44_100
MakeSong = Callable[..., np.ndarray]


def blocks_of(samples: np.ndarray, frames: int = RATE) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), frames):
        yield samples[start : start + frames]


def run_ffmpeg(*arguments: object) -> None:
    subprocess.run([ffmpeg(), "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".musex")]


@pytest.fixture(scope="module")
def song(wav_path: Path) -> Song:
    return read_song(wav_path)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory, wav_path: Path) -> Path:
    """An MP3 with tags, some of which must not be kept, and a cover."""
    folder = tmp_path_factory.mktemp("tagged")
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04", "-frames:v", 1, folder / "cover.png")
    tags = {"title": "Ebb; = Flow\nagain", "artist": "Ünïcode", "album": "Album", "date": "1999", "genre": "Folk"}
    wrong = {"REPLAYGAIN_TRACK_GAIN": "-3 dB", "LOOPSTART": "1", "looplength": "2", "TLEN": "6000"}
    arguments = [part for key, value in (tags | wrong).items() for part in ("-metadata", f"{key}={value}")]
    inputs = ["-i", wav_path, "-i", folder / "cover.png", "-map", 0, "-map", 1, "-disposition:v", "attached_pic"]
    run_ffmpeg(*inputs, *arguments, "-b:a", "320k", folder / "tagged.mp3")
    return folder / "tagged.mp3"


# Formats


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_every_written_format_reads_back(
    tmp_path: Path, suffix: str, channels: int, rate: int, make_song: MakeSong
) -> None:
    samples = make_song(5.5, rate, channels)
    notes = write_song(tmp_path / f"a{suffix}", blocks_of(samples), song=song_from_array(samples, rate))
    back = read_song(tmp_path / f"a{suffix}")
    expected_rate = 48_000 if suffix == ".opus" else rate
    assert (back.sample_rate, back.channels) == (expected_rate, channels)
    assert back.seconds == pytest.approx(5.5, abs=0.001)
    assert back.warnings == ()
    assert any("resampled" in note for note in notes) == (expected_rate != rate)
    loudness = 20 * np.log10(np.std(back.samples) / np.std(samples))
    assert abs(loudness) < 0.1  # dB
    if rate == expected_rate:
        assert np.corrcoef(back.samples[:, 0], samples[:, 0])[0, 1] > 0.95  # no offset either
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("suffix", READABLE)
def test_every_readable_format(tmp_path: Path, wav_path: Path, suffix: str) -> None:
    path = tmp_path / f"a%d b{suffix}"
    codec = ["-c:a", "libopus"] if suffix in (".webm", ".opus") else []
    form = ["-f", "aiff"] if suffix == ".aifc" else []
    run_ffmpeg("-i", wav_path, *codec, *form, f"file:{path}")
    song = read_song(path)
    assert song.channels == 2
    assert song.samples.dtype == np.float32
    assert song.seconds == pytest.approx(6.0, abs=0.15)  # wma and adts pad
    assert song.warnings == ()
    assert song.subtype == "PCM_16"


def test_format_is_found_by_content(tmp_path: Path, wav_path: Path) -> None:
    run_ffmpeg("-i", wav_path, tmp_path / "a.m4a")
    (tmp_path / "a.m4a").rename(tmp_path / "a.mp3")
    assert read_song(tmp_path / "a.mp3").frames == 6 * RATE


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".m4a"])
@pytest.mark.parametrize("channels", [3, 5, 6, 7, 8])
def test_channels_keep_their_order(tmp_path: Path, suffix: str, channels: int) -> None:
    time = np.arange(5 * 48_000) / 48_000
    tones = 60 + 20 * np.arange(channels)  # low enough for an LFE channel
    samples = (0.1 * np.sin(2 * np.pi * time[:, None] * tones)).astype(np.float32)
    write_song(tmp_path / f"a{suffix}", blocks_of(samples), song=song_from_array(samples, 48_000))
    back = read_song(tmp_path / f"a{suffix}").samples
    assert back.shape == samples.shape
    peaks = np.abs(np.fft.rfft(back[:48_000], axis=0)).argmax(axis=0)
    assert peaks.tolist() == tones.tolist()


@pytest.mark.parametrize("suffix", WRITABLE)
def test_192_khz(tmp_path: Path, suffix: str, make_song: MakeSong) -> None:
    samples = make_song(5.0, 192_000)
    notes = write_song(tmp_path / f"a{suffix}", blocks_of(samples), song=song_from_array(samples, 192_000))
    highest = {".mp3": 48_000, ".opus": 48_000, ".m4a": 96_000}.get(suffix, 192_000)
    assert read_song(tmp_path / f"a{suffix}").sample_rate == highest
    assert any(f"{highest} Hz" in note for note in notes) == (highest != 192_000)


def test_mp3_mixes_eight_channels_down(tmp_path: Path, make_song: MakeSong) -> None:
    samples = make_song(5.0, RATE, 8)
    notes = write_song(tmp_path / "a.mp3", blocks_of(samples), song=song_from_array(samples, RATE))
    assert notes == ["mp3 holds 2 channels at most: mixed down from 8"]
    assert read_song(tmp_path / "a.mp3").channels == 2


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24)])
def test_integers_are_kept_bit_for_bit(tmp_path: Path, suffix: str, subtype: str, bits: int) -> None:
    integers = np.random.default_rng(0).integers(-(2**31), 2**31, (5 * RATE, 2)) >> (32 - bits) << (32 - bits)
    integers[:4, 0] = [-(2**31), 2**31 - 2 ** (32 - bits), 0, -(2 ** (32 - bits))]
    soundfile.write(tmp_path / "in.wav", integers.astype(np.int32), RATE, subtype=subtype)
    song = read_song(tmp_path / "in.wav")
    write_song(tmp_path / f"out{suffix}", blocks_of(song.samples, 1001), song=song)
    back, _ = soundfile.read(tmp_path / f"out{suffix}", dtype="int32")
    assert soundfile.info(tmp_path / f"out{suffix}").subtype == subtype
    assert np.array_equal(back, integers)


def test_float_wav_stays_float_and_unclipped(tmp_path: Path, samples: np.ndarray) -> None:
    loud = samples * np.float32(5.3)
    soundfile.write(tmp_path / "in.wav", loud, RATE, subtype="FLOAT")
    song = read_song(tmp_path / "in.wav")
    assert write_song(tmp_path / "out.wav", [song.samples], song=song) == []
    assert np.array_equal(read_song(tmp_path / "out.wav").samples, loud)
    assert "rounded" in write_song(tmp_path / "out.flac", [song.samples], song=song)[0]
    back = read_song(tmp_path / "out.flac")
    assert back.subtype == "PCM_24"
    assert np.abs(back.samples - np.clip(loud, -1, 1)).max() < 2**-22


def test_an_aiff_that_its_header_cannot_count_is_refused(tmp_path: Path, song: Song) -> None:
    with pytest.raises(AudioError, match=r"aiff holds 406 min of this song at most; name a \.wav"):
        extend_file(song.path or "", tmp_path / "a.aiff", seconds=7 * 3600)


def test_lossless_m4a_keeps_24_bits(tmp_path: Path, samples: np.ndarray) -> None:
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype="PCM_24")
    run_ffmpeg("-i", tmp_path / "in.wav", "-c:a", "alac", tmp_path / "in.m4a")
    assert read_song(tmp_path / "in.m4a").subtype == "PCM_24"
    assert np.array_equal(read_song(tmp_path / "in.m4a").samples, read_song(tmp_path / "in.wav").samples)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_lossless_m4a_stays_lossless(tmp_path: Path, samples: np.ndarray, subtype: str) -> None:
    soundfile.write(tmp_path / "in.wav", samples, RATE, subtype=subtype)
    bits = ["-sample_fmt", "s16p"] if subtype == "PCM_16" else ["-sample_fmt", "s32p", "-bits_per_raw_sample", 24]
    run_ffmpeg("-i", tmp_path / "in.wav", "-c:a", "alac", *bits, "-metadata", "title=One", tmp_path / "in.m4a")
    song = read_song(tmp_path / "in.m4a")
    assert write_song(tmp_path / "out.m4a", [song.samples], song=song) == []
    assert read_source(tmp_path / "out.m4a").codec == "alac"
    again = read_song(tmp_path / "out.m4a")
    assert again.subtype == subtype
    assert np.array_equal(again.samples, song.samples)
    assert mutagen.File(tmp_path / "out.m4a").tags["\xa9nam"] == ["One"]
    write_song(tmp_path / "small.m4a", [song.samples], song=song, bitrate="128k")
    assert read_source(tmp_path / "small.m4a").codec == "aac"


def test_more_channels_than_lossless_m4a_holds_are_told(tmp_path: Path, make_song: MakeSong) -> None:
    soundfile.write(tmp_path / "in.wav", make_song(channels=6), RATE)
    run_ffmpeg("-i", tmp_path / "in.wav", "-c:a", "alac", tmp_path / "in.m4a")
    song = read_song(tmp_path / "in.m4a")
    (note,) = write_song(tmp_path / "out.m4a", [song.samples], song=song)
    assert "name a .flac or .wav" in note


@pytest.mark.parametrize(("codec", "suffix"), [("flac", ".wav"), ("aac", ".mp3")])
def test_what_a_container_holds_says_what_is_written(tmp_path: Path, wav_path: Path, codec: str, suffix: str) -> None:
    run_ffmpeg("-i", wav_path, "-c:a", codec, tmp_path / "a.mka")
    assert default_output(tmp_path / "a.mka").name == f"a-extended{suffix}"


def test_what_is_short_is_named_and_not_the_song(
    tmp_path: Path, wav_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ffmpeg("-i", wav_path, tmp_path / "a.m4a")

    def refuse() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(AudioError, match=r"no folder for temporary files .* TMPDIR"):
            read_song(tmp_path / "a.m4a")
    try:
        for program in (tmp_path / "none", wav_path):
            ffmpeg.cache_clear()
            monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
            with pytest.raises(AudioError, match="no ffmpeg that works"):
                read_song(tmp_path / "a.m4a")
    finally:
        ffmpeg.cache_clear()


def test_an_ffmpeg_that_hangs_is_given_up(
    tmp_path: Path, wav_path: Path, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ffmpeg("-i", wav_path, tmp_path / "a.m4a")
    hung = tmp_path / "ffmpeg"
    hung.write_text("#!/bin/sh\nexec sleep 1000\n")
    hung.chmod(0o755)
    streams = list_streams(tmp_path / "a.m4a")
    for module in (ffmpeg_module, reading):
        monkeypatch.setattr(module, "STALL_SECONDS", 0.5)
        monkeypatch.setattr(module, "ffmpeg", lambda: str(hung))
    with pytest.raises(AudioError, match=r"ffmpeg got no further for 0\.5 s"):
        read_song(tmp_path / "a.m4a")
    monkeypatch.setattr(reading, "list_streams", lambda path: streams)
    with pytest.raises(AudioError, match=r"ffmpeg got no further for 0\.5 s"):
        read_song(tmp_path / "a.m4a")
    monkeypatch.setattr(writing, "ffmpeg", lambda: str(hung))
    with pytest.raises(AudioError, match=r"ffmpeg got no further for 0\.5 s"):
        write_song(tmp_path / "b.wav", [song.samples], song=song)
    assert leftovers(tmp_path) == []


def test_an_ffmpeg_that_dies_is_told_of(tmp_path: Path, wav_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it gave until then is a part only: neither a song nor tags nor a count of packets."""
    for suffix in (".m4a", ".flac"):
        run_ffmpeg("-i", wav_path, tmp_path / f"a{suffix}")
    streams = list_streams(tmp_path / "a.m4a")
    dying = tmp_path / "ffmpeg"
    dying.write_text(f'#!/bin/sh\n{ffmpeg()} "$@"\nkill -SEGV $$\n')
    dying.chmod(0o755)
    for module in (ffmpeg_module, reading):
        monkeypatch.setattr(module, "ffmpeg", lambda: str(dying))
    for use in (lambda: read_song(tmp_path / "a.flac"), lambda: read_source(tmp_path / "a.flac")):
        with pytest.raises(AudioError, match=r"a\.flac cannot be read: ffmpeg was stopped by SIGSEGV"):
            use()
    monkeypatch.setattr(reading, "list_streams", lambda path: streams)
    with pytest.raises(AudioError, match=r"a\.m4a cannot be read: ffmpeg was stopped by SIGSEGV"):
        read_song(tmp_path / "a.m4a")


def test_a_lossless_song_is_not_made_lossy_unasked(tmp_path: Path) -> None:
    names = {
        "a.aiff": "a-extended.aiff",
        "a.AIF": "a-extended.AIF",
        "a.au": "a-extended.wav",
        "a.oga": "a-extended.ogg",
    }
    assert {name: default_output(tmp_path / name).name for name in names} == names
    assert default_output(tmp_path / "a.WMA").name == "a-extended.mp3"


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus", ".m4a"])
def test_better_quality_takes_more_room(tmp_path: Path, suffix: str) -> None:
    song = read_song(ROOT / "examples" / "waltz.mp3")
    sizes = []
    for quality in QUALITIES:
        write_song(path := tmp_path / f"{quality}{suffix}", [song.samples], song=song, bitrate=quality)
        sizes.append(path.stat().st_size)
    assert 1.2 * sizes[0] < sizes[1] < sizes[2] / 1.2


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus", ".m4a"])
def test_bitrate_is_heeded(tmp_path: Path, song: Song, suffix: str) -> None:
    write_song(tmp_path / f"low{suffix}", [song.samples], song=song, bitrate="64k")
    write_song(tmp_path / f"high{suffix}", [song.samples], song=song, bitrate="256")
    assert (tmp_path / f"high{suffix}").stat().st_size > 1.7 * (tmp_path / f"low{suffix}").stat().st_size


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (22_050, 2), (8_000, 1)])
def test_mp3s_are_as_loud_as_their_songs(tmp_path: Path, rate: int, channels: int, make_song: MakeSong) -> None:
    samples = make_song(5.0, rate, channels)
    song = song_from_array(samples, rate)
    for bitrate in ("64k", "128k", "175k", "176k", "192k", "207k", "208k", "224k", "240k", "256k", "320k"):
        write_song(tmp_path / "a.mp3", [samples], song=song, bitrate=bitrate, force=True)
        back = read_song(tmp_path / "a.mp3").samples
        gain = np.sum(back * samples) / np.sum(samples**2)
        assert abs(20 * np.log10(gain)) < 0.1, bitrate  # dB


def test_mp3_keeps_the_bit_rate_of_the_source(tmp_path: Path, tagged: Path, song: Song) -> None:
    write_song(tmp_path / "a.mp3", [song.samples], song=read_song(tagged))
    write_song(tmp_path / "b.mp3", [song.samples], song=song)
    assert mutagen.File(tmp_path / "a.mp3").info.bitrate == pytest.approx(320_000, rel=0.01)
    assert mutagen.File(tmp_path / "b.mp3").info.bitrate == pytest.approx(192_000, rel=0.01)


# Tags


def pictures_of(file: Any) -> list[Picture]:
    """The pictures of an Ogg file."""
    return [Picture(base64.b64decode(text)) for text in file.tags["metadata_block_picture"]]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_tags_and_cover_are_kept(tmp_path: Path, tagged: Path, suffix: str) -> None:
    song, path = read_song(tagged), tmp_path / f"a{suffix}"
    notes = write_song(path, blocks_of(song.samples), song=song, title_suffix=" (10 min)")
    read = path
    if suffix in (".wav", ".aiff"):  # which have no easy tags
        run_ffmpeg("-i", path, "-map", "0:a", read := tmp_path / "tags.flac")
    tags = mutagen.File(read, easy=True).tags
    assert tags["title"] == ["Ebb; = Flow\nagain (10 min)"]
    assert tags["artist"] == ["Ünïcode"]
    assert (tags["album"], tags["date"], tags["genre"]) == (["Album"], ["1999"], ["Folk"])
    everything = str(mutagen.File(path).tags).lower()
    assert not any(word in everything for word in ("replaygain", "loopstart", "looplength", "tlen"))
    covers: dict[str, Callable[[Any], list[Any]]] = {
        ".mp3": lambda file: file.tags.getall("APIC"),
        ".flac": lambda file: file.pictures,
        ".m4a": lambda file: file.tags["covr"],
        ".aiff": lambda file: file.tags.getall("APIC"),
        ".ogg": pictures_of,
        ".opus": pictures_of,
        ".wav": lambda file: file.tags.getall("APIC"),
    }
    (cover,) = covers[suffix](mutagen.File(path))
    assert bytes(getattr(cover, "data", cover)) == (tagged.parent / "cover.png").read_bytes()
    assert not any("picture" in note for note in notes)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".ogg", ".opus"])
def test_tags_and_cover_of_every_format_are_found(tmp_path: Path, tagged: Path, suffix: str) -> None:
    song = read_song(tagged)
    write_song(tmp_path / f"in{suffix}", [song.samples], song=song)
    again = read_song(tmp_path / f"in{suffix}")
    assert write_song(tmp_path / "out.flac", [again.samples], song=again) == []
    written = mutagen.File(tmp_path / "out.flac")
    assert (written.tags["artist"], written.tags["album"]) == (["Ünïcode"], ["Album"])
    assert [picture.mime for picture in written.pictures] == ["image/png"]


def test_a_large_cover_of_an_ogg_is_kept(tmp_path: Path, wav_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 3 * 512 * 512, np.uint8).tobytes()
    (tmp_path / "noise.rgb").write_bytes(noise)
    run_ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "512x512", "-i", tmp_path / "noise.rgb", tmp_path / "n.png")
    inputs = ["-i", wav_path, "-i", tmp_path / "n.png", "-map", 0, "-map", 1, "-disposition:v", "attached_pic"]
    run_ffmpeg(*inputs, "-c:v", "copy", tmp_path / "in.mp3")
    song = read_song(tmp_path / "in.mp3")
    write_song(tmp_path / "out.ogg", [song.samples], song=song)
    (picture,) = pictures_of(mutagen.File(tmp_path / "out.ogg"))
    assert len(picture.data) > 700_000
    assert picture.data == (tmp_path / "n.png").read_bytes()


def test_tags_of_an_ogg_are_kept(tmp_path: Path, wav_path: Path) -> None:
    run_ffmpeg("-i", wav_path, "-metadata", "title=Ogg", "-metadata", "LOOPSTART=5", tmp_path / "in.ogg")
    song = read_song(tmp_path / "in.ogg")
    write_song(tmp_path / "out.ogg", [song.samples], song=song)
    tags = mutagen.File(tmp_path / "out.ogg").tags.as_dict()
    assert tags["title"] == ["Ogg"]
    assert set(tags) <= {"title", "encoder"}


# Damaged input


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".wav", ".aiff"])
def test_truncated_file_is_used_with_a_warning(
    tmp_path: Path, samples: np.ndarray, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run_ffmpeg(
        "-f", "f32le", "-ar", RATE, "-ac", 2, "-i", _raw(tmp_path, np.tile(samples, (2, 1))), tmp_path / f"a{suffix}"
    )
    path = tmp_path / f"a{suffix}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    song = read_song(path)
    assert 7 < song.seconds < 9
    assert len(song.warnings) == 1
    assert "of 12.0 s" in song.warnings[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    with pytest.raises(AudioError, match=r"lasts [\d.]+ s; 5 s is the shortest .*cut off"):
        read_song(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".flac", ".m4a"])
def test_hours_in_a_small_file_do_not_fill_the_memory(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=duration=60,volume=0.1", tmp_path / f"a{suffix}")
    assert read_song(tmp_path / f"a{suffix}").seconds == pytest.approx(60.0, abs=0.1)
    monkeypatch.setattr(reading, "most_bytes", lambda: 4_000_000)
    with pytest.raises(AudioError, match=r"does not fit in half of the memory \(0\.0 GB\) when decoded"):
        read_song(tmp_path / f"a{suffix}")


def test_a_song_is_held_in_memory_where_temporary_files_have_no_room(
    tmp_path: Path, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_song(tmp_path / "song.wav", [song.samples], song=song)
    monkeypatch.setattr(reading, "HELD_BYTES", 100_000)
    spooled = read_song(tmp_path / "song.wav").samples
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=150_000))
    held = read_song(tmp_path / "song.wav").samples
    assert (spooled.flags.writeable, held.flags.writeable) == (False, True)  # what lies in a file cannot be written to
    np.testing.assert_array_equal(spooled, held)


def _halve_streaminfo(content: bytes) -> bytes:
    """A FLAC's bytes with half the samples in its header: 36 bits from byte 21 on."""
    numbers = int.from_bytes(content[18:26], "big")
    total = numbers & (2**36 - 1)
    return content[:18] + (numbers - total + total // 2).to_bytes(8, "big") + content[26:]


PARTLY_TOLD: dict[str, Callable[[bytes], bytes]] = {  # what a header leaves out of two songs of 6 s, or of one
    "joined.mp3": lambda content: content + content,
    "chained.ogg": lambda content: content + content,
    "chained.opus": lambda content: content + content,
    "half-told.flac": _halve_streaminfo,
    "junk.mp3": lambda content: content[: len(content) // 2] + bytes(range(256)) * 32 + content[len(content) // 2 :],
}


@pytest.mark.parametrize("name", PARTLY_TOLD)
def test_all_that_decodes_is_used(tmp_path: Path, song: Song, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    write_song(path, [song.samples], song=song)
    whole = read_song(path)
    assert (round(whole.seconds, 1), whole.warnings) == (6.0, ())
    path.write_bytes(PARTLY_TOLD[name](path.read_bytes()))
    changed = read_song(path)
    assert changed.seconds == pytest.approx((1 if name in ("half-told.flac", "junk.mp3") else 2) * 6.0, abs=0.15)
    assert name == "junk.mp3" or "s are used" in changed.warnings[0]  # a decoder may step over junk
    assert np.corrcoef(changed.samples[: 2 * RATE, 0], whole.samples[: 2 * RATE, 0])[0, 1] > 0.9
    assert capfd.readouterr().err == ""


def test_a_song_that_goes_on_past_the_end_it_tells(tmp_path: Path) -> None:
    path = damaged_file(tmp_path, np.random.default_rng(40_329))  # libsndfile comes to lie past its own end in it
    with soundfile.SoundFile(path) as file:
        try:
            while len(file.read(16_384)):
                pass
        except ValueError:
            assert file.tell() > file.frames
        else:
            pytest.skip("another encoder's file is damaged otherwise")
    with pytest.raises(AudioError, match=r"lasts \d\.\d\d s; 5 s is the shortest song"):
        read_song(path)


def _raw(folder: Path, samples: np.ndarray) -> Path:
    (folder / "a.raw").write_bytes(samples.tobytes())
    return folder / "a.raw"


def test_streamed_wav_is_not_called_truncated(tmp_path: Path, wav_path: Path) -> None:
    with open(tmp_path / "a.wav", "wb") as file:
        subprocess.run([ffmpeg(), "-v", "error", "-i", wav_path, "-f", "wav", "pipe:1"], stdout=file, check=True)
    song = read_song(tmp_path / "a.wav")
    assert (song.frames, song.warnings) == (6 * RATE, ())


# Bad input


def test_a_name_that_is_not_unicode(tmp_path: Path, wav_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/song\xff.wav"))
    try:
        path.write_bytes(wav_path.read_bytes())
    except OSError:
        pytest.skip("this file system knows Unicode names only")
    assert len(read_song(path).samples) == len(read_song(wav_path).samples)


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"no such file: .*none\.mp3"):
        read_song(tmp_path / "none.mp3")
    with pytest.raises(AudioError, match="is a folder"):
        read_song(tmp_path)
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(AudioError, match=r"empty\.mp3 is empty"):
        read_song(tmp_path / "empty.mp3")
    os.mkfifo(tmp_path / "pipe.mp3")
    with pytest.raises(AudioError, match="not a regular file"):
        read_song(tmp_path / "pipe.mp3")


@pytest.mark.parametrize("name", ["text.mp3", "text.wav", "text.m4a", "text.raw", "text"])
def test_text_is_not_music(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("This is a letter, not a song.\n" * 100)
    with pytest.raises(AudioError, match=r"cannot be read: it is not music.*mp3, wav, flac"):
        read_song(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_playlists_and_pictures_are_not_music(tmp_path: Path, wav_path: Path, tagged: Path) -> None:
    (tmp_path / "list.m4a").write_text(f"ffconcat version 1.0\nfile {wav_path}\n")
    (tmp_path / "cover.mp4").write_bytes((tagged.parent / "cover.png").read_bytes())
    for name in ("list.m4a", "cover.mp4"):
        with pytest.raises(AudioError, match="not music"):
            read_song(tmp_path / name)


def test_film_without_sound(tmp_path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=1", tmp_path / "silent.mp4")
    with pytest.raises(AudioError, match="holds no audio"):
        read_song(tmp_path / "silent.mp4")


def test_unusable_samples(make_song: MakeSong) -> None:
    good = make_song(5.0, 8_000, 1)
    with pytest.raises(AudioError, match="silence throughout"):
        song_from_array(np.zeros((RATE * 6, 2)), RATE)
    with pytest.raises(AudioError, match=r"lasts 4\.99 s; 5 s is the shortest"):
        song_from_array(good[:39_900], 8_000)
    for value in (np.nan, np.inf, -np.inf):
        bad = good.copy()
        bad[20_000] = value
        with pytest.raises(AudioError, match=r"NaN or infinite samples near 2\.0 s"):
            song_from_array(bad, 8_000)
    with pytest.raises(AudioError, match="zero channels"):
        song_from_array(np.zeros((RATE * 6, 0)), RATE)
    with pytest.raises(AudioError, match="9 channels; 8 is the most"):
        song_from_array(np.tile(good, 9), 8_000)
    with pytest.raises(AudioError, match=r"7999 Hz; 8000 to 192000"):
        song_from_array(good, 7_999)
    with pytest.raises(AudioError, match="192001 Hz"):
        song_from_array(good, 192_001)
    with pytest.raises(AudioError, match="3 dimensions"):
        song_from_array(good[None], 8_000)
    with pytest.raises(AudioError, match="type complex64"):
        song_from_array(good.astype(np.complex64), 8_000)


def test_unusable_files(tmp_path: Path, wav_path: Path, make_song: MakeSong) -> None:
    nine = make_song(5.0, 8_000, 9)
    soundfile.write(tmp_path / "nine.wav", nine, 8_000)
    with pytest.raises(AudioError, match=r"nine\.wav has 9 channels; 8"):
        read_song(tmp_path / "nine.wav")
    soundfile.write(tmp_path / "low.wav", nine[:, :1], 4_000)
    with pytest.raises(AudioError, match=r"low\.wav has a sample rate of 4000 Hz"):
        read_song(tmp_path / "low.wav")
    nine[100, 0] = np.nan
    soundfile.write(tmp_path / "nan.wav", nine[:, :1], 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav holds NaN"):
        read_song(tmp_path / "nan.wav")
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=d=6", tmp_path / "quiet.mp3")
    with pytest.raises(AudioError, match=r"quiet\.mp3 is silence"):
        read_song(tmp_path / "quiet.mp3")
    run_ffmpeg("-i", wav_path, "-t", 3, tmp_path / "short.m4a")
    with pytest.raises(AudioError, match=r"short\.m4a lasts 3\.0\d s"):
        read_song(tmp_path / "short.m4a")


# Arrays and segments


def test_arrays_of_integers_and_one_dimension(samples: np.ndarray) -> None:
    integers = np.rint(samples[:, 0] * 32_767).astype(np.int16)
    song = song_from_array(integers, RATE)
    assert (song.channels, song.subtype) == (1, "PCM_16")
    assert np.array_equal(song.samples[:, 0] * 32_768, integers)
    assert song_from_array(integers.astype(np.int32) << 16, RATE).subtype == "PCM_24"


def test_sha256_is_of_the_file_or_of_the_samples(wav_path: Path, song: Song, samples: np.ndarray) -> None:
    import hashlib

    assert song.sha256 == hashlib.sha256(wav_path.read_bytes()).hexdigest()
    assert song_from_array(samples, RATE).sha256 == hashlib.sha256(samples.tobytes()).hexdigest()


@pytest.mark.parametrize(("width", "subtype"), [(1, "PCM_16"), (2, "PCM_16"), (3, "PCM_24"), (4, "FLOAT")])
def test_segments_of_every_width(samples: np.ndarray, width: int, subtype: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
    integers = np.rint(samples * (2 ** (8 * width - 1) - 1)).astype("<i8")
    data = integers[..., None].view(np.uint8)[..., :width].tobytes()
    segment = AudioSegment(data=data, sample_width=width, frame_rate=RATE, channels=2)
    song = song_from_segment(segment)
    assert song.subtype == subtype
    assert np.abs(song.samples - samples).max() < 2.0 ** (2 - 8 * min(width, 3))


def test_segment_round_trip(song: Song) -> None:
    for width in (2, 4):
        segment = to_segment(song.samples, RATE, sample_width=width)
        assert (segment.channels, segment.frame_rate, len(segment)) == (2, RATE, 6000)
        assert np.array_equal(song_from_segment(segment).samples, song.samples)


# Outputs that must be refused, and failures half-way


def test_output_is_checked(tmp_path: Path, song: Song, wav_path: Path) -> None:
    with pytest.raises(AudioError, match=r"\.xyz is not among wav, flac, aiff, mp3"):
        check_output(tmp_path / "a.xyz", None, False)
    with pytest.raises(AudioError, match="no ending is not among"):
        check_output(tmp_path / "a", None, False)
    with pytest.raises(AudioError, match="is a folder"):
        check_output(tmp_path, None, False)
    with pytest.raises(AudioError, match="there is no folder"):
        check_output(tmp_path / "none" / "a.mp3", None, False)
    with pytest.raises(AudioError, match=r"bitrate='fast'. cannot be used: give 8k to 512k"):
        check_output(tmp_path / "a.mp3", None, False, bitrate="fast")
    (tmp_path / "a.mp3").write_text("mine")
    with pytest.raises(AudioError, match=r"exists already.*`force=True`"):
        write_song(tmp_path / "a.mp3", [song.samples], song=song)
    assert (tmp_path / "a.mp3").read_text() == "mine"
    write_song(tmp_path / "a.mp3", [song.samples], song=song, force=True)
    assert read_song(tmp_path / "a.mp3").frames == song.frames


@pytest.mark.parametrize("kind", ["same", "hard", "symbolic", "relative"])
def test_output_is_never_the_input(tmp_path: Path, samples: np.ndarray, kind: str) -> None:
    path, other = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(path, samples, RATE)
    before = path.read_bytes()
    if kind == "hard":
        os.link(path, other)
    elif kind == "symbolic":
        other.symlink_to(path)
    output = {"same": path, "relative": tmp_path / ".." / tmp_path.name / "in.wav"}.get(kind, other)
    with pytest.raises(AudioError, match="is the song itself"):
        write_song(output, [samples], song=read_song(path), force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("suffix", [".mp3", ".wav"])
def test_interruption_leaves_nothing(tmp_path: Path, song: Song, suffix: str, error: type[BaseException]) -> None:
    def interrupted() -> Iterator[np.ndarray]:
        yield song.samples
        began = time.monotonic()
        while not leftovers(tmp_path):  # the encoder is fed while the next block is made
            assert time.monotonic() - began < 240.0
            time.sleep(0.01)
        raise error

    (tmp_path / f"a{suffix}").write_text("mine")
    with pytest.raises(error):
        write_song(tmp_path / f"a{suffix}", interrupted(), song=song, force=True)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]
    assert (tmp_path / f"a{suffix}").read_text() == "mine"


def test_a_signal_while_the_encoder_starts_leaves_nothing(
    tmp_path: Path, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Signalled(subprocess.Popen):  # type: ignore[type-arg]
        """The real thing, with Ctrl-C just after the program runs."""

        def __init__(self, command: list[str], **options: Any) -> None:
            super().__init__(command, **options)
            if "pipe:0" in command:
                started.append(self)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)

    monkeypatch.setattr(subprocess, "Popen", Signalled)
    with pytest.raises(KeyboardInterrupt):
        write_song(tmp_path / "a.wav", [song.samples], song=song)
    encoder = started[0]
    assert encoder.stdin is not None
    encoder.stdin.close()
    encoder.wait(timeout=240)
    assert list(tmp_path.iterdir()) == []


def test_blocks_must_fit_the_song(tmp_path: Path, song: Song) -> None:
    with pytest.raises(AudioError, match=r"shape \(100, 3\) does not fit"):
        write_song(tmp_path / "a.wav", [np.zeros((100, 3), np.float32)], song=song)
    with pytest.raises(AudioError, match="no samples"):
        write_song(tmp_path / "a.wav", [], song=song)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_no_room_for_the_output(tmp_path: Path, wav_path: Path, suffix: str) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from musex.audio.reading import read_song\nfrom musex.audio.writing import write_song\n"
        "song = read_song(sys.argv[1])\nwrite_song(sys.argv[2], [song.samples] * 20, song=song)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(wav_path), str(tmp_path / f"a{suffix}")], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "AudioError: could not write" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])
def test_full_disk(tmp_path: Path, song: Song, suffix: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        with pytest.raises(AudioError, match="the disk is full"):
            write_song(tmp_path / f"a{suffix}", [song.samples] * 20, song=song)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_memory_does_not_grow_with_the_output(tmp_path: Path, song: Song) -> None:
    write_song(tmp_path / "short.opus", [song.samples], song=song)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_song(tmp_path / "long.wav", (song.samples for _ in range(50)), song=song)  # 53 MB as int16, 106 MB as floats
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert soundfile.info(tmp_path / "long.wav").frames == 50 * song.frames


def test_a_wav_of_more_than_4_gb_is_whole(tmp_path: Path) -> None:
    rate = 192_000
    block = np.random.default_rng(0).uniform(-0.5, 0.5, (rate, 8)).astype(np.float32)
    count = 2**32 // block.nbytes + 1
    if shutil.disk_usage(tmp_path).free < 2 * count * block.nbytes:
        pytest.skip("the disk has no room for it")
    path = tmp_path / "long.wav"
    write_song(path, (block for _ in range(count)), song=Song(block, rate, None, "FLOAT"))
    try:
        assert path.stat().st_size > 2**32
        with soundfile.SoundFile(path) as file:
            assert file.frames == count * rate
            file.seek((count - 1) * rate)
            np.testing.assert_array_equal(file.read(dtype="float32"), block)
    finally:
        path.unlink()
