"""MIDI files: music whose score is known. mido reads them, FluidSynth plays them with a soundfont of the system.

Only evaluation needs it: `pip install 'musex[evaluate]'`, and `apt install fluidsynth fluid-soundfont-gm
timgm6mb-soundfont` or their like. FluidSynth is given what mido has understood, written anew, never the file itself.
"""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.tracker_modules import BEAT_ROWS, CONSTANT, LONGEST_SECONDS, SAME_PLACE, SAME_ROW
from musex.errors import AudioError, MusexError
from musex.system.arrays import Array
from musex.system.processes import running
from musex.system.side_files import temporary_folder

SUFFIXES = (".mid", ".midi")
SOUNDFONT_VARIABLE = "MUSEX_SOUNDFONT"
SOUNDFONT_FOLDERS = (Path("/usr/share/sounds/sf2"), Path("/usr/share/soundfonts"))
USUAL_SOUNDFONTS = ("FluidR3_GM.sf2", "TimGM6mb.sf2")  # taken before others
MOST_SOUNDFONTS = 2
STALL_SECONDS = 300.0  # after which FluidSynth is taken for hung: it plays 15 min in less than one
TAIL_SECONDS = 2.0  # after the last note, in which it dies away
SILENT = 8  # of 32767, what FluidSynth's dither may reach
GAIN = "0.3"  # of FluidSynth: dense pieces hardly clip
SOUND_OFF, CHANNELS, DRUM_CHANNEL = 120, 16, 9  # a controller, and channels counted from 0
PLAYED = ("note_on", "note_off", "program_change", "control_change", "pitchwheel", "aftertouch", "polytouch")
DEFAULT_TEMPO = 500_000  # microseconds of a quarter where none is told
LEAST_TEMPO = 20_000  # faster ones are damage
MOST_DENOMINATOR = 64  # of a time signature
BEAT_UNITS = 12  # of a beat, in which notes are compared: sixteenths and triplets are whole
# Music that was not played to the beat that its file tells lies anywhere between the units, and no beat of it is true.
NEAR_UNIT = 0.2  # of a unit: chance is 0.4 of the notes
LEAST_NEAR_UNITS = 0.7  # share of the notes
NEAR_BEAT = 1 / 16  # of a beat: chance is 0.125 of the notes
LEAST_NEAR_BEATS = 0.25  # share of the notes


