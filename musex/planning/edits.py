"""A plan changed by hand: jumps that stay, jumps that are rejected, others in their place."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from musex.audio.song import Song
from musex.errors import DurationError, MusexError
from musex.planning.chain import Chain
from musex.planning.course import ModelLike, Request, courses
from musex.planning.goals import Goal, HitMissedError, Leg
from musex.planning.measures import measure_plan
from musex.planning.natural_loops import without_intro
from musex.planning.path import Path
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.planning.wishes import meets_hits
from musex.plans import Plan, Seam
from musex.seams.bounds import exceeded
from musex.settings import Settings
from musex.system.progress import OnShare
from musex.system.wording import format_count

# Settings that a path follows; others change how its sound is made.
FOLLOWED = {one.name for one in fields(Settings)} - {"forbid", "layers", "arrange", "mix"}
ROOM_SECONDS = 1.0  # played between a jump that is found and one that stays, besides their crossfades; by choice
WIDENED = ((0, 1), (1, 1), (2, 2), (4, 4))  # seams before and after those to be replaced that are let go, too
ONE_TRY = replace(SEARCH, tries=1)  # letting go of more seams is the other try
LAST_SECONDS = 20.0  # before another duration, from which on nothing stays; by choice
SLIP_SECONDS = 0.005  # by which a jump may be longer than the one it replaces for what follows to stay as it is
AROUND_STEPS = 10  # within which jumps of the same distance are no choice between them
AROUND_SECONDS = 20.0  # around a seam, within which others are looked for
FIRST = (6, 10)  # alternatives of which the first leave all else as it is, if there are so many; then others
MOVED_SLIDE_SECONDS = 0.06  # by which a seam that is moved may slide to a better place


@dataclass(frozen=True)
class Alternative:
    """Another jump in place of one.

    Attributes:
        seam: as it would sound; `at` is the sample of the output at which it would come.
        cost: of taking it and of all that it leads to; a plain good jump costs about 1, each bound exceeded 100.
        keeps: whether the jumps after it stay as they are; else the rest is planned anew.
    """

    seam: Seam
    cost: float
    keeps: bool


@dataclass(frozen=True)
class Edit:
    """What stays of a plan, and what does not; its seams are numbered from 1.

    Attributes:
        plan: the plan.
        lock: seams that stay; all others are planned anew. Without it all stay but those that are rejected, replaced
            or forbidden, as far as the duration allows; none where other settings are changed that paths follow.
        reject: seams whose jumps, to a bar, are taken no more: the settings forbid them from now on.
        replacing: other jumps in the place of some seams.
    """

    plan: Plan
    lock: Collection[int] | None = None
    reject: Collection[int] = ()
    replacing: Mapping[int, Seam] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers of no seam, or of one that shall go and stay, and plans of no song; raises MusexError."""
        if not self.plan.spans:
            raise MusexError(f"{self.plan.model.name} predicts the waveform itself: its plan has nothing to be changed")
        stays = {*(self.lock or ()), *self.replacing}
        for number in (*stays, *self.reject):
            seam_of(self.plan, number)
        if both := {*self.reject} & stays:
            raise MusexError(f"seam {min(both)} cannot both be rejected and stay: choose one")

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the plan, by name, without the duration."""
        return {one.name: getattr(self.plan.settings, one.name) for one in fields(Settings)}


def edit_plan(
    song: Song,
    model: ModelLike,
    edit: Edit,
    *,
    seconds: float | None = None,
    unlike: Sequence[Plan] = (),
    on_progress: OnShare | None = None,
    **changes: Any,
) -> Plan:
    """Plan a song again, with some of a plan's seams as they are.

    Args:
        song: the plan's.
        model: predicts where something is planned anew.
        edit: what stays.
        seconds: another duration.
        unlike: other plans of the song, whose jumps shall be left aside where there are others.
        on_progress: called with the part of the output that is planned, 0 to 1.
        changes: settings that are replaced.

    Raises:
        DurationError: no path leads from what stays to the duration.
        MusexError: the settings mean nothing.
    """
    plan, lock, replaced, rate = without_intro(edit.plan), edit.lock, dict(edit.replacing), song.sample_rate
    own = edit.settings
    settings = Settings(**own | changes)
    changed = {name for name, value in vars(settings).items() if value != own[name]}
    if lock is None and changed & FOLLOWED:
        lock = ()
    rejected = tuple(
        (round(seam.leave / rate, 3), round(seam.enter / rate, 3))
        for seam in (plan.seams[number - 1] for number in sorted(edit.reject))
    )
    settings = replace(settings, forbid=tuple(dict.fromkeys((*settings.forbid, *rejected))))
    length = seconds if seconds is not None else _asked_seconds(plan)
    if plan.settings.nearest and seconds is None and not changed:  # the duration that was found is kept
        settings = replace(settings, nearest=False)
    work: dict[str, Any] = {"seconds": length, "unlike": unlike, "on_progress": on_progress, **vars(settings)}
    gone = {*edit.reject, *replaced}
    if "forbid" in changed:
        gone |= _forbidden(plan, Request(song, model, plan.frames, settings, SEARCH)) - {*(lock or ())}
    if plan.closing and (len(plan.seams) in gone or length is None):  # all of a loop hangs on where it closes
        return plan_song(song, model, **work)
    ended = length in (plan.settings.requested_seconds, plan.seconds)
    known = {(seam.leave, seam.enter) for seam in (*plan.seams, *replaced.values())}
    found: list[tuple[int, Plan]] = []
    last = plan.frames if ended or length is None else round((length - LAST_SECONDS) * rate)
    for kept in _kept_seams(plan, lock, gone, last=last):
        goals = lay_goals(plan, kept | replaced, room=round(ROOM_SECONDS * rate), ended=ended)
        try:
            made = plan_song(song, model, goals=goals, closing=plan.closing, weights=ONE_TRY, **work)
        except DurationError:
            continue
        except HitMissedError:
            if lock:
                raise
            continue  # what stays slips with each edit, and hits within it
        if not meets_hits(made, Request(song, model, made.frames, settings, SEARCH)):
            continue
        beyond = sum(len(exceeded(seam)) for seam in made.seams if (seam.leave, seam.enter) not in known)
        found.append((beyond, made))
        if not beyond:
            break
    if found:
        return min(found, key=lambda pair: pair[0])[1]
    if lock or replaced:
        numbers = ", ".join(str(number) for number in sorted({*(lock or ()), *replaced}))
        raise DurationError(
            f"no way through the song takes the jumps that shall be there (seams {numbers} of the plan), ends on time "
            "and meets each hit: lock or take fewer, or others"
        )
    return plan_song(song, model, **work)


def _asked_seconds(plan: Plan) -> float | None:
    """The duration that a plan is for: what was asked for, or was found near that; None for the song's own loop."""
    asked = plan.settings.requested_seconds
    return (
        asked if plan.closing and asked is None else plan.seconds if plan.settings.nearest or asked is None else asked
    )


