"""Whether somebody sings, as both networks that came with musex tell together."""

import json
from pathlib import Path

import numpy as np
import pytest

from musex.audio.reading import read_song
from musex.audio.song import song_from_array
from musex.prediction.singing_network import SingingNetwork
from musex.separation.singing import hear_voice, is_voice

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_a_song_with_a_voice_has_one_and_keeps_what_was_told() -> None:
    song, network = read_song(EXAMPLES / "sung.mp3"), SingingNetwork()
    heard = hear_voice(song, network)
    assert heard is not None
    assert hear_voice(song, network) is heard


@pytest.mark.parametrize("name", ["groove.mp3", "waltz.mp3", "drift.mp3"])
def test_instruments_have_none(name: str) -> None:
    assert hear_voice(read_song(EXAMPLES / name), SingingNetwork()) is None


def test_what_is_taken_for_a_voice_must_sound_like_one() -> None:
    rate = 44100
    time = np.arange(20 * rate) / rate
    drums = 0.3 * np.random.default_rng(0).standard_normal(len(time)) * np.exp(-25.0 * (time % 0.25))
    everywhere = np.ones(20 * 50, np.float32)
    assert not is_voice(song_from_array(drums.astype(np.float32)[:, None], rate), everywhere)
    sung = read_song(EXAMPLES / "sung.mp3")
    lines = json.loads((EXAMPLES / "sung.json").read_text("utf-8"))
    within = np.zeros(round(sung.seconds * 50), np.float32)
    for line in lines:
        within[round(line[0][0] * 50) : round(line[-1][1] * 50)] = 1.0
    assert is_voice(sung, within)
    assert not is_voice(sung, np.float32(0.4) * within)  # nothing is suspected


def test_noise_is_nobody_s_voice() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((6 * 44100, 1))
    song = song_from_array(noise.astype(np.float32), 44100)
    assert hear_voice(song, SingingNetwork()) is None
