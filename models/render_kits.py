"""Render drums alone with sampled kits: what the separator learns of drums that no soundfont has.

    python models/render_kits.py STEMS/ --kits DRUMKITS/ --count 120

`DRUMKITS` holds kits of Hydrogen, each a folder with a `drumkit.xml` and samples, as Debian's hydrogen-drumkits has
them. The drums of `mma` grooves of training and of patterns that are made up become `STEMS/training/kits-NUMBER.npy`,
as `models/render_stems.py` has it, with silence for bass and the rest: the training mixes them with other pieces'
stems. What is there is not made again.
"""

import argparse
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from render_scores import DRUMS, Piece, Random, draw_accompaniments, draw_numbered, make_pattern
from render_stems import RATE, save

from musex.system.arrays import Array

LONGEST_SECONDS = 45.0
SHORTEST_SECONDS = 8.0
# Of General MIDI's drums, the names that kits give them: each sound takes the first class that has its note.
CLASSES: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r"kick|bass ?drum|thump|dununba.*head|djembe.* bass|drum 1", (35, 36)),
    (r"clap|snap", (39,)),
    (r"stick|rim|click|clave|woodblock", (37, 75, 76, 77)),
    (r"snare|slap|sangban.*head hit|drum 2", (38, 40)),
    (r"open|\bop\b|ohh|semi|swish", (46,)),
    (r"hat.*\bp(d|edal)|pedal hh|hh side", (44,)),
    (r"closed|\bcl\b|hat|\bhh\b", (42,)),
    (r"ride|cymbal 1|bell mute", (51, 53, 59)),
    (r"crash|china|splash|cymbal 2", (49, 52, 55, 57)),
    (r"tom.*(low|floor)|low tom|djembe.*tone", (41, 43)),
    (r"tom", (45, 47, 48, 50)),
    (r"conga|bongo|djembe|kenkeni.*head|head mute", (60, 61, 62, 63, 64, 65, 66, 78, 79)),
    (r"cowbell|agogo|bell|glass|whistle", (56, 67, 68, 71, 72, 80, 81)),
    (r"tamb|maraca|shak", (54, 69, 70, 73, 74, 82)),
)


@dataclass(frozen=True)
class Drum:
    """A drum of a kit: its class, and its samples by the velocity, 0 to 1, up to which they are played."""

    kind: int
    layers: tuple[tuple[float, Path], ...]


def read_kit(folder: Path) -> list[Drum]:
    """The drums of a kit whose names say what they are."""
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", (folder / "drumkit.xml").read_text(errors="replace"))
    drums = []
    for instrument in ElementTree.fromstring(text).iter("instrument"):
        name = (instrument.findtext("name") or "").lower()
        kind = next((number for number, (names, _) in enumerate(CLASSES) if re.search(names, name)), None)
        layers = [
            (float(layer.findtext("max") or 1.0), folder / (layer.findtext("filename") or "none"))
            for layer in instrument.iter("layer")
        ]
        alone = instrument.findtext("filename")
        layers = sorted(layers) or ([(1.0, folder / alone)] if alone else [])
        layers = [layer for layer in layers if layer[1].is_file()]
        if kind is not None and layers:
            drums.append(Drum(kind, tuple(layers)))
    return drums


