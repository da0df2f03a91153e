"""Mixes as files and as streams, by the packaged model on real songs."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

import musex
from musex.analysis.loudness import level, step_powers
from musex.audio.ffmpeg import ffmpeg
from musex.cli.app import run
from musex.errors import AudioError, MusexError
from musex.mixes.player import Mixer
from musex.mixes.songs import choose_form, listen, load_song
from musex.settings import Settings

ROOT = Path(__file__).parent.parent
RATE = 44_100
SECONDS = 150.0


@dataclass(frozen=True)
class Made:
    """A mix, its songs' files and what is told of it."""

    folder: Path
    songs: tuple[Path, ...]
    mix: musex.Mix
    samples: np.ndarray[Any, Any]

    def around(self, number: int) -> tuple[int, int]:
        """Where a song begins in the mix, and how many samples its crossfade takes before that."""
        song = self.mix.songs[number]
        return round(song.at * RATE), round(song.fade_seconds * RATE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three songs of different loudness, in floating point, and a mix of them."""
    folder = tmp_path_factory.mktemp("mix")
    songs = []
    for name, gain in (("groove", 0.4), ("waltz", 0.7), ("drift", 0.5)):
        song = musex.read_song(ROOT / "examples" / f"{name}.mp3")
        songs.append(folder / f"{name}.wav")
        soundfile.write(songs[-1], gain * song.samples, song.sample_rate, subtype="FLOAT")
    mix = musex.mix_files(songs, folder / "mix.wav", seconds=SECONDS)
    return Made(folder, tuple(songs), mix, soundfile.read(folder / "mix.wav", dtype="float32")[0])


def test_a_mix_lasts_as_long_as_asked_for_to_the_sample(made: Made) -> None:
    assert len(made.samples) == round(SECONDS * RATE)
    assert made.mix.seconds == SECONDS
    assert sum(song.seconds for song in made.mix.songs) == pytest.approx(SECONDS)
    for before, after in pairwise(made.mix.songs):
        assert before.at + before.seconds == pytest.approx(after.at)
    assert [Path(song.path) for song in made.mix.songs] == list(made.songs)


def test_songs_are_left_and_entered_at_downbeats(made: Made) -> None:
    for number, (before, after) in enumerate(pairwise(made.mix.songs), start=1):
        at, fade = made.around(number)
        for song, place in ((before, before.left), (after, after.entered)):
            downbeats = np.array(musex.info(song.path).downbeats)
            if len(downbeats):
                assert np.abs(downbeats - place).min() < 0.002
        # What is heard on both sides is the songs at these places, and nothing else.
        left, _ = soundfile.read(before.path, dtype="float32")
        entered, _ = soundfile.read(after.path, dtype="float32")
        stop, start = round(before.left * RATE) - fade, round(after.entered * RATE)
        half = RATE // 2
        for heard, source in (
            (made.samples[at - fade - half : at - fade], left[stop - half : stop]),
            (made.samples[at : at + half], entered[start : start + half]),
        ):
            gain = float(np.vdot(heard, source) / np.vdot(source, source))
            assert np.abs(heard - gain * source).max() < 1e-5 + 1e-4 * np.abs(heard).max()


def test_crossfades_are_of_a_beat_at_most(made: Made) -> None:
    for before, after in pairwise(made.mix.songs):
        tempos = [song.tempo for song in (before, after) if song.tempo]
        assert 0.0 < after.fade_seconds <= (60.0 / max(tempos) if tempos else 2.0) + 0.001


def test_levels_meet_at_joins(made: Made) -> None:
    for number in range(1, len(made.mix.songs)):
        at, _ = made.around(number)
        sides = made.samples[at - 3 * RATE : at], made.samples[at : at + 3 * RATE]
        before, after = (level(step_powers(side, RATE)) for side in sides)
        assert after - before == pytest.approx(made.mix.songs[number].level_db, abs=0.6)
        assert abs(after - before) < 1.0


def test_songs_are_as_loud_as_each_other_as_ffmpeg_hears_them(made: Made) -> None:
    told = []
    for song in made.mix.songs:
        command = [ffmpeg(), "-hide_banner", "-nostats", "-ss", str(song.at), "-t", str(song.seconds)]
        command += ["-i", str(made.folder / "mix.wav"), "-af", "ebur128", "-f", "null", "-"]
        log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        told.append(float(re.findall(r"I: +(-?[\d.]+) LUFS", log)[-1]))
        assert told[-1] == pytest.approx(song.loudness, abs=0.3)
    assert max(told) - min(told) < 1.0
    sources = [musex.read_song(path).samples for path in made.songs]
    assert np.ptp([level(step_powers(source, RATE)) for source in sources]) > 2.0  # as they were
    assert np.abs(made.samples).max() <= 1.0


def test_the_mix_begins_and_ends_as_its_first_and_last_songs_do(made: Made) -> None:
    first, last = made.mix.songs[0], made.mix.songs[-1]
    source, _ = soundfile.read(first.path, dtype="float32")
    gain = 10 ** (first.gain_db / 20)
    np.testing.assert_allclose(made.samples[:RATE], gain * source[:RATE], rtol=0.001, atol=1e-5)
    source, _ = soundfile.read(last.path, dtype="float32")
    ending = source[-5 * RATE : -RATE].mean(axis=1)
    heard = made.samples[-8 * RATE :].mean(axis=1)
    energy = np.cumsum([0.0, *np.square(heard.astype(np.float64))])
    norms = np.sqrt(energy[len(ending) :] - energy[: -len(ending)]) * np.linalg.norm(ending)
    assert (fftconvolve(heard, ending[::-1], "valid") / norms).max() > 0.99
    assert last.left == pytest.approx(len(source) / RATE, abs=2.0)


def test_the_cue_sheet_has_the_songs_times(made: Made) -> None:
    assert made.mix.cue == made.folder / "mix.cue"
    sheet = made.mix.cue.read_text(encoding="utf-8")
    assert sheet.startswith('FILE "mix.wav" WAVE\n')
    assert re.findall(r'TITLE "(.*)"', sheet) == ["groove", "waltz", "drift"]
    times = [int(m) * 60 + int(s) + int(f) / 75 for m, s, f in re.findall(r"INDEX 01 (\d+):(\d\d):(\d\d)", sheet)]
    assert times == pytest.approx([song.at for song in made.mix.songs], abs=0.5 / 75 + 1e-6)


@pytest.mark.parametrize("suffix", [".mp3", ".m4a", ".ogg", ".opus"])
def test_chapters_have_the_songs_times(suffix: str, made: Made, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "waltz.mp3", tmp_path / "tagged.mp3")
    songs = [made.songs[0], tmp_path / "tagged.mp3"]
    mix = musex.mix_files(songs, tmp_path / f"mix{suffix}", seconds=40)
    assert mix.cue is None
    assert {path.name for path in tmp_path.iterdir()} == {"tagged.mp3", f"mix{suffix}"}
    log = subprocess.run([ffmpeg(), "-i", str(tmp_path / f"mix{suffix}")], capture_output=True, text=True).stderr
    chapters = re.findall(r"Chapter #0:\d+: start ([\d.]+), end ([\d.]+)\n +Metadata:\n +title +: (.*)", log)
    assert [title for *_, title in chapters] == ["groove", "Waltz"]
    assert [float(start) for start, *_ in chapters] == pytest.approx([song.at for song in mix.songs], abs=0.03)
    assert musex.read_song(tmp_path / f"mix{suffix}").seconds == pytest.approx(40.0, abs=0.06)


def test_songs_of_other_rates_and_channels_are_changed_with_a_word(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    song = musex.read_song(made.songs[1])
    low = tmp_path / "low.wav"
    soundfile.write(low, song.samples[::2, 0], RATE // 2, subtype="PCM_16")
    mix = musex.mix_files([made.songs[0], low], tmp_path / "mix.flac", seconds=40, order="flow")
    assert (mix.sample_rate, mix.channels) == (RATE, 2)
    assert [message for message in caplog.messages if "the mix has" in message] == [
        "the mix has 44100 Hz: songs with 22050 are changed to that",
        "the mix has 2 channels: songs with 1 are changed to that",
    ]
    info = soundfile.info(tmp_path / "mix.flac")
    assert (info.frames, info.samplerate, info.channels) == (40 * RATE, RATE, 2)
    assert np.ptp([song.loudness for song in mix.songs]) < 1.0


def test_songs_come_round_where_they_do_not_last(tmp_path: Path, wav_path: Path, make_song: Any) -> None:
    other = tmp_path / "other.wav"
    soundfile.write(other, make_song(7.0, seed=5), RATE)
    mix = musex.mix_files([wav_path, other], tmp_path / "mix.wav", seconds=200)
    names = [Path(song.path).name for song in mix.songs]
    assert len(names) > 2
    assert names == [wav_path.name, "other.wav"] * (len(names) // 2)
    assert soundfile.info(tmp_path / "mix.wav").frames == 200 * RATE
    bears = [listen(path).bears for path in (wav_path, other)]
    for song in mix.songs[:-1]:
        assert song.seconds <= max(*bears, 15.0) + 16.0


def test_without_a_duration_songs_go_round_until_nobody_listens(wav_path: Path, made: Made) -> None:
    songs = [listen(path) for path in (wav_path, made.songs[0])]
    mixer = Mixer(songs, choose_form(songs), musex.load_model(), Settings(voice="off"))
    for block in mixer.blocks():
        assert block.ndim == 2
        if len(mixer.played) == 4:
            break
    names = [Path(song.path).name for song in mixer.played]
    assert names == [wav_path.name, "groove.wav"] * 2
    assert mixer.turns is None


def test_the_command_streams_until_the_pipe_is_closed(made: Made) -> None:
    command = [sys.executable, "-m", "musex", "mix", *map(str, made.songs[:2]), "-o", "-", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = process.stdout.read(20 * RATE * 2 * 4)
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait() == 128 + 13
    assert head[:4] == b"RIFF"
    assert len(head) == 20 * RATE * 2 * 4
    assert told == b""
    heard = np.frombuffer(head[head.index(b"data") + 8 :][: 8 * RATE], "<f4")
    assert 0.0 < np.abs(heard).max() <= 1.0


def test_the_command_tells_of_every_song(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "album").mkdir()
    for path in made.songs[:2]:
        shutil.copy(path, tmp_path / "album")
    output = tmp_path / "mix.wav"
    assert run(["mix", str(tmp_path / "album"), "--to", "0:40", "-o", str(output), "--order", "flow"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("LUFS" in line and "beats a minute" in line for line in lines)
    assert last.startswith(f"{output}, {output.with_suffix('.cue')}: 0:40.0 (2 songs, 44100 Hz), made in")
    again = tmp_path / "again.wav"
    command = ["mix", str(tmp_path / "album"), "-s", "40", "-o", str(again), "--order", "flow", "--json"]
    assert run(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["output"], told["seconds"], len(told["songs"])) == (str(again), 40.0, 2)
    assert again.read_bytes() == output.read_bytes()


def test_what_cannot_be_used_of_a_folder_is_left_out(
    wav_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album, output = tmp_path / "album", tmp_path / "mix.wav"
    album.mkdir()
    for name in ("one.wav", "two.wav"):
        shutil.copy(wav_path, album / name)
    (album / "bad.mp3").write_text("not music")
    command = ["mix", str(album), "-s", "40", "-o", str(output), "--force"]
    assert run([*command, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["left_out"] == [str(album / "bad.mp3")]
    assert re.fullmatch(r"musex: warning: .*bad\.mp3 cannot be read: .*; it is left out\n", told.err)
    assert run(command) == 0
    assert "2 songs, 1 left out" in capsys.readouterr().out
    assert run([*command, str(album / "bad.mp3")]) == 1, "named, it is wanted"
    (album / "two.wav").unlink()
    capsys.readouterr()
    assert run(command) == 1
    assert "of 2 only 1 can be used" in capsys.readouterr().err


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-o", "mix.wav"], 2, "give exactly one of"),
        (["-o", "mix.wav", "-s", "60", "-m", "1"], 2, "give exactly one of"),
        (["-s", "60"], 2, "-o is not given"),
        (["-o", "mix.wav", "-s", "60", "--format", "mp3"], 2, "--format is for a stream"),
        (["-o", "-", "-s", "60", "--json"], 2, "both write to stdout"),
        (["-o", "-", "-s", "60", "--format", "doc"], 2, "cannot write doc"),
        (["-o", "mix.wav", "-s", "60", "--order", "tempo"], 2, "--order tempo is not available"),
        (["-o", "mix.wav", "-s", "60", "--mood", "sad"], 2, "is not known"),
        (["-o", "mix.wav", "-s", "60", "--bitrate", "9k9"], 2, "cannot be used"),
        (["-o", "mix.doc", "-s", "60"], 1, "cannot write mix.doc"),
        (["-o", "there.wav", "-s", "60"], 1, "there.wav exists already"),
        (["-o", "cued.wav", "-s", "60"], 1, "cued.cue exists already"),
        (["-o", "one.wav", "-s", "60", "--force"], 1, "one.wav is the song itself"),
        (["-o", "mix.wav", "-s", "29"], 1, "2 songs in 0:29.0 are too many"),
        (["-o", "mix.wav", "-s", "60", "broken.wav"], 1, "broken.wav"),
        (["-o", "mix.wav", "-s", "60", "missing.wav"], 1, "no such file: missing.wav"),
    ],
)
def test_bad_mixes_are_told_in_one_line_and_nothing_is_lost(
    options: list[str], code: int, message: str, wav_path: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("one.wav", "two.wav"):
        shutil.copy(wav_path, name)
    for name in ("there.wav", "cued.cue", "broken.wav"):
        Path(name).write_bytes(b"kept")
    before = contents(tmp_path)
    assert run(["mix", "one.wav", "two.wav", *options]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert contents(tmp_path) == before


def test_one_song_is_no_mix(wav_path: Path, tmp_path: Path) -> None:
    with pytest.raises(MusexError, match="two songs or more"):
        musex.mix_files([wav_path], tmp_path / "mix.wav", seconds=60)
    with pytest.raises(MusexError, match=r"`order='tempo'` is not available"):
        musex.mix_files([wav_path, wav_path], tmp_path / "mix.wav", seconds=60, order="tempo")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_song_that_changes_meanwhile_ends_it_and_leaves_nothing(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, calls = load_song, list[Path]()

    def load_later(song: Any, form: Any) -> Any:
        calls.append(song.path)
        return load(song if len(calls) == 1 else replace(song, frames=song.frames + 1), form)

    monkeypatch.setattr("musex.mixes.player.load_song", load_later)
    (tmp_path / "mix.cue").write_text("kept")
    with pytest.raises(AudioError, match="has changed since"):
        musex.mix_files(made.songs[:2], tmp_path / "mix.wav", seconds=40, force=True)
    assert len(calls) == 2
    assert contents(tmp_path) == {"mix.cue": b"kept"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk to write to")
def test_a_full_disk_ends_a_stream_in_one_line(made: Made) -> None:
    command = [sys.executable, "-m", "musex", "mix", *map(str, made.songs[:2]), "-o", "-", "-q", "-s", "40"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
