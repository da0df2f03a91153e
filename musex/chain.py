"""Predict, choose, play, predict again: the chain that plans an output of a requested duration.

Each horizon of 10 s is predicted from the last 20 s that were played. Within it one decision is made at a time: stay,
or take one of the jumps ahead, weighed by what the pointer expects, by how the seam would sound, by what was heard
lately, and by the cost-to-go table, which knows every later jump. A jump that is taken gets its exact place on the
waveform at once, so that the rest is planned from exact samples.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from musex.alignment import align_seam, flux_reference
from musex.config import FEATURES, LONGEST_OUTPUT_SECONDS, PointerConfig
from musex.errors import DurationError, MusexError
from musex.features import analyse
from musex.joins import JoinHeadLike, seam_log_odds
from musex.outlook import Outlook, look_ahead
from musex.plans import Plan, Seam, Span
from musex.seams import CostToGo, Limits, find_edges, find_region, limits_ladder
from musex.stitch import FADE_OUT_SECONDS, SongLike

Array = np.ndarray


@dataclass(frozen=True)
class SearchConfig:
    """What the search weighs; costs are without unit, a plain good jump costs about 1."""

    tolerance_seconds: float = 0.09  # of the output's duration
    jump: float = 0.5  # any jump
    likeness: float = 2.0  # times the edge's cost: how unlike both sides sound
    back: float = 1.0  # hearing again what was heard just now …
    back_seconds: float = 40.0  # … fading with how long ago
    pointer: float = 1.0  # a horizon that the pointer does not expect at all
    pointer_cap: float = 8.0  # nats below the best place that count as not at all
    heard: float = 0.6  # a horizon that was heard just before, once
    heard_again: float = 2.0  # and what is above half of that: more than once
    heard_seconds: float = 40.0  # fading with how long ago
    brief: float = 1.0  # a jump right at the start, or to right before the ending …
    brief_seconds: float = 8.0  # … fading until this far from it (a sixth of a song at most)
    first_jump_seconds: float = 0.0  # no jump before the song has been played so far
    soon: float = 1.0  # a jump right after another …
    soon_seconds: float = 8.0  # … fading until this long after it
    reuse: float = 0.7  # each use of an edge (or one beside it) before
    most_uses: int = 4
    beside_steps: int = 10  # edges this near, of the same distance, count as the same
    forbidden: float = 50.0  # finite: taken where nothing else reaches the end
    disagreement: float = 0.5  # a seam whose sides do not correlate at all
    rhythm: float = 0.03  # each millisecond between both sides' attacks
    level: float = 0.12  # each dB of level step above 1
    flux: float = 0.04  # each percent of flux above the 80th
    join: float = 0.15  # each nat by which the join head takes a seam for a splice …
    join_cap: float = 4.0  # … up to so many
    expected_seam: float = 0.4  # the five above, before the seam is aligned
    alignments: int = 8  # tried for one decision
    noise: float = 0.06  # scale of the seed's Gumbel noise on each edge


SEARCH = SearchConfig()


class PredictionLike(Protocol):
    """One horizon, as a model says it."""

    @property
    def pointer(self) -> Array: ...


class ModelLike(Protocol):
    """What the chain needs of a model."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def join_head(self) -> JoinHeadLike | None: ...
    def listen(self, features: Array) -> Any: ...
    def predict(self, memory: Any, context: Array) -> PredictionLike: ...


class NamedSong(SongLike, Protocol):
    """A song that knows where it came from."""

    @property
    def path(self) -> Path | None: ...


