"""Set sung and spoken lines, whose word times are known, over instrumental music: what the singing network learns from.

    python models/make_voices.py VOICES/training --words CLIPS/ --music MUSIC/ --pieces 400
    python models/make_voices.py SONGS/ --words CLIPS/ --music MUSIC/ --pieces 12 --songs

Needs `pyworld`, and `espeak-ng` for words that no clip says. A word is said by a clip (any folder of short recordings
of speech) or by espeak-ng; WORLD (Morise et al., 2016) takes it apart, it is stretched and sung on notes of a scale,
some with vibrato, and words in rows are lines; a fourth of the lines is spoken as it is. Each piece is left as an .npz:
the mix's log-mel and how loud the voice is in each frame. With `--songs` whole songs are written as FLAC, with the
words' times beside them as JSON.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyworld
import soundfile
import soxr
from scipy.fft import next_fast_len

from musex.analysis.features import analyse_frames, to_mono
from musex.config import FEATURES

Array = np.ndarray
Random = np.random.Generator

RATE = FEATURES.sample_rate
FRAME_MS = 5.0  # of WORLD
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))
SPEAKERS = tuple(
    f"{language}+{variant}"
    for language in ("en-us", "en-gb", "de", "fr-fr", "es", "it", "pl", "pt", "sv")
    for variant in ("m1", "m3", "m5", "m7", "f1", "f2", "f4", "f5")
)
LYRICS = (
    "and all around the water falls away light under morning over mountains never ending stay with me tonight "
    "love is calling home again we are running through the fire shadow of a dream tomorrow won't be long hold on "
    "everything you told me turning slowly in the rain oh my heart remember summer fading into blue silver moon"
)
MUSIC_ENDINGS = (".ogg", ".flac", ".mp3", ".wav", ".opus")


@dataclass(frozen=True)
class Word:
    """One word of a line: where it begins and ends, seconds."""

    start: float
    stop: float


def load_mono(path: Path) -> Array:
    """A file as mono at the features' rate, float32."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return to_mono(samples, rate)


def trim(sound: Array) -> Array:
    """Without the silence around it."""
    heard = np.flatnonzero(np.abs(sound) > 0.03 * np.abs(sound).max(initial=1e-9))
    return sound[max(0, heard[0] - 200) : heard[-1] + 400] if len(heard) else sound[:0]


class Speaker:
    """Says words: those of recorded clips in a row, or whatever espeak-ng is told to."""

    def __init__(self, clips: Sequence[Path], random: Random, recorded: float) -> None:
        self.clips, self.random, self.recorded = clips, random, recorded
        self.voice = str(random.choice(SPEAKERS))
        self.first = int(random.integers(max(1, len(clips))))
        self.said = 0

    def say(self) -> Array:
        """The next word, mono."""
        self.said += 1
        if self.clips and self.random.random() < self.recorded:
            sound = trim(load_mono(self.clips[(self.first + self.said) % len(self.clips)]))
            if 0.08 * RATE < len(sound) < 2.5 * RATE:
                return sound
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "word.wav"
            speed = str(int(self.random.integers(120, 190)))
            word = str(self.random.choice(LYRICS.split()))
            subprocess.run(["espeak-ng", "-v", self.voice, "-s", speed, "-w", path, word], check=True)
            return trim(load_mono(path))


