"""Commands about models: `train` and `evaluate`."""

import os
import sys
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from musex.cli.arguments import (
    ForceOption,
    QuietOption,
    SeedOption,
    UsageError,
    choice_option,
    count_option,
    number_option,
    usage_checked,
)
from musex.cli.terminal import check_stdout, show_progress, show_tables, tell_result
from musex.config import GENERATIVE, Network, Precision, Strategy, Units
from musex.errors import MusexError
from musex.system.wording import format_count


def prepare(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of music, searched to its depths.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of features, new or prepared before.")],
    jobs: Annotated[
        int | None,
        count_option("--jobs", "-j", least=1, help="Songs listened to at a time. \\[default: one for each core]"),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDRESS",
            help="Have the workers of a Dask scheduler listen, which find DATASET at the same path; or local.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write the features of a folder of music, once and for all, for `musex train OUT`.

    Only what is missing is made: run it again after music was added, or after it was stopped.
    """
    from musex.training.prepared import prepare as make

    with show_progress(quiet) as on_progress:
        made = make(
            dataset,
            out,
            jobs=jobs,
            cluster=cluster,
            on_track=lambda done, tracks: on_progress("Analysing", done / tracks) if on_progress else None,
        )
    if not quiet:
        left_out = f", {format_count(len(made.left_out), 'file')} left out" if made.left_out else ""
        typer.echo(
            f"{out}: {format_count(len(made.tracks), 'track')}, {made.made} of them made now{left_out}; "
            f"{made.hours:.3g} h of music in {format_count(len(made.shards), 'shard')}, {made.bytes / 1e6:.3g} MB; "
            f"learn from it by `musex train {out} -o RUN`"
        )


def train(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", help="A folder of music, searched to its depths; or what `musex prepare` made of one."
        ),
    ],
    run: Annotated[Path, typer.Option("--output", "-o", metavar="RUN", help="The folder of this training run.")],
    network: Annotated[Network, choice_option("--network", Network, help="Which network.")] = "pointer",
    units: Annotated[
        Units | None,
        choice_option(
            "--units",
            Units,
            help="Whether the seconds of `paper` share their hidden layers, or each has its own, and as many weights "
            "for `lstm`. \\[default: shared]",
        ),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        choice_option(
            "--strategy",
            Strategy,
            help="Share each batch among the GPUs of this machine, or the machines that TF_CONFIG names.",
        ),
    ] = None,
    precision: Annotated[
        Precision,
        choice_option(
            "--precision", Precision, help="Whether convolutions multiply bfloat16; auto: where the hardware does."
        ),
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this run was stopped.")] = False,
    validation: Annotated[
        list[str] | None,
        typer.Option("--validation", metavar="FOLDER", help="A folder of DATASET to hold out; may be given again."),
    ] = None,
    minutes: Annotated[
        float | None,
        number_option(
            "--minutes", "-m", least=0.0, metavar="M", help="Stop after so long. \\[default: when it has learned]"
        ),
    ] = None,
    epochs: Annotated[int | None, count_option("--epochs", least=1, help="Stop after so many epochs.")] = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a network on a folder of music; `musex extend --model RUN` uses it at once.

    `pointer` is musex's own. `paper` and `lstm` are references that predict the waveform itself, trained by the
    paper's recipe: 120 training and 50 validation tracks, 200 epochs.
    """
    if units and network not in GENERATIVE:
        raise UsageError(f"--units is for --network {' and '.join(GENERATIVE)}: {network} has no such units")
    from musex.training.dataset import find_tracks
    from musex.training.orders import check_order
    from musex.training.prepared import is_prepared
    from musex.training.workers import WorkerLostError

    with usage_checked():  # before TensorFlow is loaded, as a folder without music is
        check_order(dataset, network, strategy=strategy, precision=precision)
    paths = None if is_prepared(dataset) else find_tracks(dataset)
    from musex.training.train import train as fit

    try:
        with show_progress(quiet) as on_progress:
            model = fit(
                dataset,
                run,
                network=network,
                units=units,
                strategy=strategy,
                precision=precision,
                validation=tuple(validation or ()),
                resume=resume,
                minutes=minutes,
                epochs=epochs,
                seed=seed,
                paths=paths,
                on_track=lambda done, tracks: on_progress("Analysing", done / tracks) if on_progress else None,
                on_epoch=None if quiet else _print_epoch,
            )
    except WorkerLostError as error:
        _begin_again(error)
    if not quiet:
        use = (
            f"use it by `musex extend SONG --minutes 10 --model {run}`" if model.exists() else "the chief has the model"
        )
        typer.echo(f"{run}: trained; {use}")


def _begin_again(error: MusexError) -> NoReturn:
    """Take this process's place with one that goes on from the last checkpoint, once all workers are there again.

    TensorFlow says so itself: a process whose collective operations have failed cannot use them any more.
    """
    gone = str(error).partition(": start")[0]
    typer.echo(f"musex: warning: {gone}; waiting for all to go on from the last checkpoint", err=True)
    arguments = sys.orig_argv[1:]
    os.execv(sys.executable, [sys.executable, *arguments, *(["--resume"] if "--resume" not in arguments else [])])


def _print_epoch(values: dict[str, float]) -> None:
    typer.echo("  ".join(f"{name} {value:.5g}" for name, value in values.items()))


def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder of music that was not trained on.")],
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", metavar="PATH", help="A model to measure beside the packaged one; may be given again."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON; - for stdout.")
    ] = None,
    points: Annotated[int, count_option("--points", least=3, help="Places in each song to predict from.")] = 3,
    chains: Annotated[
        int,
        count_option(
            "--chains", least=0, help="Songs to chain for 10 minutes, and to continue where their ending is hidden."
        ),
    ] = 4,
    seams: Annotated[
        bool, typer.Option("--seams", help="Measure instead whether a classifier can find the seams.")
    ] = False,
    phrases: Annotated[
        bool,
        typer.Option("--phrases", help="Measure instead whether the music goes on after seams, by a judge of ±10 s."),
    ] = False,
    scores: Annotated[
        bool,
        typer.Option(
            "--scores", help="Measure instead whether seams keep beat and bar, on tracker modules and MIDI files."
        ),
    ] = False,
    beats: Annotated[
        bool,
        typer.Option("--beats", help="Measure the same on recordings, as two beat trackers hear them."),
    ] = False,
    words: Annotated[
        bool,
        typer.Option("--words", help="Measure instead whether seams cut words, in songs with their words' times."),
    ] = False,
    seed: SeedOption = 0,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure the packaged model, other models and the baselines beside them on a folder of music."""
    if seams + phrases + scores + beats + words > 1:
        raise UsageError("--seams, --phrases, --scores, --beats and --words measure different things: choose one")
    if (seams or words) and model:
        raise UsageError(f"--{'seams' if seams else 'words'} measures the packaged model alone")
    from musex.cli.tables import jump_tables, phrase_tables, result_tables, seam_tables, word_tables
    from musex.evaluation.comparison import evaluate as measure
    from musex.evaluation.comparison import load_models
    from musex.evaluation.jumps import RECORDINGS, SCORES, evaluate_jumps, name_planners
    from musex.evaluation.phrase_judge import evaluate_phrases
    from musex.evaluation.seam_classifier import evaluate_seams
    from musex.evaluation.words import evaluate_words
    from musex.prediction.model import load_model
    from musex.system.side_files import check_side_file, save_text

    piped = json == Path("-")
    if json is not None and not piped:
        check_side_file(json, force)
    with show_progress(quiet) as on_progress:
        if seams:
            results = evaluate_seams(dataset, seed=seed, on_progress=on_progress)
        elif words:
            results = evaluate_words(dataset, load_model(), seed=seed, on_progress=on_progress)
        elif phrases or scores or beats:
            planners, left_out = name_planners(load_models(model or []), seed)
            known = partial(evaluate_jumps, source=SCORES if scores else RECORDINGS)
            judge = evaluate_phrases if phrases else known
            results = judge(dataset, planners=planners, seed=seed, on_progress=on_progress)
            results["left_out"] |= left_out
        else:
            models = load_models(model or [])
            results = measure(dataset, models=models, points=points, chains=chains, seed=seed, on_progress=on_progress)
    if piped:
        tell_result(dumps(results, indent=1))
    elif json is not None:
        save_text(dumps(results, indent=1) + "\n", json, force=force)
    if not quiet and not piped:
        if json is None:
            check_stdout()
        asked = {seams: seam_tables, phrases: phrase_tables, scores or beats: jump_tables, words: word_tables}
        show_tables(asked.get(True, result_tables)(results))
