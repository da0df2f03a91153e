"""From what a chain decides to a plan: drafted part by part, and tried again while a seam exceeds its bounds."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Unpack

from musex import __version__
from musex.audio.song import Song
from musex.config import FEATURES
from musex.errors import DurationError
from musex.planning.arrangement import plan_turns
from musex.planning.chain import Chain
from musex.planning.course import ModelLike, Request
from musex.planning.goals import Goal, join_goals
from musex.planning.layers import plan_swaps
from musex.planning.lengths import NEAREST_SECONDS, nearest_target, phrase_end
from musex.planning.weights import SEARCH, SearchConfig
from musex.planning.wishes import find_unmet, place_goal, place_hits
from musex.plans import Beginning, Part, Plan, PlanModel, PlanSettings, PlanSong, Seam, Span
from musex.seams.bounds import count_exceeded, seams_beyond
from musex.settings import Options, Settings, check_seconds
from musex.system.progress import OnShare

logger = logging.getLogger(__name__)

TOLD_SILENCE_SECONDS = 5.0  # left out of a song without a word: less


def plan_song(
    song: Song,
    model: ModelLike,
    *,
    seconds: float,
    unlike: Sequence[Plan] = (),
    goals: tuple[Goal, ...] = (),
    closing: Seam | None = None,
    on_progress: OnShare | None = None,
    weights: SearchConfig = SEARCH,
    **options: Unpack[Options],
) -> Plan:
    """Plan a version of `song` that lasts `seconds` to the sample; a loop to ±0.1 s, as its end must fit its beginning.

    Args:
        song: the decoded song.
        model: predicts which place should come next.
        seconds: requested duration, longer or shorter than the song.
        unlike: other plans of this song, whose jumps shall be left aside where there are others.
        goals: places that the output shall reach on time, and what is fixed after them.
        closing: of a loop, where that is fixed.
        on_progress: called with the part of the output that is planned, 0 to 1.
        weights: what the search weighs.
        options: the seed, the ending and more; see `Settings`.

    Raises:
        DurationError: the song cannot be played in that duration.
        MusexError: the settings mean nothing, or nothing for this song.
    """
    settings = Settings(**options)
    planner = Planner(
        song, model, seconds=seconds, settings=settings, unlike=unlike, goals=goals, closing=closing, weights=weights
    )
    return planner.finish(on_progress)


@dataclass
class Draft:
    """An output as far as it is decided.

    Attributes:
        start: sample of the song with which it begins.
        stop: sample of the song before which it ends if nothing jumps any more.
        position: sample of the song that would be played next.
        played: samples of the output that are decided.
        seams: between its parts.
    """

    start: int = 0
    stop: int = 0
    position: int = 0
    played: int = 0
    seams: list[Seam] = field(default_factory=list)

    def follow(self, parts: Iterable[Beginning | Part]) -> Iterator[Beginning | Part]:
        """The same parts, each written down before it is handed on."""
        for part in parts:
            if isinstance(part, Beginning):
                self.start = self.position = part.start
                self.stop, self.played, self.seams = part.stop, 0, []
            else:
                self.played += part.stop - part.start
                self.position = part.seam.enter if part.seam else part.stop
                self.seams += [part.seam] if part.seam else []
            yield part

    def ends_whole(self, song: Song, target: int) -> bool:
        """Whether an output of `target` samples ends where the song does, as it looks, and not before."""
        return self.stop == song.frames and target - self.played >= self.stop - self.position


class Planner:
    """Plans one output, from as far as it is decided."""

    def __init__(
        self,
        song: Song,
        model: ModelLike,
        *,
        seconds: float,
        settings: Settings,
        unlike: Sequence[Plan] = (),
        goals: tuple[Goal, ...] = (),
        closing: Seam | None = None,
        weights: SearchConfig = SEARCH,
    ) -> None:
        """Analyse the song, and predict nothing yet; arguments and errors as in `plan_song`.

        What is fixed beforehand are the `goals` and the `closing` seam of a loop; hit points are added to them.
        """
        check_seconds(seconds)
        self.seconds, target = seconds, round(seconds * song.sample_rate)
        request = Request(song, model, target, settings, weights.at(settings.novelty), unlike, goals, closing)
        if settings.hits:
            request = replace(request, goals=join_goals(goals, place_hits(request), song.sample_rate))
        self.asked = request.target  # samples
        if settings.nearest and not request.as_it_is:
            further = request.target + round(NEAREST_SECONDS * song.sample_rate)
            request = replace(request, target=nearest_target(request) if request.own_ending else further)
        self._ask(request)
        if not self.request.as_it_is:
            self.request.check()
            self._tell_silence()

    def _ask(self, request: Request) -> None:
        """Begin anew, with nothing decided."""
        self.request = request
        self.chain, self.draft = Chain(request), Draft()
        self.parts = self.draft.follow(self.chain.parts())

    def _tell_silence(self) -> None:
        """Tell of silence that is left out, with the first of several plans."""
        request = self.request
        silent = sum(stop - start for start, stop in request.silences) / FEATURES.steps_per_second
        if silent >= TOLD_SILENCE_SECONDS and not request.unlike:
            logger.warning(f"{silent:.0f} of {request.song.seconds:.0f} s of the song are silence: left out")

    @property
    def done(self) -> float:
        """How much of the output is decided, 0 to 1."""
        return min(1.0, self.draft.played / self.request.target)

    def finish(self, on_progress: OnShare | None = None) -> Plan:
        """Decide what is left to be decided; the plan.

        While a seam exceeds its bounds, all is decided anew without such seams, and of all plans the best one counts.
        """
        report = on_progress or (lambda done: None)
        for _ in self.parts:
            report(self.done)
        report(1.0)
        if self.request.settings.nearest and not self.request.own_ending:
            self._end_phrase()
        while (wanted := find_unmet(self.drafted(), self.request)) is not None:
            self._ask(replace(self.request, goals=place_goal(self.request, wanted)))
            for _ in self.parts:
                pass
        plans, shunned = [self.drafted()], list[Seam]()
        tries = 1 if self.request.as_it_is else self.request.weights.tries
        while len(plans) < tries and (beyond := self._beyond(plans[-1])):
            shunned += beyond
            logger.info(f"plan {len(plans)} has {len(beyond)} seams beyond the bounds: trying another")
            try:
                for _ in self.draft.follow(self.chain.parts(shunned=shunned)):
                    pass
            except DurationError:
                break
            plans.append(self.drafted())
        plan, settings = replace(min(plans, key=count_exceeded), tries=len(plans)), self.request.settings
        if settings.layers != "off":
            swaps = plan_swaps(plan, self.request.song, always=settings.layers == "on", seed=settings.seed)
            plan = replace(plan, swaps=swaps)
        if settings.arrange != "off":
            turns = plan_turns(plan, self.request.song, mode=settings.arrange, seed=settings.seed)
            plan = replace(plan, turns=turns)
        return plan

    def _end_phrase(self) -> None:
        """Leave out what was decided beyond the phrase that ends nearest to what was asked for."""
        asked = replace(self.request, target=self.asked)
        end = phrase_end(self.drafted(), asked)
        self.request, self.draft.played = replace(asked, target=end), end
        self.draft.seams = [seam for seam in self.draft.seams if seam.at + seam.fade // 2 < end]

    def _beyond(self, plan: Plan) -> list[Seam]:
        """The seams of a plan that exceed a bound and could be others."""
        fixed = {(seam.leave, seam.enter) for goal in self.request.goals for seam in goal.seams}
        return [seam for seam in seams_beyond(plan) if (seam.leave, seam.enter) not in fixed]

    def drafted(self) -> Plan:
        """The plan, without layers and turns, of what is decided."""
        request, draft, length, rest = self.request, self.draft, self.draft.played, 0
        if request.settings.ending != "loop":  # the last ring, or silence after it, takes up what jumps cannot
            rest, length = max(0, request.target - length), min(length, request.target)
        between = draft.seams[:-1] if request.settings.ending == "loop" else draft.seams
        starts = [draft.start, *(seam.enter for seam in between)]
        borders = [0, *(seam.at for seam in between), length]
        spans = (Span(start, start + stop - at) for start, (at, stop) in zip(starts, pairwise(borders), strict=True))
        return Plan(
            seconds=(length + rest) / request.song.sample_rate,
            song=describe_song(request.song),
            model=PlanModel(request.model.name, request.model.sha256),
            settings=PlanSettings.of(request.settings, self.seconds),
            spans=tuple(spans),
            seams=tuple(draft.seams),
            predictions=self.chain.predictions,
            rest=rest,
            musex=__version__,
        )


def describe_song(song: Song) -> PlanSong:
    """What a plan says of its song."""
    path = str(song.path) if song.path else None
    return PlanSong(path, song.sha256, song.sample_rate, song.frames, song.channels, song.stream)
