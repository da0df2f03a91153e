"""Songs, plans and models that are damaged, each of which is used or refused in words."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from musex.audio.ffmpeg import ffmpeg
from musex.audio.formats import WRITABLE
from musex.audio.reading import read_song
from musex.audio.song import song_from_array
from musex.audio.tags import read_source, read_tags
from musex.audio.writing import write_song
from musex.extension import plan
from musex.files import extend_file
from musex.plans import Plan
from musex.prediction.described import packaged_model
from musex.prediction.model import Model, load_model
from musex.rendering.stitch import render
from musex.system.side_files import temporary_folder
from tests.conftest import synthesise
from tests.faults.cases import Promise, tried
from tests.faults.mutators import damage_bytes, odd_json
from tests.faults.structures import damage_structure

RATE = 22_050
# What musex reads besides what it writes, with what ffmpeg is asked for to write it.
CONVERTED = {
    ".aifc": ["-c:a", "pcm_s16le", "-f", "aiff"],
    ".caf": ["-c:a", "pcm_s24be"],
    ".au": ["-c:a", "pcm_f32be"],
    ".w64": [],
    ".oga": ["-c:a", "flac", "-f", "ogg"],
    ".aac": ["-c:a", "aac"],
    ".mp4": ["-c:a", "alac", "-f", "mp4"],
    ".mov": ["-c:a", "pcm_s16be"],
    ".mka": ["-c:a", "libvorbis"],
    ".webm": ["-c:a", "libopus", "-ar", "48000"],
    ".wma": ["-c:a", "wmav2"],
    ".mp2": ["-c:a", "mp2"],
    ".ac3": ["-c:a", "ac3"],
    ".tta": [],
}
KINDS = (*WRITABLE, *CONVERTED)
ABOUT = """;FFMETADATA1
title=A title
artist=An artist
album=Ümläute
track=3/9
lyrics-eng=Words to sing
comment=A comment

[CHAPTER]
TIMEBASE=1/1000
START=0
END=3000
title=Begin
[CHAPTER]
TIMEBASE=1/1000
START=3000
END=6000
title=End
"""


@cache
def song_file(suffix: str) -> bytes:
    """A song of 8 s without tags, in a format that musex writes."""
    samples = synthesise(8.0, RATE, 2)
    with temporary_folder() as folder:
        write_song(folder / f"song{suffix}", [samples], song=song_from_array(samples, RATE))
        return (folder / f"song{suffix}").read_bytes()


@cache
def tagged_file(suffix: str) -> bytes:
    """A song of 6 s with tags, chapters and, where the format has one, a picture, in any format."""
    samples = synthesise(6.0, RATE, 1)
    with temporary_folder() as folder:
        source, target = folder / "source.mp3", folder / f"song{suffix}"
        source.write_bytes(_source())
        if suffix in WRITABLE:
            song = replace(song_from_array(samples, RATE), path=source, subtype="PCM_16")
            write_song(target, [samples], song=song, untouched=lambda: len(samples))
        else:
            _call_ffmpeg("-i", source, "-map", "0:a", "-ar", "44100", *CONVERTED[suffix], target)
        return target.read_bytes()


@cache
def _source() -> bytes:
    """The tagged song that others are made from."""
    with temporary_folder() as folder:
        (folder / "bare.wav").write_bytes(song_file(".wav"))
        (folder / "about.txt").write_text(ABOUT)
        inputs: list[str | Path] = ["-i", folder / "bare.wav", "-i", folder / "about.txt"]
        inputs += ["-f", "lavfi", "-i", "color=s=16x16:r=25:d=0.04"]
        picture = ["-map", "2:v", "-c:v", "png", "-disposition:v", "attached_pic", "-map_metadata", "1"]
        _call_ffmpeg(*inputs, "-map", "0:a", "-t", "6", *picture, "-ac", "1", "-b:a", "64k", folder / "source.mp3")
        return (folder / "source.mp3").read_bytes()


def _call_ffmpeg(*arguments: str | Path) -> None:
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def damaged_file(folder: Path, random: np.random.Generator) -> Path:
    suffix = KINDS[int(random.integers(len(KINDS)))]
    damage = damage_structure if random.random() < 0.8 else damage_bytes
    path = folder / f"song{suffix}"
    path.write_bytes(damage(tagged_file(suffix), random))
    return path


def damaged_tags(folder: Path, random: np.random.Generator) -> str:
    path = damaged_file(folder, random)
    wrong = tried(lambda: read_tags(path))
    return f"{path.suffix}: {wrong}" if wrong else ""


def damaged_song(folder: Path, random: np.random.Generator) -> str:
    path = damaged_file(folder, random)
    written = WRITABLE[int(random.integers(len(WRITABLE)))]

    def use() -> None:
        song = read_song(path)
        if random.random() < 0.2:
            plan(song, seconds=15.0)
        if random.random() < 0.05:
            extend_file(path, folder / f"out{written}", seconds=8.0)

    wrong = tried(lambda: read_source(path)) or tried(use)
    return f"{path.suffix}: {wrong}" if wrong else ""


@cache
def plan_text() -> str:
    return plan(synthesise(20.0, RATE, 1), seconds=40.0, sample_rate=RATE).to_json()


def odd_plan(folder: Path, random: np.random.Generator) -> str:
    content = odd_json(json.loads(plan_text()), random)
    if random.random() < 0.3 and isinstance(content, dict):
        content = odd_json(content, random)

    def use() -> None:
        song = song_from_array(synthesise(20.0, RATE, 1), RATE)
        for _ in zip(range(50), render(Plan.from_json(json.dumps(content)), song), strict=False):
            pass

    return tried(use)


def damaged_model(folder: Path, random: np.random.Generator) -> str:
    for path in packaged_model().parent.glob("*.*"):
        if path.suffix in (".json", ".tflite"):
            shutil.copy(path, folder)
    name = ("pointer", "join", "transition")[int(random.integers(3))]
    file, description = folder / f"{name}.tflite", folder / f"{name}.json"
    settings = json.loads(description.read_text())
    if random.random() < 0.7:
        file.write_bytes(damage_bytes(file.read_bytes(), random))
        settings["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    else:
        settings = odd_json(settings, random)
    description.write_text(json.dumps(settings))

    def use() -> None:
        model = load_model(folder)
        assert isinstance(model, Model)
        _ = model.join_head, model.transition_head

    return tried(use)


PROMISES = (
    Promise(
        "A damaged song is used or refused in words",
        "21 formats: chunks, boxes, pages, blocks and frames lost, doubled, moved or with odd numbers; bytes",
        damaged_song,
        option="songs",
        usual=200,
        short=8,
    ),
    Promise(
        "Damaged tags are left out, and stop nothing",
        "the same, read by musex' own parsers alone",
        damaged_tags,
        option="tags",
        usual=2_000,
        short=100,
    ),
    Promise(
        "A plan with anything in it is used or refused",
        "odd values in any place",
        odd_plan,
        "plans",
        usual=500,
        short=40,
    ),
    Promise(
        "A damaged model is used or refused",
        "bytes with fresh hashes, odd descriptions",
        damaged_model,
        "models",
        usual=10,
        short=2,
    ),
)