def plan_song(
    song: NamedSong,
    model: ModelLike,
    *,
    seconds: float,
    seed: int = 0,
    ending: str = "outro",
    on_progress: Callable[[float], None] | None = None,
    config: SearchConfig = SEARCH,
) -> Plan:
    """Plan a version of `song` that lasts `seconds`, to ±0.1 s.

    Args:
        song: the decoded song.
        model: predicts which place should come next.
        seconds: requested duration, longer or shorter than the song.
        seed: varies the choice among jumps that are about as good.
        ending: "outro" for the song's own ending, "fade" or "cut" at the duration.
        on_progress: called with the part of the output that is planned, 0 to 1.
        config: what the search weighs.

    Raises:
        DurationError: the song cannot be played in that duration.
        MusexError: the ending is unknown or not built yet.
    """
    if ending not in FADE_OUT_SECONDS:
        known = ", ".join(FADE_OUT_SECONDS)
        raise MusexError(f"the ending {ending!r} is not available; musex has {known}")
    if not 0.0 < seconds <= LONGEST_OUTPUT_SECONDS:
        raise DurationError(f"a duration of {seconds} s is out of range: above 0, up to {LONGEST_OUTPUT_SECONDS:.0f} s")
    frames, channels = song.samples.shape
    target = round(seconds * song.sample_rate)
    seams: tuple[Seam, ...] = ()
    length, predictions = frames, 0
    if abs(frames - target) > config.tolerance_seconds * song.sample_rate:
        chain = _Chain(song, model, target=target, seed=seed, ending=ending, config=config)
        chain.run(on_progress)
        seams, length, predictions = tuple(chain.seams), chain.played, chain.predictions
    if on_progress:
        on_progress(1.0)
    return Plan(
        seconds=length / song.sample_rate,
        song={
            "path": str(song.path) if song.path else None,
            "sha256": song.sha256,
            "sample_rate": song.sample_rate,
            "frames": frames,
            "channels": channels,
        },
        model={"name": model.name, "sha256": model.sha256},
        settings={"seed": seed, "ending": ending, "requested_seconds": seconds},
        spans=_spans(seams, length),
        seams=seams,
        predictions=predictions,
    )


def _spans(seams: tuple[Seam, ...], length: int) -> tuple[Span, ...]:
    """The spans between seams, from the song's start to an output of `length` samples."""
    starts = [0, *(seam.enter for seam in seams)]
    played = seams[-1].at if seams else 0
    stops = [*(seam.leave for seam in seams), starts[-1] + length - played]
    return tuple(Span(start, stop) for start, stop in zip(starts, stops, strict=True))


