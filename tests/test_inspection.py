"""Facts about songs with known tempo, key, intro and structure; and the self-test."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from musex.analysis import features, song_analysis
from musex.analysis.features import analyse_mono
from musex.audio.song import song_from_array
from musex.cli import app as cli
from musex.diagnosis import diagnose
from musex.inspection import PITCH_CLASSES, estimate_key, inspect_file, inspect_song

ROOT = Path(__file__).parent.parent
RATE = 22_050


def clicks(beats_per_minute: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.3 * noise * np.exp(-40 * (time % (60 / beats_per_minute)))).astype(np.float32)


def chord(midi: tuple[int, ...], seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(sum(0.1 * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time) for note in midi), np.float32)


def test_a_song_is_mixed_down_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, to_mono = list[int](), features.to_mono

    def count(samples: np.ndarray, sample_rate: int) -> np.ndarray:
        mixed.append(len(samples))
        return to_mono(samples, sample_rate)

    monkeypatch.setattr(song_analysis, "to_mono", count)
    inspect_song(song_from_array(clicks(120.0, 20)[:, None], RATE))
    assert len(mixed) == 1


@pytest.mark.parametrize("beats_per_minute", [86.0, 112.0, 128.0])
def test_tempo_of_clicks(beats_per_minute: float) -> None:
    facts = inspect_song(song_from_array(clicks(beats_per_minute, 30)[:, None], RATE))
    assert facts.tempo == pytest.approx(beats_per_minute, abs=0.1)
    assert facts.metre in range(2, 8)
    assert set(facts.downbeats) < set(facts.beats)
    assert np.diff(facts.beats) == pytest.approx(60.0 / beats_per_minute, abs=0.03)


def test_noise_has_no_tempo() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal((30 * RATE, 1)).astype(np.float32)
    facts = inspect_song(song_from_array(noise, RATE))
    assert (facts.tempo, facts.metre, facts.beats, facts.downbeats) == (None, None, (), ())


def test_the_examples_have_the_tempo_and_the_metre_that_they_were_made_in() -> None:
    groove, waltz = (inspect_file(ROOT / "examples" / f"{name}.mp3") for name in ("groove", "waltz"))
    assert (groove.metre, waltz.metre) == (4, 3)
    assert groove.tempo == pytest.approx(112.0, abs=0.1)
    assert waltz.tempo == pytest.approx(134.0, abs=1.0)  # it has a rubato


@pytest.mark.parametrize("tonic", [0, 4, 9])
def test_key_of_a_cadence(tonic: int) -> None:
    """I, IV, V, I and i, iv, V, i."""
    major = [(60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)]
    minor = [(60, 63, 67), (65, 68, 72), (67, 71, 74), (60, 63, 67)]
    for mode, cadence in (("major", major), ("minor", minor)):
        tones = np.concatenate([chord(tuple(note + tonic for note in notes), 2.0) for notes in cadence])
        assert estimate_key(analyse_mono(tones)) == f"{PITCH_CLASSES[tonic]} {mode}"


def test_a_song_with_a_quiet_intro(make_song: Callable[..., np.ndarray]) -> None:
    body = make_song(60.0, RATE, 2)
    samples = np.concatenate([0.02 * body[: 8 * RATE], body])
    facts = inspect_song(song_from_array(samples, RATE))
    assert facts.seconds == pytest.approx(68.0)
    assert facts.channels == 2
    assert facts.body[0] == pytest.approx(8.0, abs=1.5)
    assert facts.tempo == pytest.approx(120.0, abs=0.2)
    assert facts.sections[0] <= 8.0
    assert all(0.0 <= start < 68.0 for start in facts.sections)
    assert facts.jumps > 0.9, "four bars come again and again"


def test_sections_last(make_song: Callable[..., np.ndarray]) -> None:
    """However little a song changes, no section is a moment."""
    sections = inspect_song(song_from_array(make_song(33.0, 8_000, 1), 8_000)).sections
    assert np.all(np.diff([*sections, 33.0]) >= 4.0)


def test_everything_works_here() -> None:
    findings = list(diagnose())
    assert [finding.details for finding in findings if not finding.works] == []
    assert {"ffmpeg", "mp3 written and read", "model", "extension"} <= {finding.name for finding in findings}


def test_the_commands_tell_it(wav_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", str(wav_path)]) == 0
    assert "pcm_s16le, 1411 kb/s, 44100 Hz, 2 channels, 16 bits" in capsys.readouterr().out
    assert cli.run(["info", str(ROOT / "examples" / "groove.mp3")]) == 0
    told = capsys.readouterr().out
    for wanted in (
        "1:17.9",
        "mp3, 160 kb/s, 44100 Hz, 2 channels",
        "112.0 beats a minute, 4 to the bar",
        "major",
        "0:24.9",
        "45 %",
    ):
        assert wanted in told, wanted
    assert cli.run(["info", str(wav_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["seconds"] == pytest.approx(6.0)
    assert cli.run(["info", str(wav_path.with_name("none.wav"))]) == 1
    assert cli.run(["doctor", "--json"]) == 0
    assert all(finding["works"] for finding in json.loads(capsys.readouterr().out))
