"""Tell which stem plays in which bar of scores, for `musex.training.arrangement` to learn from.

    python models/score_activity.py SCORES/ --source MODULES/ --kind modules
    python models/score_activity.py SCORES/ --source MIDI/ --kind midi

MODULES/ holds `training`, `validation` and `evaluation`, each with a folder of tracker modules for each package. Of
each module every instrument is played alone: its name, its pitches and its sound say which stem it belongs to, and the
level of a stem in each bar whether it plays there, as with a recording's stems. MIDI files, which tell their drums and
programs, are split by name; each stem is played by FluidSynth.
"""

import argparse
import ctypes
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis import midi_scores, tracker_modules
from musex.analysis.activity import find_activity, find_likeness, slot_levels
from musex.analysis.song_analysis import analyse_signal
from musex.errors import AudioError
from musex.settings import STEMS, StemName
from musex.system.arrays import Array, save_arrays

RATE = 16_000  # Hz, at which stems are played
LONGEST_SECONDS = 600.0
LEAST_BARS = 16
LEAST_BAR_SECONDS = 1.2  # a bar that is shorter counts as half of one
DRUM_NAMES = re.compile(
    r"kick|\bbd|bass ?dr|snar|\bsn?d\b|hi-?hat|\bh?hat|\boh\b|\bch\b|drum|clap|cymb|crash|\bride|\btom|perc|rim"
    r"|shak|conga|bongo|tamb|909|808|break|beat|loop|clave|cowbell|timpan",
    re.IGNORECASE,
)
BASS_NAMES = re.compile(r"bass|\bbas\b|slap", re.IGNORECASE)
LEAD_NAMES = re.compile(r"lead|solo|melod|voice|vocal|flute|sax|trumpet|violin|whistle", re.IGNORECASE)
BASS_HERTZ = 220.0  # half of a bass's power lies below
NOISY = 0.12  # flatness of a spectrum from which it is a drum's
MONOPHONIC = 0.15  # most share of a melody's rows with several notes
PITCHES, ROWS_OF_MELODY = 5, 16  # least of a melody
SILENT_LEVEL = 1e-4
MOST_LEFT = 0.1  # of a module's power, which its instruments played alone do not add up to
NOTES = range(1, 121)


@dataclass(eq=False)
class Instrument:
    """What one instrument of a module plays, and how it sounds.

    Attributes:
        onsets: (row that sounds, channel, pitch) of each note.
        level: RMS.
        hertz: below which half of its power lies.
        flatness: of its spectrum, 0 a tone to 1 noise.
        fall_db: how far it has fallen 0.2 s after its notes begin.
        rows: in which it is heard, bool (rows,).
    """

    name: str
    onsets: list[tuple[int, int, int]] = field(default_factory=list)
    level: float = 0.0
    hertz: float = 0.0
    flatness: float = 0.0
    fall_db: float = 0.0
    rows: Array = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def pitches(self) -> int:
        return len({pitch for _, _, pitch in self.onsets})

    @property
    def polyphony(self) -> float:
        """Share of the rows with notes in which there are several."""
        rows = [row for row, _, _ in self.onsets]
        return float(np.mean(np.unique(rows, return_counts=True)[1] > 1))

    @property
    def is_drum(self) -> bool:
        if BASS_NAMES.search(self.name) and not re.search(r"dr", self.name, re.IGNORECASE):
            return False
        one_shot = self.pitches <= 2 and (self.fall_db > 10.0 or self.flatness > 0.5 * NOISY)
        return bool(DRUM_NAMES.search(self.name)) or one_shot or self.flatness > NOISY

    @property
    def is_bass(self) -> bool:
        return bool(BASS_NAMES.search(self.name)) or self.hertz < BASS_HERTZ

    def melody(self, loudest: float) -> float:
        """How much like a song's lead, 0 where it cannot be."""
        if self.pitches < PITCHES or len(self.onsets) < ROWS_OF_MELODY or self.polyphony > MONOPHONIC:
            return 0.0
        named = 2.0 if LEAD_NAMES.search(self.name) else 1.0
        pitch = float(np.log2(1.0 + self.hertz / BASS_HERTZ))
        return named * self.level / loudest * min(self.pitches, 12) * pitch


