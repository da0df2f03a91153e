"""Build a training set for beats and bars: scores whose beats are known, rendered, kept as features.

    python models/render_scores.py SCORES/ --composed 300 --accompaniments 300 --pulseless 60
    python models/render_scores.py SCORES/ --midi DEBS/

Scores are composed at random (compose_scores.py), accompaniments in the grooves of Debian's `mma`, and MIDI files of
unpacked packages (DEBS/PACKAGE/...), as far as they tell their metre. FluidSynth's library renders them in random
soundfonts. Each score becomes SCORES/GROUP/NAME.npz: log-mel in half decibels above the floor (uint8), the
seconds of its beats, and their positions in the bar. Groups are split as one: grooves by family, MIDI by package.
"""

import argparse
import ctypes
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import mido
import numpy as np
from compose_scores import DRUM_CHANNEL, PROGRAMS, Composer, Score, compose_pulseless

from musex import features
from musex.config import FEATURES
from musex.features import log_mel_frames

features.BLOCK_FRAMES = 128  # what fits the cache takes half the time
libc = ctypes.CDLL(None)  # gives large arrays back and asks for them anew, as in musex/networks/__init__.py
libc.mallopt(-4, 0)
libc.mallopt(-1, 2**31 - 1)

GROOVES = Path("/usr/share/mma/lib")
MMA_TICKS = 192  # in a beat of mma
SOUNDFONTS = {  # how often
    "/usr/share/sounds/sf2/FluidR3_GM.sf2": 0.4,  # fluid-soundfont-gm
    "/usr/share/sounds/sf2/TimGM6mb.sf2": 0.25,  # timgm6mb-soundfont
    "/usr/share/sounds/sf2/OPL-3_FM_128M.sf2": 0.2,  # opl3-soundfont
    "/usr/share/sounds/sf2/sf_GMbank.sf2": 0.15,  # csound-soundfont
}
CHORDS = ("", "m", "7", "m7", "M7", "m7b5", "dim7", "sus4", "6", "9")
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
DRUMS = 128  # added to a drum kit's program
NOTE_SECONDS = 2.0
LEAD = 3  # frames: an analysis window hears an attack this much earlier
LINEAR = 1  # FluidSynth's interpolation: half the time of its default, and dull enough at 22 kHz
ON_GRID = 0.3  # of a MIDI file's notes: fewer on quarter notes, and it was played in without its metronome


