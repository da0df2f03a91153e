"""The search for a path through the song: one decision at a time, each jump at once at its exact place.

A decision weighs what the outlook expects, how a seam would sound, what was heard lately and the cost-to-go table,
which knows every later jump.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from musex.analysis.features import analyse_frames, to_mono
from musex.analysis.form import beginnings
from musex.config import FEATURES
from musex.planning.arc import Arc
from musex.planning.jumps import CostToGo, Edges, find_edges
from musex.planning.loops import between, find_closings
from musex.planning.material import (
    Limits,
    Material,
    find_material,
    find_region,
    find_silences,
    limits_ladder,
    quiet_tail,
)
from musex.planning.outlook import Outlook
from musex.planning.transitions import TransitionHeadLike, hear, judge_jumps
from musex.planning.weights import SearchConfig, expect_seams, weigh_edges
from musex.plans import Plan, Seam, SongLike
from musex.prediction.join_head import JoinHead
from musex.seams.finder import SeamFinder
from musex.settings import Settings

Array = np.ndarray

BEGINNING = 0.2  # how much of one a step must be for a seam to keep to it
LEAST_PULSE = 0.1  # periodicity of the song's attacks below which nobody can tell whether a seam keeps beat and bar
LAG_SLACK = 0.04  # seconds around the lag that the attacks agree on, within which a seam is aligned


class PathSearch:
    """The path of one output while it grows, one decision at a time.

    Positions are in samples of the song unless they say steps. `enter` chooses what the path may use, `begin` starts
    anew with that, then `choose` says where to jump next, `play` and `take` go there.
    """

    def __init__(
        self,
        song: SongLike,
        join_head: JoinHead | None,
        transition_head: TransitionHeadLike | None,
        *,
        context_steps: int,
        target: int,
        settings: Settings,
        unlike: Sequence[Plan],
        config: SearchConfig,
    ) -> None:
        self.samples, self.sample_rate = song.samples, song.sample_rate
        self.target, self.settings, self.unlike = target, settings, unlike
        self.context_steps = context_steps
        self.plain_config, self.urge = config, config.urge
        self.config = config.in_mood if settings.moods else config
        self.rate = song.sample_rate / FEATURES.steps_per_second  # samples per step
        self.tolerance = config.tolerance_seconds * song.sample_rate
        mono = to_mono(song.samples, song.sample_rate)
        log_mel, chroma = analyse_frames(mono)
        self.transition_head, self.heard = transition_head, hear(log_mel, chroma)
        self.features = self.heard.features
        self.steps = len(self.features)
        self.own_ending = settings.ending in ("outro", "loop")  # at a place of the song, not at a time
        self.begins = beginnings(self.features)
        self.region = find_region(self.features)
        self.silences = find_silences(self.features)
        self.use(find_material(settings, self.steps, self.silences), mono)
        self.finder = SeamFinder(song.samples, song.sample_rate, mono, join_head=join_head, prices=config.seam)
        self.shunned: list[Seam] = []

    def use(self, material: Material, mono: Array) -> None:
        """Hear only this material from the next `enter` on; `mono` is the song at the features' rate."""
        self.whole = self.material = material  # a loop plays a part of it
        self._seen: dict[Limits, tuple[Edges, Array | None, Array]] = {}
        stop = min(material.stop, self.steps if self.settings.ending == "outro" else self.region.stop)
        self.start, self.stop = self._samples(material.start), self._samples(stop)
        self.closing: Seam | None = None  # from a loop's end to its beginning
        self.late, self.early = self.tolerance, self.tolerance  # samples too long or too short that the ending takes up
        ring = quiet_tail(mono[: round(stop * FEATURES.sample_rate / FEATURES.steps_per_second)])
        if self.settings.ending == "outro" and (ring or self.stop == len(self.samples)):
            self.late = max(self.tolerance, min(ring, self.config.ring_seconds) * self.sample_rate)
            least, most = self.config.rest_seconds
            rest = min(max(least, self.config.rest_share * self.target / self.sample_rate), most)
            self.early = max(self.tolerance, rest * self.sample_rate)

    def limits_to_try(self) -> Iterator[Limits]:
        """Limits from strict to loose; at last silence inside the song is heard, if it is what is in the way."""
        wanted = find_material(self.settings, self.steps).avoided
        for avoided in dict.fromkeys((self.whole.avoided, wanted)):
            if self.material != self.whole or avoided != self.whole.avoided:
                self.use(replace(self.whole, avoided=avoided), self.finder.mono)
            for limits in limits_ladder(self.region, self.whole):
                if limits.usable > limits.distance:
                    yield limits

    def _samples(self, step: int) -> int:
        return min(round(step * self.rate), len(self.samples))

    @property
    def debt(self) -> int:
        """Samples to be played more than the song still has."""
        return self.target - self.played - (self.stop - self.position)

    def _on_time(self, debts: Array | float, slack: float = 0.0) -> Array:
        """Whether the song's end comes near enough to the duration, with so many samples to be played more."""
        return np.asarray((debts <= self.early + slack) & (-np.asarray(debts) <= self.late + slack))

    def enter(self, limits: Limits) -> Iterator[None]:
        """Find the edges that `limits` allow, and for a loop, one after another, the places between which it plays."""
        if limits not in self._seen:
            self._seen[limits] = self._see(limits)
        self.limits, (self.edges, self.odds, self.sub_lags) = limits, self._seen[limits]
        self.costs = self._price()
        if self.settings.ending != "loop":
            yield
            return
        edges, costs, material = self.edges, self.costs, self.material
        for closing in find_closings(
            edges, costs, limits, material, finder=self.finder, rate=self.rate, target=self.target
        ):
            start, stop = self._step(closing.enter), self._step(closing.leave)
            avoided = tuple(pair for pair in material.avoided if pair[0] >= start and pair[1] <= stop)
            self.material = Material(start, stop, material.keep, avoided)
            self.closing, self.start, self.stop = closing, closing.enter, closing.leave
            self.edges = between(edges, limits, stop)
            self.costs = np.where(np.isfinite(self.edges.costs), costs, np.float32(np.inf))
            yield
        self.material = material

    def _price(self) -> Array:
        """What each edge costs, as `weigh_edges` has it, more where another plan has it or it shall be shunned."""
        costs = weigh_edges(
            self.edges,
            self.begins,
            self.config,
            odds=self.odds,
            has_pulse=self.heard.pulse >= LEAST_PULSE,
            start=self.material.start,
            length=self.material.length,
            seed=self.settings.seed,
        )
        others = [(seam, self.config.unlike) for plan in self.unlike for seam in plan.seams]
        for seam, cost in [*others, *((seam, self.config.seam.beyond) for seam in self.shunned)]:
            rows, same = self._beside(seam)
            costs[rows] += cost * same
        return costs

    def _see(self, limits: Limits) -> tuple[Edges, Array | None, Array]:
        """The edges that limits allow, what the transition head says of them, and at which lags they join."""
        edges = find_edges(self.features, limits, self.material)
        if self.transition_head is None:
            return edges, None, np.zeros(edges.targets.shape, np.int64)
        possible = np.isfinite(edges.costs)
        return edges, *judge_jumps(self.heard, self.transition_head, edges.targets, possible)

    def shun(self, seams: Sequence[Seam]) -> None:
        """Leave these seams, and jumps beside them, aside from the next `enter` on, where there are others."""
        self.shunned += seams

    def begin(self) -> bool:
        """Begin anew; False if the duration cannot be reached with the edges that there are."""
        self.position, self.played = self.start, 0
        self.clean = True  # nothing avoided was heard
        self.seams: list[Seam] = []
        self.aligned: dict[tuple[int, int], Seam] = {}
        self.heat = np.zeros(self.steps)
        self.context = np.zeros(0, np.int64)
        self.uses = np.zeros(self.costs.shape, np.int16)
        self.last_used = np.zeros(self.costs.shape, bool)
        self.seam_costs = expect_seams(self.samples, self.rate, self.edges, self.config)
        self.wish(self.settings.moods)
        debt = round(self.debt / self.rate)
        self.to_go = CostToGo(
            self.edges,
            self.costs + self.seam_costs,
            self.limits,
            self.material,
            debt=debt,
            may_overrun=not self.own_ending,
            slack=(int(self.late / self.rate), int(self.early / self.rate)),
            off_time=self.config.off_time / FEATURES.steps_per_second,
        )
        return self.to_go.reaches(debt)

    def wish(self, points: tuple[tuple[float, str], ...]) -> None:
        """Follow moods from now on, as (seconds of the output, mood) in order; none to follow no mood."""
        config = self.plain_config.in_mood if points else self.plain_config
        if config != self.config:
            self.config = config
            self.costs = self._price()
        costs, weight = self.costs + self.seam_costs, config.mood if len(points) > 1 else config.steady_mood
        self.arc = Arc(points, self.features, self.edges, costs, gap=self.limits.gap, weight=weight) if points else None
        self.to_come = np.zeros(self.steps)  # what is to be paid after each step, for the mood asked for

    def unwanted(self) -> Array:
        """What it costs to hear each step for a horizon from now on: what was heard lately, or is of another mood."""
        costs = self.config.heard * self.heat + self.config.heard_again * np.maximum(self.heat - 0.5, 0.0)
        if self.arc:
            seconds = self.played / self.sample_rate
            self.to_come = self.arc.to_come(seconds)
            costs = costs + self.arc.unlike(seconds)
        return costs

    @property
    def arrived(self) -> bool:
        """Whether the output, once it is as long as asked, ends where it should."""
        return not self.own_ending or self.position == self.stop

    def left(self) -> int:
        """Samples still to be played: to the song's end if that is on time, else to the duration."""
        if self.own_ending and self._on_time(self.debt) and self._plays_out(self.position / self.rate):
            return self.stop - self.position
        return self.target - self.played

    def _plays_out(self, steps: Array | float) -> Array:
        """Whether the song may be heard from here, in steps, to its end."""
        return self.material.clear(steps, self.material.stop)

    def _step(self, position: float) -> int:
        return min(round(position / self.rate), self.steps)

    def play(self, frames: int) -> None:
        """Play on without a cut, and remember it."""
        start, stop = self._step(self.position), self._step(self.position + frames)
        self.clean &= bool(self.material.clear(self.position / self.rate, (self.position + frames) / self.rate))
        self.heat *= math.exp(-frames / (self.config.heard_seconds * self.sample_rate))
        self.heat[start:stop] += 1.0
        self.context = np.concatenate([self.context, np.arange(start, stop)])[-self.context_steps :]
        self.position += frames
        self.played += frames

    def take(self, seam: Seam) -> None:
        """Jump, and count the edge and those beside it as used."""
        rows, same = self._beside(seam)
        self.uses[rows] += same
        self.last_used[:] = False
        self.last_used[rows] = same
        self.position = seam.enter
        self.seams.append(replace(seam, at=self.played))

    def _beside(self, seam: Seam) -> tuple[slice, Array]:
        """The rows around a seam, and which of their edges are as good as the same jump."""
        leave, distance = self._step(seam.leave), (seam.leave - seam.enter) / self.rate
        beside = self.config.beside_steps
        rows = slice(max(0, leave - beside), leave + beside + 1)
        return rows, np.abs(self.edges.distances[rows] - distance) <= 2.5

    def _value(self, debts: Array | float, positions: Array | int) -> Array:
        """Cost-to-go at debts in samples and positions in steps; a debt within the tolerance is none."""
        debts = np.asarray(debts)
        rounded = np.rint if self.own_ending else np.ceil  # what is cut or faded must not run out before
        rows = rounded(debts / self.rate).astype(np.int64)
        if self.own_ending:
            rows = np.where(self._on_time(debts), 0, rows)
        return self.to_go(rows, np.asarray(positions))

    def choose(self, outlook: Outlook, time: int) -> Seam | None:
        """The next jump within this horizon, aligned, or None to stay until its end."""
        leaves = self._leaves(outlook, time)
        if not len(leaves):
            return None
        costs, after = self._weigh(outlook, time, self._step(self.position), leaves)
        return self._best_aligned(leaves, costs, after, self._staying(outlook, time))

    def is_tempted(self, outlook: Outlook) -> bool:
        """Whether any jump within this horizon would be cheaper than to stay, if nothing else spoke against it.

        What a prediction says can only make jumps dearer, so it changes nothing where nothing tempts.
        """
        leaves = self._leaves(outlook, 0)
        if not len(leaves):
            return False
        costs, after = self._weigh(outlook, 0, self._step(self.position), leaves)
        total = costs + after + self.seam_costs[leaves[0] : leaves[-1] + 1]
        return bool(total.min() < self._staying(outlook, 0))

    def _leaves(self, outlook: Outlook, time: int) -> Array:
        """The steps before which a jump may leave within this horizon."""
        here, left = self._step(self.position), outlook.horizon - time
        drift = self.limits.drift
        before = self.seams[-1] if self.seams else self.closing
        ready = math.ceil(before.enter / self.rate) + self.limits.gap if before else 0
        first = max(ready, here + drift, self.limits.first_leave)
        if not self.seams:
            first = max(first, round(self.config.first_jump_seconds * FEATURES.steps_per_second))
        last = min(here + left + drift - 1, self.limits.last, self.steps - 1, self.material.next_avoided(here))
        if not self.own_ending:
            last = min(last, here + int((self.target - self.played) / self.rate) - self.limits.gap)
        if not self.seams and self._on_time(self.debt) and self._plays_out(here):
            last = first - 1
        return np.arange(first, last + 1)

    def _staying(self, outlook: Outlook, time: int) -> float:
        """What it costs to play on until the horizon's end, and to go on from there."""
        here, left = self._step(self.position), outlook.horizon - time
        drift = self.limits.drift
        after = self._value(self.debt, min(here + left + drift, self.steps))
        stay = float(outlook.playing(time, min(here, self.steps), outlook.horizon) + after)
        stay += float(self.to_come[min(here + left, self.steps - 1)])
        end = here + math.ceil((self.target - self.played) / self.rate)
        if not self.material.clear(here, min(here + left + drift + self.to_go.cell_steps, end)):
            stay = math.inf
        return stay

    def _weigh(self, outlook: Outlook, time: int, here: int, leaves: Array) -> tuple[Array, Array]:
        """Cost of each jump from `leaves` without its seam, and the cost to go after it: both (leaves, partners)."""
        config = self.config
        rows = slice(int(leaves[0]), int(leaves[-1]) + 1)
        targets = self.edges.targets[rows]
        times = np.minimum(time + leaves - here, outlook.horizon)
        costs = self.costs[rows] + outlook.playing(times[:, None], targets, outlook.horizon)
        costs = costs + outlook.playing(time, np.full(len(leaves), here), times)[:, None]
        costs += outlook.beyond(targets, times[:, None], here, time)
        costs += self.to_come[np.minimum(targets + outlook.horizon - times[:, None], self.steps - 1)]
        costs += config.reuse * self.uses[rows] - self.urge
        costs += config.forbidden * ((self.uses[rows] >= config.most_uses) | self.last_used[rows])
        if self.seams:
            since = (leaves - self.seams[-1].enter / self.rate) / FEATURES.steps_per_second
            costs += config.soon * np.maximum(0.0, 1.0 - since / config.soon_seconds)[:, None]
        debts = self.debt - self.edges.distances[rows] * self.rate
        after = self._value(debts, targets + self.limits.gap + self.limits.drift)
        if self.own_ending:  # the lag may take up the rest
            ends = self._on_time(debts, self.rate) & self._plays_out(targets)
            after = np.where(ends, config.off_time * np.abs(debts) / self.sample_rate, after)
        return costs, after

    def _best_aligned(self, leaves: Array, costs: Array, after: Array, stay: float) -> Seam | None:
        """Align the most promising jumps until the best one is aligned; None if staying is cheaper."""
        first = int(leaves[0])
        partners = costs.shape[1]
        total = (costs + after + self.seam_costs[first : first + len(leaves)]).ravel()
        done: dict[int, Seam] = {}
        for _ in range(self.config.alignments + 4 * self.config.alignments * (not math.isfinite(stay))):
            best = int(np.argmin(total))
            if total[best] >= stay or best in done or not np.isfinite(total[best]):
                break
            row, partner = divmod(best, partners)
            seam = self._realise(first + row, partner)
            total[best] = np.inf
            if seam is not None:
                debt = self.debt + seam.enter - seam.leave
                value = float(self._value(debt, math.ceil(seam.enter / self.rate) + self.limits.gap))
                total[best] = float(costs[row, partner]) + self.finder.price(seam) + value
                done[best] = seam
        if not done:
            return None
        best = min(done, key=lambda place: float(total[place]))
        if total[best] >= stay:
            return None
        before = done[best].leave - self.position - (self.seams[-1].fade // 2 if self.seams else 0)
        return self.finder.choose_fade(done[best], slide=self.limits.slide, before=before)

    def _realise(self, leave: int, partner: int) -> Seam | None:
        """The seam of an edge on the waveform; with a lag that keeps the duration if the free one would not."""
        seam = self.aligned.get((leave, partner))
        if seam is None:
            seam = self.aligned[leave, partner] = self._align(leave, partner)
            self.seam_costs[leave, partner] = self.finder.price(seam)
        if self.own_ending:
            distance = int(self.edges.distances[leave, partner])
            debt = self.debt + seam.enter - seam.leave
            value = self._value(debt, math.ceil(seam.enter / self.rate) + self.limits.gap)
            aims_at_end = bool(self._on_time(self.debt - distance * self.rate, self.rate))
            aims_at_end &= bool(self._plays_out(seam.enter / self.rate))
            if not np.isfinite(value) or (aims_at_end and not self._on_time(debt)):
                row = round(self.debt / self.rate) - distance
                low, high = (row - 0.45) * self.rate, (row + 0.45) * self.rate
                if aims_at_end:
                    low, high = 2 - self.late, self.early - 2
                offset = self.debt + round((leave - distance) * self.rate) - round(leave * self.rate)
                low, high = max(low - offset, -self.rate), min(high - offset, self.rate)
                if low >= high:
                    return None
                seam = self._align(leave, partner, (math.ceil(low), math.floor(high)))
        halves = seam.fade // 2 + (self.seams[-1].fade // 2 if self.seams else 0)
        return seam if seam.leave - self.position >= halves else None

    def _align(self, leave: int, partner: int, lags: tuple[int, int] | None = None) -> Seam:
        """The seam of an edge; what enters at a beginning is cut there."""
        enter = int(self.edges.targets[leave, partner])
        keeps_place = bool(self.begins[enter] >= BEGINNING)
        sub_lag = self.sub_lags[leave, partner] / FEATURES.frames_per_step
        row, leave, enter = leave, round(leave * self.rate), round(enter * self.rate)
        if lags is None and self.transition_head is not None:
            middle, near = sub_lag * self.rate, LAG_SLACK * self.sample_rate
            lags = (math.ceil(middle - near), math.floor(middle + near))
        seam = self.finder.align(leave, enter, slide=self.limits.slide, keeps_place=keeps_place, lags=lags)
        if self.odds is None or self.heard.pulse < LEAST_PULSE:
            return seam
        agreed = (enter - leave) + sub_lag * self.rate
        return tell_kept(seam, agreed, self.odds[row, partner, :2].tolist(), self.sample_rate)


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
