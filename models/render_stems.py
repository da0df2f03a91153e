"""Render scores whose drums and bass are known: what the separator learns from.

    python models/render_stems.py STEMS/ --kind modules --source MODULES/
    python models/render_stems.py STEMS/ --kind midi --source MIDI/
    python models/render_stems.py STEMS/ --kind accompaniments --count 160
    python models/render_stems.py STEMS/ --kind patterns --count 40
    python models/render_stems.py STEMS/ --kind pulseless --count 10

Each piece becomes `STEMS/SET/KIND-NAME.npy`: int16 (3, frames, 2) at 44.1 kHz, its drums, its bass and the rest, whose
sum is the piece. `MODULES` holds the folders training, validation and evaluation, each with a folder for each package;
MIDI is split by file, accompaniments by `mma` by groove file. What is there is not made again.

Drums are channel 10 of MIDI, bass its programs 32 to 39. What instruments of modules are is told by their names, how
many pitches they play, and how each sounds by itself; what stays unclear is left out of the piece.

It needs what `models/render_scores.py` needs.
"""

import argparse
import ctypes
import ctypes.util
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import mido
import numpy as np
from render_scores import (
    DRUMS,
    SETS,
    STALL_SECONDS,
    Piece,
    Random,
    draw_accompaniments,
    draw_numbered,
    draw_sound,
    make_pattern,
    notes_of,
    read_scores,
    wander,
    which_set,
    write_midi,
)

from musex.analysis import midi_scores, percussion, tracker_modules
from musex.errors import AudioError
from musex.system.arrays import Array, save_array

STEMS = ("drums", "bass", "rest")
RATE = 44_100
LONGEST = {"modules": 120.0, "midi": 75.0, "accompaniments": 75.0, "patterns": 60.0, "pulseless": 60.0}  # seconds
PEAK = 0.9  # of the loudest stem, or the sum

BASS_PROGRAMS = range(32, 40)
UNCLEAR_PROGRAMS = (47, 112, 113, 114, 115, 116, 117, 118, 119)  # timpani to reversed cymbals: neither drums nor not
DEEP = 46  # median pitch of a bass line, whatever plays it
KITS = (0, 8, 16, 24, 25, 32, 40, 48)

BLOCK = 4096  # frames
MOST_RESIDUAL_DB = -10.0  # of what the parts of a module leave of it
SILENT = 1e-4  # an instrument that is not heard
NOTE, INSTRUMENT = 0, 1  # of a cell of a pattern, to libopenmpt
HIGHEST_NOTE = 120


def split_events(piece: Piece) -> dict[str, Piece]:
    """A piece of MIDI for each stem that has notes: the same but for the notes of others."""
    parts: dict[str, list[tuple[int, mido.Message]]] = {stem: [] for stem in STEMS}
    counts: Counter[str] = Counter()
    programs = [0] * midi_scores.CHANNELS
    begun: dict[tuple[int, int], str | None] = {}
    rank = {"program_change": 0, "control_change": 0, "note_off": 1}
    for tick, message in sorted(piece.events, key=lambda event: (event[0], rank.get(event[1].type, 2))):
        if message.type not in ("note_on", "note_off"):
            if message.type == "program_change":
                programs[message.channel] = message.program
            for events in parts.values():
                events.append((tick, message.copy()))
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity:
            program = programs[message.channel]
            if message.channel == DRUMS:
                begun[key] = "drums"
            elif program in UNCLEAR_PROGRAMS:
                begun[key] = None
            else:
                begun[key] = "bass" if program in BASS_PROGRAMS else "rest"
            counts[str(begun[key])] += 1
        if (stem := begun.get(key)) is not None:
            parts[stem].append((tick, message.copy()))
    return {stem: replace(piece, events=events) for stem, events in parts.items() if counts[stem]}


