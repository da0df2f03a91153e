"""Train the paper's network as it may have been meant, where the paper leaves it open, and print what each scores:

    python models/compare_readings.py MUSIC/ OUTPUT/ --epochs 20 --validation FOLDER ...
    python models/compare_readings.py MUSIC/ OUTPUT/ --scalings --validation FOLDER ...

Each reading differs in one thing from the recipe with own units: the scaling of the audio, the learning rate, or the
widths of the hidden layers; `shared-0.001` tells whether it takes own units at all. Losses are kept in
OUTPUT/READING/losses.csv, with what silence scores at that scaling. A reading that was trained goes on where it ended;
`--export` writes it as a model beside its losses. `--scalings` trains nothing, and prints what silence scores however
the audio may have been scaled.
"""

import argparse
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from musex.config import FEATURES, WaveformConfig
from musex.system.arrays import Array, load_array
from musex.training.dataset import Track, describe_split
from musex.training.networks import keras
from musex.training.networks.adam import Adam
from musex.training.networks.paper import build_paper
from musex.training.runs import LOG_FILE, export, open_run, read_rows, save_settings
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
    "rate-0.0003": Reading(recipe=ReferenceConfig(learning_rate=3e-4)),
    "rate-0.0001": Reading(recipe=ReferenceConfig(learning_rate=1e-4)),
    "shared-0.001": Reading(model=WaveformConfig(), recipe=ReferenceConfig(learning_rate=1e-3)),
    "widths-falling": Reading(model=WaveformConfig(hidden="own", widths=(512, 256, 128, 64))),
    "widths-512": Reading(model=WaveformConfig(hidden="own", widths=(512, 512, 512, 512))),
}


def clip_of(track: Track, reading: Reading) -> Array:
    """A track's first 30 s, (30, rate)."""
    clip = load_clip(track, reading.model, reading.recipe)
    waveform = load_array(track.cache)
    if clip is None or waveform is None:
        raise SystemExit(f"the clip of {track.path} is gone: begin anew")
    return clip if reading.scaled else waveform[: clip.size].reshape(clip.shape)


def describe_scalings(music: Path, validation: tuple[str, ...]) -> str:
    """What predicting nothing scores on the training tracks, as Markdown, by how the audio is scaled."""
    as_built, as_it_is = READINGS["as-built"], READINGS["unscaled"]
    cut = as_built.model.context_seconds
    tracks, _ = draw_tracks(music, as_built.model, as_built.recipe, validation=validation)
    clips = np.array([clip_of(track, as_it_is) for track in tracks])
    loudest = np.abs(clips).max(axis=(1, 2), keepdims=True)
    scalings = {
        "context and horizon standardised each": np.array([clip_of(track, as_built) for track in tracks]),
        "each clip standardised as a whole": clips / clips.std(axis=(1, 2), keepdims=True),
        "as in the file, between -1 and 1": clips,
        "each clip by its peak": clips / loudest,
        "each clip between 0 and 1, its silence at 0.5": 0.5 + clips / (2 * loudest),
    }
    rows = [f"| {name} | {np.mean(scaled[:, cut:] ** 2):.3f} |" for name, scaled in scalings.items()]
    return "\n".join(["| scaling | MSE of all zeros |", "|---|---|", *rows])


def train_reading(
    name: str, music: Path, output: Path, validation: tuple[str, ...], epochs: int, *, sample_rate: int, exported: bool
) -> None:
    """Train a reading for so many epochs, or go on with it."""
    run = output / name
    reading = replace(READINGS[name], model=replace(READINGS[name].model, sample_rate=sample_rate))
    recipe = replace(reading.recipe, epochs=epochs)
    open_run(run, "paper", resume=True)
    sides = draw_tracks(music, reading.model, recipe, validation=validation)
    keras.utils.set_random_seed(recipe.seed)
    network = build_paper(reading.model)
    settings = {
        "network": "paper",
        "model": asdict(reading.model),
        "recipe": asdict(recipe),
        "weights": network.count_params(),
        **describe_split(*sides),
    }
    save_settings(run, settings)
    network.compile(Adam(recipe.learning_rate), loss="mse", jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    learned, held = (np.array([clip_of(track, reading) for track in tracks]) for tracks in sides)
    fit(network, learned, held, run=run, model=reading.model, config=recipe, minutes=None, on_epoch=print)
    if exported:
        weights = network.get_weights()
        del network  # with its optimizer, which is twice as large
        bare = build_paper(reading.model)
        bare.set_weights(weights)
        export(bare, run / "paper.tflite", settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path, help="what to learn from")
    parser.add_argument("output", type=Path, help="a folder for the runs")
    parser.add_argument("--reading", action="append", choices=READINGS, help="only this one; may be given again")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--validation", action="append", default=[], help="a folder of MUSIC to hold out")
    parser.add_argument("--sample-rate", type=int, default=FEATURES.sample_rate, help="less is a quick look")
    parser.add_argument("--export", action="store_true", help="write what was trained as a model, too")
    parser.add_argument("--scalings", action="store_true", help="train nothing: what does silence score?")
    arguments = parser.parse_args()
    validation = tuple(arguments.validation)
    if arguments.scalings:
        print(describe_scalings(arguments.music, validation))
        return
    for name in arguments.reading or READINGS:
        train_reading(
            name,
            arguments.music,
            arguments.output,
            validation,
            arguments.epochs,
            sample_rate=arguments.sample_rate,
            exported=arguments.export,
        )
        row = read_rows(arguments.output / name / LOG_FILE)[-1]
        print(f"| {name} | {row['loss']:.4f} | {row['validation_loss']:.4f} | {row['silence']:.4f} |", flush=True)


if __name__ == "__main__":
    main()
