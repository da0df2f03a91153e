"""A folder of music as training windows: features cached on disk, tracks split by folder, windows drawn on the fly."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np

from musex.analysis.features import analyse
from musex.audio.reading import READABLE, read_song
from musex.config import FEATURES, PointerConfig
from musex.errors import AudioError, DatasetError
from musex.system.arrays import Array, load_array, save_array
from musex.system.caches import beside_or_apart

logger = logging.getLogger(__name__)

FEATURE_VERSION = "1"
CACHE_FOLDER = ".musex-features"


@dataclass(frozen=True)
class Track:
    """One recording of the data set and its cached features."""

    path: Path
    group: str  # the folder below the data set: what validation is split by
    cache: Path
    start: int = 0  # row of the cache, which may hold several tracks
    steps: int | None = None  # all to its end

    @property
    def features(self) -> Array:
        """Features (steps, width), float16, mapped from disk."""
        rows = map_features(self.cache)[self.start :]
        return rows if self.steps is None else rows[: self.steps]


@cache
def map_features(file: Path) -> Array:
    """A cached array, mapped from disk once: each further mapping would count as memory again."""
    mapped: Array = np.load(file, mmap_mode="r")
    return mapped


def find_tracks(dataset: Path) -> list[Path]:
    """Audio files below `dataset`, in order of their names; raises DatasetError if there are none."""
    if not dataset.is_dir():
        raise DatasetError(f"{dataset} is not a folder: name a folder of music")
    hidden = {".debs", CACHE_FOLDER}
    paths = sorted(path for path in dataset.rglob("*") if path.suffix.lower() in READABLE and path.is_file())
    paths = [path for path in paths if not hidden & set(path.relative_to(dataset).parts)]
    if not paths:
        raise DatasetError(f"{dataset} holds no audio; musex reads {', '.join(sorted(READABLE))}")
    return paths


def cache_file(dataset: Path, name: str) -> Path:
    """Where something of a data set is cached: inside it if it is there or can be put there, else apart.

    Raises:
        DatasetError: there is no folder that can be written to.
    """
    inside = dataset / CACHE_FOLDER / name
    if inside.is_file():
        return inside
    try:
        folder = beside_or_apart(inside.parent)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"no folder for caches can be written to: {error.strerror or error}") from error
    return folder / name


def feature_key(path: Path, dataset: Path) -> str:
    """What features of a file are kept by: it changes with the file, and with what features are."""
    stat = path.stat()
    key = f"{FEATURE_VERSION} {FEATURES} {path.relative_to(dataset)} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def load_tracks(
    dataset: Path,
    *,
    paths: Sequence[Path] | None = None,
    cache_folder: Path | None = None,
    on_track: Callable[[int, int], None] | None = None,
) -> list[Track]:
    """Analyse every track of `dataset` that is not in the cache yet; unreadable and silent files are left out.

    Args:
        dataset: a folder of music.
        paths: what `find_tracks` has found there, if it was asked before.
        cache_folder: where features are kept, other than in the data set.
        on_track: called with the number of tracks done, and of all.

    Raises:
        DatasetError: there is no music, or no folder for caches.
        MusexError: the features of a track cannot be written.
    """
    paths = find_tracks(dataset) if paths is None else paths
    if cache_folder is not None:
        cache_folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for number, path in enumerate(paths):
        name = f"{feature_key(path, dataset)}.npy"
        file = cache_file(dataset, name) if cache_folder is None else cache_folder / name
        cached = load_array(file, mapped=True)
        if cached is None or cached.shape[1:] != (FEATURES.width,):
            try:
                song = read_song(path)
            except AudioError as error:
                logger.warning("%s left out: %s", path, error)
                continue
            save_array(analyse(song.samples, song.sample_rate).astype(np.float16), file)
        tracks.append(Track(path, path.relative_to(dataset).parts[0], file))
        if on_track:
            on_track(number + 1, len(paths))
    return tracks


def split_tracks(
    tracks: list[Track], *, validation: tuple[str, ...] = (), share: float = 0.12, seed: int = 0
) -> tuple[list[Track], list[Track]]:
    """Split into training and validation tracks, whole groups apart; by track where there are too few groups.

    `validation` names the groups held out; without it groups are drawn by `seed` until they hold `share` of the tracks.
    """
    groups = sorted({track.group for track in tracks})
    unknown = set(validation) - set(groups)
    if unknown:
        raise DatasetError(f"no folder {', '.join(sorted(unknown))} to validate on; there are {', '.join(groups)}")
    random = np.random.default_rng(seed)
    if not validation and len(groups) < 4:
        if len(tracks) < 2:
            raise DatasetError("training needs at least 2 tracks: one to learn from and one to validate on")
        order = random.permutation(len(tracks))
        held = set(order[: max(1, round(share * len(tracks)))].tolist())
        return (
            [track for number, track in enumerate(tracks) if number not in held],
            [track for number, track in enumerate(tracks) if number in held],
        )
    chosen = set(validation)
    for group in [] if validation else random.permutation(groups).tolist():
        if sum(track.group in chosen for track in tracks) >= share * len(tracks):
            break
        chosen.add(group)
    return [t for t in tracks if t.group not in chosen], [t for t in tracks if t.group in chosen]


def describe_split(learned: list[Track], held: list[Track]) -> dict[str, dict[str, int | list[str]]]:
    """Which folders are learned from and which are held out, for a run's settings."""
    return {
        name: {"tracks": len(tracks), "groups": sorted({track.group for track in tracks})}
        for name, tracks in (("training", learned), ("validation", held))
    }


