"""Batches on the command line: what `extend` takes for many songs, and what it tells of them."""

import os
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import IO, Any

import typer

from musex.cli.arguments import UsageError, parse_place, usage_checked
from musex.cli.terminal import show_seams, show_songs, show_tables, tell_error, tell_result
from musex.errors import MusexError
from musex.system.stores import is_stored


@dataclass(frozen=True)
class Batch:
    """How many songs are extended: by whom, and where it is told; `is_one` if something was said of that."""

    jobs: int | None
    cluster: str | None
    results: Path | None
    is_one: bool


def gather(
    songs: list[Path] | None, manifest: str | None, *, jobs: int | None, cluster: str | None, results: Path | None
) -> tuple[list[Path], Batch]:
    """All songs that are named, and how they are extended; raises UsageError where there are none."""
    found = list(songs or ())
    if manifest is not None:
        from musex.batches import read_manifest

        parse_place(manifest)
        found += read_manifest(manifest)
    if not found:
        raise UsageError("no song is named: give songs or folders of them, or a list of them by --manifest LIST")
    if cluster is not None:
        from musex.system.cluster import LOCAL, check_address, check_installed

        with usage_checked():
            check_address(cluster)
        check_installed()
        if jobs is not None and cluster != LOCAL:
            raise UsageError(f"--jobs is how many workers are started here: those at {cluster} are there; leave it out")
    if results is not None and (results.is_dir() or not results.absolute().parent.is_dir()):
        raise UsageError(f"--results {results} cannot be written: name a file in a folder that is there")
    return found, Batch(jobs, cluster, results, any((manifest, cluster, results)))


def are_batch(songs: list[Path], *targets: Path | None) -> bool:
    """Whether songs are extended as a batch: several of them, or something is in an object store."""
    from musex.batches import are_several

    return any(place is not None and is_stored(place) for place in (*songs, *targets)) or are_several(songs)


def extend_several(
    tasks: list[Any], seconds: float | None, quiet: bool, json: bool, *, batch: Batch, check: bool, **work: Any
) -> None:
    """Extend every task's song, and tell of all at the end; exit code 1 if one failed, else 3 if a seam its check."""
    from musex.batches import extend_songs
    from musex.cli.tables import describe_outcome, outcome_table
    from musex.seams.bounds import passes

    outcomes: list[Any] = []
    work |= {"jobs": batch.jobs, "cluster": batch.cluster, "checked": check}
    try:
        with _Results(batch.results) as results, show_songs(quiet, len(tasks)) as lines:
            on_progress = None if lines is None else lines.report
            for outcome in extend_songs(tasks, seconds=seconds, on_progress=on_progress, **work):
                outcomes.append(outcome)
                results.add(describe_outcome(outcome))
                if lines is not None:
                    lines.finish(outcome.task.song)
    except MusexError:
        if outcomes and not quiet:
            show_tables([outcome_table(outcomes)])
        raise
    if json:
        tell_result(dumps({"outputs": [output for one in outcomes for output in describe_outcome(one)]}, indent=1))
    if not quiet:
        show_tables([outcome_table(outcomes)])
    checked = [pair for outcome in outcomes for pair in outcome.version_plans] if check else []
    for version, plan in checked if not quiet else []:
        show_seams(plan, f"{version.output}, of {plan.song.name}: ")
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    for outcome in failed:
        song = str(outcome.task.song)
        tell_error(outcome.message if song in outcome.message else f"{song}: {outcome.message}")
    if failed:
        raise typer.Exit(1)
    if not all(passes(plan) for _, plan in checked):
        raise typer.Exit(3)


class _Results:
    """A file to which lines of JSON are added, each as soon as there is what it tells; without a path nothing is."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.file: IO[bytes] | None = None

    def __enter__(self) -> "_Results":
        if self.path is not None:
            self.file = self.path.open("ab+")
            if self.file.tell() and self.file.seek(-1, os.SEEK_END) is not None and self.file.read() != b"\n":
                self.file.write(b"\n")  # after a line that a kill has cut off
        return self

    def __exit__(self, *error: object) -> None:
        if self.file is not None:
            self.file.close()

    def add(self, outputs: list[dict[str, Any]]) -> None:
        """Tell of outputs."""
        if self.file is not None:
            self.file.write("".join(dumps(output) + "\n" for output in outputs).encode())
            self.file.flush()