def seam_of(plan: Plan, number: int) -> Seam:
    """A seam of a plan by its number, from 1; raises MusexError if there is none."""
    if not 1 <= number <= len(plan.seams):
        raise MusexError(f"there is no seam {number}: the plan has {format_count(len(plan.seams), 'seam')}")
    return plan.seams[number - 1]


def _forbidden(plan: Plan, request: Request) -> set[int]:
    """The numbers of seams whose jumps a request forbids."""
    found = set()
    for number, seam in enumerate(plan.seams, start=1):
        leave, enter = (np.array(place / request.rate) for place in (seam.leave, seam.enter))
        if any(request.is_near(ends, leave, enter).all() for ends in request.settings.forbid):
            found.add(number)
    return found


def _kept_seams(
    plan: Plan, lock: Collection[int] | None, gone: Collection[int], *, last: int
) -> Iterator[dict[int, Seam]]:
    """Which seams stay, by number: all that shall and come before sample `last`; then fewer around what is gone."""
    seams = dict(enumerate(plan.seams, start=1))
    if lock is not None:
        yield {number: seams[number] for number in lock}
        return
    kept = {number: seam for number, seam in seams.items() if number not in gone and seam.at <= last}
    yield dict(kept)
    around = gone or {len(kept) + 1}
    for before, after in WIDENED:
        kept = {
            number: seam for number, seam in kept.items() if not any(-before <= number - one <= after for one in around)
        }
        yield dict(kept)


