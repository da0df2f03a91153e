"""Groove: a mid-tempo band piece at 112 beats a minute, form intro, A, B, A', B, outro.

Beats count from the start of the song; a section is a run of whole bars of four beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import synth
from synth import Array, Bus

BEATS_PER_MINUTE = 112.0
BEATS_PER_BAR = 4
SWING = 0.58
RING_SECONDS = 5.0
LEAD_IN_SECONDS = 0.05


@dataclass(frozen=True)
class Chord:
    """A bass root and the notes of the hand above it, as MIDI numbers."""

    root: int
    notes: tuple[int, ...]


@dataclass(frozen=True)
class Section:
    """A run of bars with one chord list per bar and a letter that decides who plays what."""

    name: str
    first_bar: int
    bars: tuple[tuple[Chord, ...], ...]


@dataclass(frozen=True)
class MelodyNote:
    """A melody note: beat inside its phrase, length in beats, MIDI pitch."""

    beat: float
    beats: float
    pitch: int


D_MINOR_9 = Chord(38, (53, 57, 60, 64))
G_13 = Chord(31, (53, 57, 59, 64))
C_MAJOR_9 = Chord(36, (52, 55, 59, 62))
A_MINOR_9 = Chord(33, (55, 59, 60, 64))
E_MINOR_7 = Chord(28, (55, 59, 62, 64))
A_7_ALTERED = Chord(33, (55, 58, 61, 65))
F_MAJOR_9 = Chord(29, (57, 60, 64, 67))
G_13_SUSPENDED = Chord(31, (53, 57, 60, 64))
C_SIX_NINE = Chord(36, (52, 57, 62, 67, 71))

VERSE = (
    (D_MINOR_9,),
    (G_13,),
    (C_MAJOR_9,),
    (A_MINOR_9,),
    (D_MINOR_9,),
    (G_13,),
    (E_MINOR_7,),
    (A_7_ALTERED,),
)
CHORUS = (
    (F_MAJOR_9,),
    (E_MINOR_7,),
    (D_MINOR_9,),
    (C_MAJOR_9,),
    (F_MAJOR_9,),
    (E_MINOR_7, A_7_ALTERED),
    (D_MINOR_9,),
    (G_13_SUSPENDED,),
)
SECTIONS = (
    Section("intro", 0, VERSE[4:]),
    Section("A", 4, VERSE),
    Section("B", 12, CHORUS),
    Section("A'", 20, VERSE),
    Section("B'", 28, CHORUS[4:]),
    Section("outro", 32, ((D_MINOR_9,), (G_13,))),
)
FINAL_BAR = 34

# One row a bar: (beat in the bar, length in beats, pitch).
CHORUS_MELODY = (
    ((0.5, 0.5, 69), (1.0, 0.5, 72), (1.5, 1.5, 76), (3.0, 0.5, 74), (3.5, 0.5, 72)),
    ((0.0, 1.5, 71), (1.5, 0.5, 67), (2.0, 0.5, 71), (2.5, 1.5, 74)),
    ((0.5, 0.5, 77), (1.0, 0.5, 76), (1.5, 0.5, 74), (2.0, 1.0, 72), (3.0, 1.0, 69)),
    ((0.0, 2.5, 67), (3.0, 0.5, 64), (3.5, 0.5, 67)),
    ((0.0, 0.5, 69), (0.5, 0.5, 72), (1.0, 0.5, 76), (1.5, 1.5, 79), (3.0, 0.5, 76), (3.5, 0.5, 72)),
    ((0.0, 1.5, 74), (1.5, 0.5, 71), (2.0, 1.0, 73), (3.0, 0.5, 76), (3.5, 0.5, 79)),
    ((0.0, 2.0, 77), (2.0, 0.5, 76), (2.5, 0.5, 74), (3.0, 0.5, 72), (3.5, 0.5, 69)),
    ((0.0, 3.0, 74),),
)
# Comping figures: (beat in the bar, length in beats, velocity).
COMP_PLAIN = ((0.0, 1.4, 0.75), (1.5, 0.4, 0.5), (2.5, 1.3, 0.65))
COMP_BUSY = ((0.0, 0.7, 0.75), (0.75, 0.6, 0.5), (1.5, 0.9, 0.65), (2.75, 0.3, 0.45), (3.25, 0.7, 0.6))
COMP_LONG = ((0.0, 2.3, 0.7), (2.5, 1.4, 0.6))
HAT_ACCENTS = (0.9, 0.35, 0.65, 0.4)


def swung_seconds(beat: float) -> float:
    """Time of a beat; the off sixteenths (odd quarters of a beat) come late by the swing."""
    sixteenth = beat * 4.0
    pair, inside = divmod(sixteenth, 2.0)
    swung = inside * 2.0 * SWING if inside <= 1.0 else 2.0 * SWING + (inside - 1.0) * 2.0 * (1.0 - SWING)
    return LEAD_IN_SECONDS + (pair * 2.0 + swung) / 4.0 * 60.0 / BEATS_PER_MINUTE


def beats_to_seconds(beats: float) -> float:
    """Length in seconds of a number of beats."""
    return beats * 60.0 / BEATS_PER_MINUTE


def song_seconds() -> float:
    """Length of the song with the ring of its last chord."""
    return swung_seconds(FINAL_BAR * BEATS_PER_BAR) + RING_SECONDS


def chord_at(bars: tuple[tuple[Chord, ...], ...], bar: int, beat: float) -> Chord:
    """The chord that sounds at a beat of a bar; a bar with two chords changes in its middle."""
    chords = bars[bar % len(bars)]
    return chords[min(len(chords) - 1, int(beat * len(chords) / BEATS_PER_BAR))]


def human(value: float, spread: float, rng: np.random.Generator) -> float:
    """`value` with a small uniform error, as a player would give it."""
    return float(value + rng.uniform(-spread, spread))


def kick_beats(section: str, bar: int) -> tuple[float, ...]:
    """Beats of the bass drum in one bar."""
    if section == "intro":
        return (0.0,) if bar >= 2 else ()
    if section.startswith("B"):
        return (0.0, 1.0, 2.0, 2.75, 3.0) if bar % 4 == 3 else (0.0, 1.0, 2.0, 3.0)
    return (0.0, 0.75, 2.5) if bar % 2 else (0.0, 1.5, 2.5)


def kick_times() -> list[tuple[float, float]]:
    """Time and velocity of every kick of the song."""
    hits = []
    for section in SECTIONS:
        for bar in range(len(section.bars)):
            for beat in kick_beats(section.name, bar):
                velocity = 0.95 if beat == 0.0 else 0.8
                hits.append((swung_seconds((section.first_bar + bar) * BEATS_PER_BAR + beat), velocity))
    hits.append((swung_seconds(FINAL_BAR * BEATS_PER_BAR), 1.0))
    return hits


def play_drums(rng: np.random.Generator) -> tuple[Bus, Bus]:
    """All drums; the second bus holds the part that goes to the room (snare, claps, crashes)."""
    dry, roomy = Bus(song_seconds()), Bus(song_seconds())
    for at, velocity in kick_times():
        dry.add(synth.kick(human(velocity, 0.04, rng)), at, gain=0.85)
    for section in SECTIONS:
        for bar in range(len(section.bars)):
            first_beat = (section.first_bar + bar) * BEATS_PER_BAR
            last = bar == len(section.bars) - 1
            play_hats(dry, section.name, first_beat, rng)
            if section.name != "intro":
                play_backbeat(roomy, section.name, first_beat, rng)
            if last and section.name != "outro":
                play_fill(roomy, first_beat, section.name, rng)
        if section.name in ("A", "B", "A'", "B'"):
            crash = synth.cymbal(0.8, 2.2, rng, lowest_hz=4200.0)
            roomy.add(crash, swung_seconds(section.first_bar * BEATS_PER_BAR), gain=0.5, pan=-0.35)
    final = swung_seconds(FINAL_BAR * BEATS_PER_BAR)
    roomy.add(synth.cymbal(0.9, 3.5, rng, lowest_hz=3800.0), final, gain=0.55, pan=0.3)
    return dry, roomy


def play_hats(bus: Bus, section: str, first_beat: int, rng: np.random.Generator) -> None:
    """Swung sixteenths on the hi-hat, with an open one before the bar line in the B parts."""
    for step in range(16):
        beat = step / 4.0
        if section == "intro" and step % 2:
            continue
        is_open = (step == 14 and section.startswith("B")) or (step == 10 and section == "A'")
        velocity = human(HAT_ACCENTS[step % 4], 0.1, rng) * (0.7 if section == "intro" else 1.0)
        hat = synth.cymbal(velocity, 0.32 if is_open else 0.07 + 0.03 * velocity, rng)
        bus.add(hat, human(swung_seconds(first_beat + beat), 0.003, rng) + 0.003, gain=0.30, pan=0.32)
    if section.startswith("B"):
        for step in range(8):
            shaker = synth.cymbal(human(0.5 + 0.25 * (step % 2), 0.08, rng), 0.11, rng, lowest_hz=4500.0)
            bus.add(shaker, swung_seconds(first_beat + step / 2.0), gain=0.17, pan=-0.55)


def play_backbeat(bus: Bus, section: str, first_beat: int, rng: np.random.Generator) -> None:
    """Snare on two and four with ghost strokes; claps join in the B parts."""
    for beat in (1.0, 3.0):
        bus.add(synth.snare(human(0.85, 0.06, rng), rng), swung_seconds(first_beat + beat), gain=0.62, pan=-0.06)
        if section.startswith("B"):
            bus.add(synth.clap(human(0.8, 0.08, rng), rng), swung_seconds(first_beat + beat) + 0.006, gain=0.6, pan=0.2)
    for beat in (1.75, 2.25) if section == "A" else (0.75, 2.25, 3.75):
        bus.add(synth.snare(human(0.2, 0.06, rng), rng), swung_seconds(first_beat + beat), gain=0.5, pan=-0.06)


def play_fill(bus: Bus, first_beat: int, section: str, rng: np.random.Generator) -> None:
    """A run on the snare that leads to the next section, longer before the B parts."""
    steps = (2.5, 2.75, 3.0, 3.25, 3.5, 3.75) if section.startswith("A") else (3.25, 3.5, 3.75)
    for index, beat in enumerate(steps):
        velocity = human(0.35 + 0.45 * index / len(steps), 0.05, rng)
        bus.add(synth.snare(velocity, rng), swung_seconds(first_beat + beat), gain=0.55, pan=-0.25 + 0.1 * index)


def bass_bar(chord: Chord, following: Chord, *, busy: bool) -> list[tuple[float, float, int, float]]:
    """One bar of bass: (beat, length in beats, pitch, velocity), ending a half step below the next root."""
    root, fifth, octave = chord.root, chord.root + 7, chord.root + 12
    line = [(0.0, 1.1, root, 0.9), (1.5, 0.45, root, 0.65), (2.5, 0.45, fifth, 0.75), (3.0, 0.4, octave, 0.7)]
    if busy:
        line += [(0.75, 0.25, octave, 0.5), (2.0, 0.3, root, 0.6)]
        line[0] = (0.0, 0.7, root, 0.9)
    return [*line, (3.5, 0.45, following.root - 1, 0.7)]


def play_bass(rng: np.random.Generator) -> Bus:
    """The bass line: silent for two bars, then present to the final root."""
    bus = Bus(song_seconds())
    bars = [(section.name, bar, chords) for section in SECTIONS for bar, chords in enumerate(section.bars)]
    for index, (name, bar, chords) in enumerate(bars):
        if name == "intro" and bar < 2:
            continue
        following = bars[index + 1][2][0] if index + 1 < len(bars) else C_SIX_NINE
        busy = name.startswith("B") or (name == "A'" and bar % 2 == 1)
        for beat, beats, pitch, velocity in bass_bar(chords[0], following, busy=busy):
            if len(chords) > 1 and 2.0 <= beat < 3.5:
                pitch += chords[1].root - chords[0].root
            sound = synth.bass_guitar(pitch, beats_to_seconds(beats), human(velocity, 0.06, rng))
            bus.add(sound, swung_seconds(index * BEATS_PER_BAR + beat) + 0.002)
    bus.add(synth.bass_guitar(C_SIX_NINE.root, 4.2, 0.9), swung_seconds(FINAL_BAR * BEATS_PER_BAR))
    return bus


def comp_figure(section: str, bar: int) -> tuple[tuple[float, float, float], ...]:
    """The rhythm of the electric piano in one bar."""
    if section in ("intro", "outro"):
        return COMP_LONG
    if section == "A'":
        return COMP_BUSY if bar % 2 == 0 else COMP_PLAIN
    return COMP_PLAIN if bar % 4 != 3 else COMP_BUSY


def play_keys(rng: np.random.Generator) -> Bus:
    """Electric-piano chords, low notes a little left and high notes a little right; the last one is rolled."""
    bus = Bus(song_seconds())
    for section in SECTIONS:
        for bar in range(len(section.bars)):
            first_beat = (section.first_bar + bar) * BEATS_PER_BAR
            for beat, beats, velocity in comp_figure(section.name, bar):
                for note in chord_at(section.bars, bar, beat).notes:
                    sound = synth.electric_piano(note, beats_to_seconds(beats) + 0.1, human(velocity, 0.07, rng))
                    at = human(swung_seconds(first_beat + beat), 0.004, rng) + 0.004
                    bus.add(sound, at, gain=0.2, pan=(note - 60) / 15.0)
    for index, note in enumerate(C_SIX_NINE.notes):
        at = swung_seconds(FINAL_BAR * BEATS_PER_BAR) + 0.035 * index
        bus.add(synth.electric_piano(note, 4.6, 0.8), at, gain=0.24, pan=(note - 60) / 15.0)
    return bus


def melody_notes() -> list[MelodyNote]:
    """The lead line of both B parts, in beats of the song."""
    notes = []
    for section, phrase in ((SECTIONS[2], CHORUS_MELODY), (SECTIONS[4], CHORUS_MELODY[4:])):
        for bar, row in enumerate(phrase):
            start = (section.first_bar + bar) * BEATS_PER_BAR
            notes += [MelodyNote(start + beat, beats, pitch) for beat, beats, pitch in row]
    return notes


def play_lead(rng: np.random.Generator) -> Bus:
    """The melody; in the second B an octave above joins softly."""
    bus = Bus(song_seconds())
    for note in melody_notes():
        at = human(swung_seconds(note.beat), 0.004, rng) + 0.006
        seconds = beats_to_seconds(note.beats) + 0.03
        velocity = human(0.72 + 0.012 * (note.pitch - 70), 0.05, rng)
        bus.add(synth.soft_lead(note.pitch, seconds, velocity), at, gain=0.36, pan=0.05)
        if note.beat >= SECTIONS[4].first_bar * BEATS_PER_BAR:
            bus.add(synth.soft_lead(note.pitch + 12, seconds, 0.55 * velocity), at + 0.008, gain=0.22, pan=-0.35)
    return bus


def play_guitar(rng: np.random.Generator) -> Bus:
    """Plucked arpeggios that answer the piano in A', and long plucks in the intro and outro."""
    bus = Bus(song_seconds())
    figures = {
        "intro": (0.0, 1.5, 3.0),
        "A'": (0.5, 1.0, 1.75, 2.25, 3.0, 3.5),
        "outro": (0.5, 1.5, 2.5, 3.5),
    }
    for section in SECTIONS:
        for bar in range(len(section.bars)):
            for index, beat in enumerate(figures.get(section.name, ())):
                notes = chord_at(section.bars, bar, beat).notes
                pitch = notes[(index * 3 + bar) % len(notes)] + 12
                sound = synth.pluck(pitch, 1.3, human(0.65, 0.12, rng), rng, ring=2.2)
                at = swung_seconds((section.first_bar + bar) * BEATS_PER_BAR + beat)
                bus.add(sound, at, gain=0.38, pan=-0.65 if index % 2 else 0.55)
    final = swung_seconds(FINAL_BAR * BEATS_PER_BAR)
    for index, pitch in enumerate((64, 67, 74, 79)):
        bus.add(synth.pluck(pitch, 4.0, 0.6, rng, ring=5.0), final + 0.09 * index, gain=0.25, pan=-0.5 + 0.3 * index)
    return bus


