"""How long files last, beside what made them."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.audio.ffmpeg import ffmpeg
from musex.audio.lengths import measure_seconds
from musex.cli.app import run
from musex.errors import AudioError


def make_video(path: Path, *options: str, rate: str = "30000/1001") -> Path:
    command = [ffmpeg(), "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc=size=64x48:rate={rate}"]
    subprocess.run([*command, *options, str(path)], check=True)
    return path


@pytest.mark.parametrize(("name", "rate"), [("clip.mov", "30000/1001"), ("clip.mkv", "25"), ("clip.mp4", "24")])
def test_a_video_without_sound_lasts_as_long_as_its_pictures(name: str, rate: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / name, "-frames:v", "301", rate=rate)
    frames, _, seconds = rate.partition("/")
    assert measure_seconds(path) == pytest.approx(301 * int(seconds or 1) / int(frames), abs=0.001)


@pytest.mark.parametrize(("video", "audio", "wanted"), [("3", "7", 7.0), ("7", "3", 7.0)])
def test_of_picture_and_sound_the_longer_one_counts(video: str, audio: str, wanted: float, tmp_path: Path) -> None:
    picture = make_video(tmp_path / "picture.mp4", "-t", video, rate="25")
    command = [ffmpeg(), "-loglevel", "error", "-i", str(picture), "-f", "lavfi", "-i", f"sine=440:duration={audio}"]
    path = tmp_path / "clip.mkv"
    subprocess.run([*command, "-c:v", "copy", "-c:a", "flac", str(path)], check=True)
    assert measure_seconds(path) == pytest.approx(wanted, abs=0.002)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_song_lasts_as_long_as_what_is_decoded(suffix: str, tmp_path: Path, samples: np.ndarray) -> None:
    path = tmp_path / f"song{suffix}"
    soundfile.write(path, samples, 44_100)
    assert measure_seconds(path) == pytest.approx(len(samples) / 44_100, abs=0.03 if suffix == ".mp3" else 1e-6)


def test_what_has_no_duration_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("words")
    picture = make_video(tmp_path / "picture.png", "-frames:v", "1")
    for path, message in (
        (tmp_path / "text.mp4", "has no duration"),
        (picture, "has no duration"),
        (tmp_path / "texts.mp4", "no such file: .*did you mean text.mp4"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(AudioError, match=message):
            measure_seconds(path)


def test_a_playlist_cannot_lead_elsewhere(tmp_path: Path, wav_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{wav_path}\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match="has no duration"):
        measure_seconds(playlist)


def test_extend_makes_a_song_as_long_as_a_video(
    tmp_path: Path, wav_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, output = make_video(tmp_path / "clip.mov", "-frames:v", "301"), tmp_path / "long.wav"
    assert run(["extend", str(wav_path), "--like", str(clip), "-o", str(output), "-q"]) == 0
    assert soundfile.info(output).frames == round(301 * 1001 / 30_000 * 44_100)
    for options, code in ((["--like", str(clip), "-s", "9"], 2), (["--like", str(tmp_path / "no.mov")], 1), ([], 2)):
        assert run(["extend", str(wav_path), *options, "-o", str(tmp_path / "more.wav")]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mov", "long.wav"}