@dataclass(frozen=True, eq=False)
class Score:
    """Which notes a MIDI file tells, and where its beats and bars lie.

    Attributes:
        quarter: ticks of a quarter.
        tempi: float64 (tempi, 2), tick from which each tempo holds, and seconds of a tick.
        signatures: int64 (signatures, 3), tick from which each time signature holds, its numerator and denominator.
        notes: int64 (notes, 3), tick at which each begins, its instrument (-1 for drums) and its pitch; in order.
        end: tick of the last event of a note.
    """

    quarter: int
    tempi: Array
    signatures: Array
    notes: Array
    end: int

    @property
    def seconds(self) -> float:
        """How long all of it lasts, with what dies away."""
        return float(self.to_seconds(np.array([self.end]))[0]) + TAIL_SECONDS

    def to_seconds(self, ticks: Array) -> Array:
        """When ticks sound."""
        return to_seconds(self.tempi, ticks)

    def to_ticks(self, seconds: Array) -> tuple[Array, Array]:
        """What is played at times, in ticks and their parts, and how long a tick lasts there."""
        begins = self.to_seconds(self.tempi[:, 0])
        tempo = np.maximum(np.searchsorted(begins, seconds, side="right") - 1, 0)
        pace = self.tempi[tempo, 1]
        return self.tempi[tempo, 0] + (seconds - begins[tempo]) / pace, pace

    @cached_property
    def bars(self) -> Array:
        """Ticks at which bars begin, float64 (bars,): as the time signatures have them, from the first one on."""
        stops = np.append(self.signatures[1:, 0], self.end + 1)
        return np.concatenate(
            [
                np.arange(start, stop, self._bar_ticks(above, below))
                for (start, above, below), stop in zip(self.signatures, stops, strict=True)
            ]
            or [np.zeros(0)]
        ).astype(np.float64)

    def _bar_ticks(self, above: int, below: int) -> float:
        return self.quarter * 4 * above / below

    @cached_property
    def metre(self) -> tuple[int, float]:
        """Beats of a bar and ticks of a beat; (0, 0.0) where none is told, it is not constant, or not played to."""
        none = (0, 0.0)
        if not len(self.notes) or not len(self.signatures) or self.signatures[0, 0] > self.notes[0, 0]:
            return none
        lengths = np.diff(np.append(self.signatures[:, 0], self.end))
        spans: dict[tuple[int, int], int] = {}
        for (_, above, below), length in zip(self.signatures.tolist(), lengths.tolist(), strict=True):
            spans[above, below] = spans.get((above, below), 0) + length
        usual = max(spans, key=spans.__getitem__)
        if spans[usual] < CONSTANT * sum(spans.values()):
            return none
        above, below = usual
        beats = above // 3 if below >= 8 and above > 3 and above % 3 == 0 else above
        beat = self._bar_ticks(above, below) / beats
        onsets = (self.notes[:, 0] - self.bars[self._bar_of(self.notes[:, 0])]) / beat
        units = onsets * BEAT_UNITS
        near_units = np.mean(np.abs(units - np.rint(units)) < NEAR_UNIT)
        near_beats = np.mean(np.abs(onsets - np.rint(onsets)) < NEAR_BEAT)
        played = near_units >= LEAST_NEAR_UNITS and near_beats >= LEAST_NEAR_BEATS
        return (beats, beat) if beats > 1 and played else none

    def _bar_of(self, ticks: Array) -> Array:
        return np.clip(np.searchsorted(self.bars, ticks, side="right") - 1, 0, len(self.bars) - 1)

    @cached_property
    def _units(self) -> Array:
        """Different notes, int64 (notes, 3): units of the first metre's beat from the start, instrument and pitch."""
        units = np.rint(self.notes[:, 0] * BEAT_UNITS / self.metre[1]).astype(np.int64)
        return np.unique(np.column_stack([units, self.notes[:, 1:]]), axis=0)

    def _same(self, some: int, others: int) -> bool:
        """Whether the bars that begin at two units have the same notes, and any."""
        length = self.metre[0] * BEAT_UNITS
        one, other = (
            self._units[slice(*np.searchsorted(self._units[:, 0], [at, at + length]))] for at in (some, others)
        )
        return len(one) > 0 and np.array_equal(one - [some, 0, 0], other - [others, 0, 0])

    def _is_written(self, leave: float, shift: float) -> bool:
        """Whether the score somewhere goes from the bar before `leave` to the bar that begins at `leave + shift`.

        Both are ticks; `shift` keeps the place of the bar. Notes are the same if instrument, pitch and beginning are.
        """
        beats, beat = self.metre
        unit = beat / BEAT_UNITS
        left = round(leave / unit)
        entered = left + round(shift / unit)
        begin = self.bars[self._bar_of(np.array([leave]))[0]]
        bar = beats * BEAT_UNITS
        places = {left + round((other - begin) / unit) for other in self.bars.tolist()}
        return any(self._same(place - bar, left - bar) and self._same(place, entered) for place in places)

    def judge(self, leaves: Array, enters: Array) -> dict[str, Array]:
        """Whether jumps go on at the same beat, place of the bar, and as the composer wrote it; of a constant metre.

        Args:
            leaves: seconds of the song at which they leave, (jumps,).
            enters: seconds at which they go on.

        Returns:
            {"beat", "bar", "written": bool (jumps,)}. A score has no rows.
        """
        beats, beat = self.metre
        before, _ = self.to_ticks(np.asarray(leaves, np.float64))
        after, pace = self.to_ticks(np.asarray(enters, np.float64))
        place, other = (ticks - self.bars[self._bar_of(ticks)] for ticks in (before, after))
        distance = (other - place) / beat
        step = np.rint(distance)
        late = (distance - step) * beat  # ticks by which the entered side is ahead within its beat
        tolerance = np.minimum(SAME_PLACE, SAME_ROW * beat * pace / BEAT_ROWS)
        together = np.abs(late) * pace <= tolerance
        bar = together & (step % beats == 0)
        shifts = after - late - before
        written = [kept and self._is_written(*jump) for kept, *jump in zip(bar, before, shifts, strict=True)]
        return {"beat": together, "bar": bar, "written": np.array(written, bool)}


def to_seconds(tempi: Array, ticks: Array) -> Array:
    """When ticks sound, by the tick from which each tempo holds and the seconds of a tick, float64 (tempi, 2)."""
    starts, paces = tempi.T
    begins = np.concatenate([[0.0], np.cumsum(np.diff(starts) * paces[:-1])])
    tempo = np.maximum(np.searchsorted(starts, ticks, side="right") - 1, 0)
    return np.asarray(begins[tempo] + (ticks - starts[tempo]) * paces[tempo])


def find_soundfonts() -> list[Path]:
    """The soundfont that `MUSEX_SOUNDFONT` names, or up to two of the system's.

    Raises:
        MusexError: the one named is none.
    """
    named = os.environ.get(SOUNDFONT_VARIABLE)
    if named:
        try:
            with Path(named).open("rb") as file:
                kind = file.read(4)
        except OSError as error:
            raise MusexError(f"{SOUNDFONT_VARIABLE} names {named}: {error.strerror}") from error
        if kind != b"RIFF":
            raise MusexError(f"{SOUNDFONT_VARIABLE} names {named}, which is no soundfont")
        return [Path(named).resolve()]
    found = {path.resolve() for folder in SOUNDFONT_FOLDERS for path in folder.glob("*.sf2") if path.is_file()}
    usual = [*USUAL_SOUNDFONTS, ""]
    rank = {path: (usual.index(path.name if path.name in usual else ""), path) for path in found}
    return sorted(found, key=rank.__getitem__)[:MOST_SOUNDFONTS]


