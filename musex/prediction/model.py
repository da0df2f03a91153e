"""A packaged model: load the exported file and run it, without TensorFlow."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from musex.analysis.features import standardise
from musex.audio.song import HIGHEST_SAMPLE_RATE
from musex.config import FEATURES, GENERATIVE, IMPOSSIBLE, POINTER_SECONDS, FeatureConfig, PointerConfig, WaveformConfig
from musex.errors import ModelError
from musex.prediction.described import MODEL_NAME, TRANSITION_FILE, load_described, packaged_model, read_description
from musex.prediction.join_head import JoinHead
from musex.prediction.litert import run
from musex.prediction.singing_network import SingingNetwork
from musex.prediction.transition_head import TransitionHead
from musex.system.arrays import Array
from musex.system.json_files import check_types

POINTER_INPUTS = {"context", "context_mask", "memory", "memory_mask"}
TRIED_STEPS = 300  # of the memory with which a model is tried
MOST_STEPS = 10_000  # of a context or a horizon


@dataclass(frozen=True)
class Prediction:
    """One horizon, as the decoder says it.

    Attributes:
        log_mel: (horizon_steps, n_mels), dB.
        starts: (steps, 3), log-probability of playing on from each memory step over the next 2, 5 and 10 s.
    """

    log_mel: Array
    starts: Array

    @cached_property
    def pointer(self) -> Array:
        """Log-probability of each memory position for each step of the horizon, (horizon_steps, steps).

        A start at j is at position j + t after t steps.
        """
        pointer = np.full((len(self.log_mel), len(self.starts)), IMPOSSIBLE, np.float32)
        for step in range(len(pointer)):
            column = next(i for i, seconds in enumerate(POINTER_SECONDS) if step < seconds * FEATURES.steps_per_second)
            pointer[step, step:] = self.starts[: max(0, len(self.starts) - step), column]
        return pointer

    def __repr__(self) -> str:
        return f"<Prediction of {len(self.log_mel)} steps, after {len(self.starts)} of the song>"


@dataclass(frozen=True)
class Memory:
    """The song as the network remembers it: features (steps, width), padded for the network to `padded`."""

    features: Array
    padded: Array
    mask: Array


@overload
def load_model(path: None = None) -> "Model": ...


@overload
def load_model(path: str | Path | None) -> "Model | WaveformModel": ...


def load_model(path: str | Path | None = None) -> "Model | WaveformModel":
    """Load a model: the packaged one, an exported .tflite file, or a training run's folder.

    Returns a `Model`, or a `WaveformModel` for the generative references `paper` and `lstm`.

    Raises:
        ModelError: there is no such file, it is damaged, or it was written by another version.
    """
    file = packaged_model() if path is None else Path(path)
    if file.is_dir():
        exported = [file / f"{name}.tflite" for name in (MODEL_NAME, *GENERATIVE)]
        file = next((path for path in exported if path.is_file()), exported[0])
    if not file.is_file():
        raise ModelError(f"no model at {file}: name a .tflite file or the folder of a finished `musex train`")
    settings = read_description(file)
    try:
        content = dict(settings["model"])
        generative = settings.get("network") in GENERATIVE
        config = _waveform_config(content) if generative else _pointer_config(content)
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise ModelError(f"{file.with_suffix('.json')} does not describe a model of this musex: {error}") from error
    return (
        WaveformModel(file, config, settings) if isinstance(config, WaveformConfig) else Model(file, config, settings)
    )


def _pointer_config(content: dict[str, Any]) -> PointerConfig:
    content["features"] = FeatureConfig(**content["features"])
    content["lags"], content["sharpness"] = tuple(content["lags"]), tuple(content["sharpness"])
    config = PointerConfig(**content)
    for part in (config, config.features):
        check_types(part)
    own = asdict(FEATURES)  # which planning works with, too
    for name, heard in asdict(config.features).items():
        if heard != own[name]:
            raise ValueError(f"it hears with {name} {heard}, this one with {own[name]}: train it again")
    _check_seconds(config.context_steps, config.horizon_steps)
    return config


def _waveform_config(content: dict[str, Any]) -> WaveformConfig:
    shared = {"hidden": "shared"}  # in every model of the time before there was a choice
    config = WaveformConfig(**shared | content | {"widths": tuple(content["widths"])})
    check_types(config)
    if not 1000 <= config.sample_rate <= HIGHEST_SAMPLE_RATE:
        raise ValueError(f"its rate is not within 1000 to {HIGHEST_SAMPLE_RATE} Hz")
    _check_seconds(config.context_seconds, config.horizon_seconds)
    return config


def _check_seconds(*lengths: int) -> None:
    """Refuse what would fill the memory, or is nothing; raises ValueError."""
    if not all(1 <= length <= MOST_STEPS for length in lengths):
        raise ValueError("its context or horizon is out of range")


class Model:
    """An exported network. Threads may share it, and take turns in its predictions."""

    def __init__(self, path: Path, config: PointerConfig, settings: dict[str, Any]) -> None:
        self.path, self.config, self.settings = path, config, settings
        self.name: str = settings.get("network", MODEL_NAME)
        self.runner: Callable[..., dict[str, Array]]
        width = config.features.width
        heard, remembered = (1, config.context_steps), (1, TRIED_STEPS)
        shapes = {"context": (*heard, width), "context_mask": heard, "memory": (*remembered, width)}
        self.runner, self.sha256 = load_described(path, shapes | {"memory_mask": remembered}, settings)

    @cached_property
    def join_head(self) -> JoinHead | None:
        """The join head exported beside this model, if there is one."""
        path = self.path.with_name("join.tflite")
        return JoinHead(path) if path.exists() else None

    @cached_property
    def transition_head(self) -> TransitionHead | None:
        """The transition head beside this model, else the packaged one: scores trained it, not a folder of music."""
        beside = (self.path.with_name(TRANSITION_FILE), packaged_model().with_name(TRANSITION_FILE))
        return next((TransitionHead(path) for path in beside if path.exists()), None)

    @cached_property
    def singing_network(self) -> SingingNetwork:
        """The singing network beside this model, else the packaged one."""
        return SingingNetwork(self.path.parent)

    def listen(self, features: Array) -> Memory:
        """Take a song's features (steps, width) as memory."""
        # Songs shorter than the horizon are followed by silence, masked, so that every start has its horizon.
        mask = np.ones(len(features), np.float32)
        missing = max(0, self.config.horizon_steps - len(features))
        padded = np.pad(features, ((0, missing), (0, 0))).astype(np.float32)
        return Memory(features, padded[None], np.pad(mask, (0, missing))[None])

    def predict(self, memory: Memory, context: Array, *, apart: int = 0, shown: Array | None = None) -> Prediction:
        """Predict the next horizon after the memory positions `context` were played, the newest last.

        With `apart`, the memory lacks so many steps around the place where the context would simply go on: what else
        could follow? So training asks, too; with that place in sight the answer would always be: what comes there.
        With `shown`, steps in order, the memory has these alone: nothing is said for the others.
        """
        played = np.asarray(context, np.int64)
        hidden = slice(0, 0)
        if apart and len(played):
            apart = min(apart, len(memory.features) // 4)
            hidden = slice(max(0, int(played[-1]) + 1 - apart), int(played[-1]) + 1 + apart)
        return self.predict_rows(memory, memory.features[played], hidden=hidden, shown=shown)

    def predict_rows(
        self, memory: Memory, heard: Array, *, hidden: slice = slice(0, 0), shown: Array | None = None
    ) -> Prediction:
        """Predict the next horizon after the feature rows `heard` (any number, width), `hidden` steps out of sight."""
        steps = self.config.context_steps
        heard = heard[-steps:].astype(np.float32)
        context = np.pad(heard, ((steps - len(heard), 0), (0, 0)))
        mask = np.pad(np.ones(len(heard), np.float32), (steps - len(heard), 0))
        inputs = {"context": context[None], "context_mask": mask[None]}
        seen = memory.mask.copy()
        seen[:, hidden] = 0.0
        places = slice(0, len(memory.features)) if shown is None else shown
        rows = memory.padded
        if shown is not None:
            rows, seen = rows[:, shown], seen[:, shown]
        outputs = run(self.runner, memory=rows, memory_mask=seen, **inputs)
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise ModelError(f"{self.path} predicts what is not a number: train it again")
        logits = np.full((len(memory.features), len(POINTER_SECONDS)), -np.inf)
        logits[places] = outputs["starts"][0][: len(memory.features)]
        logits[hidden] = -np.inf
        return Prediction(outputs["log_mel"][0], self._starts(logits))

    def _starts(self, logits: Array) -> Array:
        """Log-probabilities (steps, 3) of the network's logits."""
        shifted = logits - logits.max(axis=0)
        normal = shifted - np.log(np.exp(shifted).sum(axis=0))
        return np.asarray(np.maximum(normal, IMPOSSIBLE), np.float32)


class WaveformModel:
    """An exported generative reference, `paper` or `lstm`: it predicts the waveform itself, mono, at its own rate."""

    def __init__(self, path: Path, config: WaveformConfig, settings: dict[str, Any]) -> None:
        self.path, self.config, self.settings = path, config, settings
        self.name: str = settings["network"]
        self.shape = (1, config.context_seconds, config.sample_rate)
        self.runner, self.sha256 = load_described(path, {"waveform": (0, 0, 0)}, settings, delegate=False)
        shape = self.runner.shapes["waveform"]
        if shape != self.shape:
            raise ModelError(f"{path} takes {shape}, its description says {self.shape}: train it again")

    def predict(self, samples: Array, *, level: float | None = None) -> Array:
        """Predict the next 10 s from the last 20 s.

        The network hears and predicts at zero mean and unit variance.

        Args:
            samples: mono at `config.sample_rate`, float32 (samples,); silence is put before less than 20 s.
            level: deviation of the scale that the prediction is put back to; without it that of what was heard.

        Returns:
            float32 (samples,).

        Raises:
            ModelError: the network predicts what is no number.
        """
        _, seconds, rate = self.shape
        scaled, mean, deviation = standardise(samples[-seconds * rate :])
        waveform = np.pad(scaled, (seconds * rate - len(scaled), 0)).reshape(self.shape)
        predicted = next(iter(run(self.runner, waveform=waveform).values())).reshape(-1)
        if not np.isfinite(predicted).all():
            raise ModelError(f"{self.path} predicts what is no number: its training has diverged, train it again")
        return np.asarray(predicted * (deviation if level is None else level) + mean, np.float32)
