"""The results of an evaluation as tables for the terminal."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from musex.audio.formats import LOSSLESS_CODECS
from musex.batches import Outcome
from musex.config import TRANSITION_QUESTIONS
from musex.inspection import SongInfo
from musex.plans import Plan, Seam
from musex.seams.bounds import MEASURES, exceeded
from musex.system.wording import format_count, format_time

TERMINAL_WIDTH = 80  # columns
CELL_SPACING = 2  # beside each column
LONGEST_NAME = 32  # of a row in one line
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
    tables = predictor_tables(title + "; mean and 95 % interval over tracks", results["predictors"])
    if results.get("worst"):
        tables += track_tables("The tracks where the first model does worst", results["worst"])
    for seconds, ending in results.get("hidden_endings", {}).items():
        title = f"The last {seconds} s hidden and continued, {ending['tracks']} tracks"
        tables += predictor_tables(title, ending["predictors"])
    if "chains" in results:
        title = f"10 min chained, from the first seam on, {results['chains']['tracks']} tracks"
        tables += predictor_tables(title, results["chains"]["predictors"])
    if results.get("cost"):
        tables += cost_tables(results["cost"])
    return tables + _left_out(results)


def predictor_tables(title: str, predictors: Predictors) -> list[Table]:
    """Means, and below them their intervals."""
    measures = list(dict.fromkeys(measure for row in predictors.values() for measure in row))
    rows = {name: [_interval(row.get(measure)) for measure in measures] for name, row in predictors.items()}
    return _fitting_tables(title, "", measures, rows)


def track_tables(title: str, tracks: list[dict[str, Any]]) -> list[Table]:
    """Means of one predictor, a row a track."""
    measures = [name for name in tracks[0] if name != "track"]
    rows = {track["track"]: [f"{track[name]:.2f}" for name in measures] for track in tracks}
    return _fitting_tables(title, "", measures, rows)


def cost_tables(cost: dict[str, dict[str, float]]) -> list[Table]:
    """CPU time and memory."""
    measures = list(next(iter(cost.values())))
    rows = {name: [f"{row[measure]:.3g}" for measure in measures] for name, row in cost.items()}
    title = "Cost: CPU seconds of all cores together, predictions from 3 min of memory"
    return _fitting_tables(title, "", measures, rows)


def seam_tables(results: dict[str, Any]) -> list[Table]:
    """What `evaluate_seams` returns: one row a kind of seam."""
    return _area_tables(results, "seams", "area under the ROC curve, 0.5 is unheard")


def phrase_tables(results: dict[str, Any]) -> list[Table]:
    """What `evaluate_phrases` returns: one row a kind of jump."""
    return _area_tables(results, "phrases", "area under the ROC curve of a judge of ±10 s, 0.5 goes on as music does")


def _area_tables(results: dict[str, Any], name: str, measure: str) -> list[Table]:
    """Areas under the ROC curve against both kinds of untouched places, a row a kind; and what is left out."""
    title = f"{results['data']}: {results['songs']} songs, seed {results['seed']}; {measure}"
    rows = {
        kind: [_interval(row["area"]), _interval(row["against_matched"]), str(row["count"])]
        for kind, row in results[name].items()
    }
    headings = ["against random places", "against the same places untouched", "number"]
    return _fitting_tables(title, name, headings, rows) + _left_out(results)


def jump_tables(results: dict[str, Any]) -> list[Table]:
    """What `evaluate_jumps` returns: a row a kind of jump, columns by judge; how far trackers are right."""
    songs = f"{results['songs']} {results['kind']}"
    title = f"{results['data']}: {songs}, outputs of {results['seconds']:g} s; jumps that keep …"
    judges: dict[str, dict[str, Any]] = results["jumps"]
    told = {
        (judge, question): f"{question}, {judge}" if len(judges) > 1 else question
        for judge, kinds in judges.items()
        for question in TRANSITION_QUESTIONS
        if any(row[question] for row in kinds.values())
    }
    rows = {}
    for name, row in next(iter(judges.values())).items():
        same = results["same"].get(name)
        shares = [_interval(judges[judge][name][question]) or "–" for judge, question in told]
        rows[name] = [*shares, str(row["count"]), "" if same is None else f"{same:.2f}"]
    tables = _fitting_tables(title, "jumps", [*told.values(), "number", "same as the first"], rows)
    return tables + tracker_tables(results.get("trackers", {})) + _left_out(results)


def word_tables(results: dict[str, Any]) -> list[Table]:
    """What `evaluate_words` returns: one row a kind of jump."""
    title = f"{results['data']}: {results['songs']} songs, outputs of {results['seconds']:g} s; jumps that …"
    measures = {"cut a word": "word", "cut a line": "line", "keep the beat": "beat", "keep the bar": "bar"}
    rows = {
        name: [*(_interval(row[measure]) or "–" for measure in measures.values()), str(row["count"])]
        for name, row in results["jumps"].items()
    }
    return _fitting_tables(title, "jumps", [*measures, "number"], rows) + _left_out(results)


def tracker_tables(trackers: dict[str, Any]) -> list[Table]:
    """What trackers say of jumps whose beats and bars a score knows: one row a kind of jump, a table a tracker."""
    tables = []
    for tracker, kinds in trackers.items():
        rows = {
            name: [
                cell
                for shares in questions.values()
                for measure in shares.values()
                for cell in (_interval(measure if "mean" in measure else None) or "–", str(measure["count"]))
            ]
            for name, questions in kinds.items()
        }
        headings = [
            heading
            for question in next(iter(kinds.values()))
            for heading in (f"{question} kept", "of", f"{question} broken", "of")
        ]
        tables += _fitting_tables(f"{tracker}: share that it says keep it, of jumps with …", "jumps", headings, rows)
    return tables


def _interval(measure: dict[str, float] | None) -> str:
    """A mean and below it its interval; nothing where it was not measured."""
    return f"{measure['mean']:.2f}\n({measure['low']:.2f}, {measure['high']:.2f})" if measure else ""


def _left_out(results: dict[str, Any]) -> list[Table]:
    """What could not be measured, and why."""
    if not results["left_out"]:
        return []
    table = Table("left out", "why", box=None)
    for name, reason in results["left_out"].items():
        table.add_row(name, reason)
    return [table]


def _fitting_tables(title: str, corner: str, measures: list[str], rows: dict[str, list[str]]) -> list[Table]:
    """As many tables of the same rows as it takes for each to fit a terminal's width."""
    first = min(max(map(len, [corner, *rows])), LONGEST_NAME)
    left, shown = TERMINAL_WIDTH - first - CELL_SPACING, [list[tuple[int, Column]]()]
    for number, measure in enumerate(measures):
        heading = HEADINGS.get(measure, measure)
        lines = [line for cells in rows.values() for line in cells[number].splitlines()]
        width = max(map(len, [*heading.split(), *lines]))
        if width + CELL_SPACING > left and shown[-1]:
            left = TERMINAL_WIDTH - first - CELL_SPACING
            shown.append([])
        left -= width + CELL_SPACING
        shown[-1].append((number, Column(heading, justify="right", max_width=width)))
    tables = []
    for columns in shown:
        table = Table(Column(corner, max_width=first), *(column for _, column in columns), box=None)
        for name, cells in rows.items():
            table.add_row(name, *(cells[number] for number, _ in columns))
        tables.append(table)
    tables[0].title, tables[0].title_justify = f"\n{title}", "left"
    return tables


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


