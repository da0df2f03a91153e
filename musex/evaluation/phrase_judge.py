"""Does music go on as music does after a seam? A judge at the scale of phrases, of planners, loops and plain jumps.

It hears ±10 s around a place, but for the 0.3 s next to it (`musex.evaluation.phrases`), so that not the splice but
what is joined is judged: the bar that stumbles, the phrase that breaks off. It learns from jumps in other songs. Each
kind of jump is held against untouched music at random places and at the places where its own jumps leave and enter, so
that neither the kind of place nor the song says anything.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio.reading import read_song
from musex.errors import AudioError, DatasetError, DurationError, MusexError
from musex.evaluation.jumps import RANDOM, RANDOM_BEATS, Jumps, count_loops, to_seconds
from musex.evaluation.phrases import REACH_SECONDS, PhraseSong, can_be_heard, hear_phrases, phrase_rows
from musex.evaluation.seam_classifier import LOOPER, area_interval, draw_songs, learn_to_tell, looper_seams
from musex.planning.course import ModelLike
from musex.planning.planner import plan_song
from musex.system.arrays import Array

MATCHED = "best match"
HALF_BEAT, HALF_BAR = "best match, half a beat off", "best match, half a bar off"
NAIVE = (RANDOM, RANDOM_BEATS, HALF_BEAT, HALF_BAR)  # the kinds that any judge learns from
UNTOUCHED = "untouched"
FOLDS = 5  # of the songs, whole folders apart where there are enough: what is judged was not learned from
LEAST_SONGS = 2 * FOLDS  # so that each fold has two
LONGEST_SECONDS = 600.0  # of a song: a longer one takes too long to plan
MARGIN_SECONDS = 0.1  # of a place drawn to the first and last that can be heard
APART_SECONDS = 20.0  # between both ends of a naive jump, or a quarter of the song
ALIGNED_SECONDS = 4.0  # compared on both sides to align a jump
ALIGNED_LAG_SECONDS = 0.5  # that an aligned jump is moved by, at most
MATCHED_SECONDS = 5.0  # compared on both sides for the best match
MATCHED_FRAMES = 10  # averaged for that comparison
BEAT_SECONDS = (0.3, 1.0)  # the shortest and longest beat: 200 to 60 a minute
BEATS_IN_BAR = 4  # of the jumps half a bar off


def _bounds(song: PhraseSong) -> tuple[float, float]:
    """The first and last second at which a place can be heard on both sides."""
    edge = REACH_SECONDS + MARGIN_SECONDS
    return edge, song.seconds - edge


def _apart(song: PhraseSong) -> float:
    return min(APART_SECONDS, song.seconds / 4)


def random_jumps(song: PhraseSong, count: int, random: np.random.Generator) -> Jumps:
    """Jumps from anywhere to anywhere else."""
    jumps: Jumps = []
    while len(jumps) < count:
        leave, enter = random.uniform(*_bounds(song), 2).tolist()
        if abs(leave - enter) >= _apart(song):
            jumps.append((leave, enter))
    return jumps


def _peak(values: Array, at: int) -> float:
    """Where the parabola through a value and its neighbours is highest, or the value's own place."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, here, after = values[at - 1 : at + 2].tolist()
    bend = before - 2.0 * here + after
    return at + (0.5 * (before - after) / bend if bend < 0.0 else 0.0)


def align_entry(song: PhraseSong, leave: float, enter: float) -> float:
    """The second near `enter`, within half a second, around which attacks fall together with those around `leave`."""
    strength = song.strength
    rate = len(strength) / song.seconds
    reach, lag = round(ALIGNED_SECONDS * rate), round(ALIGNED_LAG_SECONDS * rate)
    centres = np.arange(len(strength)) + 0.5
    fixed = np.interp(leave * rate + np.arange(-reach, reach), centres, strength)
    moving = np.interp(enter * rate + np.arange(-reach - lag, reach + lag), centres, strength)
    windows = np.lib.stride_tricks.sliding_window_view(moving, 2 * reach)
    correlations = (windows @ (fixed - fixed.mean())) / (windows.std(axis=1) + 1e-6)
    first, last = _bounds(song)
    shift = (_peak(correlations, int(correlations.argmax())) - lag) / rate
    return float(np.clip(enter + shift, first, last))