class Synthesizer:
    """FluidSynth's library: a MIDI file to mono samples, many times faster than real time."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libfluidsynth.so.3")
        for name in ("new_fluid_settings", "new_fluid_synth", "new_fluid_player"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.synths: dict[str, ctypes.c_void_p] = {}

    def open(self, font: str) -> ctypes.c_void_p:
        """The synthesizer that plays a soundfont."""
        if font not in self.synths:
            settings = ctypes.c_void_p(self.library.new_fluid_settings())
            self.library.fluid_settings_setnum(settings, b"synth.sample-rate", ctypes.c_double(FEATURES.sample_rate))
            self.library.fluid_settings_setint(settings, b"synth.polyphony", 96)
            synth = ctypes.c_void_p(self.library.new_fluid_synth(settings))
            if self.library.fluid_synth_sfload(synth, font.encode(), 1) < 0:
                sys.exit(f"{font} cannot be loaded")
            self.library.fluid_synth_set_interp_method(synth, -1, LINEAR)
            self.synths[font] = synth
        return self.synths[font]

    def render_note(self, font: str, program: int, key: int) -> np.ndarray:
        """One held note from its attack on; `program` of drums is 128 and more."""
        synth, channel = self.open(font), DRUM_CHANNEL if program >= DRUMS else 0
        self.library.fluid_synth_system_reset(synth)
        self.library.fluid_synth_set_reverb_on(synth, 0)
        self.library.fluid_synth_set_chorus_on(synth, 0)
        self.library.fluid_synth_program_change(synth, channel, program % DRUMS)
        self.library.fluid_synth_noteon(synth, channel, key, 100)
        return self._write(synth, int(NOTE_SECONDS * FEATURES.sample_rate))

    def render(self, midi: bytes, font: str, seconds: float, *, is_wet: bool) -> np.ndarray:
        """Mono samples at the features' sample rate, the first at the file's first tick."""
        synth = self.open(font)
        self.library.fluid_synth_system_reset(synth)
        self.library.fluid_synth_set_reverb_on(synth, int(is_wet))
        self.library.fluid_synth_set_chorus_on(synth, 0)
        player = ctypes.c_void_p(self.library.new_fluid_player(synth))
        self.library.fluid_player_add_mem(player, midi, ctypes.c_size_t(len(midi)))
        self.library.fluid_player_play(player)
        samples = self._write(synth, int(seconds * FEATURES.sample_rate))
        self.library.delete_fluid_player(player)
        return samples

    def _write(self, synth: ctypes.c_void_p, count: int) -> np.ndarray:
        channels = np.empty((2, count), np.float32)
        left, right = (channel.ctypes.data_as(ctypes.c_void_p) for channel in channels)
        self.library.fluid_synth_write_float(synth, count, left, 0, 1, right, 0, 1)
        return np.asarray(channels.mean(axis=0), np.float32)


class NoteBank:
    """Log-mel of scores by adding up the power of single notes: fifty times faster than rendering what they sound like.

    Each note of each instrument is rendered once, at half frames; every second key only, the other sounds like it.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        self.synthesizer = synthesizer
        self.notes: dict[tuple[str, int, int], np.ndarray] = {}

    def note(self, font: str, program: int, key: int) -> np.ndarray:
        """Power of a held note, (2, frames, n_mels): its attack after LEAD frames, and half a frame later."""
        key = key if program >= DRUMS else key // 2 * 2
        if (font, program, key) not in self.notes:
            samples = self.synthesizer.render_note(font, program, key)
            frames = LEAD + len(samples) // FEATURES.hop_length
            late = [
                log_mel_frames(np.pad(samples, (LEAD * FEATURES.hop_length + half, 0)), frames)
                for half in (0, FEATURES.hop_length // 2)
            ]
            self.notes[font, program, key] = (10 ** (np.array(late) / 10) - 1e-10).astype(np.float32)
        return self.notes[font, program, key]

    def render(self, midi: bytes, seconds: float, random: np.random.Generator) -> np.ndarray:
        """Log-mel in dB (frames, n_mels) of a MIDI file, every channel in a soundfont of its own."""
        frames = int(seconds * FEATURES.sample_rate / FEATURES.hop_length)
        power = np.zeros((frames + 2 * LEAD + 2, FEATURES.n_mels), np.float32)
        fonts = random.choice(list(SOUNDFONTS), 16, p=list(SOUNDFONTS.values()))
        release = 10 ** (-random.uniform(0.25, 2.0, 16) * 60 / 50 / 10)  # 60 dB in 0.5 to 4 s
        for channel, program, key, velocity, start, stop in read_notes(midi):
            if start >= seconds:
                continue
            place = round(2 * start * FEATURES.sample_rate / FEATURES.hop_length)
            template = self.note(str(fonts[channel]), program, key)[place % 2]
            held = LEAD + 1 + int((stop - start) * FEATURES.sample_rate / FEATURES.hop_length)
            tail = template[:held] if program < DRUMS else template
            if program < DRUMS:
                last = tail[-1] * release[channel] ** np.arange(1, 40)[:, None]
                tail = np.concatenate([tail, last])
            into = power[place // 2 : place // 2 + len(tail)]
            into += velocity * tail[: len(into)]
        power = power[LEAD : LEAD + frames]
        return np.asarray(10.0 * np.log10(np.maximum(power, 1e-12)))


def read_notes(midi: bytes) -> list[tuple[int, int, int, float, float, float]]:
    """Notes of a MIDI file: channel, program, key, gain in power, start and end in seconds."""
    programs, volumes = [0] * 16, [100] * 16
    programs[DRUM_CHANNEL] = DRUMS
    sounding: dict[tuple[int, int], tuple[int, float, float]] = {}
    notes, now = [], 0.0
    for message in mido.MidiFile(file=BytesIO(midi), clip=True):
        now += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program + (DRUMS if message.channel == DRUM_CHANNEL else 0)
        elif message.type == "control_change" and message.control == 7:
            volumes[message.channel] = message.value
        elif message.type in ("note_on", "note_off"):
            place = (message.channel, message.note)
            if place in sounding:
                program, gain, start = sounding.pop(place)
                notes.append((*place[:1], program, place[1], gain, start, now))
            if message.type == "note_on" and message.velocity:
                gain = (message.velocity / 127 * volumes[message.channel] / 127) ** 4
                sounding[place] = (programs[message.channel], gain, now)
    return notes


def draw_accompaniments(count: int, random: np.random.Generator) -> Iterator[Score]:
    """Random grooves of mma over random progressions, one family of grooves a score."""
    files = sorted(GROOVES.rglob("*.mma"))
    described = [(file, *found) for file in files if (found := read_groove(file))]
    odd = [described_file for described_file in described if described_file[1] != (4, 4)]
    for number in range(count):
        pool = odd if random.random() < 0.3 else described
        file, (beats, ticks_in_mma_beats), names = pool[int(random.integers(len(pool)))]
        family = re.sub("[^a-z]", "", file.stem.lower())
        name = f"mma-{family}-{number:04d}-{random.integers(1 << 30):08x}"
        beat_ticks = MMA_TICKS * ticks_in_mma_beats / beats
        low, high = (60, 115) if re.search("slow|ballad|hymn|lullaby|spirit", file.stem) else (70, 200)
        bpm = float(np.exp(random.uniform(np.log(low), np.log(high))))
        seconds = float(random.uniform(45.0, 75.0))
        bars = int(seconds * bpm / 60 / beats) + 1
        lines = [f"Tempo {bpm * beat_ticks / MMA_TICKS:.3f}"]
        loop = [str(random.choice(ROOTS)) + str(random.choice(CHORDS)) for _ in range(int(random.choice([2, 4, 8])))]
        for bar in range(bars):
            if bar % 8 == 0:
                main = [groove for groove in names if not re.search("INTRO|END|FILL", groove)] or names
                groove = str(random.choice(main if bar else names))
                lines.append(f"Groove {file.relative_to(GROOVES).with_suffix('')}:{groove}")
            if bar % 16 == 0:
                loop = [chord if random.random() < 0.6 else str(random.choice(ROOTS)) for chord in loop]
            lines.append(f"{bar + 1} {loop[bar % len(loop)]}")
        midi = run_mma(lines)
        if midi is None:
            continue
        beats_at = to_seconds(mido.MidiFile(file=BytesIO(midi)), np.arange(bars * beats) * beat_ticks)
        positions = (np.arange(len(beats_at)) % beats + 1).astype(np.int8)
        yield Score(name, f"mma-{family}", vary(midi, random), beats_at, positions, seconds)


def read_groove(file: Path) -> tuple[tuple[int, int], list[str]] | None:
    """Beats in a bar, the same in mma's own count, and the grooves' names; None unless one metre holds for all."""
    text = re.sub(r"//.*", "", file.read_text(encoding="latin-1"))
    times = {int(found) for found in re.findall(r"(?im)^\s*time\s+(\d+)\b(?!\s*/)", text)}
    signatures = set(re.findall(r"(?im)^\s*time(?:sig)?\s+(\d+)\s*[/ ]\s*(\d+)", text))
    names = re.findall(r"(?im)^\s*defgroove\s+(\S+)", text)
    if len(times) > 1 or len(signatures) > 1 or not (times or signatures) or not names or file.stem == "none":
        return None
    above, below = (int(number) for number in signatures.pop()) if signatures else (times.copy().pop(), 4)
    counted = times.pop() if times else above
    beats = above // 3 if below == 8 and above % 3 == 0 else counted
    if (beats, counted) == (6, 6) and "68" in file.stem:
        beats = 2
    return (beats, counted), [name.upper() for name in names]


def run_mma(lines: list[str]) -> bytes | None:
    """The MIDI file of a score for mma, None if mma refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        score, midi = Path(folder, "score.mma"), Path(folder, "score.mid")
        score.write_text("\n".join(lines) + "\n", encoding="ascii")
        subprocess.run(["mma", "-w", score, "-f", midi], capture_output=True, check=False, timeout=60)
        return midi.read_bytes() if midi.exists() else None


def vary(midi: bytes, random: np.random.Generator) -> bytes:
    """Other instruments and volumes, another key, and at times without drums or without one other part."""
    file = mido.MidiFile(file=BytesIO(midi))
    channels = sorted({message.channel for track in file.tracks for message in track if not message.is_meta})
    melodic = [channel for channel in channels if channel != DRUM_CHANNEL]
    dropped = {DRUM_CHANNEL} if melodic and random.random() < 0.25 else set()
    if len(melodic) > 1 and random.random() < 0.3:
        dropped.add(int(random.choice(melodic)))
    everything = [program for programs in PROGRAMS.values() for program in programs]
    programs = {channel: int(random.choice(everything)) for channel in melodic if random.random() < 0.35}
    volumes = {channel: int(random.integers(55, 127)) for channel in channels}
    shift = int(random.integers(-4, 5))
    for track in file.tracks:
        for message in track:
            if message.is_meta or message.type == "sysex":
                continue
            if message.type == "program_change":
                message.program = programs.get(message.channel, message.program)
            elif message.type == "control_change" and message.control == 7:
                message.value = volumes[message.channel]
            elif message.type in ("note_on", "note_off"):
                if message.type == "note_on" and message.channel in dropped:
                    message.velocity = 0
                if message.channel != DRUM_CHANNEL:
                    message.note = int(np.clip(message.note + shift, 0, 127))
    stream = BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def read_midi_scores(folder: Path, random: np.random.Generator) -> Iterator[Score]:
    """Scores of the packages unpacked in `folder`, each in another key and other sounds."""
    for path in sorted(folder.rglob("*.mid")):
        package = path.relative_to(folder).parts[0]
        name = f"midi-{package}-{path.stem}"
        try:
            file = mido.MidiFile(path, clip=True)
            timed = read_beats(file)
        except (OSError, ValueError, EOFError, KeyError, IndexError) as error:
            print(f"{name}: left out, {error}")
            continue
        if timed is None:
            print(f"{name}: left out, it does not tell its metre")
            continue
        beats, positions, seconds = timed
        for repeat in range(2):
            midi = vary(path.read_bytes(), random)
            yield Score(f"{name}-{repeat}", f"midi-{package}", midi, beats, positions, min(seconds, 240.0))


def read_beats(file: mido.MidiFile) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Seconds and positions of a MIDI file's beats by its own events, and its last note's end; None if untold."""
    metres, notes = [], []
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "time_signature":
                metres.append((tick, message.numerator, message.denominator))
            elif message.type in ("note_on", "note_off"):
                notes.append(tick)
    unit, metres = file.ticks_per_beat, sorted(metres)
    if not metres or metres[0][0] > 0 or len(notes) < 50 or any(below > 8 for _, _, below in metres):
        return None
    quarters = np.round(np.array(notes) / unit * 12) % 12
    if (quarters == 0).mean() < ON_GRID:
        return None
    last, ticks, positions = max(notes), [], []
    for (start, above, below), (stop, *_) in zip(metres, [*metres[1:], (last, 0, 0)], strict=True):
        beats = above // 3 if below == 8 and above % 3 == 0 and above > 3 else above
        at = np.arange(start, stop, above * 4 * unit / below / beats)
        ticks.append(at)
        positions.append(np.arange(len(at)) % beats + 1)
    at = to_seconds(file, np.concatenate([*ticks, [last]]))
    return at[:-1], np.concatenate(positions).astype(np.int8), float(at[-1])


def to_seconds(file: mido.MidiFile, ticks: np.ndarray) -> np.ndarray:
    """When ticks of a MIDI file come, by its own tempi."""
    tempi = [(0, 500_000)]
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempi.append((tick, message.tempo))
    knots = np.array(sorted(tempi, key=lambda change: change[0]), np.float64)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(knots[:, 0]) * knots[:-1, 1])])
    row = np.searchsorted(knots[:, 0], ticks, side="right") - 1
    return np.asarray((passed[row] + (ticks - knots[row, 0]) * knots[row, 1]) / file.ticks_per_beat / 1e6)