def vary(random: Random, piece: Piece) -> None:
    """Other instruments of the same stem, another key, tempo and balance; what plays low plays a bass."""
    shift, scale = int(random.integers(-5, 7)), float(random.uniform(0.85, 1.2))
    changed = random.random(midi_scores.CHANNELS) < 0.5
    gains = random.uniform(0.5, 1.2, midi_scores.CHANNELS)
    heights: dict[int, list[int]] = {}
    for _, message in piece.events:
        if message.type == "note_on" and message.velocity:
            heights.setdefault(message.channel, []).append(message.note)
    deep = {channel for channel, notes in heights.items() if np.median(notes) < DEEP}
    others = [program for program in range(112) if program not in (*BASS_PROGRAMS, *UNCLEAR_PROGRAMS)]
    events: list[tuple[int, mido.Message]] = []
    if random.random() < 0.5:
        events.append((0, mido.Message("program_change", channel=DRUMS, program=int(random.choice(KITS)))))
    for tick, message in piece.events:
        channel = getattr(message, "channel", None)
        if message.type == "program_change" and channel != DRUMS:
            bass = message.program in BASS_PROGRAMS
            if changed[channel] or (channel in deep and not bass):
                message.program = int(random.choice(BASS_PROGRAMS if bass or channel in deep else others))
        if message.type in ("note_on", "note_off") and channel != DRUMS:
            message.note = min(max(message.note + shift, 0), 127)
        if message.type == "note_on" and message.velocity:
            message.velocity = min(max(int(message.velocity * gains[channel]), 1), 127)
        events.append((tick, message))
    piece.events = events
    piece.tempi = [(tick, tempo * scale) for tick, tempo in piece.tempi]


def render_piece(random: Random, piece: Piece, longest: float, *, held: bool) -> Array:
    """The stems of a piece, float32 (3, frames, 2), all in one room with one soundfont."""
    font, options = draw_sound(random, held=held)
    sounds = {}
    for stem, part in split_events(piece).items():
        sounds[stem] = midi_scores.play_midi(
            write_midi(part, longest), font, RATE, options=options, stall_seconds=STALL_SECONDS
        )
    frames = min(round(longest * RATE), max(map(len, sounds.values())))
    stems = np.zeros((len(STEMS), frames, 2), np.float32)
    for stem, sound in sounds.items():
        stems[STEMS.index(stem), : len(sound)] = sound[:frames]
    return stems


def read_piece(content: bytes) -> Piece | None:
    """A MIDI file; None for one that is damaged, or short."""
    try:
        midi = mido.MidiFile(file=io.BytesIO(content), clip=True)
        events = list(notes_of(midi))
        tick, tempi = 0, {0: 120.0}
        for message in mido.merge_tracks(midi.tracks):
            tick += message.time
            if message.type == "set_tempo":
                tempi[tick] = mido.tempo2bpm(message.tempo)
    except (OSError, ValueError, EOFError, IndexError, KeyError):
        return None
    if sum(message.type == "note_on" for _, message in events) < 100:
        return None
    return Piece(events, list(tempi.items()), np.zeros(0), np.zeros(0), 0, midi.ticks_per_beat)