def find_lacking() -> str:
    """What is missing for playing MIDI files, and where it comes from; nothing where all is there."""
    if find_spec("mido") is None:
        return "mido is missing, which reads MIDI files: pip install 'musex[evaluate]'"
    if shutil.which("fluidsynth") is None:
        return "FluidSynth is missing, which plays MIDI files: install fluidsynth or its like"
    if not find_soundfonts():
        return f"there is no soundfont: install fluid-soundfont-gm or its like, or name one by {SOUNDFONT_VARIABLE}"
    return ""


def read_midi(path: Path) -> tuple[Any, Score]:
    """A MIDI file as mido has it, with what is played alone and an end for every note; and its score.

    Raises:
        AudioError: it is no MIDI file, damaged, holds no notes or lasts too long.
    """
    import mido

    damage = (OSError, EOFError, ValueError, LookupError, TypeError, mido.KeySignatureError)
    try:
        midi = mido.MidiFile(file=io.BytesIO(path.read_bytes()), clip=True)
        messages = list(_time(mido.merge_tracks(midi.tracks)))
    except damage as error:
        raise AudioError(f"{path} is no MIDI file that mido can read ({error})") from error
    if midi.ticks_per_beat <= 0 or midi.type == 2:
        raise AudioError(f"{path} tells no beats, or holds several pieces")
    score = _collect_score(messages, midi.ticks_per_beat)
    if not len(score.notes):
        raise AudioError(f"{path} holds no notes")
    if score.seconds > LONGEST_SECONDS:
        raise AudioError(f"{path} lasts longer than {LONGEST_SECONDS:g} s")
    return _write_anew(messages, score), score


def _time(messages: Any) -> Iterator[tuple[int, Any]]:
    """Messages with the tick of each."""
    tick = 0
    for message in messages:
        tick += message.time
        yield tick, message


def _collect_score(messages: list[tuple[int, Any]], quarter: int) -> Score:
    tempi, signatures = {0: DEFAULT_TEMPO}, {}
    notes, programs, end = [], [0] * CHANNELS, 0
    for tick, message in messages:
        if message.type == "set_tempo":
            if message.tempo < LEAST_TEMPO:
                raise AudioError(f"it tells a quarter of {message.tempo} µs, below {LEAST_TEMPO}")
            tempi[tick] = message.tempo
        elif message.type == "time_signature" and message.numerator and message.denominator <= MOST_DENOMINATOR:
            signatures[tick] = (message.numerator, message.denominator)
        elif message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            end = tick
            if message.type == "note_on" and message.velocity:
                drums = message.channel == DRUM_CHANNEL
                notes.append((tick, -1 if drums else programs[message.channel], message.note))
    return Score(
        quarter,
        np.array([(tick, tempo / 1e6 / quarter) for tick, tempo in tempi.items()]),
        np.array([(tick, *both) for tick, both in signatures.items() if tick <= end], np.int64).reshape(-1, 3),
        np.array(notes, np.int64).reshape(-1, 3),
        end,
    )


def _write_anew(messages: list[tuple[int, Any]], score: Score) -> Any:
    """One track of tempi and of what channels play; without it FluidSynth waits for notes that are never ended."""
    import mido

    track, before = mido.MidiTrack(), 0
    for tick, message in messages:
        if tick <= score.end and message.type in (*PLAYED, "set_tempo"):
            track.append(message.copy(time=tick - before))
            before = tick
    _, pace = score.to_ticks(np.array([score.seconds]))
    for channel in range(CHANNELS):
        tail = 0 if channel else round(TAIL_SECONDS / float(pace[0]))
        track.append(mido.Message("control_change", channel=channel, control=SOUND_OFF, time=tail))
    midi = mido.MidiFile(type=0, ticks_per_beat=score.quarter)
    midi.tracks.append(track)
    return midi


def play_midi(
    midi: Any,
    soundfont: Path,
    sample_rate: int = 44_100,
    *,
    options: Sequence[str] = (),
    stall_seconds: float = STALL_SECONDS,
) -> Array:
    """The sound of what `read_midi` gives, float32 (frames, 2), by FluidSynth with more of its options.

    Raises:
        AudioError: FluidSynth fails, has not ended after `stall_seconds`, or plays nothing.
    """
    with temporary_folder() as folder:
        score, sound = folder / "score.mid", folder / "sound.raw"
        midi.save(score)
        command = ["fluidsynth", "-f", os.devnull, "-niq", "-g", GAIN, "-r", str(sample_rate)]
        command += ["-o", "synth.default-soundfont="]  # which it would take instead of one that it cannot read
        command += [*options, "-T", "raw", "-O", "s16", "-F", str(sound), str(soundfont), str(score)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with running(command, **pipes) as process:
            try:
                _, log = process.communicate(timeout=stall_seconds)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise AudioError(f"FluidSynth has not ended after {stall_seconds:g} s") from error
        samples = np.fromfile(sound, np.int16) if sound.exists() else np.zeros(0, np.int16)
    if process.returncode or np.abs(samples, dtype=np.int32).max(initial=0) <= SILENT:
        told = log.decode(errors="replace").strip().splitlines()
        raise AudioError(f"FluidSynth plays nothing with {soundfont} ({told[0] if told else 'without a word'})")
    return samples.reshape(-1, 2).astype(np.float32) / 32768.0
