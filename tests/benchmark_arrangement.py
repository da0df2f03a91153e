"""What arranging changes in five minutes of many songs: `PYTHONPATH=. python tests/benchmark_arrangement.py MUSIC/`.

For every song, arranged and not: how often a classifier that hears ±1.5 s finds the seams in the rendered output (area
under the ROC curve against untouched places, 0.5: not at all), and the edges of turns beside the same moments without
them; the same of the seams by the judge that hears ±10 s, which learns from naive jumps in other songs; share of the
output that is a combination of stems which the song never has; the most by which a minute's loudness changes,
breakdowns left out; and the time it takes.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from musex.analysis.song_analysis import analyse_song
from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.errors import AudioError, DurationError
from musex.evaluation.phrase_judge import NAIVE, UNTOUCHED, describe_jumps, naive_jumps, score_places
from musex.evaluation.phrases import can_be_heard, hear_phrases, phrase_rows
from musex.evaluation.seam_classifier import area_interval, collect, describe_place, draw_songs, judge_places
from musex.extension import Extension, extend
from musex.planning.bars import find_bars
from musex.planning.measures import arrangement_share
from musex.prediction.beat_network import BeatNetwork
from musex.prediction.model import load_model
from musex.seams.joins import REACH_SECONDS, whole_window
from musex.separation.separated import stems_of
from musex.settings import Arrange

Array = np.ndarray

TARGET = 300.0
MINUTE = 60.0
MODES: tuple[Arrange, ...] = ("off", "subtle", "bold")


def windows(sound: Extension, places: list[int]) -> list[Array]:
    """What the classifier hears around places of an output."""
    reach = round(REACH_SECONDS * sound.sample_rate)
    inside = [place for place in places if reach <= place <= len(sound.samples) - reach]
    return [describe_place(whole_window(sound.samples[at - reach : at + reach], sound.sample_rate)) for at in inside]


def phrases(song: Song, outputs: dict[str, Extension], random: np.random.Generator) -> dict[str, Array]:
    """What the judge of phrases hears: of the song's untouched places and naive jumps, and of the outputs' seams."""
    heard = hear_phrases(song.samples, song.sample_rate)
    untouched = random.uniform(12.0, song.seconds - 12.0, 16).tolist()
    described = describe_jumps(heard, naive_jumps(heard, 8, random), untouched)
    for name, made in outputs.items():
        sound = hear_phrases(made.samples, made.sample_rate)
        places = [(seam.at / made.sample_rate,) * 2 for seam in made.plan.seams]
        places = [place for place in places if can_be_heard(sound, *place)]
        if places:
            described[f"phrases, {name}"] = phrase_rows(sound, np.array(places))
    return described


def loudness_change(plain: Extension, arranged: Extension) -> float:
    """The most by which the loudness of a minute changes where no stem is silent, dB."""
    rate, heard = plain.sample_rate, np.ones(len(plain.samples), bool)
    for turn in arranged.plan.turns:
        if turn.gain_db is None:
            heard[turn.at : turn.at + turn.frames] = False
    worst, size = 0.0, round(MINUTE * rate)
    for start in range(0, len(heard) - size // 2, size):
        view = slice(start, start + size)
        if heard[view].sum() > rate:
            levels = [np.mean(np.square(sound.samples[view][heard[view]])) for sound in (plain, arranged)]
            worst = max(worst, float(abs(10.0 * np.log10((levels[1] + 1e-12) / (levels[0] + 1e-12)))))
    return worst


def examine(song: Song) -> tuple[dict[str, list[Array]], dict[str, float], dict[str, Extension]]:
    """What the classifier hears of a song's outputs, the figures of its arrangements, and the outputs."""
    outputs: dict[str, Extension] = {}
    heard: dict[str, list[Array]] = {}
    figures: dict[str, float] = {}
    stems, analysis = stems_of(song), analyse_song(song)
    downbeats = BeatNetwork().track(analysis.log_mel, analysis.chroma).downbeats
    bars = find_bars(stems, downbeats, song.sample_rate, analysis)
    plain = extend(song, seconds=TARGET)
    for mode in MODES:
        began = time.monotonic()
        made = extend(song, seconds=TARGET, arrange=mode) if mode != "off" else plain
        outputs[mode] = made
        figures[f"{mode}: s"] = time.monotonic() - began
        heard[f"seams, {mode}"] = windows(made, [seam.at for seam in made.plan.seams])
        if mode != "off":
            edges = [place for turn in made.plan.turns for place in (turn.at, turn.at + turn.frames)]
            heard[f"edges, {mode}"] = windows(made, edges)
            heard[f"edges, {mode}, without"] = windows(plain, edges)
            figures[f"{mode}: turns"] = len(made.plan.turns)
            figures[f"{mode}: new, %"] = 100.0 * arrangement_share(made.plan, bars) if bars else 0.0
            figures[f"{mode}: loudness, dB"] = loudness_change(plain, made)
    return heard, figures, outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--songs", type=int, default=16)
    arguments = parser.parse_args()
    random, model = np.random.default_rng(0), load_model()
    collected: list[dict[str, list[Array]]] = []
    figures: list[dict[str, float]] = []
    judged: list[dict[str, Array]] = []
    for path in draw_songs(arguments.music, arguments.songs, 0):
        try:
            song = read_song(path)
            heard, found, outputs = examine(song)
            known = collect(path, model, places=6, seconds=TARGET, plans=1, random=random, looper=False)
            described = phrases(song, outputs, random)
        except (AudioError, DurationError):
            continue
        judged.append(described)
        collected.append(known | heard)
        figures.append(found)
        print(path.name, {name: round(value, 2) for name, value in found.items()}, flush=True)
    kinds = list(dict.fromkeys(kind for song in collected for kind in song))
    scores = judge_places(collected, kinds, 0)
    for kind in kinds[len(kinds) - 7 :]:
        area = area_interval(scores, kind, "untouched", 0)
        count = sum(len(song.get(kind, ())) for song in collected)
        print(f"{kind}: {area['mean']:.3f} [{area['low']:.3f}, {area['high']:.3f}] of {count}")
    groups = [str(number) for number in range(len(judged))]
    by_phrase = score_places(judged, groups, NAIVE, 0)
    for mode in MODES:
        area = area_interval(by_phrase, f"phrases, {mode}", UNTOUCHED, 0)
        print(f"phrases, {mode}: {area['mean']:.3f} [{area['low']:.3f}, {area['high']:.3f}]")
    for name in figures[0]:
        values = [found[name] for found in figures]
        print(f"{name}: mean {np.mean(values):.2f}, most {np.max(values):.2f}")


if __name__ == "__main__":
    main()
