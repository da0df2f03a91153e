"""The nearest duration that ends a phrase."""

import numpy as np

from musex.config import FEATURES
from musex.planning.course import BEGINNING, Request, courses
from musex.plans import Plan

NEAREST_SECONDS = 8.0  # by which a duration may be another; four bars at 120 beats a minute, by choice
AWAY = 0.15  # what each second of that costs, where a plain good jump costs about 1; by choice
EARLY_STEPS = 1  # before the next phrase begins, by which its first attack is not heard


def nearest_target(request: Request) -> int:
    """The samples near those asked for in which the song is best played to its own end: whole phrases cost least."""
    around = round(NEAREST_SECONDS * FEATURES.steps_per_second)
    shifts = np.arange(-around, around + 1) * request.rate
    for course in courses(request):
        start = request.step(course.start)
        costs = course.value(course.debt(0, course.start) + shifts, np.full(len(shifts), start))
        costs = costs + AWAY * np.abs(shifts) / request.song.sample_rate
        costs[request.target + shifts <= 0] = np.inf
        return request.target + round(float(shifts[int(np.argmin(costs))]))
    return request.target


def phrase_end(plan: Plan, request: Request) -> int:
    """The sample of an output near the end of what was asked for at which a phrase of the song ends."""
    seconds, rate = FEATURES.steps_per_second, request.song.sample_rate
    steps = np.append(plan.steps(1.0 / seconds), request.analysis.steps)
    times = np.arange(1, len(steps))
    begins = request.analysis.beginnings[np.minimum(steps[1:], request.analysis.steps - 1)]
    begins = np.where(steps[1:] == steps[:-1] + 1, begins, 0.0)  # where nothing jumps
    away = np.abs(times - request.target / request.rate) / seconds
    worth = np.where((begins >= BEGINNING) & (away <= NEAREST_SECONDS), begins - AWAY * away / 4.0, -np.inf)
    best = int(np.argmax(worth))
    return round((times[best] - EARLY_STEPS * 0.5) * rate / seconds) if np.isfinite(worth[best]) else request.target
