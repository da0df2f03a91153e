"""The commands that the pages name, and the folder of somebody who types them."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.audio.ffmpeg import ffmpeg
from musex.audio.reading import read_song
from musex.audio.writing import write_song
from musex.cli.app import run
from tests.conftest import MadeOnce

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("models/*.md")])


def commands_of(page: Path) -> list[list[str]]:
    """The musex commands in a page's blocks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "".join(re.findall(r"^```(?:bash)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for name, value in re.findall(r'^(\w+)="([^"]*)"$', blocks, re.MULTILINE):
        blocks = blocks.replace(f"${name}", " ".join(value.split()))
    found = re.findall(r"^(?:\.venv/bin/)?musex .*$", blocks, re.MULTILINE)
    return [shlex.split(line.split(" | ")[0], comments=True)[1:] for line in found]


COMMANDS = list(dict.fromkeys(tuple(arguments) for page in PAGES for arguments in commands_of(page)))
APART = [  # which have tests of their own: test_prepared, test_strategies
    words for words in COMMANDS if "--strategy" in words or (words[0] == "prepare" and "--cluster" in words)
]
LEARNING = [
    words
    for words in COMMANDS
    if (words[0] in ("train", "prepare") or any(word.endswith("run/") for word in words)) and words not in APART
]
REMOTE = [
    words for words in COMMANDS if ("--cluster" in words or any("://" in word for word in words)) and words not in APART
]
SHORTER = {
    "10": "2",
    "30": "2",
    "60": "6",
    "180": "3",
    "600": "1",
    "1:02:03": "0:03:03",
}  # minutes: the songs here are short, too


def prepare(made_once: MadeOnce, folder: Path, make_song: Callable[..., np.ndarray]) -> Path:
    """What the commands name, in a folder of one's own."""
    made = made_once("reader", partial(_write_files, make_song=make_song))
    shutil.copytree(made, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def _write_files(folder: Path, make_song: Callable[..., np.ndarray]) -> None:
    """What the commands name, small: songs, an album, music to learn from in folders to hold out, and other music."""
    for name in ("album", "other-music", "heard"):
        (folder / name).mkdir()
    song = read_song(ROOT / "examples" / "groove.mp3")
    for name in ("song.mp3", "song.flac", "more.mp3", "album/first.mp3", "album/second.mp3"):
        write_song(folder / name, [song.samples], song=song)
    shutil.copy(ROOT / "examples" / "waltz.mp3", folder / "other-music")
    for name in ("groove.mp3", "sung.mp3"):
        shutil.copy(ROOT / "examples" / name, folder)
    pairs = [pair for arguments in COMMANDS for pair in pairwise(arguments)]
    held = {word for option, word in pairs if option == "--validation"}
    for number, name in enumerate(sorted({*held, *(f"album-{n}" for n in range(4))})):
        (folder / "music" / name).mkdir(parents=True)
        soundfile.write(folder / "music" / name / "track.wav", make_song(33.0, 22_050, 1, seed=number), 22_050)
    clip = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-frames:v", "1500", str(folder / "clip.mp4")]
    subprocess.run([ffmpeg(), "-loglevel", "error", *clip], check=True)
    (folder / "models").symlink_to(ROOT / "models")


def follow(arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    """Type a command where one stands. Networks learn for an epoch."""
    command = [SHORTER.get(word, word) for word in arguments]
    if arguments[0] == "train":
        command += ["--epochs", "2" if "--resume" in arguments else "1"]
        if "--resume" not in arguments:
            shutil.rmtree(arguments[arguments.index("-o") + 1], ignore_errors=True)
    elif arguments[0] in ("extend", "mix", "render", "stems", "report", "spectrogram", "evaluate"):
        command += ["--force"]
    assert run(command) in ((0, 3) if "--check" in arguments else (0,))  # 3: a seam of so short a song fails its check
    assert "error" not in capfd.readouterr().err
