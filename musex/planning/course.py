"""A course: the limits a path keeps to, the jumps it may take, and what it costs to end on time from anywhere."""

import logging
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.song import Song
from musex.config import FEATURES, PointerConfig
from musex.planning.cost_to_go import CostToGo
from musex.planning.goals import UNFIXED, Goal, Leg
from musex.planning.jumps import Jumps, find_jumps
from musex.planning.loops import between, find_closings
from musex.planning.material import (
    Limits,
    Material,
    Region,
    find_material,
    find_region,
    find_silences,
    limits_ladder,
    quiet_tail,
)
from musex.planning.transitions import judge_jumps
from musex.planning.weights import SearchConfig, expect_seams, weigh_jumps
from musex.plans import Plan, Seam
from musex.prediction.beat_network import BeatNetwork
from musex.prediction.join_head import JoinHead
from musex.prediction.singing_network import SingingNetwork
from musex.prediction.transition_head import TransitionHead
from musex.seams.finder import SeamFinder
from musex.seams.voice import Voice
from musex.separation.singing import hear_voice
from musex.settings import JumpEnds, Settings
from musex.system.arrays import Array

logger = logging.getLogger(__name__)
T = TypeVar("T")

BEGINNING = 0.2  # how much of one a step must be for a seam to keep to it
LEAST_PULSE = 0.1  # periodicity of the song's attacks below which nobody can tell whether a seam keeps beat and bar
LAG_SLACK = 0.04  # seconds around the lag that the attacks agree on, within which a seam is aligned
MOST_DRIFT = 6  # steps: the drift of the strictest limits, whose cuts may move most
UNKNOWN_BAR_SECONDS = 2.0  # four beats at 120 a minute
GOAL_SECONDS = 0.04  # by which a goal may be reached early or late; hits are asked for within 0.05
SAME_JUMP_STEPS = 2.5  # two jumps beside each other whose distances differ by no more are the same


class PredictionLike(Protocol):
    """One horizon, as a model says it."""

    @property
    def starts(self) -> Array: ...


