"""An output that is heard while it is planned: each horizon is rendered as soon as it is predicted."""

import logging
from collections.abc import Iterable, Iterator
from typing import Unpack

import numpy as np

from musex.audio.song import Samples, Song
from musex.errors import MusexError
from musex.planning.chain import Chain, ModelLike, begin_chain
from musex.prediction.model import WaveformModel
from musex.rendering.generative import continue_song
from musex.rendering.stitch import fade_lengths, play
from musex.seams.bounds import exceeded
from musex.seams.crossfade import crossfade
from musex.settings import Options, Settings, check_seconds

Array = np.ndarray
logger = logging.getLogger(__name__)


class BegunAnewError(Exception):
    """What was played of a chain is no longer part of its output, or another try may be better."""


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
    chain = begin_chain(song, model, seconds=seconds, settings=settings)
    if chain:
        return play_chain(chain, song, settings)
    target = round(seconds * song.sample_rate)
    fades = fade_lengths(settings.ending, song.sample_rate, target, from_start=True, to_end=song.frames <= target)
    return play(to_length([song.samples], target), song, frames=lambda: target, fades=lambda: fades)


def is_streamed_alike(chain: Chain, settings: Settings) -> bool:
    """Whether a chain's stream is to the sample what its plan renders, whatever the chain decides."""
    whole = chain.path.stop == len(chain.path.samples)
    return settings.layers == "off" and (settings.ending in ("cut", "fade") or (settings.ending == "outro" and whole))


def play_chain(chain: Chain, song: Song, settings: Settings, *, to_the_end: bool = False) -> Iterator[Samples]:
    """What a chain grows, see `grow`, as blocks of about a second with the output's own fades."""
    path, target = chain.path, chain.path.target

    def fades() -> tuple[int, int]:
        to_end = path.stop == song.frames and path.debt >= 0  # else its last ring is cut off
        return fade_lengths(settings.ending, song.sample_rate, target, from_start=path.start == 0, to_end=to_end)

    pieces = grow(chain, to_the_end=to_the_end)
    if settings.ending == "outro":
        pieces = to_length(pieces, target)
    return play(pieces, song, frames=lambda: target, fades=fades)


def to_length(pieces: Iterable[Array], frames: int) -> Iterator[Array]:
    """Pieces cut off after so many frames, or silence after them until then."""
    left, channels = frames, 1
    for piece in pieces:
        channels = piece.shape[1]
        yield piece[:left]
        left -= min(len(piece), left)
    if left:
        yield np.zeros((left, channels), np.float32)


def grow(chain: Chain, *, to_the_end: bool = False) -> Iterator[Array]:
    """The output of a chain in pieces of any length, (frames, channels), each as soon as it is decided.

    A chain that begins anew after something was played ends the output there; if it shall be played `to_the_end`, it
    raises `BegunAnewError` then, and where a seam exceeds its bounds.
    """
    path = chain.path
    samples, at, joined, attempt = path.samples, path.start, 0, 0
    for _ in chain.growth:
        if attempt and chain.attempts != attempt:
            if to_the_end:
                raise BegunAnewError
            logger.warning("the stream ends early: this song cannot be played on to the duration asked for")
            return
        attempt = chain.attempts
        if to_the_end and path.config.tries > 1 and any(map(exceeded, path.seams[joined:])):
            raise BegunAnewError
        for seam in path.seams[joined:]:
            half = seam.fade // 2
            yield samples[at : seam.leave - half]
            if seam.fade > 1:
                yield crossfade(samples, seam)
            at = seam.enter + half
        joined = len(path.seams)
        yield samples[at : path.position]
        at = max(at, path.position)
