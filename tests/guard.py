"""What a change of the code shall leave as it is: plans and renderings of the examples, byte for byte.

    python -m tests.guard FILE            # keep what they are now, or hold them against what FILE has kept

Plans (as JSON) and renderings of the three examples by every ending, mood and three seeds, each by its SHA-256. They
are compared on one machine: another's arithmetic may differ in the last bit. Exits with 1 if anything has changed.
"""

import argparse
import hashlib
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.errors import DurationError
from musex.planning.planner import plan_song
from musex.prediction.model import Model, load_model
from musex.rendering.stitch import render
from musex.settings import ENDINGS, Mood, Options

EXAMPLES = Path(__file__).parent.parent / "examples"
SONGS = ("groove.mp3", "waltz.mp3", "drift.mp3")
SECONDS, SEEDS = 150.0, (0, 1, 2)


def fingerprint(song: Song, model: Model, options: Options) -> dict[str, str]:
    """SHA-256 of a plan and of what it sounds like, or why there is none."""
    try:
        plan = plan_song(song, model, seconds=SECONDS, **options)
    except DurationError as error:
        return {"refused": str(error)}
    sound = hashlib.sha256()
    for block in render(plan, song):
        sound.update(np.ascontiguousarray(block).tobytes())
    plan = replace(plan, song=replace(plan.song, path=None))  # wherever it lies
    return {"plan": hashlib.sha256(plan.to_json().encode()).hexdigest(), "sound": sound.hexdigest()}


def fingerprints() -> dict[str, dict[str, str]]:
    """Those of all examples, by what was asked for."""
    model, found = load_model(), {}
    for name in SONGS:
        song = read_song(EXAMPLES / name)
        for ending, mood, seed in itertools.product(ENDINGS, (None, *get_args(Mood)), SEEDS):
            options = Options(ending=ending, mood=mood, seed=seed)
            found[f"{name} {ending} {mood} {seed}"] = fingerprint(song, model, options)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guard", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="where they are kept; made if it is not there")
    kept: Path = parser.parse_args().file
    found = fingerprints()
    if not kept.exists():
        kept.write_text(json.dumps(found, indent=1))
        sys.stdout.write(f"{kept}: {len(found)} plans and renderings kept\n")
        return 0
    before = json.loads(kept.read_text())
    changed = [name for name in {**before, **found} if before.get(name) != found.get(name)]
    sys.stdout.write("\n".join([f"{len(changed)} of {len(found)} have changed", *changed]) + "\n")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
