"""Compose scores at random, in many metres, to learn beats from: every beat and bar is known exactly.

Drums, bass, chords, arpeggios and a lead over a random progression of chords, section by section; and, as music
without a pulse, held chords and scattered notes at irregular times.
"""

from dataclasses import dataclass, field
from io import BytesIO

import mido
import numpy as np

TICKS = 480  # of a MIDI file, per quarter note
DRUM_CHANNEL = 9
METRES = {4: 0.42, 3: 0.24, 5: 0.09, 7: 0.06, 6: 0.06, 2: 0.13}  # beats in a bar: how often
PROGRAMS = {
    "bass": (32, 33, 34, 35, 36, 37, 38, 39, 43, 58, 0),
    "chords": (0, 1, 4, 5, 6, 7, 16, 17, 19, 24, 25, 26, 27, 29, 48, 50, 61, 62, 81, 90),
    "arpeggio": (0, 2, 4, 6, 8, 9, 10, 11, 12, 13, 24, 25, 45, 46, 80, 81, 84, 104, 108),
    "lead": (0, 11, 22, 24, 40, 41, 56, 57, 60, 64, 65, 66, 68, 71, 73, 75, 79, 80, 81, 82, 84, 87),
    "pad": (48, 49, 50, 51, 52, 53, 54, 88, 89, 90, 91, 92, 94, 95),
}
MODES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 5, 7, 9, 10))
KICKS, SNARES, TICKERS = (35, 36, 41), (38, 40, 39, 37), (42, 44, 51, 53, 54, 70, 69, 46)


@dataclass(frozen=True)
class Score:
    """A MIDI file, and its beats: seconds and position in the bar, from 1; beyond `seconds` nothing is rendered."""

    name: str
    group: str  # what is split between training and the rest as one
    midi: bytes
    beats: np.ndarray
    positions: np.ndarray
    seconds: float


@dataclass
class Part:
    """One channel's notes: beat, length in beats, key and velocity."""

    channel: int
    program: int
    notes: list[tuple[float, float, int, int]] = field(default_factory=list)

    def add(self, beat: float, length: float, key: int, velocity: float) -> None:
        self.notes.append((beat, length, int(np.clip(key, 12, 110)), int(np.clip(velocity, 1, 127))))


def to_midi(parts: list[Part], beat_seconds: np.ndarray, random: np.random.Generator) -> bytes:
    """The parts as a MIDI file, each beat (a quarter note) as long as told; a channel's volume is drawn at random."""
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    tempo = mido.MidiTrack(
        mido.MetaMessage("set_tempo", tempo=round(1e6 * seconds), time=TICKS if number else 0)
        for number, seconds in enumerate(beat_seconds)
    )
    file.tracks.append(tempo)
    for part in parts:
        events = [
            (0, mido.Message("program_change", channel=part.channel, program=part.program)),
            (0, mido.Message("control_change", channel=part.channel, control=7, value=int(random.integers(60, 127)))),
        ]
        for beat, length, key, velocity in part.notes:
            start, stop = round(beat * TICKS), round((beat + length) * TICKS)
            events.append((max(0, start), mido.Message("note_on", channel=part.channel, note=key, velocity=velocity)))
            events.append((max(1, stop), mido.Message("note_off", channel=part.channel, note=key)))
        events.sort(key=lambda event: (event[0], event[1].type == "note_on"))
        track, before = mido.MidiTrack(), 0
        for tick, message in events:
            track.append(message.copy(time=tick - before))
            before = tick
        file.tracks.append(track)
    stream = BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def spans_of(slots: list[int], end: int) -> list[tuple[int, int]]:
    """Where each slot that sounds starts, and where the next one does."""
    return list(zip(slots, [*slots[1:], end], strict=True)) if slots else []


def draw_rhythm(weights: np.ndarray, random: np.random.Generator) -> list[int]:
    """Slots of a bar that sound, each by its own chance."""
    return np.flatnonzero(random.random(len(weights)) < weights).tolist()


