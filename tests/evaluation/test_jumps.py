import ctypes.util
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.analysis import midi_scores
from musex.errors import DatasetError, MusexError
from musex.evaluation.jumps import RANDOM, RECORDINGS, SCORES, evaluate_jumps, share_the_same
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
    ours, random = results["jumps"]["musex"], results["jumps"][RANDOM]
    assert ours["count"] >= 1
    assert ours["beat"]["mean"] > random["beat"]["mean"]
    assert ours["beat"]["mean"] >= ours["bar"]["mean"] >= ours["row"]["mean"]


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
    ours, random = results["jumps"]["musex"], results["jumps"][RANDOM]
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


def test_seams_of_recordings_are_judged_by_a_tracker(tmp_path: Path) -> None:
    (tmp_path / "groove.mp3").symlink_to(ROOT / "examples" / "groove.mp3")
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(30 * 22_050), 22_050)
    results = evaluate_jumps(tmp_path, RECORDINGS, planners={"musex": load_model()}, seconds=200.0, looper=False)
    assert (results["songs"], results["kind"]) == (1, "recordings")
    ours, random = results["jumps"]["musex"], results["jumps"][RANDOM]
    assert ours["count"] >= 1
    assert ours["beat"]["mean"] > random["beat"]["mean"]
    assert ours["beat"]["mean"] >= ours["bar"]["mean"]
    assert ours["row"] == {}
    (tmp_path / "groove.mp3").unlink()
    with pytest.raises(DatasetError, match="no music of 25 s with a clear pulse"):
        evaluate_jumps(tmp_path, RECORDINGS, planners={"musex": load_model()}, looper=False)
