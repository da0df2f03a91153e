"""Results as tables: everything that was measured is told."""

from typing import Any

import pytest
from rich.console import Console

from musex.cli.tables import HEADINGS, result_tables


@pytest.mark.parametrize("measures", [1, 5, 14])
def test_tables_fit_a_terminal(measures: int) -> None:
    row = {"mean": 123.456, "low": 120.0, "high": 130.1}
    names = list(HEADINGS)[:measures]
    predictors = {name: dict.fromkeys(names, row) for name in ("musex", "the average of the nearest contexts", "noise")}
    results = {"data": "music", "seed": 3, "points": 9, "tracks": 3, "predictors": predictors, "left_out": {}}
    console = Console(width=240)
    with console.capture() as capture:
        for table in result_tables(results):
            console.print(table)
    lines = capture.get().splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= 80
    assert sum(line.count("123.46") for line in lines) == 3 * measures
    assert sum("music: 9 points" in line for line in lines) == 1


def test_every_part_of_the_results_has_its_table() -> None:
    row = {"mean": 5.114, "low": 4.736, "high": 5.481}
    predictors = {"musex": {"prediction_error_db": row, "choice_skill": row}, "song mean": {"prediction_error_db": row}}
    results: dict[str, Any] = {"data": "music", "seed": 3, "points": 9, "tracks": 3, "predictors": predictors}
    results["worst"] = [{"track": "folder/song.ogg", "prediction_error_db": 7.654}]
    results["hidden_endings"] = {"30": {"tracks": 2, "predictors": predictors}}
    results["chains"] = {"tracks": 2, "predictors": {"musex": {"seams_per_minute": row}}}
    results["cost"] = {"musex": {"prediction_cpu_seconds": 0.0312}}
    results["left_out"] = {"paper": "not given"}
    console = Console(width=120)
    with console.capture() as capture:
        for table in result_tables(results):
            console.print(table)
    printed = capture.get()
    for wanted in (
        "music: 9 points in 3 tracks, seed 3",
        "5.11",
        "(4.74, 5.48)",
        "last 30 s hidden",
        "folder/song.ogg",
        "7.65",
        "10 min chained",
        "0.0312",
        "not given",
        *(HEADINGS[name] for name in ("prediction_error_db", "choice_skill", "seams_per_minute")),
    ):
        assert wanted in printed
