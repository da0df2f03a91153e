"""Stems as files: whole or not at all, and adding up to what they are of."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import musex
from musex.errors import MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span, Swap, Turn
from musex.rendering.stitch import render
from musex.separation.stem_folders import level_of, read_stems
from musex.settings import Mix
from musex.system.side_files import written_together

RATE, FRAMES = 16_000, 96_000
NAMES = ("voice", "drums", "bass", "rest")


@dataclass(frozen=True)
class Work:
    """A song of four stems in files, all in floating point, and a plan of it."""

    folder: Path
    stems: dict[str, np.ndarray]

    @property
    def song(self) -> musex.Song:
        return musex.read_song(self.folder / "song.wav")

    @property
    def files(self) -> list[Path]:
        return [self.folder / "stems" / f"{name}.wav" for name in NAMES]

    def plan(self, **changes: object) -> Path:
        """A plan file with a seam whose crossfade is limited."""
        seam = Seam(50_000, 50_000, 10_000, 400, -0.9, 0.0, 0.0, 0.0)
        spans = Span(0, 50_000), Span(10_000, FRAMES)
        frames = 50_000 + FRAMES - 10_000
        plan = Plan(frames / RATE, describe_song(self.song), PlanModel("", ""), PlanSettings(), spans, (seam,))
        (self.folder / "plan.json").write_text(replace(plan, **changes).to_json())  # type: ignore[arg-type]
        return self.folder / "plan.json"

    def rendered(self, folder: Path) -> np.ndarray:
        """What the outputs of the four add up to."""
        return np.asarray(sum(read(folder / file.name) for file in self.files))


def read(path: Path) -> np.ndarray:
    return np.asarray(soundfile.read(path, dtype="float32", always_2d=True)[0])


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.fixture
def work(tmp_path: Path) -> Work:
    random = np.random.default_rng(5)
    stems = {name: (0.1 * random.standard_normal((FRAMES, 2))).astype(np.float32) for name in NAMES}
    made = Work(tmp_path, stems)
    write(tmp_path / "song.wav", np.asarray(sum(stems.values())))
    for name, file in zip(NAMES, made.files, strict=True):
        write(file, stems[name])
    return made


def below(samples: np.ndarray, song: np.ndarray) -> float:
    """How far the difference lies below, dB."""
    return level_of(samples - song, song)


def test_stems_add_up_to_the_song(wav_path: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    paths = musex.separate_file(wav_path, tmp_path / "new" / "stems", on_progress=lambda stage, _: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["Reading", "Separating", "Writing"]
    assert [path.name for path in paths] == ["drums.wav", "bass.wav", "rest.wav"]
    assert {soundfile.info(path).subtype for path in paths} == {"FLOAT"}
    assert {(soundfile.info(path).samplerate, soundfile.info(path).channels) for path in paths} == {(44_100, 2)}
    song = read(wav_path)
    assert below(np.asarray(sum(map(read, paths))), song) < -120.0
    assert {path.name for path in (tmp_path / "new" / "stems").iterdir()} == {"drums.wav", "bass.wav", "rest.wav"}
    stems = musex.separate(wav_path)
    for path in paths:
        np.testing.assert_array_equal(stems[path.stem], read(path))  # type: ignore[index]


def test_a_mix_is_written_beside_them(wav_path: Path, tmp_path: Path) -> None:
    paths = musex.separate_file(wav_path, tmp_path / "stems", mix={"drums": None})
    assert [path.name for path in paths] == ["drums.wav", "bass.wav", "rest.wav", "mix.wav"]
    assert below(read(paths[3]), read(paths[1]) + read(paths[2])) < -120.0


def test_nothing_is_overwritten_or_left_behind(wav_path: Path, tmp_path: Path) -> None:
    with pytest.raises(MusexError, match="voice cannot be heard apart"):
        musex.separate_file(wav_path, tmp_path / "a" / "b", mix={"voice": None})
    assert not (tmp_path / "a").exists()
    (tmp_path / "bass.wav").write_bytes(b"mine")
    with pytest.raises(MusexError, match=r"bass.wav exists already"):
        musex.separate_file(wav_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bass.wav"]
    with pytest.raises(MusexError, match="is a file: name a folder"):
        musex.separate_file(wav_path, tmp_path / "bass.wav")
    musex.separate_file(wav_path, tmp_path, force=True)
    song = tmp_path / "drums.wav"
    with pytest.raises(MusexError, match="the song itself"):
        musex.separate_file(song, tmp_path, force=True)


def test_stems_of_the_song_before_do_not_stay_among_those_of_another(wav_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stems"
    folder.mkdir()
    (folder / "voice.wav").write_bytes(wav_path.read_bytes())
    (folder / "mine.wav").write_bytes(b"mine")
    written = musex.separate_file(wav_path, folder, force=True)
    assert "voice.wav" not in [path.name for path in written]
    assert {*folder.iterdir()} == {*written, folder / "mine.wav"}


def test_of_files_written_together_all_are_placed_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    with pytest.raises(ZeroDivisionError), written_together(paths) as waiting:  # noqa: PT012
        waiting[0].write_text("new")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with pytest.raises(MusexError, match=r"b.txt: .*none"), written_together(paths) as waiting:  # noqa: PT012
        for path in waiting:
            path.write_text("new")
        paths[1].write_text("mine")  # since a moment ago
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("b.txt", "mine")]
    paths[0].write_text("old")
    with pytest.raises(MusexError, match=r"c.txt: .*none"), written_together(paths, force=True) as waiting:  # noqa: PT012
        for path in waiting:
            path.write_text("new")
        paths[2].mkdir()
    assert [paths[0].read_text(), paths[1].read_text()] == ["old", "mine"]
    paths[2].rmdir()
    with written_together(paths, force=True) as waiting:
        for path in waiting:
            path.write_text("new")
    assert [path.read_text() for path in paths] == ["new"] * 3
    assert len(list(tmp_path.iterdir())) == 3


def test_cuts_of_stems_add_up_to_the_output(work: Work) -> None:
    plan, outputs = musex.render_stems(work.plan(), work.files, work.folder / "out")
    assert [path.name for path in outputs] == [file.name for file in work.files]
    assert below(work.rendered(work.folder / "out"), np.concatenate(list(render(plan, work.song)))) < -120.0
    drums = read(work.folder / "out" / "drums.wav")
    np.testing.assert_array_equal(drums[:49_800], work.stems["drums"][:49_800])
    np.testing.assert_array_equal(drums[50_200:], work.stems["drums"][10_200:])


def test_a_folder_stands_for_the_stems_in_it(work: Work) -> None:
    write(work.folder / "stems" / "mix.wav", work.stems["bass"])  # which `musex stems --mix` leaves beside them
    (work.folder / "stems" / "notes.txt").write_text("no music")
    _, outputs = musex.render_stems(work.plan(), [work.folder / "stems"], work.folder / "out")
    assert {path.name for path in outputs} == {file.name for file in work.files}
    takes = write(work.folder / "takes" / "guitar.wav", work.stems["bass"]).parent
    (takes / "._guitar.wav").write_bytes(b"what a Mac notes of a file beside it")
    _, outputs = musex.render_stems(work.plan(), [takes], work.folder / "out2")
    assert [path.name for path in outputs] == ["guitar.wav"]
    (work.folder / "empty").mkdir()
    with pytest.raises(MusexError, match="empty has no music file"):
        musex.render_stems(work.plan(), [work.folder / "empty"], work.folder / "out3")


def test_what_a_plan_changes_of_stems_is_changed_in_files_of_their_names(work: Work) -> None:
    turn = Turn("bass", 20_000, 8_000, 60_000, -6.0, 1_000)
    mix: Mix = (("voice", ((0.0, None), (3.0, 0.0))),)
    swap = Swap(60_000, 8_000, 20_000, 50_000, 200)
    plan = work.plan(turns=(turn,), swaps=(swap,), settings=PlanSettings(mix=mix), gain_db=-1.0)
    whole = work.folder / "whole.wav"
    musex.extend_file(work.folder / "song.wav", work.folder / "x.wav", seconds=6.0, stems=work.folder / "stems")
    made, _ = musex.render_stems(plan, work.files, work.folder / "out")
    song = work.song
    from musex.separation.separated import give_stems

    give_stems(song, read_stems(work.folder / "stems", song))
    write(whole, np.concatenate(list(render(made, song))))
    assert below(work.rendered(work.folder / "out"), read(whole)) < -120.0
    again, _ = musex.render_stems(plan, work.files, work.folder / "other", mix={"drums": 3.0})
    assert (again.gain_db, set(again.settings.changes)) == (0.0, {"drums"})
    drums = read(work.folder / "other" / "drums.wav")
    assert below(drums[:40_000], work.stems["drums"][:40_000] * np.float32(10**0.15)) < -120.0


def test_tracks_of_other_names_are_only_cut(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    turn, swap = Turn("bass", 20_000, 8_000, 60_000, -6.0, 1_000), Swap(60_000, 8_000, 20_000, 50_000, 200)
    plan = work.plan(turns=(turn,), swaps=(swap,), gain_db=-1.0)
    guitar = write(work.folder / "guitar.wav", work.stems["bass"])
    with caplog.at_level(logging.WARNING):
        musex.render_stems(plan, [guitar], work.folder / "out")
    assert "what the plan changes of bass and drums is left out" in caplog.text
    np.testing.assert_array_equal(read(work.folder / "out" / "guitar.wav")[:49_800], work.stems["bass"][:49_800])
    with pytest.raises(MusexError, match="`mix=` is for stems"):
        musex.render_stems(plan, [guitar], work.folder / "out", mix={"bass": None})


def test_files_that_do_not_fit_are_told_and_nothing_is_written(work: Work) -> None:
    plan, bass = work.plan(), work.stems["bass"]
    short, mono = write(work.folder / "short.wav", bass[:-1]), write(work.folder / "mono.wav", bass[:, 0])
    slow, cut = write(work.folder / "slow.wav", bass, 8_000), work.folder / "cut.wav"
    cut.write_bytes(b"RIFF")
    for file, told in (
        (short, f"{short} lasts 95999 samples, the song 96000"),
        (mono, f"{mono} has 1 channel, the song 2"),
        (slow, f"{slow} has a sample rate of 8000 Hz, the song 16000 Hz"),
        (cut, "cannot be read"),
        (work.folder / "none.wav", "no such file"),
    ):
        with pytest.raises(MusexError) as refused:
            musex.render_stems(plan, [work.files[0], file], work.folder / "out")
        assert told in str(refused.value)
        assert not (work.folder / "out").exists()
    with pytest.raises(MusexError, match="would both become"):
        musex.render_stems(plan, [work.files[0], write(work.folder / "voice.wav", bass)], work.folder / "out")
    with pytest.raises(MusexError, match="never overwritten"):
        musex.render_stems(plan, work.files, work.folder / "stems", force=True)
    song = write(work.folder / "elsewhere" / "song.wav", bass)
    with pytest.raises(MusexError, match="SHA-256"):
        musex.render_stems(plan, work.files, work.folder / "out", song_path=song)
    assert not (work.folder / "out").exists()


def test_outputs_have_the_files_formats(work: Work, caplog: pytest.LogCaptureFixture) -> None:
    flac, sun = work.folder / "bass.flac", work.folder / "pad.au"
    soundfile.write(flac, work.stems["bass"], RATE, subtype="PCM_16")
    soundfile.write(sun, work.stems["rest"], RATE, subtype="PCM_16")
    with caplog.at_level(logging.WARNING):
        _, outputs = musex.render_stems(work.plan(), [flac, sun], work.folder / "out", mix={"bass": 12.0})
    assert [(path.name, soundfile.info(path).subtype) for path in outputs] == [
        ("bass.flac", "PCM_24"),
        ("pad.wav", "FLOAT"),
    ]
    assert "bass.flac peaks" in caplog.text
    assert "rounded" not in caplog.text


def test_silent_stems_are_stems(work: Work) -> None:
    silent = write(work.folder / "quiet" / "voice.wav", np.zeros((FRAMES, 2), np.float32))
    _, (output,) = musex.render_stems(work.plan(), [silent], work.folder / "out")
    assert not read(output).any()
    song = work.song
    stems = read_stems(silent.parent, song)
    assert list(stems) == ["voice", "rest"]
    np.testing.assert_array_equal(stems["rest"], song.samples)


def test_stems_that_are_given_are_used(work: Work) -> None:
    song, folder = work.folder / "song.wav", work.folder / "stems"
    plan = work.folder / "made.json"
    for stems in (folder, str(folder)):
        made = musex.extend_file(
            song, work.folder / "a.wav", seconds=8.0, stems=stems, mix={"voice": None}, plan_path=plan, force=True
        )
    others = np.asarray(sum(stem for name, stem in work.stems.items() if name != "voice"))
    first = min([seam.at - seam.fade for seam in made.seams] or [FRAMES])
    np.testing.assert_allclose(read(work.folder / "a.wav")[:first], others[:first], atol=1e-5)
    with pytest.raises(MusexError, match="voice cannot be heard apart"):
        musex.extend_file(song, work.folder / "b.wav", seconds=8.0, mix={"voice": None})
    assert not (work.folder / "b.wav").exists()


def test_stems_of_another_song_are_refused(work: Work) -> None:
    folder, song = work.folder / "stems", work.song
    read_stems(folder, song)
    write(work.folder / "stems" / "drums.wav", work.stems["drums"][::-1])
    with pytest.raises(MusexError, match=r"do not add up to the song: .* is at -[0-3] dB"):
        read_stems(folder, song)
    write(folder / "drums.wav", work.stems["drums"])
    write(folder / "rest.wav", work.stems["rest"] * np.float32(1.0001))
    assert below(np.asarray(sum(read_stems(folder, song).values())), song.samples) < -120.0
    os.unlink(folder / "rest.wav")
    assert below(np.asarray(sum(read_stems(folder, song).values())), song.samples) < -120.0
    soundfile.write(folder / "bass.flac", work.stems["bass"], RATE)
    with pytest.raises(MusexError, match="are both called bass"):
        read_stems(folder, song)
    for wrong, told in ((folder / "bass.wav", "is no folder"), (work.folder, "has none of voice.wav")):
        with pytest.raises(MusexError, match=f"`stems=.*` {told}"):
            read_stems(wrong, song)


def test_a_mix_of_an_output_renders_again_and_may_be_another(wav_path: Path, tmp_path: Path) -> None:
    plan, first, again = (tmp_path / name for name in ("plan.json", "first.wav", "again.wav"))
    made = musex.extend_file(wav_path, first, seconds=9.0, mix={"drums": [(0, None), (3, 0)]}, plan_path=plan)
    assert made.settings.mix == (("drums", ((0.0, None), (3.0, 0.0))),)
    musex.render_file(plan, again)
    assert first.read_bytes() == again.read_bytes()
    whole = musex.extend(wav_path, seconds=9.0, mix={"drums": [(0, None), (3, 0)]})
    np.testing.assert_array_equal(np.rint(whole.samples * 2**15).clip(-(2**15), 2**15 - 1) / 2**15, read(first))
    plain = musex.extend(wav_path, seconds=9.0)
    assert plain.plan.spans == made.spans
    other, _ = musex.render_file(plan, again, mix={"drums": 0.0}, force=True)
    assert not other.changes_stems
    np.testing.assert_array_equal(np.rint(plain.samples * 2**15) / 2**15, read(again))