def play_pad(rng: np.random.Generator) -> Bus:
    """Soft strings behind the B parts: one long tone per chord note and side."""
    bus = Bus(song_seconds())
    for section in (SECTIONS[2], SECTIONS[4]):
        for bar, chords in enumerate(section.bars):
            for index, chord in enumerate(chords):
                beats = BEATS_PER_BAR / len(chords)
                at = swung_seconds((section.first_bar + bar) * BEATS_PER_BAR + index * beats)
                for note in chord.notes:
                    for pan, cents in ((-0.8, -5.0), (0.8, 5.0)):
                        sound = synth.violin(note + 12 + cents / 100.0, beats_to_seconds(beats) + 0.15, 0.6, rng)
                        bus.add(sound, at, gain=0.045, pan=pan)
    return bus


def compose(seed: int = 112) -> Array:
    """Play and mix the whole song, shape (samples, 2)."""
    rng = np.random.default_rng(seed)
    drums, room_drums = play_drums(rng)
    hits = [at for at, _ in kick_times()]
    keys = synth.duck(
        synth.chorus(play_keys(rng).sound, rate=0.8, depth_seconds=0.0016), hits, depth=0.3, recovery=0.11
    )
    bass = synth.duck(play_bass(rng).sound, hits, depth=0.35, recovery=0.07)
    pad = synth.duck(play_pad(rng).sound, hits, depth=0.4, recovery=0.14)
    lead, guitar = play_lead(rng).sound, play_guitar(rng).sound
    echoes = synth.ping_pong(lead + 0.6 * guitar, beats_to_seconds(0.75), feedback=0.42)
    send = 0.16 * keys + 0.14 * room_drums.sound + 0.22 * lead + 0.25 * guitar + 0.3 * pad + 0.12 * echoes
    wet = synth.reverb(send, 1.5, rng, pre_delay=0.018, damping_hz=3500.0)
    mix = (
        0.95 * drums.sound
        + 1.25 * room_drums.sound
        + 0.42 * bass
        + 0.85 * keys
        + pad
        + lead
        + guitar
        + 0.35 * echoes
        + wet
    )
    return synth.master(mix, rms_level=-17.0, peak_level=-1.6, fade_seconds=1.5)
