"""Cut lists, as the programs and libraries they are for open them."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import opentimelineio as otio
import pytest
import rpp
import soundfile

import musex
from musex.audio.ffmpeg import ffmpeg
from musex.cli.app import run
from musex.errors import MusexError
from musex.exports.cuts import cut_plan, find_beats
from musex.exports.formats import EXPORTABLE
from musex.exports.reaper import quote, source_kind
from musex.plans import Plan, Turn, read_plan
from musex.settings import Ending

ROOT = Path(__file__).parent.parent.parent
RATE = 44_100
RING = round(0.2 * RATE)  # samples that an output may fade at its end
Row = dict[str, str]


def fill(folder: Path) -> None:
    """A wav of a song with a pulse, in a folder whose name has to be escaped, made longer."""
    song = musex.read_song(ROOT / "examples" / "groove.mp3")
    path = folder / "it's 100% #1 “é”" / "my song.wav"
    path.parent.mkdir()
    soundfile.write(path, song.samples[: 50 * RATE], RATE, subtype="PCM_16")
    endings: tuple[tuple[int, Ending], ...] = ((100, "outro"), (70, "loop"), (80, "fade"))
    for seconds, ending in endings:
        output = folder / f"{ending}.wav"
        musex.extend_file(path, output, seconds=seconds, ending=ending, plan_path=output.with_suffix(".json"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with outputs and their plans, by their ending."""
    folder = tmp_path_factory.mktemp("exports")
    fill(folder)
    return folder


