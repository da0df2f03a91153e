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

FAR = 1e9  # a distance that no start has, and what bars a logit


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


def along_diagonals(similarity: Any, windows: Any) -> Any:
    """Sums along diagonals: (B, T, N + T) and weights (W, T) to (B, W, N), entry j summing similarity[t, j + t]."""
    steps, width = windows.shape[1], ops.shape(similarity)[2]
    # Rows read back one longer: row t moves left by t.
    flat = ops.pad(ops.reshape(similarity, (-1, steps * width)), ((0, 0), (0, steps)))
    moved = ops.reshape(flat, (-1, steps, width + 1))
    return ops.matmul(ops.convert_to_tensor(windows), moved)[:, :, : width - steps]


def squared_distances(ours: Any, our_mask: Any, theirs: Any, their_mask: Any) -> Any:
    """Squared distances (B, T, N) of rows (B, T, D) and (B, N, D), zero where either is masked, by one product."""
    ours_square = ops.sum(ops.square(ours), axis=2, keepdims=True)
    theirs_square = ops.sum(ops.square(theirs), axis=2, keepdims=True)
    left = ops.concatenate([-2.0 * ours, ours_square, ops.ones_like(ours_square)], axis=2)
    right = ops.concatenate([theirs, ops.ones_like(theirs_square), theirs_square], axis=2)
    left, right = left * ops.expand_dims(our_mask, 2), right * ops.expand_dims(their_mask, 2)
    return ops.matmul(left, ops.transpose(right, (0, 2, 1)))


def above_best(distance: Any, candidates: Any, floor: float) -> Any:
    """How much farther than the best candidate, in parts of its distance: (B, W, N) to (B, N, W), at most 8."""
    masked = ops.where(ops.expand_dims(candidates, 1) > 0.5, distance, FAR * ops.ones_like(distance))
    best = ops.minimum(ops.min(masked, axis=2, keepdims=True), 100.0)
    relative = ops.minimum((distance - best) / (best + floor), 8.0)
    return ops.transpose(relative, (0, 2, 1))


