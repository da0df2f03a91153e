"""Drift: slow pads, wind and sparse bells without a pulse, fading in and fading out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import synth
from synth import SAMPLE_RATE, Array, Bus

SONG_SECONDS = 82.0
FADE_IN_SECONDS = 7.0
FADE_OUT_SECONDS = 13.0


@dataclass(frozen=True)
class Cloud:
    """One slow chord: when it opens, how long it lasts, its notes and its brightness in 0..1."""

    start: float
    seconds: float
    notes: tuple[int, ...]
    brightness: float


# D major with open voicings; neighbours overlap by some seconds. Brightest in the middle, home at the end.
CLOUDS = (
    Cloud(0.0, 18.0, (38, 50, 57, 64, 69), 0.25),
    Cloud(13.0, 17.0, (35, 47, 57, 62, 66, 73), 0.4),
    Cloud(25.0, 16.5, (31, 43, 55, 62, 66, 69), 0.55),
    Cloud(36.5, 17.5, (33, 45, 57, 61, 64, 71, 76), 0.9),
    Cloud(48.5, 16.0, (31, 43, 54, 62, 69, 73), 0.75),
    Cloud(59.0, 14.5, (40, 52, 55, 62, 66, 71), 0.4),
    Cloud(68.0, 14.0, (38, 50, 57, 64, 66, 69), 0.25),
)
BELL_NOTES = (74, 76, 78, 81, 83, 85, 86, 88)


def pad_note(midi_note: int, cloud: Cloud, rng: np.random.Generator) -> Array:
    """A stereo note of detuned voices whose harmonics come and go one by one."""
    samples = round(cloud.seconds * SAMPLE_RATE)
    times = synth.time_axis(cloud.seconds)
    sound = np.zeros((samples, 2))
    for voice_cents in (-7.0, 0.5, 6.0):
        frequency = synth.note_frequency(midi_note + voice_cents / 100.0)
        side = float(np.clip(0.11 * voice_cents + rng.uniform(-0.2, 0.2), -0.95, 0.95))
        angle = 0.25 * np.pi * (side + 1.0)
        tone = np.zeros(samples)
        for harmonic in range(1, 9):
            hertz = harmonic * frequency
            strength = harmonic ** (-2.3 + 1.1 * cloud.brightness) / (
                1.0 + (hertz / (900.0 + 2600 * cloud.brightness)) ** 2
            )
            sway = 0.35 + 0.65 * synth.slow_wander(samples, rng.uniform(2.5, 6.0), rng)
            tone += strength * sway * np.sin(2.0 * np.pi * hertz * times + rng.uniform(0.0, 2.0 * np.pi))
        sound += tone[:, None] * np.array([np.cos(angle), np.sin(angle)])
    shape = synth.envelope(cloud.seconds, attack=6.0, decay=20.0, sustain=0.85, release=6.5)
    return sound * shape[:, None]


def play_pads(rng: np.random.Generator) -> Bus:
    """All clouds; low notes are quieter to keep the mix open."""
    bus = Bus(SONG_SECONDS)
    for cloud in CLOUDS:
        for note in cloud.notes:
            weight = 0.55 if note < 45 else 1.0 if note < 66 else 0.7
            bus.add(pad_note(note, cloud, rng), cloud.start, gain=0.09 * weight)
    return bus


def play_wind(rng: np.random.Generator) -> Bus:
    """Bands of noise that swell independently on both sides."""
    bus = Bus(SONG_SECONDS)
    for low, high, level in (
        (180, 420, 1.0),
        (420, 900, 0.7),
        (900, 2000, 0.42),
        (2000, 4500, 0.2),
        (4500, 9000, 0.08),
    ):
        noise = synth.filtered_noise(SONG_SECONDS, synth.band_pass(low, high), rng, channels=2)
        for side in range(2):
            noise[:, side] *= synth.slow_wander(len(noise), rng.uniform(4.0, 7.0), rng) ** 2
        bus.add(noise, 0.0, gain=0.035 * level)
    return bus


def bell_times(rng: np.random.Generator) -> list[float]:
    """Free times between bells: sparse at both ends, closer in the bright middle."""
    times = [9.5]
    while times[-1] < SONG_SECONDS - 14.0:
        middle = np.exp(-(((times[-1] - 45.0) / 16.0) ** 2))
        times.append(times[-1] + rng.uniform(2.6, 5.2) * (1.0 - 0.55 * middle))
    return times


def bell_pitch(at: float, rng: np.random.Generator) -> int:
    """A bell note that agrees with the cloud sounding at that time."""
    cloud = max((cloud for cloud in CLOUDS if cloud.start + 2.0 <= at), key=lambda cloud: cloud.start)
    classes = {note % 12 for note in cloud.notes}
    fitting = [note for note in BELL_NOTES if note % 12 in classes]
    return int(rng.choice(fitting))


def play_bells(rng: np.random.Generator) -> Bus:
    """Sparse bells, some answered by a softer one an octave lower."""
    bus = Bus(SONG_SECONDS)
    for at in bell_times(rng):
        pitch, velocity, pan = bell_pitch(at, rng), rng.uniform(0.35, 0.85), rng.uniform(-0.75, 0.75)
        bus.add(synth.bell(pitch, 6.0, velocity, rng), at, gain=0.2, pan=pan)
        if rng.uniform() < 0.35:
            late = at + rng.uniform(0.4, 1.3)
            bus.add(synth.bell(pitch - 12, 7.0, 0.5 * velocity, rng), late, gain=0.19, pan=-pan)
    return bus


def song_fade() -> Array:
    """The long fade-in and fade-out of the whole piece, shape (samples,)."""
    times = synth.time_axis(SONG_SECONDS)
    rise = np.sin(0.5 * np.pi * np.clip(times / FADE_IN_SECONDS, 0.0, 1.0)) ** 2
    fall = np.sin(0.5 * np.pi * np.clip((SONG_SECONDS - 0.3 - times) / FADE_OUT_SECONDS, 0.0, 1.0)) ** 2
    return np.asarray(rise * fall)


def compose(seed: int = 82) -> Array:
    """Play and mix the whole piece, shape (samples, 2)."""
    rng = np.random.default_rng(seed)
    pads, wind, bells = play_pads(rng).sound, play_wind(rng).sound, play_bells(rng).sound
    echoes = synth.ping_pong(bells, 0.83, feedback=0.5, repeats=5)
    send = 0.45 * pads + 0.3 * wind + 0.6 * bells + 0.4 * echoes
    wet = synth.reverb(send, 5.5, rng, pre_delay=0.04, damping_hz=2600.0)
    mix = (0.8 * pads + wind + 0.8 * bells + 0.4 * echoes + wet) * song_fade()[:, None]
    return synth.master(mix, rms_level=-17.8, peak_level=-1.3, fade_seconds=0.5)
