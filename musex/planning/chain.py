"""Predict, choose, play, predict again: the chain that plans an output of a requested duration.

Each horizon of 10 s is predicted from the last 20 s that were played. Within it the path search decides, one at a
time, whether to stay or to jump; a jump that is taken gets its exact place on the waveform at once, so that the rest is
planned from exact samples.
"""

import logging
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, Unpack

import numpy as np

from musex import __version__
from musex.config import FEATURES, PointerConfig
from musex.errors import DurationError
from musex.planning.layers import plan_swaps
from musex.planning.outlook import Outlook, look_ahead, look_back
from musex.planning.path import PathSearch
from musex.planning.transitions import TransitionHeadLike
from musex.planning.weights import SEARCH, SearchConfig
from musex.plans import NamedSong, Plan, Seam, SongLike, Span, describe_song
from musex.prediction.join_head import JoinHead
from musex.seams.bounds import count_exceeded, seams_beyond
from musex.settings import Options, Settings, check_seconds

Array = np.ndarray
logger = logging.getLogger(__name__)

TOLD_SILENCE_SECONDS = 5.0  # left out of a song without a word: less
APART_STEPS = 150  # around what is being played, which the pointer does not see: as in its training


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
    def config(self) -> PointerConfig: ...
    @property
    def join_head(self) -> JoinHead | None: ...
    @property
    def transition_head(self) -> TransitionHeadLike | None: ...
    def listen(self, features: Array) -> Any: ...
    def predict(self, memory: Any, context: Array, *, apart: int) -> PredictionLike: ...


def plan_song(
    song: NamedSong,
    model: ModelLike,
    *,
    seconds: float,
    unlike: Sequence[Plan] = (),
    on_progress: Callable[[float], None] | None = None,
    config: SearchConfig = SEARCH,
    **options: Unpack[Options],
) -> Plan:
    """Plan a version of `song` that lasts `seconds` to the sample; a loop to ±0.1 s, as its end must fit its beginning.

    Args:
        song: the decoded song.
        model: predicts which place should come next.
        seconds: requested duration, longer or shorter than the song.
        unlike: other plans of this song, whose jumps shall be left aside where there are others.
        on_progress: called with the part of the output that is planned, 0 to 1.
        config: what the search weighs.
        options: the seed, the ending and more; see `Settings`.

    Raises:
        DurationError: the song cannot be played in that duration.
        MusexError: the settings mean nothing, or nothing for this song.
    """
    settings = Settings(**options)
    chain = begin_chain(song, model, seconds=seconds, settings=settings, unlike=unlike, config=config)
    return plan_chain(chain, song, model, seconds=seconds, settings=settings, on_progress=on_progress)


def begin_chain(
    song: NamedSong,
    model: ModelLike,
    *,
    seconds: float,
    settings: Settings,
    unlike: Sequence[Plan] = (),
    config: SearchConfig = SEARCH,
) -> "Chain | None":
    """The chain of a plan, before its first prediction; None where the song is played as it is. As `plan_song`."""
    check_seconds(seconds)
    target = round(seconds * song.sample_rate)
    as_it_is = abs(len(song.samples) - target) <= config.tolerance_seconds * song.sample_rate
    if as_it_is and not settings.avoid and settings.ending != "loop":
        return None
    path = begin_path(song, model, target=target, settings=settings, unlike=unlike, config=config.at(settings.novelty))
    silent = sum(stop - start for start, stop in path.silences) / FEATURES.steps_per_second
    if silent >= TOLD_SILENCE_SECONDS and not unlike:  # told with the first of several plans
        logger.warning(
            f"{silent:.0f} of {len(song.samples) / song.sample_rate:.0f} s of the song are silence: left out"
        )
    return Chain(path, model)


def begin_path(
    song: SongLike,
    model: ModelLike,
    *,
    target: int,
    settings: Settings,
    config: SearchConfig,
    unlike: Sequence[Plan] = (),
) -> PathSearch:
    """The path of an output of `target` samples, by the heads and sizes of a model; the rest as `plan_song`."""
    return PathSearch(
        song,
        model.join_head,
        model.transition_head,
        context_steps=model.config.context_steps,
        target=target,
        settings=settings,
        unlike=unlike,
        config=config,
    )


def plan_chain(
    chain: "Chain | None",
    song: NamedSong,
    model: ModelLike,
    *,
    seconds: float,
    settings: Settings,
    on_progress: Callable[[float], None] | None = None,
) -> Plan:
    """Grow a chain to its end, from as far as it is; its plan. None is the song as it is.

    While a seam exceeds its bounds, it is grown anew without such seams, and of all plans the best one counts.
    """
    report = on_progress or (lambda done: None)
    if chain:
        for _ in chain.growth:
            report(chain.done)
    report(1.0)
    plans = [plan_of(chain, song, model, seconds=seconds, settings=settings)]
    while chain and len(plans) < chain.path.config.tries and (beyond := seams_beyond(plans[-1])):
        chain.path.shun(beyond)
        logger.info(f"plan {len(plans)} has {len(beyond)} seams beyond the bounds: trying another")
        try:
            for _ in chain.grow():
                pass
        except DurationError:
            break
        plans.append(plan_of(chain, song, model, seconds=seconds, settings=settings))
    plan = replace(min(plans, key=count_exceeded), tries=len(plans))
    if settings.layers != "off":
        swaps = plan_swaps(plan, song, always=settings.layers == "on", seed=settings.seed)
        plan = replace(plan, swaps=swaps)
    return plan


