"""Plans changed by hand: what `extend --from` takes, `extend --dry-run`, and the command `seams`."""

import time
from collections import Counter
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from musex.cli.arguments import (
    JsonOption,
    ModelOption,
    QuietOption,
    UsageError,
    count_option,
    parse_count,
    parse_numbers,
    usage_checked,
)
from musex.cli.terminal import check_seams, list_seams, show_progress, show_seams, tell_result
from musex.errors import MusexError
from musex.system.stores import is_stored
from musex.system.wording import format_time

OPTIONS = {"hits": "hit"}  # of settings that are called otherwise


def read_edit(
    path: Path | None,
    songs: list[Path],
    *,
    lock: list[str] | None,
    reject: list[str] | None,
    take: list[str] | None,
    variations: int,
    model: Path | None,
) -> Any:
    """The edit that is asked for, a `musex.planning.edits.Edit`; None where no plan is named."""
    locked, rejected = parse_numbers(lock, "--lock"), parse_numbers(reject, "--reject")
    taken = [_parse_taken(text) for text in take or ()]
    if twice := next((number for number, times in Counter(number for number, _ in taken).items() if times > 1), None):
        raise UsageError(f"--take names seam {twice} twice: choose one alternative of it")
    if path is None:
        if locked or rejected or taken:
            raise UsageError("--lock, --reject and --take are of a plan: name it by --from PLAN")
        return None
    if len(songs) != 1 or songs[0].is_dir() or variations > 1:
        raise UsageError(f"--from {path} is the plan of one song: give that song, without --variations")
    if is_stored(songs[0]):
        raise UsageError(f"--from is for a song that is here, and {songs[0]} is not: download it")
    from musex.planning.edits import Edit
    from musex.plans import read_plan

    plan = read_plan(path)
    with usage_checked():
        Edit(plan, locked or None, rejected)
    replacing = {number: _alternative(songs[0], plan, number, place, model) for number, place in taken}
    with usage_checked():
        return Edit(plan, locked or None, rejected, replacing)


def _parse_taken(text: str) -> tuple[int, int]:
    number, colon, place = text.partition(":")
    found = (*parse_numbers([number], "--take"), *parse_numbers([place], "--take")) if colon else ()
    if len(found) != 2 or not found[1]:
        raise UsageError(f"--take {text} names no alternative: give seam and alternative, such as 2:3")
    return found[0], found[1]


def _alternative(song: Path, plan: Any, number: int, place: int, model: Path | None) -> Any:
    from musex.editing import alternatives

    found = alternatives(song, plan, number, count=place, model=model)
    if not 1 <= place <= len(found):
        raise MusexError(f"--take {number}:{place} is not there: `musex seams` lists {len(found)} alternatives")
    return found[place - 1].seam


def usual_seconds(edit: Any, ending: str, repeats: int | None) -> tuple[float | None, bool]:
    """The duration that is meant where none is given, and whether there need be none at all."""
    if repeats is not None:
        return None, True
    if not edit:
        return None, ending == "loop"
    return edit.plan.settings.requested_seconds or (None if edit.plan.loops else edit.plan.seconds), edit.plan.loops


def given_settings(context: typer.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the settings that were given on the command line."""
    default = "DEFAULT"
    sources = {name: context.get_parameter_source(OPTIONS.get(name, name)) for name in options}
    return {name: options[name] for name, source in sources.items() if source and source.name != default}


def show_planned(
    song: Path,
    edit: Any,
    seconds: float | None,
    quiet: bool,
    json: bool,
    *,
    check: bool,
    model: Path | None,
    **options: Any,
) -> None:
    """Plan without writing anything: a table of its seams, or its file's JSON on stdout."""
    from musex.audio.inputs import read_logged
    from musex.editing import edit as edit_plan
    from musex.extension import plan as plan_song

    began, stream = time.monotonic(), options.pop("stream")
    with show_progress(quiet or json, seconds) as on_progress:
        source = read_logged(song, stream=stream)
        work = {"seconds": seconds, "model": model, "on_progress": on_progress, **options}
        if edit is None:
            plan = plan_song(source, **work)
        else:
            plan = edit_plan(source, edit.plan, lock=edit.lock, reject=edit.reject, replacing=edit.replacing, **work)
    if json:
        tell_result(plan.to_json())
    elif not quiet:
        taken = time.monotonic() - began
        show_seams(plan, f"{format_time(plan.seconds)} of {plan.song.name}, planned in {taken:.1f} s, not written: ")
    if check:
        check_seams([plan], quiet=True)


def seams(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `musex extend --plan` wrote.")],
    number: Annotated[
        str | None,
        typer.Argument(metavar="N", help="Which seam, from 1; without it all are shown.", show_default=False),
    ] = None,
    count: Annotated[int, count_option("--count", least=1, help="How many alternatives.")] = 10,
    song: Annotated[Path | None, typer.Option("--song", metavar="FILE", help="The song, if it has moved.")] = None,
    model: ModelOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the alternatives to a seam of a plan, best first, for `musex extend --from PLAN --take N:K`."""
    from musex.audio.file_names import find_song
    from musex.audio.inputs import read_logged
    from musex.cli.tables import describe_seam
    from musex.editing import alternatives
    from musex.planning.edits import seam_of
    from musex.plans import read_plan

    place = None if number is None else parse_count(number, "seam", least=1)
    made = read_plan(plan)
    rate = made.song.sample_rate
    if place is None:
        if json:
            listed = [describe_seam(seam, rate) for seam in made.seams]
            tell_result(dumps({"plan": str(plan), "seams": listed}, indent=1))
        else:
            show_seams(made)
        return
    with usage_checked():
        own = seam_of(made, place)
    with show_progress(quiet or json):
        source = read_logged(song or find_song(made, plan), stream=made.song.stream)
        found = alternatives(source, made, place, count=count, model=model)
    if json:
        others = [{**describe_seam(one.seam, rate), "cost": one.cost, "keeps": one.keeps} for one in found]
        told = {"plan": str(plan), "number": place, "seam": describe_seam(own, rate), "alternatives": others}
        tell_result(dumps(told, indent=1))
        return
    rows = [(f"{place} now", own), *((f"{place}:{rank}", one.seam) for rank, one in enumerate(found, start=1))]
    notes = ["", *("stays" if one.keeps else "planned anew" for one in found)]
    list_seams(made, rows, f"alternatives to seam {place} of {plan}", ("what follows", notes))
