"""A path: one output while it grows, one decision at a time, each jump at once at its exact place.

A decision weighs what the outlook expects, how a seam would sound, what was heard lately and the cost-to-go, which
knows every later jump. What is fixed meanwhile is the course's.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from musex.config import FEATURES
from musex.planning.arc import Arc
from musex.planning.course import SAME_JUMP_STEPS, Course
from musex.planning.outlook import Outlook, look_back
from musex.plans import Part, Seam
from musex.system.arrays import Array

logger = logging.getLogger(__name__)

NEAR_LAG = 0.45  # steps by which a jump's lag may change for its debt to stay at the same row of the cost-to-go


class Path:
    """What an output plays, as far as it is decided, and what that makes of the next decision.

    Positions are in samples of the song unless they say steps.
    """

    def __init__(self, course: Course, past: "Path | None" = None) -> None:
        """Begin at the course's start, following the moods that its settings ask for; or go on from a `past`."""
        request = course.request
        self.course, self.request, self.rate = course, request, request.rate
        self.position = course.start
        self.played: int = past.played if past else 0
        self.clean = True  # nothing avoided was heard
        self.jumped = False  # on this course
        self.seams: list[Seam] = []
        self.aligned: dict[tuple[int, int], Seam] = {}
        self.heat = np.zeros(request.analysis.steps)  # how lately and how often each step was heard
        self.context = np.zeros(0, np.int64)  # the steps played last, which the model hears
        self.uses = np.zeros(course.costs.shape, np.int16)
        self.last_used = np.zeros(course.costs.shape, bool)
        self.seam_costs = course.seam_costs.copy()
        if past:
            self.heat, self.context = past.heat.copy(), past.context
            for seam in past.seams:
                self._remember(seam)
        self.weights, self.costs = request.weights_for(request.settings.moods), course.costs
        self.urge = request.weights.urge
        self.wish(request.settings.moods)

    def wish(self, points: tuple[tuple[float, str], ...]) -> None:
        """Follow moods from now on, as (seconds of the output, mood) in order; none to follow no mood."""
        weights = self.request.weights_for(points)
        if weights != self.weights:
            self.weights = weights
            self.costs = self.course.price(weights)
        costs, weight = self.costs + self.seam_costs, weights.mood if len(points) > 1 else weights.steady_mood
        moods, gap = self.request.analysis.moods if points else None, self.course.limits.gap
        self.arc = Arc(points, moods, self.course.jumps, costs, gap=gap, weight=weight) if moods is not None else None
        self.to_come = np.zeros(self.request.analysis.steps)  # what a mood asked for costs after each step

    @property
    def here(self) -> int:
        """The step of the song that is played next."""
        return self.request.step(self.position)

    @property
    def debt(self) -> int:
        """Samples to be played more than the song still has."""
        return self.course.debt(self.played, self.position)

    @property
    def left(self) -> int:
        """Samples still to be played: to the song's end if that is on time, else to the duration."""
        course = self.course
        if course.own_ending and course.on_time(self.debt) and course.plays_out(self.position / self.rate):
            return course.stop - self.position
        return course.target - self.played

    @property
    def astray(self) -> bool:
        """Whether it has come where it may not be: past its end, or through what is avoided."""
        return self.position > self.course.end or not self.clean

    @property
    def arrived(self) -> bool:
        """Whether it ends where it should, once it is as long as asked."""
        return not self.astray and (not self.course.own_ending or self.position == self.course.stop)

    def unwanted(self) -> Array:
        """What it costs to hear each step for a horizon from now on: what was heard lately, or is of another mood."""
        weights = self.weights
        costs = weights.heard * self.heat + weights.heard_again * np.maximum(self.heat - 0.5, 0.0)
        if self.arc:
            seconds = self.played / self.request.song.sample_rate
            self.to_come = self.arc.to_come(seconds)
            costs = costs + self.arc.unlike(seconds)
        return costs

    def follow(self, outlook: Outlook) -> list[Part]:
        """Go on to the outlook's horizon: jump after jump, each as soon as it is worth more than to stay."""
        parts, time = [], 0
        while time < outlook.horizon and (seam := self.choose(outlook, time)):
            time += max(1, round((seam.leave - self.position) / self.rate))
            parts.append(self.jump(seam))
        if time < outlook.horizon:
            parts.append(self.play_on(min(self.left, round((outlook.horizon - time) * self.rate))))
        return parts

    def play_on(self, frames: int) -> Part:
        """Play so many samples without a cut, and remember them."""
        request, begin = self.request, self.position
        start, stop = self.here, request.step(begin + frames)
        self.clean &= bool(self.course.material.clear(begin / self.rate, (begin + frames) / self.rate))
        self.heat *= math.exp(-frames / (self.weights.heard_seconds * request.song.sample_rate))
        self.heat[start:stop] += 1.0
        self.context = np.concatenate([self.context, np.arange(start, stop)])[-request.model.config.context_steps :]
        self.position += frames
        self.played += frames
        return Part(begin, self.position)

    def jump(self, seam: Seam) -> Part:
        """Play on to a seam and go on after it."""
        part = self.play_on(seam.leave - self.position)
        self.jumped = True
        self.position = seam.enter
        seam = replace(seam, at=self.played)
        self._remember(seam)
        leave, enter, at = (place / self.request.song.sample_rate for place in (seam.leave, seam.enter, seam.at))
        logger.info(f"at {at:.1f} s: from {leave:.1f} s on to {enter:.1f} s, correlation {seam.correlation:.2f}")
        return replace(part, seam=seam)

    def _remember(self, seam: Seam) -> None:
        """Count a jump and those beside it as used."""
        rows, same = self.request.beside(seam, self.course.jumps)
        self.uses[rows] += same
        self.last_used[:] = False
        self.last_used[rows] = same
        self.seams.append(seam)

    def choose(self, outlook: Outlook, time: int) -> Seam | None:
        """The next jump within this horizon, aligned, or None to stay until its end."""
        leaves = self._leaves(outlook, time)
        if not len(leaves):
            return None
        costs, after = self._weigh(outlook, time, leaves)
        return self._best_aligned(leaves, costs, after, self._staying(outlook, time))

    def options(self, leave: int, seconds: float) -> Iterator[tuple[Seam, float]]:
        """The jumps that may be taken within so many seconds of a place, aligned, with their costs; about best first.

        Costs are those of the jump, of its seam and of what it leads to. No two jumps lie beside each other.
        """
        course, near = self.course, seconds * FEATURES.steps_per_second
        horizon = max(1, min(round(leave / self.rate + near), self.request.analysis.steps) - self.here)
        outlook = look_back(self.unwanted(), horizon)
        leaves = self._leaves(outlook, 0)
        leaves = leaves[np.abs(leaves - leave / self.rate) <= near]
        if not len(leaves):
            return
        costs, after = self._weigh(outlook, 0, leaves)
        first, partners = int(leaves[0]), costs.shape[1]
        total = (costs + after + self.seam_costs[first : first + len(leaves)]).ravel()
        while np.isfinite(total[place := int(np.argmin(total))]):
            row, partner = divmod(place, partners)
            distances = course.jumps.distances[first : first + len(leaves)]
            beside = np.abs(distances - distances[row, partner]) <= SAME_JUMP_STEPS
            beside &= np.abs(leaves - first - row)[:, None] <= self.weights.beside_steps
            total[beside.ravel()] = np.inf
            seam = self._realise(first + row, partner)
            if seam is not None:
                seam = self.request.finder.choose_fade(seam, slide=course.limits.slide)
                price = self.request.finder.price(seam) + self._value_after(seam)
                yield replace(seam, at=self.played + seam.leave - self.position), float(costs[row, partner]) + price

    def is_tempted(self, outlook: Outlook) -> bool:
        """Whether any jump within this horizon would be cheaper than to stay, if nothing else spoke against it.

        What a prediction says can only make jumps dearer, so it changes nothing where nothing tempts.
        """
        leaves = self._leaves(outlook, 0)
        if not len(leaves):
            return False
        costs, after = self._weigh(outlook, 0, leaves)
        total = costs + after + self.seam_costs[leaves[0] : leaves[-1] + 1]
        return bool(total.min() < self._staying(outlook, 0))

    def promising(self, outlook: Outlook, most: int) -> Array:
        """`most` steps of the song, in order, around where the cheapest jumps of this horizon go on: int64 (most,).

        Around each lie what a prediction compares with what was played, and what it may play on.
        """
        leaves, config = self._leaves(outlook, 0), self.request.model.config
        costs, after = self._weigh(outlook, 0, leaves)
        total = costs + after + self.seam_costs[leaves[0] : leaves[-1] + 1]
        targets = self.course.jumps.targets[leaves[0] : leaves[-1] + 1].ravel()[np.argsort(total, axis=None)]
        around = targets[:, None] + np.arange(-config.context_steps, config.horizon_steps)
        around = np.clip(around, 0, self.request.analysis.steps - 1).ravel()
        places, firsts = np.unique(around, return_index=True)
        return np.sort(places[np.argsort(firsts)[:most]])

    def _leaves(self, outlook: Outlook, time: int) -> Array:
        """The steps before which a jump may leave within this horizon."""
        course, here = self.course, self.here
        limits, material = course.limits, course.material
        ahead = outlook.horizon - time + limits.drift
        before = self.seams[-1] if self.seams else course.closing
        ready = math.ceil(before.enter / self.rate) + limits.gap if before else 0
        first = max(ready, here + limits.drift, limits.first_leave)
        if not self.seams:
            first = max(first, round(self.weights.first_jump_seconds * FEATURES.steps_per_second))
        last = min(here + ahead - 1, limits.last, self.request.analysis.steps - 1, material.next_avoided(here))
        if not course.own_ending:
            last = min(last, here + int((course.target - self.played) / self.rate) - limits.gap)
        if not self.jumped and course.on_time(self.debt) and course.plays_out(here):
            last = first - 1
        return np.arange(first, last + 1)

    def _staying(self, outlook: Outlook, time: int) -> float:
        """What it costs to play on until the horizon's end, and to go on from there."""
        course, here, steps = self.course, self.here, self.request.analysis.steps
        stop = here + outlook.horizon - time
        beyond, furthest = stop + course.limits.drift, steps
        if course.own_ending and course.on_time(self.debt) and course.plays_out(here):
            furthest = self.request.step(course.stop)
        stay = float(outlook.playing(time, here, outlook.horizon) + course.value(self.debt, min(beyond, furthest)))
        stay += float(self.to_come[min(stop, steps - 1)])
        end = here + math.ceil((course.target - self.played) / self.rate)
        clear = course.material.clear(here, min(beyond + course.to_go.cell_steps, end))
        return stay if clear else math.inf

    def _weigh(self, outlook: Outlook, time: int, leaves: Array) -> tuple[Array, Array]:
        """Cost of each jump from `leaves` without its seam, and the cost to go after it: both (leaves, partners)."""
        course, weights, here = self.course, self.weights, self.here
        rows = slice(int(leaves[0]), int(leaves[-1]) + 1)
        targets = course.jumps.targets[rows]
        times = np.minimum(time + leaves - here, outlook.horizon)
        costs = self.costs[rows] + outlook.playing(times[:, None], targets, outlook.horizon)
        costs = costs + outlook.playing(time, np.full(len(leaves), here), times)[:, None]
        costs += outlook.beyond(targets, times[:, None], here, time)
        costs += self.to_come[np.minimum(targets + outlook.horizon - times[:, None], self.request.analysis.steps - 1)]
        costs += weights.reuse * self.uses[rows] - self.urge
        costs += weights.forbidden * ((self.uses[rows] >= weights.most_uses) | self.last_used[rows])
        if self.seams:
            since = (leaves - self.seams[-1].enter / self.rate) / FEATURES.steps_per_second
            costs += weights.soon * np.maximum(0.0, 1.0 - since / weights.soon_seconds)[:, None]
        debts = self.debt - course.jumps.distances[rows] * self.rate
        after = course.value(debts, targets + course.limits.gap + course.limits.drift)
        if course.own_ending:  # the lag may take up the rest
            ends = course.on_time(debts, self.rate) & course.plays_out(targets)
            after = np.where(ends, weights.off_time * np.abs(debts) / self.request.song.sample_rate, after)
        return costs, after

    def _best_aligned(self, leaves: Array, costs: Array, after: Array, stay: float) -> Seam | None:
        """Align the most promising jumps until the best one is aligned; None if staying is cheaper."""
        first, partners, finder = int(leaves[0]), costs.shape[1], self.request.finder
        total = (costs + after + self.seam_costs[first : first + len(leaves)]).ravel()
        done: dict[int, Seam] = {}
        for _ in range(self.weights.alignments + 4 * self.weights.alignments * (not math.isfinite(stay))):
            best = int(np.argmin(total))
            if total[best] >= stay or best in done or not np.isfinite(total[best]):
                break
            row, partner = divmod(best, partners)
            seam = self._realise(first + row, partner)
            total[best] = np.inf
            if seam is not None:
                total[best] = float(costs[row, partner]) + finder.price(seam) + self._value_after(seam)
                done[best] = seam
        if not done:
            return None
        best = min(done, key=lambda place: float(total[place]))
        if total[best] >= stay:
            return None
        before = done[best].leave - self.position - self._half_before
        return finder.choose_fade(done[best], slide=self.course.limits.slide, before=before)

    @property
    def _half_before(self) -> int:
        """Samples that the crossfade before reaches on from where it enters."""
        return self.seams[-1].fade // 2 if self.seams else 0

    def _debt_after(self, seam: Seam) -> int:
        return self.debt + seam.enter - seam.leave

    def _value_after(self, seam: Seam) -> float:
        """The cost-to-go after a seam."""
        ready = math.ceil(seam.enter / self.rate) + self.course.limits.gap
        return float(self.course.value(self._debt_after(seam), ready))

    def _realise(self, leave: int, partner: int) -> Seam | None:
        """The seam of a jump on the waveform; with a lag that keeps the duration if the free one would not."""
        seam = self.aligned.get((leave, partner))
        if seam is None:
            seam = self.aligned[leave, partner] = self.course.align(leave, partner)
            self.seam_costs[leave, partner] = self.request.finder.price(seam)
        if self.course.own_ending:
            distance = int(self.course.jumps.distances[leave, partner])
            aims_at_end = self._aims_at_end(seam, distance)
            if not np.isfinite(self._value_after(seam)) or (
                aims_at_end and not self.course.on_time(self._debt_after(seam))
            ):
                lags = self._lags_on_time(leave, distance, aims_at_end=aims_at_end)
                if lags is None:
                    return None
                seam = self.course.align(leave, partner, lags)
        halves = seam.fade // 2 + self._half_before
        return seam if seam.leave - self.position >= halves else None

    def _aims_at_end(self, seam: Seam, distance: int) -> bool:
        """Whether the song may play out after a jump back by so many steps, as far as steps can tell."""
        on_time = self.course.on_time(self.debt - distance * self.rate, self.rate)
        return bool(on_time) and bool(self.course.plays_out(seam.enter / self.rate))

    def _lags_on_time(self, leave: int, distance: int, *, aims_at_end: bool) -> tuple[int, int] | None:
        """Least and greatest change of a jump's lag, in samples, that keep the duration; None if there are none."""
        if aims_at_end:
            low, high = 2 - self.course.late, self.course.early - 2
        else:
            row = round(self.debt / self.rate) - distance
            low, high = (row - NEAR_LAG) * self.rate, (row + NEAR_LAG) * self.rate
        offset = self.debt + round((leave - distance) * self.rate) - round(leave * self.rate)
        low, high = max(low - offset, -self.rate), min(high - offset, self.rate)
        return (math.ceil(low), math.floor(high)) if low < high else None
