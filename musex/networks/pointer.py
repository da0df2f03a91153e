"""The `pointer` network: a match prior over the memory, learned residuals on it, and a gated mixture of copies.

    context (B, 200, width) ─┐
                             ├─ match strips ─ start logits (B, N, heads + pointers) ─ copies ─ mixture ─ log-mel
    memory  (B, N, width)  ──┘

Every candidate start j of the memory is judged by how what preceded it resembles the end of the context, along the
diagonal, over lag windows from 100 ms to 20 s. The prior is a weighted sum of such distances (in timbre, chroma and
onsets, relative to the best candidate's); what is learned is added to it, starting at zero.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from musex.config import POINTER_SECONDS, PointerConfig

FAR = 1e9


@keras.saving.register_keras_serializable("musex")
class Normalise(layers.Layer):
    """Log-mel by the memory's own statistics: zero mean and unit deviation in each band.

    Input: rows (B, T, n_mels), mask (B, T). Output: mean and deviation, (B, 1, n_mels) each.
    """

    def call(self, rows: Any, mask: Any) -> tuple[Any, Any]:
        weight = ops.expand_dims(mask, 2)
        count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
        mean = ops.sum(rows * weight, axis=1, keepdims=True) / count
        variance = ops.sum(ops.square(rows - mean) * weight, axis=1, keepdims=True) / count
        return mean, ops.sqrt(variance + 4.0)


@keras.saving.register_keras_serializable("musex")
class Views(layers.Layer):
    """What is compared: log-mel, chroma and onset strength, scaled alike, and all of them side by side.

    Input: rows (B, T, width), mask (B, T), mean and deviation (B, 1, n_mels).
    Output: (B, T, n_mels), (B, T, n_chroma), (B, T, frames_per_step), (B, T, width).
    """

    def __init__(self, n_mels: int, n_chroma: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_mels, self.n_chroma = n_mels, n_chroma

    def call(self, rows: Any, mask: Any, mean: Any, deviation: Any) -> tuple[Any, Any, Any, Any]:
        mel = (rows[..., : self.n_mels] - mean) / deviation * ops.expand_dims(mask, 2)
        chroma = rows[..., self.n_mels : self.n_mels + self.n_chroma]
        onset = 0.3 * rows[..., self.n_mels + self.n_chroma :]
        return mel / self.n_mels**0.5, chroma, onset, ops.concatenate([mel, chroma, onset], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_mels": self.n_mels, "n_chroma": self.n_chroma}


@keras.saving.register_keras_serializable("musex")
class Diagonal(layers.Layer):
    """Sums along the diagonals of context against memory, for every lag window.

    Input: similarity (B, context, N) of context step i and memory step n. Output: (B, lags, N); entry [l, j] sums the
    similarities of context[-1 - k] and memory[j - 1 - k] over k < lags[l].
    """

    def __init__(self, lags: tuple[int, ...], context_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lags, self.context_steps = tuple(lags), context_steps
        self.windows = np.array([np.arange(context_steps) < lag for lag in lags], np.float32)

    def call(self, similarity: Any) -> Any:
        steps, total = self.context_steps, ops.shape(similarity)[2]
        newest_first = ops.flip(similarity, axis=1)
        # Rows padded by `steps` and read back one shorter: row k moves right by k.
        padded = ops.pad(newest_first, ((0, 0), (0, 0), (0, steps)))
        flat = ops.reshape(padded, (-1, steps * (total + steps)))[:, : steps * (total + steps - 1)]
        skewed = ops.reshape(flat, (-1, steps, total + steps - 1))[:, :, :total]
        sums = ops.matmul(ops.convert_to_tensor(self.windows), skewed)
        return ops.pad(sums, ((0, 0), (0, 0), (1, 0)))[:, :, :total]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lags": self.lags, "context_steps": self.context_steps}


@keras.saving.register_keras_serializable("musex")
class RelativeDistance(layers.Layer):
    """Root mean square distance over each diagonal window, relative to the best candidate's.

    Input: context (B, 200, D), its mask, memory (B, N, D), its mask, candidates (B, N).
    Output: (B, N, lags), 0 at the best candidate, 1 where the distance is twice as large.
    """

    def __init__(self, lags: tuple[int, ...], context_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lags, self.context_steps = tuple(lags), context_steps
        self.diagonal = Diagonal(lags, context_steps)

    def call(self, context: Any, context_mask: Any, memory: Any, memory_mask: Any, candidates: Any) -> Any:
        pairs = ops.expand_dims(context_mask, 2) * ops.expand_dims(memory_mask, 1)
        product = ops.matmul(context, ops.transpose(memory, (0, 2, 1)))
        size = ops.sum(ops.square(context), axis=2, keepdims=True) + ops.expand_dims(
            ops.sum(ops.square(memory), axis=2), 1
        )
        total = self.diagonal((size - 2.0 * product) * pairs)
        count = self.diagonal(pairs)
        distance = ops.sqrt(ops.maximum(total, 0.0) / ops.maximum(count, 1.0) + 1e-4)
        # A candidate with little of the window in the memory is not better for it.
        distance = ops.where(count > 0.5, distance, 10.0 * ops.ones_like(distance))
        masked = ops.where(ops.expand_dims(candidates, 1) > 0.5, distance, FAR * ops.ones_like(distance))
        best = ops.minimum(ops.min(masked, axis=2, keepdims=True), 100.0)
        relative = ops.minimum(distance / (best + 0.05) - best / (best + 0.05), 8.0)
        return ops.transpose(relative, (0, 2, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lags": self.lags, "context_steps": self.context_steps}


@keras.saving.register_keras_serializable("musex")
class StartLogits(layers.Layer):
    """Logits of every candidate start: the prior, its weights trainable and positive, plus what is learned.

    Input: relative distances (B, N, strips), learned residual (B, N, outputs). Output: (B, N, outputs).
    """

    def __init__(self, prior: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prior = np.asarray(prior, np.float32)

    def build(self, *_: Any) -> None:
        initial = keras.initializers.Constant(np.log(np.expm1(np.maximum(self.prior, 1e-3))))
        self.weight = self.add_weight(shape=self.prior.shape, initializer=initial, name="weight")
        self.gain = self.add_weight(shape=(self.prior.shape[1],), initializer="zeros", name="gain")

    def call(self, distances: Any, residual: Any) -> Any:
        return self.gain * residual - ops.matmul(distances, ops.softplus(self.weight))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prior": self.prior.tolist()}


@keras.saving.register_keras_serializable("musex")
class Copy(layers.Layer):
    """What each head copies: the memory played on from every start, averaged by the head's weights.

    Input: start logits (B, N, heads), rows (B, N, n_mels), mask (B, N). Output: mean and deviation over the starts,
    (B, horizon, n_mels, heads) each. Weights are taken anew for each second, less sharp the further ahead.
    """

    def __init__(self, horizon_steps: int, block_steps: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.horizon_steps, self.block_steps, self.heads = horizon_steps, block_steps, heads
        self.blocks = horizon_steps // block_steps

    def build(self, *_: Any) -> None:
        self.sharpness = self.add_weight(shape=(self.blocks, self.heads), initializer="zeros", name="sharpness")

    def call(self, logits: Any, rows: Any, mask: Any) -> tuple[Any, Any]:
        total, n_mels = ops.shape(rows)[1], rows.shape[2]
        block, heads = self.block_steps, self.heads
        ahead = ops.pad(rows, ((0, 0), (0, self.horizon_steps), (0, 0)))
        unfolded = ops.concatenate([ahead[:, i : i + total] for i in range(block)], axis=2)  # (B, N, block * n_mels)
        reach = ops.pad(mask, ((0, 0), (0, self.horizon_steps)))
        means, deviations = [], []
        for number in range(self.blocks):
            shift = number * block
            valid = reach[:, shift + block - 1 : shift + block - 1 + total] * mask
            sharp = ops.exp(self.sharpness[number])
            weights = ops.softmax(logits * sharp - FAR * ops.expand_dims(1.0 - valid, 2), axis=1)
            moved = ops.pad(ops.transpose(weights, (0, 2, 1)), ((0, 0), (0, 0), (shift, 0)))[:, :, :total]
            mean = ops.reshape(ops.matmul(moved, unfolded), (-1, heads, block, n_mels))
            square = ops.reshape(ops.matmul(moved, ops.square(unfolded)), (-1, heads, block, n_mels))
            means.append(mean)
            deviations.append(ops.sqrt(ops.maximum(square - ops.square(mean), 0.0) + 1e-3))
        join = [ops.transpose(ops.concatenate(parts, axis=2), (0, 2, 3, 1)) for parts in (means, deviations)]
        return join[0], join[1]

    def get_config(self) -> dict[str, Any]:
        sizes = {"horizon_steps": self.horizon_steps, "block_steps": self.block_steps, "heads": self.heads}
        return {**super().get_config(), **sizes}


@keras.saving.register_keras_serializable("musex")
class Hold(layers.Layer):
    """What does not move: the mean of the context's last steps, for several spans, and the song's mean (zero).

    Input: normalised context (B, 200, n_mels), its mask, deviation (B, 1, n_mels). Output: (B, horizon, n_mels,
    spans + 1), and where each cell lies: time, its root, band and the band's deviation, (B, horizon, n_mels, 4).
    """

    def __init__(self, horizon_steps: int, spans: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.horizon_steps, self.spans = horizon_steps, tuple(spans)

    def call(self, rows: Any, mask: Any, deviation: Any) -> tuple[Any, Any]:
        horizon, weight = self.horizon_steps, ops.expand_dims(mask, 2)
        summaries = []
        for span in self.spans:
            count = ops.maximum(ops.sum(weight[:, -span:], axis=1, keepdims=True), 1.0)
            summaries.append(ops.sum(rows[:, -span:], axis=1, keepdims=True) / count)
        summaries.append(ops.zeros_like(summaries[0]))
        held = ops.concatenate([ops.expand_dims(ops.tile(part, (1, horizon, 1)), 3) for part in summaries], axis=3)
        scale = ops.expand_dims(ops.tile(ops.log(deviation), (1, horizon, 1)), 3)
        time, band = np.meshgrid(np.linspace(0, 1, horizon), np.linspace(-1, 1, rows.shape[2]), indexing="ij")
        place = np.stack([time, np.sqrt(time), band], axis=-1)[None].astype(np.float32)
        spread = ops.zeros_like(held[..., :3]) + ops.convert_to_tensor(place)
        return held, ops.concatenate([spread, scale], axis=3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "horizon_steps": self.horizon_steps, "spans": self.spans}


def match_prior(strips: int, lags: tuple[int, ...], heads: int) -> np.ndarray:
    """Initial weights (strips * lags, heads + pointers): sharp to blurred matching of log-mel over the last 2 s.

    1 / 0.1 on the relative distance of the 2 s window is *averaged nearest contexts*.
    """
    weights = np.full((strips * len(lags), heads + len(POINTER_SECONDS)), 1e-2, np.float32)
    sharpness = [30.0, 15.0, 10.0, 6.0, 4.0, 2.0][:heads] + [10.0] * max(0, heads - 6) + [15.0, 12.0, 10.0]
    weights[lags.index(20)] = sharpness
    return weights


def embed(rows: Any, config: PointerConfig, name: str) -> keras.Model:
    """Learned description of each step by its recent past: (B, T, inputs) to (B, T, embedding_channels)."""
    inputs = keras.Input((None, rows))
    hidden = layers.Conv1D(64, 5, padding="causal", activation="gelu")(inputs)
    hidden = layers.Conv1D(64, 5, padding="causal", dilation_rate=3, activation="gelu")(hidden)
    hidden = layers.Dropout(config.dropout)(hidden)
    return keras.Model(inputs, layers.UnitNormalization()(layers.Dense(config.embedding_channels)(hidden)), name=name)


def mix(sources: Any, hints: Any, config: PointerConfig) -> Any:
    """Gated mixture of the sources plus a small residual: (B, horizon, n_mels, S) and hints to (B, horizon, n_mels)."""
    hidden = layers.Concatenate(axis=-1)([sources, hints])
    hidden = layers.Conv2D(config.mixture_channels, 1, activation="gelu")(hidden)
    for dilation in (1, 2, 4):
        step = layers.Conv2D(config.mixture_channels, 3, padding="same", dilation_rate=(dilation, 1))(hidden)
        step = layers.SpatialDropout2D(config.dropout)(layers.Activation("gelu")(step))
        hidden = layers.Add()([hidden, step])
    gate = layers.Conv2D(sources.shape[-1], 1, kernel_initializer="zeros", activation="softmax")(hidden)
    residual = ops.squeeze(layers.Conv2D(1, 1, kernel_initializer="zeros")(hidden), axis=-1)
    gated = layers.Multiply()([gate, sources])
    return ops.sum(gated, axis=-1) + residual


def build_pointer(config: PointerConfig) -> keras.Model:
    """The whole network.

    Inputs: context (B, context_steps, width), context_mask (B, context_steps), memory (B, N, width),
    memory_mask (B, N). Outputs: log_mel (B, horizon_steps, n_mels) in dB, and starts (B, N, 3): logits of playing on
    from each memory step over the next 2, 5 and 10 s.
    """
    n_mels, n_chroma, width = config.features.n_mels, config.features.n_chroma, config.features.width
    steps, horizon = config.context_steps, config.horizon_steps
    context = keras.Input((steps, width), name="context")
    context_mask = keras.Input((steps,), name="context_mask")
    memory = keras.Input((None, width), name="memory")
    memory_mask = keras.Input((None,), name="memory_mask")

    mean, deviation = Normalise()(memory[..., :n_mels], memory_mask)
    views = Views(n_mels, n_chroma)
    heard, known = views(context, context_mask, mean, deviation), views(memory, memory_mask, mean, deviation)
    encoder = embed(width, config, "embed")
    ahead = ops.pad(memory_mask, ((0, 0), (0, horizon)))[:, horizon:] * memory_mask
    compared = [*zip(heard[:3], known[:3], strict=True), (encoder(heard[3]), encoder(known[3]))]
    strips = [
        RelativeDistance(config.lags, steps)(ours, context_mask, theirs, memory_mask, ahead)
        for ours, theirs in compared
    ]
    distances = ops.concatenate(strips, axis=-1)
    described = ops.concatenate([distances, encoder(known[3])], axis=-1)
    hidden = layers.Conv1D(config.strip_channels, 9, padding="same", activation="gelu")(described)
    hidden = layers.Dropout(config.dropout)(hidden)
    hidden = layers.Conv1D(config.strip_channels, 9, padding="same", activation="gelu")(hidden)
    prior = match_prior(len(strips), config.lags, config.heads)
    logits = StartLogits(prior)(distances, layers.Dense(prior.shape[1])(hidden))

    copied, spread = Copy(horizon, config.features.steps_per_second, config.heads)(
        logits[..., : config.heads], known[3][..., :n_mels], memory_mask
    )
    held, place = Hold(horizon, (steps, 20, 2))(heard[3][..., :n_mels], context_mask, deviation)
    mixed = mix(layers.Concatenate()([copied, held]), layers.Concatenate()([spread, place]), config)
    log_mel = layers.Add()([layers.Multiply()([mixed, deviation]), mean])
    return keras.Model(
        {"context": context, "context_mask": context_mask, "memory": memory, "memory_mask": memory_mask},
        {"log_mel": layers.Identity(name="log_mel")(log_mel), "starts": logits[..., config.heads :]},
        name="pointer",
    )


class PointerTask(keras.Model):
    """The network with its losses: prediction error in dB, and the pointers against what would have fitted best."""

    def __init__(self, network: keras.Model, config: PointerConfig) -> None:
        super().__init__(name="pointer_task")
        self.network, self.config = network, config
        self.normalise = Normalise()
        spans = [seconds * config.features.steps_per_second for seconds in POINTER_SECONDS]
        self.windows = np.array([(np.arange(config.horizon_steps) < span) / span for span in spans], np.float32)

    def call(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        outputs: dict[str, Any] = self.network(inputs, training=training)
        return outputs

    def build(self, *_: Any) -> None:
        self.built = True

    def fits(self, inputs: dict[str, Any], target: Any) -> tuple[Any, Any]:
        """How unlike the truth every start is over 2, 5 and 10 s, relative to the best: (B, N, 3), and candidates."""
        mask, n_mels, horizon = inputs["memory_mask"], self.config.features.n_mels, self.config.horizon_steps
        mean, deviation = self.normalise(inputs["memory"][..., :n_mels], mask)
        rows = (inputs["memory"][..., :n_mels] - mean) / deviation
        truth = (target - mean) / deviation
        total = ops.shape(rows)[1]
        product = ops.matmul(truth, ops.transpose(rows, (0, 2, 1)))
        size = ops.sum(ops.square(truth), axis=2)[:, :, None] + ops.sum(ops.square(rows), axis=2)[:, None, :]
        squared = ops.maximum(size - 2.0 * product, 0.0) / n_mels
        # Rows padded and read back one longer: row t moves left by t, so that column j holds memory[j + t].
        padded = ops.reshape(ops.pad(squared, ((0, 0), (0, 0), (0, horizon))), (-1, horizon * (total + horizon)))
        padded = ops.reshape(ops.pad(padded, ((0, 0), (0, horizon))), (-1, horizon, total + horizon + 1))
        distance = ops.sqrt(ops.matmul(ops.convert_to_tensor(self.windows), padded[:, :, :total]) + 1e-4)
        candidates = ops.pad(mask, ((0, 0), (0, horizon)))[:, horizon:] * mask
        masked = ops.where(candidates[:, None] > 0.5, distance, FAR * ops.ones_like(distance))
        best = ops.minimum(ops.min(masked, axis=2, keepdims=True), 100.0)
        return ops.transpose(ops.minimum(distance / best - 1.0, 10.0), (0, 2, 1)), candidates

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        fits, candidates = self.fits(x, y)
        barred = FAR * (1.0 - candidates)[:, :, None]
        wanted = ops.softmax(-10.0 * fits - barred, axis=1)
        said = ops.log_softmax(y_pred["starts"] - barred, axis=1)
        surprise = -ops.mean(ops.sum(wanted * ops.where(wanted > 0, said, ops.zeros_like(said)), axis=1))
        regret = ops.mean(ops.sum(ops.exp(said) * fits, axis=1))
        error = ops.mean(ops.abs(y_pred["log_mel"] - y))
        return error + 0.1 * surprise + regret

    def examine(self, batches: list[tuple[dict[str, Any], Any]]) -> tuple[float, float]:
        """Mean prediction error (dB) and mean regret of the most likely start over the next 10 s (0: hindsight)."""
        if not hasattr(self, "examine_batch"):
            import tensorflow as tf

            self.examine_batch = tf.function(self.measure, reduce_retracing=True)
        results = [np.stack([part.numpy() for part in self.examine_batch(*batch)]) for batch in batches]
        error, regret = np.concatenate(results, axis=1).mean(axis=1)
        return float(error), float(regret)

    def measure(self, inputs: dict[str, Any], target: Any) -> tuple[Any, Any]:
        """Prediction error and regret of each example, (B,) each."""
        outputs = self.network(inputs, training=False)
        fits, candidates = self.fits(inputs, target)
        chosen = ops.argmax(outputs["starts"][..., -1] - FAR * (1.0 - candidates), axis=1)
        regret = ops.take_along_axis(fits[..., -1], chosen[:, None], axis=1)[:, 0]
        return ops.mean(ops.abs(outputs["log_mel"] - target), axis=(1, 2)), regret
