"""Loops on the command line: listed, written, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.cli.app import run
from tests.engines import read_by_sampler
from tests.looped import BAR, PHRASE, RATE, looped_song


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """The song whose loop is known, in a folder of its own."""
    path = tmp_path / "song.wav"
    soundfile.write(path, looped_song(), RATE)
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_one_error_line(text: str) -> None:
    assert text.startswith("musex: error: ")
    assert text.count("\n") == 1


def test_loops_are_listed(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["loops", str(song), "--count", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["song"], told["sample_rate"], told["frames"]) == (str(song), RATE, 20 * BAR)
    best, *others = told["loops"]
    assert best["stop"] - best["start"] == PHRASE
    assert best["seconds"] == best["stop_seconds"] - best["start_seconds"] == PHRASE / RATE
    assert {"level_db", "flux_percentile", "rhythm_ms", "beat", "bar", "voice", "correlation", "exceeds"} <= set(best)
    assert len(others) == 2
    assert run(["loops", str(song), "-n", "3"]) == 0
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    for row, loop in zip(rows, told["loops"], strict=True):
        assert [int(cell) for cell in row[4:6]] == [loop["start"], loop["stop"]]
        assert ("!" in " ".join(row)) == bool(loop["exceeds"])
    assert printed.err == ""
    assert files(song.parent) == {"song.wav"}


def test_loops_lie_where_they_may(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["loops", str(song), "--keep-from", "0:06", "--keep-to", "0:32", "--avoid", "28-29", "--json"]) == 0
    for loop in json.loads(capsys.readouterr().out)["loops"]:
        assert 5.5 <= loop["start_seconds"] < loop["stop_seconds"] <= 28.0


def test_a_loop_needs_no_length(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = song.with_name("plan.json")
    assert run(["extend", str(song), "--ending", "loop", "--plan", str(plan), "--check"]) == 0
    assert "0:16.0 (1 seam)" in capsys.readouterr().out
    assert soundfile.info(song.with_name("song-extended.wav")).frames == PHRASE
    content = json.loads(plan.read_text())
    assert (len(content["spans"]), len(content["seams"])) == (1, 1)
    assert run(["render", str(plan), "-o", str(song.with_name("again.wav"))]) == 0
    assert song.with_name("again.wav").read_bytes() == song.with_name("song-extended.wav").read_bytes()


def test_an_intro_is_told(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = song.with_name("intro.wav")
    assert run(["extend", str(song), "--ending", "loop", "--intro", "-o", str(output), "--json"]) == 0
    (made,) = json.loads(capsys.readouterr().out)["outputs"]
    start, frames = read_by_sampler(output)
    assert (made["loop"]["start"], made["loop"]["stop"]) == (start, start + frames)
    assert made["loop"]["stop_seconds"] == pytest.approx(made["seconds"])
    assert run(["extend", str(song), "--ending", "loop", "--intro", "-o", str(output), "-f"]) == 0
    assert "(1 seam, loops from 0:0" in capsys.readouterr().out


def test_variations_are_different_loops(song: Path) -> None:
    assert run(["extend", str(song), "--ending", "loop", "--variations", "2", "-q"]) == 0
    lengths = [soundfile.info(song.with_name(f"song-extended-{number}.wav")).frames for number in (1, 2)]
    assert lengths[0] == PHRASE != lengths[1]


def test_a_folder_of_songs_becomes_loops(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for expected in (True, False):
        options = ["-o", str(out), "--name", "{stem}-{ending}", "--intro", "-q"]
        assert run(["extend", str(song.parent), "--ending", "loop", *options]) == 0
        assert soundfile.info(out / "song-loop.wav").frames > PHRASE
        if expected:
            made = (out / "song-loop.wav").stat().st_mtime_ns
    assert (out / "song-loop.wav").stat().st_mtime_ns == made  # done before


def test_parts_are_files_of_their_own(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = song.with_name("level.flac")
    assert run(["extend", str(song), "--ending", "loop", "--loop-parts", "-o", str(output), "--check"]) == 0
    printed = capsys.readouterr().out
    names = [f"level-{part}.flac" for part in ("intro", "loop", "outro")]
    assert files(song.parent) == {"song.wav", *names}
    for name in names:
        assert name in printed
    assert run(["extend", str(song), "--ending", "loop", "--loop-parts", "-o", str(output), "--force", "--json"]) == 0
    (made,) = json.loads(capsys.readouterr().out)["outputs"]
    lengths = [soundfile.info(part["output"]).frames for part in made["parts"]]
    assert [part["frames"] for part in made["parts"]] == lengths
    assert sum(lengths) == 20 * BAR


def test_a_copy_is_tagged(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["extend", str(song), "--ending", "loop", "--tag-only", "--check"]) == 0
    output = song.with_name("song-extended.wav")
    start, frames = read_by_sampler(output)
    assert frames == PHRASE
    assert f"(sample {start}) to" in capsys.readouterr().out
    np.testing.assert_array_equal(soundfile.read(output)[0], soundfile.read(song)[0])
    assert run(["extend", str(song), "--ending", "loop", "--tag-only", "--json", "-f"]) == 0
    (made,) = json.loads(capsys.readouterr().out)["outputs"]
    assert (made["loop"]["start"], made["loop"]["stop"]) == (start, start + frames)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("extend", "give exactly one of --minutes, --seconds, --to and --like"),
        ("extend --ending fade", "give exactly one of --minutes, --seconds, --to and --like"),
        ("extend --ending loop --seconds 9 --minutes 1", "give exactly one of --minutes, --seconds, --to and --like"),
        ("extend --ending loop --mood calm", "--mood calm is for outputs of a length"),
        ("extend --ending loop --arrange bold", "--arrange bold is for outputs of a length"),
        ("extend --ending loop --name {minutes}", "it may hold {stem}, {seed}, {ending}"),
        ("extend --minutes 1 --intro", "--intro is for loops, and --ending outro is none: give --ending loop"),
        ("extend --minutes 1 --ending loop --intro --layers on", "leave out --layers and --arrange"),
        ("extend --minutes 1 --ending loop --intro --mix drums=0:off,1:0dB,2:off", "needs one level of each stem"),
        ("extend --tag-only", "--tag-only is for loops: give --ending loop with it"),
        ("extend --loop-parts", "--loop-parts is for loops: give --ending loop with it"),
        ("extend --intro", "--intro is for loops, and --ending outro is none: give --ending loop"),
        ("extend --minutes 1 --tag-only", "--tag-only is for loops: give --ending loop with it"),
        ("extend --minutes 1 --loop-parts", "--loop-parts is for loops: give --ending loop with it"),
        ("extend --ending loop --tag-only --seconds 9", "leave out how long it shall last"),
        ("extend --ending loop --tag-only --bitrate 256k", "--tag-only encodes nothing: leave out --bitrate"),
        ("extend --ending loop --tag-only --format ogg", "--tag-only encodes nothing: leave out --bitrate"),
        ("extend --ending loop --tag-only --mix drums=off", "--tag-only encodes nothing: leave out --bitrate"),
        ("extend --ending loop --tag-only --intro", "--intro and --tag-only are both given"),
        ("extend --ending loop --loop-parts --intro", "--intro and --loop-parts are both given"),
        ("extend --ending loop --loop-parts --tag-only", "--tag-only and --loop-parts are both given"),
        ("extend --ending loop --loop-parts --variations 2", "--loop-parts is for one song, without --variations"),
        ("extend --ending loop --tag-only --plan p.json", "--tag-only is for one song, without --variations, --plan"),
        ("extend --ending loop --tag-only -o -", "--tag-only is for one song"),
        ("loops --count 0", "--count 0 cannot be used: give a whole number from 1 on"),
        ("loops --avoid 5", "5 is not a stretch of the song"),
    ],
)
def test_wrong_usage(command: str, message: str, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, *options = command.split()
    assert run([name, str(song), *options]) == 2
    error = capsys.readouterr().err
    assert_one_error_line(error)
    assert message in error
    assert files(song.parent) == {"song.wav"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("loops --keep-from 10 --keep-to 11", "no loop is found in this song of 40.0 s"),
        ("extend --ending loop --keep-from 10 --keep-to 11", "no loop is found in this song of 40.0 s"),
        ("extend --ending loop --tag-only -o song.ogg", "nothing is encoded again, so it ends with .wav"),
        ("extend --ending loop --loop-parts -o nowhere/song.wav", "there is no folder"),
        ("extend --ending loop -o -", "a loop cannot be streamed"),
        ("extend --ending loop --variations 9 --keep-from 10 --keep-to 14.5", "no loop but"),
    ],
)
def test_what_a_song_does_not_have(
    command: str, message: str, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song.parent)
    name, *options = command.split()
    assert run([name, "song.wav", *options]) == 1
    error = capsys.readouterr().err
    assert_one_error_line(error)
    assert message in error
    if "variations" not in command:  # those before the first that fails are written
        assert files(song.parent) == {"song.wav"}


@pytest.mark.parametrize("name", ["nothing.wav", "folder", "words.mp3"])
def test_bad_songs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "words.mp3").write_text("not music\n" * 100)
    assert run(["loops", str(tmp_path / name)]) == 1
    assert_one_error_line(capsys.readouterr().err)


def test_repeats_are_as_long_as_the_best_loop_so_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    groove = Path(__file__).parent.parent.parent / "examples" / "groove.mp3"  # whose bars are heard
    assert run(["loops", str(groove), "-n", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    loop, song = told["loops"][0]["seconds"], told["frames"] / told["sample_rate"]
    for ending, seconds in (("outro", song + 2 * loop), ("loop", 3 * loop)):
        command = ["extend", str(groove), "--repeats", "3", "--ending", ending, "--dry-run", "--json"]
        assert run(command) == 0
        assert json.loads(capsys.readouterr().out)["seconds"] == pytest.approx(seconds, abs=0.1)
    assert run(["extend", str(groove), "--repeats", "3", "--minutes", "2"]) == 2
    assert "both given" in capsys.readouterr().err
    assert run(["extend", str(groove), str(groove), "--repeats", "3"]) == 2
    assert "of its own" in capsys.readouterr().err
