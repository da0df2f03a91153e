"""The tables and the picture of paper.md, from training runs of the generative references:

    python models/compare_references.py RUN RUN ...
    python models/compare_references.py RUN RUN ... --music MUSIC/ --figure heard.png

With the folder that they learned from, each exported network is measured, as it is used, on the tracks that it learned
from and on those held out, and what it predicts of one of each is drawn.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.features import analyse, columns
from musex.prediction.model import WaveformModel, load_model
from musex.training.runs import LOG_FILE, SETTINGS_FILE, read_rows
from musex.views.plots import DrawnStretch, plot_stretches, save_figure

Array = np.ndarray[Any, Any]
Rows = list[dict[str, float]]
PARTS = 2  # into which the epochs are divided that all runs have; losses are read after each


def seconds_per_epoch(rows: Rows) -> float:
    """The median, which leaves out the first epoch, where the graph is traced."""
    return statistics.median([b["seconds"] - a["seconds"] for a, b in pairwise(rows)] or [rows[0]["seconds"]])


def describe_mse(row: dict[str, float]) -> str:
    """ "training / validation" of an epoch; a dash where it was not validated."""
    losses = (row["loss"], row["validation_loss"])
    return " / ".join("–" if isnan(loss) else f"{loss:.3f}" if loss < 1000 else f"{loss:.0e}" for loss in losses)


def compare(folders: Sequence[Path]) -> str:
    """Weights, cost, and MSE at the end and after equal epochs, as Markdown; silence scores 1."""
    names = [folder.name.removesuffix("-run") for folder in folders]
    runs = [read_rows(folder / LOG_FILE) for folder in folders]
    settings = [json.loads((folder / SETTINGS_FILE).read_text("utf-8")) for folder in folders]
    best = [
        min((row for row in rows if not isnan(row["validation_loss"])), key=lambda row: row["validation_loss"])
        for rows in runs
    ]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(runs) + 1) + "|"]

    def add(title: str, *cells: str) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    add("weights", *(f"{each['weights']:,}" for each in settings))
    add("epochs", *(str(len(rows)) for rows in runs))
    add("seconds an epoch", *(f"{seconds_per_epoch(rows):.1f}" for rows in runs))
    add("peak memory, MB", *(f"{max(row['peak_memory_mb'] for row in rows):.0f}" for rows in runs))
    add("MSE at the end, training / validation", *(describe_mse(rows[-1]) for rows in runs))
    add("best validation epoch", *(f"{row['epoch'] + 1:.0f}: {describe_mse(row)}" for row in best))
    fewest = min(map(len, runs))
    for epochs in sorted({round(fewest * (part + 1) / PARTS) for part in range(PARTS)} - {0}):
        add(f"MSE after {epochs} epochs", *(describe_mse(rows[epochs - 1]) for rows in runs))
    return "\n".join(lines)


def load_clips(run: Path, music: Path) -> list[list[tuple[str, Array]]]:
    """The clips of the tracks that a run has learned from, and of those it has held out, drawn as it drew them."""
    from musex.training.waveform import ReferenceConfig, draw_tracks, load_clip

    settings = json.loads((run / SETTINGS_FILE).read_text("utf-8"))
    model = load_reference(run).config
    config = ReferenceConfig(**settings["recipe"])
    sides = draw_tracks(music, model, config, validation=tuple(settings["validation"]["groups"]))
    clips = []
    for tracks in sides:
        pairs = [(f"{track.group}/{track.path.stem}", load_clip(track, model, config)) for track in tracks]
        clips.append([(name, clip) for name, clip in pairs if clip is not None])
    return clips


def load_reference(run: Path) -> WaveformModel:
    model = load_model(run)
    if not isinstance(model, WaveformModel):
        raise SystemExit(f"{run} predicts no waveform")
    return model


def predict_clip(model: WaveformModel, clip: Array) -> Array:
    """What follows the first 20 s of a clip (30, rate), as it says, at zero mean and unit variance: (samples,)."""
    return model.predict(clip[: model.config.context_seconds].reshape(-1), level=1.0)


def measure(model: WaveformModel, clips: list[tuple[str, Array]]) -> float:
    """The MSE of an exported network on clips; silence scores 1."""
    cut = model.config.context_seconds
    return float(np.mean([np.mean((predict_clip(model, clip) - clip[cut:].reshape(-1)) ** 2) for _, clip in clips]))


def hear(models: dict[str, WaveformModel], title: str, clip: Array) -> list[DrawnStretch]:
    """The paper's figures 7, 9 and 8 of a clip: heard, actual, and predicted by each network."""
    first = next(iter(models.values())).config
    cut, rate = first.context_seconds, first.sample_rate
    actual = clip[cut:].reshape(-1)
    sounds = [(f"{title}: the 20 s heard", 0, clip[:cut].reshape(-1)), ("The 10 s that follow", cut, actual)]
    for name, model in models.items():
        predicted = predict_clip(model, clip)
        sounds.append((f"Predicted by {name}, MSE {np.mean((predicted - actual) ** 2):.3f}", cut, predicted))
    return [DrawnStretch(name, columns(analyse(sound, rate)).log_mel, begins) for name, begins, sound in sounds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of training runs")
    parser.add_argument("--music", type=Path, help="what they learned from")
    parser.add_argument("--figure", type=Path, help="where to draw what they predict of it")
    arguments = parser.parse_args()
    print(compare(arguments.runs))
    if arguments.music:
        models = {run.name.removesuffix("-run"): load_reference(run) for run in arguments.runs}
        learned, held = load_clips(arguments.runs[0], arguments.music)
        print("\nMSE of the exported networks, as they are used: learned from / held out")
        for name, model in models.items():
            print(f"| {name} | {measure(model, learned):.3f} / {measure(model, held):.3f} |")
        if arguments.figure:
            titles = ("A track that was learned from", "A track never heard")
            songs = [hear(models, title, side[0][1]) for title, side in zip(titles, (learned, held), strict=True)]
            save_figure(plot_stretches(songs), arguments.figure, force=True)


if __name__ == "__main__":
    main()
