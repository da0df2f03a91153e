"""Train the generative references, `paper` and `lstm`: they predict the waveform itself, by the paper's recipe."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from musex.audio import read_song
from musex.dataset import CACHE_FOLDER, find_tracks
from musex.errors import AudioError, DatasetError, MusexError
from musex.features import to_mono

try:
    import keras

    from musex.networks.lstm import build_lstm
    from musex.networks.paper import INPUT_SECONDS, OUTPUT_SECONDS, RATE, build_paper
except ImportError as error:
    raise MusexError("training needs TensorFlow: pip install 'musex[train]'") from error

Array = np.ndarray
CLIP_SECONDS = INPUT_SECONDS + OUTPUT_SECONDS
NETWORKS: dict[str, Callable[[], keras.Model]] = {"paper": build_paper, "lstm": build_lstm}


@dataclass(frozen=True)
class ReferenceConfig:
    """The paper's recipe: 120 training and 50 validation files, Adam at 0.01, MSE, 200 epochs."""

    training_tracks: int = 120
    validation_tracks: int = 50
    batch_size: int = 20
    validation_batch_size: int = 10
    learning_rate: float = 0.01
    epochs: int = 200
    seed: int = 0


def load_clip(path: Path, cache: Path) -> Array | None:
    """The first 30 s of a track, (30, 22050) float32 of zero mean and unit variance; None if it is shorter."""
    file = cache / f"clip-{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.npy"
    if not file.exists():
        try:
            song = read_song(path)
        except AudioError:
            return None
        mono = to_mono(song.samples[: CLIP_SECONDS * song.sample_rate], song.sample_rate)[: CLIP_SECONDS * RATE]
        np.save(file, mono)
    mono = np.load(file)
    if len(mono) < CLIP_SECONDS * RATE or mono.std() < 1e-6:
        return None
    return np.asarray((mono - mono.mean()) / mono.std(), np.float32).reshape(CLIP_SECONDS, RATE)


def load_clips(dataset: Path, count: int, *, seed: int) -> Array:
    """Up to `count` clips of `dataset`, drawn by `seed`: (clips, 30, 22050)."""
    cache = dataset / CACHE_FOLDER
    cache.mkdir(exist_ok=True)
    paths = find_tracks(dataset)
    clips: list[Array] = []
    for number in np.random.default_rng(seed).permutation(len(paths)):
        if len(clips) == count:
            break
        clip = load_clip(paths[number], cache)
        if clip is not None:
            clips.append(clip)
    if len(clips) < 2:
        raise DatasetError(f"{dataset} holds {len(clips)} tracks of 30 s and more: training needs at least 2")
    return np.array(clips)


class EpochEnd(keras.callbacks.Callback):
    """Calls a function with the epoch's figures at its end."""

    def __init__(self, on_epoch: Callable[[dict[str, float]], None]) -> None:
        super().__init__()
        self.on_epoch = on_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.on_epoch({"epoch": epoch, **(logs or {})})


def train_reference(
    dataset: Path,
    run: Path,
    *,
    network: str,
    config: ReferenceConfig | None = None,
    epochs: int | None = None,
    resume: bool = False,
    seed: int = 0,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> Path:
    """Train `paper` or `lstm`; leaves `losses.csv`, `config.json` and `NETWORK.keras` in `run`, returns the last.

    The MSE of silence is 1.0 by the scaling of the clips.
    """
    config = config or ReferenceConfig(seed=seed)
    run.mkdir(parents=True, exist_ok=True)
    if (run / "losses.csv").exists() and not resume:
        raise DatasetError(f"{run} holds a run already: name another folder, or go on with it by --resume")
    clips = load_clips(dataset, config.training_tracks + config.validation_tracks, seed=config.seed)
    whole = config.training_tracks + config.validation_tracks
    held = max(1, round(len(clips) * config.validation_tracks / whole))
    keras.utils.set_random_seed(config.seed)
    model = NETWORKS[network]()
    model.compile(optimizer=keras.optimizers.Adam(config.learning_rate), loss="mse")
    settings = {"network": network, "weights": model.count_params(), "training": asdict(config)}
    (run / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.BackupAndRestore(run / "backup"),
        keras.callbacks.CSVLogger(run / "losses.csv", append=resume),
    ]
    if on_epoch:
        callbacks.append(EpochEnd(on_epoch))
    model.fit(
        clips[held:, :INPUT_SECONDS],
        clips[held:, INPUT_SECONDS:],
        validation_data=(clips[:held, :INPUT_SECONDS], clips[:held, INPUT_SECONDS:]),
        validation_batch_size=config.validation_batch_size,
        batch_size=config.batch_size,
        epochs=epochs or config.epochs,
        callbacks=callbacks,
        verbose=0,
    )
    path = run / f"{network}.keras"
    model.save(path)
    return path
