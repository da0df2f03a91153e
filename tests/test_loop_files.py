"""Loops as files: an intro before them, their parts, their points in a copy."""

# mypy: allow-untyped-calls
# (mutagen's)

import subprocess
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile

import musex
from musex.audio.ffmpeg import ffmpeg
from musex.errors import MusexError
from musex.loop_files import name_parts, tag_loop, write_loop_parts
from tests.conftest import MadeOnce
from tests.engines import read_by_sampler, read_by_sdl_mixer
from tests.looped import PHRASE, RATE, looped_song


@pytest.fixture(scope="module")
def song(made_once: MadeOnce) -> Path:
    """The song whose loop is known, as a wav of 16 bits."""
    folder = made_once("looped", lambda folder: soundfile.write(folder / "song.wav", looped_song(), RATE))
    return folder / "song.wav"


def read(path: Path) -> np.ndarray:
    samples: np.ndarray = soundfile.read(path, dtype="int16", always_2d=True)[0]
    return samples


def encoded(song: Path, path: Path) -> Path:
    subprocess.run([ffmpeg(), "-loglevel", "error", "-i", str(song), str(path)], check=True)
    return path


def tagged(path: Path) -> tuple[int, int]:
    """The loop that a file's tags tell, as mutagen reads them: its first frame and how many it has."""
    tags = {name.removeprefix("TXXX:").upper(): str(values[0]) for name, values in mutagen.File(path).tags.items()}
    return int(tags["LOOPSTART"]), int(tags["LOOPLENGTH"])


def test_a_wav_with_its_intro_loops_where_its_chunk_says(song: Path, tmp_path: Path) -> None:
    output = tmp_path / "intro.wav"
    plan = musex.extend_file(song, output, ending="loop", intro=True)
    made, source = read(output), read(song)
    start, frames = read_by_sampler(output)
    assert (start, frames) == plan.loop == (plan.intro, PHRASE)
    assert len(made) == start + frames
    np.testing.assert_array_equal(made[:start], source[:start])
    around = np.concatenate([made[-441:], made[start : start + 441]])  # 10 ms on both sides of the jump back
    np.testing.assert_allclose(around, source[start + frames - 441 : start + frames + 441], atol=1)


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus"])
def test_tags_tell_where_a_loop_begins_after_its_intro(suffix: str, song: Path, tmp_path: Path) -> None:
    output = tmp_path / f"intro.{suffix}"
    plan = musex.extend_file(song, output, ending="loop", intro=True)
    scale = 48_000 / RATE if suffix == "opus" else 1.0
    start, stop = round(plan.intro * scale), round(plan.frames * scale)
    assert tagged(output) == (start, stop - start)
    assert soundfile.info(output).frames == stop


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
def test_sdl_mixer_reads_where_a_loop_begins(suffix: str, song: Path, tmp_path: Path) -> None:
    output = tmp_path / f"intro.{suffix}"
    musex.extend_file(song, output, ending="loop", intro=True)
    assert read_by_sdl_mixer(output, 48_000 if suffix == "opus" else RATE) == tagged(output)


def test_a_rendered_plan_keeps_its_intro(song: Path, tmp_path: Path) -> None:
    plan, output, again = tmp_path / "plan.json", tmp_path / "intro.wav", tmp_path / "again.wav"
    musex.extend_file(song, output, ending="loop", intro=True, plan_path=plan)
    musex.render_file(plan, again)
    assert again.read_bytes() == output.read_bytes()
    musex.render_stems(plan, [song], tmp_path / "stems")
    assert read_by_sampler(tmp_path / "stems" / "song.wav") == read_by_sampler(output)
    musex.extend(song, ending="loop", intro=True).save(tmp_path / "saved.wav")
    assert (tmp_path / "saved.wav").read_bytes() == output.read_bytes()


