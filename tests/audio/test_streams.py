"""Which of a file's audio streams is read, and how its channels lie in what is written."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from musex.audio.ffmpeg import ffmpeg, list_streams
from musex.audio.reading import read_song
from musex.audio.song import song_from_array
from musex.audio.streams import choose_stream, holding_layout, parse_streams
from musex.audio.writing import write_song
from musex.cli.app import run
from musex.errors import AudioError
from musex.files import extend_file, render_file

RATE = 22_050


def write_streams(path: Path, *, default: int | None) -> Path:
    """Two streams of six seconds, of one channel and of two."""
    inputs = [["-f", "lavfi", "-i", f"sine=frequency={200 * number}:duration=6"] for number in (1, 2)]
    command = [ffmpeg(), "-v", "error", "-y", *inputs[0], *inputs[1], "-map", "0", "-map", "1", "-ar", str(RATE)]
    command += ["-ac:a:0", "1", "-ac:a:1", "2"]
    for number in range(2):
        command += [f"-disposition:a:{number}", "default" if number == default else "0"]
    subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose second stream is its default."""
    return write_streams(tmp_path_factory.mktemp("streams") / "second.mp4", default=1)


def test_the_default_stream_is_read_unless_another_is_asked_for(second: Path) -> None:
    song = read_song(second)
    assert (song.stream, song.channels) == (2, 2)
    assert song.warnings == (f"{second} has 2 audio streams: number 2 is used; `stream=` chooses another",)
    first = read_song(second, stream=1)
    assert (first.stream, first.channels, first.warnings) == (1, 1, ())
    for number in (0, 3):
        with pytest.raises(AudioError, match=f"no audio stream {number}: 1 to 2 can be chosen"):
            read_song(second, stream=number)


def test_the_first_stream_is_read_where_none_is_the_default(tmp_path: Path) -> None:
    assert read_song(write_streams(tmp_path / "none.mkv", default=None)).stream == 1


def test_a_stream_that_is_not_there_is_refused_in_one_line(wav_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read_song(wav_path, stream=1).stream == 1
    assert run(["info", str(wav_path), "--stream", "3"]) == 1
    assert capsys.readouterr().err == f"musex: error: {wav_path} has no audio stream 3: 1 is all it has\n"


def test_a_plan_says_its_stream(second: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    made = extend_file(second, tmp_path / "a.wav", seconds=8, stream=2, plan_path=plan)
    assert made.song.stream == 2
    render_file(plan, tmp_path / "b.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_streams_are_told_by_the_log() -> None:
    log = """  Stream #0:0[0x1](und): Video: h264, yuv420p, 25 fps (default)
  Stream #0:1[0x2](eng): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, 4 channels (FL+FR+LFE+BC), fltp, 69 kb/s
  Stream #0:2: Audio: pcm_s24le, 48000 Hz, 5.1(side), s32 (24 bit) (default)
  Stream #0:3: Audio: pcm_s16le, 48000 Hz, 3 channels, s16
Output #0, null, to 'pipe:':
  Stream #0:0: Audio: pcm_s16le, 44100 Hz, stereo, s16
"""
    streams = parse_streams(log)
    assert [stream.layout for stream in streams] == ["FL+FR+LFE+BC", "5.1(side)", ""]
    assert [stream.subtype for stream in streams] == ["PCM_16", "PCM_24", "PCM_16"]
    assert choose_stream(streams, None, "a") == 2


@pytest.mark.parametrize(
    ("layout", "held"),
    [("2.1", "5.1"), ("4.0", "6.1"), ("5.1(side)", "5.1"), ("FL+FR+LFE+BC", "6.1"), ("7.0", "7.1"), ("cube", None)],
)
def test_a_layout_is_held_by_the_least_that_has_its_channels(layout: str, held: str | None) -> None:
    assert holding_layout(layout, ("stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")) == held


@pytest.mark.parametrize(
    ("layout", "suffix", "written"),
    [
        ("2.1", ".wav", "2.1"),
        ("2.1", ".flac", "2.1"),
        ("2.1", ".m4a", "2.1"),
        ("2.1", ".ogg", "5.1"),
        ("4.0", ".opus", "6.1"),
        ("5.1(side)", ".opus", "5.1"),
    ],
)
def test_channels_lie_as_in_the_song(tmp_path: Path, layout: str, suffix: str, written: str) -> None:
    channels = {"2.1": 3, "4.0": 4}.get(layout, 6)
    time = np.arange(5 * 48_000) / 48_000
    samples = (0.1 * np.sin(2 * np.pi * time[:, None] * (60 + 20 * np.arange(channels)))).astype(np.float32)
    made = replace(song_from_array(samples, 48_000), layout=layout, subtype="PCM_16")
    write_song(tmp_path / "a.wav", [samples], song=made)
    song = read_song(tmp_path / "a.wav")
    assert song.layout == layout
    notes = write_song(tmp_path / f"b{suffix}", [song.samples], song=song)
    assert [stream.layout for stream in list_streams(tmp_path / f"b{suffix}")] == [written]
    expected = [] if written == layout.replace("(side)", "") else [f"has no channels as {layout}: written as {written}"]
    assert [note.split(" ", 1)[1] for note in notes] == expected
    back = read_song(tmp_path / f"b{suffix}").samples
    loudness = np.sort(back.std(axis=0))[::-1] / samples.std()
    assert np.all(loudness[:channels] > 0.7)  # encoders treat the bass in their own ways
    assert np.all(loudness[channels:] < 0.01)


def test_bass_is_not_mixed_in_as_a_voice(tmp_path: Path) -> None:
    time = np.arange(5 * 44_100) / 44_100
    samples = (0.3 * np.sin(2 * np.pi * time[:, None] * [200, 300, 50])).astype(np.float32)
    write_song(
        tmp_path / "a.mp3", [samples], song=replace(song_from_array(samples, 44_100), layout="2.1"), bitrate="320k"
    )
    left = np.abs(np.fft.rfft(read_song(tmp_path / "a.mp3").samples[:44_100, 0]))
    assert left[200] > 100 * max(left[50], left[300])
