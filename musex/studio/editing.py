"""What can be done to a plan on the page: each a call or two of the public verbs."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import musex
from musex.errors import MusexError
from musex.planning.course import UNKNOWN_BAR_SECONDS
from musex.planning.planner import Planner
from musex.plans import Beginning, Part, Plan, Seam
from musex.rendering.levels import level_plan, separate_for, with_mix
from musex.rendering.stitch import BegunAnewError, pieces
from musex.rendering.streaming import is_streamed_alike, stream_plan
from musex.settings import Options, Settings
from musex.studio.history import Step, carry_locks, lock_of
from musex.system.arrays import Array

if TYPE_CHECKING:
    from musex.inspection import SongInfo
    from musex.studio.session import Session

logger = logging.getLogger(__name__)

ALTERNATIVES = 10
PREVIEW_SECONDS = 5.0  # on both sides of a seam


def options_of(plan: Plan) -> dict[str, Any]:
    """The settings of a plan, as the public verbs take them."""
    return {name: getattr(plan.settings, name) for name in Options.__annotations__}


def prepare(session: "Session", plan: Plan) -> None:
    """Take the song apart if a plan changes stems, so that it can be rendered."""
    if plan.changes_stems:
        separate_for(plan.settings.changes, session.song, session.tell, always=bool(plan.turns))


def plan_anew(session: "Session", seconds: float, **changes: Any) -> None:
    """Plan with other settings or another duration; seams that are locked stay."""
    now = session.history.now
    options = {**(options_of(now.plan) if now else {}), **changes}
    if now is not None and now.locked_numbers:
        plan = musex.edit(
            session.song,
            now.plan,
            seconds=seconds,
            lock=now.locked_numbers,
            model=session.model,
            on_progress=session.tell,
            **changes,
        )
        session.take(Step(plan, carry_locks(now.locked, plan)))
        return
    plan = make_plan(session, seconds, Settings(**options), now)
    session.take(Step(plan))


def make_plan(session: "Session", seconds: float, settings: Settings, now: Step | None) -> Plan:
    """A plan, which is heard while it is made where that can be."""
    song = session.song
    session.tell("Planning", 0.0)
    planner = Planner(song, session.model, seconds=seconds, settings=settings)
    key = None
    if is_streamed_alike(planner):
        try:
            key = session.draft_sound(planner.request.target, _told(stream_plan(planner), planner, session))
        except BegunAnewError:
            logger.info("what was heard is no longer planned")
            session.draft = None
    separate_for(settings.changes, song, session.tell, always=settings.arrange != "off")
    plan = level_plan(planner.finish(lambda done: session.tell("Planning", done)), song, session.tell)
    sound = session.sound(key) if key else None
    if key is not None and sound is not None and sound.frames == plan.frames:
        session.name_sound(plan, key)
    return plan


def _told(blocks: Any, planner: Planner, session: "Session") -> Any:
    for block in blocks:
        yield block
        session.tell("Planning", planner.done)


def set_length(session: "Session", seconds: float) -> None:
    plan_anew(session, seconds)


def change(session: "Session", changes: dict[str, Any]) -> None:
    """Other settings; the mix alone changes no cut."""
    plan = session.plan
    if changes.keys() == {"mix"}:
        mixed = with_mix(plan, changes["mix"])
        separate_for(mixed.settings.changes, session.song, session.tell)
        session.take(replace(session.step, plan=level_plan(mixed, session.song, session.tell)))
        return
    plan_anew(session, plan.settings.requested_seconds or plan.seconds, **changes)


def mute(session: "Session", stems: list[str]) -> None:
    """Silence these stems, and no others."""
    plan = session.plan
    others = [(stem, levels) for stem, levels in plan.settings.mix if any(level is not None for _, level in levels)]
    muted = [(stem, ((0.0, None),)) for stem in stems]
    change(session, {"mix": (*(each for each in others if each[0] not in stems), *muted)})


def find_seam(plan: Plan, number: int) -> Seam:
    """A seam by its number, from 1; raises MusexError if there is none."""
    if not 1 <= number <= len(plan.seams):
        raise MusexError(f"there is no seam {number}: this plan has {len(plan.seams)}")
    return plan.seams[number - 1]


def _edit(session: "Session", **how: Any) -> None:
    """Change a seam; all others stay, and what was locked stays locked."""
    step = session.step
    plan = musex.edit(session.song, step.plan, model=session.model, on_progress=session.tell, **how)
    session.take(Step(plan, carry_locks(step.locked, plan)))


def reject(session: "Session", number: int) -> None:
    """Another jump in place of a seam, which does not come back."""
    find_seam(session.plan, number)
    _edit(session, reject=(number,))


def lock(session: "Session", number: int, on: bool) -> None:
    """Let a seam stay whatever else changes, or no longer."""
    own = {lock_of(find_seam(session.plan, number))}
    session.set_locks(session.step.locked | own if on else session.step.locked - own)


def leave_out(session: "Session", number: int) -> None:
    """No jump may leave from where a seam does."""
    plan = session.plan
    seam = find_seam(plan, number)
    forbidden = (*plan.settings.forbid, (seam.leave / plan.song.sample_rate, None))
    _edit(session, forbid=forbidden)


def move(session: "Session", number: int, by: str, steps: int) -> None:
    """Cut a jump a beat or a bar earlier or later."""
    plan, seconds = session.plan, beat_seconds(session, by)
    find_seam(plan, number)
    moved = musex.move_seam(session.song, plan, number, steps * seconds)
    _edit(session, replacing={number: moved})


def beat_seconds(session: "Session", by: str) -> float:
    """How long a beat or a bar is; raises MusexError where the song has no pulse."""
    facts = session.info
    if facts is None:
        raise MusexError("beats and bars are still being looked for: wait a moment")
    if not facts.tempo:
        raise MusexError("this song has no steady beat to move by")
    return bar_seconds(facts) if by == "bar" else 60.0 / facts.tempo


def bar_seconds(facts: "SongInfo | None") -> float:
    """How long a bar usually is; what is taken for it where the song has none, or nobody has looked yet."""
    return 60.0 / facts.tempo * (facts.metre or 4) if facts and facts.tempo else UNKNOWN_BAR_SECONDS


def find_alternatives(session: "Session", number: int) -> list[Any]:
    """What could be heard in place of a seam, the best first."""
    find_seam(session.plan, number)
    return list(musex.alternatives(session.song, session.plan, number, count=ALTERNATIVES, model=session.model))


def use_alternative(session: "Session", number: int, index: int) -> None:
    """Take another jump in place of a seam."""
    found = session.alternatives(number)
    if not 0 <= index < len(found):
        raise MusexError(f"there is no alternative {index + 1}: seam {number} has {len(found)}")
    _edit(session, replacing={number: found[index].seam})


def preview(session: "Session", seam: Seam) -> Array:
    """The seconds around a jump, as they would sound: float32 (frames, channels)."""
    import numpy as np

    song = session.song
    reach = round(PREVIEW_SECONDS * song.sample_rate)
    start, stop = max(0, seam.leave - reach), min(song.frames, seam.enter + reach)
    parts = (Beginning(start, stop), Part(start, seam.leave, seam), Part(seam.enter, stop))
    return np.concatenate(list(pieces(song.samples, parts)))
