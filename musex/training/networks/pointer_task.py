"""What the `pointer` network learns by: its losses, and how an examination of it is measured."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from musex.config import POINTER_SECONDS, PointerConfig
from musex.training.networks.pointer import FAR


@dataclass(frozen=True)
class PointerLoss:
    """What the loss is made of: the prediction's error in dB, the starts' mean regret, and the surprise at the best.

    Regret in parts of chance is the measure's own term, with which the choice of starts gained (models/log.md, "The
    start is chosen by what follows it"). Single numbers were not measured against others.
    """

    surprise_weight: float = 0.1  # beside the other two, which weigh 1
    steepness: float = 10.0  # a start that is a tenth worse than the best is wanted e times less
    best_floor_db: float = 0.1  # added to the best start's error, which may be 0
    relative_limit: float = 10.0  # of a start's error above the best, in parts of the best
    chance_floor_db: float = 0.3  # added to what chance is above the best, which may be 0
    regret_limit: float = 5.0  # of a start's error above the best, in parts of what chance is above it
    stride: int = 2  # steps, of which the first is compared: neighbours say nearly the same


class PointerTask(keras.Model):
    """The network with its losses: prediction error in dB, and the pointers against what would have fitted best."""

    def __init__(self, network: keras.Model, config: PointerConfig, loss: PointerLoss | None = None) -> None:
        super().__init__(name="pointer_task")
        self.network, self.config, self.terms = network, config, loss or PointerLoss()
        self.spans = [seconds * config.features.steps_per_second for seconds in POINTER_SECONDS]

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        outputs: dict[str, Any] = self.network(inputs, training=training)
        return outputs

    def build(self, *_: Any) -> None:
        self.built = True

    def start_errors(self, inputs: dict[str, Any], target: Any) -> tuple[Any, Any]:
        """Mean absolute error (dB) of playing on for 2, 5 and 10 s from every start, (B, N, 3); candidates (B, N)."""
        mask, horizon, stride = inputs["memory_mask"], self.config.horizon_steps, self.terms.stride
        rows = inputs["memory"][..., : self.config.features.n_mels]
        total = ops.shape(rows)[1]
        ahead = ops.pad(rows, ((0, 0), (0, horizon), (0, 0)))
        error, errors = ops.zeros_like(mask), []
        for step in range(0, horizon, stride):
            error = error + ops.mean(ops.abs(ahead[:, step : step + total] - target[:, step : step + 1]), axis=2)
            if step + stride in self.spans:
                errors.append(error / (step // stride + 1))
        candidates = ops.pad(mask, ((0, 0), (0, horizon)))[:, horizon:] * mask
        return ops.stack(errors, axis=2), candidates

    def regrets(self, errors: Any, candidates: Any) -> tuple[Any, Any]:
        """Errors above the best candidate's, in parts of it and of what chance is above it: (B, N, 3) each."""
        terms, weight = self.terms, ops.expand_dims(candidates, 2)
        best = ops.min(ops.where(weight > 0.5, errors, FAR * ops.ones_like(errors)), axis=1, keepdims=True)
        best = ops.minimum(best, 100.0)
        chance = ops.sum(errors * weight, axis=1, keepdims=True) / ops.maximum(
            ops.sum(weight, axis=1, keepdims=True), 1.0
        )
        above = ops.maximum(errors - best, 0.0)
        relative = ops.minimum(above / (best + terms.best_floor_db), terms.relative_limit)
        beyond = ops.maximum(chance - best, 0.0) + terms.chance_floor_db
        return relative, ops.minimum(above / beyond, terms.regret_limit)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        errors, candidates = self.start_errors(x, y)
        relative, regrets = self.regrets(errors, candidates)
        barred = FAR * (1.0 - candidates)[:, :, None]
        wanted = ops.softmax(-self.terms.steepness * relative - barred, axis=1)
        said = ops.log_softmax(y_pred["starts"] - barred, axis=1)
        surprise = -ops.mean(ops.sum(wanted * ops.where(wanted > 0, said, ops.zeros_like(said)), axis=1))
        regret = ops.mean(ops.sum(ops.exp(said) * regrets, axis=1))
        error = ops.mean(ops.abs(y_pred["log_mel"] - y))
        return error + self.terms.surprise_weight * surprise + regret

    def examine(self, batches: list[tuple[dict[str, Any], Any]]) -> tuple[float, float]:
        """Mean prediction error (dB) and mean regret of the likeliest start over 10 s (0: hindsight, 1: chance)."""
        error, regret = self.examine_all(batches).mean(axis=1)
        return float(error), float(regret)

    def examine_all(self, batches: list[tuple[dict[str, Any], Any]]) -> np.ndarray:
        """The same of each example: (2, n)."""
        if not hasattr(self, "examine_batch"):
            import tensorflow as tf

            self.examine_batch = tf.function(self.measure, reduce_retracing=True)
        results = [np.stack([part.numpy() for part in self.examine_batch(*batch)]) for batch in batches]
        return np.concatenate([np.zeros((2, 0), np.float32), *results], axis=1)

    def measure(self, inputs: dict[str, Any], target: Any) -> tuple[Any, Any]:
        """Prediction error and regret of each example, (B,) each."""
        outputs = self.network(inputs, training=False)
        errors, candidates = self.start_errors(inputs, target)
        _, regrets = self.regrets(errors, candidates)
        chosen = ops.argmax(outputs["starts"][..., -1] - FAR * (1.0 - candidates), axis=1)
        regret = ops.take_along_axis(regrets[..., -1], chosen[:, None], axis=1)[:, 0]
        return ops.mean(ops.abs(outputs["log_mel"] - target), axis=(1, 2)), regret
