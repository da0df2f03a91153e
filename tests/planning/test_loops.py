"""Outputs that loop, in files: the joint, the loop points, the encoder's padding."""

import struct
import subprocess
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile

import musex
from musex.audio.ffmpeg import ffmpeg
from musex.audio.tags.riff import mark_loop

RATE = 44_100
SECONDS = 12.0


@pytest.fixture(scope="module")
def periodic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve times the same second and a half, as a 16-bit WAV."""
    rng = np.random.default_rng(0)
    time = np.arange(3 * RATE // 2) / RATE
    bar = 0.2 * rng.standard_normal(len(time)) * np.exp(-12 * (time % 0.375)) + 0.2 * np.sin(2 * np.pi * 220 * time)
    path = tmp_path_factory.mktemp("loops") / "periodic.wav"
    soundfile.write(path, np.tile(bar, 12), RATE, subtype="PCM_16")
    return path


def decode(path: Path) -> np.ndarray:
    """What ffmpeg's gapless decoder makes of a file, (frames,)."""
    command = [ffmpeg(), "-loglevel", "error", "-i", str(path), "-f", "f32le", "-ac", "1", "pipe:1"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


def chunks(path: Path) -> dict[bytes, bytes]:
    content, found = path.read_bytes(), {}
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    at = 12
    while at < len(content):
        size = struct.unpack("<I", content[at + 4 : at + 8])[0]
        found[content[at : at + 4]] = content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def test_a_wav_repeats_without_a_seam(periodic: Path, tmp_path: Path) -> None:
    output = tmp_path / "loop.wav"
    plan = musex.extend_file(periodic, output, seconds=SECONDS, ending="loop")
    made, _ = soundfile.read(output)
    song, _ = soundfile.read(periodic)
    twice = np.concatenate([made, made])
    around = twice[len(made) - RATE : len(made) + RATE]
    true = song[(plan.spans[0].start + np.arange(-RATE, RATE)) % (3 * RATE // 2)]
    assert np.sum((around - true) ** 2) < 1e-6 * np.sum(true**2)  # -60 dB
    loop = struct.unpack("<9I6I", chunks(output)[b"smpl"])
    assert (loop[7], loop[11], loop[12], loop[14]) == (1, 0, len(made) - 1, 0)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus"])
def test_loop_points_are_tags(suffix: str, periodic: Path, tmp_path: Path) -> None:
    output = tmp_path / f"loop.{suffix}"
    plan = musex.extend_file(periodic, output, seconds=SECONDS, ending="loop")
    frames = round(plan.frames * 48_000 / RATE) if suffix == "opus" else plan.frames
    tags = mutagen.File(output).tags
    names = ("TXXX:LOOPSTART", "TXXX:LOOPLENGTH") if suffix == "mp3" else ("LOOPSTART", "LOOPLENGTH")
    assert [int(str(tags[name][0])) for name in names] == [0, frames]
    assert len(decode(output)) == frames


def test_an_mp3_says_its_padding(periodic: Path, tmp_path: Path) -> None:
    output, straight = tmp_path / "loop.mp3", tmp_path / "straight.mp3"
    plan = musex.extend_file(periodic, output, seconds=SECONDS, ending="loop", bitrate="256k")
    made = decode(output)
    exact = musex.extend(periodic, seconds=SECONDS, ending="loop").samples[:, 0]
    error = made[RATE:-RATE] - exact[RATE:-RATE]
    assert np.sum(error**2) < 0.02 * np.sum(exact**2)  # at its place, to the sample
    assert len(made) == plan.frames
    musex.extend_file(periodic, straight, seconds=SECONDS)
    assert not [name for name in mutagen.File(straight).tags or () if "LOOP" in name]


@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
def test_a_chunk_is_appended_and_counted(magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.wav"
    inside = b"WAVE" + (b"ds64" + struct.pack("<IQQQI", 28, 0, 5, 0, 0) if magic == b"RF64" else b"")
    path.write_bytes(magic + struct.pack("<I", 0) + inside + b"data" + struct.pack("<I", 5) + b"12345")
    mark_loop(path, (2, 3), 8000)
    content = path.read_bytes()
    size = struct.unpack_from("<Q", content, 20)[0] if magic == b"RF64" else struct.unpack_from("<I", content, 4)[0]
    assert size == len(content) - 8
    assert content[-68:-60] == b"smpl" + struct.pack("<I", 60)
    assert content[-69:-68] == b"\0"
    assert struct.unpack("<6I", content[-24:])[2:4] == (2, 4)