class Set:
    """The training set's folder, and what renders into it."""

    def __init__(self, folder: Path, random: np.random.Generator, *, is_exact: bool) -> None:
        self.folder, self.random, self.is_exact = folder, random, is_exact
        self.synthesizer = Synthesizer()
        self.bank = NoteBank(self.synthesizer)
        self.count, self.hours = 0, 0.0

    def render(self, score: Score) -> np.ndarray:
        """Log-mel (frames, n_mels), dB."""
        if not self.is_exact:
            return self.bank.render(score.midi, score.seconds, self.random)
        font = str(self.random.choice(list(SOUNDFONTS), p=list(SOUNDFONTS.values())))
        is_wet = bool(self.random.random() < 0.4)
        samples = self.synthesizer.render(score.midi, font, score.seconds, is_wet=is_wet)
        return log_mel_frames(samples, len(samples) // FEATURES.hop_length)

    def add(self, score: Score) -> None:
        """Render a score and store its features."""
        log_mel = self.render(score)
        if log_mel.max() < FEATURES.floor_db + 20.0:
            return
        log_mel += self.random.uniform(-22.0, -14.0) - log_mel.max()
        levels = np.round(2.0 * (log_mel - FEATURES.floor_db)).clip(0, 255).astype(np.uint8)
        heard = score.beats < score.seconds
        path = self.folder / score.group / f"{score.name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"partial-{path.name}"  # beside the groups, where training does not look
        np.savez(partial, levels=levels, beats=score.beats[heard].astype(np.float32), positions=score.positions[heard])
        partial.replace(path)
        self.count, self.hours = self.count + 1, self.hours + score.seconds / 3600
        if self.count % 50 == 0:
            print(f"{self.count} scores, {self.hours:.2f} h", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--composed", type=int, default=0)
    parser.add_argument("--accompaniments", type=int, default=0)
    parser.add_argument("--pulseless", type=int, default=0)
    parser.add_argument("--midi", type=Path)
    parser.add_argument("--exact", action="store_true", help="render what is heard, not the sum of its notes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    tag = f"{zlib.crc32(str(arguments).encode()):08x}"

    def draw_composed() -> Iterator[Score]:
        for number in range(arguments.composed):
            yield Composer(random).compose(f"composed-{tag}-{number:04d}", float(random.uniform(45.0, 75.0)))

    def draw_pulseless() -> Iterator[Score]:
        for number in range(arguments.pulseless):
            yield compose_pulseless(f"pulseless-{tag}-{number:04d}", random, float(random.uniform(30.0, 60.0)))

    sources = [draw_composed(), draw_accompaniments(arguments.accompaniments, random), draw_pulseless()]
    if arguments.midi:
        sources.append(read_midi_scores(arguments.midi, random))
    rendered = Set(arguments.scores, random, is_exact=arguments.exact)
    while sources:  # in turn, so that a set that is being made holds some of everything
        for source in [*sources]:
            if (score := next(source, None)) is None:
                sources.remove(source)
            else:
                rendered.add(score)
    print(f"{rendered.count} scores, {rendered.hours:.2f} h")


if __name__ == "__main__":
    main()