@dataclass(frozen=True)
class Window:
    """One example: what was heard, what is remembered, what came next. All in feature rows."""

    context: Array  # (context_steps, width)
    context_mask: Array  # (context_steps,)
    memory: Array  # (memory_steps, width), zero where not valid
    memory_mask: Array  # (memory_steps,)
    target: Array  # (horizon_steps, n_mels), dB


def past_window(features: Array, at: int, config: PointerConfig, *, memory_steps: int | None = None) -> Window:
    """The window at step `at` with only the past as memory, padded or cut at its far end to `memory_steps`."""
    steps = at if memory_steps is None else memory_steps
    rows = np.asarray(features[: at + config.horizon_steps], np.float32)
    memory, memory_mask = pad_front(rows[:at], steps)
    context, context_mask = pad_front(rows[max(0, at - config.context_steps) : at], config.context_steps)
    return Window(context, context_mask, memory, memory_mask, rows[at:, : config.features.n_mels])


def pad_front(rows: Array, steps: int) -> tuple[Array, Array]:
    """The last `steps` rows, zeros put before them where there are fewer; and the mask of real rows."""
    rows = rows[-steps:]
    missing = steps - len(rows)
    mask = np.concatenate([np.zeros(missing, np.float32), np.ones(len(rows), np.float32)])
    return np.pad(rows.astype(np.float32), ((missing, 0), (0, 0))), mask


def shift_pitch(rows: Array, bands: int, config: PointerConfig) -> Array:
    """Move log-mel by `bands` and chroma by as many semitones: roughly a transposed song."""
    n_mels, n_chroma = config.features.n_mels, config.features.n_chroma
    mel = rows[:, :n_mels]
    index = np.clip(np.arange(n_mels) - bands, 0, n_mels - 1)
    chroma = np.roll(rows[:, n_mels : n_mels + n_chroma], bands, axis=1)
    return np.concatenate([mel[:, index], chroma, rows[:, n_mels + n_chroma :]], axis=1)


@dataclass(frozen=True)
class Sampling:
    """Which windows are learned from, and how they are varied; odds are shares of the windows.

    The packaged network learned from windows varied so (models/log.md, "First round"); in a tenth of its training the
    variations gave nothing that could be told (models/README.md, "What its parts give"). The single numbers were not
    measured against others.
    """

    length_power: float = 0.5  # of a track's length, by which it is drawn: 0 takes tracks alike, 1 their seconds
    longest_seconds: float = 600.0  # of a track, that count for how often it is drawn
    least_contexts: float = 1.5  # of a track before a window, where it is long enough
    gap_seconds: float = 15.0  # after the truth that the memory never holds
    future_odds: float = 0.5  # the memory also holds what comes after the gap
    crop_odds: float = 0.4  # of windows without a future: the memory begins later than it could
    pitch_odds: float = 0.5  # all is shifted in pitch
    pitch_bands: int = 3  # at most, and as many semitones of the chroma
    splice_odds: float = 0.33  # the context's older part is from elsewhere: contexts that are fed back have seams
    splice_shares: tuple[float, float] = (0.1, 0.9)  # of the context that is from elsewhere
    mask_odds: float = 0.3  # the context's oldest part is not heard
    mask_share: float = 0.5  # of the context, at most


