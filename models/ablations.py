"""Train the network without one of its parts at a time, and with less music, all for the same number of batches.

    python models/ablations.py MUSIC/ RUNS/ --validation PACKAGE … [--batches 1200] [--only NAME …]

Each variant goes to `RUNS/NAME`; one that is there already is not trained again. Prints and writes `RUNS/table.md`:
every variant on the same points of the validation tracks.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from musex.config import PointerConfig
from musex.evaluation.comparison import evaluate
from musex.prediction.model import load_model
from musex.training.dataset import Sampling, load_tracks, split_tracks
from musex.training.runs import export
from musex.training.train import TrainingConfig, describe, train_pointer

WHOLE, BATCHES_PER_EPOCH = "whole", 200
NETWORKS = {
    WHOLE: PointerConfig(),
    "without learned embeddings": PointerConfig(embedding_channels=0),
    "without diagonal comparison": PointerConfig(lags=(1,)),
    "without looking ahead": PointerConfig(looks_ahead=False),
    "without the generator": PointerConfig(generates=False),
}
AS_IT_IS = Sampling(future_odds=0.0, crop_odds=0.0, pitch_odds=0.0, splice_odds=0.0, mask_odds=0.0)
SHARES = {"an eighth of the tracks": 1 / 8, "a quarter of the tracks": 1 / 4, "half of the tracks": 1 / 2}


def recipes(batches: int) -> dict[str, tuple[PointerConfig, TrainingConfig]]:
    """Every variant: its network and how it is trained."""
    recipe = TrainingConfig(steps_per_epoch=BATCHES_PER_EPOCH, epochs=max(1, batches // BATCHES_PER_EPOCH))
    variants = {name: (network, recipe) for name, network in NETWORKS.items()}
    variants["without augmentation"] = (PointerConfig(), replace(recipe, sampling=AS_IT_IS))
    variants |= {name: (PointerConfig(), replace(recipe, share=share)) for name, share in SHARES.items()}
    return variants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--validation", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--batches", type=int, default=1200)
    parser.add_argument("--points", type=int, default=4)
    parser.add_argument("--only", action="append", metavar="NAME")
    options = parser.parse_args()
    validation = tuple(options.validation)
    untrained = options.runs / "random weights"
    if not (untrained / "pointer.tflite").exists():
        from musex.training.networks.pointer import build_pointer

        untrained.mkdir(parents=True, exist_ok=True)
        export(
            build_pointer(PointerConfig()), untrained / "pointer.tflite", describe(PointerConfig(), TrainingConfig())
        )
    for name, (network, recipe) in recipes(options.batches).items():
        run = options.runs / name
        if (run / "pointer.tflite").exists() or (options.only and name not in options.only):
            continue
        print(f"training {name}", file=sys.stderr, flush=True)
        train_pointer(
            options.music, run, model=network, config=recipe, validation=validation, resume=(run / "state.npz").exists()
        )
    names = [name for name in [*recipes(1), untrained.name] if (options.runs / name / "pointer.tflite").exists()]
    _, held = split_tracks(load_tracks(options.music), validation=validation)
    results = evaluate(held, models={name: load_model(options.runs / name) for name in names}, points=options.points)
    lines = ["| variant | error dB | against the reference, dB | choice skill |", "|---|---|---|---|"]
    for name in names:
        measures = results["predictors"][name]
        error, difference, skill = (
            "{mean:.2f} [{low:.2f}, {high:.2f}]".format(**measures[measure])
            for measure in ("prediction_error_db", "error_against_reference_db", "choice_skill")
        )
        lines.append(f"| {name} | {error} | {difference} | {skill} |")
    table = "\n".join(lines) + "\n"
    (options.runs / "table.md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