def save(path: Path, stems: Array) -> None:
    """Keep stems at a level that none of them, nor their sum, exceeds."""
    peak = max(float(np.abs(stems).max(initial=0.0)), float(np.abs(stems.sum(axis=0)).max(initial=0.0)))
    if not peak:
        print(f"left out, silent: {path.name}", flush=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    save_array(np.rint(stems * (PEAK * 32767.0 / peak)).astype(np.int16), path)


def save_piece(random: Random, piece: Piece, path: Path, *, varied: bool = True) -> None:
    if varied:
        vary(random, piece)
    try:
        longest = LONGEST[path.stem.split("-")[0]]
        save(path, render_piece(random, piece, longest, held=path.parent.name != "training"))
    except AudioError as error:
        print(f"left out: {path.name} ({error})", flush=True)


def render_accompaniments(output: Path, count: int, first: int) -> None:
    for random, piece, path in draw_accompaniments(output, range(first, first + count), seed=11, suffix=".npy"):
        save_piece(random, piece, path)


def render_patterns(output: Path, count: int, first: int) -> None:
    numbers = range(first, first + count)
    for random, piece, path in draw_numbered(output, "patterns", make_pattern, numbers, seed=12, suffix=".npy"):
        save_piece(random, piece, path)


def render_pulseless(output: Path, count: int, first: int) -> None:
    numbers = range(first, first + count)
    for random, piece, path in draw_numbered(output, "pulseless", wander, numbers, seed=13, suffix=".npy"):
        save_piece(random, piece, path)


def render_midi(output: Path, source: Path) -> None:
    for name, content in read_scores(source):
        random = np.random.default_rng([14, zlib.crc32(name.encode())])
        path = output / which_set(name) / f"midi-{name}.npy"
        if not path.exists() and (piece := read_piece(content)):
            save_piece(random, piece, path, varied=path.parent.name == "training")


@cache
def _library() -> Any:
    """libopenmpt with its extension that silences instruments."""
    library = ctypes.CDLL(ctypes.util.find_library("openmpt"))
    library.openmpt_module_ext_create_from_memory.restype = ctypes.c_void_p
    library.openmpt_module_ext_create_from_memory.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        *[ctypes.c_void_p] * 7,
    ]
    library.openmpt_module_ext_destroy.argtypes = [ctypes.c_void_p]
    library.openmpt_module_ext_get_module.restype = ctypes.c_void_p
    library.openmpt_module_ext_get_module.argtypes = [ctypes.c_void_p]
    library.openmpt_module_ext_get_interface.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    ]
    library.openmpt_module_read_interleaved_float_stereo.restype = ctypes.c_size_t
    library.openmpt_module_read_interleaved_float_stereo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ]
    for what in ("instruments", "samples", "channels", "orders"):
        function = getattr(library, f"openmpt_module_get_num_{what}")
        function.restype, function.argtypes = ctypes.c_int32, [ctypes.c_void_p]
    for what in ("order_pattern", "pattern_num_rows"):
        function = getattr(library, f"openmpt_module_get_{what}")
        function.restype, function.argtypes = ctypes.c_int32, [ctypes.c_void_p, ctypes.c_int32]
    for what in ("instrument", "sample"):
        function = getattr(library, f"openmpt_module_get_{what}_name")
        function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32]
    library.openmpt_free_string.argtypes = [ctypes.c_void_p]
    cell = library.openmpt_module_get_pattern_row_channel_command
    cell.restype, cell.argtypes = ctypes.c_uint8, [ctypes.c_void_p, *[ctypes.c_int32] * 3, ctypes.c_int]
    return library


FACTOR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double)
MUTE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int)
# The places of functions in openmpt_module_ext_interface_interactive (libopenmpt_ext.h).
TEMPO_FACTOR, PITCH_FACTOR, MUTE_INSTRUMENT, FUNCTIONS = 2, 4, 12, 16


class Module:
    """A tracker module whose instruments can be played one by one."""

    def __init__(self, path: Path) -> None:
        self.library, self.content = _library(), path.read_bytes()
        with self._open() as (module, _):
            self.instruments = max(self.library.openmpt_module_get_num_instruments(module), 0)
            self.kind = "instrument" if self.instruments else "sample"
            self.instruments = self.instruments or self.library.openmpt_module_get_num_samples(module)
            self.names = [self._name(module, number) for number in range(self.instruments)]
            self.pitches = self._count_pitches(module)

    @contextmanager
    def _open(self) -> Iterator[tuple[int, tuple[int, Any]]]:
        """The module, and the extended module with its functions; for as long as the block lasts."""
        library = self.library
        extended = library.openmpt_module_ext_create_from_memory(self.content, len(self.content), *[None] * 7)
        if not extended:
            raise AudioError("it is no tracker module that libopenmpt can play")
        functions = (ctypes.c_void_p * FUNCTIONS)()
        try:
            size = ctypes.sizeof(functions)
            if not library.openmpt_module_ext_get_interface(extended, b"interactive", functions, size):
                raise AudioError("libopenmpt does not silence instruments here")
            yield library.openmpt_module_ext_get_module(extended), (extended, functions)
        finally:
            library.openmpt_module_ext_destroy(extended)

    def _name(self, module: int, number: int) -> str:
        text = getattr(self.library, f"openmpt_module_get_{self.kind}_name")(module, number)
        name = (ctypes.string_at(text) or b"").decode(errors="replace") if text else ""
        self.library.openmpt_free_string(text)
        return name

    def _count_pitches(self, module: int) -> list[Counter[int]]:
        """How often each instrument plays each note."""
        counts: list[Counter[int]] = [Counter() for _ in range(self.instruments)]
        library = self.library
        channels = library.openmpt_module_get_num_channels(module)
        current = [0] * channels
        for order in range(library.openmpt_module_get_num_orders(module)):
            pattern = library.openmpt_module_get_order_pattern(module, order)
            for row in range(max(0, library.openmpt_module_get_pattern_num_rows(module, pattern))):
                for channel in range(channels):
                    read = library.openmpt_module_get_pattern_row_channel_command
                    note = read(module, pattern, row, channel, NOTE)
                    current[channel] = read(module, pattern, row, channel, INSTRUMENT) or current[channel]
                    if 0 < note <= HIGHEST_NOTE and 0 < current[channel] <= self.instruments:
                        counts[current[channel] - 1][note] += 1
        return counts

    def play(self, longest: float, *, alone: int | None = None, tempo: float = 1.0, pitch: float = 1.0) -> Array:
        """The first seconds, float32 (frames, 2), all of it or one instrument alone."""
        pieces, left = [], round(longest * RATE)
        with self._open() as (module, (extended, functions)):
            FACTOR(functions[TEMPO_FACTOR])(extended, tempo)
            FACTOR(functions[PITCH_FACTOR])(extended, pitch)
            mute = MUTE(functions[MUTE_INSTRUMENT])
            for number in range(self.instruments if alone is not None else 0):
                mute(extended, number, int(number != alone))
            block = np.zeros((BLOCK, 2), np.float32)
            pointer = block.ctypes.data_as(ctypes.c_void_p)
            while left > 0 and (
                count := self.library.openmpt_module_read_interleaved_float_stereo(
                    module, RATE, min(BLOCK, left), pointer
                )
            ):
                pieces.append(block[:count].copy())
                left -= count
        return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)


