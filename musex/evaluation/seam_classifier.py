"""Can a classifier find the seams? Ours, naive cuts, a plain loop and PyMusicLooper's, each against untouched places.

A gradient-boosted classifier hears ±1.5 s of rendered audio around a place as statistics of its log-mel and of the
log-mel's differences. It learns from naive cuts and from our seams, and is asked about songs it has not heard. It is
kept apart from the join head, which the search listens to.
"""

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from musex.analysis.features import log_mel_frames
from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.config import FEATURES, FeatureConfig
from musex.errors import AudioError, DatasetError, DurationError, MusexError
from musex.metrics import area_under_curve
from musex.planning.planner import plan_song
from musex.plans import Seam
from musex.prediction.model import Model, load_model
from musex.seams.joins import REACH_SECONDS, seam_window, whole_window
from musex.system.arrays import Array
from musex.system.side_files import temporary_folder
from musex.training.dataset import find_tracks

OURS, NAIVE, LOOP, LOOPER = "musex", "random cuts", "last 10 s", "PyMusicLooper"
LEARNED = (OURS, NAIVE)  # the kinds that the classifier learns from
LOOP_SECONDS = 10.0  # that the plain loop repeats
FOLDS, RESAMPLES = 5, 1000  # of the songs: to learn from others than are judged, and for intervals
BAND_GROUPS = 16  # of four bands each


def describe_place(mono: Array, config: FeatureConfig = FEATURES) -> Array:
    """Statistics of ±1.5 s of audio (samples,) at the features' rate: how its middle differs from the rest.

    How much the log-mel changes, rises and falls from frame to frame, as it is and by rank among the window's own: each
    frame within 140 ms of the middle, groups of frames within 0.8 s; level, movement and contrast of the middle against
    what is beside it; means and deviations of 16 groups of bands before and after it, over 0.1 to 1.5 s.
    """
    frames = len(mono) // config.hop_length
    log_mel = np.maximum(log_mel_frames(mono, frames, config), -80.0)
    bands = log_mel.reshape(frames, BAND_GROUPS, -1).mean(axis=2)
    middle, parts = frames // 2, []
    steps = np.diff(log_mel, axis=0)
    for curve in (
        np.abs(steps).mean(axis=1),
        np.maximum(steps, 0.0).mean(axis=1),
        np.maximum(-steps, 0.0).mean(axis=1),
    ):
        for values in (curve, np.searchsorted(np.sort(curve), curve) / len(curve)):
            groups = values[middle - 41 : middle + 39].reshape(16, 5)
            parts += [values[middle - 7 : middle + 6], groups.mean(axis=1), groups.min(axis=1), groups.max(axis=1)]
    movement, contrast = np.abs(np.diff(bands, axis=0)), log_mel.std(axis=1)
    for half in (3, 7, 15, 25):
        inside = np.arange(middle - half, middle + half)
        beside = np.concatenate([inside - 2 * half, inside + 2 * half])
        level = bands[inside].mean(axis=0) - bands[beside].mean(axis=0)
        moved = (movement[inside].mean(axis=0) + 0.05) / (movement[beside[:-1]].mean(axis=0) + 0.05)
        parts += [
            level,
            level.mean(keepdims=True),
            moved,
            np.array([contrast[inside].mean() - contrast[beside].mean()]),
        ]
    for reach in (5, 15, 37, middle):
        before, after = bands[middle - reach : middle], bands[middle : middle + reach]
        parts += [np.abs(after.mean(axis=0) - before.mean(axis=0)), np.abs(after.std(axis=0) - before.std(axis=0))]
        parts.append(np.array([after.mean() - before.mean()]))
    return np.concatenate(parts).astype(np.float32)


def place_window(song: Song, place: int | Seam) -> Array | None:
    """Audio (samples,) at the features' rate, ±1.5 s around a place or a rendered seam; None near the song's ends."""
    reach = round(REACH_SECONDS * song.sample_rate)
    if isinstance(place, Seam):
        return seam_window(song.samples, song.sample_rate, place)
    if place < reach or place + reach > len(song.samples):
        return None
    return whole_window(song.samples[place - reach : place + reach], song.sample_rate)


