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

from musex.errors import DurationError
from musex.planning.course import Course, Request, courses
from musex.planning.outlook import Outlook, look_ahead, look_back
from musex.planning.path import Path
from musex.plans import Beginning, Part, Seam

APART_STEPS = 150  # around what is being played, which the pointer does not see: as in its training


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
        song = self.request.song
        if self.request.as_it_is:
            yield Beginning(0, song.frames), Part(0, song.frames)
            return
        for course in courses(self.request, shunned):
            path = self.path = Path(course)
            self.predictions = 0
            yield (Beginning(course.start, course.stop),)
            while path.left > 0:
                parts = path.follow(self._look(path))
                if path.astray:
                    break
                yield parts
            if path.arrived:
                yield _close(course, path.played)
                return
        raise unreachable(self.request)

    def _look(self, path: Path) -> Outlook:
        """What may come next: as a prediction says where a jump tempts at all, else as the past does alone."""
        horizon = min(self.longest, math.ceil(path.left / path.rate))
        unwanted = path.unwanted()
        outlook = look_back(unwanted, horizon)
        if not path.is_tempted(outlook):
            return outlook
        pointer = self.model.predict(self._memory, path.context, apart=APART_STEPS).pointer[:horizon]
        self.predictions += 1
        weights = path.weights
        return look_ahead(pointer, unwanted, here=path.here, weight=weights.pointer, cap=weights.pointer_cap)

    @cached_property
    def _memory(self) -> Any:
        """The whole song, as the model remembers it."""
        return self.model.listen(self.request.analysis.features)


def _close(course: Course, played: int) -> tuple[Part, ...]:
    """What ends a loop: the seam from its end to its beginning; nothing for other outputs."""
    return (Part(course.stop, course.stop, replace(course.closing, at=played)),) if course.closing else ()


def unreachable(request: Request) -> DurationError:
    """Why a song cannot be played in a duration."""
    length, target = (frames / request.song.sample_rate for frames in (request.song.frames, request.target))
    cannot = f"this song of {length:.1f} s cannot be played in {target:.1f} s"
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
