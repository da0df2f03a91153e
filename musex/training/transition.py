"""Train the transition head on tracker modules, whose scores say which jumps a composer would make.

    python -m musex.training.transition MODULES/ RUN/ --validation PACKAGE --validation …

Each folder of `MODULES` is a package; those named are held out whole. A jump that the search would weigh, one between
places of the same row, one of these a few rows off, or one at random, is seen as `musex.planning.transitions` sees it
and labelled by the score. Every module is also heard with another one sounding on top of it, which hides its exact
repetitions as a voice does.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from musex.analysis.features import analyse_frames, to_mono
from musex.analysis.song_analysis import Analysis
from musex.analysis.tracker_modules import SUFFIXES, Score, read_module
from musex.config import FEATURES, TRANSITION_QUESTIONS
from musex.errors import AudioError, DatasetError
from musex.metrics import area_under_curve
from musex.planning.jumps import find_jumps
from musex.planning.material import Limits
from musex.planning.transitions import input_width, see
from musex.prediction.described import TRANSITION_FILE
from musex.system.arrays import Array
from musex.training.networks import keras
from musex.training.networks.transition import build_transition
from musex.training.runs import export

OF_SEARCH, SAME_ROW, AT_RANDOM = range(3)  # where a jump comes from
SOURCE_RATE = 22_050  # at which modules are played: that of the features


@dataclass(frozen=True)
class TransitionTrainingConfig:
    """How the transition head is fitted; chosen on seven packages of modules held out (models/log.md)."""

    places: int = 90  # of each module that are left, with `partners` jumps each that the search would weigh
    partners: int = 10  # of each of these places
    same_rows: int = 400  # jumps between places of the same row, or some rows off
    at_random: int = 150  # jumps between any two places
    weights: tuple[float, float, float] = (1.0, 0.5, 0.3)  # of the three in the loss
    least_seconds: float = 80.0  # of a module that is learned from
    longest_seconds: float = 700.0  # of a module that are played
    covers: tuple[float, float] = (-18.0, 3.0)  # dB of the module that sounds on top
    distance: int = 20  # least steps of a jump
    same_pattern_odds: float = 0.5  # of jumps between places of the same row: those of the same pattern
    rows_off: tuple[int, ...] = (-16, -12, -8, -4, -2, -1, 0, 0, 0, 0, 1, 2, 4, 8, 12, 16)  # of the same jumps
    hidden: tuple[int, ...] = (64, 48)  # widths of the hidden layers
    batch_size: int = 1024
    epochs: int = 4  # more fit the modules learned from better and others worse (models/log.md, log loss of the bar)
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """A module: its frames as `musex.analysis.features.analyse_frames` gives them, and its score."""

    name: str
    log_mel: Array
    chroma: Array
    score: Score


def read_pieces(dataset: Path, config: TransitionTrainingConfig) -> Iterator[Piece]:
    """Every module of a constant metre below a folder, rendered and analysed."""
    for path in sorted(dataset.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        try:
            samples, score = read_module(path, SOURCE_RATE, longest=config.longest_seconds)
        except AudioError:
            continue
        if score.seconds >= config.least_seconds and score.bar_rows:
            name = path.relative_to(dataset).as_posix()
            yield Piece(name, *analyse_frames(to_mono(samples, SOURCE_RATE)), score)


def cover(piece: Piece, other: Piece, gain_db: float, random: np.random.Generator) -> Piece:
    """A module with another one sounding on top, from anywhere in it on."""
    places = (random.integers(len(other.log_mel)) + np.arange(len(piece.log_mel))) % len(other.log_mel)
    power = 10.0 ** (piece.log_mel / 10.0) + 10.0 ** ((other.log_mel[places] + gain_db) / 10.0)
    chroma = np.hypot(piece.chroma, other.chroma[places] * 10.0 ** (gain_db / 20.0))
    return Piece(piece.name, (10.0 * np.log10(power)).astype(np.float32), chroma.astype(np.float32), piece.score)


def draw_jumps(
    piece: Piece, analysis: Analysis, config: TransitionTrainingConfig, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Jumps of the three kinds: steps left and gone on with, and the kinds, int64 (jumps,) each."""
    steps = analysis.steps
    jumps = find_jumps(
        analysis.comparison_rows, Limits(1, 1, steps - 1, config.distance, config.distance, config.partners)
    )
    leaves = np.sort(random.permutation(np.arange(1, steps))[: config.places])
    rows, partners = np.nonzero(np.isfinite(jumps.unlikeness[leaves]))
    drawn = [(leaves[rows], jumps.targets[leaves[rows], partners])]
    drawn.append(_between_same_rows(piece.score, steps, config, random))
    pairs = random.integers(1, steps, (config.at_random, 2))
    drawn.append((pairs[:, 0], pairs[:, 1]))
    kinds = np.repeat([OF_SEARCH, SAME_ROW, AT_RANDOM], [len(pair[0]) for pair in drawn])
    left_at, entered_at = (np.concatenate([pair[side] for pair in drawn]) for side in (0, 1))
    apart = np.abs(left_at - entered_at) >= config.distance // 2
    return left_at[apart], entered_at[apart], kinds[apart]