def sing(sound: Array, notes: Array, seconds: float, random: Random) -> Array:
    """A spoken word sung for so long, gliding from note to note, in Hz, by a larger or smaller throat."""
    wave = sound.astype(np.float64)
    pitch, times = pyworld.dio(wave, RATE, frame_period=FRAME_MS)
    pitch = pyworld.stonemask(wave, pitch, times, RATE)
    envelope = pyworld.cheaptrick(wave, pitch, times, RATE)
    breath = pyworld.d4c(wave, pitch, times, RATE)
    count = max(8, round(1000 * seconds / FRAME_MS))
    voiced = pitch > 0
    pace = np.where(voiced, 1.0, 0.15)  # vowels are held, consonants stay as short as they are
    held = np.cumsum(pace) / pace.sum()
    places = np.clip(np.searchsorted(held, (np.arange(count) + 0.5) / count), 0, len(pitch) - 1)
    ahead = np.arange(count) * FRAME_MS / 1000
    cents = random.normal(0.0, 8.0) + 120.0 * np.exp(-ahead / random.uniform(0.03, 0.12)) * random.normal()
    drift = np.convolve(random.normal(0.0, 1.0, count + 60), np.hanning(60), mode="valid")[:count]
    cents = cents + random.uniform(0.0, 4.0) * drift
    depth = random.uniform(0.0, 60.0) * np.clip((ahead - 0.25) / 0.3, 0.0, 1.0)
    cents = cents + depth * np.sin(2 * np.pi * random.uniform(4.5, 6.5) * ahead)
    moments = np.linspace(0.0, seconds, len(notes) + 1)[:-1]
    glide = random.uniform(0.04, 0.2)
    heights = np.log2(notes)
    melody = heights[0] + sum(
        (after - before) / (1.0 + np.exp(-(ahead - moment) / (0.2 * glide)))
        for before, after, moment in zip(heights, heights[1:], moments[1:], strict=False)
    )
    note = np.where(voiced[places], 2.0 ** (melody + cents / 1200.0), 0.0)
    bins, throat = np.arange(envelope.shape[1]), random.uniform(0.85, 1.2)
    envelope = envelope[:, np.clip(np.rint(bins * throat), 0, bins[-1]).astype(np.int64)]
    spectra = np.ascontiguousarray(envelope[places]), np.ascontiguousarray(breath[places])
    sung = pyworld.synthesize(np.ascontiguousarray(note), *spectra, RATE, FRAME_MS)
    edge = min(len(sung) // 4, 400)
    sung[:edge] *= np.linspace(0, 1, edge)
    sung[-edge:] *= np.linspace(1, 0, edge)
    return np.asarray(sung, np.float32)


def normalised(sound: Array) -> Array:
    """At an effective level of 0.1 where it is heard."""
    level = np.sqrt(np.mean(np.square(sound[np.abs(sound) > 0.02 * np.abs(sound).max(initial=1e-9)])))
    return np.asarray(sound * (0.1 / max(float(level), 1e-6)), np.float32)


RESTS = (0.4, 0.8, 1.5, 3.0, 6.0)  # seconds between lines


def voice_track(
    seconds: float, speaker: Speaker, random: Random, rests: Sequence[float] = RESTS
) -> tuple[Array, list[list[Word]]]:
    """Lines with rests between them: mono of so many seconds, and the words of each line."""
    track, lines = np.zeros(round(seconds * RATE), np.float32), []
    at = random.uniform(0.5, 5.0)
    beat, root = random.uniform(0.28, 0.6), random.uniform(80.0, 330.0)
    scale = SCALES[int(random.integers(len(SCALES)))]
    notes = root * 2.0 ** (np.array([*scale, *(12 + np.array(scale))]) / 12.0)
    while at < seconds - 1.0:
        spoken, line, degree = random.random() < 0.25, list[Word](), int(random.integers(len(notes)))
        for _ in range(int(random.integers(3, 9))):
            word = speaker.say()
            if not len(word):
                continue
            if not spoken:
                length = beat * float(random.choice([0.5, 1, 1, 2, 3], p=[0.25, 0.3, 0.2, 0.15, 0.1]))
                degrees = degree + np.cumsum(random.integers(-2, 3, 1 if length < 0.4 else random.choice([1, 1, 2, 3])))
                degrees = np.clip(degrees, 0, len(notes) - 1)
                degree = int(degrees[-1])
                word = sing(word, notes[degrees], max(0.15, length), random)
            start = round(at * RATE)
            word = normalised(word)[: max(0, len(track) - start)]
            if not len(word) or not np.isfinite(word).all():  # WORLD divides by nothing in a few sounds
                break
            track[start : start + len(word)] += word
            line.append(Word(at, at + len(word) / RATE))
            at += len(word) / RATE + random.uniform(0.0, 0.05)
        if line:
            lines.append(line)
        at += float(random.choice(rests)) * random.uniform(0.7, 1.3)
    return track, lines


def in_a_room(track: Array, random: Random) -> Array:
    """The voice with some reverberation, an equaliser, and sometimes a second singer a little beside it."""
    if random.random() < 0.3:
        late = int(random.integers(200, 700))
        track = track + 0.6 * np.pad(track, (late, 0))[: len(track)]
    length = random.uniform(0.2, 1.2)
    tail = random.standard_normal(round(length * RATE)) * np.exp(-6.9 * np.arange(round(length * RATE)) / length / RATE)
    size = next_fast_len(len(track) + len(tail))
    wet = np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(tail, size), size)[: len(track)]
    wet *= np.sqrt(np.mean(track**2)) / max(1e-9, np.sqrt(np.mean(wet**2)))
    spectrum = np.fft.rfft(track + wet * 10.0 ** (random.uniform(-24.0, -9.0) / 20.0), size)
    knots = 10.0 ** (random.normal(0.0, 3.0, 6) / 20.0)
    spectrum *= np.interp(np.linspace(0.0, 5.0, len(spectrum)) ** 0.5 * 5.0**0.5, np.arange(6), knots)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(track)], np.float32)


