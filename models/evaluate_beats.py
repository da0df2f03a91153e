"""Measure the exported beat network on rendered scores that it was not trained on.

    python models/evaluate_beats.py SCORES/ [--model models/beats.tflite] [--part "held out"|validation|all]

F-measures (mir_eval, 70 ms) of beats and downbeats, by source; of scores without a pulse, how often none is found.
"""

import argparse
from pathlib import Path

import mir_eval
import numpy as np

from musex.analysis.bar_pointer import decode
from musex.beat_training import LEVELS_PER_DB, split_of
from musex.config import FEATURES
from musex.prediction.beat_tracker import BeatTracker


def judge(path: Path, tracker: BeatTracker) -> tuple[str, dict[str, float]]:
    """The source of a score, and what was found in it."""
    with np.load(path) as stored:
        log_mel = stored["levels"] / LEVELS_PER_DB + FEATURES.floor_db
        beats, positions = stored["beats"].astype(np.float64), stored["positions"]
    found = decode(tracker.activations(log_mel.astype(np.float32)))
    source = path.stem.split("-")[0]
    if not len(beats):
        return source, {"no pulse": float(not len(found.times))}
    return source, {
        "beats F": mir_eval.beat.f_measure(beats, found.times),
        "downbeats F": mir_eval.beat.f_measure(beats[positions == 1], found.downbeats),
        "metre": float(positions.max() == found.metre),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "beats.tflite")
    parser.add_argument("--part", default="held out")
    arguments = parser.parse_args()
    tracker = BeatTracker(arguments.model)
    judged: dict[str, list[dict[str, float]]] = {}
    for path in sorted(arguments.scores.glob("*/*.npz")):
        if arguments.part in ("all", split_of(path.parent.name)):
            source, measures = judge(path, tracker)
            judged.setdefault(source, []).append(measures)
    for source, rows in judged.items():
        means = ", ".join(f"{name} {np.mean([row[name] for row in rows]):.3f}" for name in rows[0])
        print(f"{source}: {len(rows)} scores: {means}")


if __name__ == "__main__":
    main()
