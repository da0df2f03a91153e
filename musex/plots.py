"""Spectrogram figures: what the network heard, what it predicted and what really came; two songs side by side."""

import math
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from musex.audio import Song, read_song
from musex.config import FEATURES, FeatureConfig, PointerConfig, WaveformConfig
from musex.errors import MusexError
from musex.extension import check_side_file
from musex.features import analyse, hz_to_mel, to_mono

if TYPE_CHECKING:
    from musex.model import Model, WaveformModel

Array = np.ndarray[Any, Any]

COLOURS = "magma"  # perceptually uniform, and its lightness rises throughout: it reads in greyscale too
DIFFERENCE_COLOURS = "PuOr"
RANGE_DB = 70.0  # shown below the loudest
SEAM_COLOUR = "#19d3f3"
LABELLED_HERTZ = (100, 500, 1000, 2000, 5000, 10_000)
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
SHORTEST_SECONDS = 1.0  # of what is heard and of what is predicted


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
    LossPanel("Loss", "linear", {"loss": "Training"}),
    LossPanel("Learning rate", "log", {"learning_rate": "Learning rate"}),
)


def mean_error(predicted: Array, actual: Array) -> float:
    """Mean absolute difference in dB of two log-mels (steps, n_mels), over the steps that both have."""
    steps = min(len(predicted), len(actual))
    if steps == 0:
        raise ValueError("nothing to compare: one of the log-mels has no steps")
    return float(np.mean(np.abs(np.asarray(predicted[:steps], np.float64) - actual[:steps])))


def plot_prediction(
    heard: Array, predicted: Array, actual: Array, *, at: float, title: str = "", config: FeatureConfig = FEATURES
) -> Figure:
    """Draw three log-mels (steps, n_mels) in dB on one scale, with the seam and the error marked.

    Args:
        heard: The network's input, up to the seam.
        predicted: The network's prediction from the seam on.
        actual: What the song really does from the seam on; shorter than the prediction where the song ends.
        at: Where the seam lies in the song, seconds.
        title: Written above.
        config: How the log-mels were made.
    """
    error = mean_error(predicted, actual)
    start = at - len(heard) / config.steps_per_second
    panels = [("Input", heard, start), ("Predicted", predicted, at), ("Actual", actual, at)]
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    widths = [len(heard), len(predicted), len(predicted)]
    axes = figure.subplots(1, 3, sharey=True, width_ratios=widths)
    low, high = _scale(heard, actual, config=config)
    image = None
    for axis, (name, log_mel, begins) in zip(axes, panels, strict=True):
        image = _draw(axis, log_mel, begins, COLOURS, low, high, config)
        axis.set_title(name)
        axis.axvline(at, color=SEAM_COLOUR, linestyle="--", linewidth=3, clip_on=False, zorder=5)
        axis.xaxis.set_major_locator(MaxNLocator(5 if begins == at else 10, integer=True))
        axis.set_xlabel("Time (s)")
    axes[2].set_xlim(at, at + len(predicted) / config.steps_per_second)
    _label_seam(axes[0], f"seam at {at:.1f} s", at)
    _label_bands(axes[0], config)
    assert image is not None
    figure.colorbar(image, ax=axes, label="Level (dB)", pad=0.01)
    figure.suptitle(_printable(f"{title}   mean absolute error {error:.2f} dB".strip()), parse_math=False)
    return figure


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
        image = _draw(axis, log_mel, 0.0, COLOURS, low, high, config)
        axis.set_title(_printable(name), parse_math=False)
    figure.colorbar(image, ax=axes[:2], label="Level (dB)", pad=0.01)
    difference = np.asarray(second[:shared], np.float64) - first[:shared]
    reach = max(1.0, float(np.percentile(np.abs(difference), 99)))
    image = _draw(axes[2], difference, 0.0, DIFFERENCE_COLOURS, -reach, reach, config)
    axes[2].set_title(f"Second minus first, {error:.2f} dB (mean absolute difference)")
    figure.colorbar(image, ax=axes[2:], label="Difference (dB)", pad=0.01)
    axes[2].set_xlabel("Time (s)")
    axes[2].set_xlim(0.0, max(len(first), len(second)) / config.steps_per_second)
    for axis in axes:
        _label_bands(axis, config)
    return figure


