"""Print the tables of paper.md from two training runs: python models/compare_references.py PAPER_RUN LSTM_RUN"""

import json
import statistics
import sys
from itertools import pairwise
from pathlib import Path

from musex.training.runs import LOG_FILE, SETTINGS_FILE, read_rows

Rows = list[dict[str, float]]
PARTS = 5  # equal times at which both are read


def seconds_per_epoch(rows: Rows) -> float:
    """The median, which leaves out the first epoch, where the graph is traced."""
    return statistics.median([b["seconds"] - a["seconds"] for a, b in pairwise(rows)] or [rows[0]["seconds"]])


def describe_mse(row: dict[str, float] | None) -> str:
    """ "training / validation" of an epoch."""
    return f"{row['loss']:.3f} / {row['validation_loss']:.3f}" if row else "–"


def last_by(rows: Rows, seconds: float) -> dict[str, float] | None:
    """The last epoch that was finished by then."""
    return next((row for row in reversed(rows) if row["seconds"] <= seconds), None)


def compare(folders: dict[str, Path]) -> str:
    """Weights, cost, and MSE at the end, at equal epochs and at equal time, as Markdown; silence scores 1."""
    runs = {name: read_rows(folder / LOG_FILE) for name, folder in folders.items()}
    settings = {name: json.loads((folder / SETTINGS_FILE).read_text("utf-8")) for name, folder in folders.items()}
    best = {name: min(rows, key=lambda row: row["validation_loss"]) for name, rows in runs.items()}
    lines = ["| | " + " | ".join(runs) + " |", "|---" * (len(runs) + 1) + "|"]

    def add(title: str, *cells: str) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    add("weights", *(f"{settings[name]['weights']:,}" for name in runs))
    add("epochs", *(str(len(rows)) for rows in runs.values()))
    add("seconds an epoch", *(f"{seconds_per_epoch(rows):.1f}" for rows in runs.values()))
    add("peak memory, MB", *(f"{rows[-1]['peak_memory_mb']:.0f}" for rows in runs.values()))
    add("MSE at the end, training / validation", *(describe_mse(rows[-1]) for rows in runs.values()))
    add("best validation epoch", *(f"{row['epoch'] + 1:.0f}: {describe_mse(row)}" for row in best.values()))
    shared = min(map(len, runs.values()))
    for epochs in sorted({round(shared * (part + 1) / PARTS) for part in range(PARTS)} - {0}):
        add(f"MSE after {epochs} epochs", *(describe_mse(rows[epochs - 1]) for rows in runs.values()))
    shared_seconds = min(rows[-1]["seconds"] for rows in runs.values())
    for part in range(PARTS):
        seconds = shared_seconds * (part + 1) / PARTS
        add(f"MSE after {seconds / 60:.1f} min", *(describe_mse(last_by(rows, seconds)) for rows in runs.values()))
    return "\n".join(lines)


if __name__ == "__main__":
    paper, lstm = map(Path, sys.argv[1:])
    print(compare({"paper": paper, "lstm": lstm}))
