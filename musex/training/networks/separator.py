"""The separator: a U-Net over a spectrogram split into bands, from which it predicts the masks of drums and bass.

The split into bands, narrow below 1 kHz and wide above, is Luo and Yu's (Music Source Separation with Band-split RNN,
2023): each band has weights of its own on both ends, so that masks keep the spectrogram's resolution at little cost.
Between them the U-Net is that of Jansson et al. (Singing Voice Separation with Deep U-Net, 2017), with dilated
convolutions at its bottom that hear some seconds around.
"""

from itertools import pairwise

import keras
from keras import layers, ops

from musex.config import SeparatorConfig

CHANNELS = 2  # that get masks: left and right
VIEWS = 3  # that are heard: left, right and their difference


def build_separator(
    config: SeparatorConfig, *, frames: int | None = None, batch_size: int | None = None
) -> keras.Model:
    """Levels (B, frames, cells, views) to masks of drums and of bass, each (B, frames, cells, channels) from 0 to 1.

    Levels as `musex.separation.separator.levels_of` gives them; the masks of drums, bass and the rest add up to 1. Its
    two layers are the body, which hears many frames, and the head, which makes masks of what is known of each.
    """
    levels = keras.Input((frames, config.cells, VIEWS), batch_size=batch_size, name="levels")
    masks = build_head(config)(build_body(config, frames=frames, batch_size=batch_size)(levels))
    return keras.Model(levels, masks, name="separator")


def build_body(config: SeparatorConfig, *, frames: int | None = None, batch_size: int | None = None) -> keras.Model:
    """Levels (B, frames, cells, views) to what is known of bands, (B, frames, bands, width)."""
    levels = keras.Input((frames, config.cells, VIEWS), batch_size=batch_size)
    hidden = split_bands(levels, config)
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
    return keras.Model(levels, hidden, name="body")


def build_head(config: SeparatorConfig) -> keras.Model:
    """What is known of bands (B, frames, bands, width) to masks by stem, each (B, frames, cells, channels)."""
    hidden = keras.Input((None, sum(number for number, _ in config.bands), config.widths[0]))
    drums, bass = (join_bands(hidden, config, stem) for stem in ("drums", "bass"))
    most = ops.relu(ops.maximum(drums, bass))
    drums, bass, rest = (ops.exp(odds - most) for odds in (drums, bass, ops.zeros_like(most)))
    whole = drums + bass + rest
    return keras.Model(hidden, {"drums": drums / whole, "bass": bass / whole}, name="head")


def normalise() -> layers.BatchNormalization:
    """Over a batch; its running means settle within an epoch."""
    return layers.BatchNormalization(momentum=0.9)


def split_bands(levels: keras.KerasTensor, config: SeparatorConfig) -> keras.KerasTensor:
    """Levels (B, frames, cells, views) to (B, frames, bands, width)."""
    parts, start = [], 0
    for number, width in config.bands:
        part = levels[:, :, start : start + number * width]
        part = layers.Reshape((-1, number, width * VIEWS))(part)
        dense = layers.EinsumDense("btkw,kwc->btkc", (None, number, config.widths[0]), bias_axes="kc")
        parts.append(dense(part))
        start += number * width
    return layers.Concatenate(axis=2)(parts)


def join_bands(hidden: keras.KerasTensor, config: SeparatorConfig, stem: str) -> keras.KerasTensor:
    """What is known of bands (B, frames, bands, width) to log-odds (B, frames, cells, channels) against the rest."""
    parts, start = [], 0
    for number, width in config.bands:
        dense = layers.EinsumDense("btkc,kcw->btkw", (None, number, width * CHANNELS), bias_axes="kw")
        parts.append(layers.Reshape((-1, number * width, CHANNELS))(dense(hidden[:, :, start : start + number])))
        start += number
    return layers.Concatenate(axis=2, name=f"{stem}_odds")(parts)


def convolve(hidden: keras.KerasTensor, width: int, dilation: int = 1, *, depth: int = 2) -> keras.KerasTensor:
    """The same (B, frames, bands, width) plus what some convolutions, dilated in time, add to it."""
    branch = hidden
    for _ in range(depth):
        branch = layers.Conv2D(width, 3, padding="same", dilation_rate=(dilation, 1), use_bias=False)(branch)
        branch = normalise()(branch)
        branch = layers.ReLU()(branch)
    return hidden + branch