class Player:
    """A module whose instruments can be muted."""

    def __init__(self, content: bytes, path: Path) -> None:
        self.library = tracker_modules._library()
        pointer, word = ctypes.c_void_p, ctypes.c_int32
        for name, result, arguments in (
            ("module_ext_create_from_memory", pointer, [ctypes.c_char_p, ctypes.c_size_t, *[pointer] * 7]),
            ("module_ext_destroy", None, [pointer]),
            ("module_ext_get_module", pointer, [pointer]),
            ("module_ext_get_interface", ctypes.c_int, [pointer, ctypes.c_char_p, pointer, ctypes.c_size_t]),
            ("module_get_num_samples", word, [pointer]),
            ("module_get_num_instruments", word, [pointer]),
            ("module_get_num_channels", word, [pointer]),
            ("module_get_sample_name", pointer, [pointer, word]),
            ("module_get_instrument_name", pointer, [pointer, word]),
            ("free_string", None, [pointer]),
            ("module_get_pattern_row_channel_command", ctypes.c_uint8, [pointer, word, word, word, ctypes.c_int]),
            ("module_set_position_seconds", ctypes.c_double, [pointer, ctypes.c_double]),
        ):
            function = getattr(self.library, f"openmpt_{name}")
            function.restype, function.argtypes = result, arguments
        self.content, self.path = content, path
        self.ext = self.library.openmpt_module_ext_create_from_memory(content, len(content), *[None] * 7)
        if not self.ext:
            raise AudioError(f"{path} is no tracker module that libopenmpt can play")
        self.module = self.library.openmpt_module_ext_get_module(self.ext)
        functions = (pointer * 16)()
        if not self.library.openmpt_module_ext_get_interface(
            self.ext, b"interactive", ctypes.byref(functions), ctypes.sizeof(functions)
        ):
            raise AudioError("this libopenmpt cannot mute instruments")
        mute = ctypes.CFUNCTYPE(ctypes.c_int, pointer, word, ctypes.c_int)
        self._mute = mute(functions[12] or 0)  # set_instrument_mute_status
        instruments = self.library.openmpt_module_get_num_instruments(self.module)
        self.count = instruments or self.library.openmpt_module_get_num_samples(self.module)
        kind = "instrument" if instruments else "sample"
        self.names = [
            self._text(getattr(self.library, f"openmpt_module_get_{kind}_name"), n) for n in range(self.count)
        ]

    def _text(self, function: Any, number: int) -> str:
        pointer = function(self.module, number)
        text = ctypes.string_at(pointer).decode(errors="replace")
        self.library.openmpt_free_string(pointer)
        return text

    def close(self) -> None:
        self.library.openmpt_module_ext_destroy(self.ext)

    def play(self, heard: set[int], frames: int) -> Array:
        """The sound of some instruments alone, mono (frames,)."""
        another = Player(self.content, self.path)
        for number in range(self.count):
            another._mute(another.ext, number, int(number not in heard))
        block, pieces, left = np.zeros((RATE, 2), np.float32), [], frames
        pointer = block.ctypes.data_as(ctypes.c_void_p)
        read = self.library.openmpt_module_read_interleaved_float_stereo
        while left > 0 and (count := read(another.module, RATE, RATE, pointer)):
            pieces.append(block[:count].mean(axis=1))
            left -= count
        another.close()
        sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        return np.pad(sound, (0, max(0, frames - len(sound))))[:frames]

    def instruments(self, score: tracker_modules.Score, frames: int) -> list[Instrument]:
        """Every instrument, with what it plays and how it sounds."""
        found = [Instrument(name) for name in self.names]
        channels = self.library.openmpt_module_get_num_channels(self.module)
        command = self.library.openmpt_module_get_pattern_row_channel_command
        current = [0] * channels
        for place, (pattern, row) in enumerate(zip(score.patterns.tolist(), score.rows.tolist(), strict=True)):
            for channel in range(channels):
                note, number = (command(self.module, pattern, row, channel, what) for what in (0, 1))
                current[channel] = number or current[channel]
                if note in NOTES and 0 < current[channel] <= len(found):
                    found[current[channel] - 1].onsets.append((place, channel, note))
        for number, instrument in enumerate(found):
            if instrument.onsets:
                self._listen(instrument, self.play({number}, frames), score)
        return found

    def _listen(self, instrument: Instrument, sound: Array, score: tracker_modules.Score) -> None:
        instrument.level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
        size = 2048
        parts = sound[: len(sound) // size * size].reshape(-1, size)
        parts = parts[np.abs(parts).max(axis=1) > SILENT_LEVEL]
        if not len(parts):
            instrument.level = 0.0
            return
        power = np.square(np.abs(np.fft.rfft(parts * np.hanning(size), axis=1))).mean(axis=0)
        hertz = np.fft.rfftfreq(size, 1 / RATE)
        instrument.hertz = float(np.interp(0.5, np.cumsum(power) / power.sum(), hertz))
        middle = power[(hertz > 150.0) & (hertz < 7000.0)] + 1e-12
        instrument.flatness = float(np.exp(np.mean(np.log(middle))) / np.mean(middle))
        falls = []
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
        for row in sorted({row for row, _, _ in instrument.onsets}):
            at = round(score.times[row] * RATE)
            first, later = (
                energy[min(at + round(b * RATE), len(sound))] - energy[min(at + round(a * RATE), len(sound))]
                for a, b in ((0.0, 0.06), (0.17, 0.23))
            )
            falls.append(10.0 * np.log10((first + 1e-9) / (later + 1e-9)))
        instrument.fall_db = float(np.median(falls))
        starts = np.clip(np.rint(score.times * RATE).astype(np.int64), 0, len(sound))
        levels = np.diff(energy[np.append(starts, len(sound))])
        instrument.rows = levels > levels.max() * 10.0**-2.0


def classify(instruments: list[Instrument]) -> dict[StemName, set[int]]:
    """Which instruments belong to which stem; all that sound belong to one."""
    stems: dict[StemName, set[int]] = {name: set() for name in STEMS}
    loudest = max([each.level for each in instruments], default=0.0)
    pitched = []
    for number, each in enumerate(instruments):
        if not each.level:
            continue
        if each.is_drum:
            stems["drums"].add(number)
        elif each.is_bass:
            stems["bass"].add(number)
        else:
            pitched.append(number)
    ranked = sorted(pitched, key=lambda number: -instruments[number].melody(loudest))
    lead: Array | None = None
    for number in ranked:
        each = instruments[number]
        if each.melody(loudest) > 0.0 and (lead is None or np.mean(lead[each.rows]) < 0.15):
            lead = each.rows if lead is None else lead | each.rows
            stems["voice"].add(number)
        else:
            stems["rest"].add(number)
    return stems


def bars_of_module(score: tracker_modules.Score) -> Array:
    """Seconds at which bars begin and the last one ends; empty where the metre is not constant."""
    rows = score.bar_rows
    if not rows:
        return np.zeros(0)
    while rows * score.row_seconds < LEAST_BAR_SECONDS:
        rows *= 2
    return np.append(score.times[::rows], score.seconds)


def read_module(path: Path) -> dict[str, Array] | None:
    """What is kept of a module; None where it has no bars, or too few."""
    samples, score = tracker_modules.read_module(path, RATE, longest=LONGEST_SECONDS)
    seconds = bars_of_module(score)
    if len(seconds) <= LEAST_BARS:
        return None
    player = Player(path.read_bytes(), path)
    stems = classify(player.instruments(score, len(samples)))
    sounds = {name: player.play(numbers, len(samples)) for name, numbers in stems.items() if numbers}
    player.close()
    mono = samples.mean(axis=1)
    if not sounds or np.var(mono - np.sum(list(sounds.values()), axis=0)) > MOST_LEFT * np.var(mono):
        return None
    return describe(sounds, mono, seconds)


def describe(sounds: dict[StemName, Array], mono: Array, seconds: Array) -> dict[str, Array]:
    bounds = seconds * RATE
    levels = {name: slot_levels(sound, bounds) for name, sound in sounds.items()}
    return {
        "activity": find_activity(levels),
        "likeness": find_likeness(analyse_signal(mono, RATE), seconds),
        "bar_seconds": np.array(float(np.median(np.diff(seconds)))),
    }


def stem_of_program(program: int) -> StemName:
    return "bass" if 32 <= program <= 39 else "drums" if 112 <= program <= 119 else "rest"


def channels_of(midi: Any, bar_ticks: float) -> dict[StemName, set[int]]:
    """Which channels of a MIDI file belong to which stem."""
    tick, programs = 0, [0] * midi_scores.CHANNELS
    notes: dict[int, list[tuple[int, int]]] = {}
    kinds: dict[int, list[StemName]] = {}
    for message in midi.tracks[0]:
        tick += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type == "note_on" and message.velocity:
            notes.setdefault(message.channel, []).append((tick, message.note))
            kinds.setdefault(message.channel, []).append(stem_of_program(programs[message.channel]))
    stems: dict[StemName, set[int]] = {name: set() for name in STEMS}
    scores = {}
    for channel, played in notes.items():
        usual = max(set(kinds[channel]), key=kinds[channel].count)
        if channel == midi_scores.DRUM_CHANNEL or usual == "drums":
            stems["drums"].add(channel)
        elif usual == "bass":
            stems["bass"].add(channel)
        else:
            stems["rest"].add(channel)
            ticks = [at for at, _ in played]
            single = np.mean(np.unique(ticks, return_counts=True)[1] == 1)
            pitch = float(np.mean([note for _, note in played]))
            if single >= 0.8 and len({note for _, note in played}) >= PITCHES and len(played) >= ROWS_OF_MELODY:
                scores[channel] = pitch + 12.0 * np.log2(len({int(at // bar_ticks) for at in ticks}))
    if scores:
        lead = max(scores, key=scores.__getitem__)
        stems["rest"].discard(lead)
        stems["voice"].add(lead)
    return stems


def read_midi(path: Path, soundfont: Path) -> dict[str, Array] | None:
    """What is kept of a MIDI file; None where it tells no metre that is played to, or too few bars."""
    midi, score = midi_scores.read_midi(path)
    beats, beat = score.metre
    if not beats or len(score.bars) <= LEAST_BARS:
        return None
    seconds = np.append(score.to_seconds(score.bars), score.seconds - midi_scores.TAIL_SECONDS)
    step = 1
    while step * float(np.median(np.diff(seconds))) < LEAST_BAR_SECONDS:
        step *= 2
    seconds = np.unique(np.append(seconds[:-1:step], seconds[-1]))
    sounds = {}
    stems = channels_of(midi, beats * beat)
    for name, channels in stems.items():
        if channels:
            sounds[name] = play(midi, channels, soundfont)
    frames = max(map(len, sounds.values()))
    sounds = {name: np.pad(sound, (0, frames - len(sound))) for name, sound in sounds.items()}
    return describe(sounds, np.sum(list(sounds.values()), axis=0), seconds)


def play(midi: Any, channels: set[int], soundfont: Path) -> Array:
    """Some channels alone, mono."""
    import mido

    track, waited = mido.MidiTrack(), 0
    for message in midi.tracks[0]:
        if message.type in ("note_on", "note_off") and message.channel not in channels:
            waited += message.time
        else:
            track.append(message.copy(time=message.time + waited))
            waited = 0
    some = mido.MidiFile(type=0, ticks_per_beat=midi.ticks_per_beat)
    some.tracks.append(track)
    options = ["-R", "0", "-C", "0", "-o", "synth.dynamic-sample-loading=1"]
    return np.asarray(midi_scores.play_midi(some, soundfont, RATE, options=options).mean(axis=1))


def which_set(name: str) -> str:
    """Eight of ten for training, one for validation, one for evaluation, by the name."""
    return {8: "validation", 9: "evaluation"}.get(zlib.crc32(name.encode()) % 10, "training")


def found_scores(source: Path, kind: str) -> Iterator[tuple[Path, str, str]]:
    """Every score below a folder, the set that it belongs to, and its name."""
    suffixes = tracker_modules.SUFFIXES if kind == "modules" else midi_scores.SUFFIXES
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in suffixes and path.is_file():
            if kind == "modules":
                yield path, path.relative_to(source).parts[0], f"{path.parent.name}-{path.name}"
            else:
                yield path, which_set(path.stem), f"midi-{path.stem}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder to write to")
    parser.add_argument("--source", type=Path, required=True, help="folder of modules or MIDI")
    parser.add_argument("--kind", choices=("modules", "midi"), required=True)
    parser.add_argument("--sets", nargs="+", default=["training", "validation"], help="evaluation is left for the end")
    arguments = parser.parse_args()
    for path, where, name in found_scores(arguments.source, arguments.kind):
        target = arguments.scores / where / f"{name}.npz"
        if where not in arguments.sets or target.exists():
            continue
        try:
            if arguments.kind == "modules":
                kept = read_module(path)
            else:
                kept = read_midi(path, midi_scores.find_soundfonts()[0])
        except AudioError as error:
            print(f"left out: {name} ({error})", flush=True)
            continue
        if kept is None:
            print(f"left out: {name}", flush=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        save_arrays(kept, target)
        active = (kept["activity"] >= 0.5).mean(axis=0)
        print(f"{name}: {len(kept['activity'])} bars, " + " ".join(f"{share:.2f}" for share in active), flush=True)


if __name__ == "__main__":
    main()
