"""The public verbs for songs in memory: extend, plan, predict. `musex.files` has those from file to file."""

import logging
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from musex.audio import Samples, Song, read_song, song_from_array, song_from_segment, to_segment
from musex.chain import plan_song
from musex.config import FEATURES, LONGEST_OUTPUT_SECONDS
from musex.errors import AudioError, DurationError, ModelError, MusexError
from musex.features import analyse
from musex.generative import continue_song
from musex.model import Model, Prediction, WaveformModel, load_model
from musex.plans import Plan
from musex.settings import Options, Settings
from musex.stitch import render

if TYPE_CHECKING:
    from pydub import AudioSegment

logger = logging.getLogger(__name__)

SHORTEST_SECONDS = 1.0  # of what is heard before a prediction


@dataclass(frozen=True, eq=False)
class Extension:
    """A song made longer (or shorter).

    Attributes:
        samples: float32, (frames, channels), full scale at ±1.
        sample_rate: Hz, the song's own.
        plan: The spans of the song that are played, and the seams between them.
        subtype: The sample format of the song: "PCM_16", "PCM_24" or "FLOAT".
    """

    samples: Samples
    sample_rate: int
    plan: Plan
    subtype: str = "PCM_16"

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def _repr_html_(self) -> str:
        """A player and a picture of the path through the song, for notebooks."""
        from musex.report import compose_cell

        return compose_cell(self)

    @property
    def segment(self) -> "AudioSegment":
        """The same as a pydub segment, of 16 bits (32 where the song had more than 16)."""
        return to_segment(self.samples, self.sample_rate, sample_width=2 if self.subtype == "PCM_16" else 4)


def extend(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    seconds: float,
    sample_rate: int | None = None,
    model: Model | WaveformModel | str | Path | None = None,
    **options: Unpack[Options],
) -> Extension:
    """Make a song last `seconds`, in memory.

    Args:
        song: A file's path, a `Song`, a pydub segment, or an array (frames,) or (frames, channels) with its rate.
        seconds: How long the result shall be: more than 0, at most 24 h.
        sample_rate: Hz; for arrays, and only for them.
        model: A loaded model, or the file or folder of one; without it the packaged model. After the end of the song
            a generative one, `paper` or `lstm`, plays what it predicts; see `musex.generative`.
        options: `seed`, `ending`, `avoid` and more; see `musex.settings.Settings`.

    Raises:
        MusexError: The song, the duration or the model cannot be used; the message says why.
    """
    check_seconds(seconds)
    source = song_of(song, sample_rate)
    loaded = model_of(model)
    if isinstance(loaded, WaveformModel):
        plan, blocks = continue_song(source, loaded, seconds=seconds, settings=Settings(**options))
    else:
        plan = plan_song(source, loaded, seconds=seconds, **options)
        blocks = render(plan, source)
    samples = np.empty((round(plan.seconds * source.sample_rate), source.channels), np.float32)
    filled = 0
    for block in blocks:
        samples[filled : filled + len(block)] = block
        filled += len(block)
    return Extension(samples, source.sample_rate, plan, source.subtype)


def plan(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    seconds: float,
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
    **options: Unpack[Options],
) -> Plan:
    """Plan a version of a song that lasts `seconds`, which `musex.render` plays; arguments as in `extend`.

    Raises:
        MusexError: As `extend`; or the model is a generative one, which plans nothing.
    """
    check_seconds(seconds)
    return plan_song(song_of(song, sample_rate), pointing(model), seconds=seconds, **options)


def predict(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    at: float | None = None,
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
) -> Prediction:
    """Predict the 10 s after `at` seconds of a song, from what comes before alone.

    Args:
        song: As in `extend`.
        at: Seconds into the song, at least 1; without it the end of the song.
        sample_rate: As in `extend`.
        model: As in `extend`, but none that is generative.

    Returns:
        The log-mel spectrogram of the 10 s, and how well playing on from each step of 100 ms before would fit.

    Raises:
        MusexError: As `extend`; or `at` is not within the song.
    """
    source, loaded = song_of(song, sample_rate), pointing(model)
    end = source.seconds if at is None else at
    if not SHORTEST_SECONDS <= end <= source.seconds:
        raise MusexError(f"{end:g} s is not within the song: choose {SHORTEST_SECONDS:g} to {source.seconds:.1f} s")
    step = int(end * FEATURES.steps_per_second)
    # Cut before analysing: no window reaches past that moment.
    past = source.samples[: step * source.sample_rate // FEATURES.steps_per_second]
    features = analyse(past, source.sample_rate)[:step]
    return loaded.predict_rows(loaded.listen(features), features)


def check_seconds(seconds: Any) -> float:
    """Return the duration if it is one; raises DurationError for zero, negative, not finite, over 24 h."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or math.isnan(seconds):
        raise DurationError(f"a duration of {seconds!r} is not a number")
    if seconds <= 0:
        raise DurationError(f"a duration of {seconds:g} s cannot be reached: it must be more than 0")
    if seconds > LONGEST_OUTPUT_SECONDS:
        raise DurationError(f"a duration of {seconds:g} s is too long: {LONGEST_OUTPUT_SECONDS / 3600:g} h is the most")
    return float(seconds)


def song_of(song: Any, sample_rate: int | None = None) -> Song:
    """Whatever the public verbs take, as a song; raises AudioError if it is none."""
    if isinstance(song, np.ndarray):
        if sample_rate is None:
            raise AudioError("an array does not say its sample rate: give sample_rate=, such as 44100")
        return song_from_array(song, sample_rate)
    if sample_rate is not None:
        raise AudioError("sample_rate is for arrays: files, songs and segments know their own")
    if isinstance(song, Song):
        return song
    if isinstance(song, str | os.PathLike):
        return read_logged(os.fspath(song))
    pydub = sys.modules.get("pydub")  # whoever holds a segment has imported it
    if pydub is not None and isinstance(song, pydub.AudioSegment):
        return song_from_segment(song)
    raise AudioError(f"a {type(song).__name__} is not a song: give a path, a Song, an AudioSegment or an array")


def model_of(model: Model | WaveformModel | str | Path | None) -> Model | WaveformModel:
    """The model, loaded if it is named; without a name the packaged one."""
    return model if isinstance(model, Model | WaveformModel) else load_model(model)


def pointing(model: Model | WaveformModel | str | Path | None) -> Model:
    """The model, loaded if need be; raises ModelError if it is a generative one."""
    loaded = model_of(model)
    if isinstance(loaded, WaveformModel):
        raise ModelError(f"{loaded.name} predicts the waveform itself: it points nowhere, and plans nothing")
    return loaded


def read_logged(path: str | Path, *, stream: int | None = None) -> Song:
    """Read a song, and log what it is and what is wrong with it."""
    began = time.monotonic()
    song = read_song(path, stream=stream)
    kind = f"{song.seconds:.1f} s, {song.sample_rate} Hz, {song.channels} channels"
    logger.info(f"read {path} ({kind}) in {time.monotonic() - began:.2f} s")
    for warning in song.warnings:
        logger.warning(warning)
    return song
