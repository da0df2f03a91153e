"""Commands that make music: `extend`, `render` and `report`."""

import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from musex.cli.arguments import (
    BitrateOption,
    CheckOption,
    ClusterOption,
    ExportOption,
    ForceOption,
    JsonOption,
    LikeOption,
    ManifestOption,
    MixOption,
    ModelOption,
    NoveltyOption,
    OutputOption,
    QualityOption,
    QuietOption,
    ReportOption,
    ResultsOption,
    SeedOption,
    StreamOption,
    UsageError,
    VerboseOption,
    choice_option,
    count_option,
    length_facts,
    parse_bitrate,
    parse_duration,
    parse_place,
    parse_settings,
    usage_checked,
)
from musex.cli.batching import are_batch, extend_several, gather
from musex.cli.editing import given_settings, read_edit, show_planned, usual_seconds
from musex.cli.looping import check_form, extend_by_tags, extend_to_parts, repeated_seconds
from musex.cli.terminal import (
    check_seams,
    check_stdout,
    show_progress,
    summarise,
    tell_everything,
    tell_result,
)
from musex.errors import MusexError
from musex.settings import Arrange, Ending, Layers, Settings, Voice

STREAM = Path("-")
DEFAULT_NAME = "{stem}-extended"
NOT_STREAMED = "--check, --from, --export, --json, --plan, --report, --variations"


