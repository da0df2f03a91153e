"""MIDI files made for a test: notes by the beat, whose score is known."""

from collections.abc import Sequence
from pathlib import Path

QUARTER = 480  # ticks
Notes = Sequence[tuple[float, int]]  # quarter at which each begins, and its pitch


def write_midi(
    path: Path,
    notes: Notes,
    *,
    tempi: Sequence[tuple[float, float]] = ((0, 120),),
    signatures: Sequence[tuple[float, int, int]] = ((0, 4, 4),),
) -> Path:
    """A piano that plays `notes`, each for an eighth.

    Args:
        path: of the file.
        notes: what it plays.
        tempi: quarter from which each holds, and quarters of a minute.
        signatures: quarter from which each holds, its numerator and denominator.
    """
    import mido

    events = [(at, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))) for at, tempo in tempi]
    for at, above, below in signatures:
        events.append((at, mido.MetaMessage("time_signature", numerator=above, denominator=below)))
    for at, pitch in notes:
        events.append((at, mido.Message("note_on", note=pitch, velocity=100)))
        events.append((at + 0.5, mido.Message("note_off", note=pitch)))
    track, before = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: event[0]):
        tick = round(at * QUARTER)
        track.append(message.copy(time=tick - before))
        before = tick
    midi = mido.MidiFile(ticks_per_beat=QUARTER)
    midi.tracks.append(track)
    midi.save(path)
    return path


def melody(bars: Sequence[int], beats: int = 4) -> list[tuple[float, int]]:
    """Bars of quarters by their numbers: the same number is the same melody."""
    return [
        (float(beats * place + beat), 48 + (7 * bar + 5 * beat * (bar + 1)) % 36)
        for place, bar in enumerate(bars)
        for beat in range(beats)
    ]
