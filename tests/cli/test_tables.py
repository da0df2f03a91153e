"""Results as tables: everything that was measured is told."""

from typing import Any

import pytest
from rich.console import Console

from musex.cli.tables import HEADINGS, jump_tables, result_tables


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


def test_each_judge_of_jumps_has_its_columns() -> None:
    def jumps(beat: float, bar: float, row: dict[str, float]) -> dict[str, Any]:
        shares = [{"mean": mean, "low": mean - 0.1, "high": mean + 0.1} for mean in (beat, bar)]
        return {"musex": {"count": 7, "beat": shares[0], "bar": shares[1], "row": row, "written": {}}}

    about = {"data": "music", "songs": 2, "seconds": 60.0, "same": {"musex": 1.0}, "left_out": {}}
    judges = {"one": jumps(0.71, 0.42, {}), "other": jumps(0.83, 0.54, {})}
    kept = {"mean": 0.31, "low": 0.2, "high": 0.4, "count": 6}
    trackers = {"one": {"musex": {"beat": {"kept": kept, "broken": {"count": 0}}}}}
    for results, wanted, unknown in (
        (about | {"kind": "recordings", "jumps": judges}, ("0.71", "0.42", "0.83", "0.54", "other"), ("row",)),
        (
            about | {"kind": "scores", "jumps": {"score": jumps(0.71, 0.42, kept)}, "trackers": trackers},
            ("0.71", "row", "0.31", "broken"),
            ("written", "score"),
        ),
    ):
        console = Console(width=80)
        with console.capture() as capture:
            for table in jump_tables(results):
                console.print(table)
        printed = capture.get()
        assert all(word in printed for word in wanted)
        assert not any(word in printed.replace("2 scores", "").replace("2 recordings", "") for word in unknown)
