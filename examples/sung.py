"""Sung: the band of groove.py with a voice in its A and B parts, and the times of its words.

    python examples/sung.py        # needs numpy, pyworld, imageio-ffmpeg, and the program espeak-ng

espeak-ng says the words, WORLD (Morise et al., 2016) sings them: a line is two bars, eight beats, of which six are
sung. `sung.json` has the words of each line as [start, stop] in seconds.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import groove
import numpy as np
import pyworld
from synth import SAMPLE_RATE, Array, write_mp3

LYRICS = (
    "round and round the melody goes on "
    "turn the page but never close the song "
    "stay a while the night is still too young "
    "every bar another line is sung "
)
WORDS_OF_A_LINE = (1.0, 1.0, 0.5, 0.5, 1.0, 2.0)  # beats of each
FRAME_MS = 5.0


def say(word: str) -> Array:
    """A word as espeak-ng says it, mono, without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        subprocess.run(["espeak-ng", "-v", "en-us+f2", "-s", "150", "-w", path, word], check=True)
        spoken = np.frombuffer(path.read_bytes()[44:], np.int16).astype(np.float64) / 32768.0
    loud = np.flatnonzero(np.abs(spoken) > 0.03 * np.abs(spoken).max())
    spoken = spoken[loud[0] : loud[-1]]
    return np.asarray(np.interp(np.arange(0, len(spoken), 22050 / SAMPLE_RATE), np.arange(len(spoken)), spoken))


def sing(word: str, hertz: float, seconds: float) -> Array:
    """A word on one note: vowels are held, consonants stay as short as they are."""
    spoken = say(word)
    pitch, times = pyworld.dio(spoken, SAMPLE_RATE, frame_period=FRAME_MS)
    pitch = pyworld.stonemask(spoken, pitch, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(spoken, pitch, times, SAMPLE_RATE)
    breath = pyworld.d4c(spoken, pitch, times, SAMPLE_RATE)
    count = round(1000 * seconds / FRAME_MS)
    pace = np.where(pitch > 0, 1.0, 0.15)
    held = np.cumsum(pace) / pace.sum()
    places = np.clip(np.searchsorted(held, (np.arange(count) + 0.5) / count), 0, len(pitch) - 1)
    ahead = np.arange(count) * FRAME_MS / 1000
    cents = 35.0 * np.clip((ahead - 0.2) / 0.3, 0.0, 1.0) * np.sin(2 * np.pi * 5.3 * ahead) - 50.0 * np.exp(
        -ahead / 0.04
    )
    notes = np.where(pitch[places] > 0, hertz * 2.0 ** (cents / 1200.0), 0.0)
    spectra = np.ascontiguousarray(envelope[places]), np.ascontiguousarray(breath[places])
    sung = pyworld.synthesize(np.ascontiguousarray(notes), *spectra, SAMPLE_RATE, FRAME_MS)
    edge = round(0.01 * SAMPLE_RATE)
    sung[:edge] *= np.linspace(0.0, 1.0, edge)
    sung[-edge:] *= np.linspace(1.0, 0.0, edge)
    return np.asarray(sung / np.sqrt(np.mean(sung**2)))


def compose() -> tuple[Array, list[list[tuple[float, float]]]]:
    """The song (frames, 2), and the words of each line: start and stop in seconds."""
    words, random = LYRICS.split(), np.random.default_rng(3)
    band = groove.compose()
    voice, lines, said = np.zeros(len(band)), [], 0
    for section in groove.SECTIONS:
        if section.name[0] not in "AB":
            continue
        for bar in range(0, len(section.bars), 2):
            beat, line = float((section.first_bar + bar) * groove.BEATS_PER_BAR), []
            for beats in WORDS_OF_A_LINE:
                chord = groove.chord_at(section.bars, bar + int(beat % 8 >= 4), beat % 4)
                note = random.choice([tone for tone in chord.notes if 55 <= tone <= 66])
                start, stop = groove.swung_seconds(beat), groove.swung_seconds(beat + beats)
                sound = sing(words[said % len(words)], 440.0 * 2.0 ** ((note - 69) / 12), stop - start)
                first = round(start * SAMPLE_RATE)
                voice[first : first + len(sound)] += sound[: len(voice) - first]
                line.append((round(start, 3), round(stop, 3)))
                beat, said = beat + beats, said + 1
            lines.append(line)
    late = round(0.09 * SAMPLE_RATE)
    voice[late:] += 0.15 * voice[:-late]
    mix = band + (0.9 * np.sqrt(np.mean(band**2)) * voice)[:, None]
    return (0.95 * mix / np.abs(mix).max()).astype(np.float32), lines


def main() -> None:
    folder = Path(__file__).parent
    sound, lines = compose()
    write_mp3(folder / "sung.mp3", sound, title="Sung")
    (folder / "sung.json").write_text(json.dumps(lines) + "\n", encoding="utf-8")
    print(f"{folder / 'sung.mp3'}: {len(sound) / SAMPLE_RATE:.1f} s")


if __name__ == "__main__":
    main()
