"""Songs extended on a Dask cluster, from and to object stores: a real scheduler, real workers, a real S3 service."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError

from musex.batches import extend_songs, find_tasks, read_manifest
from musex.cli import app as cli
from musex.errors import AudioError, MusexError
from musex.plans import read_plan
from musex.system import cluster
from musex.system.ledgers import ENTRIES, Origin, is_done, put_remembered
from musex.system.stores import fetch, identity, list_files, place_of, put
from tests.pages import REMOTE
from tests.processes import ROOT, musex_process

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
SONGS = 6


def wait_until(there: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `there` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., np.ndarray]) -> Path:
    """Short songs, one in a sub-folder, and a text that claims to be one."""
    folder = tmp_path_factory.mktemp("songs") / "album"
    (folder / "disc 2").mkdir(parents=True)
    for number in range(SONGS - 1):
        soundfile.write(folder / f"song {number}.wav", make_song(7.0, 22_050, 1, seed=number), 22_050)
    soundfile.write(folder / "disc 2" / "ä.flac", make_song(7.0, 22_050, 1, seed=50), 22_050)
    (folder / "bad.mp3").write_text("not music")
    return folder


@pytest.fixture(scope="module")
def made(album: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What these become here, by their paths in the folder of outputs."""
    out = tmp_path_factory.mktemp("here") / "out"
    list(extend_songs(find_tasks([album], out), seconds=14.0))
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*-extended*")}


