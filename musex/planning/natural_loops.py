"""The loops that a song has by itself: one stretch of it, whose end leads back to its beginning.

A loop of a requested length is planned as any output is (`musex.planning.loops`); here nothing is requested, and all
that is decided is where the one jump back leaves and enters. The jumps are judged and priced as those of a path are,
without the noise that makes outputs of two seeds differ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from musex.errors import MusexError
from musex.planning.course import Course, Request, lay_course
from musex.planning.goals import UNFIXED
from musex.planning.material import find_material, limits_ladder
from musex.planning.weights import SEARCH, SearchConfig
from musex.plans import Beginning, Part, Plan, Seam
from musex.system.arrays import Array

LEFT_OUT = 50.0  # cost of a loop that leaves out all that could loop; 25 songs, examples/measured.md, "Loops"
ALIGNED = 40  # jumps of each kind of limits that are aligned, at least
ALIGNED_EACH = 4  # for each loop that is asked for
APART_STEPS = 20  # between two places at which the same jump back is tried
TRIES_EACH = 4  # places at which the same jump back is tried
SAME_STEPS = 2.5  # two loops that overlap and whose lengths differ by no more are the same
BESIDE_STEPS = 10  # two loops both of whose ends lie no further apart are the same


@dataclass(frozen=True)
class Loop:
    """A stretch of a song that leads back to its own beginning.

    Attributes:
        start: Its first sample, of the song.
        stop: The sample before which it ends, of the song: as the loop begins again, `start` comes in its place.
        sample_rate: Hz, of the song.
        seam: From its end to its beginning, with its crossfade and its measures.
        cost: How much speaks against it: the jump, its seam, and what of the song it leaves out.
    """

    start: int
    stop: int
    sample_rate: int
    seam: Seam
    cost: float

    @property
    def frames(self) -> int:
        """How many samples it has."""
        return self.stop - self.start

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.sample_rate

    @property
    def start_seconds(self) -> float:
        """When it begins in the song."""
        return self.start / self.sample_rate

    @property
    def stop_seconds(self) -> float:
        """When it ends in the song."""
        return self.stop / self.sample_rate

    def is_like(self, start: int, stop: int, step: float) -> bool:
        """Whether samples [start, stop) are the same loop: beside it, or the same slid along.

        `step` is how many samples a step has.
        """
        shift, length = abs(start - self.start), stop - start
        beside = max(shift, abs(stop - self.stop)) <= BESIDE_STEPS * step
        return beside or (abs(length - self.frames) <= SAME_STEPS * step and shift < max(length, self.frames))


def find_natural(request: Request, count: int) -> list[Loop]:
    """The best loops of a song, best first, no two of them the same: at most so many.

    Args:
        request: Its duration counts for nothing.
        count: How many.

    Raises:
        MusexError: The settings leave nothing of the song.
    """
    request = replace(request, weights=_without_chance(request.weights))
    loops = list[Loop]()
    asked = find_material(request.settings, request.analysis.steps).avoided
    for avoided in dict.fromkeys((request.material.avoided, asked)):
        material = replace(request.material, avoided=avoided)
        for limits in limits_ladder(request.region, material):
            if limits.usable > limits.distance:
                found = _find_within(lay_course(request, material, limits, UNFIXED), count)
                loops = _apart((*loops, *found), request.rate)[:count]
            if len(loops) == count:
                return loops
        if loops:
            break
    return loops


def play_natural(request: Request) -> Iterator[Beginning | Part]:
    """What a plan of the song's best loop decides: the loop as it is, and its seam.

    Raises MusexError if the song has no loop that is unlike those of the plans beside it.
    """
    others = [(plan.spans[0].start, plan.spans[-1].stop) for plan in map(without_intro, request.unlike) if plan.loops]
    for loop in find_natural(request, len(others) + 1):
        if not any(loop.is_like(start, stop, request.rate) for start, stop in others):
            seam = replace(loop.seam, at=loop.frames)
            yield from (Beginning(loop.start, loop.stop), Part(loop.start, loop.stop), Part(loop.stop, loop.stop, seam))
            return
    raise no_loop(request.song.seconds, len(others))


def no_loop(seconds: float, others: int = 0) -> MusexError:
    """Why a song of so many seconds has no loop, or none besides so many others."""
    beside = f" but {others}" if others else ""
    return MusexError(
        f"no loop{beside} is found in this song of {seconds:.1f} s: no place of it leads back to an earlier one; "
        "keep or avoid less of it, or use a longer song"
    )


def with_intro(plan: Plan) -> Plan:
    """The plan of a loop, with the song from its beginning to the loop before it.

    The loop then begins where the closing crossfade ends, so that all before is the song's own, and ends with that
    crossfade whole: what loops is the same, begun half a crossfade later.
    """
    closing = plan.closing
    if closing is None or plan.intro:
        return plan
    shift = plan.spans[0].start
    first, *spans = plan.spans
    longer = replace(
        plan,
        spans=(replace(first, start=0), *spans),
        seams=tuple(replace(seam, at=seam.at + shift) for seam in plan.seams),
        intro=shift + closing.fade // 2,
    )
    return replace(longer, seconds=longer.frames / plan.song.sample_rate)


def without_intro(plan: Plan) -> Plan:
    """The plan of a loop alone, as it was before `with_intro`."""
    closing = plan.closing
    if closing is None or not plan.intro:
        return plan
    first, *spans = plan.spans
    shift = closing.enter - first.start
    loop = replace(
        plan,
        spans=(replace(first, start=closing.enter), *spans),
        seams=tuple(replace(seam, at=seam.at - shift) for seam in plan.seams),
        intro=0,
    )
    return replace(loop, seconds=loop.frames / plan.song.sample_rate)


def _without_chance(weights: SearchConfig) -> SearchConfig:
    """The weights of the search for the one jump of a loop: of what it costs nothing is for variety or for haste."""
    return replace(weights, jump=SEARCH.jump, jump_in_brief=0.0, noise=0.0, noise_alike=0.0, back=0.0, brief=0.0)


def _find_within(course: Course, count: int) -> list[Loop]:
    """The loops that a course's jumps make, aligned, not in order."""
    request, limits, finder = course.request, course.limits, course.request.finder
    loops = list[Loop]()
    costs = _weigh_loops(course)
    for leave, partner in _choose(costs, course.jumps.distances, max(ALIGNED, ALIGNED_EACH * count)):
        seam = finder.choose_fade(course.align(leave, partner), slide=limits.slide)
        start, stop, half = seam.enter, seam.leave, seam.fade // 2
        if stop - start < 4 * half or not course.material.clear(start / request.rate, stop / request.rate):
            continue
        cost = float(costs[leave, partner]) + finder.price(seam)
        loops.append(Loop(start, stop, request.song.sample_rate, seam, cost))
    return loops


