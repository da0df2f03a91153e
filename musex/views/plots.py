"""Spectrogram figures: what the network heard, what it predicted and what really came; two songs side by side."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from musex.analysis.features import hz_to_mel
from musex.config import FEATURES, FeatureConfig
from musex.errors import MusexError
from musex.system.side_files import check_side_file, written_whole

if TYPE_CHECKING:
    pass

Array = np.ndarray[Any, Any]

COLOURS = "magma"  # perceptually uniform, and its lightness rises throughout: it reads in greyscale too
DIFFERENCE_COLOURS = "cividis"  # dark blue, grey at zero, yellow: the sign is told without colours, too
RANGE_DB = 70.0  # shown below the loudest
SEAM_COLOUR = "#19d3f3"
LABELLED_HERTZ = (100, 500, 1000, 2000, 5000, 10_000)
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class LossPanel:
    """One panel of the figure of losses: its unit and scale, the label of each column in it, the most it shows."""

    unit: str
    scale: str
    curves: dict[str, str]
    top: float = math.inf


MSE_PANELS = (
    LossPanel("MSE", "linear", {"loss": "Training", "validation_loss": "Validation", "silence": "Silence"}, top=2.0),
)
ERROR_PANELS = (
    LossPanel("Error (dB)", "linear", {"validation_error_db": "Validation"}),
    LossPanel("Regret of the start", "linear", {"validation_regret": "Validation: 0 is hindsight, 1 chance"}),
    LossPanel("Loss", "linear", {"loss": "Training"}),
    LossPanel("Learning rate", "log", {"learning_rate": "Learning rate"}),
)

FEW_EPOCHS = 20  # with fewer, each is marked by a point
LINES = {"validation_loss": "--", "silence": ":"}  # told apart without colours, too


def mean_error(predicted: Array, actual: Array) -> float:
    """Mean absolute difference in dB of two log-mels (steps, n_mels), over the steps that both have."""
    steps = min(len(predicted), len(actual))
    if steps == 0:
        raise ValueError("nothing to compare: one of the log-mels has no steps")
    return float(np.mean(np.abs(np.asarray(predicted[:steps], np.float64) - actual[:steps])))


@dataclass(frozen=True)
class DrawnPrediction:
    """What one model says of the next seconds, and what is played for it: log-mels (steps, n_mels) in dB."""

    name: str
    predicted: Array
    realised: Array | None = None  # the song's own sound from the place chosen; None where the prediction is sound


def plot_predictions(
    heard: Array,
    guesses: list[DrawnPrediction],
    actual: Array,
    *,
    at: float,
    title: str = "",
    config: FeatureConfig = FEATURES,
) -> Figure:
    """Draw log-mels (steps, n_mels) in dB on one scale: input and actual, and below a row for each model.

    A row shows the prediction, its difference from the actual and the sound that is played for it.

    Args:
        heard: The networks' input, up to the seam.
        guesses: What each model says of the time from the seam on.
        actual: What the song really does from the seam on; shorter than the prediction where the song ends.
        at: Where the seam lies in the song, seconds.
        title: Written above.
        config: How the log-mels were made.
    """
    rate, horizon = config.steps_per_second, max(len(guess.predicted) for guess in guesses)
    figure = Figure(figsize=(13, 3.4 * (1 + len(guesses))), layout="constrained")
    grid = figure.add_gridspec(1 + len(guesses), 3)
    low, high = _scale(heard, actual, config=config)
    levels, differences = [], []

    def show(place: SubplotSpec, name: str, log_mel: Array, *, begins: float, ends: float) -> Axes:
        axis = figure.add_subplot(place)
        image = _draw(axis, log_mel, begins=begins, colours=COLOURS, low=low, high=high, config=config)
        axis.set_title(_printable(name), parse_math=False)
        axis.set_xlim(begins, ends)
        levels.append((axis, image))
        return axis

    ends = at + horizon / rate
    first = show(grid[0, :2], "Input", heard, begins=at - len(heard) / rate, ends=at)
    _label_seam(first, f"seam at {at:.1f} s", at)
    show(grid[0, 2], "Actual", actual, begins=at, ends=ends)
    spread = max(_spread(guess.predicted, actual) for guess in guesses)
    for row, guess in enumerate(guesses, start=1):
        show(grid[row, 0], f"Predicted by {guess.name}", guess.predicted, begins=at, ends=ends)
        shared = min(len(guess.predicted), len(actual))
        axis = figure.add_subplot(grid[row, 1])
        difference = np.asarray(guess.predicted[:shared], np.float64) - actual[:shared]
        image = _draw(axis, difference, begins=at, colours=DIFFERENCE_COLOURS, low=-spread, high=spread, config=config)
        axis.set_title(f"Predicted minus actual, error {mean_error(guess.predicted, actual):.2f} dB")
        axis.set_xlim(at, ends)
        differences.append((axis, image))
        if guess.realised is not None:
            error = mean_error(guess.realised, actual)
            show(grid[row, 2], f"Played for it: the song itself, {error:.2f} dB", guess.realised, begins=at, ends=ends)
    for axis, _ in (*levels, *differences):
        axis.axvline(at, color=SEAM_COLOUR, linestyle="--", linewidth=3, clip_on=False, zorder=5)
        axis.xaxis.set_major_locator(MaxNLocator(10 if axis is first else 5, integer=True))
        axis.set_xlabel("Time (s)")
        _label_bands(axis, config)
    figure.colorbar(levels[1][1], ax=levels[1][0], label="Level (dB)", pad=0.01)
    for axis, image in differences:
        figure.colorbar(image, ax=axis, label="Difference (dB)", pad=0.01)
    figure.suptitle(_printable(title), parse_math=False)
    return figure


def _spread(one: Array, other: Array) -> float:
    """The scale of a difference, dB: nearly all of it."""
    shared = min(len(one), len(other))
    return max(1.0, float(np.percentile(np.abs(np.asarray(one[:shared], np.float64) - other[:shared]), 99)))


def plot_comparison(
    first: Array, second: Array, *, names: tuple[str, str] = ("First", "Second"), config: FeatureConfig = FEATURES
) -> Figure:
    """Draw two log-mels (steps, n_mels) in dB on one scale and, below, the second minus the first."""
    error = mean_error(second, first)
    shared = min(len(first), len(second))
    figure = Figure(figsize=(13, 9), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, sharey=True)
    low, high = _scale(first, second, config=config)
    for axis, log_mel, name in zip(axes, (first, second), names, strict=False):
        image = _draw(axis, log_mel, begins=0.0, colours=COLOURS, low=low, high=high, config=config)
        axis.set_title(_printable(name), parse_math=False)
    figure.colorbar(image, ax=axes[:2], label="Level (dB)", pad=0.01)
    difference = np.asarray(second[:shared], np.float64) - first[:shared]
    reach = _spread(second, first)
    image = _draw(axes[2], difference, begins=0.0, colours=DIFFERENCE_COLOURS, low=-reach, high=reach, config=config)
    axes[2].set_title(f"Second minus first, {error:.2f} dB (mean absolute difference)")
    figure.colorbar(image, ax=axes[2:], label="Difference (dB)", pad=0.01)
    axes[2].set_xlabel("Time (s)")
    axes[2].set_xlim(0.0, max(len(first), len(second)) / config.steps_per_second)
    for axis in axes:
        _label_bands(axis, config)
    return figure


@dataclass(frozen=True)
class DrawnStretch:
    """A log-mel (steps, n_mels) in dB, and where in its song it begins."""

    name: str
    log_mel: Array
    begins: float  # seconds


def plot_stretches(songs: list[list[DrawnStretch]], *, config: FeatureConfig = FEATURES) -> Figure:
    """Draw as many stretches of several songs, a column for each song, on the scale of its first two."""
    figure = Figure(figsize=(6.5 * len(songs), 2.6 * len(songs[0])), layout="constrained")
    axes = figure.subplots(len(songs[0]), len(songs), squeeze=False)
    for stretches, column in zip(songs, axes.T, strict=True):
        low, high = _scale(*(stretch.log_mel for stretch in stretches[:2]), config=config)
        for axis, stretch in zip(column, stretches, strict=True):
            values = stretch.log_mel
            image = _draw(axis, values, begins=stretch.begins, colours=COLOURS, low=low, high=high, config=config)
            axis.set_title(_printable(stretch.name), parse_math=False)
            axis.set_xlabel("Time (s)")
            _label_bands(axis, config)
        figure.colorbar(image, ax=list(column), label="Level (dB)", pad=0.01)
    return figure


def plot_log_mel(log_mel: Array, *, steps: int = 1, config: FeatureConfig = FEATURES) -> Figure:
    """Draw one log-mel (columns, n_mels) in dB, wide and flat; each column is so many `steps` long."""
    figure = Figure(figsize=(12, 2.6), layout="constrained")
    axis = figure.subplots()
    low, high = _scale(log_mel, config=config)
    image = _draw(axis, log_mel, begins=0.0, colours=COLOURS, low=low, high=high, config=config)
    seconds = len(log_mel) * steps / config.steps_per_second
    image.set_extent((0.0, seconds, -0.5, config.n_mels - 0.5))
    axis.set_xlim(0.0, seconds)
    axis.set_xlabel("Time (s)")
    _label_bands(axis, config)
    figure.colorbar(image, ax=axis, label="Level (dB)", pad=0.01)
    return figure


def plot_losses(rows: list[dict[str, float]], *, title: str = "") -> Figure:
    """Draw the epochs of a run's `losses.csv`: MSE beside silence, or error, loss and learning rate of `pointer`.

    Raises:
        MusexError: there are no epochs.
    """
    if not rows:
        raise MusexError("there are no losses to draw: no epoch has been trained yet")
    panels = MSE_PANELS if "silence" in rows[0] else ERROR_PANELS
    figure = Figure(figsize=(9, 1.5 + 3 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        highest = 0.0
        for name, label in panel.curves.items():
            measured = [row for row in rows if not np.isnan(row[name])]  # not every epoch need be validated
            epochs, values = [row["epoch"] + 1 for row in measured], [row[name] for row in measured]
            top = max(values, default=0.0)
            beyond = f" (up to {top:.3g})" if top > panel.top else ""
            highest = max(highest, top)
            points = "." if len(rows) < FEW_EPOCHS else ""  # one alone would be no line
            axis.plot(epochs, values, LINES.get(name, "-"), marker=points, label=label + beyond)
        axis.set_ylabel(panel.unit)
        axis.set_yscale(panel.scale)
        if highest > panel.top:
            axis.set_ylim(0.0, panel.top)
        axis.legend()
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("Epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(_printable(title), parse_math=False)
    return figure


def save_figure(figure: Figure, path: str | Path, *, force: bool = False) -> None:
    """Write a figure as png, svg or pdf, whole or not at all; raises MusexError if it cannot be."""
    path = Path(path)
    check_figure(path, force)
    with written_whole(path, force=force) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=120)


def check_figure(path: str | Path, force: bool, *others: str | Path) -> None:
    """Refuse early what `save_figure` would refuse."""
    if Path(path).suffix.lower() not in FIGURE_SUFFIXES:
        raise MusexError(f"cannot write {path}: figures are written as {', '.join(s[1:] for s in FIGURE_SUFFIXES)}")
    check_side_file(path, force, *others)


def _scale(*log_mels: Array, config: FeatureConfig) -> tuple[float, float]:
    high = max(float(np.max(log_mel, initial=config.floor_db)) for log_mel in log_mels)
    high = max(high, config.floor_db + 10.0)
    return max(config.floor_db, high - RANGE_DB), high


def _draw(
    axis: Axes, values: Array, *, begins: float, colours: str, low: float, high: float, config: FeatureConfig
) -> AxesImage:
    ends = begins + len(values) / config.steps_per_second
    return axis.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest" if len(values) < 2000 else "auto",
        extent=(begins, ends, -0.5, config.n_mels - 0.5),
        cmap=colours,
        vmin=low,
        vmax=high,
    )


def _label_bands(axis: Axes, config: FeatureConfig) -> None:
    """Name mel bands by their centres: band n is centred on edge n + 1 of n_mels + 2 evenly spaced in mel."""
    highest = float(hz_to_mel(np.array(config.sample_rate / 2)))
    bands = hz_to_mel(np.array(LABELLED_HERTZ)) / highest * (config.n_mels + 1) - 1
    axis.set_yticks(bands, [f"{hertz:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") for hertz in LABELLED_HERTZ])
    axis.set_ylim(-0.5, config.n_mels - 0.5)
    axis.set_ylabel("Frequency (Hz, mel scale)")


def _label_seam(axis: Axes, text: str, at: float) -> None:
    axis.annotate(
        text,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-6, -6),
        textcoords="offset points",
        ha="right",
        va="top",
        color="black",
        bbox={"boxstyle": "round,pad=0.2", "facecolor": SEAM_COLOUR, "edgecolor": "none"},
    )


def _printable(text: str) -> str:
    """A file name as text, with U+FFFD for what is not Unicode in it or not in the font."""
    font = get_font(findfont(FontProperties()))
    return "".join(letter if font.get_char_index(ord(letter)) else "\N{REPLACEMENT CHARACTER}" for letter in text)
