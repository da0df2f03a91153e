"""The results of an evaluation as tables for the terminal."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from musex.batches import Outcome
from musex.checks import MEASURE_FORMS, exceeded
from musex.config import TRANSITION_QUESTIONS
from musex.formats import LOSSLESS_CODECS
from musex.inspection import SongInfo
from musex.plans import Plan
from musex.terminal import format_count, format_time

Predictors = dict[str, dict[str, dict[str, float]]]

SAMPLE_FORMATS = {"PCM_16": "16 bits", "PCM_24": "24 bits", "FLOAT": "floating point"}
HEADINGS = {
    "prediction_error_db": "error dB",
    "log_mel_mse": "MSE dB²",
    "error_against_reference_db": "against averaged contexts, dB",
    "error_against_match_prior_db": "against match prior, dB",
    "choice_skill": "choice skill",
    "choice_skill_unseen": "skill, unseen features",
    "skill_against_match_prior": "against match prior",
    "skill_unseen_against_match_prior": "against match prior",
    "chroma_similarity": "chroma similarity",
    "onset_correlation": "onset correlation",
    "onset_f_measure": "onset F",
    "loudness_db_per_minute": "loudness dB/min",
    "centroid_hz_per_minute": "centroid Hz/min",
    "distance_db_per_minute": "distance dB/min",
    "distance_to_source_db": "distance dB",
    "longest_repeat_seconds": "longest repeat s",
    "share_used_percent": "song used %",
    "seams_per_minute": "seams/min",
    "duration_error_seconds": "duration error s",
    "prediction_cpu_seconds": "prediction s",
    "start_up_cpu_seconds": "start-up s",
    "cpu_seconds_per_output_minute": "s per output min",
    "peak_memory_mb": "peak MB",
    "peak_memory_mb_per_output_minute": "peak MB per output min",
}


def result_tables(results: dict[str, Any]) -> list[Table]:
    """What `evaluate` returns, one row a predictor, one column a measure: the points, the chains, endings and cost."""
    title = f"{results['data']}: {results['points']} points in {results['tracks']} tracks, seed {results['seed']}"
    tables = [predictor_table(title + "; mean and 95 % interval over tracks", results["predictors"])]
    if results.get("worst"):
        tables.append(track_table("The tracks where the first model does worst", results["worst"]))
    for seconds, ending in results.get("hidden_endings", {}).items():
        title = f"The last {seconds} s hidden and continued, {ending['tracks']} tracks"
        tables.append(predictor_table(title, ending["predictors"]))
    if "chains" in results:
        title = f"10 min chained, from the first seam on, {results['chains']['tracks']} tracks"
        tables.append(predictor_table(title, results["chains"]["predictors"]))
    if results.get("cost"):
        tables.append(cost_table(results["cost"]))
    if results["left_out"]:
        table = Table("left out", "why", box=None)
        for name, reason in results["left_out"].items():
            table.add_row(name, reason)
        tables.append(table)
    return tables


def predictor_table(title: str, predictors: Predictors) -> Table:
    """Means, and below them their intervals."""
    measures = list(dict.fromkeys(measure for row in predictors.values() for measure in row))
    table = _table(title, measures)
    for name, row in predictors.items():
        cells = [row.get(measure) for measure in measures]
        table.add_row(name, *(f"{c['mean']:.2f}\n({c['low']:.2f}, {c['high']:.2f})" if c else "" for c in cells))
    return table


def track_table(title: str, tracks: list[dict[str, Any]]) -> Table:
    """Means of one predictor, a row a track."""
    measures = [name for name in tracks[0] if name != "track"]
    table = _table(title, measures)
    for track in tracks:
        table.add_row(track["track"], *(f"{track[name]:.2f}" for name in measures))
    return table


def cost_table(cost: dict[str, dict[str, float]]) -> Table:
    """CPU time and memory."""
    measures = list(next(iter(cost.values())))
    table = _table("Cost: CPU seconds of all cores together, predictions from 3 min of memory", measures)
    for name, row in cost.items():
        table.add_row(name, *(f"{row[measure]:.3g}" for measure in measures))
    return table


def seam_table(results: dict[str, Any]) -> Table:
    """What `evaluate_seams` returns: one row a kind of seam."""
    return _area_table(results, "seams", "area under the ROC curve, 0.5 is unheard")


def phrase_table(results: dict[str, Any]) -> Table:
    """What `evaluate_phrases` returns: one row a kind of jump."""
    return _area_table(results, "phrases", "area under the ROC curve of a judge of ±10 s, 0.5 goes on as music does")


def _area_table(results: dict[str, Any], name: str, measure: str) -> Table:
    """Areas under the ROC curve against both kinds of untouched places, a row a kind; and what is left out."""
    title = f"{results['data']}: {results['songs']} songs, seed {results['seed']}; {measure}"
    table = Table(name, title=title, box=None, title_justify="left")
    for heading in ("against random places", "against the same places untouched", "number"):
        table.add_column(heading, justify="right")
    for kind, row in results[name].items():
        areas = (f"{a['mean']:.2f} ({a['low']:.2f}, {a['high']:.2f})" for a in (row["area"], row["against_matched"]))
        table.add_row(kind, *areas, str(row["count"]))
    for left_out, reason in results["left_out"].items():
        table.add_row(left_out, reason)
    return table


def jump_table(results: dict[str, Any]) -> Table:
    """What `evaluate_scores` and `evaluate_beats` return: one row a kind of jump."""
    songs = f"{results['songs']} {results['kind']}"
    title = f"{results['data']}: {songs}, outputs of {results['seconds']:g} s; jumps that keep …"
    table = Table("jumps", title=title, box=None, title_justify="left")
    for heading in (*TRANSITION_QUESTIONS, "number", "same as the first"):
        table.add_column(heading, justify="right")
    for name, row in results["jumps"].items():
        shares = [row[question] for question in TRANSITION_QUESTIONS]
        cells = [f"{s['mean']:.2f}\n({s['low']:.2f}, {s['high']:.2f})" if s else "–" for s in shares]
        same = results["same"].get(name)
        table.add_row(name, *cells, str(row["count"]), "" if same is None else f"{same:.2f}")
    for left_out, reason in results["left_out"].items():
        table.add_row(left_out, reason)
    return table


def info_table(facts: SongInfo) -> Table:
    """What `inspect_file` returns, a row a fact."""
    bounds = (f"{format_time(start)} to {format_time(stop)}" for start, stop in (facts.music, facts.body))
    channels = format_count(facts.channels, "channel")
    bits = f", {SAMPLE_FORMATS[facts.subtype]}" if facts.codec.startswith(LOSSLESS_CODECS) else ""
    rows = {
        "duration": format_time(facts.seconds),
        "format": f"{facts.codec}, {facts.bit_rate} kb/s, {facts.sample_rate} Hz, {channels}{bits}",
        "tempo": f"{facts.tempo:.1f} beats a minute, {facts.metre} to the bar" if facts.tempo else "no clear pulse",
        "bars begin at": ", ".join(format_time(time) for time in facts.downbeats[:4]) + ", …" * bool(facts.downbeats),
        "key": facts.key or "no clear key",
        "sections begin at": ", ".join(format_time(start) for start in facts.sections),
        "music sounds": next(bounds),
        "intro and outro leave": next(bounds),
        "places to jump from": f"{100 * facts.jumps:.0f} %",
    }
    table = Table("", facts.path, box=None)
    for name, value in [*rows.items(), *(("warning", warning) for warning in facts.warnings)]:
        table.add_row(name, value)
    return table


def describe_output(plan: Plan, path: Path, taken: float) -> dict[str, Any]:
    """What was made, for JSON: times in seconds, each seam with its measures and the bounds it exceeds."""
    rate = plan.song["sample_rate"]
    seams = [
        {
            "at": seam.at / rate,
            "from": seam.leave / rate,
            "to": seam.enter / rate,
            "fade": seam.fade / rate,
            **{name: getattr(seam, name) for name in MEASURE_FORMS},
            "exceeds": list(exceeded(seam)),
        }
        for seam in plan.seams
    ]
    made = {"output": str(path), "seconds": plan.seconds, "made_in_seconds": round(taken, 3)}
    return {**made, "predictions": plan.predictions, "seams": seams, "settings": plan.settings, "model": plan.model}


def describe_outcome(outcome: Outcome) -> dict[str, Any]:
    """How a song of a batch went, for JSON."""
    described = asdict(outcome)
    task = described.pop("task")
    return {"song": str(task["song"]), "output": str(task["output"]), **described}


def outcome_table(outcomes: list[Outcome]) -> Table:
    """How each song of a batch went."""
    states = [outcome.state for outcome in outcomes]
    title = ", ".join(f"{states.count(state)} {state}" for state in ("made", "skipped", "failed") if state in states)
    table = Table("song", "output", title=title, box=None, title_justify="left")
    for heading in ("duration", "seams", ""):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        facts = (format_time(outcome.seconds), str(outcome.seams)) if outcome.state == "made" else ("", "")
        table.add_row(str(outcome.task.song), str(outcome.task.output), *facts, outcome.state)
    return table


def _table(title: str, measures: list[str]) -> Table:
    table = Table(title=f"\n{title}", box=None, title_justify="left")
    table.add_column("", no_wrap=True)
    for measure in measures:
        table.add_column(HEADINGS.get(measure, measure), justify="right")
    return table
