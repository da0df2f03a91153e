"""The server: who may ask, what is refused, what is answered."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

import musex
from musex.audio.song import to_int16
from musex.cli import app as cli
from musex.errors import AudioError, DurationError, MusexError
from musex.plans import Plan
from musex.rendering.stitch import render
from musex.studio import editing
from musex.studio import workshop as workshops
from musex.studio.exports import editors
from musex.studio.serving import listen_at
from musex.studio.session import Session
from musex.studio.workshop import safe_name
from tests.studio.conftest import EXAMPLES, Studio, settle

MUSEX = [sys.executable, "-m", "musex"]


def test_only_the_address_with_its_key_is_answered(studio: Studio) -> None:
    parts = urlsplit(studio.address)
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path) > 30
    status, page, headers = studio.ask("")
    assert status == 200
    assert b"Drop a song here" in page
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers
    bare = f"http://{parts.netloc}"
    for path in ("/", "/favicon.ico", f"{parts.path[:-2]}/", f"{parts.path[:-1]}x/static/main.js", "/static/main.js"):
        status, page, _ = studio.ask(bare + path)
        assert status == 403, path
        assert b"lacks its key" in page


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"},
    ],
    ids=str,
)
def test_what_comes_from_elsewhere_is_refused(headers: dict[str, str], studio: Studio) -> None:
    assert studio.ask("", headers=headers)[0] == 403
    assert studio.ask("songs", b"x", headers=headers | {"x-name": "a.wav"})[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "static/..%2f..%2fserving.py",
        "static/../../serving.py",
        "static/%2e%2e/%2e%2e/serving.py",
        "static//etc/passwd",
        "static/vendor",
        "songs/../../etc/passwd",
        "nothing",
    ],
)
def test_nothing_but_the_page_can_be_asked_for(path: str, studio: Studio) -> None:
    assert studio.ask(path)[0] in (403, 404)


def test_exports_lead_nowhere_else(studio: Studio) -> None:
    session, _ = studio.open(EXAMPLES / "groove.mp3")
    for name in ("..%2f1.pcm", "%2e%2e%2f%2e%2e%2fstate", "..%5c1.pcm", "plan.json"):
        assert studio.ask(f"songs/{session.key}/exports/{name}")[0] == 404


def test_a_song_is_received_planned_and_heard(studio: Studio, wav_path: Path) -> None:
    name = "a%20%3Cscript%3Ealert(1)%3C%2Fscript%3E.wav"
    status, content, _ = studio.ask("songs", wav_path.read_bytes(), headers={"x-name": name})
    assert status == 201
    key = json.loads(content)["song"]
    session = studio.workshop.sessions[key]
    session.submit_nothing().result(60)
    state = json.loads(studio.ask(f"songs/{key}/state")[1])
    assert state["plan"]["seconds"] == 12.0
    status, page, _ = studio.ask(f"songs/{key}/")
    assert b"<script>alert" not in page
    assert b"&lt;script&gt;alert(1)" in page

    sound = f"songs/{key}/sounds/{state['sound']}.wav"
    status, wav, headers = studio.ask(sound)
    heard, rate = soundfile.read(io.BytesIO(wav), dtype="int16")
    wanted = np.concatenate([to_int16(block) for block in render(session.plan, session.song)])
    assert rate == session.song.sample_rate
    assert np.array_equal(heard, wanted)
    status, part, headers = studio.ask(sound, headers={"Range": "bytes=100-199"})
    assert (status, part) == (206, wav[100:200])
    assert headers["content-range"] == f"bytes 100-199/{len(wav)}"
    assert studio.ask(sound, headers={"Range": f"bytes={len(wav)}-"})[0] == 416
    assert studio.ask(f"songs/{key}/sounds/99.wav")[0] == 404


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("song.mp3", b"this is no music at all" * 100, "song.mp3"),
        ("song.txt", b"text", "is not among"),
        ("", b"text", "is no song"),
        ("song.wav", b"", "is empty"),
        ("..%2F..%2Fsong.wav", b"RIFF", "song.wav"),
    ],
)
def test_what_is_no_song_is_told_and_leaves_nothing(name: str, content: bytes, told: str, studio: Studio) -> None:
    before = [*studio.workshop.folder.rglob("*.*")]
    status, answer, _ = studio.ask("songs", content, headers={"x-name": name}, method="POST")
    assert status == 422
    assert told in json.loads(answer)["error"]
    assert str(studio.workshop.folder) not in json.loads(answer)["error"]
    left = set(studio.workshop.folder.rglob("*.*")) - {*before}
    assert not [path for path in left if path.stat().st_size]


def test_a_file_that_is_too_large_is_refused_while_it_comes(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshops, "MOST_UPLOAD_BYTES", 1000)
    status, answer, _ = studio.ask("songs", bytes(2000), headers={"x-name": "song.wav"})
    assert status == 422
    assert "larger than" in json.loads(answer)["error"]


def test_names_stay_within_their_folder() -> None:
    assert safe_name("../../a b.mp3") == "_.._a b.mp3"
    assert safe_name("/etc/song.FLAC") == "_etc_song.FLAC"
    assert len(os.fsencode(safe_name("ö" * 500 + ".wav"))) < 255
    with pytest.raises(AudioError, match="is no song"):
        safe_name(".mp3")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"action": "explode"},
        {"action": "length", "seconds": "long"},
        {"action": "length", "seconds": None},
        {"action": "change", "settings": {"path": "/etc/passwd"}},
        {"action": "change", "settings": {"arc": [["now", "calm"]]}},
        {"action": "move"},
        [1, 2],
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(asked: object, studio: Studio) -> None:
    session = next(iter(studio.workshop.sessions.values()))
    before = session.history
    assert studio.ask(f"songs/{session.key}/edits", asked)[0] == 400
    assert studio.ask(f"songs/{session.key}/edits", b"{" * 200_000)[0] == 413
    assert session.history == before


def test_what_cannot_be_done_is_told(studio: Studio) -> None:
    session, _ = studio.open(EXAMPLES / "groove.mp3")
    for asked, told in (
        ({"action": "change", "settings": {"ending": "bang"}}, "is not available"),
        ({"action": "change", "settings": {"arc": [[1.0, "happy"]]}}, "not known"),
        ({"action": "reject", "number": 99}, "no seam 99"),
        ({"action": "lock", "number": 0, "on": True}, "no seam 0"),
        ({"action": "choose", "index": 3}, "no version 4"),
        ({"action": "mute", "stems": ["kazoo"]}, "kazoo"),
    ):
        status, answer, _ = studio.ask(f"songs/{session.key}/edits", asked)
        assert status == 422, asked
        assert told in json.loads(answer)["error"]


def test_what_the_page_makes_is_what_the_public_verbs_make(studio: Studio) -> None:
    session, _ = studio.open(EXAMPLES / "sung.mp3")
    for asked, options in (
        ({"action": "length", "seconds": 190}, {}),
        ({"action": "change", "settings": {"ending": "fade", "novelty": 0.8}}, {"ending": "fade", "novelty": 0.8}),
    ):
        assert studio.ask(f"songs/{session.key}/edits", asked)[0] == 200
        settle(session)
        assert session.plan == musex.plan(session.song, seconds=190.0, **options)  # type: ignore[arg-type]
    rejected = musex.edit(session.song, session.plan, reject=(1,))
    assert studio.ask(f"songs/{session.key}/edits", {"action": "reject", "number": 1})[0] == 200
    settle(session)
    assert session.plan == rejected


def test_a_song_that_cannot_become_longer_is_there_as_it_is(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_anew = editing.plan_anew

    def refuse(session: Session, seconds: float) -> None:
        if seconds > session.song.seconds:
            raise DurationError("there is no way")
        plan_anew(session, seconds)

    monkeypatch.setattr(editing, "plan_anew", refuse)
    monkeypatch.setattr("musex.studio.session.find_kept", lambda song: None)
    session, _ = studio.open(EXAMPLES / "waltz.mp3")
    assert session.plan.frames == session.song.frames
    assert not session.failure


def test_of_many_songs_the_oldest_are_closed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshops, "MOST_SESSIONS", 1)
    first, _ = studio.open(EXAMPLES / "waltz.mp3")
    first.sound_of(first.plan)
    second, _ = studio.open(EXAMPLES / "groove.mp3")
    assert first.closed
    assert not [*first.folder.glob("*.pcm")]
    assert list(studio.workshop.sessions.values()) == [second]
    assert studio.ask(f"songs/{first.key}/state")[0] == 404


def test_a_seam_of_a_plan_that_counts_no_longer_is_left_alone(studio: Studio) -> None:
    """As when another tab has changed it meanwhile."""
    session, _ = studio.open(EXAMPLES / "groove.mp3")
    edits = f"songs/{session.key}/edits"
    seen = json.loads(studio.ask(f"songs/{session.key}/state")[1])["plan"]["key"]
    assert studio.ask(edits, {"action": "length", "seconds": 170})[0] == 200
    settle(session)
    plan = session.plan
    status, answer, _ = studio.ask(edits, {"action": "reject", "number": 1, "plan": seen})
    assert status == 422
    assert "has changed meanwhile" in json.loads(answer)["error"]
    assert session.plan == plan


def test_what_is_begun_is_given_up_for_what_comes_later(studio: Studio) -> None:
    session, _ = studio.open(EXAMPLES / "groove.mp3")
    before = session.history
    works = [session.begin(partial(editing.set_length, session, float(seconds))) for seconds in (900, 800, 180)]
    for work in works:
        work.result(60)
    assert session.plan.seconds == 180.0
    assert len(session.history.steps) == len(before.steps) + 1
    work = session.begin(partial(editing.set_length, session, 900.0))
    while session.draft is None:
        time.sleep(0.005)
    session.begin(session.undo).result(60)
    work.result(60)
    assert session.plan.seconds == 180.0, "what was still being made was taken back, and no more"
    session.begin(session.undo).result(60)
    assert session.history.now == before.now


def test_exports_are_what_the_public_verbs_give(studio: Studio, tmp_path: Path) -> None:
    session, _ = studio.open(EXAMPLES / "groove.mp3")
    for asked, name in (
        ({"kind": "audio", "format": "flac"}, "groove-extended.flac"),
        ({"kind": "plan"}, "groove-plan.json"),
        ({"kind": "cuts", "format": "csv"}, "groove-cuts.csv"),
        ({"kind": "cuts", "format": "rpp"}, "groove-cuts.rpp"),
        ({"kind": "report"}, "groove-report.html"),
    ):
        status, answer, _ = studio.ask(f"songs/{session.key}/exports", asked)
        assert (status, json.loads(answer)["name"]) == (200, name)
        status, content, headers = studio.ask(f"songs/{session.key}/exports/{name}")
        assert "attachment" in headers["content-disposition"]
        if name.endswith("flac"):
            heard, _ = soundfile.read(io.BytesIO(content), dtype="int16")
            assert np.array_equal(heard, np.concatenate([to_int16(b) for b in render(session.plan, session.song)]))
        if name.endswith("json"):
            assert Plan.from_json(content.decode()) == session.plan
        if name.endswith("csv"):
            assert content == musex.export_plan(session.plan, tmp_path / name, song=session.song).read_bytes()
    for asked, told in (
        ({"kind": "audio", "format": "exe"}, "cannot be written"),
        ({"kind": "soul"}, "be exported"),
        ({"kind": "cuts", "format": "doc"}, "cannot export"),
    ):
        status, answer, _ = studio.ask(f"songs/{session.key}/exports", asked)
        assert (status, told in json.loads(answer)["error"]) == (422, True)


@pytest.mark.parametrize("editor", [name for name, _ in editors()])
def test_cuts_of_a_song_that_was_dropped_name_it_and_no_folder(editor: str, studio: Studio) -> None:
    status, answer, _ = studio.ask("songs", (EXAMPLES / "groove.mp3").read_bytes(), headers={"x-name": "mine.mp3"})
    key = json.loads(answer)["song"]
    studio.workshop.sessions[key].submit_nothing().result(60)
    for asked in ({"kind": "cuts", "format": editor}, {"kind": "plan"}):
        status, answer, _ = studio.ask(f"songs/{key}/exports", asked)
        assert status == 200, answer
        _, content, _ = studio.ask(f"songs/{key}/exports/{json.loads(answer)['name']}")
        assert b"mine.mp3" in content or editor == "txt"
        assert str(studio.workshop.folder).encode() not in content


def test_a_taken_port_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with listen_at(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(MusexError, match=f"port {port} is taken"):
            listen_at(port)
        assert cli.run(["studio", "--no-open", "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} is taken" in line
    assert "--port" in line


def test_without_the_extra_one_line_tells_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav_path: Path
) -> None:
    monkeypatch.setattr("musex.cli.studio.find_spec", lambda name: None)
    assert cli.run(["studio"]) == 1
    assert "pip install 'musex[studio]'" in capsys.readouterr().err
    assert cli.run([str(wav_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is no command but a song" in line
    assert "pip install 'musex[studio]'" in line


def test_a_bare_song_opens_the_page(monkeypatch: pytest.MonkeyPatch, wav_path: Path, tmp_path: Path) -> None:
    opened: list[object] = []
    monkeypatch.setattr("musex.studio.serving.open_studio", lambda song, **how: opened.append((song, how["show"])))
    assert cli.run([str(wav_path)]) == 0
    assert opened == [(wav_path, True)]
    assert cli.run([str(wav_path), "--minutes", "10"]) == 2, "what is asked for is no page"
    assert cli.run([str(tmp_path)]) == 2, "a folder is no song"


@pytest.mark.parametrize("arguments", [["nothing.mp3"], ["--port", "-1"], ["--port", "many"]])
def test_what_cannot_be_opened_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["studio", "--no-open", *arguments]) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_command_prints_its_address_and_leaves_nothing(wav_path: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(tmp_path / "temporary")}
    command = [*MUSEX, "studio", str(wav_path), "--no-open"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        parts = urlsplit(address)
        assert parts.hostname == "127.0.0.1"
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=10):
            pass
        until = time.monotonic() + 30
        while not [*(tmp_path / "state").rglob("plan.json")] and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines() == ["musex: stopped"]
    assert not [*(tmp_path / "temporary").glob("musex-*")]
    (kept,) = (tmp_path / "state").rglob("plan.json")
    assert Plan.from_json(kept.read_text("utf-8")).seconds == 12.0