@dataclass(frozen=True)
class Character:
    """What an instrument of a module is like.

    Attributes:
        name: as the composer wrote it, or what it was used to say.
        notes: how many it plays.
        pitches: how many different ones cover nine of ten notes.
        percussive: share of its energy that median filtering takes for percussion.
        low: share of its energy below `LOW_HZ`.
        centroid: of its energy, Hz.
        level: dB.
    """

    name: str
    notes: int
    pitches: int
    percussive: float
    low: float
    centroid: float
    level: float


LOW_HZ = 250.0
HEARD_SECONDS = 8.0  # of an instrument, its loudest
DRUM_NAMES = re.compile(
    r"kick|bass ?-?dr|bdr|\bbd\d*\b|snare|\bsnr?\d*\b|\bsd\d*\b|hi-?hat|h-?hat|\bhats?\b|\bhh\d*\b|\b[oc]hh?\b|cymb"
    r"|crash|\bride\b|\btoms?\d*\b|clap|drum|perc|conga|bongo|shaker|cowbell|tamb|rim ?shot|clave|\bkit\b|break|maraca",
    re.IGNORECASE,
)
BASS_NAMES = re.compile(r"bass|\bbas\b|\bsub\b|303", re.IGNORECASE)


def hear(module: Module, number: int, sound: Array) -> Character:
    """The character of an instrument from what it plays alone, float32 (frames, 2)."""
    counts = module.pitches[number]
    shares = np.cumsum(sorted(counts.values(), reverse=True)) / max(1, sum(counts.values()))
    loudness = np.cumsum(np.concatenate([[0.0], np.sum(sound.astype(np.float64) ** 2, axis=1)]))
    size = min(len(sound), round(HEARD_SECONDS * RATE))
    start = int(np.argmax(loudness[size:] - loudness[: len(loudness) - size]))
    sound = sound[start : start + size]
    energy = float(np.sum(sound.astype(np.float64) ** 2))
    heard = sound.mean(axis=1, keepdims=True)
    heard = heard if np.sum(heard**2) > 0.1 * energy / 2 else sound[:, :1]
    power = np.zeros(1025)
    for start in range(0, len(heard) - 2048, 2048):
        power += np.abs(np.fft.rfft(np.hanning(2048) * heard[start : start + 2048, 0])) ** 2
    hertz = np.fft.rfftfreq(2048, 1 / RATE)
    total = max(float(power.sum()), 1e-12)
    struck = percussion.separate(heard)
    return Character(
        module.names[number].strip(),
        sum(counts.values()),
        int(np.searchsorted(shares, 0.9) + 1) if len(shares) else 0,
        float(np.sum(struck**2) / max(float(np.sum(heard**2)), 1e-12)),
        float(power[hertz < LOW_HZ].sum() / total),
        float(hertz @ power / total),
        10.0 * np.log10(max(energy / max(1, sound.size), 1e-12)),
    )


