"""Predictors to compare a model with: most learn nothing, one is the model itself with its weights shuffled."""

import copy
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from musex.analysis.features import analyse_mono
from musex.config import PointerConfig
from musex.errors import ModelError
from musex.evaluation.listening import Recording, onsets_between
from musex.evaluation.match_prior import match_prior
from musex.metrics import context_distances, start_distances, start_errors
from musex.prediction.litert import load_runner
from musex.prediction.model import POINTER_INPUTS, Model, WaveformModel
from musex.prediction.transition_head import TransitionHead
from musex.system.arrays import Array
from musex.training.dataset import Track

REFERENCE = "averaged nearest contexts"
RANDOM_WEIGHTS = "random weights"
HINDSIGHT = "hindsight best (not a predictor)"
EARLIEST_START_SECONDS = 4  # so that every candidate has 4 s before it


@dataclass(frozen=True, eq=False)
class Point:
    """One place of one track: what was heard, what came next, and every start that could be chosen.

    Attributes:
        past: Feature rows (steps, width) up to the point.
        actual: Feature rows (horizon_steps, width) of what came next.
        candidates: The starts that could be chosen, in steps.
        recording: The whole track's audio and what evaluation hears in it.
        config: Says what a row holds.
    """

    past: Array
    actual: Array
    candidates: Array
    recording: Recording
    config: PointerConfig

    @property
    def log_mel(self) -> Array:
        """The log-mel (dB) of what came next."""
        return self.actual[:, : self.config.features.n_mels]

    @property
    def mono(self) -> Array:
        """The audio up to the point, at the features' rate: all that a predictor of waveforms may hear."""
        return self.recording.mono[: len(self.past) * self.config.features.step_length]

    def onsets_from(self, start: int) -> Array | None:
        """Seconds of the attacks in the 10 s from a step of the track on, counted from there; see `Recording`."""
        onsets, rate = self.recording.onsets, self.config.features.steps_per_second
        if onsets is None:
            return None
        return onsets_between(onsets, start / rate, (start + len(self.actual)) / rate)

    @cached_property
    def errors(self) -> Array:
        """Prediction error (dB) of each candidate."""
        n_mels = self.config.features.n_mels
        return start_errors(self.past[:, :n_mels], self.log_mel, self.candidates)

    @cached_property
    def unseen_distances(self) -> Array:
        """Distance of each candidate in the feature space that neither training nor search has seen."""
        at, rows = len(self.past), self.recording.unseen
        return start_distances(rows[:at], rows[at : at + len(self.actual)], self.candidates)


@dataclass(frozen=True, eq=False)
class Guess:
    """What a predictor says: a log-mel; the start it would play on from, or a waveform, if it has one."""

    log_mel: Array
    start: int | None = None
    waveform: Array | None = None


Predictor = Callable[[Point], Guess]


class WaveformModelLike(Protocol):
    """A network that predicts the waveform itself: `musex.prediction.model.WaveformModel`."""

    def predict(self, samples: Array) -> Array:
        """The next 10 s after the last 20 s of `samples`, both mono at the features' rate."""


def make_point(track: Track, at: int, recording: Recording, config: PointerConfig) -> Point:
    """The point at step `at` of a track, with only the past as memory."""
    horizon = config.horizon_steps
    rows = np.asarray(track.features[: at + horizon], np.float32)
    candidates = np.arange(EARLIEST_START_SECONDS * config.features.steps_per_second, at - horizon + 1)
    return Point(rows[:at], rows[at:], candidates, recording, config)


def play_on(point: Point, start: int) -> Guess:
    """Play the song on from a place of its past."""
    return Guess(point.past[start : start + len(point.actual), : point.config.features.n_mels], start)


def hold(point: Point, rows: Array) -> Guess:
    """The mean of some rows, all the time."""
    mean = rows[:, : point.config.features.n_mels].mean(axis=0, keepdims=True)
    return Guess(np.repeat(mean, len(point.actual), axis=0))


def match_context(point: Point, seconds: int) -> Array:
    """How unlike the last seconds is what preceded each candidate."""
    features = point.config.features
    return context_distances(point.past[:, : features.n_mels], seconds * features.steps_per_second, point.candidates)


def average_contexts(point: Point) -> Guess:
    """The continuations of all candidates, averaged by how well the last 2 s match (softmax, 0.1 of the best)."""
    distance = match_context(point, 2)
    weights = np.exp(-(distance - distance.min()) / (0.1 * distance.min() + 1e-6))
    weights /= weights.sum()
    mel = point.past[:, : point.config.features.n_mels]
    rows = [weights @ mel[point.candidates + step] for step in range(len(point.actual))]
    return Guess(np.array(rows), int(point.candidates[distance.argmin()]))


