"""The separator that came with musex, on drums, bass and chords made here, which are known."""

import numpy as np
import pytest

from musex.analysis import percussion
from musex.metrics import signal_ratio
from musex.separation.separator import Separator

Array = np.ndarray

RATE = 44_100


@pytest.fixture(scope="module")
def separator() -> Separator:
    return Separator()


def band(seconds: float = 16.0, rate: int = RATE) -> dict[str, Array]:
    """Kick, snare and hats; a bass in eighths; chords, each float32 (samples, 2)."""
    random = np.random.default_rng(0)
    count = round(seconds * rate)
    time = np.arange(round(0.25 * rate)) / rate
    noise = random.standard_normal(len(time))
    kick = 0.8 * np.sin(2 * np.pi * (50.0 * time - 6.0 * np.exp(-30.0 * time))) * np.exp(-14.0 * time)
    snare = 0.3 * (noise + np.sin(2 * np.pi * 190.0 * time)) * np.exp(-22.0 * time)
    hat = 0.12 * np.diff(noise, prepend=0.0) * np.exp(-80.0 * time)
    long = np.arange(round(0.5 * rate)) / rate
    stems = {stem: np.zeros(count + rate) for stem in ("drums", "bass", "rest")}

    def add(stem: str, start: float, sound: Array) -> None:
        stems[stem][round(start * rate) : round(start * rate) + len(sound)] += sound

    for number in range(int(seconds * 4)):
        start, bar = 0.25 * number, number // 8
        add("drums", start, hat + (kick if number % 4 == 0 else snare if number % 4 == 2 else 0.0 * hat))
        root = (41.2, 49.0, 55.0, 36.7)[bar % 4]
        tone = sum(np.sin(2 * np.pi * root * n * long) / n**1.5 for n in range(1, 6))
        add("bass", start, 0.25 * tone * np.exp(-6.0 * long) * np.minimum(1.0, 200.0 * long))
        if number % 2 == 0:
            chord = sum(
                np.sin(2 * np.pi * root * 4 * third * n * long) / n for third in (1.0, 1.25, 1.5) for n in range(1, 5)
            )
            add("rest", start, 0.06 * chord * np.exp(-2.0 * long) * np.minimum(1.0, 100.0 * long))
    return {stem: np.repeat(sound[:count, None], 2, axis=1).astype(np.float32) for stem, sound in stems.items()}


def test_drums_are_found_better_than_by_the_filter(separator: Separator) -> None:
    stems = band()
    mixture = sum(stems.values(), np.zeros_like(stems["drums"]))
    found = separator.separate(mixture, RATE)
    ratio = signal_ratio(stems["drums"], found["drums"])
    assert ratio > signal_ratio(stems["drums"], percussion.separate(mixture)) + 0.3
    assert signal_ratio(stems["bass"], found["bass"]) > 3.0


def test_a_song_without_drums_has_none(separator: Separator) -> None:
    rest = band()["rest"]
    found = separator.separate(rest, RATE)["drums"]
    assert np.sum(found**2) < 0.03 * np.sum(rest**2)


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_any_rate_gives_about_the_same(separator: Separator, rate: int) -> None:
    stems = band(8.0, rate)
    found = separator.separate(sum(stems.values(), np.zeros_like(stems["drums"])), rate)
    usual = band(8.0)
    expected = separator.separate(sum(usual.values(), np.zeros_like(usual["drums"])), RATE)
    for stem in ("drums", "bass"):
        ratio, other = signal_ratio(stems[stem], found[stem]), signal_ratio(usual[stem], expected[stem])
        assert ratio == pytest.approx(other, abs=2.5)


def test_the_same_song_gives_the_same_stems_and_blocks_join(separator: Separator) -> None:
    """Where masks of one block give way to the next one's, a tone is no rougher than elsewhere."""
    time = np.arange(30 * RATE) / RATE
    song = np.repeat(0.3 * np.sin(2 * np.pi * 110.0 * time)[:, None], 2, axis=1).astype(np.float32)
    found = separator.separate(song, RATE)
    again = separator.separate(song, RATE)
    config = separator.config
    ahead = (config.block_frames - config.overlap_frames) * config.hop_length
    joined = np.zeros(len(song), bool)
    for start in range(ahead, len(song), ahead):
        joined[start - RATE // 2 : start + config.overlap_frames * config.hop_length + RATE // 2] = True
    inside = (time > 1.0) & (time < 29.0)
    for stem in ("drums", "bass"):
        np.testing.assert_array_equal(found[stem], again[stem])
        roughness = np.abs(np.diff(found[stem], n=2, axis=0, append=0.0, prepend=0.0)).max(axis=1)
        assert roughness[joined & inside].max() <= 2.0 * roughness[~joined & inside].max()


def test_channels_stay_and_silence_is_silent(separator: Separator) -> None:
    stems = band(4.0)
    mixture = sum(stems.values(), np.zeros_like(stems["drums"]))
    mono = separator.separate(mixture[:, 0], RATE)["drums"]
    both = separator.separate(mixture, RATE)["drums"]
    np.testing.assert_allclose(mono, both[:, 0], atol=1e-4)
    assert separator.separate(np.zeros((RATE, 3), np.float32), RATE)["bass"].shape == (RATE, 3)
    assert not separator.separate(np.zeros((RATE, 3), np.float32), RATE)["bass"].any()
    left = mixture * np.array([1.0, 0.0], np.float32)
    assert np.abs(separator.separate(left, RATE)["drums"][:, 1]).max() < 1e-6