def sort_instrument(heard: Character) -> str:
    """The stem of an instrument; "" where it stays unclear. By the modules of training packages, told apart by hand."""
    drum = bool(DRUM_NAMES.search(heard.name))
    bass = bool(BASS_NAMES.search(heard.name)) and not drum
    noisy = heard.centroid > 3500.0 and not 0.05 < heard.low < 0.2
    struck = [
        drum and heard.pitches <= 4 and (heard.percussive >= 0.3 or heard.pitches <= 2),
        heard.pitches <= 2 and (heard.percussive >= 0.3 or heard.low >= 0.9 or noisy),
        heard.pitches <= 5 and heard.percussive >= 0.85 and heard.notes >= 8,
    ]
    if not bass and any(struck):
        return "drums"
    if heard.pitches < 3 or heard.percussive >= 0.95:
        return ""
    deep = heard.low >= 0.6 and heard.centroid < 300.0
    if heard.percussive < 0.6 and (deep or (bass and heard.low >= 0.4 and heard.centroid < 600.0)):
        return "bass"
    plays = heard.percussive < 0.6 and (heard.low < 0.45 or heard.centroid >= 400.0)
    plucks = heard.pitches >= 6 and heard.low < 0.45
    return "rest" if (plays or plucks) and not bass else ""


def render_modules(output: Path, source: Path) -> None:
    """Modules, those for training a little faster or slower, higher or lower than written."""
    for path in (path for where in SETS for path in sorted((source / where).rglob("*"))):
        where = path.relative_to(source).parts[0]
        target = output / where / f"modules-{path.parent.name}-{path.name}.npy"
        if path.suffix.lower() not in tracker_modules.SUFFIXES or target.exists():
            continue
        random = np.random.default_rng([15, zlib.crc32(path.name.encode())])
        speed = float(random.uniform(0.9, 1.12)) if where == "training" else 1.0
        pitch = float(2.0 ** (random.integers(-3, 4) / 12)) if where == "training" else 1.0
        try:
            render_module(path, target, tempo=speed, pitch=pitch)
        except AudioError as error:
            print(f"left out: {target.name} ({error})", flush=True)


def render_module(path: Path, target: Path, *, tempo: float, pitch: float) -> None:
    """The stems of one module, and in the log what its instruments were taken for."""
    module, longest = Module(path), LONGEST["modules"]
    whole = module.play(longest, tempo=tempo, pitch=pitch)
    stems, others = np.zeros((len(STEMS), *whole.shape), np.float32), np.zeros_like(whole)
    for number in range(module.instruments):
        if not module.pitches[number]:
            continue
        sound = module.play(longest, alone=number, tempo=tempo, pitch=pitch)
        if len(sound) != len(whole):
            raise AudioError("it plays another time without some instruments")
        if float(np.abs(sound).max(initial=0.0)) < SILENT:
            continue
        heard = hear(module, number, sound)
        stem = sort_instrument(heard)
        print(f"  {stem or 'unclear':8}{heard}", flush=True)
        if stem:
            stems[STEMS.index(stem)] += sound
        else:
            others += sound
    left = float(np.sum((whole - stems.sum(axis=0) - others) ** 2) / max(float(np.sum(whole**2)), 1e-9))
    if left > 10 ** (MOST_RESIDUAL_DB / 10):
        raise AudioError(f"its instruments are not all of it: {10 * np.log10(left):.0f} dB are left")
    print(f"{target.name}: unclear {float(np.sum(others**2) / np.sum(whole**2)):.2f} of it", flush=True)
    save(target, stems)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stems", type=Path, help="folder to write to")
    parser.add_argument("--kind", choices=tuple(LONGEST), required=True)
    parser.add_argument("--source", type=Path, help="folder of modules or MIDI")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first piece that is made")
    arguments = parser.parse_args()
    if arguments.kind in ("modules", "midi"):
        if arguments.source is None:
            parser.error(f"--kind {arguments.kind} needs --source")
        {"modules": render_modules, "midi": render_midi}[arguments.kind](arguments.stems, arguments.source)
    else:
        make = {"accompaniments": render_accompaniments, "patterns": render_patterns, "pulseless": render_pulseless}
        make[arguments.kind](arguments.stems, arguments.count, arguments.first)


if __name__ == "__main__":
    main()
