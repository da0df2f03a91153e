"""Stems and mixes by the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.cli.app import run
from musex.cli.arguments import parse_mix
from musex.files import stream_file


@pytest.fixture
def song(tmp_path: Path, wav_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(wav_path.read_bytes())
    return path


def read(path: Path) -> np.ndarray:
    return np.asarray(soundfile.read(path, dtype="float32")[0])


def test_mixes_are_read_as_they_are_written() -> None:
    assert parse_mix("voice=off drums=-6dB bass=3 rest=0:OFF,1.5:-2.5db") == (
        ("voice", ((0.0, None),)),
        ("drums", ((0.0, -6.0),)),
        ("bass", ((0.0, 3.0),)),
        ("rest", ((0.0, None), (90.0, -2.5))),
    )


def test_from_a_song_to_stems_and_their_cuts(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, plan, output = song.parent / "song-stems", song.with_name("plan.json"), song.with_name("long.wav")
    assert run(["stems", str(song), "--mix", "drums=off"]) == 0
    made = [folder / f"{name}.wav" for name in ("drums", "bass", "rest", "mix")]
    assert capsys.readouterr().out.split() == [str(path) for path in made]
    np.testing.assert_allclose(sum(read(path) for path in made[:3]), read(song), atol=1e-6)
    assert run(["stems", str(song)]) == 1
    assert run(["stems", str(song), "--json", "--force"]) == 0
    told = capsys.readouterr()
    assert "exists already" in told.err
    assert json.loads(told.out) == {"song": str(song), "stems": {path.stem: str(path) for path in made[:3]}}

    mix = ["--mix", "drums=0:off,0.1:0dB"]
    options = ["--seconds", "15", "-o", str(output), "--plan", str(plan), "--stems", str(folder), "-q"]
    assert run(["extend", str(song), *options, *mix]) == 0
    cuts = song.with_name("cuts")
    names = [str(path) for path in made[:3]]
    assert run(["render", str(plan), "--stems", *names, "-o", str(cuts)]) == 0
    assert capsys.readouterr().out.count("0:15.0 (") == 3
    together = sum(read(cuts / path.name) for path in made[:3])
    np.testing.assert_allclose(together, read(output), atol=1.5 / 2**15)
    assert np.abs(read(cuts / "drums.wav")[:2000]).max() < np.abs(read(made[0])[:2000]).max() / 10
    assert run(["render", str(plan), "--mix", "drums=0dB", "-o", str(output), "-f", "-q"]) == 0
    np.testing.assert_array_equal(read(output)[:22_050], read(song)[:22_050])


@pytest.mark.parametrize(("output", "told"), [("cuts.wav", "such as cuts"), ("-", "cannot be streamed")])
def test_stems_go_to_folders(
    output: str, told: str, song: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song.parent)
    assert run(["extend", "song.wav", "--seconds", "15", "-o", "long.wav", "--plan", "plan.json", "-q"]) == 0
    there = {path.name for path in Path().iterdir()}
    for command in (["stems", "song.wav"], ["render", "plan.json", "--stems", "song.wav"]):
        assert run([*command, "-o", output]) == 1
        assert told in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == there


def test_a_mixed_stream_is_the_file(song: Path) -> None:
    output, streamed = song.with_name("long.wav"), song.with_name("streamed.wav")
    assert run(["extend", str(song), "--seconds", "12", "-o", str(output), "--mix", "drums=off rest=-3dB", "-q"]) == 0
    with streamed.open("wb") as handle:
        stream_file(song, handle, seconds=12.0, mix={"drums": None, "rest": -3.0})
    np.testing.assert_array_equal(read(streamed), read(output))


def test_a_mix_is_part_of_what_a_batch_has_made(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, made = song.parent, song.parent / "made"
    options = ["extend", str(folder), "--seconds", "8", "-o", str(made)]
    for mix, state in ((["--mix", "drums=off"], "made"), (["--mix", "drums=off"], "skipped")):
        assert run([*options, *mix]) == 0
        assert state in capsys.readouterr().out
    run([*options, "--mix", "drums=-3dB"])
    assert "skipped" not in capsys.readouterr().out
