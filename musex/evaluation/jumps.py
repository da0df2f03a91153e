"""How often jumps go on as the music does: judges of musical sense that nothing is tuned on.

Tracker modules say which row of which pattern sounds when. A jump *keeps the beat* if it goes on at the same place
between beats, *the bar* if at the same place of the bar, *the row* if at the same row of the pattern, and is *written*
if the composer ever goes from the one place to the other. MIDI files have no rows: there a jump is written if somewhere
a bar as that before it goes on with a bar as that after it. In recordings trackers that the search does not use hear
where beats and bars lie (`musex.evaluation.trackers`); nothing is known there of rows and of what is written. How far
these are to be believed is measured where a score knows.
"""

import importlib.util
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from musex.analysis import midi_scores, tracker_modules
from musex.analysis.song_analysis import analyse_song
from musex.audio.reading import read_song
from musex.audio.song import Song, song_from_array
from musex.config import FEATURES, TRANSITION_QUESTIONS
from musex.errors import AudioError, DatasetError, DurationError, ModelError, MusexError
from musex.evaluation.baselines import ablate
from musex.evaluation.seam_classifier import LOOPER, looper_seams
from musex.evaluation.trackers import TRACKERS, hear_beats
from musex.metrics import describe
from musex.planning.course import ModelLike
from musex.planning.planner import plan_song
from musex.plans import Seam
from musex.prediction.model import Model, WaveformModel
from musex.system.arrays import Array
from musex.training.dataset import find_tracks

RANDOM, RANDOM_BEATS = "random places", "random places, attacks aligned"
SCORE = "score"  # the judge that knows
LEAST_SECONDS = 25.0  # of a song that counts
REACH_FRAMES, LAG_FRAMES = 100, 50  # of the attacks that random places are aligned by: ±2 s, ±1 s
Jumps = list[tuple[float, float]]  # seconds left at and gone on with


class Judge(Protocol):
    """What knows of a song where its beats and bars lie."""

    def judge(self, leaves: Array, enters: Array) -> Mapping[str, Array]:
        """Answers to some of `TRANSITION_QUESTIONS` about jumps, (jumps,): true, false, or NaN for not measurable."""


def name_planners(
    models: Mapping[str, Model | WaveformModel], seed: int
) -> tuple[dict[str, ModelLike], dict[str, str]]:
    """The models that point by name, and the first of them without parts of what was learned; see `ablate`.

    Returns them, and the reasons why others are left out.
    """
    pointers = {name: model for name, model in models.items() if isinstance(model, Model)}
    left_out = {name: "it plans nothing" for name in models if name not in pointers}
    planners: dict[str, ModelLike] = dict(pointers)
    for first in list(pointers.values())[:1]:
        try:
            planners |= ablate(first, seed)
        except ModelError as error:
            left_out["shuffled weights"] = str(error)
    return planners, left_out


@dataclass(frozen=True)
class Source:
    """Songs whose beats and bars are known.

    Attributes:
        kind: what they are called.
        judges: whose answers count.
        find: their files in a folder, and the reasons why others are left out.
        read: a file as it sounds, by each of several instruments if it is a score, and its judges by name, others
            after those that count; nothing where it does not count.
        lacks: what is said where there is none.
    """

    kind: str
    judges: tuple[str, ...]
    find: Callable[[Path], tuple[list[Path], dict[str, str]]]
    read: Callable[[Path], Iterable[tuple[Song, dict[str, Judge]]]]
    lacks: str


