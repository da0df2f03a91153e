"""A small NumPy synthesiser: envelopes, instruments, effects and the mixing desk of the example songs.

Mono sounds have shape (samples,), stereo sounds (samples, 2). Every random choice comes from the generator that
the caller hands in, so a song is the same at each run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAMPLE_RATE = 44100
HIGHEST_PARTIAL_HZ = 16000.0
FFT_BLOCK = 16384


def note_frequency(midi_note: float) -> float:
    """Frequency in Hz of a MIDI note number in equal temperament (A4 = 69 = 440 Hz)."""
    return float(440.0 * 2.0 ** ((midi_note - 69.0) / 12.0))


def decibels(level: float) -> float:
    """Amplitude factor of a level in decibels."""
    return float(10.0 ** (level / 20.0))


def time_axis(seconds: float) -> Array:
    """Sample times in seconds, shape (samples,)."""
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float64) / SAMPLE_RATE


# Envelopes and modulation


def envelope(seconds: float, *, attack: float, decay: float, sustain: float, release: float) -> Array:
    """ADSR curve with cosine corners; `release` lies inside `seconds`, so the curve ends at zero."""
    release = min(release, 0.5 * seconds)
    attack = min(attack, seconds - release)
    decay = max(decay, 1e-4)
    times = time_axis(seconds)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(times / max(attack, 1e-4), 0.0, 1.0))
    fall = sustain + (1.0 - sustain) * np.exp(-np.maximum(times - attack, 0.0) / decay)
    end = 0.5 + 0.5 * np.cos(np.pi * np.clip((times - (seconds - release)) / max(release, 1e-4), 0.0, 1.0))
    return rise * fall * end


def slow_wander(samples: int, period_seconds: float, rng: np.random.Generator) -> Array:
    """Smooth random curve between 0 and 1 that turns about once in `period_seconds`."""
    knots = max(4, int(samples / SAMPLE_RATE / period_seconds) + 4)
    values = rng.uniform(0.0, 1.0, knots)
    position = np.arange(samples) / (period_seconds * SAMPLE_RATE) + rng.uniform()
    left = np.minimum(position.astype(np.int64), knots - 2)
    blend = 0.5 - 0.5 * np.cos(np.pi * np.clip(position - left, 0.0, 1.0))
    return np.asarray(values[left] * (1.0 - blend) + values[left + 1] * blend)


def vibrato_phase(frequency: float, seconds: float, *, depth_cents: float, rate: float, onset: float) -> Array:
    """Phase in radians of a tone whose vibrato grows in over `onset` seconds."""
    times = time_axis(seconds)
    depth = depth_cents * np.clip((times - 0.4 * onset) / max(onset, 1e-3), 0.0, 1.0)
    pitch = frequency * 2.0 ** (depth * np.sin(2.0 * np.pi * rate * times) / 1200.0)
    return 2.0 * np.pi * np.cumsum(pitch) / SAMPLE_RATE


# Spectral tools


def fast_length(samples: int) -> int:
    """Smallest multiple of `FFT_BLOCK` that holds `samples`: keeps long transforms quick."""
    return -(-samples // FFT_BLOCK) * FFT_BLOCK


def shape_spectrum(sound: Array, gain: Callable[[Array], Array]) -> Array:
    """Multiply the spectrum of a mono or stereo sound by `gain(frequencies in Hz)`, zero phase."""
    size = fast_length(len(sound) + 2048)
    frequencies = np.asarray(np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE), dtype=np.float64)
    curve = gain(frequencies)
    if sound.ndim == 2:
        curve = curve[:, None]
    return np.asarray(np.fft.irfft(np.fft.rfft(sound, size, axis=0) * curve, size, axis=0)[: len(sound)])


def low_pass(cutoff: float, order: int = 2) -> Callable[[Array], Array]:
    """Butterworth-like magnitude that passes below `cutoff` Hz."""
    return lambda frequencies: 1.0 / np.sqrt(1.0 + (frequencies / cutoff) ** (2 * order))


def high_pass(cutoff: float, order: int = 2) -> Callable[[Array], Array]:
    """Butterworth-like magnitude that passes above `cutoff` Hz."""
    return lambda frequencies: 1.0 / np.sqrt(1.0 + (cutoff / np.maximum(frequencies, 1e-3)) ** (2 * order))


def band_pass(low: float, high: float, order: int = 2) -> Callable[[Array], Array]:
    """Product of `high_pass(low)` and `low_pass(high)`."""
    return lambda frequencies: high_pass(low, order)(frequencies) * low_pass(high, order)(frequencies)


def filtered_noise(
    seconds: float, gain: Callable[[Array], Array], rng: np.random.Generator, *, channels: int = 1
) -> Array:
    """White noise shaped by `gain`, scaled to an RMS of 1; mono for one channel, else (samples, channels)."""
    noise = shape_spectrum(rng.standard_normal((round(seconds * SAMPLE_RATE), channels)), gain)
    noise /= np.sqrt(np.mean(noise**2)) + 1e-12
    return noise[:, 0] if channels == 1 else noise


# Instruments: each gives one mono note, about 1 at its loudest for velocity 1


def pluck(
    midi_note: float, seconds: float, velocity: float, rng: np.random.Generator, *, ring: float, position: float = 0.19
) -> Array:
    """Plucked string after Karplus and Strong, tuned by a Lagrange fractional delay in the loop.

    Args:
        midi_note: pitch.
        seconds: length of the note; the last 80 ms are the damping finger.
        velocity: loudness in 0..1; harder plucks are brighter.
        rng: gives the phases of the excitation.
        ring: time in seconds in which the string loses 60 dB.
        position: where the string is plucked, as a fraction of its length.
    """
    frequency = note_frequency(midi_note)
    period = SAMPLE_RATE / frequency
    delay = int(period - 2.0)
    taps = string_loop_taps(period - 1.0 - delay, loss=10.0 ** (-3.0 / (frequency * ring)))
    history = delay + len(taps)
    string = np.zeros(history + round(seconds * SAMPLE_RATE))
    burst = pluck_excitation(round(period), velocity, rng, position=position)[: len(string) - history]
    string[history : history + len(burst)] = burst
    for start in range(history, len(string), delay):
        stop = min(start + delay, len(string))
        string[start:stop] += np.convolve(string[start - delay - len(taps) + 1 : stop - delay], taps, mode="valid")
    sound = string[history:]
    shape = envelope(len(sound) / SAMPLE_RATE, attack=0.0015, decay=1.0, sustain=1.0, release=0.08)
    return velocity * sound * shape[: len(sound)]


def string_loop_taps(fraction: float, *, loss: float) -> Array:
    """Loop filter: a mild three-point low pass and a cubic Lagrange delay of `fraction` samples (1 to 2)."""
    smoothing = np.array([0.02, 0.96, 0.02])
    points = np.arange(4)
    lagrange = np.array([np.prod([(fraction - m) / (k - m) for m in points if m != k]) for k in points])
    return loss * np.convolve(smoothing, lagrange)


def pluck_excitation(samples: int, velocity: float, rng: np.random.Generator, *, position: float) -> Array:
    """One period of harmonics with random phases, combed by the plucking position."""
    harmonics = np.arange(1, samples // 2, dtype=np.float64)
    slope = 1.5 - 0.5 * velocity
    strengths = np.abs(np.sin(np.pi * harmonics * position)) / harmonics**slope
    strengths *= low_pass(3500.0 + 6500.0 * velocity)(harmonics * SAMPLE_RATE / samples)
    spectrum = np.zeros(samples // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(harmonics) + 1] = strengths * np.exp(2j * np.pi * rng.uniform(size=len(harmonics)))
    burst = np.fft.irfft(spectrum, samples)
    return np.asarray(burst / np.max(np.abs(burst)))


def electric_piano(midi_note: float, seconds: float, velocity: float) -> Array:
    """Two-operator FM tine piano: the bark of the modulator and the chime of the tine die away first."""
    frequency = note_frequency(midi_note)
    times = time_axis(seconds)
    angle = 2.0 * np.pi * frequency * times
    bark = (0.35 + 1.25 * velocity**1.5) * (0.25 + 0.75 * np.exp(-times / 0.45))
    tone = np.sin(angle + bark * np.sin(angle))
    tine_ratio = 14.0 if 14.0 * frequency < 9000.0 else 7.0
    tone += 0.10 * velocity * np.exp(-times / 0.11) * np.sin(tine_ratio * angle)
    return np.asarray(velocity * tone * envelope(seconds, attack=0.003, decay=1.3, sustain=0.12, release=0.12))


def bass_guitar(midi_note: float, seconds: float, velocity: float) -> Array:
    """Additive bass: upper harmonics fade sooner, like a closing filter."""
    frequency = note_frequency(midi_note)
    times = time_axis(seconds)
    tone = np.zeros(len(times))
    for harmonic in range(1, 15):
        strength = harmonic**-0.95 * abs(np.sin(np.pi * harmonic * 0.23))
        fade = np.exp(-times * (0.5 + (2.6 - 1.2 * velocity) * (harmonic - 1)))
        tone += strength * fade * np.sin(2.0 * np.pi * frequency * harmonic * times + 0.3 * harmonic)
    return 0.9 * velocity * tone * envelope(seconds, attack=0.004, decay=0.9, sustain=0.5, release=0.05)


def harmonic_tone(phase: Array, strengths: Sequence[float], highest_hz: float) -> Array:
    """Sum of harmonics over a common phase, leaving out those above `HIGHEST_PARTIAL_HZ`."""
    tone = np.zeros(len(phase))
    for harmonic, strength in enumerate(strengths, start=1):
        if harmonic * highest_hz < HIGHEST_PARTIAL_HZ:
            tone += strength * np.sin(harmonic * phase)
    return tone


def soft_lead(midi_note: float, seconds: float, velocity: float) -> Array:
    """Rounded synthesiser lead with late vibrato; harder notes have more overtones."""
    frequency = note_frequency(midi_note)
    phase = vibrato_phase(frequency, seconds, depth_cents=14.0, rate=5.3, onset=0.35)
    strengths = [(0.35 + 0.35 * velocity) ** (harmonic - 1) for harmonic in range(1, 13)]
    tone = harmonic_tone(phase, strengths, frequency) / 1.8
    return velocity * tone * envelope(seconds, attack=0.018, decay=0.5, sustain=0.7, release=0.09)


def flute(midi_note: float, seconds: float, velocity: float, rng: np.random.Generator) -> Array:
    """Flute-like tone: few harmonics, vibrato that grows in, and breath around the pitch."""
    frequency = note_frequency(midi_note)
    phase = vibrato_phase(frequency, seconds, depth_cents=17.0, rate=rng.uniform(4.9, 5.4), onset=0.4)
    strengths = [1.0, 0.28 + 0.3 * velocity, 0.10 + 0.2 * velocity, 0.06, 0.05 * velocity, 0.02]
    tone = harmonic_tone(phase, strengths, frequency) / 1.3
    breath = filtered_noise(seconds, band_pass(0.8 * frequency, 5.0 * frequency), rng)
    chiff = 1.0 + 2.5 * np.exp(-time_axis(seconds) / 0.05)
    swell = 1.0 + 0.12 * np.sin(np.pi * np.linspace(0.0, 1.0, len(tone)))
    shape = envelope(seconds, attack=0.065, decay=1.5, sustain=0.75, release=0.12)
    return velocity * swell * shape * (tone + 0.014 * chiff * breath)


def violin(midi_note: float, seconds: float, velocity: float, rng: np.random.Generator) -> Array:
    """Muted bowed string: sawtooth harmonics under two fixed body resonances."""
    frequency = note_frequency(midi_note)
    phase = vibrato_phase(frequency, seconds, depth_cents=20.0, rate=rng.uniform(5.4, 5.9), onset=0.3)
    strengths = []
    for harmonic in range(1, 24):
        hertz = harmonic * frequency
        body = 0.6 + 0.7 * np.exp(-(((hertz - 520.0) / 260.0) ** 2)) + 0.8 * np.exp(-(((hertz - 2500.0) / 900.0) ** 2))
        strengths.append(float(body / harmonic**1.15 / (1.0 + (hertz / 4200.0) ** 2)))
    tone = harmonic_tone(phase, strengths, frequency) / 1.6
    return velocity * tone * envelope(seconds, attack=0.11, decay=2.0, sustain=0.8, release=0.16)


def bell(midi_note: float, seconds: float, velocity: float, rng: np.random.Generator) -> Array:
    """Struck bell: inharmonic partials, each a beating pair, the high ones dying first."""
    frequency = note_frequency(midi_note)
    times = time_axis(seconds)
    tone = np.zeros(len(times))
    partials = (
        (0.5, 0.25, 1.3),
        (1.0, 1.0, 1.0),
        (2.0, 0.5, 0.7),
        (2.76, 0.35, 0.45),
        (5.4, 0.15, 0.2),
        (8.9, 0.06, 0.1),
    )
    for ratio, strength, life in partials:
        hertz = frequency * ratio
        if hertz > HIGHEST_PARTIAL_HZ:
            continue
        beat = rng.uniform(0.2, 0.9)
        pair = np.sin(2.0 * np.pi * hertz * times) + 0.6 * np.sin(2.0 * np.pi * (hertz + beat) * times)
        tone += strength * pair * np.exp(-times * 5.0 / (seconds * life))
    return velocity * tone * envelope(seconds, attack=0.006, decay=1.0, sustain=1.0, release=0.3 * seconds) / 2.5


# Drums


def kick(velocity: float) -> Array:
    """Kick drum: a sine that falls from 150 to 48 Hz, with a short knock on top."""
    times = time_axis(0.42)
    pitch = 48.0 + 105.0 * np.exp(-times / 0.032)
    body = np.sin(2.0 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) * np.exp(-times / 0.13)
    knock = 0.25 * np.sin(2.0 * np.pi * 1800.0 * times) * np.exp(-times / 0.004)
    return velocity * (body + knock) * envelope(0.42, attack=0.001, decay=1.0, sustain=1.0, release=0.1)


def snare(velocity: float, rng: np.random.Generator) -> Array:
    """Snare drum: two drum-head modes under a burst of wire noise."""
    times = time_axis(0.32)
    head = (np.sin(2.0 * np.pi * 188.0 * times) + 0.6 * np.sin(2.0 * np.pi * 331.0 * times)) * np.exp(-times / 0.055)
    wires = filtered_noise(0.32, band_pass(1300.0, 8500.0), rng) * np.exp(-times / (0.05 + 0.05 * velocity))
    return velocity * (0.55 * head + 0.33 * wires) * envelope(0.32, attack=0.001, decay=1.0, sustain=1.0, release=0.1)


def clap(velocity: float, rng: np.random.Generator) -> Array:
    """Hand clap: three quick bursts and a tail of band noise."""
    times = time_axis(0.3)
    gate = sum(np.where(times >= at, np.exp(-(times - at) / 0.007), 0.0) for at in (0.0, 0.011, 0.023))
    gate = gate + 0.55 * np.where(times >= 0.03, np.exp(-(times - 0.03) / 0.07), 0.0)
    noise = filtered_noise(0.3, band_pass(900.0, 3800.0), rng)
    return 0.3 * velocity * noise * gate * envelope(0.3, attack=0.001, decay=1.0, sustain=1.0, release=0.1)


def cymbal(velocity: float, seconds: float, rng: np.random.Generator, *, lowest_hz: float = 6500.0) -> Array:
    """Hi-hat or crash: high noise that decays over `seconds`."""
    noise = filtered_noise(seconds, band_pass(lowest_hz, 13000.0, 3), rng)
    shape = np.exp(-time_axis(seconds) * 4.5 / seconds)
    return (
        0.3 * velocity * noise * shape * envelope(seconds, attack=0.001, decay=1.0, sustain=1.0, release=0.3 * seconds)
    )


# The desk


class Bus:
    """A stereo track to which mono or stereo sounds are added at a time, a gain and a place."""

    def __init__(self, seconds: float) -> None:
        """Start with silence of `seconds`."""
        self.sound: Array = np.zeros((round(seconds * SAMPLE_RATE), 2))

    def add(self, sound: Array, at_seconds: float, *, gain: float = 1.0, pan: float = 0.0) -> None:
        """Mix `sound` in; `pan` runs from -1 (left) to 1 (right) at equal power; what overhangs is cut off."""
        start = max(0, round(at_seconds * SAMPLE_RATE))
        angle = 0.25 * np.pi * (pan + 1.0)
        sides = np.sqrt(2.0) * np.array([np.cos(angle), np.sin(angle)])
        stereo = sound[:, None] * sides if sound.ndim == 1 else sound * sides
        room = max(0, min(len(stereo), len(self.sound) - start))
        self.sound[start : start + room] += gain * stereo[:room]


def reverb(dry: Array, seconds: float, rng: np.random.Generator, *, pre_delay: float, damping_hz: float) -> Array:
    """The wet part alone: convolution with noise whose high bands fade before the low ones.

    Args:
        dry: shape (samples, 2).
        seconds: time in which the middle band loses 60 dB.
        rng: gives the noise.
        pre_delay: silence in seconds before the room answers.
        damping_hz: above this the room fades more than twice as fast.
    """
    times = time_axis(1.1 * seconds)
    noise = rng.standard_normal((len(times), 2))
    room = np.zeros_like(noise)
    bands = ((band_pass(90.0, 500.0), 1.1), (band_pass(500.0, damping_hz), 1.0), (band_pass(damping_hz, 12000.0), 0.4))
    for gain, life in bands:
        room += shape_spectrum(noise, gain) * np.exp(-6.9 * times / (seconds * life))[:, None]
    room *= np.clip(times / 0.006, 0.0, 1.0)[:, None]
    room /= np.sqrt(np.sum(room**2, axis=0))
    room = np.concatenate([np.zeros((round(pre_delay * SAMPLE_RATE), 2)), room])
    # Each side hears mostly the middle, so that a sound panned left still fills the whole room.
    send = 0.35 * dry + 0.65 * dry.mean(axis=1, keepdims=True)
    size = fast_length(len(dry) + len(room))
    wet = np.fft.irfft(np.fft.rfft(send, size, axis=0) * np.fft.rfft(room, size, axis=0), size, axis=0)
    return np.asarray(wet[: len(dry)])


def ping_pong(dry: Array, delay_seconds: float, *, feedback: float, repeats: int = 6) -> Array:
    """Echoes alone, thrown from side to side, each darker than the one before."""
    delay = round(delay_seconds * SAMPLE_RATE)
    wet = np.zeros_like(dry)
    echo = dry.mean(axis=1)
    for repeat in range(1, repeats + 1):
        echo = feedback * shape_spectrum(echo, low_pass(4500.0, 1))
        shift = repeat * delay
        wet[shift:, repeat % 2] += 1.3 * echo[: len(dry) - shift]
        wet[shift:, 1 - repeat % 2] += 0.3 * echo[: len(dry) - shift]
    return wet


def chorus(sound: Array, *, rate: float, depth_seconds: float) -> Array:
    """Widen a track: each side gets a copy read through a delay that sways in opposite phase."""
    positions = np.arange(len(sound), dtype=np.float64)
    widened = np.empty_like(sound)
    for side in range(2):
        sway = np.sin(2.0 * np.pi * rate * positions / SAMPLE_RATE + np.pi * side)
        delayed = positions - SAMPLE_RATE * (0.009 + depth_seconds * sway)
        widened[:, side] = 0.75 * sound[:, side] + 0.45 * np.interp(delayed, positions, sound[:, side], left=0.0)
    return widened


def duck(sound: Array, hits_seconds: Iterable[float], *, depth: float, recovery: float) -> Array:
    """Sidechain: turn `sound` down by the fraction `depth` at each hit, back up within `recovery` seconds."""
    shape = time_axis(4.0 * recovery)
    dip = depth * np.clip(shape / 0.004, 0.0, 1.0) * np.exp(-shape / recovery) * np.linspace(1.0, 0.0, len(shape))
    reduction = np.zeros(len(sound))
    for hit in hits_seconds:
        start = round(hit * SAMPLE_RATE)
        room = max(0, min(len(dip), len(sound) - start))
        np.maximum(reduction[start : start + room], dip[:room], out=reduction[start : start + room])
    return sound * (1.0 - reduction)[:, None]


def limit(sound: Array, ceiling: float) -> Array:
    """Hold every peak under `ceiling` by a gain that moves smoothly over about 20 ms and looks ahead."""
    block = 64
    reach = 7
    count = -(-len(sound) // block)
    padded = np.zeros(count * block)
    padded[: len(sound)] = np.max(np.abs(sound), axis=1)
    peaks = padded.reshape(count, block).max(axis=1)
    wanted = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(wanted, reach + 1, mode="edge"), 2 * reach + 3)
    held = windows.min(axis=1)
    window = np.hanning(2 * reach + 1)
    smooth = np.convolve(np.pad(held, reach, mode="edge"), window / window.sum(), mode="valid")
    gain = np.interp(np.arange(len(sound)), (np.arange(count) + 0.5) * block, smooth)
    return np.clip(sound * gain[:, None], -ceiling, ceiling)


def master(sound: Array, *, rms_level: float, peak_level: float, fade_seconds: float) -> Array:
    """Clear the sub-bass, set the RMS level, limit the peaks and fade the last moments (levels in dBFS)."""
    sound = shape_spectrum(sound, high_pass(28.0))
    sound = sound * decibels(rms_level) / np.sqrt(np.mean(sound**2))
    fade = np.clip((len(sound) - np.arange(len(sound))) / (fade_seconds * SAMPLE_RATE), 0.0, 1.0)
    return limit(sound, decibels(peak_level)) * (0.5 - 0.5 * np.cos(np.pi * fade))[:, None]


def write_mp3(path: Path, sound: Array, *, title: str, bit_rate: str = "160k") -> None:
    """Encode a stereo sound by libmp3lame, with its ID3 tags."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "2", "-i", "pipe:0"]
    command += ["-codec:a", "libmp3lame", "-b:a", bit_rate, "-id3v2_version", "3"]
    tags = {"title": title, "artist": "musex examples", "album": "musex examples", "copyright": "CC0 1.0"}
    tags["license"] = "https://creativecommons.org/publicdomain/zero/1.0/"
    for name, value in tags.items():
        command += ["-metadata", f"{name}={value}"]
    subprocess.run([*command, str(path)], input=sound.astype("<f4").tobytes(), check=True)