def _between_same_rows(
    score: Score, steps: int, config: TransitionTrainingConfig, random: np.random.Generator
) -> tuple[Array, Array]:
    """Jumps between places of the same row, half of them of the same pattern, some a few rows off."""
    by_pattern, by_row = defaultdict(list), defaultdict(list)
    for number, (pattern, row) in enumerate(zip(score.patterns, score.rows, strict=True)):
        by_pattern[pattern, row].append(number)
        by_row[row].append(number)
    pairs = []
    for _ in range(config.same_rows):
        one = int(random.integers(len(score.rows)))
        pattern, row = score.patterns[one], score.rows[one]
        others = by_pattern[pattern, row] if random.random() < config.same_pattern_odds else by_row[row]
        other = int(random.choice(others))
        since = random.uniform(0.0, score.row_seconds)
        off = int(random.choice(config.rows_off)) * score.row_seconds
        pairs.append((score.times[one] + since, score.times[other] + since + off))
    places = np.rint(np.array(pairs) * FEATURES.steps_per_second).astype(np.int64)
    inside = np.all((places > 0) & (places < steps), axis=1)
    return places[inside, 0], places[inside, 1]


def make_examples(
    pieces: list[Piece], config: TransitionTrainingConfig, *, covered: bool
) -> tuple[Array, Array, Array]:
    """What is seen of jumps, float32 (n, width), their answers, float32 (n, 4), and kinds (n,), of all pieces.

    With `covered` each piece counts twice, the second time with another one on top.
    """
    random = np.random.default_rng(config.seed)
    examples = []
    for piece in pieces:
        versions = [piece]
        if covered:
            other = pieces[int(random.integers(len(pieces)))]
            versions.append(cover(piece, other, random.uniform(*config.covers), random))
        examples += [see_jumps(version, config, random) for version in versions]
    seen, answers, kinds = (np.concatenate(parts) for parts in zip(*examples, strict=True))
    return seen, answers, kinds


def see_jumps(
    piece: Piece, config: TransitionTrainingConfig, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """What is seen of jumps of one piece, their answers by its score, and their kinds; see `make_examples`."""
    analysis = Analysis(piece.log_mel, piece.chroma)
    leaves, enters, kinds = draw_jumps(piece, analysis, config, random)
    seen, sub_lags = see(analysis, leaves, enters)
    second = FEATURES.steps_per_second
    judged = piece.score.judge(leaves / second, enters / second + sub_lags / FEATURES.frames_per_second)
    answers = np.stack([judged[question] for question in TRANSITION_QUESTIONS], axis=1).astype(np.float32)
    return seen, answers, kinds


def train_transition(
    dataset: Path, run: Path, *, config: TransitionTrainingConfig | None = None, validation: tuple[str, ...] = ()
) -> dict[str, float]:
    """Train the transition head and leave `transition.tflite` and `.json` in `run`.

    Args:
        dataset: a folder of packages of tracker modules.
        run: the folder to write to.
        config: how it is fitted.
        validation: packages that are held out.

    Returns:
        Areas under the ROC curve of each question on jumps that the search would weigh, in the packages held out.

    Raises:
        DatasetError: there are no modules to learn from, or none held out.
    """
    config = config or TransitionTrainingConfig()
    pieces = list(read_pieces(dataset, config))
    held = [piece for piece in pieces if piece.name.split("/")[0] in validation]
    learned = [piece for piece in pieces if piece.name.split("/")[0] not in validation]
    if not learned or not held:
        raise DatasetError(
            f"{dataset} holds {len(learned)} modules to learn from and {len(held)} held out: both are needed"
        )
    seen, answers, kinds = make_examples(learned, config, covered=True)
    held_seen, held_answers, held_kinds = make_examples(held, config, covered=False)
    weighed = held_kinds == OF_SEARCH

    keras.utils.set_random_seed(config.seed)
    network = build_transition(input_width(), hidden=config.hidden, dropout=config.dropout)
    network.get_layer("scale").adapt(seen)
    rate = keras.optimizers.schedules.CosineDecay(
        config.learning_rate, max(1, config.epochs * len(seen) // config.batch_size)
    )
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=config.weight_decay),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    network.fit(
        seen,
        answers,
        sample_weight=np.array(config.weights, np.float32)[kinds],
        validation_data=(held_seen[weighed], held_answers[weighed]),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
    )
    odds = network.predict(held_seen[weighed], verbose=0)
    areas = {
        question: area_under_curve(odds[truth > 0.5, column], odds[truth <= 0.5, column])
        for column, (question, truth) in enumerate(zip(TRANSITION_QUESTIONS, held_answers[weighed].T, strict=True))
    }
    run.mkdir(parents=True, exist_ok=True)
    report = {
        "network": "transition",
        "width": input_width(),
        "recipe": asdict(config),
        "modules": {"learned from": len(learned), "held out": len(held)},
        "jumps": {"learned from": len(seen), "held out": int(weighed.sum())},
        "validation": list(validation),
        "areas": areas,
    }
    export(network, run / TRANSITION_FILE, report)
    return areas


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", type=Path, help="folder with one sub-folder of modules per package")
    parser.add_argument("run", type=Path, help="folder to write transition.tflite to")
    parser.add_argument("--validation", action="append", default=[], help="a package that is held out")
    arguments = parser.parse_args()
    areas = train_transition(arguments.modules, arguments.run, validation=tuple(arguments.validation))
    print("  ".join(f"{question} {area:.3f}" for question, area in areas.items()))  # noqa: T201


if __name__ == "__main__":
    main()
