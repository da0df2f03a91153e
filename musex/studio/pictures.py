"""What the page draws, as JSON has it: a song, a plan of it, a seam; all times in seconds."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from musex.analysis.moods import asked
from musex.analysis.song_analysis import analyse_song
from musex.audio.song import Song
from musex.config import FEATURES
from musex.inspection import SongInfo
from musex.plans import Plan, Seam
from musex.seams.bounds import MEASURES, exceeded, format_measure, shown_measures
from musex.settings import STEMS
from musex.system.arrays import Array
from musex.system.wording import format_count, format_time
from musex.views.reports import describe_path

PEAKS_PER_SECOND = 50  # of a song's waveform
MOST_PEAKS = 12_000  # of a waveform that is drawn
CURVE_POINTS = 240
ENDINGS = {"outro": "the song's own ending", "fade": "a fade", "cut": "a cut", "loop": "a loop"}


def song_peaks(song: Song) -> Array:
    """The greatest amplitude of each fiftieth of a second, float32 (seconds · 50,)."""
    bounds = np.arange(0, song.frames, song.sample_rate / PEAKS_PER_SECOND).astype(np.int64)
    loudest = np.zeros(song.frames, np.float32)
    for channel in song.samples.T:
        np.maximum(loudest, np.abs(channel), out=loudest)
    return np.maximum.reduceat(loudest, bounds)


def describe_song(song: Song, peaks: Array, info: SongInfo | None) -> dict[str, Any]:
    """What is known of a song; where sections and bars lie once that is."""
    facts = {"sections": [], "downbeats": [], "beats": [], "told": "", "known": info is not None}
    if info is not None:
        tempo = [f"{info.tempo:.0f} beats a minute"] if info.tempo else []
        metre = [f"{info.metre} beats a bar"] if info.metre else []
        facts |= {
            "sections": section_bounds(song, info)[:-1],
            "downbeats": info.downbeats,
            "beats": info.beats,
            "told": ", ".join([*tempo, *metre, *([info.key] if info.key else [])]),
        }
    return {"seconds": song.seconds, "peaks": thin(peaks, MOST_PEAKS // 4), **facts}


def describe_plan(
    plan: Plan, song: Song, peaks: Array, *, info: SongInfo | None = None, locked: Sequence[int] = ()
) -> dict[str, Any]:
    """What a plan plays when, its seams, and what it was asked for."""
    rate, settings = plan.song.sample_rate, plan.settings
    begins = np.cumsum([0, *(span.frames for span in plan.spans)])[:-1]
    return {
        "seconds": plan.seconds,
        "told": tell_plan(plan),
        "spans": [
            [int(at) / rate, span.start / rate, span.stop / rate] for at, span in zip(begins, plan.spans, strict=True)
        ],
        "seams": [describe_seam(seam, number, plan) | {"locked": number in locked} for number, seam in _numbered(plan)],
        "sections": find_stretches(plan, section_bounds(song, info)),
        "bars": find_places(plan, info.downbeats if info else ()),
        "path": describe_path(plan, song.seconds),
        "peaks": output_peaks(plan, peaks),
        "mood": describe_mood(plan, song),
        "gain_db": plan.gain_db,
        "settings": {
            "ending": settings.ending,
            "novelty": settings.novelty,
            "seed": settings.seed,
            "arc": settings.moods,
            "hits": getattr(settings, "hits", ()),
            "muted": [
                stem for stem in STEMS if all(level is None for _, level in settings.changes.get(stem, ((0, 0),)))
            ],
            "kept_out": len(getattr(settings, "forbid", ())),
        },
    }


def section_bounds(song: Song, info: SongInfo | None) -> list[float]:
    """Where sections begin, and where the last one ends; what lies before the first belongs to it."""
    return [0.0, *(at for at in info.sections if at > 0.0), song.seconds] if info else []


def find_stretches(plan: Plan, bounds: Sequence[float]) -> list[tuple[float, float, int]]:
    """Which section of the song is heard from when to when."""
    rate, at, stretches = plan.song.sample_rate, 0.0, list[tuple[float, float, int]]()
    for span in plan.spans:
        start, stop = span.start / rate, span.stop / rate
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if max(start, begin) < min(stop, end):
                heard = at + max(start, begin) - start, at + min(stop, end) - start, number
                stretches.append((round(heard[0], 3), round(heard[1], 3), number))
        at += stop - start
    return stretches


def find_places(plan: Plan, places: Sequence[float]) -> list[float]:
    """When places of the song are heard."""
    rate, at, times, sorted_places = plan.song.sample_rate, 0.0, list[float](), np.array(sorted(places))
    for span in plan.spans:
        start, stop = span.start / rate, span.stop / rate
        within = sorted_places[(sorted_places >= start) & (sorted_places < stop)]
        times += np.round(at + within - start, 3).tolist()
        at += stop - start
    return times


def tell_plan(plan: Plan) -> str:
    """A plan in a line."""
    ending = ENDINGS.get(plan.settings.ending, "")
    return f"{format_time(plan.seconds)} with {tell_seams(plan)}; it ends with {ending}."


def tell_seams(plan: Plan) -> str:
    """How many seams a plan has, and how many of them are doubtful."""
    beyond = sum(bool(exceeded(seam)) for seam in plan.seams)
    return format_count(len(plan.seams), "seam") + (f", {beyond} of them beyond a bound" if beyond else "")


def _numbered(plan: Plan) -> enumerate[Seam]:
    return enumerate(plan.seams, start=1)


def describe_seam(seam: Seam, number: int, plan: Plan) -> dict[str, Any]:
    """A seam in figures and words."""
    rate, beyond = plan.song.sample_rate, exceeded(seam)
    return {
        "number": number,
        "at": seam.at / rate,
        "from": seam.leave / rate,
        "to": seam.enter / rate,
        "told": f"{format_time(seam.leave / rate)} → {format_time(seam.enter / rate)}",
        "fade_ms": round(1000 * seam.fade / rate),
        "measures": [
            {
                "name": measure.title,
                "value": format_measure(seam, name) + (measure.unit if getattr(seam, name) is not None else ""),
                "beyond": name in beyond,
                "meaning": measure.meaning,
            }
            for name, measure in shown_measures(plan.seams).items()
        ],
        "beyond": [MEASURES[name].title for name in beyond],
    }


def output_peaks(plan: Plan, peaks: Array) -> list[float]:
    """The waveform of what a plan plays, by that of its song."""
    apart = plan.song.sample_rate / PEAKS_PER_SECOND
    places = plan.places(np.arange(0, plan.frames, apart).astype(np.int64))
    heard = peaks[np.minimum((places / apart).astype(np.int64), len(peaks) - 1)]
    if plan.rest:
        heard[-max(1, int(plan.rest / apart)) :] = 0.0
    return thin(heard, MOST_PEAKS)


def thin(peaks: Array, most: int) -> list[float]:
    """Not more than so many values, the greatest of each stretch."""
    every = -(-len(peaks) // most)
    padded = np.pad(peaks, (0, -len(peaks) % every))
    return [round(float(value), 3) for value in padded.reshape(-1, every).max(axis=1)]


def describe_mood(plan: Plan, song: Song) -> dict[str, Any]:
    """Arousal over the output's time, as it is and as it was asked for; -2 calm to 2 intense."""
    analysis = analyse_song(song)
    steps = np.minimum(plan.steps(1.0 / FEATURES.steps_per_second), analysis.steps - 1)
    chosen = np.linspace(0, len(steps) - 1, min(CURVE_POINTS, len(steps))).astype(np.int64)
    times = chosen / FEATURES.steps_per_second
    points = plan.settings.moods
    wanted = asked(points, times)[:, 0].round(2).tolist() if points else None
    return {"times": times.tolist(), "heard": analysis.moods[steps[chosen], 0].round(2).tolist(), "asked": wanted}