@pytest.mark.parametrize("seconds", [None, 50.0])
def test_parts_play_on_without_a_gap(seconds: float | None, song: Path, tmp_path: Path) -> None:
    plan, paths = write_loop_parts(song, tmp_path / "song.wav", seconds=seconds)
    assert paths == name_parts(tmp_path / "song.wav")
    intro, loop, outro = map(read, paths)
    source, whole = read(song), tmp_path / "whole.wav"
    musex.extend_file(song, whole, seconds=seconds, ending="loop", intro=True)
    np.testing.assert_array_equal(np.concatenate([intro, loop]), read(whole))
    np.testing.assert_array_equal(intro, source[: plan.intro])
    closing = plan.seams[-1]
    back = closing.leave + closing.fade // 2
    assert len(outro) == len(source) - back
    np.testing.assert_array_equal(outro[closing.fade :], source[back + closing.fade :])
    np.testing.assert_allclose(
        outro[: closing.fade], source[back : back + closing.fade], atol=1
    )  # both sides are alike
    assert read_by_sampler(paths[1]) == (0, len(loop))
    for path in (paths[0], paths[2]):
        assert b"smpl" not in path.read_bytes()
    if seconds is None:
        np.testing.assert_allclose(np.concatenate([intro, loop, outro]), source, atol=1)
        played = np.concatenate([intro, loop, loop, loop, outro])
        expected = np.concatenate(
            [source[: plan.frames], *[source[plan.intro : plan.frames]] * 2, source[plan.frames :]]
        )
        np.testing.assert_allclose(played, expected, atol=1)


def test_parts_of_sides_that_differ_meet_without_a_click(tmp_path: Path) -> None:
    """Where the loop's end and its beginning are not the same, each part begins where the one before ends."""
    song = Path(__file__).parent.parent / "examples" / "waltz.mp3"
    plan, paths = write_loop_parts(song, tmp_path / "waltz.wav")
    intro, loop, outro = (part.astype(float) for part in map(read, paths))
    assert len(intro) + len(loop) + len(outro) == plan.song.frames
    played = np.concatenate([intro, loop, loop, outro])
    steps = np.abs(np.diff(played, axis=0)).max(axis=1)
    joints = np.cumsum([len(intro), len(loop), len(loop)]) - 1
    for joint in joints:
        assert steps[joint] <= 1.5 * np.quantile(steps[joint - RATE // 10 : joint + RATE // 10], 0.99)


def test_parts_are_written_together_or_not_at_all(song: Path, tmp_path: Path) -> None:
    (tmp_path / "song-outro.wav").write_bytes(b"mine")
    with pytest.raises(MusexError, match=r"song-outro\.wav exists already"):
        write_loop_parts(song, tmp_path / "song.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["song-outro.wav"]
    write_loop_parts(song, tmp_path / "song.wav", force=True)
    assert len(read(tmp_path / "song-outro.wav"))


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg"])
def test_a_tagged_copy_sounds_as_the_song_bit_for_bit(suffix: str, song: Path, tmp_path: Path) -> None:
    source = song if suffix == "wav" else encoded(song, tmp_path / f"song.{suffix}")
    output = tmp_path / f"tagged.{suffix}"
    before = source.read_bytes()
    loop = tag_loop(source, output)
    assert abs(loop.frames - PHRASE) <= (0 if suffix in ("wav", "flac") else 2)
    assert (read_by_sampler if suffix == "wav" else tagged)(output) == (loop.start, loop.frames)
    np.testing.assert_array_equal(read(output), read(source))
    assert source.read_bytes() == before
    samples = read(output)
    step = samples[loop.start].astype(int) - samples[loop.stop - 1]
    assert np.abs(step).max() <= np.abs(np.diff(samples.astype(int), axis=0)).max()


def test_what_a_copy_cannot_be(song: Path, tmp_path: Path) -> None:
    aiff = encoded(song, tmp_path / "song.aiff")
    with pytest.raises(MusexError, match="they can for ogg, opus, mp3, flac and wav"):
        tag_loop(aiff, tmp_path / "tagged.aiff")
    with pytest.raises(MusexError, match=r"so it ends with \.wav"):
        tag_loop(song, tmp_path / "tagged.ogg")
    with pytest.raises(MusexError, match="a copy sounds as it does"):
        tag_loop(song, tmp_path / "tagged.wav", mix={"drums": -6.0})
    with pytest.raises(MusexError, match="is the song itself"):
        tag_loop(song, song, force=True)
    (tmp_path / "tagged.wav").write_bytes(b"mine")
    with pytest.raises(MusexError, match="exists already"):
        tag_loop(song, tmp_path / "tagged.wav")
    assert (tmp_path / "tagged.wav").read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"song.aiff", "tagged.wav"}


def test_a_generative_model_has_no_loops(song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musex.prediction.model import WaveformModel
    from musex.rendering.generative import continue_song

    model = object.__new__(WaveformModel)
    monkeypatch.setattr(WaveformModel, "name", "paper", raising=False)
    with pytest.raises(MusexError, match="it finds no loops"):
        continue_song(musex.read_song(song), model, seconds=None)
