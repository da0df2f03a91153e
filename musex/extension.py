"""The public verbs for songs in memory: extend, plan, predict. `musex.files` has those from file to file."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from musex.analysis.song_analysis import analyse_past
from musex.audio.inputs import song_of
from musex.audio.song import Samples, Song, to_segment
from musex.config import FEATURES
from musex.errors import ModelError, MusexError
from musex.planning.course import Request
from musex.planning.natural_loops import Loop, find_natural, no_loop
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.plans import Plan
from musex.prediction.model import Model, Prediction, WaveformModel, load_model
from musex.rendering.generative import continue_song
from musex.rendering.levels import level_plan, separate_for
from musex.rendering.outputs import write_plan
from musex.rendering.stitch import render
from musex.separation.separated import stems_of
from musex.settings import Options, Settings, StemName, check_length
from musex.system.progress import OnProgress, ignore_progress
from musex.system.wording import format_count, format_time

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
        layout: Of the channels, as in `Song`.
    """

    samples: Samples
    sample_rate: int
    plan: Plan
    subtype: str = "PCM_16"
    layout: str = ""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def save(self, path: str | Path, *, force: bool = False, bitrate: str | None = None) -> None:
        """Write it as `musex.extend_file` does: whole or not at all, with the tags of the song's file.

        Args:
            path: The file to write; its ending chooses the format.
            force: Overwrite an existing file.
            bitrate: For lossy formats, such as "256k", or a quality: "small", "good" or "best".

        Raises:
            AudioError: The file cannot be written. Nothing is left behind then, and an existing one is as it was.
        """
        song_path, rate = self.plan.song.path, self.sample_rate
        source = None if song_path is None else Path(song_path)
        sound = Song(self.samples, rate, source, self.subtype, stream=self.plan.song.stream, layout=self.layout)
        blocks = (self.samples[at : at + rate] for at in range(0, len(self.samples), rate))
        write_plan(self.plan, blocks, sound, path, force=force, bitrate=bitrate)

    def __repr__(self) -> str:
        channels, seams = format_count(self.samples.shape[1], "channel"), format_count(len(self.plan.seams), "seam")
        kind = f"{format_time(self.seconds)}, {self.sample_rate} Hz, {channels}, {seams}"
        return f"<Extension of {self.plan.song.name}: {kind}>"

    def _repr_html_(self) -> str:
        """A player and a picture of the path through the song, for notebooks."""
        from musex.views.reports import compose_cell

        return compose_cell(self.plan, self.samples, self.sample_rate)

    @property
    def segment(self) -> "AudioSegment":
        """The same as a pydub segment, of 16 bits (32 where the song had more than 16)."""
        return to_segment(self.samples, self.sample_rate, sample_width=2 if self.subtype == "PCM_16" else 4)


