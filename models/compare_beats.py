"""How well beats and downbeats are found: by musex's own network, by BeatNet, and by librosa.

    python models/compare_beats.py DATA/ [--music MUSIC/] [--network RUN/beats.tflite] [--scores 40] [--json FILE]

On scores of groups that no network was trained on (composed anew, in grooves of mma, and of the MIDI files unpacked in
DATA/scores/midi/x), rendered as sound: F-measures against what is written. On recordings of those packages in MUSIC/,
else DATA/music, that training leaves out: how well two trackers agree. A beat counts as found within 70 ms; the first
5 s are left out (`mir_eval.beat`). Means of pieces with 95 % bootstrap intervals over groups.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import mir_eval
import numpy as np
from compose_scores import Composer, Score, compose_pulseless
from render_scores import SOUNDFONTS, Synthesizer, draw_accompaniments, read_midi_scores

from musex import beatnet
from musex.analysis.bar_pointer import Beats, decode, no_pulse
from musex.audio import read_song
from musex.beat_training import split_of
from musex.config import FEATURES
from musex.dataset import find_tracks
from musex.errors import AudioError
from musex.features import log_mel_frames, to_mono
from musex.metrics import bootstrap_interval
from musex.prediction.beat_tracker import BeatTracker

Array = np.ndarray
Tracker = Callable[[Array], Beats]

PACKAGES = (  # of the validation of everything that musex learns
    "singularity-music",
    "hyperrogue-music",
    "megaglest-data",
    "asc-music",
    "lordsawar-data",
    "extremetuxracer-data",
    "xmoto-data",
    "warmux-data",
    "btanks-data",
    "openclonk-data",
)
LONGEST_SECONDS = 120.0  # of a recording


@dataclass
class Table:
    """Measures of many pieces, by row and column; a piece belongs to a group."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    groups: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, row: str, column: str, value: float, group: str) -> None:
        """Note one piece's measure."""
        self.values.setdefault(row, {}).setdefault(column, []).append(value)
        self.groups.setdefault(row, {}).setdefault(column, []).append(group)

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Mean, interval and number of pieces of each cell."""
        cells: dict[str, dict[str, dict[str, float]]] = {}
        for row, columns in self.values.items():
            for column, values in columns.items():
                mean, low, high = bootstrap_interval(np.array(values), np.array(self.groups[row][column]))
                cell = {"mean": mean, "low": low, "high": high, "pieces": float(len(values))}
                cells.setdefault(row, {})[column] = cell
        return cells


def f_measure(true: Array, found: Array) -> float:
    """F-measure of beat times, as `mir_eval.beat` takes it; 1 if there are none and none are found."""
    true, found = mir_eval.beat.trim_beats(true), mir_eval.beat.trim_beats(found)
    if not len(true) or not len(found):
        return float(len(true) == len(found))
    return float(mir_eval.beat.f_measure(true, found))


def any_level(true: Array, found: Array) -> float:
    """The share of beats that go on rightly, whatever the metrical level: AMLt of `mir_eval.beat`."""
    true, found = mir_eval.beat.trim_beats(true), mir_eval.beat.trim_beats(found)
    if len(true) < 2 or len(found) < 2:
        return float(len(true) == len(found))
    return float(mir_eval.beat.continuity(true, found)[3])


def track_librosa(mono: Array) -> Beats:
    """Beats by dynamic programming over onsets (Ellis, 2007); librosa tells no bars."""
    import librosa

    tempo, times = librosa.beat.beat_track(y=mono, sr=FEATURES.sample_rate, units="time")
    if not len(times):
        return no_pulse()
    return Beats(np.asarray(times), np.full(len(times), -1), 0, float(np.squeeze(tempo)), 1.0)


def load_trackers(network: Path) -> dict[str, Tracker]:
    """What is compared, by name: each takes mono samples at the features' rate."""
    learned = BeatTracker(network)

    def track_learned(mono: Array) -> Beats:
        return decode(learned.activations(log_mel_frames(mono, -(-len(mono) // FEATURES.hop_length))))

    def track_beatnet(mono: Array) -> Beats:
        return beatnet.track(mono, FEATURES.sample_rate)

    return {"musex": track_learned, "BeatNet": track_beatnet, "librosa": track_librosa}


def draw_scores(count: int, midi: Path, random: np.random.Generator) -> Iterator[tuple[str, Score]]:
    """Up to `count` scores of each kind, from groups that are held out, by kind."""

    def composed() -> Iterator[Score]:
        while True:
            yield Composer(random).compose("compared", float(random.uniform(45.0, 75.0)))

    def pulseless() -> Iterator[Score]:
        while True:
            yield compose_pulseless("compared", random, float(random.uniform(30.0, 60.0)))

    kinds = {
        "composed": composed(),
        "mma": (score for score in draw_accompaniments(40 * count, random) if split_of(score.group) == "held out"),
        "midi": (score for score in read_midi_scores(midi, random) if split_of(score.group) == "held out"),
        "no pulse": pulseless(),
    }
    for kind, scores in kinds.items():
        for number, score in zip(range(count), scores, strict=False):
            group = f"{kind} {number}" if kind in ("composed", "no pulse") else score.group
            yield kind, Score(score.name, group, score.midi, score.beats, score.positions, score.seconds)


def compare_on_scores(trackers: dict[str, Tracker], scores: Iterator[tuple[str, Score]], seed: int) -> Table:
    """Measures of each tracker against what is written."""
    random, synthesizer, table = np.random.default_rng(seed), Synthesizer(), Table()
    fonts, odds = list(SOUNDFONTS), list(SOUNDFONTS.values())
    for kind, score in scores:
        font, is_wet = str(random.choice(fonts, p=odds)), bool(random.random() < 0.4)
        mono = synthesizer.render(score.midi, font, score.seconds, is_wet=is_wet)
        mono *= 0.5 / max(float(np.abs(mono).max()), 1e-6)
        heard = score.beats < score.seconds
        beats, downbeats = score.beats[heard], score.beats[heard & (score.positions == 1)]
        for name, track in trackers.items():
            found = track(mono)
            if not len(beats):
                table.add(name, "no pulse is said", float(not len(found.times)), score.group)
                continue
            table.add(name, f"{kind}: beats F", f_measure(beats, found.times), score.group)
            table.add(name, f"{kind}: beats at any level", any_level(beats, found.times), score.group)
            if (found.positions >= 0).all():
                table.add(name, f"{kind}: downbeats F", f_measure(downbeats, found.downbeats), score.group)
    return table


def compare_on_recordings(trackers: dict[str, Tracker], folders: list[Path], count: int) -> Table:
    """How well each two trackers agree on recordings, up to `count` of each package."""
    table = Table()
    for folder in folders:
        tracks = find_tracks(folder)
        for path in tracks[:: max(1, len(tracks) // count)][:count]:
            try:
                song = read_song(path)
            except AudioError as error:
                print(f"{path}: left out, {error}")
                continue
            samples = song.samples[: round(LONGEST_SECONDS * song.sample_rate)]
            mono = to_mono(samples, song.sample_rate)
            found = {name: track(mono) for name, track in trackers.items()}
            for name, beats in found.items():
                table.add(name, "has a pulse", float(len(beats.times) > 0), folder.name)
            for one, other in combinations(found, 2):
                if not len(found[one].times) or not len(found[other].times):
                    continue
                pair = f"{one} and {other}"
                table.add(pair, "beats F", f_measure(found[one].times, found[other].times), folder.name)
                table.add(pair, "beats at any level", any_level(found[one].times, found[other].times), folder.name)
                ratio = np.log2(found[one].tempo / found[other].tempo)
                table.add(pair, "same tempo within 2 %", float(abs(ratio) < np.log2(1.02)), folder.name)
                if all((found[name].positions >= 0).all() for name in (one, other)):
                    same = f_measure(found[one].downbeats, found[other].downbeats)
                    table.add(pair, "downbeats F", same, folder.name)
    return table


def show(title: str, cells: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print a table in Markdown."""
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    print(f"\n| {title} | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for name, row in cells.items():
        shown = [
            "{mean:.3f} [{low:.3f}, {high:.3f}] of {pieces:.0f}".format(**row[column]) if column in row else "–"
            for column in columns
        ]
        print(f"| {name} | " + " | ".join(shown) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--music", type=Path)
    parser.add_argument("--network", type=Path, default=Path(__file__).with_name("beats.tflite"))
    parser.add_argument("--scores", type=int, default=40, help="of each kind")
    parser.add_argument("--recordings", type=int, default=8, help="of each package")
    parser.add_argument("--seed", type=int, default=1_000_003)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    trackers = load_trackers(options.network)
    music = options.music or options.data / "music"
    folders = [music / package for package in PACKAGES if (music / package).is_dir()]
    scores = draw_scores(options.scores, options.data / "scores" / "midi" / "x", np.random.default_rng(options.seed))
    tables = {
        "scores": compare_on_scores(trackers, scores, options.seed).summary(),
        "recordings": compare_on_recordings(trackers, folders, options.recordings).summary(),
    }
    for title, cells in tables.items():
        show(title, cells)
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
