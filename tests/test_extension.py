"""The public API: every form in which a song is taken and given back."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from pydub import AudioSegment

import musex
from musex.audio.file_names import default_output
from musex.audio.song import song_from_array
from musex.cli import app as cli
from musex.errors import AudioError, DurationError, MusexError
from musex.planning.path import Path as PlannedPath
from musex.prediction.model import load_model
from musex.rendering.streaming import stream_song
from musex.settings import check_seconds

RATE = 44_100
SECONDS = 9.0


@pytest.fixture(scope="module")
def extended(wav_path: Path) -> musex.Extension:
    return musex.extend(wav_path, seconds=SECONDS)


def test_extension_knows_its_length_and_plan(extended: musex.Extension, samples: np.ndarray) -> None:
    assert extended.seconds == pytest.approx(SECONDS, abs=0.1)
    assert extended.samples.shape == (extended.plan.frames, 2)
    assert extended.samples.dtype == np.float32
    assert extended.sample_rate == RATE
    assert extended.plan.seconds == pytest.approx(extended.seconds)
    assert len(extended.plan.seams) == len(extended.plan.spans) - 1 > 0
    assert extended.plan.predictions >= 1


@pytest.mark.parametrize("form", [str, Path, musex.read_song])
def test_paths_and_songs_give_the_same(
    form: Callable[[Path], str | Path | musex.Song], wav_path: Path, extended: musex.Extension
) -> None:
    again = musex.extend(form(wav_path), seconds=SECONDS)
    np.testing.assert_array_equal(again.samples, extended.samples)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_arrays_of_every_type_give_the_same(dtype: type, wav_path: Path, extended: musex.Extension) -> None:
    samples, _ = soundfile.read(wav_path, dtype=np.dtype(dtype).name)
    again = musex.extend(samples, sample_rate=RATE, seconds=SECONDS)
    np.testing.assert_allclose(again.samples, extended.samples, atol=1e-6)
    assert again.plan.song["path"] is None


def test_a_mono_array_stays_mono(samples: np.ndarray) -> None:
    assert musex.extend(samples[:, 0], sample_rate=RATE, seconds=7).samples.shape[1] == 1


def test_segments_go_in_and_come_out(wav_path: Path, extended: musex.Extension) -> None:
    content, _ = soundfile.read(wav_path, dtype="int16")
    segment = AudioSegment(content.tobytes(), frame_rate=RATE, sample_width=2, channels=2)
    longer = musex.extend(segment, seconds=SECONDS).segment
    assert (longer.frame_rate, longer.channels, longer.sample_width) == (RATE, 2, 2)
    made = np.frombuffer(longer.raw_data, np.int16).reshape(-1, 2)
    np.testing.assert_array_equal(made, np.rint(extended.samples * 32768).clip(-32768, 32767))


def test_one_model_serves_many_calls(wav_path: Path, extended: musex.Extension) -> None:
    model = musex.load_model()
    for _ in range(2):
        np.testing.assert_array_equal(musex.extend(wav_path, seconds=SECONDS, model=model).samples, extended.samples)


def test_files_hold_what_arrays_hold(wav_path: Path, tmp_path: Path, extended: musex.Extension) -> None:
    calls: list[tuple[str, float]] = []
    output, plan_path = tmp_path / "out.wav", tmp_path / "plan.json"
    plan = musex.extend_file(
        wav_path,
        output,
        seconds=SECONDS,
        plan_path=plan_path,
        on_progress=lambda stage, done: calls.append((stage, done)),
    )
    assert plan == extended.plan
    assert musex.Plan.from_json(plan_path.read_text()) == plan
    assert plan.musex == musex.__version__
    made, _ = soundfile.read(output, dtype="float32")
    np.testing.assert_allclose(made, extended.samples.clip(-1, 1), atol=1 / 32768)
    stages = list(dict.fromkeys(stage for stage, _ in calls))
    assert stages in (["Reading", "Predicting"], ["Reading", "Predicting", "Writing"])  # at once or planned first
    assert calls[-1] == (stages[-1], 1.0)
    calls.clear()
    musex.extend_file(
        wav_path,
        tmp_path / "loop.wav",
        seconds=SECONDS,
        ending="loop",
        on_progress=lambda stage, done: calls.append((stage, done)),
    )
    assert list(dict.fromkeys(stage for stage, _ in calls)) == ["Reading", "Predicting", "Writing"]
    assert calls[-1] == ("Writing", 1.0)
    for stage in ("Predicting", "Writing"):
        parts = [done for name, done in calls if name == stage]
        assert parts == sorted(parts)
        assert 0 <= parts[0] <= parts[-1] <= 1


@pytest.mark.parametrize("name", ["out.wav", "out.mp3", "out.ogg"])
def test_what_is_saved_is_what_extend_file_writes(
    name: str, wav_path: Path, tmp_path: Path, extended: musex.Extension
) -> None:
    written, saved = tmp_path / name, tmp_path / f"saved-{name}"
    musex.extend_file(wav_path, written, seconds=SECONDS)
    extended.save(saved)
    assert saved.read_bytes() == written.read_bytes()
    with pytest.raises(AudioError, match=r"exists already.*`force=True`"):
        extended.save(saved)
    extended.save(saved, force=True)
    with pytest.raises(AudioError, match="is the song itself"):
        extended.save(wav_path, force=True)
    assert sorted(tmp_path.iterdir()) == sorted([saved, written])


def test_titles_say_what_was_made(tmp_path: Path, samples: np.ndarray) -> None:
    song, titles = tmp_path / "song.flac", []
    soundfile.write(song, samples, RATE)
    tagged = mutagen.File(song)
    tagged["title"] = "Tune"
    tagged.save()
    plans: list[dict[str, Any]] = [
        {"seconds": 9},
        {"seconds": 5, "ending": "cut"},
        {"seconds": 6},
        {"seconds": 9, "ending": "loop"},
    ]
    for number, options in enumerate(plans):
        musex.extend_file(song, tmp_path / f"{number}.flac", **options)
        titles += mutagen.File(tmp_path / f"{number}.flac")["title"]
    assert titles == ["Tune (extended)", "Tune (shortened)", "Tune", "Tune (loop)"]


def test_what_came_from_no_file_is_saved(samples: np.ndarray, tmp_path: Path) -> None:
    longer = musex.extend(samples, sample_rate=RATE, seconds=SECONDS)
    longer.save(tmp_path / "out.wav")
    made, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_array_equal(made, longer.samples)


def test_songs_in_memory_tell_of_progress(samples: np.ndarray) -> None:
    calls: list[tuple[str, float]] = []
    musex.extend(samples, sample_rate=RATE, seconds=SECONDS, on_progress=lambda *call: calls.append(call))
    assert list(dict.fromkeys(stage for stage, _ in calls)) == ["Reading", "Predicting", "Rendering"]
    assert calls[-1] == ("Rendering", 1.0)
    calls.clear()
    musex.plan(samples, sample_rate=RATE, seconds=SECONDS, on_progress=lambda *call: calls.append(call))
    assert (calls[0], calls[-1]) == (("Reading", 0.0), ("Predicting", 1.0))


def test_what_is_shown_is_a_line(wav_path: Path, samples: np.ndarray, extended: musex.Extension) -> None:
    seams = len(extended.plan.seams)
    assert repr(musex.read_song(wav_path)) == "<Song song.wav: 0:06.0, 44100 Hz, 2 channels>"
    assert repr(song_from_array(samples[:, 0], RATE)) == "<Song of an array: 0:06.0, 44100 Hz, 1 channel>"
    assert repr(extended) == f"<Extension of song.wav: 0:09.0, 44100 Hz, 2 channels, {seams} seam{'s' * (seams > 1)}>"
    assert repr(extended.plan) == f"<Plan of song.wav: 0:09.0, {seams} seam{'s' * (seams > 1)}>"
    assert repr(musex.predict(wav_path)) == "<Prediction of 100 steps, after 60 of the song>"


def test_info_tells_what_the_command_tells(
    wav_path: Path, samples: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["info", str(wav_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for song in (wav_path, musex.read_song(wav_path)):
        assert json.loads(json.dumps(asdict(musex.info(song)))) == told
    facts = musex.info(samples, sample_rate=RATE)
    assert (facts.seconds, facts.codec, facts.path) == (6.0, "", "")


@pytest.mark.parametrize(
    "options",
    [
        {"ending": "fade"},
        {"ending": "cut"},
        {"ending": "loop"},
        {"layers": "on"},
        {"avoid": ((5.0, 6.0),)},
        {"avoid": ((0.0, 1.0),)},
        {"avoid": ((2.0, 2.5),), "novelty": 1.0},
        {"avoid": ((5.2, 6.0),)},
    ],
)
def test_files_are_written_while_they_are_planned(wav_path: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    plan = musex.extend_file(wav_path, tmp_path / "out.wav", seconds=25.0, **options)
    whole = musex.extend(wav_path, seconds=25.0, **options)
    assert plan == whole.plan
    made, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_allclose(made, whole.samples.clip(-1, 1), atol=1 / 32768)


def test_a_bit_rate_is_refused_before_anything_is_planned(wav_path: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(musex.MusexError, match="loud"):
        musex.extend_file(
            wav_path,
            tmp_path / "out.mp3",
            seconds=SECONDS,
            ending="loop",
            bitrate="loud",
            on_progress=lambda stage, done: told.append(stage),
        )
    assert not told


def test_settings_given_as_lists_are_those_of_the_file(samples: np.ndarray) -> None:
    plan = musex.plan(samples, sample_rate=RATE, seconds=SECONDS, avoid=[(2.0, 2.5)])  # type: ignore[arg-type]
    assert plan == musex.Plan.from_json(plan.to_json())
    assert hash(plan) == hash(musex.Plan.from_json(plan.to_json()))


@pytest.mark.parametrize("ending", ["outro", "fade", "cut"])
@pytest.mark.parametrize("seconds", [5.95, 6.0, 6.05])
def test_a_song_as_it_is_lasts_what_is_asked_for(samples: np.ndarray, seconds: float, ending: Any) -> None:
    song = musex.Song(samples, RATE)
    made = musex.extend(song, seconds=seconds, ending=ending)
    assert (len(made.plan.seams), len(made.samples)) == (0, round(seconds * RATE))
    streamed = np.concatenate(list(stream_song(song, load_model(), seconds=seconds, ending=ending)))
    np.testing.assert_array_equal(made.samples, streamed)


def test_what_begins_anew_is_written_as_it_ends(
    wav_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, refusals = vars(PlannedPath)["arrived"].fget, iter([True])
    monkeypatch.setattr(PlannedPath, "arrived", property(lambda path: not next(refusals, False) and arrived(path)))
    plan = musex.extend_file(wav_path, tmp_path / "out.wav", seconds=SECONDS)
    assert next(refusals, None) is None
    refusals = iter([True])
    extended = musex.extend(wav_path, seconds=SECONDS)
    assert next(refusals, None) is None
    assert plan == extended.plan
    made, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    np.testing.assert_allclose(made, extended.samples.clip(-1, 1), atol=1 / 32768)
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus", "m4a", "wav"])
def test_the_file_says_what_made_it(wav_path: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"long.{suffix}"
    musex.extend_file(wav_path, output, seconds=SECONDS, seed=3)
    told = output.read_bytes().decode("latin-1") if suffix == "wav" else str(mutagen.File(output).tags)
    assert re.search(rf"musex {re.escape(musex.__version__)}, pointer [0-9a-f]{{12}}, seed 3", told), told


def test_what_the_user_should_know_is_logged(
    samples: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, np.repeat(samples[:, :1], 4, axis=1), RATE)
    with caplog.at_level(logging.WARNING, "musex"):
        musex.extend_file(path, tmp_path / "out.mp3", seconds=7)
    assert "2 channels" in caplog.text


@pytest.mark.parametrize(
    ("song", "options", "message"),
    [
        (np.zeros((RATE * 6, 2)), {}, "does not say its sample rate"),
        (np.zeros((RATE * 6, 2)), {"sample_rate": RATE}, "silence"),
        ("song.mp3", {"sample_rate": RATE}, "`sample_rate=` is for arrays"),
        ("no-such-song.mp3", {}, "no such file"),
        (7, {}, "a int is not a song"),
    ],
)
def test_what_is_not_a_song(song: object, options: dict[str, int], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        musex.extend(song, seconds=10, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ending": "bang"}, "`ending='bang'` is not available; musex has outro"),
        ({"layers": "of"}, "`layers='of'` is not available.*did you mean off"),
        ({"seed": -1}, "`seed=-1` is no seed"),
        ({"seed": "x"}, "`seed='x'` is no seed"),
        ({"novelty": "much"}, "`novelty='much'` is out of range"),
        ({"keep_from": -1.0}, "`keep_from=-1` lies before the song"),
        ({"mood": "calm", "arc": ((0.0, "calm"),)}, "`mood='calm'` and `arc=`"),
        ({"seconds": 0}, "`seconds=0` is no duration"),
    ],
)
def test_errors_speak_of_arguments(options: dict[str, Any], message: str) -> None:
    for verb in (musex.extend, musex.plan):
        with pytest.raises(MusexError, match=message):
            verb("no-such-song.mp3", **({"seconds": 10} | options))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 86_401, "10", None, True])
def test_what_is_not_a_duration(seconds: object, wav_path: Path) -> None:
    with pytest.raises(DurationError, match=r"duration|how long"):
        musex.extend(wav_path, seconds=seconds)  # type: ignore[arg-type]


def test_durations() -> None:
    assert [check_seconds(value) for value in (1, 0.5, float(np.float32(2)), 86_400)] == [1.0, 0.5, 2.0, 86_400.0]


def test_default_output() -> None:
    names = [default_output(Path("a") / name).name for name in ("x.mp3", "x.FLAC", "x.wma", "x", "x.y.ogg")]
    assert names == ["x-extended.mp3", "x-extended.FLAC", "x-extended.mp3", "x-extended.mp3", "x.y-extended.ogg"]