def lay_goals(plan: Plan, kept: Mapping[int, Seam], *, room: int, ended: bool) -> tuple[Goal, ...]:
    """The goals by which a path takes the seams that stay, and plays what lies between neighbours among them as it is.

    Args:
        plan: whose seams they are, or in whose seams' place they come.
        kept: seams by the numbers of the plan's, from 1; the closing one of a loop is none of them.
        room: samples played before a seam that stays where something is planned anew before it.
        ended: whether what comes after the last seam stays, too.
    """
    goals, run = list[Goal](), Goal(plan.spans[0].start, 0)
    growing = True  # whether what comes next stays as well
    between = plan.seams[: len(plan.spans) - 1]
    for number, own in enumerate(between, start=1):
        seam = kept.get(number)
        if seam is None:
            goals, growing = [*goals, run] if growing else goals, False
            continue
        if growing:
            run = replace(run, seams=(*run.seams, seam))
        else:
            place = max(0, seam.leave - room - seam.fade // 2)
            run, growing = Goal(place, own.at + place - own.leave, (seam,)), True
        slip = (seam.enter - seam.leave) - (own.enter - own.leave)
        if abs(slip) > SLIP_SECONDS * plan.song.sample_rate:
            goals, growing = [*goals, run], False
    if growing:
        last = replace(run, hold=plan.spans[-1].stop - run.stop, last=True) if ended else run
        goals.append(last)
    return tuple(goals)


def find_alternatives(
    song: Song, model: ModelLike, plan: Plan, number: int, *, count: int = 10
) -> tuple[Alternative, ...]:
    """Other jumps in place of one: up to six after which all else stays as it is, then others, the best of each first.

    A longer list begins as a shorter one does.

    Args:
        song: the plan's.
        model: its heads judge jumps and seams.
        plan: the plan.
        number: of the seam, from 1.
        count: alternatives at most.

    Raises:
        MusexError: there is no such seam, or it closes a loop.
    """
    plan, shift = without_intro(plan), plan.frames - without_intro(plan).frames
    own, rate = seam_of(plan, number), song.sample_rate
    if plan.loops and number == len(plan.seams):
        raise MusexError(f"seam {number} closes the loop: others are other loops, which `musex loops` lists")
    kept = {one: seam for one, seam in enumerate(plan.seams, start=1) if one != number}
    goals = lay_goals(plan, kept, room=round(ROOM_SECONDS * rate), ended=True)
    before, after = [one for one in goals if one.at <= own.at], [one for one in goals if one.at > own.at]
    settings = Settings(**Edit(plan).settings)
    target, weights = round((_asked_seconds(plan) or plan.seconds) * rate), SEARCH.at(settings.novelty)
    request = Request(song, model, target, settings, weights, goals=goals, closing=plan.closing)
    past = Chain(request).follow_goals(before)
    assert past is not None  # the output's beginning is a goal
    found, left = list[Alternative](), list[tuple[bool, Iterator[tuple[Seam, float]]]]()
    for goal in (after[0] if after else None, None):
        course = next(courses(request, Leg(past.position, past.played, goal)), None)
        if course is not None:
            options = Path(course, past).options(own.leave, AROUND_SECONDS)
            left.append((goal is not None or not after, options))
    limits = (*FIRST, *(count for _ in left))  # of what is found after each turn: no longer list begins otherwise
    for limit, (keeps, options) in zip(limits, itertools.cycle(left), strict=False):
        while len(found) < min(limit, count) and (option := next(options, None)):
            seam, cost = option
            if not any(_same(seam, one, request) for one in (own, *(other.seam for other in found))):
                found.append(Alternative(seam, round(cost, 3), keeps=keeps))
    return tuple(replace(one, seam=replace(one.seam, at=one.seam.at + shift)) for one in found)


def _same(one: Seam, other: Seam, request: Request) -> bool:
    """Whether two jumps are no choice between them."""
    apart = abs(one.leave - other.leave) / request.rate
    return apart <= AROUND_STEPS and abs((one.enter - one.leave) - (other.enter - other.leave)) / request.rate < 1.0


def move_seam(song: Song, model: ModelLike, plan: Plan, number: int, *, seconds: float) -> Seam:
    """The same jump of a plan, taken later in the song by so many seconds (negative: earlier), as it would sound.

    Raises MusexError if there is no such seam, or no room for it there.
    """
    own, rate = seam_of(plan, number), song.sample_rate
    span, following = plan.spans[number - 1], plan.spans[number % len(plan.spans)]
    room, shift = round(ROOM_SECONDS * rate), round(seconds * rate)
    least, most = span.start + room - own.leave, following.stop - room - own.enter
    if not least <= shift <= most:
        between = f"from {least / rate:.1f} to {most / rate:.1f} s"
        raise MusexError(f"seam {number} cannot be moved by {seconds:g} s: there is room {between}")
    finder = Request(song, model, plan.frames, plan.settings, SEARCH).finder
    near = round(SLIP_SECONDS * rate)
    moved = finder.align(own.leave + shift, own.enter + shift, slide=MOVED_SLIDE_SECONDS, lags=(-near, near))
    moved = finder.choose_fade(moved, slide=MOVED_SLIDE_SECONDS)
    seams = list(plan.seams)
    seams[number - 1] = replace(moved, at=own.at + moved.leave - own.leave)
    return measure_plan(replace(plan, seams=tuple(seams)), song, model).seams[number - 1]
