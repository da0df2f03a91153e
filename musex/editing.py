"""The public verbs for plans that are changed by hand: edit, list alternatives, move a seam."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musex.audio.inputs import song_of
from musex.audio.song import Song
from musex.extension import pointing
from musex.planning.edits import Alternative, Edit, edit_plan, find_alternatives
from musex.planning.edits import move_seam as _move_seam
from musex.plans import Plan, Seam
from musex.prediction.model import Model
from musex.rendering.levels import level_plan, separate_for
from musex.rendering.stitch import check_plan
from musex.settings import Settings
from musex.system.progress import OnProgress, ignore_progress

if TYPE_CHECKING:
    import numpy as np
    from pydub import AudioSegment

__all__ = ["Alternative", "alternatives", "edit", "move_seam"]


def edit(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    plan: Plan,
    *,
    seconds: float | None = None,
    lock: Collection[int] | None = None,
    reject: Collection[int] = (),
    replacing: Mapping[int, Seam] | None = None,
    unlike: Sequence[Plan] = (),
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Plan:
    """Change a plan by hand: what stays of it stays to the sample, the rest is planned anew.

    Args:
        song: The plan's song, as in `musex.extend`.
        plan: The plan; its seams are numbered from 1.
        seconds: Another duration.
        lock: Seams that stay; all others are planned anew. Without it all stay but those that are rejected, replaced
            or forbidden, as far as the duration allows; none where settings are changed that the path follows.
        reject: Seams whose jumps, to a bar, shall not be taken: from now on the plan's settings forbid them.
        replacing: Other jumps in the place of some seams, as `alternatives` and `move_seam` give them.
        unlike: Other plans of the song, whose jumps what is planned anew leaves aside where there are others.
        sample_rate: As in `musex.extend`.
        model: As in `musex.extend`, but none that is generative.
        on_progress: As in `musex.extend`.
        changes: Settings that are replaced; see `musex.settings.Settings`.

    Raises:
        DurationError: No path leads from what stays to the duration.
        MusexError: There are no such seams, or song, model or settings cannot be used.
    """
    wanted = Edit(plan, lock, reject, replacing or {})
    tell = on_progress or ignore_progress
    tell("Reading", 0.0)
    source, loaded = song_of(song, sample_rate), pointing(model)
    check_plan(plan, source)
    settings = Settings(**wanted.settings | changes)
    separate_for(settings.changes, source, tell, always=settings.arrange != "off")
    tell_share = partial(tell, "Predicting")
    made = edit_plan(source, loaded, wanted, seconds=seconds, unlike=unlike, on_progress=tell_share, **changes)
    return level_plan(made, source, tell)


def alternatives(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    plan: Plan,
    number: int,
    *,
    count: int = 10,
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
) -> tuple[Alternative, ...]:
    """Other jumps in place of one of a plan, for `edit(…, replacing={number: alternative.seam})`.

    First those after which all else stays as it is, then others, after which the rest is planned anew; the best of
    each first.

    Args:
        song: The plan's song, as in `musex.extend`.
        plan: The plan.
        number: Of the seam, from 1.
        count: How many at most.
        sample_rate: As in `musex.extend`.
        model: As in `musex.extend`, but none that is generative.

    Raises:
        MusexError: There is no such seam, it closes a loop, or song or model cannot be used.
    """
    source = song_of(song, sample_rate)
    check_plan(plan, source)
    return find_alternatives(source, pointing(model), plan, number, count=count)


def move_seam(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    plan: Plan,
    number: int,
    seconds: float,
    *,
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
) -> Seam:
    """The same jump of a plan, taken so many seconds later (negative: earlier), for `edit(…, replacing={number: …})`.

    Arguments as in `alternatives`. Raises MusexError if there is no room for it there.
    """
    source = song_of(song, sample_rate)
    check_plan(plan, source)
    return _move_seam(source, pointing(model), plan, number, seconds=seconds)
