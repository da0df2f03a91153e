"""Waltz: guitar, harp, flute and a muted violin in A minor, with rubato and a ritardando.

Form: introduction (4 bars), A (8), A varied (8), B in C major (8), A with second voice (8), coda (5).
"""

from __future__ import annotations

import numpy as np
import synth
from synth import Array, Bus

BEATS_PER_MINUTE = 134.0
BEATS_PER_BAR = 3
LEAD_IN_SECONDS = 0.15
RING_SECONDS = 5.0

Row = tuple[tuple[float, int], ...]

# Chord name: bass note, then the three notes of the hand, as MIDI numbers.
CHORDS: dict[str, tuple[int, tuple[int, int, int]]] = {
    "Am": (45, (57, 60, 64)),
    "G": (43, (59, 62, 67)),
    "F": (41, (57, 60, 65)),
    "E": (40, (56, 59, 64)),
    "E7": (40, (56, 62, 64)),
    "Dm": (50, (57, 62, 65)),
    "C": (48, (55, 60, 64)),
    "Em": (40, (55, 59, 64)),
}
VERSE = ("Am", "G", "F", "E", "Am", "Dm", "E7", "Am")
BRIDGE = ("C", "G", "Am", "Em", "F", "C", "Dm", "E7")
CODA = ("Am", "Dm", "E7", "E7", "Am")
HARMONY = ("Am", "Dm", "E7", "Am", *VERSE, *VERSE, *BRIDGE, *VERSE, *CODA)
FIRST_A, SECOND_A, FIRST_B, LAST_A, FIRST_CODA = 4, 12, 20, 28, 36
FINAL_BAR = len(HARMONY) - 1

# One row a bar: (length in beats, pitch); 0 is a rest.
VERSE_MELODY: tuple[Row, ...] = (
    ((1.5, 76), (0.5, 74), (1.0, 72)),
    ((2.0, 71), (1.0, 74)),
    ((1.5, 72), (0.5, 71), (1.0, 69)),
    ((2.0, 68), (1.0, 64)),
    ((1.0, 69), (1.0, 72), (1.0, 76)),
    ((1.5, 77), (0.5, 76), (1.0, 74)),
    ((1.0, 71), (0.5, 72), (0.5, 74), (1.0, 68)),
    ((2.5, 69), (0.5, 0)),
)
VARIED_MELODY: tuple[Row, ...] = (
    ((1.0, 76), (1.0, 81), (0.5, 76), (0.5, 72)),
    ((1.5, 74), (0.5, 71), (1.0, 67)),
    ((1.0, 69), (0.5, 72), (0.5, 77), (0.5, 76), (0.5, 72)),
    ((2.0, 71), (1.0, 76)),
    ((1.5, 81), (0.5, 79), (1.0, 76)),
    ((1.0, 77), (1.0, 81), (1.0, 74)),
    ((0.5, 76), (0.5, 74), (0.5, 72), (0.5, 71), (0.5, 68), (0.5, 71)),
    ((2.5, 69), (0.5, 0)),
)
BRIDGE_MELODY: tuple[Row, ...] = (
    ((2.0, 79), (1.0, 76)),
    ((1.5, 74), (0.5, 76), (1.0, 79)),
    ((2.0, 81), (1.0, 76)),
    ((1.5, 79), (0.5, 76), (1.0, 71)),
    ((1.0, 72), (1.0, 77), (1.0, 81)),
    ((2.0, 79), (1.0, 76)),
    ((1.0, 77), (0.5, 76), (0.5, 74), (1.0, 69)),
    ((2.0, 71), (0.5, 76), (0.5, 0)),
)
CODA_MELODY: tuple[Row, ...] = (
    ((1.5, 72), (0.5, 71), (1.0, 69)),
    ((1.5, 74), (0.5, 72), (1.0, 69)),
    ((1.0, 71), (1.0, 74), (1.0, 72)),
    ((2.0, 71), (1.0, 68)),
    ((6.0, 69),),
)
# The violin: a slow second voice under the bridge and the last verse.
BRIDGE_VOICE: tuple[Row, ...] = (
    ((3.0, 64),),
    ((2.0, 62), (1.0, 59)),
    ((3.0, 60),),
    ((2.0, 59), (1.0, 55)),
    ((3.0, 57),),
    ((2.0, 60), (1.0, 64)),
    ((3.0, 65),),
    ((2.0, 64), (1.0, 62)),
)
VERSE_VOICE: tuple[Row, ...] = (
    ((2.0, 60), (1.0, 64)),
    ((2.0, 62), (1.0, 59)),
    ((2.0, 57), (1.0, 60)),
    ((3.0, 59),),
    ((2.0, 64), (1.0, 60)),
    ((2.0, 62), (1.0, 65)),
    ((2.0, 62), (1.0, 59)),
    ((3.0, 60),),
)
CODA_VOICE: tuple[Row, ...] = (((3.0, 64),), ((3.0, 65),), ((3.0, 62),), ((3.0, 62),), ((6.0, 60),))