def training_window(
    features: Array, random: np.random.Generator, config: PointerConfig, memory_steps: int, *, sampling: Sampling
) -> Window:
    """A window drawn at random. The truth and the gap after it are never part of the memory."""
    total, horizon = len(features), config.horizon_steps
    first = min(int(sampling.least_contexts * config.context_steps), max(1, total - horizon - 1))
    at = int(random.integers(first, max(first + 1, total - horizon)))
    low, high = max(0, at - memory_steps), at
    gap = horizon + round(sampling.gap_seconds * config.features.steps_per_second)
    with_future = random.random() < sampling.future_odds and at + gap + horizon < total
    if with_future:
        low = max(0, at - int(random.integers(0, memory_steps // 2)) - horizon)
        high = min(total, low + memory_steps)
    elif random.random() < sampling.crop_odds:
        low = int(random.integers(low, max(low + 1, at - 3 * horizon)))
    end = max(high, at + horizon)
    start = min(low, max(0, at - config.context_steps))
    rows = np.asarray(features[start:end], np.float32)
    if random.random() < sampling.pitch_odds:
        rows = shift_pitch(rows, int(random.integers(-sampling.pitch_bands, sampling.pitch_bands + 1)), config)
    at, low, high = at - start, low - start, high - start
    target = rows[at : at + horizon, : config.features.n_mels].copy()
    context, context_mask = pad_front(rows[max(0, at - config.context_steps) : at], config.context_steps)
    if random.random() < sampling.splice_odds:
        context = splice_context(context, rows[:at], random, sampling.splice_shares)
    valid = np.zeros(len(rows), np.float32)
    valid[low:at] = 1.0
    if with_future:
        valid[at + gap : high] = 1.0
    memory, _ = pad_front((rows * valid[:, None])[low:high], memory_steps)
    memory_mask, _ = pad_front(valid[low:high, None], memory_steps)
    if random.random() < sampling.mask_odds:
        cut = int(random.integers(0, round(sampling.mask_share * config.context_steps)))
        context[:cut], context_mask[:cut] = 0.0, 0.0
    return Window(context, context_mask, memory, memory_mask[:, 0], target)


def splice_context(context: Array, past: Array, random: np.random.Generator, shares: tuple[float, float]) -> Array:
    """Replace the context's older part, so much of it, by another place of the past: as fed-back contexts look."""
    least, most = (round(share * len(context)) for share in shares)
    cut = int(random.integers(least, most))
    if len(past) <= cut:
        return context
    start = int(random.integers(0, len(past) - cut))
    return np.concatenate([past[start : start + cut], context[cut:]])


def draw_windows(
    tracks: list[Track],
    config: PointerConfig,
    memory_steps: int,
    seed: int,
    *,
    sampling: Sampling,
    numbers: Iterable[int] | None = None,
) -> Iterator[Window]:
    """Training windows by their numbers, or without end, of tracks that are long enough.

    Each follows from the seed and its number alone: whoever draws some of them draws them as one that draws all.
    """
    arrays = [track.features for track in tracks]
    arrays = [features for features in arrays if len(features) > 3 * config.horizon_steps]
    if not arrays:
        raise DatasetError("no track is longer than 30 s: training needs 20 s of context and 10 s to predict")
    longest = round(sampling.longest_seconds * config.features.steps_per_second)
    weights = np.array([min(len(features), longest) for features in arrays], np.float64) ** sampling.length_power
    weights /= weights.sum()
    for number in count() if numbers is None else numbers:
        random = np.random.default_rng((seed, number))
        features = arrays[random.choice(len(arrays), p=weights)]
        yield training_window(features, random, config, memory_steps, sampling=sampling)


def validation_points(
    tracks: list[Track], config: PointerConfig, *, points: int, seed: int, earliest_seconds: float = 40.0
) -> list[tuple[int, int]]:
    """(track number, step) of every validation window: `points` a track, evenly jittered, at least 40 s in."""
    random = np.random.default_rng(seed)
    earliest = round(earliest_seconds * config.features.steps_per_second)
    chosen = []
    for number, track in enumerate(tracks):
        last = len(track.features) - config.horizon_steps
        if last <= earliest:
            continue
        places = earliest + (np.arange(points) + random.random(points)) / points * (last - earliest)
        chosen += [(number, int(place)) for place in places]
    return chosen