class _Chain:
    """The state of one plan while it grows; positions in samples of the song unless they say steps."""

    def __init__(
        self, song: NamedSong, model: ModelLike, *, target: int, seed: int, ending: str, config: SearchConfig
    ) -> None:
        self.samples, self.sample_rate = song.samples, song.sample_rate
        self.model, self.target, self.config = model, target, config
        self.rate = song.sample_rate / FEATURES.steps_per_second  # samples per step
        self.tolerance = config.tolerance_seconds * song.sample_rate
        features = analyse(song.samples, song.sample_rate)
        self.steps = len(features)
        self.memory = model.listen(features)
        self.own_ending = ending == "outro"
        self.features, self.region, self.seed = features, find_region(features), seed
        stop = len(song.samples) if self.own_ending else round(self.region.stop * self.rate)
        self.stop = min(len(song.samples), stop)
        self.reference = flux_reference(song.samples, song.sample_rate)

    @property
    def debt(self) -> int:
        """Samples to be played more than the song still has."""
        return self.target - self.played - (self.stop - self.position)

    def run(self, on_progress: Callable[[float], None] | None) -> None:
        """Plan the output under the strictest limits that reach the duration."""
        for limits in limits_ladder(self.region, self.steps):
            if limits.usable > limits.distance and self._start(limits) and self._chain(on_progress):
                return
        raise DurationError(
            f"this song of {len(self.samples) / self.sample_rate:.1f} s cannot be played in "
            f"{self.target / self.sample_rate:.1f} s with its own start and ending; ask for a longer duration"
        )

    def _start(self, limits: Limits) -> bool:
        """Find the edges that `limits` allow and begin anew; False if the duration cannot be reached with them."""
        config = self.config
        self.position = self.played = self.predictions = 0
        self.seams: list[Seam] = []
        self.aligned: dict[tuple[int, int], Seam] = {}
        self.priced: dict[Seam, float] = {}
        self.heat = np.zeros(self.steps)
        self.context = np.zeros(0, np.int64)
        self.limits, self.edges = limits, find_edges(self.features, limits)
        distances = self.edges.distances
        recent = np.exp(-np.abs(distances) / (config.back_seconds * FEATURES.steps_per_second))
        noise = np.random.default_rng(self.seed).gumbel(size=distances.shape) * config.noise
        costs = config.jump + config.likeness * self.edges.costs - noise
        costs += np.where(distances > 0, config.back * recent, 0.0)
        brief = min(config.brief_seconds * FEATURES.steps_per_second, self.steps / 6)
        costs += config.brief * np.maximum(0.0, 1.0 - np.arange(self.steps) / brief)[:, None]
        costs += config.brief * np.maximum(0.0, 1.0 - (self.steps - self.edges.targets) / brief)
        self.costs = np.maximum(costs, 0.1).astype(np.float32)
        self.uses = np.zeros(costs.shape, np.int16)
        self.last_used = np.zeros(costs.shape, bool)
        self.seam_costs = np.full(costs.shape, config.expected_seam, np.float32)
        debt = round(self.debt / self.rate)
        table_costs = self.costs + self.seam_costs
        self.to_go = CostToGo(self.edges, table_costs, limits, debt=debt, may_overrun=not self.own_ending)
        return self.to_go.reaches(debt)

    def _chain(self, on_progress: Callable[[float], None] | None) -> bool:
        """Chain predictions until the output is planned; False if the path runs into the song's end too early."""
        most = PointerConfig().horizon_steps
        while (left := self._left()) > 0:
            horizon = min(most, math.ceil(left / self.rate))
            outlook = self._predict(horizon)
            time = 0
            while time < horizon:
                seam = self._choose(outlook, time)
                if seam is None:
                    self._play(min(self._left(), round((horizon - time) * self.rate)))
                    break
                time += max(1, round((seam.leave - self.position) / self.rate))
                self._play(seam.leave - self.position)
                self._take(seam)
            if self.position > self.stop:
                return False
            if on_progress:
                on_progress(min(1.0, self.played / self.target))
        return True

    def _left(self) -> int:
        """Samples still to be played: to the song's end if that is on time, else to the duration."""
        if self.own_ending and abs(self.debt) <= self.tolerance:
            return self.stop - self.position
        return self.target - self.played

    def _step(self, position: float) -> int:
        return min(round(position / self.rate), self.steps)

    def _predict(self, horizon: int) -> Outlook:
        """Ask the model what should come after what was just played."""
        pointer = self.model.predict(self.memory, self.context).pointer[:horizon]
        self.predictions += 1
        config = self.config
        heard = config.heard * self.heat + config.heard_again * np.maximum(self.heat - 0.5, 0.0)
        return look_ahead(pointer, heard, weight=config.pointer, cap=config.pointer_cap)

    def _play(self, frames: int) -> None:
        """Play on without a cut, and remember it."""
        start, stop = self._step(self.position), self._step(self.position + frames)
        self.heat *= math.exp(-frames / (self.config.heard_seconds * self.sample_rate))
        self.heat[start:stop] += 1.0
        self.context = np.concatenate([self.context, np.arange(start, stop)])[-PointerConfig().context_steps :]
        self.position += frames
        self.played += frames

    def _take(self, seam: Seam) -> None:
        """Jump, and count the edge and those beside it as used."""
        leave, distance = self._step(seam.leave), (seam.leave - seam.enter) / self.rate
        beside = self.config.beside_steps
        rows = slice(max(0, leave - beside), leave + beside + 1)
        same = np.abs(self.edges.distances[rows] - distance) <= 2.5
        self.uses[rows] += same
        self.last_used[:] = False
        self.last_used[rows] = same
        self.position = seam.enter
        self.seams.append(replace(seam, at=self.played))

    def _value(self, debts: Array | float, positions: Array | int) -> Array:
        """Cost-to-go at debts in samples and positions in steps; a debt within the tolerance is none."""
        debts = np.asarray(debts)
        rows = np.rint(debts / self.rate).astype(np.int64)
        if self.own_ending:
            rows = np.where(np.abs(debts) <= self.tolerance, 0, rows)
        return self.to_go(rows, np.asarray(positions))

    def _choose(self, outlook: Outlook, time: int) -> Seam | None:
        """The next jump within this horizon, aligned, or None to stay until its end."""
        here, left = self._step(self.position), outlook.horizon - time
        drift = self.limits.drift
        after = self._value(self.debt, min(here + left + drift, self.steps))
        stay = float(outlook.playing(time, min(here, self.steps), outlook.horizon) + after)
        ready = math.ceil(self.seams[-1].enter / self.rate) + self.limits.gap if self.seams else 0
        first = max(ready, here + drift, self.limits.first_leave)
        if not self.seams:
            first = max(first, round(self.config.first_jump_seconds * FEATURES.steps_per_second))
        last = min(here + left + drift - 1, self.limits.last, self.steps - 1)
        if not self.own_ending:
            last = min(last, here + int((self.target - self.played) / self.rate) - self.limits.gap)
        if first > last or (not self.seams and self.debt == 0):
            return None
        leaves = np.arange(first, last + 1)
        costs, after = self._weigh(outlook, time, here, leaves)
        return self._best_aligned(leaves, costs, after, stay)

    def _weigh(self, outlook: Outlook, time: int, here: int, leaves: Array) -> tuple[Array, Array]:
        """Cost of each jump from `leaves` without its seam, and the cost to go after it: both (leaves, partners)."""
        config = self.config
        rows = slice(int(leaves[0]), int(leaves[-1]) + 1)
        targets = self.edges.targets[rows]
        times = np.minimum(time + leaves - here, outlook.horizon)
        costs = self.costs[rows] + outlook.playing(times[:, None], targets, outlook.horizon)
        costs = costs + outlook.playing(time, np.full(len(leaves), here), times)[:, None]
        costs += outlook.beyond(targets, times[:, None], here, time)
        costs += config.reuse * self.uses[rows]
        costs += config.forbidden * ((self.uses[rows] >= config.most_uses) | self.last_used[rows])
        if self.seams:
            since = (leaves - self.seams[-1].enter / self.rate) / FEATURES.steps_per_second
            costs += config.soon * np.maximum(0.0, 1.0 - since / config.soon_seconds)[:, None]
        debts = self.debt - self.edges.distances[rows] * self.rate
        after = self._value(debts, targets + self.limits.gap + self.limits.drift)
        if self.own_ending:  # the lag may take up the rest
            after = np.where(np.abs(debts) <= self.tolerance + self.rate, 0.0, after)
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
                total[best] = float(costs[row, partner]) + self._seam_cost(seam) + value
                done[best] = seam
        if not done:
            return None
        best = min(done, key=lambda place: float(total[place]))
        return done[best] if total[best] < stay else None

    def _realise(self, leave: int, partner: int) -> Seam | None:
        """The seam of an edge on the waveform; with a lag that keeps the duration if the free one would not."""
        seam = self.aligned.get((leave, partner))
        if seam is None:
            seam = self.aligned[leave, partner] = self._align(leave, partner, None)
            self.seam_costs[leave, partner] = self._seam_cost(seam)
        if self.own_ending:
            distance = int(self.edges.distances[leave, partner])
            debt = self.debt + seam.enter - seam.leave
            value = self._value(debt, math.ceil(seam.enter / self.rate) + self.limits.gap)
            aims_at_end = abs(self.debt - distance * self.rate) <= self.tolerance + self.rate
            if not np.isfinite(value) or (aims_at_end and abs(debt) > self.tolerance):
                row = round(self.debt / self.rate) - distance
                middle, width = (0.0, self.tolerance - 2) if aims_at_end else (row * self.rate, 0.45 * self.rate)
                base = round((leave - distance) * self.rate) - round(leave * self.rate)
                offset = middle - self.debt - base
                seam = self._align(leave, partner, (math.ceil(offset - width), math.floor(offset + width)))
        halves = seam.fade // 2 + (self.seams[-1].fade // 2 if self.seams else 0)
        return seam if seam.leave - self.position >= halves else None

    def _align(self, leave: int, partner: int, lags: tuple[int, int] | None) -> Seam:
        return align_seam(
            self.samples,
            self.sample_rate,
            round(leave * self.rate),
            round(int(self.edges.targets[leave, partner]) * self.rate),
            lags=lags,
            slide=self.limits.slide,
            reference=self.reference,
        )

    def _seam_cost(self, seam: Seam) -> float:
        """How badly a seam joins, by its measures and by the join head."""
        if seam not in self.priced:
            self.priced[seam] = self._price(seam)
        return self.priced[seam]

    def _price(self, seam: Seam) -> float:
        config, head = self.config, self.model.join_head
        odds = seam_log_odds(head, self.samples, self.sample_rate, seam) if head else 0.0
        return (
            config.join * min(max(-odds, 0.0), config.join_cap)
            + config.disagreement * (1.0 - max(seam.correlation, 0.0))
            + config.rhythm * min(seam.rhythm_ms, 50.0)
            + config.level * min(max(abs(seam.level_db) - 1.0, 0.0), 12.0)
            + config.flux * max(seam.flux_percentile - 80.0, 0.0)
        )
