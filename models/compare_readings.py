"""Train the paper's network as it may have been meant, where the paper leaves it open, and print what each scores:

    python models/compare_readings.py MUSIC/ OUTPUT/ --epochs 20 --validation FOLDER ...

Each reading differs in one thing from the recipe with own units: the scaling of the audio, the learning rate, or the
widths of the hidden layers. Losses are kept in OUTPUT/READING/losses.csv, with what silence scores at that scaling.
"""

import argparse
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from musex.config import WaveformConfig
from musex.system.arrays import Array, load_array
from musex.training.dataset import Track, describe_split
from musex.training.networks import keras
from musex.training.networks.paper import build_paper
from musex.training.runs import LOG_FILE, open_run, read_rows, save_settings
from musex.training.waveform import ReferenceConfig, draw_tracks, fit, load_clip


@dataclass(frozen=True)
class Reading:
    """What is meant where the paper leaves it open."""

    model: WaveformConfig = field(default_factory=lambda: WaveformConfig(hidden="own"))
    recipe: ReferenceConfig = field(default_factory=ReferenceConfig)
    scaled: bool = True  # to zero mean and unit variance; else as it is in the file, between -1 and 1


READINGS = {
    "as-built": Reading(),
    "unscaled": Reading(scaled=False),
    "rate-0.001": Reading(recipe=ReferenceConfig(learning_rate=1e-3)),
    "rate-0.0001": Reading(recipe=ReferenceConfig(learning_rate=1e-4)),
    "widths-falling": Reading(model=WaveformConfig(hidden="own", widths=(512, 256, 128, 64))),
    "widths-512": Reading(model=WaveformConfig(hidden="own", widths=(512, 512, 512, 512))),
}


def clip_of(track: Track, reading: Reading) -> Array | None:
    """A track's first 30 s, (30, rate)."""
    clip = load_clip(track, reading.model, reading.recipe)
    if clip is None or reading.scaled:
        return clip
    waveform = load_array(track.cache)
    return None if waveform is None else waveform[: clip.size].reshape(clip.shape)


def train_reading(name: str, music: Path, output: Path, validation: tuple[str, ...], epochs: int) -> None:
    """Train a reading for so many epochs, or go on with it."""
    reading, run = READINGS[name], output / name
    recipe = replace(reading.recipe, epochs=epochs)
    open_run(run, "paper", resume=True)
    sides = draw_tracks(music, reading.model, recipe, validation=validation)
    keras.utils.set_random_seed(recipe.seed)
    network = build_paper(reading.model)
    described = {"network": "paper", "model": asdict(reading.model), "recipe": asdict(recipe)}
    save_settings(run, described | {"weights": network.count_params()} | describe_split(*sides))
    network.compile(keras.optimizers.Adam(recipe.learning_rate), loss="mse", jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    learned, held = (np.array([clip_of(track, reading) for track in tracks]) for tracks in sides)
    fit(network, learned, held, run=run, model=reading.model, config=recipe, minutes=None, on_epoch=print)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path, help="what to learn from")
    parser.add_argument("output", type=Path, help="a folder for the runs")
    parser.add_argument("--reading", action="append", choices=READINGS, help="only this one; may be given again")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--validation", action="append", default=[], help="a folder of MUSIC to hold out")
    arguments = parser.parse_args()
    for name in arguments.reading or READINGS:
        train_reading(name, arguments.music, arguments.output, tuple(arguments.validation), arguments.epochs)
        row = read_rows(arguments.output / name / LOG_FILE)[-1]
        print(f"| {name} | {row['loss']:.4f} | {row['validation_loss']:.4f} | {row['silence']:.4f} |", flush=True)


if __name__ == "__main__":
    main()