@keras.saving.register_keras_serializable("musex")
class PastDistance(layers.Layer):
    """How unlike the end of the context is what preceded each memory position, along the diagonal.

    Input: views of the context, each (B, 200, D), its mask, views of the memory, each (B, N, D), its mask, candidates
    (B, N). Output: root mean square distances over every lag window, 0 at the best candidate, 1 where they are twice
    as large: (B, N, views * lags).
    """

    def __init__(self, lags: tuple[int, ...], context_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lags, self.context_steps = tuple(lags), context_steps
        self.windows = np.array([np.arange(context_steps) < lag for lag in lags], np.float32)

    def call(self, context: list[Any], context_mask: Any, memory: list[Any], memory_mask: Any, candidates: Any) -> Any:
        reach = ((0, 0), (0, self.context_steps))
        ours_mask = ops.flip(context_mask, axis=1)
        theirs_mask = ops.pad(ops.flip(memory_mask, axis=1), reach)
        pairs = ops.matmul(ops.expand_dims(ours_mask, 2), ops.expand_dims(theirs_mask, 1))
        count = along_diagonals(pairs, self.windows)
        strips = []
        for ours, theirs in zip(context, memory, strict=True):
            backwards = ops.pad(ops.flip(theirs, axis=1), (*reach, (0, 0)))
            squared = squared_distances(ops.flip(ours, axis=1), ours_mask, backwards, theirs_mask)
            total = along_diagonals(squared, self.windows)
            distance = ops.sqrt(ops.maximum(total, 0.0) / ops.maximum(count, 1.0) + 1e-4)
            # A candidate with little of the window in the memory is not better for it.
            distance = ops.where(count > 0.5, distance, 10.0 * ops.ones_like(distance))
            # Entry n is about what ends with memory position N - 1 - n; nothing precedes the first.
            before = ops.pad(ops.flip(distance, axis=2), ((0, 0), (0, 0), (1, 0)), constant_values=10.0)[:, :, :-1]
            strips.append(above_best(before, candidates, 0.05))
        return ops.concatenate(strips, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lags": self.lags, "context_steps": self.context_steps}


@keras.saving.register_keras_serializable("musex")
class AheadDistance(layers.Layer):
    """How unlike the prediction is the memory played on from each position, over the next 2, 5 and 10 s.

    Input: prediction (B, horizon, D), memory (B, N, D), its mask, candidates (B, N). Output: (B, N, spans), mean
    distance of the steps, 0 at the best candidate, 1 where it is twice as large. The choice whose expected error is
    least lies near the expectation.
    """

    def __init__(self, horizon_steps: int, spans: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.horizon_steps, self.spans = horizon_steps, tuple(spans)
        self.windows = np.array([(np.arange(horizon_steps) < span) / span for span in spans], np.float32)

    def call(self, predicted: Any, memory: Any, memory_mask: Any, candidates: Any) -> Any:
        reach = ((0, 0), (0, self.horizon_steps))
        theirs, theirs_mask = ops.pad(memory, (*reach, (0, 0))), ops.pad(memory_mask, reach)
        squared = squared_distances(predicted, ops.ones_like(predicted[..., 0]), theirs, theirs_mask)
        distance = ops.sqrt(ops.maximum(squared, 0.0) / predicted.shape[2] + 1e-4)
        return above_best(along_diagonals(distance, self.windows), candidates, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "horizon_steps": self.horizon_steps, "spans": self.spans}


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
        block, heads, horizon = self.block_steps, self.heads, self.horizon_steps
        reach = ops.pad(mask, ((0, 0), (0, horizon)))
        by_head = ops.transpose(logits, (0, 2, 1))
        weights = []
        for number in reversed(range(self.blocks)):
            last = number * block + block - 1
            valid = reach[:, last : last + total] * mask
            sharp = ops.expand_dims(ops.exp(self.sharpness[number]), 1)
            weights.append(ops.softmax(by_head * sharp - FAR * ops.expand_dims(1.0 - valid, 1), axis=2))
        # A start's weight is that of the row t later, t steps ahead. With the last of these times first, after
        # horizon - 1 zeros, and read back one longer, each row of weights moves left by one more than that before it.
        padded = ops.pad(ops.stack(weights, axis=2), ((0, 0), (0, 0), (0, 0), (horizon - 1, 0)))
        each_step = ops.tile(ops.expand_dims(padded, 3), (1, 1, 1, block, 1))
        width = total + horizon - 1
        flat = ops.pad(ops.reshape(each_step, (-1, horizon * width)), ((0, 0), (0, horizon)))
        moved = ops.reshape(flat, (-1, heads * horizon, width + 1))
        squares = ops.pad(ops.concatenate([rows, ops.square(rows)], axis=2), ((0, 0), (0, horizon), (0, 0)))
        copied = ops.reshape(ops.matmul(moved, squares), (-1, heads, horizon, 2, n_mels))
        parts = ops.transpose(ops.flip(copied, axis=2), (0, 3, 2, 4, 1))
        mean, square = parts[:, 0], parts[:, 1]
        return mean, ops.sqrt(ops.maximum(square - ops.square(mean), 0.0) + 1e-3)

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


def match_prior(columns: int, matched: dict[int, list[float]]) -> np.ndarray:
    """Initial weights (columns, outputs) of relative distances: `matched` columns as given, the others next to none.

    1 / 0.1 on the log-mel's distance over the last 2 s is *averaged nearest contexts*.
    """
    weights = np.full((columns, len(next(iter(matched.values())))), 1e-2, np.float32)
    for column, values in matched.items():
        weights[column] = values
    return weights


def embed(rows: Any, config: PointerConfig, name: str, policy: str | None) -> keras.Model:
    """Learned description of each step by its recent past: (B, T, inputs) to (B, T, embedding_channels)."""
    inputs = keras.Input((None, rows))
    hidden = layers.Conv1D(64, 5, padding="causal", activation="gelu", dtype=policy)(inputs)
    hidden = layers.Conv1D(64, 5, padding="causal", dilation_rate=3, activation="gelu", dtype=policy)(hidden)
    hidden = layers.Dropout(config.dropout)(hidden)
    described = layers.Dense(config.embedding_channels)(hidden)
    # Of unit length, but zero stays zero: silence before the song is described by the biases alone, zero at first.
    length = ops.sqrt(ops.sum(ops.square(described), axis=-1, keepdims=True) + 1e-6)
    return keras.Model(inputs, described / length, name=name)


def convolve(rows: Any, config: PointerConfig, policy: str | None) -> Any:
    """A convolution over the memory's positions: (B, N, D) to (B, N, strip_channels)."""
    return layers.Conv1D(config.strip_channels, 9, padding="same", activation="gelu", dtype=policy)(rows)


def mix(sources: Any, hints: Any, config: PointerConfig, policy: str | None) -> Any:
    """Gated mixture of the sources plus a small residual: (B, horizon, n_mels, S) and hints to (B, horizon, n_mels)."""
    hidden = layers.Concatenate(axis=-1)([sources, hints])
    hidden = layers.Conv2D(config.mixture_channels, 1, activation="gelu", dtype=policy)(hidden)
    for dilation in (1, 2, 4):
        widths: dict[str, Any] = {"padding": "same", "dilation_rate": (dilation, 1), "dtype": policy}
        step = layers.Conv2D(config.mixture_channels, 3, **widths)(hidden)
        step = layers.SpatialDropout2D(config.dropout)(layers.Activation("gelu")(step))
        hidden = layers.Add()([hidden, step])
    gate = layers.Conv2D(sources.shape[-1], 1, kernel_initializer="zeros", activation="softmax")(hidden)
    residual = ops.squeeze(layers.Conv2D(1, 1, kernel_initializer="zeros")(hidden), axis=-1)
    gated = layers.Multiply()([gate, sources])
    return ops.sum(gated, axis=-1) + residual


def build_pointer(config: PointerConfig, policy: str | None = None) -> keras.Model:
    """The whole network; `policy` is the Keras dtype policy of its convolutions, and of nothing that compares.

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
    ahead = ops.pad(memory_mask, ((0, 0), (0, horizon)))[:, horizon:] * memory_mask
    mel = known[3][..., :n_mels]
    ours, theirs, described = [*heard[:3]], [*known[:3]], []
    if config.embedding_channels:
        encoder = embed(width, config, "embed", policy)
        ours.append(encoder(heard[3]))
        theirs.append(encoder(known[3]))
        described.append(theirs[-1])
    distances = PastDistance(config.lags, steps)(ours, context_mask, theirs, memory_mask, ahead)
    hidden = convolve(ops.concatenate([distances, *described], axis=-1), config, policy)
    hidden = convolve(layers.Dropout(config.dropout)(hidden), config, policy)
    recent = config.lags.index(min(config.lags, key=lambda lag: abs(lag - 20)))  # the log-mel's last 2 s
    prior = match_prior(distances.shape[-1], {recent: list(config.sharpness)})
    logits = StartLogits(prior)(distances, layers.Dense(config.heads)(hidden))

    copied, spread = Copy(horizon, config.features.steps_per_second, config.heads)(logits, mel, memory_mask)
    if config.generates:
        held, place = Hold(horizon, (steps, 20, 2))(heard[3][..., :n_mels], context_mask, deviation)
        mixed = mix(layers.Concatenate()([copied, held]), layers.Concatenate()([spread, place]), config, policy)
    else:
        even = keras.initializers.Constant(1.0 / config.heads)
        mixed = layers.Dense(1, use_bias=False, kernel_initializer=even)(copied)[..., 0]
    predicted = layers.Multiply()([mixed, deviation])
    log_mel = layers.Add()([predicted, mean])

    spans = tuple(seconds * config.features.steps_per_second for seconds in POINTER_SECONDS)
    columns = distances.shape[-1]
    likely = {recent: [12.0] * len(spans)}
    if config.looks_ahead:
        expected = AheadDistance(horizon, spans)(ops.stop_gradient(predicted), mel * deviation, memory_mask, ahead)
        distances, hidden = (ops.concatenate([part, expected], axis=-1) for part in (distances, hidden))
        likely = {recent: [3.0] * len(spans)} | {
            columns + span: [10.0 * (span == other) for other in range(len(spans))] for span in range(len(spans))
        }
    weighed = layers.Dropout(config.dropout)(convolve(hidden, config, policy))
    prior = match_prior(distances.shape[-1], likely)
    starts = StartLogits(prior)(distances, layers.Dense(len(spans))(weighed))
    return keras.Model(
        {"context": context, "context_mask": context_mask, "memory": memory, "memory_mask": memory_mask},
        {"log_mel": layers.Identity(name="log_mel")(log_mel), "starts": layers.Identity(name="starts")(starts)},
        name="pointer",
    )