def beat_aligned_jumps(song: PhraseSong, count: int, random: np.random.Generator) -> Jumps:
    """Random jumps that go on in time: attacks fall together, but bar, harmony and phrase are left to chance."""
    return [(leave, align_entry(song, leave, enter)) for leave, enter in random_jumps(song, count, random)]


def matched_jumps(song: PhraseSong, count: int, random: np.random.Generator) -> Jumps:
    """Jumps from anywhere to where ±5 s sound most alike, aligned: what likeness alone achieves."""
    rows = np.diff(song.rows[::MATCHED_FRAMES], axis=0) / MATCHED_FRAMES
    rate = (len(song.rows) - 1) / song.seconds / MATCHED_FRAMES
    first, last = _bounds(song)
    half = round(MATCHED_SECONDS * rate)
    places = np.arange(int(np.ceil(first * rate)), min(int(last * rate), len(rows) - half))
    squares = np.concatenate([[0.0], np.cumsum(np.sum(rows**2, axis=1))])
    jumps = []
    for leave in random.uniform(first, last, count).tolist():
        at = min(int(leave * rate), len(rows) - half)
        products = rows @ rows[at - half : at + half].T
        likeness = sum(products[places + shift - half, shift] for shift in range(2 * half))
        distances = squares[places + half] - squares[places - half] - 2.0 * likeness
        distances[np.abs(places - at) < _apart(song) * rate] = np.inf
        enter = float(places[distances.argmin()]) / rate + leave - at / rate
        jumps.append((leave, align_entry(song, leave, enter)))
    return jumps


def beat_seconds(song: PhraseSong) -> float:
    """The strongest period of the song's attacks between 0.3 and 1 s."""
    strength = song.strength - song.strength.mean()
    rate = len(strength) / song.seconds
    likeness = np.fft.irfft(np.abs(np.fft.rfft(strength, 2 * len(strength))) ** 2)
    shortest, longest = (round(bound * rate) for bound in BEAT_SECONDS)
    return _peak(likeness, shortest + int(likeness[shortest : longest + 1].argmax())) / rate


def move_jumps(song: PhraseSong, jumps: Jumps, seconds: float) -> Jumps:
    """The same jumps, entering so much later, or earlier near the song's end."""
    last = _bounds(song)[1]
    return [(leave, enter + seconds if enter + seconds <= last else enter - seconds) for leave, enter in jumps]


def naive_jumps(song: PhraseSong, count: int, random: np.random.Generator) -> dict[str, Jumps]:
    """Jumps of every kind that needs no planner, by kind; the last three leave at the same places."""
    matched, beat = matched_jumps(song, count, random), beat_seconds(song)
    return {
        RANDOM: random_jumps(song, count, random),
        RANDOM_BEATS: beat_aligned_jumps(song, count, random),
        MATCHED: matched,
        HALF_BEAT: move_jumps(song, matched, beat / 2),
        HALF_BAR: move_jumps(song, matched, beat * BEATS_IN_BAR / 2),
    }


def without_repeats(jumps: Jumps) -> Jumps:
    """Each pair of places once, to a tenth of a second."""
    return list({(round(leave, 1), round(enter, 1)): (leave, enter) for leave, enter in jumps}.values())