def table_of(made: Path, ending: str, tmp_path: Path) -> tuple[Plan, list[Row]]:
    path = musex.export_plan(made / f"{ending}.json", tmp_path / "cuts.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return read_plan(made / f"{ending}.json"), list(csv.DictReader(file))


def joined_by_ffmpeg(rows: list[Row]) -> np.ndarray[Any, Any]:
    """What ffmpeg makes of a table's clips and rests, 16 bits."""
    played = [row for row in rows if row["kind"] in ("clip", "rest")]
    parts = []
    for number, row in enumerate(played):
        frames = int(row["samples"])
        if row["kind"] == "clip":
            start = int(row["source_sample"])
            parts.append(f"[0:a]atrim=start_sample={start}:end_sample={start + frames},asetpts=PTS-STARTPTS[p{number}]")
        else:
            layout = f"anullsrc=channel_layout=stereo:sample_rate={row['sample_rate']}"
            parts.append(f"{layout},atrim=end_sample={frames}[p{number}]")
    joined = "".join(f"[p{number}]" for number in range(len(played)))
    graph = ";".join([*parts, f"{joined}concat=n={len(played)}:v=0:a=1[out]"])
    command = [ffmpeg(), "-loglevel", "error", "-i", played[0]["source"], "-filter_complex", graph]
    command += ["-map", "[out]", "-f", "s16le", "pipe:1"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, "<i2").reshape(-1, 2)


def outside(frames: int, crossfades: list[tuple[int, int]]) -> np.ndarray[Any, Any]:
    """Which samples of an output lie outside its crossfades and its own fades."""
    untouched = np.ones(frames, bool)
    for at, half in crossfades:
        untouched[max(0, at - half) : at + half] = False
    untouched[-RING:] = untouched[: RING // 20] = False
    return untouched


def test_ffmpeg_makes_the_output_of_the_table_to_the_sample(made: Path, tmp_path: Path) -> None:
    plan, rows = table_of(made, "outro", tmp_path)
    output, _ = soundfile.read(made / "outro.wav", dtype="int16")
    joined = joined_by_ffmpeg(rows)
    assert joined.shape == output.shape == (100 * RATE, 2)
    clips = [row for row in rows if row["kind"] == "clip"]
    assert len(clips) == len(plan.seams) + 1 > 2
    alike = outside(len(output), [(int(row["at_sample"]), int(row["crossfade_samples"]) // 2) for row in clips])
    assert alike.mean() > 0.9
    np.testing.assert_array_equal(joined[alike], output[alike])
    assert np.any(joined[~alike] != output[~alike])  # the crossfades


def test_the_table_says_the_same_in_seconds(made: Path, tmp_path: Path) -> None:
    _, rows = table_of(made, "outro", tmp_path)
    for row in rows:
        assert round(float(row["at_seconds"]) * RATE) == int(row["at_sample"])
        assert round(float(row["seconds"]) * RATE) == int(row["samples"])
        if row["kind"] == "clip":
            assert round(float(row["source_seconds"]) * RATE) == int(row["source_sample"])
    assert {row["source"] for row in rows} == {str(next(made.glob("it*")) / "my song.wav")}


def test_beats_are_those_of_the_song_wherever_it_is_played(made: Path, tmp_path: Path) -> None:
    plan, rows = table_of(made, "outro", tmp_path)
    song = musex.read_song(next(made.glob("it*")) / "my song.wav")
    heard = musex.info(song)
    beats = np.array([int(row["at_sample"]) for row in rows if "beat" in row["kind"]])
    downbeats = np.array([int(row["at_sample"]) for row in rows if row["kind"] == "downbeat"])
    assert len(beats) > 150
    assert np.all(np.diff(beats) > 0.25 * RATE)
    for times, sources in ((beats, heard.beats), (downbeats, heard.downbeats)):
        places = plan.places(times) / RATE
        assert max(np.min(np.abs(np.array(sources) - place)) for place in places) < 0.001
    assert len(downbeats) == pytest.approx(len(beats) / (heard.metre or 0), abs=len(plan.seams) + 1)


def read_timeline(path: Path, **options: Any) -> Any:
    timeline = otio.adapters.read_from_file(str(path), **options)
    assert isinstance(timeline, otio.schema.Timeline)
    return timeline


@pytest.mark.parametrize("ending", ["outro", "loop", "fade"])
def test_opentimelineio_reads_what_the_plan_says(ending: str, made: Path, tmp_path: Path) -> None:
    plan = read_plan(made / f"{ending}.json")
    timeline = read_timeline(musex.export_plan(plan, tmp_path / "cuts.otio"))
    assert timeline.duration() == otio.opentime.RationalTime(plan.frames, RATE)
    (track,) = timeline.audio_tracks()
    clips = list(track.find_clips())
    played = [(clip.source_range.start_time.value, clip.source_range.duration.value) for clip in clips]
    assert played == [(span.start, span.frames) for span in plan.spans]
    inner = plan.seams[:-1] if ending == "loop" else plan.seams
    crossfades = [each for each in track if isinstance(each, otio.schema.Transition) and each.name == "crossfade"]
    assert [each.in_offset.value for each in crossfades] == [seam.fade // 2 for seam in inner if seam.fade > 1]
    assert sum(isinstance(each, otio.schema.Gap) for each in track) == (plan.rest > 0)
    fades = [each.in_offset.value for each in track if getattr(each, "name", "") == "fade out"]
    assert (fades == [5 * RATE]) == (ending == "fade")
    path = Path(next(made.glob("it*"))) / "my song.wav"
    assert {clip.media_reference.target_url for clip in clips} == {path.as_uri()}
    markers = timeline.tracks.markers
    assert len(markers) > 80
    assert sum(marker.name.startswith("bar ") for marker in markers) > 20


@pytest.mark.parametrize(("suffix", "rate"), [("fcpxml", 60), ("edl", 30)])
def test_adapters_read_what_they_wrote(suffix: str, rate: int, made: Path, tmp_path: Path) -> None:
    plan = read_plan(made / "outro.json")
    path = musex.export_plan(plan, tmp_path / f"cuts.{suffix}")
    timeline = read_timeline(path, **({"rate": rate} if suffix == "edl" else {}))
    clips = list(timeline.find_clips())
    assert len(clips) == len(plan.spans)
    at = 0
    for clip, span in zip(clips, plan.spans, strict=True):
        lead = clip.source_range.start_time.to_seconds() - span.start / RATE
        begins = clip.transformed_time(clip.source_range.start_time, timeline.tracks).to_seconds() - at / RATE
        fade = max(seam.fade for seam in plan.seams) / RATE if suffix == "edl" else 0.0
        assert abs(lead - begins) <= 1.5 / rate
        assert -fade / 2 - 1 / rate <= begins <= 1 / rate  # a dissolve begins with its clip
        at += span.frames
    if suffix == "fcpxml":
        root = ElementTree.parse(path).getroot()
        assert {asset.attrib["src"] for asset in root.iter("asset")} == {Path(str(plan.song.path)).as_uri()}
        assert len(list(root.iter("marker"))) > 150
    else:
        assert len(list(timeline.find_children(descended_from_type=otio.schema.Transition))) > 0


def items_of(project: Any) -> list[dict[str, list[str]]]:
    """The items of a project's one track, by the names of their lines."""
    return [
        {line[0]: line[1:] for line in item if isinstance(line, list)} | {"FILE": item.find(".//FILE")[1:]}
        for item in project.find("TRACK").findall("ITEM")
    ]


@pytest.mark.parametrize("ending", ["outro", "loop", "fade"])
def test_reaper_plays_the_output(ending: str, made: Path, tmp_path: Path) -> None:
    plan = read_plan(made / f"{ending}.json")
    path = musex.export_plan(plan, tmp_path / "cuts.rpp")
    project = rpp.loads(path.read_text(encoding="utf-8"))
    source, _ = soundfile.read(str(plan.song.path), dtype="float64")
    output, _ = soundfile.read(made / f"{ending}.wav", dtype="float64")
    played = np.zeros_like(output)
    edges = []
    for item in items_of(project):
        assert item["FILE"] == [str(plan.song.path)]
        at, frames, start = (round(float(item[name][0]) * RATE) for name in ("POSITION", "LENGTH", "SOFFS"))
        fade_in, fade_out = (round(float(item[name][1]) * RATE) for name in ("FADEIN", "FADEOUT"))
        gain = np.ones(frames)
        gain[:fade_in] *= np.arange(fade_in) / max(fade_in, 1)
        gain[frames - fade_out :] *= np.arange(fade_out)[::-1] / max(fade_out, 1)
        played[at : at + frames] += source[start : start + frames] * gain[:, None]
        edges += [(at, fade_in), (at + frames, fade_out)]
    alike = outside(len(output), edges)
    assert alike.mean() > 0.8
    assert np.abs(played - output)[alike].max() < 1.1 / 2**15
    level = 10 * np.log10(np.mean(played[:-RING] ** 2) / np.mean(output[:-RING] ** 2))
    assert abs(level) < 0.2
    assert len(items_of(project)) == len(plan.spans) + 2 * (ending == "loop")
    names = [marker[3] for marker in project.findall("MARKER")]
    assert names[-1] == "=END"
    assert float(project.findall("MARKER")[-1][2]) * RATE == pytest.approx(plan.frames, abs=1e-3)
    assert sum(name.startswith("bar ") for name in names) > 20


def test_audacity_reads_the_labels(made: Path, tmp_path: Path) -> None:
    plan = read_plan(made / "outro.json")
    lines = musex.export_plan(plan, tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines()
    labels = [(float(start), float(stop), name) for start, stop, name in (line.split("\t") for line in lines)]
    assert labels == sorted(labels)
    stretches = [(start, stop) for start, stop, name in labels if name.startswith("clip ")]
    assert len(stretches) == len(plan.spans)
    assert [start for start, _ in stretches[1:]] == pytest.approx([seam.at / RATE for seam in plan.seams], abs=1e-6)
    assert sum(name.startswith("bar ") for *_, name in labels) > 30


def test_extend_and_render_export(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    song = next(made.glob("it*")) / "my song.wav"
    paths = [tmp_path / f"cuts{suffix}" for suffix in EXPORTABLE]
    options = [word for path in paths for word in ("--export", str(path))]
    output, plan = tmp_path / "long.wav", tmp_path / "plan.json"
    command = ["extend", str(song), "-s", "60", "-o", str(output), "--plan", str(plan), "-q"]
    assert run([*command, *options]) == 0
    assert all(path.stat().st_size > 500 for path in paths)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2  # what FCPXML and EDL do not hold
    before = {path: path.read_bytes() for path in paths}
    assert run(["render", str(plan), *options]) == 1
    assert "exists already" in capsys.readouterr().err
    assert run(["render", str(plan), *options, "-f"]) == 0
    assert {path: path.read_bytes() for path in paths} == before
    assert capsys.readouterr().out.split() == list(map(str, paths))
    assert {path.name for path in tmp_path.iterdir()} == {*(path.name for path in paths), "long.wav", "plan.json"}
    again = tmp_path / "again.wav"
    assert run(["render", str(plan), "-o", str(again), "--export", str(tmp_path / "again.csv"), "-q"]) == 0
    assert again.read_bytes() == output.read_bytes()
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "cuts.csv").read_bytes()


def test_variations_have_cuts_of_their_own(made: Path, tmp_path: Path) -> None:
    song = next(made.glob("it*")) / "my song.wav"
    where = {"-o": "long.wav", "--plan": "plan.json", "--export": "cuts.csv"}
    options = [word for name, file in where.items() for word in (name, str(tmp_path / file))]
    assert run(["extend", str(song), "-s", "120", "--variations", "2", "-q", *options]) == 0
    for number in (1, 2):
        with (tmp_path / f"cuts-{number}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["kind"] == "clip"]
        spans = read_plan(tmp_path / f"plan-{number}.json").spans
        played = [(int(row["source_sample"]), int(row["samples"])) for row in rows]
        assert played == [(span.start, span.frames) for span in spans]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--export", "cuts.doc"], 2, "cannot export cuts.doc: .doc is not among otio, fcpxml, edl, rpp, txt, csv"),
        (["--export", "cuts"], 2, "no ending is not among"),
        (["--export", "nowhere/cuts.csv"], 1, "there is no folder"),
        (["--export", "cuts.csv", "--export", "cuts.csv"], 1, "cuts.csv is used twice"),
        (["--export", "long.rpp", "--plan", "long.rpp"], 1, "long.rpp is used twice"),
        (["--export", "there.csv"], 1, "there.csv exists already"),
        (["--export", "cuts.csv", "-o", "-"], 2, "-o - streams one song, without --check, --from, --export"),
        (["--export", "cuts.csv", "other.wav"], 2, "--export is for one song"),
    ],
)
def test_exports_that_cannot_be(
    options: list[str], code: int, message: str, wav_path: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("kept")
    output = [] if "-o" in options or "other.wav" in options else ["-o", "long.wav"]
    assert run(["extend", str(wav_path), "-s", "20", *output, *options]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]
    assert Path("there.csv").read_text() == "kept"


@pytest.mark.parametrize("options", [["--check"], ["--json"], ["--mix", "drums=off"], ["--stems", "a.wav", "-o", "x"]])
def test_what_only_a_rendering_has_is_wrong_usage_without_one(
    options: list[str], made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cuts.csv"
    assert run(["render", str(made / "outro.json"), "--export", str(path), *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not path.exists()


@pytest.mark.parametrize(
    ("suffix", "missing", "message"),
    [
        (".otio", "opentimelineio", r"pip install 'musex\[editors\]'"),
        (".edl", "opentimelineio", r"pip install 'musex\[editors\]'"),
        (".fcpxml", "adapter", "pip install otio-fcpx-xml-adapter"),
        (".edl", "adapter", "pip install otio-cmx3600-adapter"),
    ],
)
def test_what_is_not_installed_is_named(
    suffix: str, missing: str, message: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "adapter":
        monkeypatch.setattr(otio.adapters, "available_adapter_names", lambda: ["otio_json"])
    else:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MusexError, match=message):
        musex.export_plan(made / "outro.json", tmp_path / f"cuts{suffix}")
    assert not list(tmp_path.iterdir())


def test_what_cuts_cannot_hold_is_told_in_one_line(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = read_plan(made / "outro.json")
    turned = replace(plan, turns=(Turn("drums", RATE, 2 * RATE, None, None, 441),), gain_db=-1.5)
    for suffix, count in ((".rpp", 1), (".otio", 1), (".csv", 1)):
        caplog.clear()
        path = musex.export_plan(turned, tmp_path / f"cuts{suffix}")
        assert len(caplog.messages) == count
        assert "1 turn of stems (--arrange)" in caplog.messages[0]
    project = rpp.loads((tmp_path / "cuts.rpp").read_text(encoding="utf-8"))
    assert 20 * np.log10(float(project.find("TRACK").find("VOLPAN")[1])) == pytest.approx(-1.5, abs=1e-6)
    timeline = read_timeline(tmp_path / "cuts.otio")
    assert timeline.metadata["musex"]["gain_db"] == -1.5
    caplog.clear()
    musex.export_plan(plan, path, force=True)
    assert not caplog.messages


def test_plans_without_a_file_or_without_cuts_are_refused(
    made: Path, tmp_path: Path, samples: np.ndarray[Any, Any]
) -> None:
    plan = musex.plan(samples, seconds=20, sample_rate=RATE)
    with pytest.raises(MusexError, match="an array"):
        musex.export_plan(plan, tmp_path / "cuts.csv")
    with pytest.raises(MusexError, match="save it"):
        musex.export_plan(plan, tmp_path / "cuts.csv", song=musex.Song(samples, RATE))
    with pytest.raises(MusexError, match=r"not the same song|another song"):
        musex.export_plan(made / "outro.json", tmp_path / "cuts.csv", song=ROOT / "examples" / "waltz.mp3")
    assert not list(tmp_path.iterdir())


def test_a_song_without_a_pulse_has_no_beats(tmp_path: Path, wav_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.1 * rng.standard_normal((10 * RATE, 1)), RATE)
    song = musex.read_song(path)
    cuts = cut_plan(musex.plan(song, seconds=10), song, find_beats(song))
    assert cuts.beats == ()
    assert cuts.tempo == 0.0
    assert (len(cuts.clips), cuts.frames, cuts.rest) == (1, 10 * RATE, 0)


@pytest.mark.parametrize(
    ("text", "quoted"), [("plain", '"plain"'), ('6" mix', "'6\" mix'"), ("it's 6\"", "`it's 6\"`")]
)
def test_names_are_quoted_as_reaper_reads_them(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert rpp.loads(f"<REAPER_PROJECT 0.1\n  NAME {quoted}\n>\n").find("NAME")[1] == text


@pytest.mark.parametrize("text", ["two\nlines", "all of \" ' `"])
def test_names_that_reaper_cannot_read_are_refused(text: str) -> None:
    with pytest.raises(MusexError, match="cannot name"):
        quote(text)


def test_reaper_has_a_reader_for_each_kind_of_file() -> None:
    kinds = {name: source_kind(Path(name)) for name in ("a.WAV", "a.mp3", "a.flac", "a.ogg", "a.m4a")}
    assert kinds == {"a.WAV": "WAVE", "a.mp3": "MP3", "a.flac": "FLAC", "a.ogg": "VORBIS", "a.m4a": "VIDEO"}
