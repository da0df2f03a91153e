"""A song played on by a generative reference: the chain of predicted waveforms, streamed after the song itself.

    the song ─────────────────┐ crossfade
                 last 20 s ─► ├ prediction ───────┐ crossfade
                              └──── last 20 s ─►  ├ prediction ─── …

Each prediction begins a crossfade's length before what it follows ends: both sides of a crossfade are the same moment.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import soxr

from musex import __version__
from musex.analysis.features import standardise, to_mono
from musex.audio.song import Samples, Song
from musex.config import FEATURES
from musex.errors import MusexError
from musex.planning.planner import describe_song
from musex.planning.weights import SEARCH
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span
from musex.prediction.model import WaveformModel
from musex.rendering.stitch import FADE_OUT_SECONDS, play
from musex.seams.crossfade import crossfade
from musex.settings import Settings
from musex.system.arrays import Array

__all__ = ["WaveformModel", "continue_song"]

logger = logging.getLogger(__name__)

CROSSFADE_SECONDS = 0.02
ANY = Settings()


def continue_song(
    song: Song, model: WaveformModel, *, seconds: float | None, settings: Settings = ANY
) -> tuple[Plan, Iterator[Samples]]:
    """Play a song, and after its end what the model predicts, prediction after prediction, for `seconds`, to ±0.1 s.

    What is predicted is mono and sounds alike in all channels. The song's own ending cannot be led to: where the
    ending is "outro" the output fades and the log says so. Nothing is drawn at random: every seed gives the same.

    Returns:
        What is played: the plan's one span is the song's own part, it cannot be rendered again; and the output,
        float32 blocks (frames, channels) of about a second, predicted as they are taken, in constant memory.

    Raises:
        MusexError: the settings choose among the song's places, or there is no duration.
    """
    if seconds is None:
        raise MusexError(f"{model.name} predicts the waveform itself: it finds no loops; give `seconds=`")
    ending = settings.ending
    if settings != Settings(seed=settings.seed, ending=ending):
        raise MusexError(
            f"{model.name} predicts the waveform itself: it cannot keep to, avoid or vary places of the song, nor "
            "mix its stems"
        )
    target = round(seconds * song.sample_rate)
    is_whole = abs(song.frames - target) <= SEARCH.tolerance_seconds * song.sample_rate
    frames = song.frames if is_whole else target
    kept = min(song.frames, frames)
    if not is_whole and ending == "outro":
        ending = "fade"
        logger.warning(f"{model.name} cannot lead to the song's own ending: the output ends in a fade")
    plan = Plan(
        seconds=frames / song.sample_rate,
        song=describe_song(song),
        model=PlanModel(model.name, model.sha256),
        settings=PlanSettings.of(replace(settings, ending=ending), seconds),
        spans=(Span(0, kept),),
        seams=(),
        predictions=_count_predictions(model, (frames - kept) / song.sample_rate),
        musex=__version__,
    )
    fade = min(round(FADE_OUT_SECONDS[ending] * song.sample_rate), frames)
    return plan, play(_pieces(song, model, frames), song, frames=frames, fades=lambda: (0, fade))


def _count_predictions(model: WaveformModel, seconds: float) -> int:
    """How many predictions it takes to play on for `seconds`."""
    if seconds <= 0:
        return 0
    horizon = model.config.horizon_seconds
    return max(1, math.ceil((seconds + CROSSFADE_SECONDS - horizon) / (horizon - CROSSFADE_SECONDS)) + 1)


def _even(seconds: float, sample_rate: int) -> int:
    """A crossfade in samples, which is halved."""
    return 2 * round(seconds * sample_rate / 2)


def _pieces(song: Song, model: WaveformModel, frames: int) -> Iterator[Array]:
    """The output in pieces of any length, (frames, channels): the song, the crossfade, what is predicted."""
    if frames <= song.frames:
        yield song.samples[:frames]
        return
    fade = _even(CROSSFADE_SECONDS, song.sample_rate)
    yield song.samples[:-fade]
    left = frames - song.frames + fade
    tail: Array | None = song.samples[-fade:]
    for mono in _resampled(_predicted(song, model, song.frames - fade), model.config.sample_rate, song.sample_rate):
        piece = np.repeat(mono[:left, None], song.channels, axis=1)
        left -= len(piece)
        if tail is not None:
            yield blend(tail, piece[: len(tail)])
            piece, tail = piece[len(tail) :], None
        yield piece
        if left == 0:
            return


def _predicted(song: Song, model: WaveformModel, start: int) -> Iterator[Array]:
    """What the model predicts from the song's sample `start` on, without end: mono at the model's rate."""
    config = model.config
    opening = song.samples[max(0, start - (config.context_seconds + 1) * song.sample_rate) : start]
    heard = to_mono(opening, song.sample_rate, replace(FEATURES, sample_rate=config.sample_rate))
    heard = heard[-config.context_seconds * config.sample_rate :]
    # Put back to the song's own level each time, to that of its own predictions it would fade away; never louder than
    # the song, whatever the network says.
    level, peak = standardise(heard)[2], float(np.abs(heard).max())
    fade = _even(CROSSFADE_SECONDS, config.sample_rate)
    tail: Array | None = None
    while True:
        predicted = model.predict(heard, level=level).clip(-peak, peak)
        if tail is not None:
            predicted[:fade] = blend(tail[:, None], predicted[:fade, None])[:, 0]
        played, tail = predicted[:-fade], predicted[-fade:]
        yield played
        heard = np.concatenate([heard, played])[-config.context_seconds * config.sample_rate :]


def _resampled(pieces: Iterator[Array], rate: int, wanted_rate: int) -> Iterator[Array]:
    """An endless mono signal at another rate, piece by piece; never an empty piece."""
    stream = soxr.ResampleStream(rate, wanted_rate, 1, dtype="float32", quality="HQ") if rate != wanted_rate else None
    for piece in pieces:
        resampled = piece if stream is None else stream.resample_chunk(np.ascontiguousarray(piece))
        if len(resampled):
            yield resampled


def blend(before: Array, after: Array) -> Array:
    """The renderer's crossfade of two sides that are the same moment, (frames, channels) each, an even number."""
    scale = float(np.sqrt(np.sum(np.square(before, dtype=np.float64)) * np.sum(np.square(after, dtype=np.float64))))
    correlation = float(np.sum(before * after, dtype=np.float64)) / scale if scale > 0 else 0.0
    half = len(before) // 2
    measures = {"level_db": 0.0, "flux_percentile": 0.0, "rhythm_ms": 0.0}
    seam = Seam(at=half, leave=half, enter=3 * half, fade=2 * half, correlation=correlation, **measures)
    return crossfade(np.concatenate([before, after]), seam)
