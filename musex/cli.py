"""The command line: parse, import lazily, call one function, print; and the one place where errors become messages."""

import logging
import sys
import time
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from musex import __version__
from musex.arguments import (
    BitrateOption,
    CheckOption,
    Ending,
    ForceOption,
    ModelOption,
    Network,
    OutputOption,
    QuietOption,
    ReportOption,
    SeedOption,
    parse_arc,
    parse_duration,
    parse_stretch,
    parse_time,
)
from musex.config import GENERATIVE
from musex.errors import MusexError
from musex.terminal import show_progress, show_seams, show_tables, summarise

app = typer.Typer(
    name="musex",
    help="Make any piece of music last as long as you need.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def extend(
    songs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Songs (mp3, wav, flac, ogg, m4a and more), and folders of them."),
    ],
    minutes: Annotated[str | None, typer.Option("--minutes", "-m", metavar="M", help="How long it shall last.")] = None,
    seconds: Annotated[str | None, typer.Option("--seconds", "-s", metavar="S", help="The same in seconds.")] = None,
    to: Annotated[str | None, typer.Option("--to", "-t", metavar="H:MM:SS", help="The same as a time.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write, its ending says the format: mp3, wav, flac, ogg, opus or m4a; for several songs "
            "a folder. [default: INPUT-extended beside the input]",
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The format where -o names no file: mp3, wav …")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="TEMPLATE", help="What outputs are called where -o names no file.")
    ] = "{stem}-extended",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Songs extended at a time.")] = 1,
    seed: SeedOption = 0,
    ending: Annotated[
        Ending, typer.Option(help="How the output ends: as the song does, faded, cut, or back at its start.")
    ] = Ending.outro,
    keep_from: Annotated[
        str | None,
        typer.Option("--keep-from", metavar="TIME", help="Jump only within the song after this, such as 1:30."),
    ] = None,
    keep_to: Annotated[str | None, typer.Option("--keep-to", metavar="TIME", help="… and before this.")] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--avoid", metavar="A-B", help="Never play this, such as 0:40-0:52; may be given again."),
    ] = None,
    novelty: Annotated[
        float, typer.Option("--novelty", metavar="0..1", help="0: as the song goes, few jumps; 1: many.")
    ] = 0.5,
    mood: Annotated[
        str | None, typer.Option("--mood", metavar="MOOD", help="What to play more of: calm, bright, intense or dark.")
    ] = None,
    arc: Annotated[
        str | None,
        typer.Option("--arc", metavar="ARC", help='The same over time, as minutes:mood: "0:calm 5:intense 10:calm".'),
    ] = None,
    variations: Annotated[
        int, typer.Option("--variations", min=1, metavar="N", help="Write N versions that differ, numbered from 1.")
    ] = 1,
    model: ModelOption = None,
    force: ForceOption = False,
    check: CheckOption = False,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Keep the plan as JSON, for `musex render`.")
    ] = None,
    report: ReportOption = False,
    bitrate: BitrateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make songs last as long as you need: give --minutes, --seconds or --to.

    Several songs, or a folder of them, are extended one after another (or --jobs at a time); what was made before of
    the same song with the same settings is skipped.
    """
    wanted = parse_duration(minutes, seconds, to)
    options: dict[str, Any] = {
        "seed": seed,
        "ending": ending.value,
        "keep_from": None if keep_from is None else parse_time(keep_from),
        "keep_to": None if keep_to is None else parse_time(keep_to),
        "avoid": tuple(parse_stretch(text) for text in avoid or ()),
        "novelty": novelty,
        "mood": mood,
        "arc": parse_arc(arc or ""),
    }
    ending_of = None if suffix is None else f".{suffix.lower().lstrip('.')}"
    several = len(songs) > 1 or songs[0].is_dir()
    if several and (check or report or plan is not None or variations > 1):
        raise typer.BadParameter("--check, --plan, --report and --variations are for one song at a time")
    if output is not None and not several and (suffix is not None or name != "{stem}-extended"):
        raise typer.BadParameter("--format and --name are for where -o names no file")
    from musex.batches import find_tasks

    tasks = find_tasks(songs, output if several else None, name=name, suffix=ending_of)
    if several:
        _extend_several(tasks, wanted, quiet, jobs=jobs, model=model, force=force, bitrate=bitrate, **options)
        return
    from musex.extension import check_side_file, default_page, number_path, vary_file

    song = songs[0]
    targets, plans = [output if output is not None else tasks[0].output], [] if plan is None else [plan]
    if variations > 1:
        targets, plans = (
            [number_path(path, number) for path in paths for number in range(1, variations + 1)]
            for paths in (targets, plans)
        )
    pages = [default_page(target) for target in targets] if report else []
    for page in pages:
        check_side_file(page, force, song, *targets, *plans)
    began = time.monotonic()
    with show_progress(quiet) as on_progress:
        made = vary_file(
            song,
            targets,
            seconds=wanted,
            model=model,
            force=force,
            bitrate=bitrate,
            plan_paths=plans,
            on_progress=on_progress,
            **options,
        )
        if pages:
            from musex.report import save_reports

            save_reports(made, song, pages, on_progress)
    taken = time.monotonic() - began
    for path, one in zip(targets, made, strict=True):
        if not quiet:
            summarise(one, path, taken / variations)
    if check:
        _check(made, quiet)


@app.command()
def render(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `musex extend --plan` wrote.")],
    output: OutputOption = None,
    song: Annotated[Path | None, typer.Option("--song", metavar="FILE", help="The song, if it has moved.")] = None,
    force: ForceOption = False,
    check: CheckOption = False,
    bitrate: BitrateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Render a plan again, without predicting anything."""
    from musex.extension import render_file

    began = time.monotonic()
    with show_progress(quiet) as on_progress:
        made, target = render_file(plan, output, song_path=song, force=force, bitrate=bitrate, on_progress=on_progress)
    if not quiet:
        summarise(made, target, time.monotonic() - began)
    if check:
        _check([made], quiet)