@pytest.fixture(scope="module")
def memory() -> Iterator[Any]:
    """A store in this process."""
    import fsspec

    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """An S3 service in a process of its own: how it is reached, and the log of what it was asked."""
    log = tmp_path_factory.mktemp("s3") / "log.txt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as told, subprocess.Popen(command, stdout=told, stderr=told) as process:
        try:
            wait_until(lambda: "Running on" in log.read_text())
            yield {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, log
        finally:
            process.kill()


@pytest.fixture
def bucket(
    service: tuple[dict[str, str], Path], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of an empty bucket."""
    import s3fs

    for name, value in service[0].items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = re.sub("[^a-z]+", "-", request.node.name.lower())[:60].strip("-")
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()


@dataclass
class Cluster:
    """A scheduler's address, and the processes of it and of its workers."""

    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: list["subprocess.Popen[bytes]"]


@pytest.fixture
def start_cluster(service: tuple[dict[str, str], Path], tmp_path: Path) -> Iterator[Callable[[int], Cluster]]:
    """Starts a scheduler with so many workers."""
    processes: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, **service[0], "PYTHONPATH": str(ROOT)}

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)
        return process

    def begin(workers: int) -> Cluster:
        file = tmp_path / "scheduler.json"
        scheduler = start("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        address = json.loads(file.read_text())["address"]
        own = ["--nthreads", "1", "--no-nanny", "--local-directory"]
        return Cluster(
            address,
            scheduler,
            [start("worker", address, *own, str(tmp_path / f"worker {number}")) for number in range(workers)],
        )

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def upload(folder: Path, url: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            put(path, place_of(url).joinpath(*path.relative_to(folder).parts))


def contents(url: str, folder: Path) -> dict[str, bytes]:
    """What lies below a URL, without the entries of what was done."""
    found = {}
    for place in list_files(place_of(url)):
        if ENTRIES not in place.parts:
            fetch(place, folder / "fetched")
            found[str(place).removeprefix(f"{url}/")] = (folder / "fetched").read_bytes()
    return found


def results(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_killed_worker_was_at_is_done_by_another(
    album: Path,
    made: dict[str, bytes],
    bucket: str,
    start_cluster: Callable[[int], Cluster],
    service: tuple[dict[str, str], Path],
    tmp_path: Path,
) -> None:
    there = start_cluster(3)
    upload(album, f"{bucket}/album")
    command = ["extend", f"{bucket}/album", "-s", "14", "-o", f"{bucket}/out", "--cluster", there.address]
    command += ["--results", str(tmp_path / "results.jsonl")]
    before = len(service[1].read_text())
    process = musex_process(*command)
    wait_until(lambda: list(tmp_path.glob("worker 0/dask-scratch-space/worker-*/musex-*/song/*")))
    assert process.poll() is None
    there.workers[0].send_signal(signal.SIGKILL)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 1, "of the file that is no music"
    assert errors.count("\n") == 1, errors
    assert f"{bucket}/album/bad.mp3 cannot be read" in errors
    assert "1 failed" in told
    assert contents(f"{bucket}/out", tmp_path) == made, "whole, none missing"
    asked = service[1].read_text()[before:]
    puts = Counter(re.findall(r'"PUT /[^/ ]+/out/(\S*-extended\.\w+)[? ]', asked))
    assert len(puts) == SONGS
    assert set(puts.values()) == {1}, "none twice"
    rows = results(tmp_path / "results.jsonl")
    assert sorted(Counter(row["song"] for row in rows).values()) == [1] * (SONGS + 1)
    assert Counter(row["state"] for row in rows)["failed"] == 1

    again = musex_process(*command, "--quiet")
    again.communicate(timeout=60)
    assert again.returncode == 1
    states = Counter(row["state"] for row in results(tmp_path / "results.jsonl")[len(rows) :])
    assert states == {"skipped": SONGS, "failed": 1}
    assert not list(tmp_path.glob("worker [12]/**/musex-*")), "nothing stays behind where workers live"


def test_a_scheduler_that_goes_ends_the_batch_and_another_goes_on(
    album: Path, made: dict[str, bytes], start_cluster: Callable[[int], Cluster], tmp_path: Path
) -> None:
    there = start_cluster(1)
    out = tmp_path / "out"
    command = ["extend", str(album), "-s", "14", "-o", str(out)]
    running = musex_process(*command, "--cluster", there.address)
    wait_until(lambda: list(out.glob("*-extended.wav")))
    there.scheduler.kill()
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert re.fullmatch(
        rf"musex: error: the scheduler at {there.address} is gone; \d of 7 songs are done, and .*\n", errors
    )
    local = musex_process(*command, "--cluster", "local", "--jobs", "1", "--json")
    told, _ = local.communicate(timeout=120)
    states = Counter(row["state"] for row in json.loads(told)["outputs"])
    assert states["failed"] == 1
    assert states["skipped"] >= 1
    assert states["made"] + states["skipped"] == SONGS
    assert {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*-extended*")} == made


@pytest.mark.parametrize("error", [CommClosedError("Stream is closed"), FutureCancelledError(key="a", reason="gone")])
def test_what_dask_raises_without_a_scheduler_is_told_as_that(error: Exception) -> None:
    told = r"the scheduler at tcp://there:8786 is gone; 0 of 7 songs are done"
    with pytest.raises(MusexError, match=told), cluster._Watch(None, "tcp://there:8786", 7).told():
        raise error


def test_a_stopped_cluster_leaves_nothing_partial(album: Path, tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    command = ["extend", str(album), "--minutes", "10", "-o", str(out), "--cluster", "local", "--jobs", "2"]
    process = musex_process(*command, environment={"TMPDIR": str(temporary)}, start_new_session=True)
    wait_until(lambda: list(out.glob(".musex-*/*")))
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)  # ends when the last that holds the pipe has ended
    assert (process.returncode, told) == (130, "musex: stopped\n")
    assert [path for path in temporary.iterdir() if path.name.startswith("musex-")] == []
    assert not list(out.glob(".musex-*/*"))


def test_what_is_no_scheduler_is_told(
    album: Path, service: tuple[dict[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    tasks = find_tasks([album])
    silent = service[0]["AWS_ENDPOINT_URL"].replace("http", "tcp")
    for address, reason in (
        ("tcp://127.0.0.1:1", "Timed out"),
        (silent, "does not speak as Dask does|Timed out|closed"),
    ):
        with pytest.raises(MusexError, match=rf"no Dask scheduler answers at {address} \(.*({reason})"):
            list(extend_songs(tasks, seconds=14.0, cluster=address))
    with pytest.raises(MusexError, match=r"tls://127\.0\.0\.1:1 asks for certificates"):
        list(extend_songs(tasks, seconds=14.0, cluster="tls://127.0.0.1:1"))
    with pytest.raises(MusexError, match="nowhere is no address of a scheduler"):
        list(extend_songs(tasks, seconds=14.0, cluster="nowhere"))
    assert cli.run(["extend", str(album), "-s", "14", "--cluster", "http://x:1"]) == 2
    assert cli.run(["extend", str(album), "-s", "14", "--cluster", "tcp://x:1", "--jobs", "2"]) == 2


def test_a_scheduler_without_workers_is_told(
    album: Path, start_cluster: Callable[[int], Cluster], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = start_cluster(0).address
    monkeypatch.setattr(cluster, "WORKERLESS_SECONDS", 0.5)
    with pytest.raises(MusexError, match=f"{address} has no workers: start some by `dask worker {address}"):
        list(extend_songs(find_tasks([album], tmp_path), seconds=14.0, cluster=address))


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, album: Path) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    monkeypatch.setattr("musex.system.stores.find_spec", lambda name: None)
    with pytest.raises(MusexError, match=r"a cluster needs distributed and cryptography: pip install 'musex\[cluster"):
        list(extend_songs(find_tasks([album]), seconds=14.0, cluster="local"))
    with pytest.raises(MusexError, match=r"s3://a/b needs universal_pathlib: pip install 'musex\[cluster\]'"):
        place_of("s3://a/b")


def test_stores_are_named_by_urls_that_musex_knows(memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/one/song.mp3", b"music")
    assert place_of(tmp_path.as_uri()) == tmp_path
    assert isinstance(place_of("a:/b"), Path)
    for url, reason in (
        ("s4://bucket/song.mp3", r"musex reads and writes paths and s3://, gs://"),
        ("s3:///song.mp3", "names no bucket"),
    ):
        with pytest.raises(AudioError, match=reason):
            place_of(url)
    assert cli.run(["extend", "s4://bucket/song.mp3", "-s", "14"]) == 2
    for options in (["--repeats", "2"], ["--from", "plan.json"], ["-s", "14", "-o", "-"], ["-s", "14", "--dry-run"]):
        assert cli.run(["extend", "memory://one/song.mp3", *options]) == 2


def test_what_a_store_refuses_is_one_line(
    album: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import s3fs

    song = str(album / "song 0.wav")
    for command, reason in (
        (["s3://no-such-bucket/album"], "there is no such bucket; create it first"),
        ([f"{bucket}/nothing"], "there is no such song or folder"),
        ([song, str(album / "song 1.wav"), "-o", "s3://no-such-bucket/out"], "there is no such bucket"),
    ):
        assert cli.run(["extend", *command, "-s", "14"]) == 1
        told = capsys.readouterr()
        assert reason in told.err
        assert told.err.count("\n") == 1
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(album))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    assert cli.run(["extend", f"{bucket}/album", "-s", "14"]) == 1
    assert "Unable to locate credentials; set AWS_ACCESS_KEY_ID" in capsys.readouterr().err


def test_a_store_is_a_place_for_songs_outputs_plans_and_pages(
    album: Path, made: dict[str, bytes], memory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(album / "disc 2", "memory://music/disc 2")
    put(album / "song 0.wav", place_of("memory://music/song 0.wav"))
    command = ["extend", "memory://music", "-s", "14", "-o", "memory://out", "--plan", "memory://plans", "--report"]
    assert cli.run([*command, "--quiet"]) == 0
    found = contents("memory://out", tmp_path)
    names = ["disc 2/ä-extended.flac", "song 0-extended.wav"]
    assert {name: found[name] for name in names} == {name: made[name] for name in names}
    assert sorted(found) == sorted([*names, "disc 2/ä-extended-report.html", "song 0-extended-report.html"])
    fetch(place_of("memory://plans/song 0-extended.json"), tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json").song.path == "memory://music/song 0.wav"
    assert cli.run([*command, "--json"]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)["outputs"]} == {"skipped"}

    memory.rm_file("/out/song 0-extended-report.html")  # of what is missing only that is made, with the plan that is
    before = identity(place_of("memory://out/song 0-extended.wav"))
    assert cli.run([*command, "--quiet"]) == 0
    assert identity(place_of("memory://out/song 0-extended.wav")) == before
    assert memory.exists("/out/song 0-extended-report.html")

    memory.pipe_file("/out/song 0-extended.wav", b"mine")  # is nobody's to overwrite
    assert cli.run(command) == 1
    assert "memory://out/song 0-extended.wav exists already" in capsys.readouterr().err
    assert cli.run([*command, "--quiet", "--force"]) == 0
    assert contents("memory://out", tmp_path)["song 0-extended.wav"] == made["song 0-extended.wav"]


def test_one_object_and_outputs_beside_it(
    album: Path, made: dict[str, bytes], memory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(album / "song 0.wav", place_of("memory://beside/song 0.wav"))
    assert cli.run(["extend", "memory://beside/song 0.wav", "-s", "14", "-q"]) == 0
    assert contents("memory://beside", tmp_path)["song 0-extended.wav"] == made["song 0-extended.wav"]
    assert [task.song.name for task in find_tasks([place_of("memory://beside")])] == ["song 0.wav"]
    assert cli.run(["extend", "memory://beside/song 0.wav", "-s", "14", "-o", "memory://beside/long.mp3", "-q"]) == 0
    assert memory.exists("/beside/long.mp3")
    command = ["extend", "memory://beside/song 0.wav", "-s", "14", "-o", "memory://into/", "--format", "mp3", "-q"]
    assert cli.run(command) == 0
    assert memory.exists("/into/song 0-extended.mp3")
    assert cli.run(["extend", "memory://beside", "-s", "14", "--cluster", "local"]) == 1
    assert "is this process's own" in capsys.readouterr().err
    assert cli.run(["extend", "memory://beside/song 0.wav", "-s", "14", "-o", str(tmp_path / "here.wav"), "-q"]) == 0
    assert (tmp_path / "here.wav").read_bytes() == made["song 0-extended.wav"]


def test_whoever_is_killed_at_putting_is_understood(memory: Any, tmp_path: Path) -> None:
    file, place, origin = tmp_path / "long.wav", place_of("memory://kills/long.wav"), Origin("song", "settings")
    file.write_bytes(b"music")
    put_remembered(file, place, origin)
    assert is_done(place, origin)
    assert not is_done(place, Origin("song", "others"))
    entry = f"/kills/{ENTRIES}/long.wav.json"
    begun = {name: value for name, value in json.loads(memory.cat_file(entry)).items() if name != "identity"}
    memory.pipe_file(entry, json.dumps(begun).encode())  # put, and killed before that was written down
    assert is_done(place, origin)
    memory.pipe_file("/kills/long.wav", b"other music")
    assert not is_done(place, origin)
    memory.rm_file("/kills/long.wav")  # killed before it was put
    assert not is_done(place, origin)
    memory.pipe_file(entry, b"\xff{")
    assert not is_done(place, origin)


def test_a_manifest_lists_songs(album: Path, memory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = album / "list.m3u8"
    listed.write_text("\ufeff#EXTM3U\r\n\r\nsong 0.wav\r\ndisc 2\r\nmissing.wav\r\n", encoding="utf-8")
    out, told = tmp_path / "out", tmp_path / "results.jsonl"
    told.write_text('{"song": "torn')
    command = ["extend", "--manifest", str(listed), "-s", "14", "-o", str(out), "--results", str(told)]
    assert cli.run([*command, "--quiet"]) == 1
    listed.unlink()
    assert "missing.wav" in capsys.readouterr().err
    assert {path.name for path in out.glob("[!.]*")} == {"song 0-extended.wav", "ä-extended.flac"}
    lines = told.read_text().splitlines()
    assert lines[0] == '{"song": "torn'
    states = {Path(row["song"]).name: row["state"] for row in map(json.loads, lines[1:])}
    assert states == {"song 0.wav": "made", "ä.flac": "made", "missing.wav": "failed"}

    memory.pipe_file("/lists/list.txt", b"one.wav\nmemory://other/two.wav\n")
    assert list(map(str, read_manifest("memory://lists/list.txt"))) == [
        "memory://lists/one.wav",
        "memory://other/two.wav",
    ]
    for content, reason in ((b"\n# nothing\n", "lists no songs"), (b"\xff\xfe", "not text in UTF-8")):
        (tmp_path / "list.txt").write_bytes(content)
        with pytest.raises(AudioError, match=reason):
            read_manifest(tmp_path / "list.txt")
    with pytest.raises(AudioError, match="cannot be read"):
        read_manifest(tmp_path / "none.txt")
    assert cli.run(["extend", "-s", "14"]) == 2
    assert "no song is named" in capsys.readouterr().err


def test_commands_of_the_pages_do_as_told(
    album: Path,
    service: tuple[dict[str, str], Path],
    start_cluster: Callable[[int], Cluster],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What a cluster and a store are needed for, with two short songs."""
    import s3fs

    for name, value in service[0].items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("music")
    (tmp_path / "album").mkdir()
    for name in ("first", "second"):
        samples, rate = soundfile.read(album / "song 0.wav")
        soundfile.write(tmp_path / "album" / f"{name}.mp3", samples, rate)
    upload(tmp_path / "album", "s3://music/album")
    s3fs.S3FileSystem().pipe_file("music/list.txt", b"album/first.mp3\n")
    monkeypatch.chdir(tmp_path)
    assert len(REMOTE) >= 5
    address = start_cluster(1).address
    for words in REMOTE:
        given = [{"tcp://scheduler:8786": address, "10": "0.3"}.get(word, word) for word in words]
        process = musex_process(*given)
        told = process.communicate(timeout=120)
        assert process.returncode == 0, (words, told)
        assert "error" not in told[1]
    states = Counter(row["state"] for row in results(tmp_path / "results.jsonl"))
    assert states == {"made": 2}
    assert len(list_files(place_of("s3://music/long"))) == 4
    assert len(list((tmp_path / "long").glob("[!.]*"))) == 2


def test_without_a_cluster_nothing_of_it_is_imported(album: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom musex.cli.app import run\n"
        f"assert run(['extend', {str(album / 'song 0.wav')!r}, '-s', '14', '-o', {str(tmp_path / 'x.wav')!r}]) == 0\n"
        "print({'dask', 'distributed', 'fsspec', 'upath', 's3fs'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