def level_db(sound: Array, frames: int) -> Array:
    """Level of each frame in dB, (frames,)."""
    size = FEATURES.hop_length
    sound = np.pad(sound, (0, max(0, frames * size - len(sound))))[: frames * size]
    return np.asarray(10.0 * np.log10(np.square(sound).reshape(frames, size).mean(axis=1) + 1e-10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--words", type=Path, nargs="*", default=[], help="folders of recorded words")
    parser.add_argument("--music", type=Path, nargs="+", help="folders of instrumental music")
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--recorded", type=float, default=0.6, help="share of words said by clips")
    parser.add_argument("--silent", type=float, default=0.35, help="share of pieces without a voice")
    parser.add_argument("--songs", action="store_true", help="whole songs, each with a voice, as FLAC")
    parser.add_argument("--dense", action="store_true", help="rests between lines of 1.5 s at most")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    clips = sorted(path for folder in arguments.words for path in folder.rglob("*") if path.suffix in (".ogg", ".wav"))
    music = sorted(
        path for folder in arguments.music for path in folder.rglob("*") if path.suffix.lower() in MUSIC_ENDINGS
    )
    music = [path for path in music if soundfile.info(path).duration >= 30.0]
    arguments.output.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.pieces):
        path = music[int(random.integers(len(music)))] if not arguments.songs else music[number % len(music)]
        with soundfile.SoundFile(path) as file:
            rate, count = file.samplerate, file.frames
            if not arguments.songs:
                count = min(count, round(arguments.seconds * rate))
                file.seek(int(random.integers(file.frames - count + 1)))
            samples = file.read(count, dtype="float32", always_2d=True)
        back = to_mono(samples, rate)
        sung = arguments.songs or random.random() >= arguments.silent
        track, lines = np.zeros_like(back), list[list[Word]]()
        if sung:
            speaker = Speaker(clips, random, arguments.recorded)
            rests = RESTS[:3] if arguments.dense else RESTS
            track, lines = voice_track(len(back) / RATE, speaker, random, rests)
            track = in_a_room(track, random)[: len(back)]
            level = np.sqrt(np.mean(back**2)) / max(1e-6, np.sqrt(np.mean(track[np.abs(track) > 1e-3] ** 2)))
            least, most = (0.0, 6.0) if arguments.songs else (-9.0, 8.0)
            track *= level * 10.0 ** (random.uniform(least, most) / 20.0)
        name = f"{number:04}-{path.stem}"
        if arguments.songs:
            voice = soxr.resample(track, RATE, rate)
            voice = np.pad(voice, (0, max(0, len(samples) - len(voice))))[: len(samples), None]
            mix = samples + voice
            gain = min(1.0, 0.98 / float(np.abs(mix).max()))
            soundfile.write(arguments.output / f"{name}.flac", gain * mix, rate)
            soundfile.write(arguments.output / f"{name}.voice.flac", gain * voice[:, 0], rate)
            times = [[[round(word.start, 3), round(word.stop, 3)] for word in line] for line in lines]
            (arguments.output / f"{name}.json").write_text(json.dumps(times), encoding="utf-8")
            continue
        log_mel, _ = analyse_frames(back + track)
        frames = len(log_mel)
        np.savez_compressed(
            arguments.output / f"{name}.npz",
            log_mel=log_mel.astype(np.float16),
            voice=level_db(track, frames).astype(np.float16),
            music=level_db(back, frames).astype(np.float16),
        )


if __name__ == "__main__":
    main()
