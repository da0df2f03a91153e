"""The voice network that came with musex, and the voice it takes out of sounds."""

import numpy as np
import pytest

from musex.config import VOICE
from musex.prediction.voice_network import VoiceNetwork
from musex.separation import voice as separation
from musex.separation.voice import separate_voice

Array = np.ndarray


@pytest.fixture(scope="module")
def network() -> VoiceNetwork:
    return VoiceNetwork()


def noise(seconds: float, rate: int, channels: int) -> Array:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels)).astype(np.float32)


def test_shares_are_told_for_every_frame_however_many_there_are(network: VoiceNetwork) -> None:
    magnitudes = np.abs(np.random.default_rng(1).standard_normal((70, VOICE.bins, 2))).astype(np.float32)
    shares = network.shares(magnitudes)
    assert shares.shape == magnitudes.shape
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0
    assert shares.std() > 0.01


def vowel(seconds: float, rate: int) -> Array:
    """An A sung with vibrato at 220 Hz, swelling and fading, one channel."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(220.0 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * time))) / rate
    sound = np.zeros_like(time)
    for number in range(1, 18):
        formants = ((700.0, 110.0), (1100.0, 120.0), (2500.0, 160.0))
        height = sum(1.0 / (1.0 + ((220.0 * number - middle) / width) ** 2) for middle, width in formants)
        sound += height * np.sin(number * phase)
    swell = np.clip(3.0 * np.sin(np.pi * time / 1.5) ** 2, 0.0, 1.0)
    return (0.1 * sound * swell)[:, None].astype(np.float32)


def test_a_sung_vowel_is_more_of_a_voice_than_drums_are(network: VoiceNetwork) -> None:
    rate, seconds = 44100, 3.0
    hits = noise(seconds, rate, 1) * np.exp(-30.0 * (np.arange(round(seconds * rate)) / rate % 0.25))[:, None]
    sounds = vowel(seconds, rate), hits.astype(np.float32)
    kept = [float(np.sum(separate_voice(sound, rate, network) ** 2) / np.sum(sound**2)) for sound in sounds]
    assert kept[0] > 0.5
    assert kept[1] < 0.1


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (22050, 3)])
def test_what_is_left_is_as_long_as_the_song_in_any_rate_and_number_of_channels(
    network: VoiceNetwork, rate: int, channels: int
) -> None:
    song = noise(1.0, rate, channels)
    voice = separate_voice(song, rate, network)
    assert voice.shape == song.shape
    assert voice.dtype == np.float32
    assert np.isfinite(voice).all()


def test_blocks_join_as_if_they_were_one(network: VoiceNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    song = vowel(6.0, 44100) + noise(6.0, 44100, 1)
    whole = separate_voice(song, 44100, network)
    monkeypatch.setattr(separation, "BLOCK_FRAMES", 128)
    parts = separate_voice(song, 44100, network)
    assert np.sum((whole - parts) ** 2) < 0.002 * np.sum(whole**2)


def test_silence_holds_no_voice(network: VoiceNetwork) -> None:
    silent = np.zeros((44100, 2), np.float32)
    assert np.abs(separate_voice(silent, 44100, network)).max() < 1e-6
