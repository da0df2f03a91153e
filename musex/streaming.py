"""An output that is heard while it is planned: each horizon is rendered as soon as it is predicted."""

import logging
from collections.abc import Iterator
from typing import Unpack

import numpy as np

from musex.audio import Samples, Song
from musex.chain import Chain, ModelLike
from musex.errors import MusexError
from musex.extension import check_seconds
from musex.generative import continue_song
from musex.model import WaveformModel
from musex.paths import PathSearch
from musex.search import SEARCH
from musex.settings import Options, Settings
from musex.stitch import CUT_SECONDS, FADE_OUT_SECONDS, crossfade, play

Array = np.ndarray
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
    target = round(seconds * song.sample_rate)
    if not settings.avoid and abs(song.frames - target) <= SEARCH.tolerance_seconds * song.sample_rate:
        return play([song.samples], song, frames=song.frames, fades=(0, 0))
    config = SEARCH.at(settings.novelty)
    path = PathSearch(song, model.join_head, target=target, settings=settings, unlike=(), config=config)
    fade_in = round(CUT_SECONDS * song.sample_rate) * (path.start > 0)
    fade_out = 0 if settings.ending == "outro" else round(FADE_OUT_SECONDS[settings.ending] * song.sample_rate)
    return play(grow(Chain(path, model)), song, frames=target, fades=(fade_in, min(fade_out, target)))


def grow(chain: Chain) -> Iterator[Array]:
    """The output of a chain in pieces of any length, (frames, channels), each as soon as it is decided."""
    path = chain.path
    samples, at, joined, played = path.samples, path.start, 0, 0
    for _ in chain.grow():
        if path.played < played:  # too late to begin anew: what was played stays
            logger.warning("the stream ends early: this song cannot be played on to the duration asked for")
            return
        played = path.played
        for seam in path.seams[joined:]:
            half = seam.fade // 2
            yield samples[at : seam.leave - half]
            if seam.fade > 1:
                yield crossfade(samples, seam)
            at = seam.enter + half
        joined = len(path.seams)
        yield samples[at : path.position]
        at = max(at, path.position)