def extend(
    context: typer.Context,
    songs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            parser=parse_place,
            help="Songs (mp3, wav, flac, ogg, m4a and more), and folders of them; also s3://… and gs://….",
        ),
    ] = None,
    minutes: Annotated[
        str | None,
        typer.Option("--minutes", "-m", metavar="M", help="How long it shall last; of a loop, without its --intro."),
    ] = None,
    seconds: Annotated[str | None, typer.Option("--seconds", "-s", metavar="S", help="The same in seconds.")] = None,
    to: Annotated[str | None, typer.Option("--to", "-t", metavar="H:MM:SS", help="The same as a time.")] = None,
    like: LikeOption = None,
    repeats: Annotated[
        int | None,
        count_option("--repeats", least=1, help="As long as the song with its best loop N times, or that alone."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=parse_place,
            help="The file to write, its ending says the format: mp3, wav, flac, ogg, opus, m4a or aiff; or a folder, "
            "as for several songs; - for a stream to stdout (--format, else wav). "
            "\\[default: INPUT-extended beside the input]",
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The format where -o names no file: mp3, wav …")
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--name",
            metavar="TEMPLATE",
            help="What outputs are called where -o names no file; may hold {stem}, {minutes}, {seconds}, {seed} and "
            "{ending}.",
        ),
    ] = DEFAULT_NAME,
    jobs: Annotated[
        int | None, count_option("--jobs", "-j", least=1, help="Songs extended at a time. \\[default: 1]")
    ] = None,
    manifest: ManifestOption = None,
    cluster: ClusterOption = None,
    results: ResultsOption = None,
    seed: SeedOption = 0,
    ending: Annotated[
        Ending,
        choice_option(
            "--ending",
            Ending,
            help="How the output ends: as the song does, faded, cut, or back at its start; loop "
            "without a length is the song's best loop as it is.",
        ),
    ] = "outro",
    intro: Annotated[
        bool, typer.Option("--intro", help="With --ending loop: before the loop, the song from its beginning to there.")
    ] = False,
    loop_parts: Annotated[
        bool,
        typer.Option("--loop-parts", help="With --ending loop: OUTPUT-intro, OUTPUT-loop, OUTPUT-outro as files."),
    ] = False,
    tag_only: Annotated[
        bool,
        typer.Option(
            "--tag-only", help="With --ending loop: a copy of the song's file with loop points, nothing encoded again."
        ),
    ] = False,
    keep_from: Annotated[
        str | None,
        typer.Option(
            "--jumps-from", "--keep-from", metavar="TIME", help="Jump only within the song after this, such as 1:30."
        ),
    ] = None,
    keep_to: Annotated[
        str | None, typer.Option("--jumps-to", "--keep-to", metavar="TIME", help="… and before this.")
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option("--avoid", metavar="A-B", help="Never play this, such as 0:40-0:52; may be given again."),
    ] = None,
    must: Annotated[
        list[str] | None,
        typer.Option("--must", metavar="A-B", help="Play this without a cut, such as 2:00-2:20; may be given again."),
    ] = None,
    hit: Annotated[
        list[str] | None,
        typer.Option(
            "--hit",
            metavar="PLACE@TIME",
            help="Play this place of the song at this time of the output, such as 1:32@0:45; peak@0:45 for its climax; "
            "may be given again.",
        ),
    ] = None,
    forbid: Annotated[
        list[str] | None,
        typer.Option(
            "--forbid",
            metavar="A>B",
            help='Take no jump, to a bar, from this place of the song to that: "1:30>0:45", "1:30>" or ">0:45"; may be '
            "given again.",
        ),
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option("--require", metavar="A>B", help="Take such a jump; may be given again.")
    ] = None,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Last as long as a phrase ends nearest to that, within 8 s.")
    ] = False,
    from_plan: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PLAN",
            help="Change this plan of the song: what is not rejected stays, and settings where no others are given.",
        ),
    ] = None,
    lock: Annotated[
        list[str] | None,
        typer.Option("--lock", metavar="N,…", help="With --from: these seams stay, and all others are planned anew."),
    ] = None,
    reject: Annotated[
        list[str] | None,
        typer.Option("--reject", metavar="N,…", help="With --from: not these jumps, to a bar."),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            "--take",
            metavar="N:K",
            help="With --from: the K-th alternative that `musex seams PLAN N` lists in place of seam N.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, with --json as its file would be, and write nothing.")
    ] = False,
    novelty: NoveltyOption = 0.5,
    mood: Annotated[
        str | None, typer.Option("--mood", metavar="MOOD", help="What to play more of: calm, bright, intense or dark.")
    ] = None,
    arc: Annotated[
        str | None,
        typer.Option("--arc", metavar="ARC", help='The same over time, as minutes:mood: "0:calm 5:intense 10:calm".'),
    ] = None,
    layers: Annotated[
        Layers,
        choice_option(
            "--layers",
            Layers,
            help="Whether what is heard again gets its percussion from elsewhere (auto: in long outputs); --arrange "
            "bold does this, too.",
        ),
    ] = "off",
    arrange: Annotated[
        Arrange,
        choice_option(
            "--arrange",
            Arrange,
            help="Whether what is heard again comes back with other stems: without drums, stems one by one, a fill …",
        ),
    ] = "off",
    voice: Annotated[
        Voice,
        choice_option("--voice", Voice, help="Cut no word that is sung (whole), or do not listen for a voice (off)."),
    ] = "whole",
    mix: MixOption = None,
    stems: Annotated[
        Path | None,
        typer.Option("--stems", metavar="FOLDER", help="Use the stems that `musex stems` wrote, for one song."),
    ] = None,
    variations: Annotated[
        int, count_option("--variations", least=1, help="Write N versions that differ, numbered from 1.")
    ] = 1,
    model: ModelOption = None,
    stream: StreamOption = None,
    force: ForceOption = False,
    check: CheckOption = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            parser=parse_place,
            help="Keep the plan as JSON, for `musex render`; or a folder, as for several songs.",
        ),
    ] = None,
    report: ReportOption = False,
    export: ExportOption = None,
    bitrate: BitrateOption = None,
    quality: QualityOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make songs last as long as you need: give --minutes, --seconds, --to, --like, --repeats or just --ending loop.

    Several songs, or a folder of them, are extended one after another (or --jobs at a time); what was made before of
    the same song with the same settings is skipped, and a plan or a page that is missing is made.
    """
    songs, batch = gather(songs, manifest, jobs=jobs, cluster=cluster, results=results)
    edit = read_edit(from_plan, songs, lock=lock, reject=reject, take=take, variations=variations, model=model)
    usual, natural = usual_seconds(edit, ending, repeats)
    wanted = parse_duration(minutes, seconds, to, like, usual=usual, natural=natural or intro or tag_only or loop_parts)
    bitrate = parse_bitrate(bitrate, quality)
    if verbose:
        tell_everything()
    if json or (check and not quiet):
        check_stdout()
    quiet |= json  # its one object is all there is on stdout
    chosen: dict[str, Any] = {"seed": seed, "ending": ending, "novelty": novelty, "mood": mood, "nearest": nearest}
    chosen |= {"layers": layers, "arrange": arrange, "voice": voice, "intro": intro}
    wishes: dict[str, list[str] | None] = {"must": must, "forbid": forbid, "require": require, "hits": hit}
    options = parse_settings(keep_from, keep_to, avoid, arc=arc, mix=mix, **wishes, **chosen)
    options = options if edit is None else given_settings(context, options)
    work = {"model": model, "bitrate": bitrate, "stream": stream, **options}
    kept = {"variations": variations, "plan": plan, "pages": report, "exports": export or ()}
    beside = {"dry_run": dry_run, "check": check, "json": json, "stems": stems, "edit": edit, "batch": batch}
    several, bare = _check_together(songs, output, **beside, **kept)
    asked = {**work, **(edit.settings if edit else {}), **options}
    wanted = wanted if repeats is None else repeated_seconds(songs, repeats, wanted, **asked)
    check_form(tag_only, loop_parts, wanted, several=not bare, suffix=suffix, **asked)
    if dry_run:
        show_planned(songs[0], edit, wanted, quiet, json, check=check, model=model, stream=stream, **options)
        return
    if output == STREAM:
        _stream(songs[0], wanted, quiet, suffix=_ending(suffix) or ".wav", stems=stems, **work)
        return
    facts = {**length_facts(wanted), "seed": str(seed), "ending": ending}
    _check_views(wanted if report else None, export)
    tasks = _name_tasks(songs, output, name=name, suffix=suffix, facts=facts, **kept)
    work |= {"check": check, "force": force}
    if several:
        extend_several(tasks, wanted, quiet, json, batch=batch, **work)
    elif loop_parts or tag_only:
        extend_loop = extend_to_parts if loop_parts else extend_by_tags
        extend_loop(tasks[0], wanted, quiet, json, **work)
    else:
        _extend_one(tasks[0], wanted, quiet, json, stems=stems, edit=edit, **work)


def _check_together(songs: list[Path], output: Path | None, **asked: Any) -> tuple[bool, bool]:
    """Whether there are several songs, and whether one output of one song is all that is asked for.

    Raises UsageError for what does not go together.
    """
    several, edited = asked["batch"].is_one or are_batch(songs, output, asked["plan"]), asked["edit"] is not None
    more = bool(asked["pages"] or asked["plan"] or asked["exports"]) or asked["variations"] > 1
    if several and edited:
        raise UsageError("--from changes the plan of one song that is here: leave out --cluster, --manifest and URLs")
    if several and asked["stems"] is not None:
        raise UsageError("--stems is for one song: a folder has the stems of one")
    if asked["dry_run"] and (several or more or output is not None):
        raise UsageError(
            "--dry-run writes nothing, of one song: leave out -o, --export, --plan, --report, --variations"
        )
    if output == STREAM and (several or more or edited or asked["check"] or asked["json"]):
        raise UsageError(f"-o - streams one song, without {NOT_STREAMED}")
    return several, not (several or more or edited or output == STREAM or asked["stems"])


def _ending(suffix: str | None) -> str | None:
    """The ending of files of a format that is named as mp3 or .mp3."""
    return None if suffix is None else f".{suffix.lower().lstrip('.')}"


def _name_tasks(
    songs: list[Path], output: Path | None, *, name: str, suffix: str | None, facts: dict[str, str], **kept: Any
) -> list[Any]:
    """What is to be made of which song, see `musex.batches.find_tasks`; raises UsageError for impossible names."""
    from musex.batches import are_several, check_folders, check_naming, find_tasks, names_folder

    if are_several(songs) and kept["exports"]:
        raise UsageError("--export is for one song: a file has the cuts of one")
    into_folder = are_several(songs) or (output is not None and names_folder(output))
    if output is not None and not into_folder and (suffix is not None or name != DEFAULT_NAME):
        raise UsageError("--format and --name are for where -o names no file")
    with usage_checked():
        check_naming(name, _ending(suffix), facts)
        check_folders(songs, output, kept["plan"])
    return find_tasks(songs, output, name=name, suffix=_ending(suffix), facts=facts, **kept)


def _check_views(page_seconds: float | None, export: list[Path] | None) -> None:
    """Refuse a page of so many seconds that would be too long, and formats that cuts cannot be exported to."""
    with usage_checked():
        if page_seconds is not None:
            from musex.views.reports import page_kbps  # with what draws pages, which takes time to import

            page_kbps(page_seconds)
        if export:
            from musex.exports.formats import check_formats

            check_formats(export)


def _extend_one(task: Any, seconds: float | None, quiet: bool, json: bool, *, check: bool, **work: Any) -> None:
    """Extend one song, to one version or several; exit code 3 if a seam fails its check."""
    from musex.versions import make_versions

    began = time.monotonic()
    with show_progress(quiet, seconds) as on_progress:
        made = make_versions(task.song, task.versions, seconds=seconds, on_progress=on_progress, **work)
    taken = time.monotonic() - began
    outputs = [version.output for version in task.versions]
    if json:
        _tell_outputs(task.song, outputs, made, taken)
    for path, one in zip(outputs, made, strict=True):
        if not quiet:
            summarise(one, path, taken / len(made))
    if check:
        check_seams(made, quiet)


def _tell_outputs(song: Path, paths: list[Path], plans: list[Any], taken: float) -> None:
    """One JSON object on stdout: what was made of a song."""
    from musex.cli.tables import describe_output

    outputs = [describe_output(plan, path, taken / len(plans)) for path, plan in zip(paths, plans, strict=True)]
    tell_result(dumps({"song": str(song), "outputs": outputs}, indent=1))


def _stream(song: Path, seconds: float | None, quiet: bool, **options: Any) -> None:
    """Write sound to stdout as it is made."""
    from musex.files import stream_file

    check_stdout()
    if sys.stdout.isatty():
        raise MusexError("-o - writes sound to stdout, which is a terminal: pipe it on, as in … -o - | ffplay -")
    with show_progress(quiet, seconds) as on_progress:
        try:
            stream_file(song, sys.stdout.buffer, seconds=seconds, on_progress=on_progress, **options)
        except BrokenPipeError:  # whoever listens has heard enough: as a command that SIGPIPE ends
            raise typer.Exit(128 + 13) from None


def render(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `musex extend --plan` wrote.")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="More stems or tracks, after --stems.")
    ] = None,
    output: OutputOption = None,
    song: Annotated[Path | None, typer.Option("--song", metavar="FILE", help="The song, if it has moved.")] = None,
    mix: MixOption = None,
    stems: Annotated[
        list[Path] | None,
        typer.Option(
            "--stems",
            metavar="FILES",
            help="Play the plan on the song's own stems or tracks, or a folder of them, each to a file in -o.",
        ),
    ] = None,
    export: ExportOption = None,
    force: ForceOption = False,
    check: CheckOption = False,
    bitrate: BitrateOption = None,
    quality: QualityOption = None,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Render a plan again, without predicting anything; with --stems the same cuts on files that add up to the song.

    With --export and without -o nothing is rendered: the plan's cuts are all that is written.
    """
    bitrate = parse_bitrate(bitrate, quality)
    levels = parse_settings(None, None, None, arc=None, mix=mix)["mix"] if mix is not None else None
    if files and not stems:
        raise UsageError(f"{files[0]} is one file too many: name the song by --song, stems or tracks by --stems")
    if stems and (check or export):
        raise UsageError(f"--{'check' if check else 'export'} is for the song's own rendering: leave out --stems")
    if verbose:
        tell_everything()
    if export and output is None:
        _export(plan, song, export, force, quiet, rendered=check or json or mix is not None)
        return
    quiet |= json
    began = time.monotonic()
    work: dict[str, Any] = {"song_path": song, "force": force, "bitrate": bitrate, "mix": levels}
    with show_progress(quiet) as on_progress:
        if stems:
            from musex.stem_files import render_stems

            made, targets = render_stems(plan, [*stems, *(files or ())], output, on_progress=on_progress, **work)
        else:
            from musex.files import render_file

            _check_views(None, export)
            made, target = render_file(
                plan, output, measured=check, exports=export or (), on_progress=on_progress, **work
            )
            targets = [target]
    taken = time.monotonic() - began
    if json:
        _tell_outputs(song or Path(str(made.song.path)), targets, [made] * len(targets), taken)
    for path in targets if not quiet else ():
        summarise(made, path, taken)
    if check:
        check_seams([made], quiet)


