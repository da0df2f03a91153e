"""What the `pointer` network is before it has learned anything, in NumPy: the match prior alone."""

import copy
from functools import partial
from typing import Any

import numpy as np

from musex.config import POINTER_SECONDS, PointerConfig
from musex.prediction.model import Model
from musex.system.arrays import Array

MATCH_STEPS = 20  # the log-mel's last 2 s
PAST_WEIGHT, AHEAD_WEIGHT = 3.0, 10.0  # of the starts' logits, as `build_pointer` begins: what preceded, what follows
HELD_STEPS = (20, 2)  # of the context whose means are mixed in, beside that of all of it
FAR = 10.0  # distance of a place with nothing before it


def match_prior(model: Model) -> Model:
    """The model with its network replaced by what that begins as: everything else, the join head too, stays."""
    prior = copy.copy(model)
    prior.name, prior.runner = "match prior", partial(predict_by_matching, model.config)
    return prior


def predict_by_matching(
    config: PointerConfig, *, context: Array, context_mask: Array, memory: Array, memory_mask: Array
) -> dict[str, Any]:
    """The network's outputs for a batch of one, with its initial weights and nothing learned; see `build_pointer`."""
    n_mels, mask, heard_mask = config.features.n_mels, memory_mask[0], context_mask[0]
    rows, heard = memory[0, :, :n_mels].astype(np.float32), context[0, :, :n_mels].astype(np.float32)
    known = rows[mask > 0.5]
    mean, deviation = known.mean(axis=0), np.sqrt(known.var(axis=0) + 4.0)
    rows, heard = (rows - mean) / deviation * mask[:, None], (heard - mean) / deviation * heard_mask[:, None]
    candidates = mask * np.pad(mask, (0, config.horizon_steps))[config.horizon_steps :] > 0.5

    distance = past_distances(heard, heard_mask, rows, mask) / np.sqrt(n_mels)
    past = above_best(np.where(np.isinf(distance), FAR, np.sqrt(distance**2 + 1e-4)), candidates, 0.05)
    copied = copy_ahead(-np.outer(np.array(config.sharpness, np.float32), past), rows, mask, config)
    held = [heard[-steps:].sum(axis=0) / max(heard_mask[-steps:].sum(), 1.0) for steps in (len(heard), *HELD_STEPS)]
    held.append(np.zeros(n_mels, np.float32))  # the song's mean
    mixed = (copied.sum(axis=0) + np.sum(held, axis=0)) / (len(copied) + len(held))

    ahead = ahead_distances(mixed * deviation, rows * deviation, mask, config)
    expected = np.array([above_best(distances, candidates, 0.0) for distances in ahead])
    starts = -PAST_WEIGHT * past[:, None] - AHEAD_WEIGHT * expected.T
    return {"log_mel": (mixed * deviation + mean)[None], "starts": starts[None]}


def past_distances(heard: Array, heard_mask: Array, rows: Array, mask: Array) -> Array:
    """Root mean square distance of the last 2 s heard and what preceded each place, (N,); infinite for nothing."""
    total, count = np.zeros(len(rows), np.float32), np.zeros(len(rows), np.float32)
    for lag in range(1, min(MATCH_STEPS, len(rows)) + 1):
        pairs = heard_mask[-lag] * mask[:-lag]
        total[lag:] += pairs * np.sum((rows[:-lag] - heard[-lag]) ** 2, axis=1)
        count[lag:] += pairs
    return np.where(count > 0.5, np.sqrt(total / np.maximum(count, 1.0)), np.inf)


def above_best(distance: Array, candidates: Array, floor: float) -> Array:
    """How much farther than the best candidate, in parts of its distance, at most 8: (N,)."""
    best = min(float(np.min(distance[candidates], initial=100.0)), 100.0)
    return np.asarray(np.minimum((distance - best) / (best + floor), 8.0))


def copy_ahead(logits: Array, rows: Array, mask: Array, config: PointerConfig) -> Array:
    """The memory played on from every start, averaged by each head's weights: (heads, horizon_steps, n_mels)."""
    block, total = config.features.steps_per_second, len(rows)
    ahead = np.pad(rows, ((0, block), (0, 0)))
    unfolded = np.concatenate([ahead[step : step + total] for step in range(block)], axis=1)
    reach = np.pad(mask, (0, config.horizon_steps))
    parts = []
    for shift in range(0, config.horizon_steps, block):
        valid = reach[shift + block - 1 : shift + block - 1 + total] * mask > 0.5
        barred = np.where(valid, logits, -np.inf) if valid.any() else logits
        weights = np.exp(barred - barred.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        moved = np.pad(weights, ((0, 0), (shift, 0)))[:, :total]
        parts.append((moved @ unfolded).reshape(len(logits), block, -1))
    return np.concatenate(parts, axis=1)


def ahead_distances(predicted: Array, rows: Array, mask: Array, config: PointerConfig) -> Array:
    """Mean distance (dB) of the prediction and the memory played on from each place for 2, 5 and 10 s: (3, N)."""
    total = len(rows)
    squared = np.sum(rows**2, axis=1) + np.sum(predicted**2, axis=1)[:, None] - 2.0 * predicted @ rows.T
    distances = np.sqrt(np.maximum(squared * mask, 0.0) / rows.shape[1] + 1e-4)
    beyond = np.sqrt(1e-4)
    summed, spans = np.zeros(total), []
    for step, distance in enumerate(distances):
        summed[: max(0, total - step)] += distance[step:]
        summed[max(0, total - step) :] += beyond
        if step + 1 in {seconds * config.features.steps_per_second for seconds in POINTER_SECONDS}:
            spans.append(summed / (step + 1))
    return np.array(spans)