def evaluate_jumps(
    dataset: Path,
    source: Source,
    *,
    planners: Mapping[str, ModelLike],
    seconds: float = 420.0,
    songs: int = 60,
    looper: bool | None = None,
    loops: int = 5,
    seed: int = 0,
    on_progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Shares of the seams that keep beat and bar, of plans by each model, random jumps and PyMusicLooper's loops.

    Args:
        dataset: a folder of tracker modules and MIDI files, or of music.
        source: `SCORES`, which also tell rows and what is written, or `RECORDINGS`, as each of `TRACKERS` hears them.
        planners: models by the names that they shall have in the result.
        seconds: duration of each output.
        songs: at most so many, drawn by the seed.
        looper: whether PyMusicLooper stands beside them; without it, if it is installed.
        loops: how many of its best loops count.
        seed: of the draw, the random jumps and the intervals.
        on_progress: called with what is done, and how much of it.

    Returns:
        {"data", "kind", "songs", "jumps": {judge: {name: {"beat", "bar", "row", "written": {"mean", "low", "high"},
        "count"}}}, "same": {name: share of its seams that the first model has too}, "left_out": {name: reason}}; of
        scores "trackers", too: {tracker: {name: {"beat", "bar": {"kept", "broken": {"mean", "low", "high",
        "count"}}}}}, what share of the jumps that keep it by the score, and of those that break it, it says is kept.
        Means of the songs' shares of their seams, and 95 % bootstrap intervals over songs; {} where nothing is known.

    Raises:
        DatasetError: there is no score of a constant metre, or no music with a clear pulse.
        MusexError: libopenmpt is missing.
    """
    (paths, left_out), loops = source.find(dataset), count_loops(looper, loops)
    drawn = sorted(np.random.default_rng(seed).permutation(len(paths))[:songs])
    judged: dict[str, list[Array]] = {}  # (judges, jumps, questions) of each song
    seams: dict[str, list[Jumps]] = {}
    used = unusable = 0
    for number, index in enumerate(drawn):
        answers: dict[str, list[Array]] = {}  # of all that one file sounds like
        usable = False
        for song, judges in source.read(paths[index]):
            usable = True
            for name, pairs in collect_jumps(song, planners, seconds=seconds, loops=loops, seed=seed).items():
                answers.setdefault(name, []).append(np.stack([judge(each, pairs) for each in judges.values()]))
                seams.setdefault(name, []).append(pairs)
        used += bool(answers)
        unusable += not usable
        for name, each in answers.items():
            judged.setdefault(name, []).append(np.concatenate(each, axis=1))
        if on_progress:
            on_progress("Extending", (number + 1) / len(drawn))
    if not used:
        raise DatasetError(f"{dataset} holds {source.lacks}")
    if unusable:
        left_out[f"{unusable} of {len(drawn)} files"] = source.lacks
    if not loops:
        left_out[LOOPER] = "not asked for, or not installed"
    first = next(iter(planners))
    known = {"trackers": _compare_trackers(judged, seed)} if SCORE in source.judges else {}
    return {
        "data": str(dataset),
        "kind": source.kind,
        "seed": seed,
        "seconds": seconds,
        "songs": used,
        "jumps": {
            name: {
                kind: describe_answers([song[number] for song in songs], TRANSITION_QUESTIONS, seed)
                for kind, songs in judged.items()
            }
            for number, name in enumerate(source.judges)
        },
        **known,
        "same": {name: share_the_same(seams[name], seams[first]) for name in planners if name in seams},
        "left_out": left_out,
    }


def count_loops(looper: bool | None, loops: int) -> int:
    """How many of PyMusicLooper's loops count: none where it is not wanted, or not installed."""
    installed = importlib.util.find_spec("pymusiclooper") is not None
    return loops if (installed if looper is None else looper) else 0


def _read_score(path: Path) -> Iterator[tuple[Song, dict[str, Judge]]]:
    """A module, or a MIDI file by each soundfont, with its score; nothing if it is none, too short or of no metre."""
    for song, score in _play_score(path):
        yield song, {SCORE: score, **hear_beats(analyse_song(song))}


def _play_score(path: Path) -> Iterator[tuple[Song, Judge]]:
    try:
        if path.suffix.lower() in midi_scores.SUFFIXES:
            midi, notes = midi_scores.read_midi(path)
            if notes.seconds >= LEAST_SECONDS and notes.metre[0]:
                for soundfont in midi_scores.find_soundfonts():
                    yield song_from_array(midi_scores.play_midi(midi, soundfont), 44_100), notes
        else:
            samples, score = tracker_modules.read_module(path)
            if score.seconds >= LEAST_SECONDS and score.bar_rows:
                yield song_from_array(samples, 44_100), score
    except AudioError:
        return


def _read_recording(path: Path) -> Iterator[tuple[Song, dict[str, Judge]]]:
    """A song, and its beats by tracker; nothing if it is too short, or one of them does not hear a clear pulse."""
    try:
        song = read_song(path)
    except AudioError:
        return
    if song.seconds >= LEAST_SECONDS:
        tracked = hear_beats(analyse_song(song))
        if all(len(beats.times) for beats in tracked.values()):
            yield song, {**tracked}


def _find_scores(dataset: Path) -> tuple[list[Path], dict[str, str]]:
    """Tracker modules and MIDI files; the latter are left out where what plays them is missing."""
    files = [path for path in sorted(dataset.rglob("*")) if path.is_file()]
    modules = [path for path in files if path.suffix.lower() in tracker_modules.SUFFIXES]
    midi = [path for path in files if path.suffix.lower() in midi_scores.SUFFIXES]
    lacking = midi_scores.find_lacking() if midi else ""
    if lacking and not modules:
        raise MusexError(lacking)
    return (modules, {"MIDI files": lacking}) if lacking else (sorted(modules + midi), {})


def _find_recordings(dataset: Path) -> tuple[list[Path], dict[str, str]]:
    return find_tracks(dataset), {}


SCORES = Source(
    "scores",
    (SCORE,),
    _find_scores,
    _read_score,
    f"no tracker module or MIDI file of {LEAST_SECONDS:g} s and a constant metre",
)
RECORDINGS = Source(
    "recordings",
    tuple(TRACKERS),
    _find_recordings,
    _read_recording,
    f"no music of {LEAST_SECONDS:g} s with a clear pulse",
)


def collect_jumps(
    song: Song, models: Mapping[str, ModelLike], *, seconds: float, loops: int, seed: int
) -> dict[str, Jumps]:
    """The seams of each model's plan, PyMusicLooper's best `loops`, and random jumps; nothing if there is no plan."""
    rate = song.sample_rate
    jumps: dict[str, Jumps] = {}
    for name, model in models.items():
        try:
            plan = plan_song(song, model, seconds=seconds, seed=seed)
        except DurationError:
            return {}
        jumps[name] = to_seconds(plan.seams, rate)
    if loops:
        jumps[LOOPER] = to_seconds(looper_seams(song, loops), rate)
    jumps[RANDOM] = random_jumps(song, seed)
    jumps[RANDOM_BEATS] = align_attacks(song, jumps[RANDOM])
    return jumps


def random_jumps(song: Song, seed: int) -> Jumps:
    """Eight jumps from anywhere in a song to anywhere, the same for each seed."""
    random = np.random.default_rng([seed, zlib.crc32(song.sha256.encode())])
    places = random.uniform(3.0, song.seconds - 3.0, (8, 2))
    return [(float(leave), float(enter)) for leave, enter in places]


def to_seconds(seams: Iterable[Seam], sample_rate: int) -> Jumps:
    """Where seams leave and enter."""
    return [(seam.leave / sample_rate, seam.enter / sample_rate) for seam in seams]


def align_attacks(song: Song, jumps: Jumps) -> Jumps:
    """The same jumps, each going on where within a second the attacks around both places agree best."""
    margin = REACH_FRAMES + LAG_FRAMES
    attacks = np.pad(analyse_song(song).attacks, ((margin, margin), (0, 0)))
    rate = FEATURES.frames_per_second
    aligned = []
    for leave, enter in jumps:
        place, other = margin + round(leave * rate), margin + round(enter * rate)
        fixed = attacks[place - REACH_FRAMES : place + REACH_FRAMES]
        lags = np.arange(-LAG_FRAMES, LAG_FRAMES + 1)
        starts = other + lags - REACH_FRAMES
        scores = [np.sum(fixed * attacks[start : start + len(fixed)]) for start in starts]
        aligned.append((leave, enter + float(lags[int(np.argmax(scores))]) / rate))
    return aligned


def judge(score: Judge, jumps: Jumps) -> Array:
    """Whether each jump keeps the beat, the bar, the row, and is written: float64 (jumps, 4), 1, 0 or NaN."""
    if not jumps:
        return np.zeros((0, len(TRANSITION_QUESTIONS)))
    answers = score.judge(*np.array(jumps).T)
    unknown = np.full(len(jumps), np.nan)
    return np.stack([answers.get(question, unknown) for question in TRANSITION_QUESTIONS], axis=1).astype(np.float64)


def share_the_same(some: Sequence[Jumps], others: Sequence[Jumps], within: float = 0.1) -> float:
    """Share of jumps, song by song, of which others have the same: both places within so many seconds."""
    same = [
        any(abs(leave - one) <= within and abs(enter - other) <= within for one, other in theirs)
        for ours, theirs in zip(some, others, strict=True)
        for leave, enter in ours
    ]
    return float(np.mean(same)) if same else 0.0


def describe_answers(answers: Sequence[Array], questions: Sequence[str], seed: int) -> dict[str, Any]:
    """Shares of the jumps of all songs by question, with their intervals, and how many jumps there are.

    `answers` are of each song, (jumps, questions): 1, 0 or NaN; a question that none answers has {}.
    """
    together = np.concatenate(answers)
    songs = np.repeat(np.arange(len(answers)), [len(song) for song in answers])
    shares: dict[str, Any] = {}
    for question, column in zip(questions, together.T, strict=True):
        known = np.isfinite(column)
        shares[question] = describe(column[known], songs[known], seed=seed) if known.any() else {}
    return {"count": len(together), **shares}


def _compare_trackers(judged: Mapping[str, list[Array]], seed: int) -> dict[str, Any]:
    """What trackers say of beats and bars that jumps keep by the score, and of those that they break; see above.

    `judged` holds answers (judges, jumps, questions) of each song by kind of jump: of the score, then of `TRACKERS`.
    """
    return {
        tracker: {
            kind: {
                question: _ask_tracker([(song[0, :, column], song[number, :, column]) for song in songs], seed)
                for column, question in enumerate(TRANSITION_QUESTIONS[:2])
            }
            for kind, songs in judged.items()
        }
        for number, tracker in enumerate(TRACKERS, start=1)
    }


def _ask_tracker(songs: list[tuple[Array, Array]], seed: int) -> dict[str, Any]:
    """Shares of what is kept, and of what is broken, that a tracker says is kept, by true and told answers (jumps,)."""
    truth, told = (np.concatenate(answers) for answers in zip(*songs, strict=True))
    numbers = np.repeat(np.arange(len(songs)), [len(answers) for answers, _ in songs])
    shares: dict[str, Any] = {}
    for name, answer in (("kept", 1.0), ("broken", 0.0)):
        asked = (truth == answer) & np.isfinite(told)
        shares[name] = describe(told[asked], numbers[asked], seed=seed) if asked.any() else {}
        shares[name] |= {"count": int(asked.sum())}
    return shares