@app.command()
def report(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `musex extend --plan` wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The page. [default: PLAN-report.html]")
    ] = None,
    song: Annotated[Path | None, typer.Option("--song", metavar="FILE", help="The song, if it has moved.")] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a page to listen on: the output, its seams, the path through the song, in one HTML file."""
    from musex.report import report_file

    with show_progress(quiet) as on_progress:
        page = report_file(plan, output, song_path=song, force=force, on_progress=on_progress)
    if not quiet:
        typer.echo(str(page))


@app.command()
def spectrogram(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    other: Annotated[Path | None, typer.Argument(metavar="[OTHER]", help="Another, to compare it with.")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SECONDS", help="Where the prediction begins. [default: the middle]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The figure: png, svg or pdf.")
    ] = None,
    model: ModelOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw what the network heard, what it predicted and what really came; or compare two songs."""
    if other is not None and (at is not None or model is not None):
        raise typer.BadParameter("--at and --model are for one song: two songs are compared as they are")
    from musex.plots import compare_files, predict_file

    if other is not None:
        target = output or song.with_name(f"{song.stem}-{other.stem}-spectrogram.png")
        error = compare_files(song, other, target, force=force)
    else:
        target = output or song.with_name(f"{song.stem}-spectrogram.png")
        error = predict_file(song, target, at=None if at is None else parse_time(at), model=model, force=force)
    if not quiet:
        typer.echo(f"{target}: mean absolute {'difference' if other else 'error'} {error:.2f} dB")


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of music, searched to its depths.")],
    run: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The folder of this training run.")],
    network: Annotated[Network, typer.Option(help="Which network.")] = Network.pointer,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this run was stopped.")] = False,
    validation: Annotated[
        list[str] | None,
        typer.Option("--validation", metavar="FOLDER", help="A folder of DATASET to hold out; may be given again."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", "-m", min=0.0, help="Stop after so long. [default: when it has learned]"),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Stop after so many epochs.")] = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a network on a folder of music; `musex extend --model RUN` uses it at once.

    `pointer` is musex's own. `paper` and `lstm` are references that predict the waveform itself, trained by the
    paper's recipe: 120 training and 50 validation tracks, 200 epochs.
    """
    from musex.training import train as fit

    with show_progress(quiet) as on_progress:
        fit(
            dataset,
            run,
            network=network.value,
            validation=tuple(validation or ()),
            resume=resume,
            minutes=minutes,
            epochs=epochs,
            seed=seed,
            on_track=lambda done, tracks: on_progress("Analysing", done / tracks) if on_progress else None,
            on_epoch=None if quiet else _print_epoch,
        )
    if not quiet:
        typer.echo(f"{run}: trained; use it by `musex extend SONG --minutes 10 --model {run}`")


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of music that was not trained on.")],
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="PATH", help="A model to measure beside the packaged one; may be given again."),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    points: Annotated[int, typer.Option(min=3, help="Places in each song to predict from.")] = 3,
    chains: Annotated[
        int, typer.Option(min=0, help="Songs to chain for 10 minutes, and to continue where their ending is hidden.")
    ] = 4,
    seams: Annotated[
        bool, typer.Option("--seams", help="Measure instead whether a classifier can find the seams.")
    ] = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure the packaged model, other models and the baselines beside them on a folder of music."""
    if seams and model:
        raise typer.BadParameter("--seams measures the packaged model alone")
    from musex.evaluation import evaluate as measure
    from musex.evaluation import load_models
    from musex.extension import check_side_file, save_text
    from musex.seam_evaluation import evaluate_seams
    from musex.tables import result_tables, seam_table

    if json is not None:
        check_side_file(json, force)
    with show_progress(quiet) as on_progress:
        if seams:
            results = evaluate_seams(dataset, seed=seed, on_progress=on_progress)
        else:
            models = load_models(model or [])
            results = measure(dataset, models=models, points=points, chains=chains, seed=seed, on_progress=on_progress)
    if json is not None:
        save_text(dumps(results, indent=1) + "\n", json)
    if not quiet:
        show_tables([seam_table(results)] if seams else result_tables(results))


