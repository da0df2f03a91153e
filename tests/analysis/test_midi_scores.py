from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from musex.analysis import midi_scores
from musex.analysis.midi_scores import Score, find_lacking, find_soundfonts, play_midi, read_midi
from musex.errors import AudioError, MusexError
from tests.midi_files import Notes, melody, write_midi

pytestmark = pytest.mark.skipif(find_spec("mido") is None, reason="mido is missing")
needs_fluidsynth = pytest.mark.skipif(bool(find_lacking()), reason="FluidSynth or a soundfont is missing")

RATE = 22_050


def score_of(path: Path, notes: Notes, **options: list[tuple[float, ...]]) -> Score:
    return read_midi(write_midi(path / "score.mid", notes, **options))[1]  # type: ignore[arg-type]


@needs_fluidsynth
def test_notes_sound_where_the_score_has_them(tmp_path: Path) -> None:
    places = np.array([0.0, 2.0, 4.0, 5.0, 6.0, 8.0, 9.0])
    path = write_midi(tmp_path / "score.mid", [(at, 72) for at in places], tempi=[(0, 120), (4, 60), (6.5, 150)])
    midi, score = read_midi(path)
    times = score.to_seconds(places * score.quarter)
    assert times == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.1, 5.5])
    ticks, pace = score.to_ticks(times)
    assert ticks == pytest.approx(places * score.quarter)
    assert pace[[0, -1]] * score.quarter == pytest.approx([0.5, 0.4])
    for soundfont in find_soundfonts():
        samples = play_midi(midi, soundfont, RATE)
        assert len(samples) / RATE >= score.seconds
        level = np.sqrt(np.convolve(samples.mean(axis=1) ** 2, np.ones(220) / 220, "same"))
        for time in times:
            at = round(time * RATE)
            assert level[at + 660 : at + 1320].max() > 3 * level[max(0, at - 660) : max(at - 220, 1)].max()


@needs_fluidsynth
def test_a_note_that_is_never_ended_ends(tmp_path: Path) -> None:
    import mido

    midi = mido.MidiFile(ticks_per_beat=480)
    midi.tracks.append(mido.MidiTrack([mido.Message("program_change", program=16), mido.Message("note_on", note=60)]))
    midi.save(tmp_path / "score.mid")
    played, score = read_midi(tmp_path / "score.mid")
    assert len(play_midi(played, find_soundfonts()[0], RATE)) / RATE < score.seconds + 5.0


@pytest.mark.parametrize(
    ("leave", "enter", "kept"),
    [
        (18.3, 2.3, ["beat", "bar", "written"]),  # bars 0 to 3 come twice: what follows is the same
        (16.0, 0.0, ["beat", "bar", "written"]),  # what follows is the same, from a bar's first note on
        (8.0, 16.0, ["beat", "bar", "written"]),  # what came before is the same: bar 3, and then bar 4 or 0
        (4.3, 10.3, ["beat", "bar"]),  # bar 2 never goes on as bar 5 does
        (18.3, 2.8, ["beat"]),
        (18.3, 2.55, []),  # half a beat off
        (18.3, 2.36, []),  # half a sixteenth off
        (18.3, 2.32, ["beat", "bar", "written"]),  # 20 ms are no other place
        (17.99, 4.01, ["beat", "bar"]),  # the end of one bar, the beginning of another
    ],
)
def test_jumps_are_judged_by_the_score(tmp_path: Path, leave: float, enter: float, kept: list[str]) -> None:
    score = score_of(tmp_path, melody([0, 1, 2, 3, 4, 5, 6, 3, 0, 1, 2, 7]))  # bars of 2 s
    answers = score.judge(np.array([leave]), np.array([enter]))
    assert [name for name, answer in answers.items() if answer[0]] == kept


def test_a_melody_in_another_key_is_not_written(tmp_path: Path) -> None:
    verse = melody([0, 1, 2, 3])
    score = score_of(tmp_path, [*verse, *((at + 16, pitch + 2) for at, pitch in verse)])
    answers = score.judge(np.array([2.3]), np.array([10.3]))
    assert (answers["bar"][0], answers["written"][0]) == (True, False)


def test_beats_and_bars_follow_a_tempo_that_changes(tmp_path: Path) -> None:
    score = score_of(tmp_path, melody([0, 1, 2, 3]), tempi=[(0, 120), (6, 60), (12, 90)])
    times = np.array([0.0, 2.0, 5.0, 9.0])  # bars begin
    assert score.to_ticks(times)[0] == pytest.approx(score.bars)
    assert score.judge(np.repeat(times, 4), np.tile(times, 4))["bar"].all()
    answers = score.judge(np.array([0.5, 0.5, 0.5]), np.array([2.5, 6.0, 5.5]))
    assert answers["bar"].tolist() == [True, True, False]
    assert answers["beat"].tolist() == [True, True, False]