def _export(plan: Path, song: Path | None, paths: list[Path], force: bool, quiet: bool, *, rendered: bool) -> None:
    """Write a plan's cuts alone, and tell where; UsageError if something is asked for that needs a rendering."""
    if rendered:
        raise UsageError("--check, --json and --mix are for what is rendered: name the file to write by -o")
    from musex.exports.formats import check_formats, export_file

    with usage_checked():
        check_formats(paths)
    with show_progress(quiet) as on_progress:
        export_file(plan, paths, song_path=song, force=force, on_progress=on_progress)
    for path in paths if not quiet else ():
        typer.echo(str(path))


def stems(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where they go. \\[default: SONG-stems beside the song]"),
    ] = None,
    mix: MixOption = None,
    stream: StreamOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take a song apart: voice.wav, drums.wav, bass.wav and rest.wav, which add up to it; with --mix a mix.wav, too."""
    from musex.stem_files import separate_file

    levels = parse_settings(None, None, None, arc=None, mix=mix)["mix"]
    if verbose:
        tell_everything()
    if json:
        check_stdout()
    with show_progress(quiet or json) as on_progress:
        paths = separate_file(song, output, mix=levels, stream=stream, force=force, on_progress=on_progress)
    if json:
        tell_result(dumps({"song": str(song), "stems": {path.stem: str(path) for path in paths}}, indent=1))
    for path in paths if not (quiet or json) else ():
        typer.echo(str(path))


def report(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `musex extend --plan` wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The page. \\[default: PLAN-report.html]")
    ] = None,
    song: Annotated[Path | None, typer.Option("--song", metavar="FILE", help="The song, if it has moved.")] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a page to listen on: the output, its seams, the path through the song, in one HTML file."""
    from musex.views.reports import report_file

    with show_progress(quiet) as on_progress:
        page = report_file(plan, output, song_path=song, force=force, on_progress=on_progress)
    if not quiet:
        typer.echo(str(page))


def play(
    song: Annotated[Path, typer.Argument(metavar="SONG", help="A song.")],
    seed: SeedOption = 0,
    novelty: NoveltyOption = 0.5,
    model: ModelOption = None,
    stream: StreamOption = None,
    quiet: QuietOption = False,
) -> None:
    """Play a song endlessly on the sound device; keys: n next jump, c calmer, i more intense, q quit."""
    from musex.playing import KEYS, play_file

    if not quiet:
        typer.echo(", ".join(f"{key}: {wish}" for key, wish in KEYS.items()), err=True)
    play_file(song, model=model, stream=stream, settings=Settings(seed=seed, novelty=novelty))
