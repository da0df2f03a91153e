"""What is wished for by hand: hit points, stretches that must be heard, jumps that are required."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from musex.analysis.form import smooth
from musex.analysis.song_analysis import Analysis
from musex.config import FEATURES
from musex.errors import DurationError, MusexError
from musex.planning.course import Course, Request, lay_course, lay_courses
from musex.planning.goals import HIT_TOLERANCE_SECONDS, UNFIXED, Goal, Leg
from musex.planning.jumps import Jumps
from musex.planning.transitions import judge_jumps
from musex.plans import Plan, Seam
from musex.settings import JumpEnds
from musex.system.wording import format_time

HIT_SECONDS = 2.0  # that are played after a hit before anything jumps, by choice
CLIMAX_STEPS = 80  # of music that together are louder and livelier than any others; by choice
ENTRY_STEPS = 40  # around where those begin, within which a climax begins with something new
ROOM_SECONDS = 1.0  # played before and after a jump that is required, by choice
ALIGNED = 12  # jumps, the most promising, that are aligned where one is required


def find_climax(analysis: Analysis) -> int:
    """The step with which the song's climax begins: where its loudest and liveliest 8 s are entered."""
    arousal = smooth(analysis.moods[:, 0], min(CLIMAX_STEPS, analysis.steps))
    start = max(0, int(np.argmax(arousal)) - CLIMAX_STEPS // 2)
    first = max(0, start - ENTRY_STEPS)
    return first + int(np.argmax(analysis.beginnings[first : start + ENTRY_STEPS]))


def place_hits(request: Request) -> tuple[Goal, ...]:
    """The hit points as goals; raises MusexError where song or output have no such place."""
    rate, hits, seconds = request.song.sample_rate, request.settings.hits, request.song.seconds
    times = [*(time for _, time in hits), request.target / rate]
    goals = []
    for (named, time), until in zip(hits, times[1:], strict=True):
        place = find_climax(request.analysis) / FEATURES.steps_per_second if isinstance(named, str) else named
        if place >= seconds:
            raise MusexError(f"the song has nothing at {place:g} s that could be hit: it lasts {seconds:.1f} s")
        if time >= until:
            raise MusexError(f"a hit at {time:g} s lies beyond the output, which lasts {until:g} s")
        hold = min(HIT_SECONDS, until - time, seconds - place)
        goals.append(Goal(round(place * rate), round(time * rate), hold=int(hold * rate)))
    return tuple(goals)


def meets_hits(plan: Plan, request: Request) -> bool:
    """Whether each hit point of a request is heard on time in a plan."""
    hits = place_hits(request)
    heard = plan.places(np.array([hit.at for hit in hits], dtype=np.int64))
    tolerance = HIT_TOLERANCE_SECONDS * request.song.sample_rate
    return all(abs(int(place) - hit.place) <= tolerance for place, hit in zip(heard, hits, strict=True))


def find_unmet(plan: Plan, request: Request) -> Goal | None:
    """The first thing wished for that is not in a plan, as a goal without a time; None if all is.

    Raises MusexError where the song has nothing like it.
    """
    rate, frames = request.song.sample_rate, request.song.frames
    for start, stop in request.settings.must:
        first, last = round(start * rate), min(round(stop * rate), frames)
        if first >= frames:
            raise MusexError(f"nothing at {start:g} s can be heard: the song lasts {request.song.seconds:.1f} s")
        if not any(span.start <= first and last <= span.stop for span in plan.spans):
            return Goal(first, 0, hold=last - first)
    for ends in request.settings.require:
        places = [np.array([place / request.rate]) for seam in plan.seams for place in (seam.leave, seam.enter)]
        taken = zip(places[::2], places[1::2], strict=True)
        if not any(request.is_near(ends, leave, enter).all() for leave, enter in taken):
            return _lead_to(find_required(request, ends), request)
    return None


def _lead_to(seam: Seam, request: Request) -> Goal:
    """The goal of taking a seam, with some music before and after it."""
    room = round(ROOM_SECONDS * request.song.sample_rate) + seam.fade
    return Goal(max(0, seam.leave - room), 0, (seam,), hold=min(room, request.song.frames - seam.enter))


def find_required(request: Request, ends: JumpEnds) -> Seam:
    """The best jump that leaves and enters within a bar of where it shall, seconds of the song.

    Raises MusexError if the song has none there.
    """
    for course in lay_courses(request, UNFIXED):
        for laid in (course, *([_beside(course, ends)] if None not in ends else [])):
            jumps, costs = laid.jumps, laid.costs + laid.voice_costs
            near = request.is_near(ends, np.arange(jumps.steps)[:, None], jumps.targets) & np.isfinite(costs)
            if near.any():
                places = np.argsort(np.where(near, costs, np.inf), axis=None)[: min(ALIGNED, int(near.sum()))]
                seams = [laid.align(*divmod(int(place), jumps.targets.shape[1])) for place in places]
                best = min(seams, key=request.finder.price)
                return request.finder.choose_fade(best, slide=laid.limits.slide)
    told = " to ".join("anywhere" if end is None else format_time(end) for end in ends)
    none = "none there that is not forbidden" if request.settings.forbid else "none there"
    raise MusexError(f"no jump from {told} can be required: the song has {none}; choose other places")


def _beside(course: Course, ends: JumpEnds) -> Course:
    """The same course with all jumps that lead from the one place to the other, within a bar, and no others."""
    request, per_second = course.request, FEATURES.steps_per_second
    leave, enter = (round((end or 0.0) * per_second) for end in ends)
    steps, around = request.analysis.steps, np.arange(-request.bar_steps, request.bar_steps + 1)
    targets = np.clip(np.arange(steps)[:, None] + enter - leave + around, 0, steps - 1)
    near = request.is_near(ends, np.arange(steps)[:, None], targets)
    near &= course.material.allows(np.arange(steps)[:, None], targets, course.limits)
    near &= (targets >= course.limits.first_enter) & (targets <= course.limits.last)
    near[: course.limits.first_leave] = near[course.limits.last + 1 :] = False
    jumps = Jumps(targets, np.where(near, 1.0, np.inf).astype(np.float32), (0, targets.shape[1], 0))
    head = request.model.transition_head
    if head is not None and near.any():
        odds, sub_lags = judge_jumps(request.analysis, head, targets, near)
        jumps = replace(jumps, odds=odds, sub_lags=sub_lags)
    return replace(course, jumps=jumps, costs=course.price(request.weights, jumps))


def place_goal(request: Request, wanted: Goal) -> tuple[Goal, ...]:
    """The request's goals with one more, at the time at which it costs least.

    Raises DurationError if there is no time for it.
    """
    found = [best for number in range(len(request.goals) + 1) if (best := _best_time(request, number, wanted))]
    if not found:
        first, last = (format_time(place / request.song.sample_rate) for place in (wanted.place, wanted.stop))
        what = f"jump from {first}" if wanted.seams else f"stretch from {first} to {last}"
        raise DurationError(f"the {what} finds no time in the output: ask for another duration, or for less")
    _, number, at = min(found)
    return *request.goals[:number], replace(wanted, at=at), *request.goals[number:]


def _best_time(request: Request, number: int, wanted: Goal) -> tuple[float, int, int] | None:
    """The least cost of a goal between two others, before goal `number`, with that number and its time."""
    before = request.goals[number - 1] if number else None
    after = request.goals[number] if number < len(request.goals) else None
    if before and before.last:
        return None
    leg = Leg(before.stop, before.until) if before else UNFIXED
    latest = (after.at if after else request.target) - (wanted.until - wanted.at)
    times = np.arange(leg.played, latest, request.rate)  # samples of the output
    if not len(times):
        return None
    for lead_in, lead_out in _both(request, leg, replace(wanted, at=latest), after):
        place, stop = request.step(lead_in.start), request.step(lead_out.start)
        costs = lead_in.value(lead_in.debt(leg.played, lead_in.start) - (latest - times), place)
        ends = times + (wanted.until - wanted.at)
        costs = costs + lead_out.value(lead_out.target - ends - (lead_out.stop - lead_out.start), stop)
        if np.isfinite(costs).any():
            best = int(np.argmin(costs))
            return float(costs[best]), number, int(times[best])
    return None


def _both(request: Request, leg: Leg, wanted: Goal, after: Goal | None) -> Iterator[tuple[Course, Course]]:
    """The courses to a goal and on from it, by limits from strict to loose; sized for every time before it."""
    for lead_in in lay_courses(request, replace(leg, goal=wanted)):
        earliest = Leg(wanted.stop, leg.played, after)
        yield lead_in, lay_course(request, lead_in.material, lead_in.limits, earliest)