@app.command()
def info(
    song: Annotated[Path, typer.Argument(metavar="FILE", help="A song.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what a song is, and what an extension can use of it."""
    from musex.inspection import inspect_file
    from musex.tables import info_table

    facts = inspect_file(song)
    if json:
        typer.echo(dumps(asdict(facts), indent=1))
    else:
        show_tables([info_table(facts)])


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check this installation: versions, codecs, the model, a whole extension; exit 1 if something does not work."""
    from musex.diagnosis import diagnose

    findings = []
    for finding in diagnose():
        findings.append(finding)
        if not json:
            typer.echo(f"{'ok  ' if finding.works else 'FAIL'}  {finding.name}: {finding.details}")
    if json:
        typer.echo(dumps([asdict(finding) for finding in findings], indent=1))
    if not all(finding.works for finding in findings):
        raise typer.Exit(1)


def _extend_several(tasks: list[Any], seconds: float, quiet: bool, *, jobs: int, **work: Any) -> None:
    """Extend every task's song; a line for each and a table at the end, exit code 1 if one failed."""
    from musex.batches import extend_songs
    from musex.tables import outcome_table

    outcomes = []
    with show_progress(quiet) as on_progress:
        for outcome in extend_songs(tasks, seconds=seconds, jobs=jobs, on_progress=on_progress, **work):
            outcomes.append(outcome)
            if jobs > 1 and on_progress is not None:
                on_progress("Extending", len(outcomes) / len(tasks))
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if not quiet:
        show_tables([outcome_table(outcomes)])
    for outcome in failed:
        _fail(f"{outcome.task.song}: {outcome.message}")
    if failed:
        raise typer.Exit(1)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _print_version(value), is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run the command line: exit code 0, 1 for an error, which is told in one line on stderr, 2 for wrong usage, 3
    for a seam that fails its check."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    logger = logging.getLogger("musex")
    handler = _Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        typer.main.get_command(app).main(args=arguments, prog_name="musex")
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else int(finished.code is not None)
    except MusexError as error:
        return _fail(str(error))
    except OSError as error:
        if error.strerror is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror)
    except MemoryError:
        return _fail("out of memory: use a shorter song, or close other programs")
    finally:
        logger.removeHandler(handler)
    return 0


class _Handler(logging.Handler):
    """Shows what the library logs as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"musex: {record.levelname.lower()}: {_one_line(record.getMessage())}", file=sys.stderr)


def _fail(message: str) -> int:
    print(f"musex: error: {_one_line(message)}", file=sys.stderr)
    return 1


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _check(plans: list[Any], quiet: bool) -> None:
    """Show the seams of plans, and exit with 3 if any exceeds its bounds."""
    from musex.checks import passes

    for plan in plans:
        if plan.model["name"] in GENERATIVE:
            raise MusexError(f"{plan.model['name']} predicts the waveform itself: there are no seams to check")
        if not quiet:
            show_seams(plan)
    if not all(passes(plan) for plan in plans):
        raise typer.Exit(3)


def _print_epoch(values: dict[str, float]) -> None:
    typer.echo("  ".join(f"{name} {value:.5g}" for name, value in values.items()))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"musex {__version__}")
        raise typer.Exit