def hard_cut(leave: int, enter: int) -> Seam:
    """A cut without any care."""
    return Seam(0, leave, enter, 2, 0.0, 0.0, 0.0, 0.0)


def our_seams(song: Song, model: Model, *, seconds: float, seeds: range) -> list[Seam]:
    """Different seams of our outputs of `seconds`, by several seeds."""
    seams: dict[tuple[int, int], Seam] = {}
    for seed in seeds:
        for seam in plan_song(song, model, seconds=seconds, seed=seed).seams:
            seams[round(seam.leave / song.sample_rate), round(seam.enter / song.sample_rate)] = seam
    return list(seams.values())


def looper_seams(song: Song, count: int) -> list[Seam]:
    """The best loops that PyMusicLooper finds, cut as it cuts them; MusexError if it is not installed or fails."""
    if importlib.util.find_spec("pymusiclooper") is None:
        raise MusexError("PyMusicLooper is not installed: pip install pymusiclooper")
    from pymusiclooper.core import MusicLooper
    from pymusiclooper.exceptions import LoopNotFoundError

    try:
        with warnings.catch_warnings(), temporary_folder() as folder:
            warnings.simplefilter("ignore")  # of librosa, about how it is called
            path = song.path or folder / "song.wav"
            if not song.path:
                soundfile.write(path, song.samples, song.sample_rate)
            pairs = MusicLooper(str(path)).find_loop_pairs()
    except LoopNotFoundError:
        return []
    return [hard_cut(int(pair.loop_end), int(pair.loop_start)) for pair in pairs[:count]]


def draw_songs(dataset: Path, count: int, seed: int) -> list[Path]:
    """Up to `count` songs, one of each folder in turn."""
    random = np.random.default_rng(seed)
    by_folder: dict[str, list[Path]] = {}
    for path in find_tracks(dataset):
        by_folder.setdefault(path.relative_to(dataset).parts[0], []).append(path)
    queues = [[paths[number] for number in random.permutation(len(paths))] for paths in by_folder.values()]
    turns = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
    return turns[:count]


def collect(
    path: Path, model: Model, *, places: int, seconds: float, plans: int, random: np.random.Generator, looper: bool
) -> dict[str, list[Array]]:
    """Descriptions of places of one song by kind: untouched, at random or (matched) where our seams are, and cut."""
    song = read_song(path)
    frames, rate = len(song.samples), song.sample_rate
    ours = our_seams(song, model, seconds=max(seconds, 2 * frames / rate), seeds=range(plans))
    ours = [ours[number] for number in random.permutation(len(ours))[:places]]
    lowest, highest = round(REACH_SECONDS * rate), frames - round(REACH_SECONDS * rate)
    at = random.integers(lowest, max(lowest + 1, highest), (places, 3)).tolist()
    back = round(LOOP_SECONDS * rate)
    kinds: dict[str, list[Any]] = {
        "untouched": [one for one, _, _ in at],
        "matched": [end for seam in ours for end in (seam.leave, seam.enter)],
        OURS: list(ours),
        NAIVE: [hard_cut(leave, enter) for _, leave, enter in at],
        LOOP: [hard_cut(leave, leave - back) for _, leave, _ in at if leave > back],
    }
    if looper:
        kinds[LOOPER] = looper_seams(song, places)
    windows = {kind: [place_window(song, place) for place in found] for kind, found in kinds.items()}
    return {kind: [describe_place(w) for w in found if w is not None] for kind, found in windows.items()}