def plain_predictors(config: PointerConfig, seed: int) -> dict[str, Predictor]:
    """The predictors without learning, by name."""
    random = np.random.default_rng(seed)

    def nearest(point: Point, seconds: int) -> Guess:
        return play_on(point, int(point.candidates[match_context(point, seconds).argmin()]))

    return {
        "random place": lambda point: play_on(point, int(random.choice(point.candidates))),
        "last 10 s": lambda point: play_on(point, len(point.past) - config.horizon_steps),
        "song mean": lambda point: hold(point, point.past),
        "context mean": lambda point: hold(point, point.past[-config.context_steps :]),
        "nearest context 2 s": lambda point: nearest(point, 2),
        "nearest context 4 s": lambda point: nearest(point, 4),
        REFERENCE: average_contexts,
        HINDSIGHT: lambda point: play_on(point, int(point.candidates[point.errors.argmin()])),
    }


def predictor_of(model: Model | WaveformModel) -> Predictor:
    """A model as a predictor."""
    return pointer_predictor(model) if isinstance(model, Model) else waveform_predictor(model)


def pointer_predictor(model: Model) -> Predictor:
    """A model that points: it chooses its likeliest start for the next 10 s."""

    def predict(point: Point) -> Guess:
        prediction = model.predict_rows(model.listen(point.past), point.past)
        return Guess(prediction.log_mel, int(point.candidates[prediction.starts[point.candidates, -1].argmax()]))

    return predict


def waveform_predictor(model: WaveformModelLike) -> Predictor:
    """A model that predicts the waveform: what counts is how that sounds."""

    def predict(point: Point) -> Guess:
        features, steps = point.config.features, len(point.actual)
        waveform = np.zeros(steps * features.step_length, np.float32)
        predicted = np.asarray(model.predict(point.mono), np.float32)[: len(waveform)]
        waveform[: len(predicted)] = predicted
        before = point.mono[-features.step_length :]  # the first windows reach back into what was heard
        rows = analyse_mono(np.concatenate([before, waveform]), features)[1 : steps + 1]
        return Guess(rows[:, : features.n_mels], waveform=waveform)

    return predict


def shuffle_weights(model: Model, seed: int) -> Model:
    """The model with the numbers of each weight tensor shuffled: random weights of the same spread.

    Raises:
        ModelError: this LiteRT cannot take its files apart, or the file holds no weights in float32.
    """
    # Constants that reach over the context's or the horizon's steps are windows and places, not weights.
    content = shuffle_file(model.path, seed, kept={model.config.context_steps, model.config.horizon_steps})
    shuffled = copy.copy(model)
    shuffled.name = RANDOM_WEIGHTS
    shuffled.runner = load_runner(model.path, POINTER_INPUTS, content)
    return shuffled


def shuffle_file(path: Path, seed: int, kept: Set[int] = frozenset()) -> bytes:
    """An exported file with the numbers of each weight tensor shuffled, but those with a side `kept`; as above."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise ModelError(f"this LiteRT cannot take a model apart: {error}") from error

    random = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    file = schema.Model.GetRootAs(content, 0)
    graph = file.Subgraphs(0)
    count = 0
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        data = file.Buffers(tensor.Buffer()).DataAsNumpy()
        if tensor.Type() != schema.TensorType.FLOAT32 or isinstance(data, int):
            continue
        if not kept & set(np.ravel(tensor.ShapeAsNumpy()).tolist()):
            random.shuffle(data.view(np.float32))  # in place: a view of the file
            count += 1
    if not count:
        raise ModelError(f"{path} holds no weights in float32 to shuffle")
    return bytes(content)


def ablate(model: Model, seed: int) -> dict[str, Model]:
    """What `extend` is without parts of what was learned, by name: a model each, to plan with and to compare.

    Raises:
        ModelError: as `shuffle_weights`.
    """

    def without(name: str, pointer: Model, **heads: Any) -> Model:
        variant = copy.copy(pointer)
        variant.name = name
        variant.__dict__.update(heads)  # in place of the cached properties
        return variant

    head = model.transition_head
    mixed = TransitionHead(head.path, shuffle_file(head.path, seed)) if head else None
    variants = (
        without("pointer shuffled", shuffle_weights(model, seed)),
        without("transition head shuffled", model, transition_head=mixed),
        without("all weights shuffled", shuffle_weights(model, seed), transition_head=mixed),
        without("no transition head", model, transition_head=None),
        without("nothing learned", match_prior(model), transition_head=None, join_head=None),
    )
    return {variant.name: variant for variant in variants}
