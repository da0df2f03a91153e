"""How well real junctions are told from splices: the join head beside spectral flux and log-mel distance alone.

    python models/compare_joins.py MUSIC/ [--validation PACKAGE …] [--model RUN/] [--json FILE]

Prints the area under the ROC curve for each kind of splice, with 95 % bootstrap intervals over tracks, those of leads
paired; without `--validation` on all tracks of MUSIC/. Flux and distance are taken over several reaches, the best of
each is shown.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from musex.analysis.features import to_mono
from musex.audio.reading import read_song
from musex.errors import AudioError
from musex.metrics import area_under_curve
from musex.prediction.join_head import JoinHead
from musex.prediction.model import load_model
from musex.training.dataset import load_tracks, split_tracks
from musex.training.junctions import KINDS, JunctionConfig, draw_junctions

Array = np.ndarray
Scores = dict[str, Array]  # by judge: how real each junction of a track seems
RESAMPLES = 1000
LONGEST_SECONDS = 90.0
SPLICED = tuple(range(1, len(KINDS)))


def flux(window: Array, reach: int) -> float:
    """Largest rise of the log-mel from frame to frame within `reach` frames of the middle."""
    rise = np.maximum(np.diff(window, axis=0), 0.0).mean(axis=1)
    middle = len(window) // 2 - 1
    return float(rise[middle - reach : middle + reach + 1].max())


def relative_flux(window: Array, reach: int) -> float:
    """The share of the window's own frames whose flux is less than the largest near its middle."""
    rise = np.maximum(np.diff(window, axis=0), 0.0).mean(axis=1)
    return float(np.mean(rise < flux(window, reach)))


def distance(window: Array, reach: int) -> float:
    """Mean absolute difference of the mean log-mel over `reach` frames before and after the middle."""
    middle = len(window) // 2
    before, after = window[middle - reach : middle], window[middle : middle + reach]
    return float(np.abs(before.mean(axis=0) - after.mean(axis=0)).mean())


PLAIN: dict[str, tuple[tuple[Callable[[Array, int], float], int], ...]] = {
    "flux": tuple((measure, reach) for measure in (flux, relative_flux) for reach in (0, 1, 3, 6)),
    "log-mel distance": tuple((distance, reach) for reach in (1, 2, 5, 15, 50, 75)),
}


def judge(path: Path, head: JoinHead, junctions: int, seed: int) -> tuple[Array, Scores]:
    """Kinds (n,) of a track's junctions, and by judge how real each seems."""
    song = read_song(path)
    mono = to_mono(song.samples[: round(LONGEST_SECONDS * song.sample_rate)], song.sample_rate)
    drawn = list(draw_junctions(mono, JunctionConfig(count=junctions), seed=seed))
    scores = {"join head": np.array([head.judge(junction.window) for junction in drawn])}
    for measures in PLAIN.values():
        for measure, reach in measures:
            name = f"{measure.__name__} {reach}"
            scores[name] = np.array([-measure(junction.window, reach) for junction in drawn])
    return np.array([junction.kind for junction in drawn]), scores


def area(tracks: list[tuple[Array, Scores]], judge_name: str, kinds: tuple[int, ...]) -> float:
    """Area under the curve of real junctions against `kinds`, all tracks together."""
    labels = np.concatenate([found for found, _ in tracks])
    values = np.concatenate([scores[judge_name] for _, scores in tracks])
    return area_under_curve(values[labels == 0], values[np.isin(labels, kinds)])


def compare(tracks: list[tuple[Array, Scores]], seed: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """(judge, kind of splice, {"mean", "low", "high"}); of the plain measures the reach that is best over all kinds."""
    drawn = np.random.default_rng(seed).integers(0, len(tracks), (RESAMPLES, len(tracks)))
    head = "join head"
    best = {head: head}
    for title, measures in PLAIN.items():
        names = [f"{measure.__name__} {reach}" for measure, reach in measures]
        best[title] = max(names, key=lambda name: area(tracks, name, SPLICED))
    for title, name in best.items():
        for kind in SPLICED:
            resampled = [area([tracks[number] for number in row], name, (kind,)) for row in drawn]
            low, high = np.percentile(resampled, [2.5, 97.5])
            shown = title if title == name else f"{title} ({name.replace('_', ' ')})"
            found = {"mean": area(tracks, name, (kind,)), "low": float(low), "high": float(high)}
            yield shown, KINDS[kind], found
            if name != head:
                leads = [area([tracks[number] for number in row], head, (kind,)) for row in drawn]
                low, high = np.percentile(np.subtract(leads, resampled), [2.5, 97.5])
                found = {"mean": area(tracks, head, (kind,)) - found["mean"], "low": float(low), "high": float(high)}
                yield f"join head's lead on {title}", KINDS[kind], found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--validation", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--junctions", type=int, default=8, help="of each kind, per track")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tracks = load_tracks(options.music)
    if options.validation:
        _, tracks = split_tracks(tracks, validation=tuple(options.validation))
    head = load_model(options.model).join_head
    judged = []
    for track in tracks:
        try:
            kinds, scores = judge(track.path, head, options.junctions, options.seed)
        except AudioError:
            continue
        if len(kinds):
            judged.append((kinds, scores))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name, kind, found in compare(judged, options.seed):
        table.setdefault(name, {})[kind] = found
    print(f"{len(judged)} tracks, {sum(len(kinds) for kinds, _ in judged)} junctions\n")
    print("| judge | " + " | ".join(KINDS[kind] for kind in SPLICED) + " |")
    print("|---" * (len(SPLICED) + 1) + "|")
    for name, row in table.items():
        print(
            f"| {name} | "
            + " | ".join("{mean:.2f} [{low:.2f}, {high:.2f}]".format(**cell) for cell in row.values())
            + " |"
        )
    if options.json:
        options.json.write_text(json.dumps({"tracks": len(judged), "judges": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
