"""Train the join head on junctions made from a folder of music."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from musex.audio import muted_stderr, read_song
from musex.config import FEATURES
from musex.dataset import CACHE_FOLDER, Track, load_tracks, split_tracks
from musex.errors import AudioError, DatasetError
from musex.features import to_mono
from musex.joins import KINDS, OF_SEARCH, REACH_SECONDS, draw_junctions
from musex.metrics import area_under_curve
from musex.networks import keras
from musex.networks.join import build_join

Array = np.ndarray
JOIN_FILE = "join.tflite"
JUNCTIONS_VERSION = "2"  # of what `draw_junctions` makes, for the cache


@dataclass(frozen=True)
class JoinTrainingConfig:
    """How the join head is fitted."""

    tracks: int = 240
    junctions: int = 8  # of each kind, per track
    longest_seconds: float = 120.0
    batch_size: int = 64
    epochs: int = 30
    patience: int = 4
    learning_rate: float = 1e-3
    seed: int = 0


def load_junctions(
    tracks: list[Track],
    cache: Path,
    config: JoinTrainingConfig,
    *,
    on_track: Callable[[int, int], None] | None = None,
) -> tuple[Array, Array]:
    """Windows (n, frames, n_mels) float16 and kinds (n,) of every track, cached on disk."""
    windows, kinds = [], []
    for number, track in enumerate(tracks):
        made_by = f"{JUNCTIONS_VERSION}-{config.junctions}-{config.longest_seconds:g}-{config.seed}"
        file = cache / f"joins-{track.cache.stem}-{made_by}.npz"
        if not file.exists():
            try:
                song = read_song(track.path)
            except AudioError:
                continue
            samples = song.samples[: round(config.longest_seconds * song.sample_rate)]
            drawn = list(draw_junctions(to_mono(samples, song.sample_rate), config.junctions, seed=config.seed))
            shape = (0, round(2 * REACH_SECONDS * FEATURES.sample_rate) // FEATURES.hop_length, FEATURES.n_mels)
            made = np.array([junction.window for junction in drawn], np.float16).reshape(-1, *shape[1:])
            np.savez(file, windows=made, kinds=np.array([junction.kind for junction in drawn], np.int8))
        with np.load(file) as stored:
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
    on_track: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Train the join head and leave `join.tflite` in `run`; returns the areas under the curve on validation tracks."""
    config = config or JoinTrainingConfig()
    run.mkdir(parents=True, exist_ok=True)
    learned, held = split_tracks(load_tracks(dataset), validation=validation, seed=config.seed)
    random = np.random.default_rng(config.seed)
    picked = [learned[number] for number in random.permutation(len(learned))[: config.tracks]]
    windows, kinds = load_junctions(picked, dataset / CACHE_FOLDER, config, on_track=on_track)
    held_windows, held_kinds = load_junctions(held[: config.tracks // 3 + 1], dataset / CACHE_FOLDER, config)

    keras.utils.set_random_seed(config.seed)
    network = build_join(*windows.shape[1:])
    network.compile(keras.optimizers.AdamW(config.learning_rate), keras.losses.BinaryCrossentropy(from_logits=True))
    weights = weigh(kinds)
    network.fit(
        windows,
        (kinds == 0).astype(np.float32),
        sample_weight=weights,
        validation_data=(held_windows, (held_kinds == 0).astype(np.float32), weigh(held_kinds)),
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
    with muted_stderr():
        network.export(run / JOIN_FILE, format="litert", verbose=False)
    report = {"recipe": asdict(config), "areas": areas, "tracks": len(picked)}
    (run / "join.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return areas


def weigh(kinds: Array) -> Array:
    """Weights (n,) by which real junctions count as much as all splices, and the search's own as all other splices."""
    shares = np.bincount(kinds, minlength=len(KINDS)).astype(np.float64)
    wanted = np.full(len(KINDS), 0.25 / (len(KINDS) - 2))
    wanted[0], wanted[OF_SEARCH] = 0.5, 0.25
    return np.asarray(len(kinds) * (wanted / np.maximum(shares, 1.0))[kinds], np.float32)