def plot_log_mel(log_mel: Array, *, steps: int = 1, config: FeatureConfig = FEATURES) -> Figure:
    """Draw one log-mel (columns, n_mels) in dB, wide and flat; each column is so many `steps` long."""
    figure = Figure(figsize=(12, 2.6), layout="constrained")
    axis = figure.subplots()
    low, high = _scale(log_mel, config=config)
    image = _draw(axis, log_mel, 0.0, COLOURS, low, high, config)
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
    epochs = [row["epoch"] + 1 for row in rows]
    figure = Figure(figsize=(9, 1.5 + 3 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        for name, label in panel.curves.items():
            values = [row[name] for row in rows]
            beyond = f" (up to {max(values):.3g})" if max(values) > panel.top else ""
            axis.plot(epochs, values, "--" if name == "silence" else ".-", markersize=3, label=label + beyond)
        axis.set_ylabel(panel.unit)
        axis.set_yscale(panel.scale)
        if max(row[name] for row in rows for name in panel.curves) > panel.top:
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
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".musex-{secrets.token_hex(8)}{path.suffix}")
    try:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=120)
        temporary.replace(target)
    except OSError as error:
        raise MusexError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_figure(path: str | Path, force: bool, *others: str | Path) -> None:
    """Refuse early what `save_figure` would refuse."""
    if Path(path).suffix.lower() not in FIGURE_SUFFIXES:
        raise MusexError(f"cannot write {path}: figures are written as {', '.join(s[1:] for s in FIGURE_SUFFIXES)}")
    check_side_file(path, force, *others)


def predict_file(
    song_path: str | Path,
    output: str | Path,
    *,
    at: float | None = None,
    model: "Model | WaveformModel | str | Path | None" = None,
    force: bool = False,
) -> float:
    """Draw the prediction for `at` seconds into a song, made from what comes before alone; returns its error in dB.

    Of a generative model it is the log-mel of the predicted waveform: the paper's figures 7 to 9.
    """
    check_figure(output, force, song_path)
    from musex.model import Model, WaveformModel, load_model

    song = read_song(song_path)
    loaded = model if isinstance(model, Model | WaveformModel) else load_model(model)
    config: PointerConfig | WaveformConfig = loaded.config
    rate = FEATURES.steps_per_second
    step = round(prediction_place(song.seconds, at, config) * rate)
    # Cut before analysing: no window reaches past the seam.
    past = song.samples[: step * song.sample_rate // rate]
    log_mel = _log_mel(song)
    heard = log_mel[max(0, step - config.context_seconds * rate) : step]
    actual = log_mel[step : step + config.horizon_seconds * rate]
    if isinstance(loaded, WaveformModel):
        predicted = _predict_waveform(loaded, past, song.sample_rate)
    else:
        context = np.arange(max(0, step - loaded.config.context_steps), step)
        predicted = loaded.predict(loaded.listen(analyse(past, song.sample_rate)[:step]), context).log_mel
    figure = plot_prediction(heard, predicted, actual, at=step / rate, title=Path(song_path).name)
    save_figure(figure, output, force=force)
    return mean_error(predicted, actual)


def _predict_waveform(model: "WaveformModel", past: Array, sample_rate: int) -> Array:
    """The log-mel of the waveform that a generative model predicts after `past`, (frames, channels)."""
    mono = to_mono(past, sample_rate, replace(FEATURES, sample_rate=model.config.sample_rate))
    log_mel: Array = analyse(model.predict(mono), model.config.sample_rate)[:, : FEATURES.n_mels]
    return log_mel


def compare_files(first: str | Path, second: str | Path, output: str | Path, *, force: bool = False) -> float:
    """Draw two songs and their difference; returns the mean absolute difference in dB over the time both last."""
    check_figure(output, force, first, second)
    log_mels = [_log_mel(read_song(path)) for path in (first, second)]
    figure = plot_comparison(log_mels[0], log_mels[1], names=(Path(first).name, Path(second).name))
    save_figure(figure, output, force=force)
    return mean_error(log_mels[1], log_mels[0])


def prediction_place(seconds: float, at: float | None, config: PointerConfig | WaveformConfig) -> float:
    """Where to predict in a song of `seconds`: `at`, or the middle, with a full context and horizon where it can.

    Raises:
        MusexError: `at` leaves less than a second before it or after it.
    """
    latest = seconds - SHORTEST_SECONDS
    if at is None:
        middle = max(seconds / 2, float(config.context_seconds))
        return min(middle, max(seconds - config.horizon_seconds, seconds / 2))
    if not SHORTEST_SECONDS <= at <= latest:
        raise MusexError(f"{at:g} s is not within the song: choose {SHORTEST_SECONDS:g} to {latest:.1f} s")
    return at


def _log_mel(song: Song) -> Array:
    log_mel: Array = analyse(song.samples, song.sample_rate)[:, : FEATURES.n_mels]
    return log_mel


def _scale(*log_mels: Array, config: FeatureConfig) -> tuple[float, float]:
    high = max(float(np.max(log_mel, initial=config.floor_db)) for log_mel in log_mels)
    high = max(high, config.floor_db + 10.0)
    return max(config.floor_db, high - RANGE_DB), high


def _draw(
    axis: Axes, values: Array, begins: float, colours: str, low: float, high: float, config: FeatureConfig
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