@cache
def read_sample(path: Path) -> Array:
    """A sample, float32 (frames, 2), at the rate of stems; its loudest is 1."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = sound[: 4 * rate, :2] if sound.shape[1] > 1 else np.repeat(sound[: 4 * rate], 2, axis=1)
    sound = sound if rate == RATE else soxr.resample(sound, rate, RATE)
    return np.asarray(sound / max(float(np.abs(sound).max(initial=0.0)), 1e-6), np.float32)


class Voice:
    """How one drum of a piece sounds: its samples at another pitch, shorter, coarser, at a place in the room."""

    def __init__(self, random: Random, drum: Drum, *, shortened: float, coarse: bool) -> None:
        self.drum = drum
        self.pace = 2.0 ** (random.normal(0.0, 2.5) / 12.0) if random.random() < 0.6 else 1.0
        self.shortened = shortened * float(random.uniform(0.7, 1.5))
        self.hold = int(random.integers(2, 5)) if coarse and random.random() < 0.7 else 1
        side = float(random.uniform(-0.7, 0.7)) * (random.random() < 0.6)
        self.room = np.array([1.0 - side, 1.0 + side], np.float32) / np.float32(1.0 + abs(side))
        self.mono = random.random() < 0.4
        self.level = 10 ** (random.normal(0.0, 3.0) / 20.0)
        self.made: dict[Path, Array] = {}

    def play(self, strength: float) -> Array:
        """A stroke of a strength from 0 to 1, float32 (frames, 2)."""
        path = next((path for most, path in self.drum.layers if strength <= most), self.drum.layers[-1][1])
        if path not in self.made:
            sound = read_sample(path)
            if self.mono:
                sound = np.repeat(sound.mean(axis=1, keepdims=True), 2, axis=1)
            if self.pace != 1.0:
                sound = soxr.resample(sound, self.pace, 1.0)
            if self.hold > 1:  # as samples of few bits and a low rate sound that nothing smooths
                sound = np.repeat(np.rint(sound[:: self.hold] * 127.0) / 127.0, self.hold, axis=0)
            size = min(len(sound), round(self.shortened * RATE))
            fade = np.minimum(1.0, np.arange(size, 0, -1) / (0.01 * RATE))[:, None]
            self.made[path] = (sound[:size] * fade * self.room * self.level).astype(np.float32)
        return self.made[path] * np.float32(strength**1.5)


def play_drums(random: Random, piece: Piece, kits: list[list[Drum]]) -> Array:
    """The drums of a piece with one kit, here and there with another's drum, float32 (frames, 2)."""
    strokes = [
        (tick, message.note, message.velocity / 127.0)
        for tick, message in piece.events
        if message.type == "note_on" and message.channel == DRUMS and message.velocity
    ]
    seconds = piece.seconds(np.array([tick for tick, _, _ in strokes], float))
    sound = np.zeros((round(LONGEST_SECONDS * RATE), 2), np.float32)
    kit = kits[int(random.integers(len(kits)))]
    shortened = float(random.uniform(0.08, 0.4)) if random.random() < 0.35 else 4.0
    coarse = random.random() < 0.3
    voices: dict[int, Voice] = {}
    end = 0
    for start, (_, note, strength) in zip(seconds, strokes, strict=True):
        if note not in voices:
            kind = next((number for number, (_, notes) in enumerate(CLASSES) if note in notes), 0)
            all_drums = [drum for other in kits for drum in other if drum.kind == kind]
            own = [drum for drum in kit if drum.kind == kind]
            drums = (own if random.random() < 0.75 else all_drums) or all_drums
            voices[note] = Voice(random, drums[int(random.integers(len(drums)))], shortened=shortened, coarse=coarse)
        stroke, first = voices[note].play(strength), round(float(start) * RATE)
        stroke = stroke[: max(0, len(sound) - first)]
        sound[first : first + len(stroke)] += stroke
        end = max(end, first + len(stroke))
    return sound[:end]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stems", type=Path, help="folder to write to")
    parser.add_argument("--kits", type=Path, required=True)
    parser.add_argument("--count", type=int, default=120)
    arguments = parser.parse_args()
    kits = [read_kit(path.parent) for path in sorted(arguments.kits.glob("*/drumkit.xml"))]
    kits = [kit for kit in kits if kit]
    half = range(arguments.count // 2)
    scores = [
        *draw_accompaniments(arguments.stems / "none", half, seed=16, suffix=".npy"),
        *draw_numbered(arguments.stems / "none", "patterns", make_pattern, half, seed=17, suffix=".npy"),
    ]
    for random, piece, path in scores:
        target = arguments.stems / "training" / f"kits-{path.name}"
        if path.parent.name != "training" or target.exists():
            continue
        drums = play_drums(random, piece, kits)
        if len(drums) > SHORTEST_SECONDS * RATE:
            save(target, np.stack([drums, np.zeros_like(drums), np.zeros_like(drums)]))


if __name__ == "__main__":
    main()