class Section:
    """A few bars that share their patterns, in one metre."""

    def __init__(self, beats: int, division: int, song: "Composer") -> None:
        random = song.random
        self.beats, self.division, self.slots, self.song = beats, division, beats * division, song
        self.heard = {name for name, chance in song.chances.items() if random.random() < chance}
        if not self.heard & {"drums", "bass", "chords", "arpeggio"}:
            self.heard |= {str(random.choice(["drums", "bass", "chords", "arpeggio"]))}
        on_beat = np.arange(self.slots) % division == 0
        half = np.arange(self.slots) % max(1, division // 2) == 0 if division == 4 else on_beat
        strength = np.where(on_beat, 0.5, np.where(half, 0.3, 0.1))
        strength[0] = 0.92
        self.bass = draw_rhythm(strength, random)
        self.chord_hits = [0] if random.random() < 0.4 else draw_rhythm(strength * random.uniform(0.5, 1.2), random)
        self.lead = [draw_rhythm(strength * random.uniform(0.4, 1.3), random) for _ in range(2)]
        self.lead_steps = random.integers(-3, 4, (2, self.slots))
        self.arpeggio_step = int(random.choice([1, 1, 2] if division == 4 else [1]))
        self.arpeggio = random.permutation(4) if random.random() < 0.5 else np.arange(4)
        self._draw_drums(on_beat, half)

    def _draw_drums(self, on_beat: np.ndarray, half: np.ndarray) -> None:
        random, division = self.song.random, self.division
        style = random.choice(["floor", "back", "loose"], p=[0.25, 0.5, 0.25])
        kick, snare = np.where(on_beat, 0.1, 0.06), np.where(on_beat, 0.05, 0.03)
        beat = np.arange(self.slots) // division
        kick[0] = 0.95
        if style == "floor":
            kick[on_beat] = 0.97
        elif self.beats >= 4:
            middle = self.beats // 2 if self.beats != 5 else int(random.choice([2, 3]))
            kick[on_beat & (beat == middle)] = 0.7
        back = on_beat & (beat % 2 == 1) if self.beats % 2 == 0 else on_beat & (beat > 0)
        snare[back] = 0.9 if style != "loose" and self.beats % 2 == 0 else 0.55
        if self.beats == 4 and random.random() < 0.12:  # half time
            snare[on_beat], snare[2 * division] = 0.05, 0.95
        ticker = [np.ones(self.slots), half, on_beat, half & ~on_beat][int(random.choice(4, p=[0.25, 0.45, 0.2, 0.1]))]
        self.kick, self.snare = draw_rhythm(kick, random), draw_rhythm(snare, random)
        self.ticker = draw_rhythm(np.asarray(ticker, np.float64) * random.uniform(0.8, 1.0), random)
        self.drum_keys = tuple(int(random.choice(keys)) for keys in (KICKS, SNARES, TICKERS))
        self.ticker_accent = float(random.uniform(0.0, 30.0))
        self.fills = bool(random.random() < 0.5)

    def play(self, start: float, bar: int, bars: int, chord: list[int], following: list[int]) -> None:
        """Write one bar, from beat `start`, into the song's parts; `following` is the chord of its second half."""
        song, unit, random = self.song, 1 / self.division, self.song.random

        def chord_at(slot: int) -> list[int]:
            return chord if 2 * slot < self.slots else following

        def swing(slot: int) -> float:
            late = song.swing if self.division == 4 and slot % 4 == 2 else 0.0
            return start + slot * unit + late + float(random.normal(0.0, song.looseness))

        if "drums" in self.heard:
            fill = self.fills and bar == bars - 1
            drums = song.parts["drums"]
            for key, slots, loud in zip(
                self.drum_keys, (self.kick, self.snare, self.ticker), (105, 100, 75), strict=True
            ):
                for slot in slots:
                    if not (fill and 4 * slot >= 3 * self.slots):
                        accent = self.ticker_accent if key == self.drum_keys[2] and slot % self.division == 0 else 0
                        drums.add(swing(slot), 0.2, key, loud + accent + random.normal(0, 8))
            if fill:
                for slot in range(3 * self.slots // 4, self.slots):
                    if random.random() < 0.75:
                        drums.add(swing(slot), 0.2, int(random.choice([38, 45, 47, 48, 50])), random.normal(95, 10))
            if bar == 0 and song.crashes and random.random() < 0.7:
                drums.add(start, 1.0, int(random.choice([49, 57])), 105)
        if "bass" in self.heard:
            for slot, after in spans_of(self.bass, self.slots):
                root = chord_at(slot)[0] % 12 + 36
                key = root + int(random.choice([0, 0, 0, 7, 12])) if slot else root
                song.parts["bass"].add(swing(slot), (after - slot) * unit * 0.9, key, random.normal(95, 8))
        if "chords" in self.heard:
            hits = sorted({*self.chord_hits, self.slots // 2} if chord is not following else {*self.chord_hits})
            for slot, after in spans_of(hits, self.slots):
                for key in chord_at(slot):
                    song.parts["chords"].add(swing(slot), (after - slot) * unit * song.held, key, random.normal(75, 8))
        if "pad" in self.heard:
            for key in chord:
                song.parts["pad"].add(start - 0.05, self.beats * 1.0, key, 65)
        if "arpeggio" in self.heard:
            for number, slot in enumerate(range(0, self.slots, self.arpeggio_step)):
                pick = int(self.arpeggio[number % 4])
                notes = chord_at(slot)
                key = notes[pick % len(notes)] + 12 * (pick // len(notes)) + 12
                song.parts["arpeggio"].add(swing(slot), unit * self.arpeggio_step, key, random.normal(78, 10))
        if "lead" in self.heard:
            which = bar % 2
            hits = self.lead[which]
            for slot, after in spans_of(hits, self.slots):
                song.degree = int(np.clip(song.degree + self.lead_steps[which, slot], -4, 12))
                octave, step = divmod(song.degree, 7)
                key = song.tonic + 12 + 12 * octave + song.mode[step]
                song.parts["lead"].add(swing(slot), (after - slot) * unit * 0.95, key, random.normal(90, 10))


class Composer:
    """One random song: its key, tempo, metre, instruments and habits."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.tonic, self.mode = int(random.integers(53, 65)), MODES[int(random.integers(len(MODES)))]
        self.degree = 0
        self.chances = {"drums": 0.75, "bass": 0.75, "chords": 0.6, "arpeggio": 0.4, "lead": 0.5, "pad": 0.3}
        for name in self.chances:  # some songs never have a part, some always
            self.chances[name] = float(random.choice([0.0, self.chances[name], 1.0], p=[0.25, 0.5, 0.25]))
        self.swing = float(random.choice([0.0, 1 / 6, 0.1], p=[0.75, 0.18, 0.07]))
        self.looseness = float(random.choice([0.0, 0.012, 0.025], p=[0.6, 0.25, 0.15]))
        self.held, self.crashes = float(random.choice([0.3, 0.95])), bool(random.random() < 0.6)
        self.parts = {
            name: Part(number, int(random.choice(programs))) for number, (name, programs) in enumerate(PROGRAMS.items())
        }
        self.parts["drums"] = Part(DRUM_CHANNEL, int(random.choice([0, 8, 16, 24, 25, 32, 40])))

    def chord(self, degree: int) -> list[int]:
        """A triad of the key, near the middle of the keyboard."""
        keys = [self.tonic + self.mode[(degree + third) % 7] + 12 * ((degree + third) // 7) for third in (0, 2, 4)]
        return [key - 12 if key > 72 else key for key in keys]

    def draw_tempo(self, count: int) -> np.ndarray:
        """Seconds of each of `count` beats: steady, wandering, or slowing down at times."""
        random = self.random
        bpm = float(np.exp(random.uniform(np.log(58.0), np.log(195.0))))
        kind = random.choice(["steady", "wandering", "breathing"], p=[0.6, 0.25, 0.15])
        drift = np.zeros(count)
        if kind == "wandering":
            drift = np.cumsum(random.normal(0.0, 0.006, count))
        elif kind == "breathing":
            drift = 0.08 * np.sin(2 * np.pi * np.arange(count) / random.uniform(12, 40) + random.uniform(0, 6))
        return np.asarray(60.0 / bpm * np.exp(drift - drift.mean()))

    def compose(self, name: str, seconds: float) -> Score:
        """Write sections until the song is `seconds` long."""
        random = self.random
        beat_seconds = self.draw_tempo(1000)
        metre = int(random.choice(list(METRES), p=list(METRES.values())))
        division = int(random.choice([4, 3, 2], p=[0.65, 0.25, 0.1])) if metre != 2 else int(random.choice([3, 4]))
        times = np.concatenate([[0.0], np.cumsum(beat_seconds)])
        beat, positions = 0, []
        kept: list[Section] = []
        while times[min(beat, 999)] < seconds:
            if kept and random.random() < 0.35:
                section = kept[int(random.integers(len(kept)))]
            else:
                section = Section(metre, division, self)
                kept.append(section)
            bars = int(random.choice([2, 4, 4, 8]))
            loop = [int(degree) for degree in random.choice([0, 0, 3, 4, 5, 1, 2, 6], int(random.choice([1, 2, 4, 4])))]
            halves = random.random() < 0.2
            slow = 2 if random.random() < 0.15 else 1
            for bar in range(bars):
                place = bar // slow
                chord = self.chord(loop[place % len(loop)])
                following = self.chord(loop[(place + 1) % len(loop)]) if halves else chord
                section.play(beat, bar, bars, chord, following)
                positions += range(1, metre + 1)
                beat += metre
            if beat > 980:
                break
        parts = [part for part in self.parts.values() if part.notes]
        beats = times[: len(positions)]
        midi = to_midi(parts, beat_seconds[: beat + 4], random)
        return Score(name, name, midi, beats, np.array(positions, np.int8), min(seconds, float(times[beat])))


def compose_pulseless(name: str, random: np.random.Generator, seconds: float) -> Score:
    """Held chords and scattered notes at irregular times: no beat is there to be found."""
    song = Composer(random)
    parts = [song.parts["pad"]]
    time = 0.0
    while time < seconds:  # a beat is one second here
        length = float(random.uniform(1.2, 9.0))
        for key in song.chord(int(random.integers(7))):
            entry = time + float(random.exponential(0.15))
            song.parts["pad"].add(entry, length * random.uniform(0.9, 1.2), key, random.normal(75, 12))
        time += length
    if random.random() < 0.5:
        scattered = song.parts[str(random.choice(["arpeggio", "lead", "chords"]))]
        gap, time = float(random.uniform(0.4, 3.0)), 0.0
        while time < seconds:
            time += float(random.exponential(gap)) + 0.05
            song.degree = int(np.clip(song.degree + random.integers(-3, 4), -4, 12))
            octave, step = divmod(song.degree, 7)
            key = song.tonic + 12 * octave + song.mode[step]
            scattered.add(time, float(random.uniform(0.3, 3.0)), key, random.normal(75, 15))
        parts = [scattered] if random.random() < 0.3 else [*parts, scattered]
    midi = to_midi(parts, np.ones(int(seconds) + 12), random)
    return Score(name, name, midi, np.zeros(0), np.zeros(0, np.int8), seconds)