def _weigh_loops(course: Course) -> Array:
    """What speaks against the loop that each jump back makes, before it is aligned; infinite where it makes none."""
    limits, distances = course.limits, course.jumps.distances
    room, wanted = max(limits.distance, 4 * limits.gap), max(1, limits.last - limits.first_enter)
    unused = LEFT_OUT * np.clip(1.0 - distances / wanted, 0.0, 1.0)
    costs = course.costs + course.seam_costs + unused
    leaves = np.broadcast_to(np.arange(course.jumps.steps)[:, None], distances.shape)
    whole = course.material.clear(course.jumps.targets, leaves)
    return np.asarray(np.where((distances >= room) & whole & np.isfinite(course.jumps.unlikeness), costs, np.inf))


def _choose(costs: Array, distances: Array, count: int) -> Iterator[tuple[int, int]]:
    """The cheapest jumps, at a few places of each that may be taken at several: their rows and partners."""
    left = costs.copy()
    leaves = np.arange(len(costs))[:, None]
    lengths = list[int]()
    for _ in range(count):
        leave, partner = divmod(int(np.argmin(left)), costs.shape[1])
        if not np.isfinite(left[leave, partner]):
            return
        yield leave, partner
        length = int(distances[leave, partner])
        lengths.append(length)
        same = np.abs(distances - length) <= SAME_STEPS
        enough = sum(abs(other - length) <= SAME_STEPS for other in lengths) >= TRIES_EACH
        apart = max(APART_STEPS, length // 2) if enough else APART_STEPS
        left[same & (np.abs(leaves - leave) <= apart)] = np.inf


def _apart(loops: Sequence[Loop], rate: float) -> list[Loop]:
    """The loops in order, best first, without those that are like a better one."""
    kept = list[Loop]()
    for loop in sorted(loops, key=lambda loop: loop.cost):
        if not any(better.is_like(loop.start, loop.stop, rate) for better in kept):
            kept.append(loop)
    return kept