def evaluate_seams(
    dataset: Path,
    *,
    model: Model | None = None,
    songs: int = 44,
    places: int = 8,
    seconds: float = 600.0,
    plans: int = 3,
    looper: bool | None = None,
    seed: int = 0,
    on_progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Area under the ROC curve for each kind of seam on unseen songs: 0.5 cannot be told from untouched music.

    Returns {"data", "seed", "songs", "seams": {KIND: {"area": {"mean", "low", "high"}, "against_matched": {…},
    "count"}}, "left_out"}. `area` is against places drawn at random, `against_matched` against the untouched music at
    the places where our seams leave and enter; intervals are 95 % bootstrap intervals over songs. Ours come from
    `plans` outputs of `seconds` for each song. PyMusicLooper's loops stand beside them where it is installed, or
    `looper` says so.

    Raises:
        MusexError: scikit-learn is not installed, or PyMusicLooper when it is asked for.
        DatasetError: fewer than 10 songs are usable.
    """
    has_looper = importlib.util.find_spec("pymusiclooper") is not None
    looper = has_looper if looper is None else looper
    left_out = {} if looper else {LOOPER: "not asked for" if has_looper else "needs pip install pymusiclooper"}
    if importlib.util.find_spec("sklearn") is None:
        raise MusexError("the seam classifier needs scikit-learn: pip install 'musex[evaluate]'")
    loaded, random = model or load_model(), np.random.default_rng(seed)
    paths, collected = draw_songs(dataset, songs, seed), []
    for number, path in enumerate(paths):
        try:
            collected.append(
                collect(path, loaded, places=places, seconds=seconds, plans=plans, random=random, looper=looper)
            )
        except (AudioError, DurationError):
            continue
        finally:
            if on_progress:
                on_progress("Extending", (number + 1) / len(paths))
    if len(collected) < 2 * FOLDS:
        raise DatasetError(f"only {len(collected)} songs of {dataset} are usable: at least {2 * FOLDS} are needed")
    kinds = list(dict.fromkeys(kind for song in collected for kind in song))
    scores = judge_places(collected, kinds, seed)
    results = {
        kind: {
            "area": area_interval(scores, kind, "untouched", seed),
            "against_matched": area_interval(scores, kind, "matched", seed),
            "count": sum(len(song[kind]) for song in scores if kind in song),
        }
        for kind in kinds
        if kind not in ("untouched", "matched")
    }
    return {"data": str(dataset), "seed": seed, "songs": len(collected), "seams": results, "left_out": left_out}


def judge_places(collected: list[dict[str, list[Array]]], kinds: list[str], seed: int) -> list[dict[str, Array]]:
    """The classifier's log-odds for every place of every song, by classifiers that have not heard the song."""
    folds = np.random.default_rng(seed).permutation(len(collected)) % FOLDS
    scores: list[dict[str, Array]] = [{} for _ in collected]
    for fold in range(FOLDS):
        learned = [song for song, its_fold in zip(collected, folds, strict=True) if its_fold != fold]
        untouched = [place for song in learned for place in song["untouched"] + song["matched"]]
        seams = [place for song in learned for kind in LEARNED for place in song[kind]]
        log_odds = learn_to_tell(np.array(untouched), np.array(seams), seed)
        for number in np.flatnonzero(folds == fold):
            for kind in kinds:
                if places := collected[number].get(kind):
                    scores[number][kind] = log_odds(np.array(places))
    return scores


def learn_to_tell(untouched: Array, seams: Array, seed: int) -> Callable[[Array], Array]:
    """A classifier that has learned from rows of both kinds: its log-odds that places (places, features) are seams."""
    from sklearn.ensemble import GradientBoostingClassifier

    classifier = GradientBoostingClassifier(
        n_estimators=200, learning_rate=0.06, max_depth=4, subsample=0.7, max_features="sqrt", random_state=seed
    )
    labels = np.repeat([0, 1], [len(untouched), len(seams)])
    weights = np.where(labels > 0, len(untouched) / max(len(seams), 1), 1.0)
    classifier.fit(np.concatenate([untouched, seams]), labels, sample_weight=weights)

    def log_odds(places: Array) -> Array:
        return np.asarray(classifier.decision_function(places))

    return log_odds


def area_interval(scores: list[dict[str, Array]], kind: str, against: str, seed: int) -> dict[str, float]:
    """Area under the ROC curve of one kind against another over all songs, with its bootstrap interval over songs."""
    usable = [song for song in scores if kind in song and against in song]

    def area(songs: list[dict[str, Array]]) -> float:
        return area_under_curve(*(np.concatenate([song[name] for song in songs]) for name in (kind, against)))

    if not usable:
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan")}
    drawn = np.random.default_rng(seed).integers(0, len(usable), (RESAMPLES, len(usable)))
    low, high = np.percentile([area([usable[number] for number in row]) for row in drawn], [2.5, 97.5])
    return {"mean": area(usable), "low": float(low), "high": float(high)}