@pytest.mark.parametrize(("above", "below", "metre"), [(3, 4, (3, 480.0)), (6, 8, (2, 720.0)), (5, 4, (5, 480.0))])
def test_metres_are_told(tmp_path: Path, above: int, below: int, metre: tuple[int, float]) -> None:
    notes = [(at / 2, 60 + at % 5) for at in range(120)]
    score = score_of(tmp_path, notes, signatures=[(0, above, below)])
    assert score.metre == metre
    bar = above * 4 / below * 0.5
    answers = score.judge(np.array([bar, bar]), np.array([3 * bar, 3 * bar + metre[1] / 480 * 0.5]))
    assert answers["bar"].tolist() == [True, False]
    assert answers["beat"].tolist() == [True, True]


def test_what_is_not_played_to_a_constant_metre_has_none(tmp_path: Path) -> None:
    notes = melody(range(16))
    assert score_of(tmp_path, notes).metre == (4, 480.0)
    assert score_of(tmp_path, notes, signatures=[]).metre == (0, 0.0)
    assert score_of(tmp_path, notes, signatures=[(0, 1, 4)]).metre == (0, 0.0)
    assert score_of(tmp_path, notes, signatures=[(8, 4, 4)]).metre == (0, 0.0)  # not told from the beginning
    assert score_of(tmp_path, notes, signatures=[(0, 4, 4), (32, 3, 4)]).metre == (0, 0.0)
    assert score_of(tmp_path, notes, signatures=[(0, 4, 4), (40, 2, 4), (42, 4, 4)]).metre == (4, 480.0)
    free = np.random.default_rng(0).uniform(0, 64, 200)
    assert score_of(tmp_path, [(at, 60) for at in free]).metre == (0, 0.0)


def test_a_bar_of_another_length_moves_those_after_it(tmp_path: Path) -> None:
    score = score_of(tmp_path, melody(range(16)), signatures=[(0, 4, 4), (40, 2, 4), (42, 4, 4)])
    assert score.judge(np.array([2.0, 2.0]), np.array([23.0, 22.0]))["bar"].tolist() == [True, False]


def test_what_is_no_midi_file_with_notes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "score.mid"
    path.write_bytes(b"not a MIDI file")
    with pytest.raises(AudioError, match="no MIDI file that mido can read"):
        read_midi(path)
    with pytest.raises(AudioError, match="holds no notes"):
        read_midi(write_midi(path, []))
    with pytest.raises(AudioError, match="lasts longer than 900 s"):
        read_midi(write_midi(path, [(0.0, 60), (4000.0, 60)]))
    with pytest.raises(AudioError, match="a quarter of 10 µs"):
        read_midi(write_midi(path, [(0.0, 60)], tempi=[(0, 6e6)]))
    with pytest.raises(AudioError, match="no MIDI file that mido can read"):
        read_midi(tmp_path / "missing.mid")


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    path = write_midi(tmp_path / "score.mid", melody(range(4)))
    content = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[random.integers(0, len(damaged), random.integers(1, 6))] = random.integers(0, 256)
        path.write_bytes(damaged.tobytes()[: random.integers(1, 2 * len(damaged))])
        try:
            assert read_midi(path)[1].metre[0] >= 0
        except AudioError:
            refused += 1
    assert 0 < refused < 300


def test_a_soundfont_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSEX_SOUNDFONT", str(tmp_path / "some.sf2"))
    with pytest.raises(MusexError, match=r"MUSEX_SOUNDFONT names .*some\.sf2: No such file"):
        find_soundfonts()
    (tmp_path / "some.sf2").touch()
    with pytest.raises(MusexError, match="which is no soundfont"):
        find_soundfonts()
    (tmp_path / "some.sf2").write_bytes(b"RIFF")
    assert find_soundfonts() == [(tmp_path / "some.sf2").resolve()]


def test_usual_soundfonts_are_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSEX_SOUNDFONT", raising=False)
    monkeypatch.setattr(midi_scores, "SOUNDFONT_FOLDERS", (tmp_path, tmp_path / "missing"))
    assert find_soundfonts() == []
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/fluidsynth")
    assert "no soundfont" in find_lacking()
    for name in ("A.sf2", "TimGM6mb.sf2", "FluidR3_GM.sf2"):
        (tmp_path / name).touch()
    (tmp_path / "default-GM.sf2").symlink_to("TimGM6mb.sf2")
    assert [path.name for path in find_soundfonts()] == ["FluidR3_GM.sf2", "TimGM6mb.sf2"]
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "FluidSynth is missing" in find_lacking()


@needs_fluidsynth
def test_a_soundfont_that_is_none_plays_nothing(tmp_path: Path) -> None:
    (tmp_path / "some.sf2").write_bytes(b"no soundfont")
    midi, _ = read_midi(write_midi(tmp_path / "score.mid", [(0.0, 60)]))
    with pytest.raises(AudioError, match=r"FluidSynth plays nothing with .*some\.sf2"):
        play_midi(midi, tmp_path / "some.sf2", RATE)