def describe_jumps(song: PhraseSong, jumps: Mapping[str, Jumps], untouched: Sequence[float]) -> dict[str, Array]:
    """Rows of one song: of the jumps that can be heard by kind, of untouched music, and of that at the jumps' places.

    Returns {KIND: rows, "untouched": rows, ("untouched " + KIND): rows} without what cannot be heard.
    """
    kinds = {kind: [jump for jump in found if can_be_heard(song, *jump)] for kind, found in jumps.items()}
    places = {UNTOUCHED: [(at, at) for at in untouched], **kinds}
    for kind, found in kinds.items():
        ends = [(at, at) for jump in found for at in jump]
        places[f"{UNTOUCHED} {kind}"] = [end for end in ends if can_be_heard(song, *end)]
    return {kind: phrase_rows(song, np.array(found)) for kind, found in places.items() if found}


def judge_phrases(
    songs: Sequence[PhraseSong],
    sets: Mapping[str, Sequence[Jumps]],
    seed: int,
    *,
    learned: Sequence[str] | None = None,
    places: int = 16,
) -> dict[str, Any]:
    """How well a judge that has not heard a song tells its jumps from untouched music, for each kind of jump.

    Args:
        songs: the songs, as `musex.evaluation.phrases.hear_phrases` hears them.
        sets: for each kind of jump those in each song, as seconds of leaving and entering.
        seed: draws the untouched places, the folds and the intervals.
        learned: the kinds that the judge learns from; without it the naive ones, or all if there are none.
        places: untouched places drawn in each song.

    Returns:
        {KIND: {"area": {"mean", "low", "high"}, "against_matched": {…}, "count"}}: the area under the ROC curve against
        random untouched places and against untouched music where the same jumps leave and enter, with 95 % bootstrap
        intervals over songs; 0.5 cannot be told from untouched music.

    Raises:
        DatasetError: fewer than 10 songs, or nothing to learn from.
    """
    if len(songs) < LEAST_SONGS:
        raise DatasetError(f"only {len(songs)} songs are usable: a judge of phrases needs at least {LEAST_SONGS}")
    random = np.random.default_rng(seed)
    described = []
    for number, song in enumerate(songs):
        jumps = {kind: list(found[number]) for kind, found in sets.items()}
        described.append(describe_jumps(song, jumps, random.uniform(*_bounds(song), places).tolist()))
    chosen = learned or [kind for kind in NAIVE if kind in sets] or list(sets)
    scores = score_places(described, [song.group for song in songs], chosen, seed)
    return {
        kind: {
            "area": area_interval(scores, kind, UNTOUCHED, seed),
            "against_matched": area_interval(scores, kind, f"{UNTOUCHED} {kind}", seed),
            "count": sum(len(song[kind]) for song in scores if kind in song),
        }
        for kind in sets
    }


def draw_folds(groups: Sequence[str], seed: int) -> Array:
    """The fold of each song, whole groups together; by song where there are too few groups: (songs,)."""
    names = sorted(set(groups))
    if len(names) < FOLDS:
        return np.random.default_rng(seed).permutation(len(groups)) % FOLDS
    sizes, fold_of = np.zeros(FOLDS), {}
    for name in sorted(names, key=lambda name: -groups.count(name)):
        fold_of[name] = int(sizes.argmin())
        sizes[fold_of[name]] += groups.count(name)
    return np.array([fold_of[group] for group in groups])


def score_places(
    described: Sequence[Mapping[str, Array]], groups: Sequence[str], learned: Sequence[str], seed: int
) -> list[dict[str, Array]]:
    """The judge's log-odds that a place is a jump, for every row of every song, by judges that have not heard it."""
    folds = draw_folds(groups, seed)
    scores: list[dict[str, Array]] = [{} for _ in described]
    for fold in range(FOLDS):
        heard = [song for song, its_fold in zip(described, folds, strict=True) if its_fold != fold]
        untouched = [rows for song in heard for kind, rows in song.items() if kind.startswith(UNTOUCHED)]
        jumps = [song[kind] for kind in learned for song in heard if kind in song]
        if not jumps:
            raise DatasetError(f"there are no jumps to learn from: none of {', '.join(learned)}")
        log_odds = learn_to_tell(np.concatenate(untouched), np.concatenate(jumps), seed)
        for number in np.flatnonzero(folds == fold).tolist():
            scores[number] = {kind: log_odds(rows) for kind, rows in described[number].items()}
    return scores


