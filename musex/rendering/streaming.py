"""An output that is heard while it is planned: each part is rendered as soon as it is decided."""

import logging
from collections.abc import Iterable, Iterator
from typing import Unpack

from musex.audio.song import Samples, Song
from musex.errors import MusexError
from musex.planning.course import ModelLike
from musex.planning.planner import Draft, Planner
from musex.plans import Beginning, Part
from musex.prediction.model import WaveformModel
from musex.rendering.generative import continue_song
from musex.rendering.stitch import BegunAnewError, fade_lengths, pieces, play, to_length
from musex.seams.bounds import exceeded
from musex.settings import Options, Settings, check_seconds

logger = logging.getLogger(__name__)


def stream_song(
    song: Song, model: ModelLike | WaveformModel, *, seconds: float, **options: Unpack[Options]
) -> Iterator[Samples]:
    """Play a song for `seconds` as `musex.extend` does, without planning all of it first.

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
    return _until_void(play_parts(planner.parts, planner.draft, song, target=planner.request.target, settings=settings))


def is_streamed_alike(planner: Planner) -> bool:
    """Whether what is streamed of a plan is to the sample what the plan renders, whatever is decided."""
    request = planner.request
    return not request.as_it_is and request.settings.layers == "off" and request.settings.ending != "loop"


def stream_plan(planner: Planner) -> Iterator[Samples]:
    """Play a plan while it is made; blocks as `stream_song` gives them.

    Raises:
        BegunAnewError: what was played is void, or a seam exceeds its bounds, so that another try may be better.
    """
    request = planner.request
    parts = _within_bounds(planner.parts) if request.weights.tries > 1 else planner.parts
    return play_parts(parts, planner.draft, request.song, target=request.target, settings=request.settings)


def play_parts(
    parts: Iterable[Beginning | Part], draft: Draft, song: Song, *, target: int, settings: Settings
) -> Iterator[Samples]:
    """Parts as blocks of about a second, `target` samples in all, with the output's own fades.

    Args:
        parts: of the output, as they are decided.
        draft: what is decided.
        song: whose samples they are.
        target: samples of the output.
        settings: its ending.
    """

    def fades() -> tuple[int, int]:
        to_end = draft.ends_whole(song, target)  # else the last ring is cut off
        return fade_lengths(settings.ending, song.sample_rate, target, from_start=draft.start == 0, to_end=to_end)

    return play(to_length(pieces(song.samples, parts), target), song, frames=target, fades=fades)


def _until_void(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Blocks until what was played is void: nobody can take it back."""
    try:
        yield from blocks
    except BegunAnewError:
        logger.warning("the stream ends early: this song cannot be played on to the duration asked for")


def _within_bounds(parts: Iterable[Beginning | Part]) -> Iterator[Beginning | Part]:
    for part in parts:
        if isinstance(part, Part) and part.seam and exceeded(part.seam):
            raise BegunAnewError
        yield part
