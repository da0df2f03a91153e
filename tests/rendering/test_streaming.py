"""Streams: the same sound as the file, heard while it is made."""

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import musex
from musex.cli.app import run
from musex.errors import MusexError
from musex.files import stream_file
from musex.prediction.model import load_model
from musex.rendering.streaming import stream_song
from musex.settings import Ending

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def song() -> musex.Song:
    return musex.read_song(EXAMPLES / "waltz.mp3")


@pytest.mark.parametrize(("seconds", "ending"), [(150.0, "outro"), (130.0, "fade"), (130.0, "cut"), (30.0, "outro")])
def test_a_stream_is_the_extension_to_the_sample(song: musex.Song, seconds: float, ending: Ending) -> None:
    streamed = np.concatenate(list(stream_song(song, load_model(), seconds=seconds, ending=ending, seed=1)))
    whole = musex.extend(song, seconds=seconds, ending=ending, seed=1)
    np.testing.assert_array_equal(streamed, whole.samples)


def test_a_stream_that_leaves_out_the_songs_end_fades_out_there(song: musex.Song) -> None:
    options = {"seconds": 110.0, "avoid": ((50.0, 60.4),), "seed": 1}
    streamed = np.concatenate(list(stream_song(song, load_model(), **options)))  # type: ignore[arg-type]
    whole = musex.extend(song, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(streamed, whole.samples)
    assert not streamed[-1].any()


def test_a_stream_begins_before_it_is_planned(song: musex.Song) -> None:
    model = load_model()
    calls = 0

    class Counting:
        name, sha256, join_head = model.name, model.sha256, model.join_head
        transition_head, singing_network, config = model.transition_head, model.singing_network, model.config
        listen = staticmethod(model.listen)

        def predict(self, memory: object, context: np.ndarray, *, apart: int) -> object:
            nonlocal calls
            calls += 1
            return model.predict(memory, context, apart=apart)  # type: ignore[arg-type]

    blocks = stream_song(song, Counting(), seconds=36_000.0)  # type: ignore[arg-type]
    heard = [next(blocks) for _ in range(25)]
    assert calls <= 3  # ten seconds each, and none where no jump is worth it
    np.testing.assert_array_equal(np.concatenate(heard), song.samples[: 25 * song.sample_rate])


def test_a_loop_is_no_stream(song: musex.Song) -> None:
    with pytest.raises(MusexError, match="loop cannot be streamed"):
        stream_song(song, load_model(), seconds=60.0, ending="loop")


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_a_pipe_holds_every_format(name: str, wav_path: Path, tmp_path: Path) -> None:
    output = tmp_path / f"streamed.{name}"
    with output.open("wb") as handle:
        stream_file(wav_path, handle, seconds=9.0, suffix=f".{name}")
    assert musex.read_song(output).seconds == pytest.approx(9.0, abs=0.15)
    with pytest.raises(MusexError, match="is not among"):
        stream_file(wav_path, io.BytesIO(), seconds=9.0, suffix=".xyz")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "musex", "extend", *arguments]


def test_the_command_writes_nothing_but_sound(tmp_path: Path) -> None:
    arguments = (str(EXAMPLES / "waltz.mp3"), "--seconds", "100", "-o", "-", "--format", "flac")
    done = subprocess.run(command(*arguments), capture_output=True, check=True)
    (tmp_path / "streamed.flac").write_bytes(done.stdout)
    assert musex.read_song(tmp_path / "streamed.flac").seconds == pytest.approx(100.0, abs=0.1)
    assert done.stderr == b""


@pytest.mark.usefixtures("usual_speed")
def test_who_has_heard_enough_need_not_wait() -> None:
    began = time.monotonic()
    test_who_has_heard_enough_may_go()
    assert time.monotonic() - began < 60  # ten hours would take minutes


def test_who_has_heard_enough_may_go() -> None:
    arguments = (str(EXAMPLES / "waltz.mp3"), "--minutes", "600", "-o", "-")
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.read(500_000)
        process.stdout.close()  # most of the ten hours is not made yet
        assert process.wait(timeout=240) == 141
        assert process.stderr.read() == b""


@pytest.mark.parametrize("more", [["--check"], ["--plan", "plan.json"], ["--variations", "2"], ["--report"]])
def test_what_a_stream_cannot_have(more: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["extend", str(EXAMPLES / "waltz.mp3"), "--seconds", "100", "-o", "-", *more]) == 2
    assert capfdbinary.readouterr().out == b""