def describe_seam(seam: Seam, rate: int) -> dict[str, Any]:
    """A seam, for JSON: times in seconds, its measures and the bounds that it exceeds."""
    return {
        "at": seam.at / rate,
        "from": seam.leave / rate,
        "to": seam.enter / rate,
        "fade": seam.fade / rate,
        **{name: getattr(seam, name) for name in MEASURES},
        "exceeds": list(exceeded(seam)),
    }


def describe_output(plan: Plan, path: Path, taken: float) -> dict[str, Any]:
    """What was made, for JSON: times in seconds, each seam with its measures and the bounds it exceeds."""
    rate = plan.song.sample_rate
    seams = [describe_seam(seam, rate) for seam in plan.seams]
    made: dict[str, Any] = {"output": str(path), "seconds": plan.seconds, "made_in_seconds": round(taken, 3)}
    if plan.turns:
        made["turns"] = [
            {
                "stem": turn.stem,
                "at": turn.at / rate,
                "seconds": turn.frames / rate,
                "to": None if turn.enter is None else turn.enter / rate,
                "gain_db": turn.gain_db,
            }
            for turn in plan.turns
        ]
    return {
        **made,
        "predictions": plan.predictions,
        "seams": seams,
        "settings": plan.settings.to_dict(),
        "model": asdict(plan.model),
    }


def describe_outcome(outcome: Outcome) -> list[dict[str, Any]]:
    """How each version of a song of a batch went, for JSON: as `describe_output` where its plan is known."""
    plans = dict(outcome.version_plans)
    described = []
    for version in outcome.task.versions:
        kept = {name: str(path) for name, path in (("plan", version.plan), ("page", version.page)) if path}
        plan, taken = plans.get(version), outcome.taken / len(outcome.task.versions)
        described.append(
            {
                "song": str(outcome.task.song),
                "output": str(version.output),
                **kept,
                "state": outcome.state,
                "message": outcome.message,
                "warnings": list(outcome.warnings),
                **({} if plan is None else describe_output(plan, version.output, taken)),
            }
        )
    return described


def outcome_table(outcomes: list[Outcome]) -> Table:
    """How each song of a batch went, a row for each version."""
    states = [outcome.state for outcome in outcomes]
    title = ", ".join(f"{states.count(state)} {state}" for state in ("made", "skipped", "failed") if state in states)
    table = Table("song", "output", title=title, box=None, title_justify="left")
    for heading in ("duration", "seams", ""):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        plans = dict(outcome.version_plans)
        for version in outcome.task.versions:
            plan = plans.get(version)
            facts = ("", "") if plan is None else (format_time(plan.seconds), str(len(plan.seams)))
            table.add_row(str(outcome.task.song), str(version.output), *facts, outcome.state)
    return table
