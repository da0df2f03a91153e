"""Train the join head on junctions made from a folder of music."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from musex.analysis.features import to_mono
from musex.audio.reading import read_song
from musex.config import FEATURES
from musex.errors import AudioError, DatasetError
from musex.metrics import area_under_curve
from musex.seams.joins import REACH_SECONDS
from musex.system.arrays import Array, load_arrays, save_arrays
from musex.training.dataset import Track, cache_file, load_tracks, split_tracks
from musex.training.junctions import KINDS, OF_SEARCH, JunctionConfig, draw_junctions
from musex.training.networks import keras
from musex.training.networks.join import build_join
from musex.training.runs import export

JOIN_FILE = "join.tflite"
JUNCTIONS_VERSION = "2"  # of what `draw_junctions` makes, for the cache


@dataclass(frozen=True)
class JoinTrainingConfig:
    """How the join head is fitted: as the packaged one was (models/README.md), numbers not measured against others."""

    tracks: int = 240  # learned from at most; a third as many, at most, are held out
    longest_seconds: float = 120.0  # of each track
    real_share: float = 0.5  # of the loss: as much as all splices together
    search_share: float = 0.25  # of the loss: the search's own splices count as much as all others
    channels: tuple[int, ...] = (16, 24, 32, 32)  # of its convolutions
    dropout: float = 0.3  # of the last layer, a third of it between convolutions
    batch_size: int = 64
    epochs: int = 30  # more than the packaged head's 15
    patience: int = 4  # epochs without a better one
    learning_rate: float = 1e-3
    seed: int = 0
    junctions: JunctionConfig = field(default_factory=JunctionConfig)  # of each track


def load_junctions(
    tracks: list[Track],
    dataset: Path,
    config: JoinTrainingConfig,
    *,
    on_track: Callable[[int, int], None] | None = None,
) -> tuple[Array, Array]:
    """Windows (n, frames, n_mels) float16 and kinds (n,) of every track, cached on disk."""
    windows, kinds = [], []
    recipe = f"{JUNCTIONS_VERSION} {config.junctions} {config.longest_seconds} {config.seed}"
    made_by = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    for number, track in enumerate(tracks):
        file = cache_file(dataset, f"joins-{track.cache.stem}-{made_by}.npz")
        stored = load_arrays(file)
        if stored is None or stored.keys() != {"windows", "kinds"}:
            try:
                song = read_song(track.path)
            except AudioError:
                continue
            samples = song.samples[: round(config.longest_seconds * song.sample_rate)]
            drawn = list(draw_junctions(to_mono(samples, song.sample_rate), config.junctions, seed=config.seed))
            shape = (0, round(2 * REACH_SECONDS * FEATURES.sample_rate) // FEATURES.hop_length, FEATURES.n_mels)
            made = np.array([junction.window for junction in drawn], np.float16).reshape(-1, *shape[1:])
            stored = {"windows": made, "kinds": np.array([junction.kind for junction in drawn], np.int8)}
            save_arrays(stored, file)
        windows.append(stored["windows"])
        kinds.append(stored["kinds"])
        if on_track:
            on_track(number + 1, len(tracks))
    if not windows or not sum(map(len, kinds)):
        raise DatasetError("no track is long enough for splices: at least 15 s are needed")
    return np.concatenate(windows), np.concatenate(kinds)


def train_join(
    dataset: Path,
    run: Path,
    *,
    config: JoinTrainingConfig | None = None,
    validation: tuple[str, ...] = (),
    paths: Sequence[Path] | None = None,
    on_track: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Train the join head and leave `join.tflite` in `run`; returns the areas under the curve on validation tracks."""
    config = config or JoinTrainingConfig()
    run.mkdir(parents=True, exist_ok=True)
    learned, held = split_tracks(load_tracks(dataset, paths=paths), validation=validation, seed=config.seed)
    random = np.random.default_rng(config.seed)
    picked = [learned[number] for number in random.permutation(len(learned))[: config.tracks]]
    windows, kinds = load_junctions(picked, dataset, config, on_track=on_track)
    held_windows, held_kinds = load_junctions(held[: config.tracks // 3 + 1], dataset, config)

    keras.utils.set_random_seed(config.seed)
    network = build_join(*windows.shape[1:], channels=config.channels, dropout=config.dropout)
    network.compile(keras.optimizers.AdamW(config.learning_rate), keras.losses.BinaryCrossentropy(from_logits=True))
    weights = weigh(kinds, config)
    network.fit(
        windows,
        (kinds == 0).astype(np.float32),
        sample_weight=weights,
        validation_data=(held_windows, (held_kinds == 0).astype(np.float32), weigh(held_kinds, config)),
        batch_size=config.batch_size,
        epochs=config.epochs,
        callbacks=[keras.callbacks.EarlyStopping(patience=config.patience, restore_best_weights=True)],
        verbose=0,
    )
    scores = network.predict(held_windows, verbose=0)[:, 0]
    areas = {
        kind: area_under_curve(scores[held_kinds == 0], scores[held_kinds == number])
        for number, kind in enumerate(KINDS)
        if number
    }
    report = {"network": "join", "recipe": asdict(config), "areas": areas, "tracks": len(picked)}
    export(network, run / JOIN_FILE, report)
    return areas


def weigh(kinds: Array, config: JoinTrainingConfig) -> Array:
    """Weights (n,) by which each kind has its share of the loss."""
    shares = np.bincount(kinds, minlength=len(KINDS)).astype(np.float64)
    wanted = np.full(len(KINDS), (1.0 - config.real_share - config.search_share) / (len(KINDS) - 2))
    wanted[0], wanted[OF_SEARCH] = config.real_share, config.search_share
    return np.asarray(len(kinds) * (wanted / np.maximum(shares, 1.0))[kinds], np.float32)
