"""Several plans of the same wishes at once, which sound differently."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

import musex
from musex.errors import DurationError, MusexError
from musex.plans import Plan, Seam
from musex.seams.bounds import count_exceeded
from musex.studio.editing import bar_seconds
from musex.studio.history import Step, carry_locks

if TYPE_CHECKING:
    from musex.studio.session import Session

VERSIONS = 4
TRIES = 4  # plans made for one version; by choice
MOST_SHARED = 0.9  # of an output that may sound as another does at the same time; by choice
SAME_SHARE = 0.99  # from which on it is no other version
SAME_SECONDS = 0.5  # places of the song this near are the same
LOOK_SECONDS = 0.25  # between two looks at what is heard
AROUND_BARS = range(-4, 5)  # by which the same jump, taken earlier or later, is no other one; by choice

Barred = tuple[tuple[float, float], ...]  # jumps: seconds of the song that they leave and enter


def make_versions(session: "Session", options: dict[str, Any]) -> None:
    """Other plans of the same wishes, four where the song has so many ways; seams that are locked stay."""
    found = [session.plan]
    for number in range(1, VERSIONS + 1):
        made = _differ(session, found, {**options, "seed": session.plan.settings.seed + number})
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


def share_in_common(one: Plan, other: Plan) -> float:
    """The share of the shorter output at which both play the same place of the song, 0 to 1."""
    rate = one.song.sample_rate
    times = np.arange(0, min(one.frames, other.frames), round(LOOK_SECONDS * rate))
    return float(np.mean(np.abs(one.places(times) - other.places(times)) <= SAME_SECONDS * rate))


def _differ(session: "Session", found: list[Plan], options: dict[str, Any]) -> Plan | None:
    """A plan that sounds differently from these, the first of them the one that counts; None where there is none.

    That it shall be unlike them is a wish, which good jumps outweigh: where they do, some of their jumps are forbidden.
    The plan does not keep that: what is planned of it later may take them again.
    """
    made, doubtful = list[tuple[int, float, Plan]](), count_exceeded(found[0])
    for number, barred in enumerate(_barred(session, found)):
        session.tell("Making versions", (len(found) - 1 + number / TRIES) / VERSIONS)
        try:
            plan = _plan(session, found, {**options, "forbid": (*options["forbid"], *barred)})
        except DurationError:
            continue
        shared = max(share_in_common(plan, other) for other in found)
        if shared < SAME_SHARE:
            plan = replace(plan, settings=replace(plan.settings, forbid=options["forbid"]))
            made.append((max(count_exceeded(plan), doubtful), max(shared, MOST_SHARED), plan))
            if made[-1][:2] == (doubtful, MOST_SHARED):
                break
    return min(made, key=lambda each: each[:2])[2] if made else None


def _plan(session: "Session", found: list[Plan], options: dict[str, Any]) -> Plan:
    step = session.step
    how = {"unlike": tuple(found), "model": session.model, **options}
    seconds = step.plan.settings.requested_seconds or step.plan.seconds
    if step.locked_numbers:
        return musex.edit(session.song, step.plan, seconds=seconds, lock=step.locked_numbers, **how)
    return musex.plan(session.song, seconds=seconds, **how)


def _barred(session: "Session", found: list[Plan]) -> Iterator[Barred]:
    """Which jumps may be forbidden, one choice after another: none, then those of one seam of each plan."""
    step, rate = session.step, session.song.sample_rate
    locked = [step.plan.seams[number - 1] for number in step.locked_numbers]
    stay = {(seam.leave, seam.enter) for seam in locked}
    free = [[seam for seam in plan.seams if (seam.leave, seam.enter) not in stay] for plan in found]
    bar = bar_seconds(session.info)

    def around(seam: Seam) -> Barred:
        ends = [(seam.leave / rate + bars * bar, seam.enter / rate + bars * bar) for bars in AROUND_BARS]
        return tuple((round(leave, 3), round(enter, 3)) for leave, enter in ends if min(leave, enter) >= 0)

    yield ()
    for turn in range(TRIES - 1):
        chosen = {around(seams[turn % len(seams)]) for seams in free if seams}
        yield tuple(chain.from_iterable(sorted(chosen)))
