"""Predict, choose, play, predict again: the chain that decides what an output of a requested duration plays.

A song is analysed once. Its material is what may be heard of it; its limits say how jumps may be taken, from strict to
loose. Among its jumps the cost-to-go knows which still end on time: together they are a course. A prediction from the
last 20 s that were played, and the past, give an outlook on the next 10. A path chooses the next jump from these; a
seam is that jump on the waveform, at its exact place at once, so that the rest is decided from exact samples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from musex.config import LONG_STEPS
from musex.errors import DurationError
from musex.planning.course import Request, courses, lay_courses
from musex.planning.goals import Goal, Leg
from musex.planning.outlook import Outlook, look_ahead, look_back
from musex.planning.path import Path
from musex.plans import Beginning, Part, Seam
from musex.system.wording import format_time

APART_STEPS = 150  # around what is being played, which the pointer does not see: as in its training
SHOWN_STEPS = 2048  # of a long song, at each prediction; one of 30 min kept its seams (examples/measured.md, "Growth")


class Chain:
    """Predictions made one after another, each after what the path played of those before."""

    def __init__(self, request: Request, *, longest: int | None = None) -> None:
        """Begin a chain whose predictions are used for at most `longest` steps each; without it the whole horizon."""
        self.request, self.model = request, request.model
        horizon = request.model.config.horizon_steps
        self.longest = min(longest or horizon, horizon)
        self.predictions = 0  # made for the path that is growing
        self.path: Path | None = None  # the one that is growing, which wishes may steer

    def parts(self, *, shunned: Sequence[Seam] = ()) -> Iterator[Beginning | Part]:
        """What is decided, as soon as it is; a beginning voids what came before it.

        Seams that are `shunned` are left aside where there are others. Raises DurationError if no path arrives.
        """
        for decided in self.horizons(shunned=shunned):
            yield from decided

    def horizons(self, *, shunned: Sequence[Seam] = ()) -> Iterator[Sequence[Beginning | Part]]:
        """The same parts, those of each horizon together: after each, a path may be steered."""
        song, past = self.request.song, None
        if self.request.as_it_is:
            yield Beginning(0, song.frames), Part(0, song.frames)
            return
        self.predictions = 0
        for goal in self.request.goals:
            begun = () if past else (Beginning(self._start(goal), self.request.stop),)
            past, parts = self._reach(goal, past, shunned)
            yield *begun, *parts
            if goal.last:
                yield _closing(self.request.closing, past.played)
                return
        for course in courses(self.request, _leg(past), shunned):
            path = self.path = Path(course, past)
            if past is None:
                self.predictions = 0
                yield (Beginning(course.start, course.stop),)
            kept: list[Beginning | Part] = []
            while path.left > 0:
                parts = path.follow(self._look(path))
                if path.astray:
                    break
                if past is None:
                    yield parts
                else:  # another course may have to go on from there
                    kept += parts
            if path.arrived:
                yield *kept, *_closing(course.closing, path.played)
                return
        raise unreachable(self.request)

    def follow_goals(self, goals: Sequence[Goal]) -> Path | None:
        """The path that has reached goals one after another; None without any."""
        past = None
        for goal in goals:
            past, _ = self._reach(goal, past, ())
        return past

    def _start(self, goal: Goal) -> int:
        """The sample of the song with which an output begins that has a first goal."""
        return goal.place if goal.at == 0 else self.request.sample(self.request.material.start)

    def _reach(self, goal: Goal, past: Path | None, shunned: Sequence[Seam]) -> tuple[Path, list[Part]]:
        """What leads to a goal and is fixed from there on, as a path that has played it, and its parts."""
        made, leg = self.predictions, replace(_leg(past), goal=goal)
        if past is None:
            leg = replace(leg, start=self._start(goal))
        for course in courses(self.request, leg, shunned):
            path, parts = Path(course, past), list[Part]()
            self.path, self.predictions = path, made
            while path.left > 0 and not path.astray:
                parts += path.follow(self._look(path))
            if path.arrived:
                parts += [path.jump(seam) for seam in goal.seams]
                return path, [*parts, path.play_on(goal.hold)]
        raise unreachable_goal(self.request, leg, goal)

    def _look(self, path: Path) -> Outlook:
        """What may come next: as a prediction says where a jump tempts at all, else as the past does alone."""
        horizon = min(self.longest, math.ceil(path.left / path.rate))
        unwanted = path.unwanted()
        outlook = look_back(unwanted, horizon)
        if not path.is_tempted(outlook):
            return outlook
        shown = path.promising(outlook, SHOWN_STEPS) if self.request.analysis.steps > LONG_STEPS else None
        starts = self.model.predict(self._memory, path.context, apart=APART_STEPS, shown=shown).starts
        self.predictions += 1
        weights = path.weights
        costs = {"weight": weights.pointer, "cap": weights.pointer_cap}
        return look_ahead(starts, unwanted, horizon=horizon, here=path.here, **costs)

    @cached_property
    def _memory(self) -> Any:
        """The whole song, as the model remembers it."""
        return self.model.listen(self.request.analysis.features)


def _leg(past: Path | None) -> Leg:
    """What is left to be planned after a path."""
    return Leg(past.position, past.played) if past else Leg()


def _closing(seam: Seam | None, played: int) -> tuple[Part, ...]:
    """What ends a loop: the seam from its end to its beginning; nothing for other outputs."""
    return (Part(seam.leave, seam.leave, replace(seam, at=played)),) if seam else ()


def unreachable(request: Request) -> DurationError:
    """Why a song cannot be played in a duration."""
    length, target = (frames / request.song.sample_rate for frames in (request.song.frames, request.target))
    cannot = f"this song of {length:.1f} s cannot be played in {target:.1f} s"
    if request.settings.forbid:
        return DurationError(
            f"{cannot} without the jumps that are rejected or forbidden; reject or forbid fewer, or ask for another "
            "duration"
        )
    if request.settings.avoid or request.material.keep != (0, request.analysis.steps):
        return DurationError(
            f"{cannot} with only what is kept and not avoided; keep more of it, avoid less, or ask for another duration"
        )
    if request.settings.ending == "loop":
        return DurationError(
            f"this song of {length:.1f} s has no loop of {target:.1f} s; ask for another duration, or for another "
            "ending than loop"
        )
    return DurationError(f"{cannot} with its own start and ending; ask for a longer duration")


def unreachable_goal(request: Request, leg: Leg, goal: Goal) -> DurationError:
    """Why a place of the song cannot be heard at a time of the output, and when it could be."""
    times = []
    for course in lay_courses(request, leg):
        late = np.arange(-course.debt_steps - request.analysis.steps, request.analysis.steps)  # steps
        found = np.isfinite(course.to_go(course.debt_steps + late, np.array(request.step(course.start))))
        times += [goal.at + float(steps) * request.rate for steps in late[found]]
    rate = request.song.sample_rate
    place, at = (format_time(samples / rate) for samples in (goal.place, goal.at))
    cannot = f"{place} of the song cannot be heard at {at} of the output"
    times = [time for time in times if leg.played <= time <= request.target]
    if not times:
        return DurationError(f"{cannot}, nor at any other time there: choose another place, or avoid less")
    nearest = min(times, key=lambda time: abs(time - goal.at)) / rate
    return DurationError(f"{cannot}; the nearest time at which it can be is {format_time(nearest)} ({nearest:.1f} s)")
