"""What is written to a stream that is a file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from musex.audio.song import song_from_array
from musex.audio.writing import pipe_song
from musex.errors import AudioError


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_a_file_behind_a_stream_gets_its_header_right(tmp_path: Path, samples: np.ndarray, suffix: str) -> None:
    song, path = song_from_array(samples, 44_100), tmp_path / f"a{suffix}"
    with path.open("wb") as file:
        pipe_song(file, [samples], song=song, suffix=suffix)
    assert soundfile.info(path).frames == len(samples)


def test_what_was_there_before_stays(tmp_path: Path, samples: np.ndarray) -> None:
    song, path = song_from_array(samples, 44_100), tmp_path / "a.wav"
    path.write_bytes(b"before")
    with path.open("ab") as file:
        pipe_song(file, [samples], song=song)
        with pytest.raises(AudioError, match="aiff cannot be piped"):
            pipe_song(file, [samples], song=song, suffix=".aiff")
    assert path.read_bytes().startswith(b"beforeRIFF")