class ModelLike(Protocol):
    """What planning needs of a model."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def config(self) -> PointerConfig: ...
    @property
    def join_head(self) -> JoinHead | None: ...
    @property
    def transition_head(self) -> TransitionHead | None: ...
    @property
    def singing_network(self) -> SingingNetwork | None: ...
    def listen(self, features: Array) -> Any: ...
    def predict(self, memory: Any, context: Array, *, apart: int, shown: Array | None) -> PredictionLike: ...


@dataclass(frozen=True, eq=False)
class Request:
    """One output to be planned.

    Attributes:
        song: whose samples it plays.
        model: its heads judge jumps and seams.
        target: samples that it shall last.
        settings: how it shall be.
        weights: what the search weighs, where no mood is asked for.
        unlike: other plans of the song, whose jumps shall be left aside where there are others.
        goals: places that it shall reach on time, in the order of their times.
        closing: the seam from a loop's end to its beginning, where that is fixed.
    """

    song: Song
    model: ModelLike
    target: int
    settings: Settings
    weights: SearchConfig
    unlike: Sequence[Plan] = ()
    goals: tuple[Goal, ...] = ()
    closing: Seam | None = None

    @property
    def rate(self) -> float:
        """Samples per step."""
        return self.song.sample_rate / FEATURES.steps_per_second

    @property
    def tolerance(self) -> float:
        """Samples by which the output may be longer or shorter."""
        return self.weights.tolerance_seconds * self.song.sample_rate

    @property
    def as_it_is(self) -> bool:
        """Whether the song itself is what is asked for."""
        on_time = abs(self.song.frames - self.target) <= self.tolerance
        return on_time and not self.settings.avoid and self.settings.ending != "loop" and not self.goals

    @property
    def own_ending(self) -> bool:
        """Whether the output ends at a place of the song, not at a time."""
        return self.settings.ending in ("outro", "loop")

    @property
    def analysis(self) -> Analysis:
        return analyse_song(self.song)

    @cached_property
    def region(self) -> Region:
        return find_region(self.analysis)

    @cached_property
    def silences(self) -> tuple[tuple[int, int], ...]:
        return find_silences(self.analysis)

    def check(self) -> None:
        """Refuse settings that leave nothing of the song; raises MusexError."""
        find_material(self.settings, self.analysis.steps, self.silences)

    @cached_property
    def material(self) -> Material:
        """What may be heard. Raises MusexError if the settings leave nothing of the song."""
        return find_material(self.settings, self.analysis.steps, self.silences)

    @property
    def finder(self) -> SeamFinder:
        song, head = self.song, self.model.join_head
        mono, prices = self.analysis.mono, self.weights.seam

        def find() -> SeamFinder:
            return SeamFinder(song.samples, song.sample_rate, mono, join_head=head, voice=self.voice, prices=prices)

        return self._kept(("finder", prices, self.settings.voice), find)

    @cached_property
    def voice(self) -> Voice | None:
        """The song's voice; None if the settings say not to listen for one, or nobody sings."""
        network = None if self.settings.voice == "off" else self.model.singing_network
        activations = hear_voice(self.song, network) if network else None
        return None if activations is None else Voice(activations)

    def weights_for(self, moods: tuple[tuple[float, str], ...]) -> SearchConfig:
        """What the search weighs where these moods are asked for."""
        return self.weights.in_mood if moods else self.weights

    def judge(self, material: Material, limits: Limits) -> Jumps:
        """The jumps that material and limits allow, and what the transition head says of them."""
        return self._kept((material, limits), lambda: self._judge(material, limits))

    def _kept(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What was made for the song and the model before, or is made now: it is the same for every output."""
        made = _made.setdefault(self.song, weakref.WeakKeyDictionary()).setdefault(self.model, {})
        if key not in made:
            made[key] = make()
        found: T = made[key]
        return found

    def _judge(self, material: Material, limits: Limits) -> Jumps:
        jumps, head = find_jumps(self.analysis.comparison_rows, limits, material), self.model.transition_head
        if head is None:
            return jumps
        odds, sub_lags = judge_jumps(self.analysis, head, jumps.targets, np.isfinite(jumps.unlikeness))
        return replace(jumps, odds=odds, sub_lags=sub_lags)

    def price(self, jumps: Jumps, material: Material, weights: SearchConfig, *, shunned: Sequence[Seam] = ()) -> Array:
        """What each jump costs, as `weigh_jumps` has it, more where another plan has it or it is shunned."""
        costs = weigh_jumps(
            jumps,
            self.analysis.beginnings,
            weights,
            has_pulse=self.analysis.pulse >= LEAST_PULSE,
            start=material.start,
            length=material.length,
            seed=self.settings.seed,
        )
        others = [(seam, weights.unlike) for plan in self.unlike for seam in plan.seams]
        for seam, cost in [*others, *((seam, weights.seam.beyond) for seam in shunned)]:
            rows, same = self.beside(seam, jumps)
            costs[rows] += cost * same
        for ends in self.settings.forbid:
            costs[self.is_near(ends, np.arange(jumps.steps)[:, None], jumps.targets, slack=MOST_DRIFT)] = np.inf
        return costs

    def is_near(self, ends: JumpEnds, leaves: Array, targets: Array, *, slack: int = 0) -> Array:
        """Which jumps, in steps, leave and enter within a bar of `ends`, seconds; an end that is None is anywhere.

        `slack` steps are added to the bar, by which their cuts may yet move.
        """
        near = np.ones(np.broadcast_shapes(leaves.shape, targets.shape), bool)
        for end, places in zip(ends, (leaves, targets), strict=True):
            if end is not None:
                near &= np.abs(places - end * FEATURES.steps_per_second) <= self.bar_steps + slack
        return near

    @property
    def bar_steps(self) -> int:
        """How long a bar of the song usually is; 2 s where nobody can tell."""
        return self._kept(("bar",), self._find_bar)

    def _find_bar(self) -> int:
        beats = BeatNetwork().track(self.analysis.log_mel, self.analysis.chroma)
        lengths = np.diff(beats.downbeats)
        seconds = float(np.median(lengths)) if len(lengths) else UNKNOWN_BAR_SECONDS
        return max(1, round(seconds * FEATURES.steps_per_second))

    def beside(self, seam: Seam, jumps: Jumps) -> tuple[slice, Array]:
        """The rows around a seam, and which of their jumps are as good as the same one."""
        leave, distance = self.step(seam.leave), (seam.leave - seam.enter) / self.rate
        near = self.weights.beside_steps
        rows = slice(max(0, leave - near), leave + near + 1)
        return rows, np.abs(jumps.distances[rows] - distance) <= SAME_JUMP_STEPS

    @property
    def stop(self) -> int:
        """The sample of the song before which the output ends, unless it ends at a time."""
        if self.closing is not None:
            return self.closing.leave
        outro, steps = self.settings.ending == "outro", self.analysis.steps
        return self.sample(min(self.material.stop, steps if outro else self.region.stop))

    def step(self, position: float) -> int:
        """The step of the song that a sample lies at."""
        return min(round(position / self.rate), self.analysis.steps)

    def sample(self, step: int) -> int:
        """The sample of the song at which a step begins."""
        return min(round(step * self.rate), self.song.frames)


_made: "weakref.WeakKeyDictionary[Song, weakref.WeakKeyDictionary[ModelLike, dict[tuple[Any, ...], Any]]]"
_made = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Course:
    """What is fixed while a path grows.

    Attributes:
        request: what shall be planned.
        limits: how jumps may be taken.
        material: what of the song may be heard.
        jumps: that may be taken.
        costs: of each jump, (steps, partners).
        start: sample of the song with which it begins.
        stop: sample of the song before which it ends, unless it ends at a time.
        played: samples of the output before it begins.
        target: sample of the output at which it shall end.
        end: sample of the song before which all lies that may be heard.
        late: samples by which the output may be too long for its ending to take up.
        early: samples by which it may be too short.
        own_ending: whether it ends at a place of the song, not at a time.
        closing: the seam from a loop's end to its beginning.
        shunned: seams that are left aside where there are others.
    """

    request: Request
    limits: Limits
    material: Material
    jumps: Jumps
    costs: Array
    start: int
    stop: int
    played: int
    target: int
    end: int
    late: float
    early: float
    own_ending: bool
    closing: Seam | None = None
    shunned: Sequence[Seam] = ()

    def price(self, weights: SearchConfig, jumps: Jumps | None = None) -> Array:
        """What each jump costs by other weights, or each of other jumps, (steps, partners)."""
        return self.request.price(jumps or self.jumps, self.material, weights, shunned=self.shunned)

    @cached_property
    def seam_costs(self) -> Array:
        """What the seam of each jump may cost before it is aligned, (steps, partners)."""
        request = self.request
        costs = expect_seams(request.song.samples, request.rate, self.jumps, request.weights)
        return np.asarray(costs + self.voice_costs)

    @property
    def voice_costs(self) -> Array:
        """What each jump costs for the voice that it would cut, (steps, partners)."""
        request, targets = self.request, self.jumps.targets
        if request.voice is None:
            return np.zeros(targets.shape, np.float32)
        cuts = request.voice.step_cuts[: self.jumps.steps]
        return np.asarray(request.weights.seam.voice * np.maximum(cuts[:, None], cuts[targets]), np.float32)

    @cached_property
    def to_go(self) -> CostToGo:
        request = self.request
        return CostToGo(
            self.jumps,
            self.costs + self.seam_costs,
            self.limits,
            self.material,
            debt=self.debt_steps,
            start=request.step(self.start),
            goal=request.step(self.stop) if self.stop < self.end else None,
            may_overrun=not self.own_ending,
            slack=(int(self.late / request.rate), int(self.early / request.rate)),
            off_time=request.weights.off_time / FEATURES.steps_per_second,
        )

    @property
    def reaches(self) -> bool:
        """Whether the duration can be reached with the jumps that there are, or without any."""
        if self.on_time(self.debt(self.played, self.start)) and self.plays_out(self.start / self.request.rate):
            return True
        return self.to_go.reaches(self.debt_steps)

    @property
    def debt_steps(self) -> int:
        """The debt that it begins with, in steps."""
        return round(self.debt(self.played, self.start) / self.request.rate)

    def debt(self, played: int, position: int) -> int:
        """Samples to be played more than the song still has."""
        return self.target - played - (self.stop - position)

    def on_time(self, debts: Array | float, slack: float = 0.0) -> Array:
        """Whether the song's end comes near enough to the duration, with so many samples to be played more."""
        return np.asarray((debts <= self.early + slack) & (-np.asarray(debts) <= self.late + slack))

    def plays_out(self, steps: Array | float) -> Array:
        """Whether the song may be heard from here, in steps, to where it shall end."""
        if self.stop == self.end:
            return self.material.clear(steps, self.material.stop)
        stop = self.stop / self.request.rate
        return np.asarray(self.material.clear(steps, stop) & (np.asarray(steps) <= stop))

    def value(self, debts: Array | float, positions: Array | int) -> Array:
        """Cost-to-go at debts in samples and positions in steps; a debt within the tolerance is none."""
        debts, own_ending = np.asarray(debts), self.own_ending
        rounded = np.rint if own_ending else np.ceil  # what is cut or faded must not run out before
        rows = rounded(debts / self.request.rate).astype(np.int64)
        if own_ending:
            rows = np.where(self.on_time(debts), 0, rows)
        return self.to_go(rows, np.asarray(positions))

    def align(self, leave: int, partner: int, lags: tuple[int, int] | None = None) -> Seam:
        """The seam of a jump, told by the step it leaves at and its partner; what enters at a beginning is cut there.

        Its lag is the one at which the attacks agree, or within `lags`, samples, whatever they say.
        """
        request, jumps, rate = self.request, self.jumps, self.request.rate
        target = int(jumps.targets[leave, partner])
        keeps_place = bool(request.analysis.beginnings[target] >= BEGINNING)
        sub_lag = 0.0 if jumps.sub_lags is None else jumps.sub_lags[leave, partner] / FEATURES.frames_per_step
        place, enter = round(leave * rate), round(target * rate)
        if lags is None and jumps.odds is not None:
            middle, near = sub_lag * rate, LAG_SLACK * request.song.sample_rate
            lags = (math.ceil(middle - near), math.floor(middle + near))
        seam = request.finder.align(place, enter, slide=self.limits.slide, keeps_place=keeps_place, lags=lags)
        if jumps.odds is None or request.analysis.pulse < LEAST_PULSE:
            return seam
        agreed = (enter - place) + sub_lag * rate
        return tell_kept(seam, agreed, jumps.odds[leave, partner, :2].tolist(), request.song.sample_rate)


def courses(request: Request, leg: Leg = UNFIXED, shunned: Sequence[Seam] = ()) -> Iterator[Course]:
    """The courses that reach the duration, or a leg's goal on time, by limits from strict to loose.

    At last silence inside the song is heard, if it is what is in the way. Seams that are `shunned`, and jumps beside
    them, are left aside where there are others.
    """
    for course in lay_courses(request, leg, shunned):
        closed = close_course(course) if request.settings.ending == "loop" else (course,)
        for one in closed:
            if one.reaches:
                yield one


def lay_courses(request: Request, leg: Leg, shunned: Sequence[Seam] = ()) -> Iterator[Course]:
    """The courses of a leg by limits from strict to loose, whether or not they reach anything."""
    asked = find_material(request.settings, request.analysis.steps).avoided
    for avoided in dict.fromkeys((request.material.avoided, asked)):
        material = replace(request.material, avoided=avoided)
        for limits in limits_ladder(request.region, material):
            if limits.usable <= limits.distance:
                continue
            first, last = (step / FEATURES.steps_per_second for step in (limits.first_enter, limits.last))
            logger.info(f"looking for jumps into {first:.1f} to {last:.1f} s of the song")
            yield lay_course(request, material, limits, leg, shunned=shunned)


def lay_course(
    request: Request, material: Material, limits: Limits, leg: Leg, *, shunned: Sequence[Seam] = ()
) -> Course:
    """The course of a leg; of an output that begins and ends as the material does if nothing else is fixed."""
    song, weights, jumps = request.song, request.weights, request.judge(material, limits)
    course = Course(
        request,
        limits,
        material,
        jumps,
        costs=request.price(jumps, material, request.weights_for(request.settings.moods), shunned=shunned),
        start=request.sample(material.start) if leg.start is None else leg.start,
        stop=request.stop,
        played=leg.played,
        target=request.target,
        end=request.stop,
        late=request.tolerance,
        early=request.tolerance,
        own_ending=request.own_ending,
        shunned=shunned,
    )
    if leg.goal is not None:
        place, at, near = leg.goal.place, leg.goal.at, GOAL_SECONDS * song.sample_rate
        end = request.sample(material.stop)
        return replace(course, stop=place, end=end, target=at, late=near, early=near, own_ending=True)
    ring = quiet_tail(request.analysis.mono[: request.step(course.stop) * FEATURES.step_length])
    if request.settings.ending == "outro" and (ring or course.stop == song.frames):
        late = max(request.tolerance, min(ring, weights.ring_seconds) * song.sample_rate)
        least, most = weights.rest_seconds
        rest = min(max(least, weights.rest_share * request.target / song.sample_rate), most)
        course = replace(course, late=late, early=max(request.tolerance, rest * song.sample_rate))
    return course


def close_course(course: Course) -> Iterator[Course]:
    """The courses of loops: the same between the places that a closing jump leads from and to, best first."""
    request, closing = course.request, course.request.closing
    if closing is not None:  # a leg of a loop, to its goal or to the loop's end
        if course.stop == course.end:
            course = replace(course, stop=closing.leave, closing=closing)
        yield enclose(course, closing)
        return
    for closing in find_closings(
        course.jumps,
        course.costs + course.voice_costs,
        course.limits,
        course.material,
        finder=request.finder,
        rate=request.rate,
        target=request.target,
    ):
        yield replace(enclose(course, closing), start=closing.enter, stop=closing.leave, closing=closing)


def enclose(course: Course, closing: Seam) -> Course:
    """The course with what is heard between both ends of a loop's closing seam."""
    request, limits, material = course.request, course.limits, course.material
    start, stop = request.step(closing.enter), request.step(closing.leave)
    avoided = tuple(pair for pair in material.avoided if pair[0] >= start and pair[1] <= stop)
    jumps = between(course.jumps, limits, stop)
    return replace(
        course,
        material=Material(start, stop, material.keep, avoided),
        jumps=jumps,
        costs=np.where(np.isfinite(jumps.unlikeness), course.costs, np.float32(np.inf)),
        end=closing.leave,
    )


def tell_kept(seam: Seam, lag: float, odds: Sequence[float], sample_rate: int) -> Seam:
    """The seam with how likely it keeps beat and bar.

    Args:
        seam: where it leaves and enters.
        lag: samples from the one to the other at which the attacks of both sides agree.
        odds: log-odds, as the transition head judges that lag, that beat and bar are kept.
        sample_rate: of the song.
    """
    if abs(seam.enter - seam.leave - lag) > 1.5 * LAG_SLACK * sample_rate:
        return replace(seam, beat=0.0, bar=0.0)  # moved off it, for the duration's sake or by hand
    beat, bar = (1.0 / (1.0 + math.exp(-each)) for each in odds)
    return replace(seam, beat=round(beat, 3), bar=round(bar, 3))
