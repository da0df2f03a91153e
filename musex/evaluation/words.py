"""How often jumps cut words, in songs whose words' times are known (measure 11 of the design).

A song's words lie beside it, `NAME.json` beside `NAME.flac`: lines of words, each [start, stop] in seconds, as
`models/make_voices.py` leaves them. A jump cuts a *word* if it leaves or enters within one, and a *line* if between the
first word of one and its last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio.reading import READABLE, read_song
from musex.audio.song import Song
from musex.errors import AudioError, DatasetError, DurationError
from musex.evaluation.jumps import RANDOM, Jumps, count_loops, describe_answers, random_jumps, to_seconds
from musex.evaluation.seam_classifier import LOOPER, looper_seams
from musex.planning.planner import plan_song
from musex.prediction.model import Model
from musex.seams.bounds import BOUNDS
from musex.settings import Voice
from musex.system.arrays import Array
from musex.system.json_files import parse_json, read_json_text

EDGE_SECONDS = 0.06  # of a word that count for nothing: how exactly its times are known
PLANNED: dict[str, Voice] = {"musex": "whole", "musex --voice off": "off"}
CUTS = ("word", "line")


@dataclass(frozen=True)
class Lyrics:
    """When a song's words are sung: (words, 2) and (lines, 2), seconds from and to."""

    words: Array
    lines: Array

    def cut(self, jumps: Jumps) -> Array:
        """Whether each jump cuts a word, and a line: float64 (jumps, 2)."""
        places = np.array(jumps).reshape(-1, 2)
        return np.stack([_within(places, spans).any(axis=1) for spans in (self.words, self.lines)], axis=1).astype(
            float
        )


def _within(places: Array, spans: Array) -> Array:
    """Whether places lie within any of the spans, their edges left out: (jumps, 2)."""
    after, before = spans[:, 0] + EDGE_SECONDS, spans[:, 1] - EDGE_SECONDS
    return np.asarray(((places[..., None] > after) & (places[..., None] < before)).any(axis=-1))


def read_lyrics(path: Path) -> Lyrics:
    """The words of a file of them; raises DatasetError if it is damaged, or holds none."""
    try:
        lines = [np.array(line, float).reshape(-1, 2) for line in parse_json(read_json_text(path)) if line]
        words = np.concatenate(lines)
    except (ValueError, TypeError, OSError) as error:
        raise DatasetError(f"{path} does not hold lines of words, each [start, stop] in seconds: {error}") from error
    return Lyrics(words, np.array([(line[0, 0], line[-1, 1]) for line in lines]))


def find_songs(dataset: Path) -> list[tuple[Path, Path]]:
    """Songs of a folder with their words beside them."""
    songs = [path for path in sorted(dataset.rglob("*")) if path.suffix.lower() in READABLE]
    return [(song, song.with_suffix(".json")) for song in songs if song.with_suffix(".json").exists()]


def evaluate_words(
    dataset: Path,
    model: Model,
    *,
    seconds: float = 420.0,
    looper: bool | None = None,
    loops: int = 5,
    seed: int = 0,
    on_progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Shares of the seams that cut words and lines: of plans that listen for a voice and that do not, and of others.

    Args:
        dataset: a folder of songs with their words beside them.
        model: plans.
        seconds: duration of each output.
        looper: whether PyMusicLooper stands beside them; without it, if it is installed.
        loops: how many of its best loops count.
        seed: of the plans, the random jumps and the intervals.
        on_progress: called with what is done, and how much of it.

    Returns:
        {"data", "seconds", "songs", "jumps": {name: {"word", "line", "beat", "bar": {"mean", "low", "high"}, "count"}},
        "left_out": {name: reason}}: means of the songs' shares of their seams, with 95 % bootstrap intervals over
        songs; beats and bars that are kept as the transition head tells, {} where it was not asked.

    Raises:
        DatasetError: there is no song with words beside it.
    """
    pairs, loops = find_songs(dataset), count_loops(looper, loops)
    found: dict[str, list[Array]] = {}  # of each song: (jumps, 4), NaN where nobody can tell
    left_out: dict[str, str] = {} if loops else {LOOPER: "not asked for, or not installed"}
    for number, (path, words) in enumerate(pairs):
        lyrics = read_lyrics(words)
        try:
            for name, (jumps, kept) in _jumps_of(
                read_song(path), model, seconds=seconds, loops=loops, seed=seed
            ).items():
                found.setdefault(name, []).append(np.concatenate([lyrics.cut(jumps), kept], axis=1))
        except (AudioError, DurationError) as error:
            left_out[path.name] = str(error)
        if on_progress:
            on_progress("Extending", (number + 1) / len(pairs))
    if not found:
        raise DatasetError(f"{dataset} holds no song with its words beside it: NAME.flac with NAME.json")
    return {
        "data": str(dataset),
        "seconds": seconds,
        "seed": seed,
        "songs": len(next(iter(found.values()))),
        "jumps": {name: describe_answers(songs, (*CUTS, "beat", "bar"), seed) for name, songs in found.items()},
        "left_out": left_out,
    }


def _jumps_of(song: Song, model: Model, *, seconds: float, loops: int, seed: int) -> dict[str, tuple[Jumps, Array]]:
    """Jumps by who makes them, and whether each keeps beat and bar, (jumps, 2), NaN where nobody can tell."""
    rate, jumps = song.sample_rate, dict[str, tuple[Jumps, Array]]()
    for name, voice in PLANNED.items():
        seams = plan_song(song, model, seconds=seconds, seed=seed, voice=voice).seams
        told = np.array([[seam.beat, seam.bar] for seam in seams], float).reshape(-1, 2)
        kept = np.where(np.isnan(told), np.nan, told >= (BOUNDS.beat, BOUNDS.bar))
        jumps[name] = to_seconds(seams, rate), kept
    others = {RANDOM: random_jumps(song, seed)}
    if loops:
        others = {LOOPER: to_seconds(looper_seams(song, loops), rate), **others}
    return jumps | {name: (pairs, np.full((len(pairs), 2), np.nan)) for name, pairs in others.items()}
