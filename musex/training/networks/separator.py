"""The separator: a U-Net over a spectrogram split into bands, from which it predicts the masks of drums and bass.

The split into bands, narrow below 1 kHz and wide above, is Luo and Yu's (Music Source Separation with Band-split RNN,
2023): each band has weights of its own on both ends, so that masks keep the spectrogram's resolution at little cost.
Between them the U-Net is that of Jansson et al. (Singing Voice Separation with Deep U-Net, 2017), with dilated
convolutions at its bottom that hear some seconds around.

It is told, too, what median filtering makes of the spectrogram (Fitzgerald, Harmonic/percussive separation using median
filtering, 2010), and each band says how far to follow it: where drums are plain that is hard to better.
"""

import math
from itertools import pairwise

import keras
from keras import layers, ops

from musex.config import SeparatorConfig

CHANNELS = 2  # that get masks: left and right
VIEWS = 3  # that are heard: left, right and their difference
TAPS, REACH = 9, 8  # of a median: values, and frames to the first and last of them, every second one
FINE_STEP = 4  # from value to value of a median over single frequencies; over groups of as many it is one
MOST_ODDS = 4.0  # of the filter: the mask it makes of them lies between 0.02 and 0.98
MOST_RISE = 1.0  # in tenfold amplitudes, of a level above its median
SORTED_NINE = (  # exchanges that bring the median of nine to its place (Devillard, Fast median search, 1998)
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


def build_separator(
    config: SeparatorConfig, *, frames: int | None = None, batch_size: int | None = None
) -> keras.Model:
    """Levels (B, frames, cells, views) to masks of drums and of bass, each (B, frames, cells, channels) from 0 to 1.

    Levels as `musex.separation.separator.levels_of` gives them; the masks of drums, bass and the rest add up to 1. Its
    two layers are the body, which hears many frames, and the head, which makes masks of what is known of each.
    """
    levels = keras.Input((frames, config.cells, VIEWS), batch_size=batch_size, name="levels")
    hidden, struck = build_body(config, frames=frames, batch_size=batch_size)(levels)
    return keras.Model(levels, build_head(config)([hidden, struck]), name="separator")


def build_body(config: SeparatorConfig, *, frames: int | None = None, batch_size: int | None = None) -> keras.Model:
    """Levels (B, frames, cells, views) to what is known of bands (B, frames, bands, width), and the filter's odds."""
    levels = keras.Input((frames, config.cells, VIEWS), batch_size=batch_size)
    risen, struck = filter_levels(levels, config)
    hidden = split_bands(ops.concatenate([levels, risen, struck], axis=-1), config)
    skips = []
    for width, wider in pairwise(config.widths):
        hidden = convolve(hidden, width)
        skips.append(hidden)
        hidden = layers.Conv2D(wider, 2, strides=2, use_bias=False)(hidden)
        hidden = layers.ReLU()(normalise()(hidden))
    for dilation in config.dilations:
        hidden = convolve(hidden, config.widths[-1], dilation, depth=1)
    for width, skip in zip(config.widths[-2::-1], reversed(skips), strict=True):
        hidden = layers.Conv2DTranspose(width, 2, strides=2, use_bias=False)(hidden)
        hidden = layers.ReLU()(normalise()(hidden))
        hidden = layers.Conv2D(width, 1, use_bias=False)(layers.Concatenate()([hidden, skip]))
        hidden = convolve(layers.ReLU()(normalise()(hidden)), width)
    return keras.Model(levels, [hidden, struck], name="body")


def build_head(config: SeparatorConfig) -> keras.Model:
    """What is known of bands, and the filter's odds, to masks by stem, each (B, frames, cells, channels)."""
    hidden = keras.Input((None, sum(number for number, _ in config.bands), config.widths[0]))
    struck = keras.Input((None, config.cells, 1))
    drums, bass = (
        join_bands(hidden, config, f"{stem}_odds") + struck * weigh_bands(hidden, config, f"{stem}_weights")
        for stem in ("drums", "bass")
    )
    most = ops.relu(ops.maximum(drums, bass))
    drums, bass, rest = (ops.exp(odds - most) for odds in (drums, bass, ops.zeros_like(most)))
    whole = drums + bass + rest
    return keras.Model([hidden, struck], {"drums": drums / whole, "bass": bass / whole}, name="head")


def filter_levels(levels: keras.KerasTensor, config: SeparatorConfig) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """How far levels (B, frames, cells, views) exceed medians in time, and the log-odds of drums by median filtering.

    Both are (B, frames, cells, 1), of the louder channel. A median of logarithms is the logarithm of the median; nine
    values of the 17 frames, and of the about 340 Hz, that the filter of `musex.analysis.percussion` hears.
    """
    level = ops.maximum(levels[..., :1], levels[..., 1:2])
    harmonic = median(level, axis=1, step=2 * REACH // (TAPS - 1))
    fine, coarse = level[:, :, : config.fine_bins], level[:, :, config.fine_bins :]
    percussive = ops.concatenate([median(fine, axis=2, step=FINE_STEP), median(coarse, axis=2, step=1)], axis=2)
    odds = (2.0 * math.log(10.0)) * (percussive - harmonic)  # powers make the filter's mask
    return ops.clip(level - harmonic, -MOST_RISE, MOST_RISE), ops.clip(odds, -MOST_ODDS, MOST_ODDS)


def median(values: keras.KerasTensor, *, axis: int, step: int) -> keras.KerasTensor:
    """The running median of nine values along an axis, `step` from one to the next; beyond the ends the last ones."""
    reach = step * (TAPS // 2)
    first = ops.repeat(ops.take(values, [0], axis=axis), reach, axis=axis)
    last = ops.repeat(ops.take(values, [-1], axis=axis), reach, axis=axis)
    padded = ops.concatenate([first, values, last], axis=axis)
    size = padded.shape[axis]
    sides = [(step * tap, step * (TAPS - 1 - tap)) for tap in range(TAPS)]
    if axis == 1:
        taps = [padded[:, left : -right or None] for left, right in sides]
    else:
        taps = [padded[:, :, left : size - right] for left, right in sides]
    for low, high in SORTED_NINE:
        taps[low], taps[high] = ops.minimum(taps[low], taps[high]), ops.maximum(taps[low], taps[high])
    return taps[TAPS // 2]


def normalise() -> layers.BatchNormalization:
    """Over a batch; its running means settle within an epoch."""
    return layers.BatchNormalization(momentum=0.9)


def split_bands(views: keras.KerasTensor, config: SeparatorConfig) -> keras.KerasTensor:
    """What is heard of cells, (B, frames, cells, views), to (B, frames, bands, width)."""
    parts, start = [], 0
    for number, width in config.bands:
        part = views[:, :, start : start + number * width]
        part = layers.Reshape((-1, number, width * views.shape[-1]))(part)
        dense = layers.EinsumDense("btkw,kwc->btkc", (None, number, config.widths[0]), bias_axes="kc")
        parts.append(dense(part))
        start += number * width
    return layers.Concatenate(axis=2)(parts)


def join_bands(hidden: keras.KerasTensor, config: SeparatorConfig, name: str) -> keras.KerasTensor:
    """What is known of bands (B, frames, bands, width) to log-odds (B, frames, cells, channels) against the rest."""
    parts, start = [], 0
    for number, width in config.bands:
        dense = layers.EinsumDense("btkc,kcw->btkw", (None, number, width * CHANNELS), bias_axes="kw")
        parts.append(layers.Reshape((-1, number * width, CHANNELS))(dense(hidden[:, :, start : start + number])))
        start += number
    return layers.Concatenate(axis=2, name=name)(parts)


def weigh_bands(hidden: keras.KerasTensor, config: SeparatorConfig, name: str) -> keras.KerasTensor:
    """What is known of bands (B, frames, bands, width) to weights of their cells (B, frames, cells, 1)."""
    weights = layers.Dense(1, kernel_initializer="zeros", name=name)(hidden)
    parts, start = [], 0
    for number, width in config.bands:
        parts.append(ops.repeat(weights[:, :, start : start + number], width, axis=2))
        start += number
    return ops.concatenate(parts, axis=2)


def convolve(hidden: keras.KerasTensor, width: int, dilation: int = 1, *, depth: int = 2) -> keras.KerasTensor:
    """The same (B, frames, bands, width) plus what some convolutions, dilated in time, add to it."""
    branch = hidden
    for _ in range(depth):
        branch = layers.Conv2D(width, 3, padding="same", dilation_rate=(dilation, 1), use_bias=False)(branch)
        branch = normalise()(branch)
        branch = layers.ReLU()(branch)
    return hidden + branch