def bar_tempo_factors() -> Array:
    """Length of each bar against strict tempo: phrases breathe at their ends, the coda slows down."""
    bars = np.arange(len(HARMONY))
    phrase = (bars - FIRST_A) % 8
    factors = 1.0 - 0.025 * np.sin(np.pi * phrase / 7.0) + 0.07 * (phrase == 7) + 0.025 * (phrase == 3)
    factors[FIRST_B - 1] += 0.05
    factors[LAST_A - 1] += 0.12
    factors[FIRST_CODA:] = np.array([1.04, 1.12, 1.28, 1.62, 2.0])
    return np.asarray(factors)


BAR_STARTS = LEAD_IN_SECONDS + np.concatenate(
    [[0.0], np.cumsum(bar_tempo_factors() * BEATS_PER_BAR * 60.0 / BEATS_PER_MINUTE)]
)


def seconds_at(beat: float) -> float:
    """Time of a beat counted from the start of the piece, by the rubato of its bar."""
    bar = min(int(beat // BEATS_PER_BAR), len(HARMONY) - 1)
    inside = (beat - bar * BEATS_PER_BAR) / BEATS_PER_BAR
    return float(BAR_STARTS[bar] + inside * (BAR_STARTS[bar + 1] - BAR_STARTS[bar]))


def song_seconds() -> float:
    """Length of the piece with the ring of its last chord."""
    return float(BAR_STARTS[FINAL_BAR]) + RING_SECONDS


def phrase_loudness(bar: int) -> float:
    """Dynamics: each eight-bar phrase swells to its sixth bar; the bridge is fullest, the coda sinks."""
    swell = 0.85 + 0.15 * np.sin(np.pi * ((bar - FIRST_A) % 8) / 8.0)
    level = 0.8 if bar < SECOND_A else 0.88 if bar < FIRST_B else 1.0 if bar < LAST_A else 0.92
    if bar >= FIRST_CODA:
        level = 0.86 - 0.06 * (bar - FIRST_CODA)
    return float(swell * level)


def human(value: float, spread: float, rng: np.random.Generator) -> float:
    """`value` with a small uniform error, as a player would give it."""
    return float(value + rng.uniform(-spread, spread))


def play_guitar(rng: np.random.Generator) -> Bus:
    """Bass note on one, strummed chord on two and three; the bass takes the fifth in every other bar."""
    bus = Bus(song_seconds())
    for bar, name in enumerate(HARMONY[:FINAL_BAR]):
        bass, hand = CHORDS[name]
        beat = bar * BEATS_PER_BAR
        loudness = phrase_loudness(bar)
        again = bar > 0 and HARMONY[bar - 1] == name
        low = bass + 7 if again else bass
        bus.add(synth.pluck(low, 2.0, human(0.8, 0.06, rng) * loudness, rng, ring=4.0), seconds_at(beat), gain=0.5)
        if bar < 2:
            continue
        for offset, velocity in ((1.0, 0.5), (2.0, 0.42)):
            for index, note in enumerate(hand):
                at = seconds_at(beat + offset) + 0.011 * index + human(0.006, 0.006, rng)
                sound = synth.pluck(note, 0.75, human(velocity, 0.05, rng) * loudness, rng, ring=2.5)
                bus.add(sound, at, gain=0.4, pan=-0.1 - 0.12 * index)
    for index, note in enumerate((33, 45, 52, 57, 60, 64)):
        sound = synth.pluck(note, 4.7, 0.55, rng, ring=6.0)
        bus.add(sound, seconds_at(FINAL_BAR * BEATS_PER_BAR) + 0.05 * index, gain=0.4, pan=-0.3 + 0.05 * index)
    return bus


def harp_pattern(bar: int) -> tuple[float, ...]:
    """Beats of the harp in one bar: eighths in the bridge, some answers elsewhere, silence in the first verse."""
    if bar < FIRST_A or FIRST_B <= bar < LAST_A:
        return (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
    if bar >= SECOND_A and (bar - FIRST_A) % 4 == 3 and bar < FIRST_CODA:
        return (1.0, 1.5, 2.0, 2.5)
    return (0.0,) if bar >= LAST_A else ()


def play_harp(rng: np.random.Generator) -> Bus:
    """Broken chords that climb and fall; a last run of the tonic closes the piece."""
    bus = Bus(song_seconds())
    climb = (0, 1, 2, 3, 2, 1)
    for bar, name in enumerate(HARMONY[:FINAL_BAR]):
        hand = CHORDS[name][1]
        ladder = (*(note + 12 for note in hand), hand[0] + 24)
        for index, beat in enumerate(harp_pattern(bar)):
            velocity = human(0.5 if index else 0.6, 0.07, rng) * phrase_loudness(bar)
            sound = synth.pluck(ladder[climb[index]], 2.2, velocity, rng, ring=3.5, position=0.42)
            bus.add(sound, seconds_at(bar * BEATS_PER_BAR + beat) + human(0.004, 0.004, rng), gain=0.32, pan=0.45)
    start = seconds_at(FINAL_BAR * BEATS_PER_BAR)
    for index, note in enumerate((69, 72, 76, 81, 84, 88, 93)):
        sound = synth.pluck(note, 4.0, 0.5 - 0.03 * index, rng, ring=4.5, position=0.42)
        bus.add(sound, start + 0.35 + 0.19 * index + 0.012 * index**2, gain=0.32, pan=0.2 + 0.08 * index)
    return bus


def melody_line(rows: tuple[Row, ...], first_bar: int) -> list[tuple[float, float, int]]:
    """Notes as (beat of the piece, length in beats, pitch), rests left out."""
    notes = []
    for bar, row in enumerate(rows):
        beat = float((first_bar + bar) * BEATS_PER_BAR)
        for beats, pitch in row:
            if pitch:
                notes.append((beat, beats, pitch))
            beat += beats
    return notes


def note_seconds(beat: float, beats: float, overlap: float) -> float:
    """Length in seconds of a note under the rubato, with a legato overlap; the last note has a fixed length."""
    if beat >= FINAL_BAR * BEATS_PER_BAR:
        return 3.4
    return seconds_at(beat + beats) - seconds_at(beat) + overlap


def play_flute(rng: np.random.Generator) -> Bus:
    """The melody of every section after the introduction."""
    bus = Bus(song_seconds())
    sections = (
        (VERSE_MELODY, FIRST_A),
        (VARIED_MELODY, SECOND_A),
        (BRIDGE_MELODY, FIRST_B),
        (VERSE_MELODY, LAST_A),
        (CODA_MELODY, FIRST_CODA),
    )
    for rows, first_bar in sections:
        for beat, beats, pitch in melody_line(rows, first_bar):
            loudness = phrase_loudness(int(beat) // BEATS_PER_BAR)
            velocity = human(0.62 + 0.008 * (pitch - 72), 0.04, rng) * loudness
            sound = synth.flute(pitch, note_seconds(beat, beats, 0.06), velocity, rng)
            bus.add(sound, seconds_at(beat) + human(-0.012, 0.008, rng), gain=0.34, pan=0.12)
    return bus


def play_violin(rng: np.random.Generator) -> Bus:
    """A second voice under the bridge, the last verse and the coda."""
    bus = Bus(song_seconds())
    for rows, first_bar in ((BRIDGE_VOICE, FIRST_B), (VERSE_VOICE, LAST_A), (CODA_VOICE, FIRST_CODA)):
        for beat, beats, pitch in melody_line(rows, first_bar):
            velocity = human(0.55, 0.04, rng) * phrase_loudness(int(beat) // BEATS_PER_BAR)
            sound = synth.violin(pitch, note_seconds(beat, beats, 0.1), velocity, rng)
            bus.add(sound, seconds_at(beat) - 0.03, gain=0.23, pan=-0.45)
    return bus


def wooden_body(frequencies: Array) -> Array:
    """Mild resonance of a guitar body near 110 and 220 Hz, less edge on top."""
    bumps = 0.5 * np.exp(-(((frequencies - 110.0) / 30.0) ** 2)) + 0.35 * np.exp(-(((frequencies - 220.0) / 50.0) ** 2))
    return np.asarray((1.0 + bumps) * synth.low_pass(9000.0, 1)(frequencies))


def compose(seed: int = 34) -> Array:
    """Play and mix the whole piece, shape (samples, 2)."""
    rng = np.random.default_rng(seed)
    guitar = synth.shape_spectrum(play_guitar(rng).sound, wooden_body)
    harp, flute, violin = play_harp(rng).sound, play_flute(rng).sound, play_violin(rng).sound
    send = 0.2 * guitar + 0.4 * harp + 0.38 * flute + 0.45 * violin
    wet = synth.reverb(send, 1.9, rng, pre_delay=0.025, damping_hz=3200.0)
    mix = guitar + harp + flute + violin + wet
    return synth.master(mix, rms_level=-17.4, peak_level=-1.3, fade_seconds=1.8)
