"""An output that is heard while it is planned: each part is rendered as soon as it is decided."""

import logging
from collections.abc import Iterable, Iterator
from typing import Unpack

from musex.audio.song import Samples, Song
from musex.errors import MusexError
from musex.planning.course import ModelLike
from musex.planning.planner import Planner
from musex.plans import Beginning, Part
from musex.prediction.model import WaveformModel
from musex.rendering.generative import continue_song
from musex.rendering.levels import level_plan, separate_for
from musex.rendering.stitch import BegunAnewError, fade_lengths, pieces, play, render, to_length
from musex.seams.bounds import exceeded
from musex.settings import Options, Settings, check_seconds

logger = logging.getLogger(__name__)


def stream_song(
    song: Song, model: ModelLike | WaveformModel, *, seconds: float, **options: Unpack[Options]
) -> Iterator[Samples]:
    """Play a song for `seconds` as `musex.extend` does, without planning all of it first.

    With a mix or an arrangement it is planned first, nevertheless: how loud it becomes is known at its end.

    Returns:
        float32 blocks (frames, channels) of about a second, made as they are taken, in constant memory.

    Raises:
        MusexError: as `plan_song`, at the first block; or the ending is "loop", whose beginning depends on its end, or
            layers are "on", which are planned over the whole output ("auto" leaves them out).
    """
    check_seconds(seconds)
    settings = Settings(**options)
    if settings.ending == "loop":
        raise MusexError("a loop cannot be streamed: its beginning depends on its end; write it to a file")
    if settings.layers == "on":
        raise MusexError("layers cannot be streamed: they are planned over the whole output; write it to a file")
    if isinstance(model, WaveformModel):
        return continue_song(song, model, seconds=seconds, settings=settings)[1]
    planner = Planner(song, model, seconds=seconds, settings=settings)
    if settings.must or settings.require or settings.nearest or settings.changes or settings.arrange != "off":
        separate_for(settings.changes, song, always=settings.arrange != "off")
        return render(level_plan(planner.finish(), song), song)
    return _play_sound(until_void(pieces(song.samples, planner.parts)), planner)


def is_streamed_alike(planner: Planner) -> bool:
    """Whether what is streamed of a plan is to the sample what the plan renders, whatever is decided."""
    settings = planner.request.settings
    changed = settings.layers != "off" or settings.arrange != "off" or bool(settings.changes)
    changed |= bool(settings.must or settings.require or settings.nearest)  # which are looked for in a whole plan
    return not planner.request.as_it_is and settings.ending != "loop" and not changed


def stream_plan(planner: Planner) -> Iterator[Samples]:
    """Play a plan while it is made; blocks as `stream_song` gives them.

    Raises:
        BegunAnewError: what was played is void, or a seam exceeds its bounds, so that another try may be better.
    """
    parts = _within_bounds(planner.parts) if planner.request.weights.tries > 1 else planner.parts
    return _play_sound(pieces(planner.request.song.samples, parts), planner)


def _play_sound(sound: Iterable[Samples], planner: Planner) -> Iterator[Samples]:
    """The sound of a planner's parts as blocks of about a second with the output's own fades.

    It is as long as was asked for; where it ends before, silence follows.
    """
    request, draft = planner.request, planner.draft
    song, target, ending = request.song, request.target, request.settings.ending

    def fades() -> tuple[int, int]:
        to_end = draft.ends_whole(song, target)  # else the last ring is cut off
        return fade_lengths(ending, song.sample_rate, target, from_start=draft.start == 0, to_end=to_end)

    return play(to_length(sound, target), song, frames=target, fades=fades)


def until_void(sound: Iterable[Samples]) -> Iterator[Samples]:
    """Sound until what was played of it is void: nobody can take it back. The log says so."""
    try:
        yield from sound
    except BegunAnewError:
        logger.warning("the stream ends early: this song cannot be played on to the duration asked for")


def _within_bounds(parts: Iterable[Beginning | Part]) -> Iterator[Beginning | Part]:
    for part in parts:
        if isinstance(part, Part) and part.seam and exceeded(part.seam):
            raise BegunAnewError
        yield part
