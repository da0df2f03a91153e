import ctypes.util
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.analysis import midi_scores
from musex.analysis.song_analysis import analyse_signal
from musex.errors import DatasetError, MusexError
from musex.evaluation.jumps import RANDOM, RECORDINGS, SCORES, _compare_trackers, evaluate_jumps, share_the_same
from musex.evaluation.trackers import TRACKERS, hear_beats
from musex.prediction.model import load_model
from tests.midi_files import melody, write_midi
from tests.modules import write_module

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(ctypes.util.find_library("openmpt") is None, reason="libopenmpt is missing")
def test_seams_are_judged_by_the_scores_of_modules(tmp_path: Path) -> None:
    write_module(tmp_path / "song.mod", [0, 1, 0, 2, 0, 1])
    (tmp_path / "other.mod").write_bytes(b"no module")
    planners = {"musex": load_model()}
    results = evaluate_jumps(tmp_path, SCORES, planners=planners, seconds=80.0, looper=False)
    assert results["songs"] == 1
    assert results["same"] == {"musex": 1.0}
    assert "no tracker module" in results["left_out"]["1 of 2 files"]
    by_score = results["jumps"]["score"]
    ours, random = by_score["musex"], by_score[RANDOM]
    assert ours["count"] >= 1
    assert ours["beat"]["mean"] > random["beat"]["mean"]
    assert ours["beat"]["mean"] >= ours["bar"]["mean"] >= ours["row"]["mean"]
    told = [kinds["musex"]["beat"]["kept"] for kinds in results["trackers"].values()]
    heard = [beats for beats in told if beats["count"]]
    assert heard, "the pulse of the drum is clear to one of the trackers"
    assert min(beats["mean"] for beats in heard) > 0.9


def test_a_folder_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no tracker module"):
        evaluate_jumps(tmp_path, SCORES, planners={"musex": load_model()}, looper=False)


@pytest.mark.skipif(find_spec("mido") is None, reason="mido is missing")
@pytest.mark.skipif(bool(midi_scores.find_lacking()), reason="FluidSynth or a soundfont is missing")
def test_seams_are_judged_by_the_scores_of_midi_files(tmp_path: Path) -> None:
    write_midi(tmp_path / "song.mid", melody([0, 1, 2, 3, 0, 1, 4, 5] * 3))
    write_midi(tmp_path / "short.mid", melody([0, 1, 2, 3]))
    write_midi(tmp_path / "no-metre.midi", melody(range(24)), signatures=[])
    write_midi(tmp_path / "empty.mid", [])
    (tmp_path / "damaged.mid").write_bytes((tmp_path / "song.mid").read_bytes()[:90])
    results = evaluate_jumps(tmp_path, SCORES, planners={"musex": load_model()}, seconds=80.0, looper=False)
    assert results["songs"] == 1  # by however many soundfonts
    assert "MIDI file of 25 s and a constant metre" in results["left_out"]["4 of 5 files"]
    by_score = results["jumps"]["score"]
    ours, random = by_score["musex"], by_score[RANDOM]
    assert random["count"] == 8 * len(midi_scores.find_soundfonts())
    assert ours["count"] >= 1
    assert ours["beat"]["mean"] > random["beat"]["mean"]
    assert ours["beat"]["mean"] >= ours["bar"]["mean"] >= ours["written"]["mean"]
    assert ours["row"] == {}


def test_midi_files_are_left_out_where_nothing_plays_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "song.mid").touch()
    monkeypatch.setattr(midi_scores, "find_spec", lambda _: None)
    with pytest.raises(MusexError, match="mido is missing"):
        evaluate_jumps(tmp_path, SCORES, planners={"musex": load_model()}, looper=False)
    write_module(tmp_path / "song.mod", [0])
    assert SCORES.find(tmp_path) == ([tmp_path / "song.mod"], {"MIDI files": midi_scores.find_lacking()})


def test_jumps_are_the_same_where_both_places_are() -> None:
    some, others = [[(10.0, 5.0), (20.0, 3.0)]], [[(10.05, 5.0), (20.0, 4.0)]]
    assert share_the_same(some, others) == 0.5
    assert np.isclose(share_the_same(some, some), 1.0)


def test_trackers_are_held_against_the_score() -> None:
    kept, broken, nothing = [1.0] * 4, [0.0] * 4, [np.nan] * 4
    one = [[kept, kept, broken], [kept, broken, broken], [nothing, nothing, nothing]]
    other = [[kept, broken], [kept, kept], [broken, nothing]]
    judged = {"musex": [np.array(one), np.array(other)]}
    first, second = (tracker["musex"]["bar"] for tracker in _compare_trackers(judged, 0).values())
    assert (first["kept"]["mean"], first["kept"]["count"]) == (0.75, 3), "the mean of 0.5 in one song, 1 in the other"
    assert (first["broken"]["mean"], first["broken"]["count"]) == (0.5, 2)
    assert (second["kept"]["mean"], second["kept"]["count"]) == (0.0, 1)
    assert second["broken"] == {"count": 0}


def test_seams_of_recordings_are_judged_by_trackers(tmp_path: Path) -> None:
    (tmp_path / "groove.mp3").symlink_to(ROOT / "examples" / "groove.mp3")
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(30 * 22_050), 22_050)
    results = evaluate_jumps(tmp_path, RECORDINGS, planners={"musex": load_model()}, seconds=200.0, looper=False)
    assert (results["songs"], results["kind"]) == (1, "recordings")
    assert results["jumps"].keys() == TRACKERS.keys()
    for kinds in results["jumps"].values():
        ours, random = kinds["musex"], kinds[RANDOM]
        assert ours["count"] >= 1
        assert ours["beat"]["mean"] > random["beat"]["mean"]
        assert ours["beat"]["mean"] >= ours["bar"]["mean"]
        assert ours["row"] == {}
    (tmp_path / "groove.mp3").unlink()
    with pytest.raises(DatasetError, match="no music of 25 s with a clear pulse"):
        evaluate_jumps(tmp_path, RECORDINGS, planners={"musex": load_model()}, looper=False)


def test_each_tracker_hears_clicks_and_no_pulse_in_noise() -> None:
    random, time = np.random.default_rng(0), np.arange(30 * 22_050) / 22_050
    noise = random.standard_normal(len(time))
    for name, beats in hear_beats(analyse_signal(noise * np.exp(-40.0 * (time % 0.5)), 22_050)).items():
        assert beats.tempo == pytest.approx(120.0, abs=0.2), name
    for name, beats in hear_beats(analyse_signal(0.1 * noise, 22_050)).items():
        assert not len(beats.times), name