def extend(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    seconds: float | None = None,
    sample_rate: int | None = None,
    model: Model | WaveformModel | str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Extension:
    """Make a song last `seconds`, in memory.

    Args:
        song: A file's path, a `Song`, a pydub segment, or an array (frames,) or (frames, channels) with its rate.
        seconds: How long the result shall be: more than 0, at most 24 h. Without it, for `ending="loop"` alone, it is
            the song's best loop as it is, the first of `find_loops`.
        sample_rate: Hz; for arrays, and only for them.
        model: A loaded model, or the file or folder of one; without it the packaged model. After the end of the song
            a generative one, `paper` or `lstm`, plays what it predicts; see `musex.rendering.generative`.
        on_progress: Called with what is being done and how much of it is done, 0 to 1.
        options: `seed`, `ending`, `avoid` and more; see `musex.settings.Settings`.

    Raises:
        MusexError: The song, the duration or the model cannot be used; the message says why.
    """
    settings, tell = Settings(**options), on_progress or ignore_progress
    check_length(seconds, settings)
    tell("Reading", 0.0)
    source = song_of(song, sample_rate)
    loaded = model_of(model)
    if isinstance(loaded, WaveformModel):
        plan, blocks = continue_song(source, loaded, seconds=seconds, settings=settings)
    else:
        separate_for(settings.changes, source, tell, always=settings.arrange != "off")
        plan = plan_song(source, loaded, seconds=seconds, on_progress=partial(tell, "Predicting"), **options)
        plan = level_plan(plan, source, tell)
        blocks = render(plan, source)
    samples = np.empty((round(plan.seconds * source.sample_rate), source.channels), np.float32)
    filled = 0
    for block in blocks:
        samples[filled : filled + len(block)] = block
        filled += len(block)
        tell("Rendering", filled / len(samples))
    return Extension(samples, source.sample_rate, plan, source.subtype, source.layout)


def plan(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    seconds: float | None = None,
    unlike: Sequence[Plan] = (),
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Plan:
    """Plan a version of a song that lasts `seconds`, which `musex.render` plays; arguments as in `extend`.

    Jumps of the plans that it shall be `unlike` are left aside where there are others.

    Raises:
        MusexError: As `extend`; or the model is a generative one, which plans nothing.
    """
    settings = Settings(**options)
    check_length(seconds, settings)
    tell = on_progress or ignore_progress
    tell("Reading", 0.0)
    source, loaded = song_of(song, sample_rate), pointing(model)
    separate_for(settings.changes, source, tell, always=settings.arrange != "off")
    plan = plan_song(source, loaded, seconds=seconds, unlike=unlike, on_progress=partial(tell, "Predicting"), **options)
    return level_plan(plan, source, tell)


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
        raise MusexError(f"`at={end:g}` is not within the song: choose {SHORTEST_SECONDS:g} to {source.seconds:.1f} s")
    step = int(end * FEATURES.steps_per_second)
    features = analyse_past(source, step)
    return loaded.predict_rows(loaded.listen(features), features)


def find_loops(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    count: int = 10,
    sample_rate: int | None = None,
    model: Model | str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> list[Loop]:
    """Find the best loops of a song: stretches whose end leads back to their beginning, best first.

    No two are the same one slid along. The first is what `extend` makes with `ending="loop"` and no duration.

    Args:
        song: As in `extend`.
        count: How many, at most: from 1 on.
        sample_rate: As in `extend`.
        model: As in `extend`, but none that is generative.
        on_progress: As in `extend`.
        options: Of those of `extend`, `keep_from`, `keep_to`, `avoid` and `voice` tell where loops may lie.

    Raises:
        MusexError: As `extend`; or the song has no loop.
    """
    number: Any = count
    if isinstance(number, bool) or not isinstance(number, Integral) or int(number) < 1:
        raise MusexError(f"`count={number!r}` is no number of loops: give a whole number from 1 on")
    settings = replace(Settings(**options), ending="loop")
    check_length(None, settings)
    tell = on_progress or ignore_progress
    tell("Reading", 0.0)
    source, loaded = song_of(song, sample_rate), pointing(model)
    tell("Looking for loops", 0.0)
    loops = find_natural(Request(source, loaded, source.frames, settings, SEARCH), int(count))
    if not loops:
        raise no_loop(source.seconds)
    return loops


def separate(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    sample_rate: int | None = None,
    on_progress: OnProgress | None = None,
) -> dict[StemName, Samples]:
    """Take a song apart: float32 (frames, channels) by stem, "voice", "drums", "bass" and "rest" as far as it has them.

    They add up to the song. Arguments and errors as in `extend`.
    """
    tell = on_progress or ignore_progress
    tell("Reading", 0.0)
    source = song_of(song, sample_rate)
    return dict(stems_of(source, on_progress=partial(tell, "Separating")))


def model_of(model: Model | WaveformModel | str | Path | None) -> Model | WaveformModel:
    """The model, loaded if it is named; without a name the packaged one."""
    return model if isinstance(model, Model | WaveformModel) else load_model(model)


def pointing(model: Model | WaveformModel | str | Path | None) -> Model:
    """The model, loaded if need be; raises ModelError if it is a generative one."""
    loaded = model_of(model)
    if isinstance(loaded, WaveformModel):
        raise ModelError(f"{loaded.name} predicts the waveform itself: it points nowhere, and plans nothing")
    return loaded