def collect_jumps(
    path: Path,
    dataset: Path,
    planners: Mapping[str, ModelLike],
    *,
    places: int,
    plans: int,
    loops: int,
    random: np.random.Generator,
) -> tuple[PhraseSong, dict[str, Jumps]]:
    """A song of a dataset as the judge hears it, and jumps of every kind in it.

    Raises:
        AudioError: it cannot be read.
        DurationError: it is too short, too long, or cannot be planned.
    """
    song = read_song(path)
    heard = hear_phrases(song.samples, song.sample_rate, group=path.relative_to(dataset).parts[0])
    first, last = _bounds(heard)
    if last - first < 2 * _apart(heard) or song.seconds > LONGEST_SECONDS:
        raise DurationError(f"{path} of {song.seconds:.0f} s is not judged: too short or too long")
    jumps = naive_jumps(heard, places, random)
    for name, model in planners.items():
        outputs = [plan_song(song, model, seconds=2 * song.seconds + 60.0, seed=seed) for seed in range(plans)]
        seams = without_repeats([jump for plan in outputs for jump in to_seconds(plan.seams, song.sample_rate)])
        jumps[name] = [seams[number] for number in random.permutation(len(seams))[:places]]
    if loops:
        jumps[LOOPER] = to_seconds(looper_seams(song, loops), song.sample_rate)
    return heard, jumps


def evaluate_phrases(
    dataset: Path,
    *,
    planners: Mapping[str, ModelLike],
    songs: int = 44,
    places: int = 8,
    plans: int = 1,
    looper: bool | None = None,
    seed: int = 0,
    on_progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Whether a judge at the scale of phrases finds the seams of planners, PyMusicLooper's loops and naive jumps.

    Args:
        dataset: a folder of music that was not trained on.
        planners: models by name; each plans every song `plans` times, at twice its length and a minute.
        songs: at most so many, of each folder in turn.
        places: jumps of each kind in a song, at most.
        plans: outputs of each planner for each song, by so many seeds.
        looper: whether PyMusicLooper stands beside them; without it where it is installed.
        seed: draws songs, places, folds and intervals.
        on_progress: called with what is being done and how much of it is done.

    Returns:
        {"data", "seed", "songs", "phrases": what `judge_phrases` returns, "left_out": {name: reason}}.

    Raises:
        MusexError: scikit-learn is not installed, or PyMusicLooper when it is asked for.
        DatasetError: fewer than 10 songs are usable.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MusexError("the judge of phrases needs scikit-learn: pip install 'musex[evaluate]'")
    loops = count_loops(looper, places)
    left_out = {} if loops else {LOOPER: "not asked for, or not installed"}
    random, collected = np.random.default_rng(seed), []
    paths = draw_songs(dataset, songs, seed)
    for number, path in enumerate(paths):
        try:
            collected.append(
                collect_jumps(path, dataset, planners, places=places, plans=plans, loops=loops, random=random)
            )
        except (AudioError, DurationError) as error:
            left_out[str(path)] = str(error)
        if on_progress:
            on_progress("Extending", (number + 1) / len(paths))
    heard = [song for song, _ in collected]
    kinds = [RANDOM, RANDOM_BEATS, MATCHED, HALF_BEAT, HALF_BAR, *planners, *([LOOPER] if loops else [])]
    sets = {kind: [jumps[kind] for _, jumps in collected] for kind in kinds}
    judged = judge_phrases(heard, sets, seed)
    return {"data": str(dataset), "seed": seed, "songs": len(heard), "phrases": judged, "left_out": left_out}