def plan_of(chain: "Chain | None", song: NamedSong, model: ModelLike, *, seconds: float, settings: Settings) -> Plan:
    """The plan, without layers, of a chain that has grown to its end; None is the song as it is."""
    start, length, predictions = 0, len(song.samples), 0
    seams: tuple[Seam, ...] = ()
    target = round(seconds * song.sample_rate)
    if chain:
        path = chain.path
        start, length, predictions = path.start, path.played, chain.predictions
        closing = [replace(path.closing, at=length)] if path.closing else []
        seams = (*path.seams, *closing)
    rest = 0
    if settings.ending == "outro":  # the last ring, or silence after it, takes up what jumps cannot
        rest, length = max(0, target - length), min(length, target)
    return Plan(
        seconds=(length + rest) / song.sample_rate,
        song=describe_song(song),
        model={"name": model.name, "sha256": model.sha256},
        settings={**settings.to_dict(), "requested_seconds": seconds},
        spans=_spans(start, seams[: len(seams) - (settings.ending == "loop")], length),
        seams=seams,
        predictions=predictions,
        rest=rest,
        musex=__version__,
    )


def _spans(start: int, seams: tuple[Seam, ...], length: int) -> tuple[Span, ...]:
    """The spans between seams, of an output of `length` samples that begins with the song's sample `start`."""
    starts = [start, *(seam.enter for seam in seams)]
    played = seams[-1].at if seams else 0
    stops = [*(seam.leave for seam in seams), starts[-1] + length - played]
    return tuple(Span(start, stop) for start, stop in zip(starts, stops, strict=True))


class Chain:
    """Predictions made one after another, each after what the path played of those before."""

    def __init__(self, path: PathSearch, model: ModelLike, *, longest: int | None = None) -> None:
        """Begin a chain whose predictions are used for at most `longest` steps each; without it the whole horizon."""
        self.path, self.model = path, model
        self.longest = min(longest or model.config.horizon_steps, model.config.horizon_steps)
        self.memory = model.listen(path.features)
        self.predictions = 0
        self.attempts = 0  # paths begun
        self.growth = self.grow()  # whoever takes it on goes on where it was left

    @property
    def done(self) -> float:
        """How much of the output is planned, 0 to 1."""
        return min(1.0, self.path.played / self.path.target)

    def grow(self) -> Iterator[None]:
        """Plan the output under the strictest limits that reach the duration, a horizon at a time.

        Begins anew where a path runs into the song's end too early. Raises DurationError if none reaches it.
        """
        path = self.path
        for limits in path.limits_to_try():
            first, last = (step / FEATURES.steps_per_second for step in (limits.first_enter, limits.last))
            logger.info(f"looking for jumps into {first:.1f} to {last:.1f} s of the song")
            for _ in path.enter(limits):
                if not path.begin():
                    continue
                self.attempts += 1
                if (yield from self._predict_on()):
                    return
        length, target = len(path.samples) / path.sample_rate, path.target / path.sample_rate
        if path.settings.avoid or path.material.keep != (0, path.steps):
            raise DurationError(
                f"this song of {length:.1f} s cannot be played in {target:.1f} s with only what is kept and not "
                "avoided; keep more of it, avoid less, or ask for another duration"
            )
        if path.settings.ending == "loop":
            raise DurationError(
                f"this song of {length:.1f} s has no loop of {target:.1f} s; ask for another duration, or for "
                "another ending than loop"
            )
        raise DurationError(
            f"this song of {length:.1f} s cannot be played in {target:.1f} s with its own start and ending; "
            "ask for a longer duration"
        )

    def _predict_on(self) -> Generator[None, None, bool]:
        """Chain predictions until the output is planned; False if it runs into the song's end at the wrong time."""
        path = self.path
        self.predictions = 0
        while (left := path.left()) > 0:
            horizon = min(self.longest, math.ceil(left / path.rate))
            unwanted = path.unwanted()
            outlook = look_back(unwanted, horizon)
            if path.is_tempted(outlook):
                outlook = self._predict(horizon, unwanted)
            time = 0
            while time < horizon:
                seam = path.choose(outlook, time)
                if seam is None:
                    path.play(min(path.left(), round((horizon - time) * path.rate)))
                    break
                time += max(1, round((seam.leave - path.position) / path.rate))
                path.play(seam.leave - path.position)
                path.take(seam)
                leave, enter, at = (place / path.sample_rate for place in (seam.leave, seam.enter, path.played))
                logger.info(
                    f"at {at:.1f} s: from {leave:.1f} s on to {enter:.1f} s, correlation {seam.correlation:.2f}"
                )
            if path.position > path.stop or not path.clean:
                return False
            yield
        return path.arrived

    def _predict(self, horizon: int, unwanted: Array) -> Outlook:
        """Ask the model what should come after what was just played, other than what simply follows it."""
        path = self.path
        pointer = self.model.predict(self.memory, path.context, apart=APART_STEPS).pointer[:horizon]
        self.predictions += 1
        weight, cap = path.config.pointer, path.config.pointer_cap
        here = min(round(path.position / path.rate), path.steps)
        return look_ahead(pointer, unwanted, here=here, weight=weight, cap=cap)
