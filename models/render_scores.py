"""Render scores whose beats and bars are known: what the beat network learns from.

    python models/render_scores.py SCORES/ --kind modules --source MODULES/
    python models/render_scores.py SCORES/ --kind midi --source MIDI/
    python models/render_scores.py SCORES/ --kind accompaniments --count 1000
    python models/render_scores.py SCORES/ --kind patterns --count 400
    python models/render_scores.py SCORES/ --kind pulseless --count 100

Each piece becomes `SCORES/SET/KIND-NAME.npz`: its log-mel and chroma (float16, 50 frames a second), the times of its
beats, their places in the bar, and the beats of a bar. No sound is kept; of validation and evaluation pieces what
BeatNet says of it is, to compare. `MODULES` holds the folders training, validation and evaluation, each with a folder
for each package; `MIDI` is searched for .mid files and Doom's .wad files. Accompaniments by `mma` are split by groove
file, MIDI by file; validation and evaluation hear a soundfont, too, that training does not. What is there is not made
again.

Needs mido, `mma`, `fluidsynth`, libopenmpt and soundfonts: fluid-soundfont-gm, timgm6mb-soundfont, opl3-soundfont,
musescore-general-soundfont, fluidr3mono-gm-soundfont, csound-soundfont.
"""

import argparse
import hashlib
import re
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np

from musex.analysis import beatnet, midi_scores, tracker_modules
from musex.analysis.features import analyse_frames, to_mono
from musex.config import FEATURES
from musex.errors import AudioError
from musex.system.arrays import Array, save_arrays

Random = np.random.Generator

SETS = ("training", "validation", "evaluation")
SOUNDS = Path("/usr/share/sounds")
SOUNDFONTS = (
    "sf2/FluidR3_GM.sf2",
    "sf2/TimGM6mb.sf2",
    "sf3/MuseScore_General.sf3",
    "sf3/FluidR3Mono_GM.sf3",
    "sf2/OPL-3_FM_128M.sf2",
)
HELD_SOUNDFONT = "sf2/sf_GMbank.sf2"  # for validation and evaluation only
GROOVES = Path("/usr/share/mma/lib")
TICKS = 192  # of a quarter, as mma has it
DRUMS = midi_scores.DRUM_CHANNEL
LONGEST_SECONDS = 110.0
STALL_SECONDS = 40.0  # after which fluidsynth is taken for hung
TEMPI = (55.0, 215.0)  # beats a minute: slower is told in halves, faster in doubles
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass
class Piece:
    """Music as MIDI, and where its beats are.

    Attributes:
        events: messages by tick, without tempo.
        tempi: (tick, beats of a quarter a minute).
        beats: ticks of beats, (beats,).
        positions: place of each beat in its bar, (beats,).
        metre: beats of most bars.
    """

    events: list[tuple[int, mido.Message]]
    tempi: list[tuple[int, float]]
    beats: Array
    positions: Array
    metre: int
    ticks: int = TICKS
    chords: list[tuple[int, int, Array]] = field(default_factory=list)  # ticks from, to, pitch classes

    def seconds(self, ticks: Array) -> Array:
        """When ticks sound."""
        paces = [(tick, 60.0 / tempo / self.ticks) for tick, tempo in self.tempi]
        return midi_scores.to_seconds(np.array(paces), ticks)


