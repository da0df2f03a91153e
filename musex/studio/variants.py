"""Several plans of the same wishes at once, to choose from."""

from typing import TYPE_CHECKING, Any

import musex
from musex.errors import MusexError
from musex.planning.variations import Barred, plan_apart
from musex.plans import Plan
from musex.studio.editing import bar_seconds
from musex.studio.history import Step, carry_locks

if TYPE_CHECKING:
    from musex.studio.session import Session

VERSIONS = 4


def make_versions(session: "Session", options: dict[str, Any]) -> None:
    """Other plans of the same wishes, four where the song has so many ways; seams that are locked stay."""
    step, found = session.step, [session.plan]
    locked = [step.plan.seams[number - 1] for number in step.locked_numbers]

    def make(barred: Barred) -> Plan:
        seed, forbid = step.plan.settings.seed + len(found), (*options["forbid"], *barred)
        return _plan(session, found, {**options, "seed": seed, "forbid": forbid})

    def tell(done: float) -> None:
        session.tell("Making versions", (len(found) - 1 + done) / VERSIONS)

    while len(found) <= VERSIONS:
        made = plan_apart(make, found, bar_seconds=bar_seconds(session.info), stay=locked, on_progress=tell)
        if made is None:
            break
        found.append(made)
    if len(found) == 1:
        raise MusexError("there is no other way through this song: choose another length, or unlock a seam")
    session.versions = tuple(found[1:])


def choose_version(session: "Session", index: int) -> None:
    """Let one of the versions count; what was locked stays locked."""
    if not 0 <= index < len(session.versions):
        raise MusexError(f"there is no version {index + 1}")
    plan = session.versions[index]
    session.take(Step(plan, carry_locks(session.step.locked, plan)))


def _plan(session: "Session", found: list[Plan], options: dict[str, Any]) -> Plan:
    step = session.step
    how = {"unlike": tuple(found), "model": session.model, **options}
    seconds = step.plan.settings.requested_seconds or step.plan.seconds
    if step.locked_numbers:
        return musex.edit(session.song, step.plan, seconds=seconds, lock=step.locked_numbers, **how)
    return musex.plan(session.song, seconds=seconds, **how)