def count_bars(bar_ticks: int, beats: int, last: int) -> tuple[Array, Array]:
    """Ticks of the beats of equal bars up to `last`, and their positions."""
    ticks = np.arange(0, last, bar_ticks // beats)
    return ticks, np.arange(len(ticks)) % beats


def draw_tempo(random: Random, usual: float = 112.0) -> float:
    """Beats a minute."""
    while True:
        tempo = usual * float(np.exp(0.3 * random.standard_normal()))
        if TEMPI[0] <= tempo <= TEMPI[1]:
            return tempo


def draw_chords(random: Random, bars: int) -> list[tuple[str, Array]]:
    """A chord for each bar, by name and by pitch classes: a progression that returns, or two in turn."""
    scale = np.array(SCALES[random.integers(len(SCALES))])
    key = int(random.integers(12))
    sections = [
        random.choice(7, int(random.choice([2, 4, 4, 8])), p=[0.3, 0.08, 0.08, 0.17, 0.17, 0.15, 0.05])
        for _ in range(2)
    ]
    degrees: list[int] = []
    while len(degrees) < bars:
        degrees += np.tile(sections[int(random.random() < 0.35)], 8 // len(sections[0]) or 1).tolist()
    chords = []
    for degree in degrees[:bars]:
        classes = (scale[(degree + np.array([0, 2, 4])) % 7] + key) % 12
        third, fifth = (classes[1] - classes[0]) % 12, (classes[2] - classes[0]) % 12
        kind = {(4, 7): "", (3, 7): "m", (3, 6): "dim", (4, 8): "aug"}[int(third), int(fifth)]
        if kind in ("", "m") and random.random() < 0.25:
            kind += "7"
        chords.append((NAMES[classes[0]] + kind, classes))
    return chords


def accompany(random: Random, groove: Path) -> Piece | None:
    """Some minutes by mma, in the grooves of one file; None where it cannot play them, or their bars are unclear."""
    text = groove.read_text(errors="replace")
    names = re.findall(r"^\s*DefGroove\s+(\S+)", text, re.IGNORECASE | re.MULTILINE)
    if not names:
        return None
    main = [names[0], *random.permutation(names)[:3].tolist()]
    bars = int(random.integers(24, 64))
    lines = [f"RndSeed {random.integers(10**6)}", f"Use {groove.relative_to(GROOVES).with_suffix('')}"]
    chords = draw_chords(random, bars)
    for bar, (name, _) in enumerate(chords):
        if bar % 8 == 0:
            lines += [
                f"Groove {main[0] if random.random() < 0.5 else random.choice(main)}",
                "Print BAR $_Time $_TimeSig",
            ]
        lines.append(f"{bar + 1} {name}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        score, output = Path(folder, "score.mma"), Path(folder, "score.mid")
        score.write_text("\n".join(lines) + "\n")
        done = subprocess.run(["mma", score, "-f", output], capture_output=True, text=True, check=False)
        told = set(re.findall(r"^BAR (\S+) (\d+)/(\d+)", done.stdout, re.MULTILINE))
        if done.returncode or not output.exists() or len(told) != 1:
            return None
        midi = mido.MidiFile(output)
    time, above, below = told.pop()
    bar_ticks = round(float(time) * TICKS)
    compound = below == "8" and int(above) % 3 == 0 and int(above) > 3
    beats = int(above) // 3 if compound else int(above)
    if bar_ticks % beats:
        return None
    slow = re.search("slow|ballad|68|bolero|hymn|lullaby|16", groove.stem)
    tempo = draw_tempo(random, 85.0 if slow else 140.0 if re.search("fast|quick|dnb|techno", groove.stem) else 112.0)
    ticks, positions = count_bars(bar_ticks, beats, bars * bar_ticks)
    piece = Piece(list(notes_of(midi)), [(0, tempo * (bar_ticks // beats) / TICKS)], ticks, positions, beats)
    piece.chords = [(bar * bar_ticks, (bar + 1) * bar_ticks, classes) for bar, (_, classes) in enumerate(chords)]
    return piece


def notes_of(midi: mido.MidiFile) -> Iterator[tuple[int, mido.Message]]:
    """All messages of a file but those about time, by tick."""
    tick = 0
    for message in mido.merge_tracks(midi.tracks):
        tick += message.time
        if not message.is_meta and message.type != "sysex":
            yield tick, message


def add_note(piece: Piece, start: float, length: float, *, channel: int, note: int, velocity: float) -> None:
    strength = int(np.clip(velocity, 1, 127))
    begin = max(0, round(start))
    piece.events.append((begin, mido.Message("note_on", channel=channel, note=note, velocity=strength)))
    piece.events.append((begin + max(1, round(length)), mido.Message("note_off", channel=channel, note=note)))


def add_melody(random: Random, piece: Piece, channel: int) -> None:
    """A tune over the piece's chords, in rhythms that return; they may be syncopated."""
    piece.events.append((0, mido.Message("program_change", channel=channel, program=int(random.integers(0, 104)))))
    centre, step = int(random.integers(58, 80)), piece.ticks // int(random.choice([2, 2, 3, 4]))
    length = piece.chords[0][1] - piece.chords[0][0]
    rhythms = [random.random(max(1, length // step)) < random.uniform(0.2, 0.8) for _ in range(3)]
    note, rests = centre, random.random() < 0.5
    for bar, (start, _, classes) in enumerate(piece.chords):
        if rests and bar // 8 % 2:
            continue
        rhythm = rhythms[int(random.integers(3)) if bar % 4 == 3 else bar % 2]
        onsets = np.flatnonzero(rhythm)
        for onset, following in pairwise([*onsets, len(rhythm)]):
            near = [n for n in range(centre - 12, centre + 13) if n % 12 in classes or random.random() < 0.15]
            note = int(near[int(np.argmin([abs(n - note - random.normal(0, 4)) for n in near]))])
            held = (following - onset) * step * random.uniform(0.5, 1.0)
            add_note(
                piece, float(start + onset * step), held, channel=channel, note=note, velocity=random.uniform(60, 120)
            )


KICK, SNARE, HATS = (35, 36), (37, 38, 39, 40), (42, 44, 46, 51, 53, 54, 69, 70, 82)


def invent(random: Random) -> Piece:
    """A piece in a metre of 2 to 7: drums, bass and chords in patterns that return, the bar as they show it."""
    metre = int(random.choice([2, 3, 4, 5, 6, 7], p=[0.1, 0.22, 0.24, 0.18, 0.06, 0.2]))
    tempo, bars = draw_tempo(random, 120.0), int(random.integers(20, 64))
    divisions = int(random.choice([2, 4, 4, 3]))
    step, bar_ticks = TICKS // divisions, TICKS * metre
    ticks, positions = count_bars(bar_ticks, metre, bars * bar_ticks)
    piece = Piece([], [(0, tempo)], ticks, positions, metre)
    piece.chords = [
        (bar * bar_ticks, (bar + 1) * bar_ticks, classes) for bar, (_, classes) in enumerate(draw_chords(random, bars))
    ]
    strong = {
        2: [0],
        3: [0],
        4: [0, 2],
        5: [0, 3] if random.random() < 0.6 else [0, 2],
        6: [0, 3],
        7: [0, 4] if random.random() < 0.6 else [0, 3],
    }[metre]
    for channel in range(3):
        program = int(random.choice([*range(32, 40)]) if channel == 0 else random.integers(0, 104))
        piece.events.append((0, mido.Message("program_change", channel=channel, program=program)))
    slots = metre * divisions
    on_beat = np.arange(slots) % divisions == 0
    on_strong = np.isin(np.arange(slots) / divisions, strong)
    first = np.arange(slots) == 0
    sections = []
    for _ in range(2):
        kick = random.random(slots) < 0.7 * on_strong + 0.3 * first + 0.1 * on_beat + 0.05
        snare = random.random(slots) < 0.85 * (on_beat & ~on_strong) * (random.random() < 0.8) + 0.04
        hats = random.random(slots) < random.choice([0.95, 0.6]) * (on_beat | (random.random() < 0.6)) + 0.05
        bass = random.random(slots) < 0.6 * on_strong + 0.4 * first + random.choice([0.1, 0.35]) * on_beat + 0.06
        harmony = random.random(slots) < 0.9 * first + random.choice([0.0, 0.5, 0.9]) * (on_beat & ~first) + 0.05
        sections.append((kick, snare, hats, bass, harmony))
    drums, chords_sound = random.random() < 0.75, random.random() < 0.85
    kit = [int(random.choice(which)) for which in (KICK, SNARE, HATS)]
    held = random.uniform(0.2, 1.0)
    for bar, (start, _, classes) in enumerate(piece.chords):
        kick, snare, hats, bass, harmony = sections[bar // 8 % 2]
        if drums:
            for which, pattern in zip(kit, (kick, snare, hats), strict=True):
                for slot in np.flatnonzero(pattern):
                    loud = random.uniform(70, 110) + 12 * first[slot]
                    add_note(
                        piece,
                        float(start + slot * step),
                        step,
                        channel=DRUMS,
                        note=which,
                        velocity=loud,
                    )
            if bar % 8 == 0 and random.random() < 0.5:
                add_note(piece, start, step, channel=DRUMS, note=49, velocity=110)
        for slot in np.flatnonzero(bass):
            note = 36 + int(classes[0] if slot == 0 or random.random() < 0.6 else random.choice(classes))
            add_note(
                piece,
                float(start + slot * step),
                step * held * 2,
                channel=0,
                note=note,
                velocity=random.uniform(80, 115),
            )
        if chords_sound:
            onsets = np.flatnonzero(harmony)
            for onset, following in pairwise([*onsets, slots]):
                for pitch in classes:
                    note = 55 + (int(pitch) - 55) % 12
                    length = (following - onset) * step * held
                    add_note(
                        piece,
                        float(start + onset * step),
                        length,
                        channel=1,
                        note=note,
                        velocity=random.uniform(50, 90),
                    )
    return piece


def wander(random: Random) -> Piece:
    """Music without a pulse: long chords or single notes at times of no order."""
    tempo, seconds = 60.0, float(random.uniform(40.0, 110.0))
    piece = Piece([], [(0, tempo)], np.zeros(0, int), np.zeros(0, int), 0)
    for channel in range(int(random.integers(1, 4))):
        program = int(random.integers(88, 104) if random.random() < 0.5 else random.integers(0, 128))
        piece.events.append((0, mido.Message("program_change", channel=channel, program=program)))
        scale = (np.array(SCALES[random.integers(len(SCALES))]) + random.integers(12)) % 12
        gap = float(np.exp(random.uniform(np.log(0.25), np.log(6.0))))
        now = 0.0
        while now < seconds:
            for pitch in random.choice(scale, int(random.choice([1, 1, 3]))):
                note = int(pitch) + 12 * int(random.integers(3, 7))
                length = TICKS * gap * random.uniform(0.5, 3.0)
                add_note(piece, TICKS * now, length, channel=channel, note=note, velocity=random.uniform(30, 110))
            now += random.exponential(gap) + 0.03
    return piece


def read_midi(content: bytes) -> Piece | None:
    """A MIDI file that tells its time signatures; None for one that does not, or that was not played to its beat."""
    with tempfile.NamedTemporaryFile(suffix=".mid", dir="/dev/shm") as file:
        Path(file.name).write_bytes(content)
        try:
            midi = mido.MidiFile(file.name, clip=True)
        except (OSError, ValueError, EOFError, IndexError, KeyError):
            return None
    tick, tempi, signatures = 0, [], []
    for message in mido.merge_tracks(midi.tracks):
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, mido.tempo2bpm(message.tempo)))
        elif message.type == "time_signature":
            signatures.append((tick, message.numerator, message.denominator))
    events = list(notes_of(midi))
    onsets = np.array([tick for tick, message in events if message.type == "note_on" and message.velocity])
    if not signatures or signatures[0][0] > 0 or len(onsets) < 100 or midi.ticks_per_beat < 24:
        return None
    if not tempi or tempi[0][0] > 0:
        tempi.insert(0, (0, 120.0))
    beats, positions, metres = [], [], []
    borders = [*[tick for tick, _, _ in signatures[1:]], int(onsets[-1])]
    for (start, above, below), stop in zip(signatures, borders, strict=True):
        length = midi.ticks_per_beat * 4 / below
        count = above
        if below >= 8 and above % 3 == 0 and above > 3:
            length, count = 3 * length, above // 3
        moments = np.arange(start, stop, length)
        beats.append(moments)
        positions.append(np.arange(len(moments)) % count)
        metres += [count] * len(moments)
    if not metres:
        return None
    metre = int(np.bincount(metres).argmax())
    piece = Piece(events, tempi, np.concatenate(beats), np.concatenate(positions), metre, midi.ticks_per_beat)
    tempo = 60.0 / float(np.median(np.diff(piece.seconds(piece.beats))))
    if not TEMPI[0] <= tempo <= TEMPI[1] or not 2 <= metre <= 7:
        return None
    place = onsets / midi.ticks_per_beat * 12 % 1.0
    quantised = np.mean(np.minimum(place, 1.0 - place) < 0.2)
    near = np.abs(onsets[:, None] - piece.beats[None, :]).min(axis=1) < midi.ticks_per_beat / 16
    return piece if quantised > 0.7 and near.mean() > 0.25 else None


def vary(random: Random, piece: Piece, *, free: bool) -> None:
    """Other instruments, other keys, less even playing; `free`: other tempi and drums, too."""
    shift = int(random.integers(-5, 7))
    lost = {DRUMS} if random.random() < 0.25 else set()
    if random.random() < 0.04:
        lost = set(range(16)) - {DRUMS}
    sounding = {message.channel for _, message in piece.events if message.type == "note_on"}
    lost = lost if sounding - lost else set()
    changed = {channel: int(random.integers(0, 104)) for channel in range(16) if random.random() < 0.4}
    changed = changed if random.random() < 0.5 else {}
    if random.random() < 0.4:
        changed[DRUMS] = int(random.choice([0, 8, 16, 24, 25, 32, 40, 48]))
    gains = random.uniform(0.5, 1.2, 16)
    jitter = float(random.choice([0.0, 0.004, 0.01])) * piece.tempi[0][1] / 60.0 * piece.ticks
    events = [
        (0, mido.Message("program_change", channel=channel, program=program)) for channel, program in changed.items()
    ]
    moved: dict[tuple[int, int], int] = {}
    for tick, message in piece.events:
        if message.channel in lost or (message.type == "program_change" and message.channel in changed):
            continue
        if message.type in ("note_on", "note_off") and message.channel != DRUMS:
            message.note = min(max(message.note + shift, 0), 127)
        if message.type == "note_on" and message.velocity:
            message.velocity = min(max(int(message.velocity * gains[message.channel]), 1), 127)
            moved[message.channel, message.note] = round(jitter * random.standard_normal()) if jitter else 0
        if message.type in ("note_on", "note_off"):
            tick += moved.get((message.channel, message.note), 0)
        events.append((max(0, tick), message))
    piece.events = events
    scale = float(random.uniform(0.85, 1.2)) if not free else 1.0
    piece.tempi = [(tick, tempo * scale) for tick, tempo in piece.tempi]
    if free and len(piece.beats) and random.random() < 0.45:
        kind = random.random()
        count = len(piece.beats)
        if kind < 0.6:  # it breathes
            walk = np.cumsum(random.standard_normal(count)) * random.choice([0.004, 0.015])
            pace = np.exp(np.clip(walk - np.linspace(0, walk[-1], count), -0.25, 0.25))
        elif kind < 0.8:  # it grows faster or slower
            pace = np.linspace(1.0, random.uniform(0.75, 1.3), count)
        else:  # a part of another tempo
            pace = np.where(np.arange(count) > count * random.uniform(0.3, 0.7), random.uniform(0.8, 1.25), 1.0)
        piece.tempi = [
            (int(tick), float(np.clip(piece.tempi[0][1] * p, 40, 260)))
            for tick, p in zip(piece.beats, pace, strict=True)
        ]


def write_midi(piece: Piece, longest: float = LONGEST_SECONDS) -> mido.MidiFile:
    """The first seconds of a piece as one track."""
    tempi = [(tick, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))) for tick, tempo in piece.tempi]
    rank = {"set_tempo": 0, "program_change": 1, "control_change": 1, "note_off": 2}
    ordered = sorted([*tempi, *piece.events], key=lambda event: (event[0], rank.get(event[1].type, 3)))
    ticks = np.arange(0, ordered[-1][0] + 1, 24)
    end = int(np.interp(longest, piece.seconds(ticks), ticks))
    track, before = mido.MidiTrack(), 0
    for tick, message in ordered:
        if tick <= end:
            message.time = tick - before
            track.append(message)
            before = tick
    for channel in range(midi_scores.CHANNELS):  # fluidsynth goes on until every note has ended
        track.append(mido.Message("control_change", channel=channel, control=midi_scores.SOUND_OFF, time=0))
    midi = mido.MidiFile(type=0, ticks_per_beat=piece.ticks)
    midi.tracks.append(track)
    return midi


def draw_sound(random: Random, *, held: bool) -> tuple[Path, list[str]]:
    """A soundfont, and fluidsynth's options: a room, or none."""
    font = HELD_SOUNDFONT if held and random.random() < 0.5 else str(random.choice(SOUNDFONTS))
    options = ["-R", "1" if random.random() < 0.6 else "0", "-C", "0"]
    options += ["-o", f"synth.reverb.room-size={random.uniform(0.1, 1.0):.2f}"]
    options += ["-o", f"synth.reverb.level={random.uniform(0.1, 0.9):.2f}", "-o", "synth.dynamic-sample-loading=1"]
    return SOUNDS / font, options


def render(random: Random, piece: Piece, *, held: bool) -> Array:
    """The sound of a piece, mono, at the features' rate, by fluidsynth with one of the soundfonts."""
    midi = write_midi(piece)
    font, options = draw_sound(random, held=held)
    rate = FEATURES.sample_rate
    samples = midi_scores.play_midi(midi, font, rate, options=options, stall_seconds=STALL_SECONDS)
    return to_mono(samples[: round(LONGEST_SECONDS * rate)], rate)


def save(path: Path, mono: Array, beats: Array, positions: Array, metre: int) -> None:
    """Keep the features of a piece, and the beats that lie within what sounds."""
    log_mel, chroma = analyse_frames(mono)
    rate = FEATURES.frames_per_second
    loud = np.flatnonzero(log_mel.max(axis=1) > log_mel.max() - 60.0)
    first, last = (loud[0] / rate - 0.1, loud[-1] / rate) if len(loud) else (0.0, 0.0)
    heard = (beats >= first) & (beats <= last)
    arrays: dict[str, Array] = {
        "log_mel": log_mel.astype(np.float16),
        "chroma": (chroma / max(float(chroma.max()), 1e-9)).astype(np.float16),
        "beats": beats[heard],
        "positions": positions[heard].astype(np.int8),
        "metre": np.array(metre),
    }
    if path.parent.name != "training":
        arrays["beatnet"] = beatnet.activations(mono, FEATURES.sample_rate).astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(arrays, path)


def save_piece(random: Random, piece: Piece, path: Path, *, free: bool) -> None:
    vary(random, piece, free=free)
    try:
        mono = render(random, piece, held=path.parent.name != "training")
    except AudioError:
        print(f"left out: {path.name}", flush=True)
        return
    save(path, mono, piece.seconds(piece.beats), piece.positions, piece.metre)


def which_set(name: str) -> str:
    """Eight of ten for training, one for validation, one for evaluation, by the name."""
    return {8: "validation", 9: "evaluation"}.get(zlib.crc32(name.encode()) % 10, "training")


def draw_accompaniments(
    output: Path, numbers: range, *, seed: int, suffix: str
) -> Iterator[tuple[Random, Piece, Path]]:
    """Accompaniments by number that are not there yet, what draws how they sound, and where they shall lie."""
    grooves = sorted(path for path in GROOVES.rglob("*.mma") if "metronome" not in path.stem and path.stem != "none")
    grooves = [path for path in grooves if re.search(r"DefGroove", path.read_text(errors="replace"), re.IGNORECASE)]
    for number in numbers:
        random = np.random.default_rng([seed, number])
        groove = grooves[int(random.integers(len(grooves)))]
        name = f"{groove.parent.name}-{groove.stem}"
        path = output / which_set(name) / f"accompaniments-{number:05d}-{name}{suffix}"
        if path.exists() or not (piece := accompany(random, groove)):
            continue
        if random.random() < 0.5:
            add_melody(random, piece, 15)
        yield random, piece, path


def draw_numbered(
    output: Path, kind: str, make: Callable[[Random], Piece], numbers: range, *, seed: int, suffix: str
) -> Iterator[tuple[Random, Piece, Path]]:
    """What is made of nothing but a number, as `draw_accompaniments`."""
    for number in numbers:
        random = np.random.default_rng([seed, number])
        path = output / which_set(str(number)) / f"{kind}-{number:05d}{suffix}"
        if not path.exists():
            yield random, make(random), path


def make_pattern(random: Random) -> Piece:
    """A pattern, more often than not with a melody."""
    piece = invent(random)
    if random.random() < 0.6:
        add_melody(random, piece, 2)
    return piece


def render_accompaniments(output: Path, count: int, first: int) -> None:
    for random, piece, path in draw_accompaniments(output, range(first, first + count), seed=1, suffix=".npz"):
        save_piece(random, piece, path, free=True)


def render_patterns(output: Path, count: int, first: int) -> None:
    numbers = range(first, first + count)
    for random, piece, path in draw_numbered(output, "patterns", make_pattern, numbers, seed=2, suffix=".npz"):
        save_piece(random, piece, path, free=True)


def render_pulseless(output: Path, count: int, first: int) -> None:
    numbers = range(first, first + count)
    for random, piece, path in draw_numbered(output, "pulseless", wander, numbers, seed=3, suffix=".npz"):
        save_piece(random, piece, path, free=False)


def read_scores(source: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every MIDI file below a folder, Doom's music out of .wad files too."""
    seen = set()
    for path in sorted(source.rglob("*")):
        if path.suffix == ".mid":
            found = [(path.stem, path.read_bytes())]
        elif path.suffix == ".wad":
            content = path.read_bytes()
            count, directory = struct.unpack("<ii", content[4:12])
            lumps = (struct.unpack_from("<ii8s", content, directory + 16 * number) for number in range(count))
            found = [
                (f"{path.stem}-{name.rstrip(bytes(1)).decode()}", content[at : at + size]) for at, size, name in lumps
            ]
        else:
            continue
        for name, content in found:
            digest = hashlib.sha256(content).hexdigest()
            if content[:4] == b"MThd" and digest not in seen:
                seen.add(digest)
                yield name, content


def render_midi(output: Path, source: Path, versions: int) -> None:
    for name, content in read_scores(source):
        where = which_set(name)
        for version in range(versions if where == "training" else 1):
            random = np.random.default_rng([4, zlib.crc32(name.encode()), version])
            path = output / where / f"midi-{name}-{version}.npz"
            if not path.exists() and (piece := read_midi(content)):
                save_piece(random, piece, path, free=False)


def render_modules(output: Path, source: Path, versions: int) -> None:
    """Modules whose bars have 16 rows; in training also faster, slower, higher and lower than written."""
    for path in sorted(source.rglob("*")):
        where = path.relative_to(source).parts[0]
        if where not in SETS or path.suffix.lower() not in tracker_modules.SUFFIXES:
            continue
        for version in range(versions if where == "training" else 1):
            random = np.random.default_rng([5, zlib.crc32(path.name.encode()), version])
            target = output / where / f"modules-{path.parent.name}-{path.name}-{version}.npz"
            factors = (random.uniform(0.8, 1.25), 2.0 ** (random.integers(-4, 5) / 12)) if version else (1.0, 1.0)
            if not target.exists():
                render_module(path, target, *factors)


def render_module(path: Path, target: Path, tempo: float, pitch: float) -> None:
    """One module, a beat being four rows, or as many as make it neither too fast nor too slow for one."""
    try:
        samples, score = tracker_modules.read_module(
            path, FEATURES.sample_rate, longest=600.0, tempo=tempo, pitch=pitch
        )
    except AudioError:
        return
    if score.bar_rows != 16 or score.seconds < 30.0:
        return
    beat_rows = tracker_modules.BEAT_ROWS
    while 60.0 / (beat_rows * score.row_seconds) > TEMPI[1]:
        beat_rows *= 2
    while 60.0 / (beat_rows * score.row_seconds) < TEMPI[0]:
        beat_rows //= 2
    beats = score.rows % beat_rows == 0
    positions = score.rows[beats] // beat_rows % (16 // beat_rows)
    save(target, to_mono(samples, FEATURES.sample_rate), score.times[beats], positions, 16 // beat_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder to write to")
    parser.add_argument("--kind", choices=("modules", "midi", "accompaniments", "patterns", "pulseless"), required=True)
    parser.add_argument("--source", type=Path, help="folder of modules or MIDI")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first piece that is made")
    parser.add_argument("--versions", type=int, default=3, help="of each module or MIDI file, in training")
    arguments = parser.parse_args()
    if arguments.kind in ("modules", "midi"):
        if arguments.source is None:
            parser.error(f"--kind {arguments.kind} needs --source")
        {"modules": render_modules, "midi": render_midi}[arguments.kind](
            arguments.scores, arguments.source, arguments.versions
        )
    else:
        make = {"accompaniments": render_accompaniments, "patterns": render_patterns, "pulseless": render_pulseless}
        make[arguments.kind](arguments.scores, arguments.count, arguments.first)


if __name__ == "__main__":
    main()
