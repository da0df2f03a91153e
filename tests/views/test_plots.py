"""Figures: their panels, scales and labels, and how they are saved."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from musex.analysis.features import analyse, hz_to_mel
from musex.config import FEATURES, PointerConfig
from musex.errors import MusexError
from musex.views.plots import (
    COLOURS,
    DIFFERENCE_COLOURS,
    DrawnPrediction,
    DrawnStretch,
    mean_error,
    plot_comparison,
    plot_losses,
    plot_predictions,
    plot_stretches,
    save_figure,
)
from musex.views.spectrograms import compare_files, prediction_place

Array = np.ndarray


def random_log_mel(steps: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-90.0, -20.0, (steps, FEATURES.n_mels)).astype(np.float32)


def all_text(figure: Figure) -> str:
    texts = [text.get_text() for axis in figure.axes for text in (axis.title, axis.xaxis.label, axis.yaxis.label)]
    texts += [text.get_text() for axis in figure.axes for text in axis.texts]
    return "\n".join([*texts, figure.get_suptitle()])


def test_error_is_the_mean_absolute_difference_over_the_shared_steps() -> None:
    log_mel = random_log_mel(50)
    assert mean_error(log_mel, log_mel) == 0.0
    assert mean_error(log_mel + 3.0, log_mel) == pytest.approx(3.0, abs=1e-4)
    assert mean_error(log_mel[:20] - 2.0, log_mel) == pytest.approx(2.0, abs=1e-4)
    with pytest.raises(ValueError, match="nothing to compare"):
        mean_error(log_mel[:0], log_mel)


def test_predictions_stand_on_one_scale_with_seam_differences_and_errors() -> None:
    heard, actual = random_log_mel(200, 1), random_log_mel(100, 2)
    guesses = [DrawnPrediction("first", actual + 4.0, actual - 1.0), DrawnPrediction("other", actual[:80] - 2.5)]
    figure = plot_predictions(heard, guesses, actual, at=41.5, title="song.mp3")
    panels = {axis.get_title(): axis for axis in figure.axes if axis.get_title()}
    assert list(panels)[:3] == ["Input", "Actual", "Predicted by first"]
    assert len(panels) == 7
    levels = [axis for name, axis in panels.items() if "minus" not in name]
    assert len({axis.images[0].get_clim() for axis in levels}) == 1
    assert panels["Input"].get_xlim() == pytest.approx((21.5, 41.5))
    for name, axis in panels.items():
        assert name == "Input" or axis.get_xlim() == pytest.approx((41.5, 51.5))
        assert axis.lines[0].get_xdata() == [41.5, 41.5]
        assert axis.get_xlabel() == "Time (s)"
    difference = panels["Predicted minus actual, error 2.50 dB"].images[0]
    np.testing.assert_allclose(np.asarray(difference.get_array()), -2.5, atol=1e-4)
    text = all_text(figure)
    for wanted in (
        "seam at 41.5 s",
        "error 4.00 dB",
        "itself, 1.00 dB",
        "song.mp3",
        "Hz",
        "Level (dB)",
        "Difference (dB)",
    ):
        assert wanted in text


def test_image_shows_the_log_mel_upright() -> None:
    heard = random_log_mel(10)
    figure = plot_predictions(heard, [DrawnPrediction("musex", heard)], heard, at=1.0)
    image = figure.axes[0].images[0]
    np.testing.assert_array_equal(np.asarray(image.get_array()), heard.T)
    assert image.origin == "lower"


def test_bands_are_labelled_at_their_own_hertz() -> None:
    tone = 2000.0
    time = np.arange(FEATURES.sample_rate * 2) / FEATURES.sample_rate
    sound = (0.5 * np.sin(2 * np.pi * tone * time)).astype(np.float32)[:, None]
    log_mel = analyse(sound, FEATURES.sample_rate)[:, : FEATURES.n_mels]
    axis = plot_predictions(log_mel, [DrawnPrediction("musex", log_mel)], log_mel, at=2.0).axes[0]
    ticks = dict(zip((t.get_text() for t in axis.get_yticklabels()), axis.get_yticks(), strict=True))
    label = next(name for name in ticks if name.startswith("2") and len(name) == 5)
    assert ticks[label] == pytest.approx(int(log_mel[5].argmax()), abs=0.6)
    assert float(hz_to_mel(np.array(tone))) > 0


@pytest.mark.parametrize("colours", [COLOURS, DIFFERENCE_COLOURS])
def test_colours_grow_lighter_throughout(colours: str) -> None:
    """Levels and the sign of differences can be told in greyscale."""
    red, green, blue, _ = matplotlib.colormaps[colours](np.linspace(0, 1, 64)).T
    assert np.all(np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > 0)


def test_comparison_shows_both_and_their_difference() -> None:
    first = random_log_mel(60)
    figure = plot_comparison(first, first[:40] + 2.5, names=("one $x.mp3", "two_y$.mp3"))
    np.testing.assert_allclose(np.asarray(figure.axes[2].images[0].get_array()), 2.5, atol=1e-4)
    assert figure.axes[0].get_xlim() == pytest.approx((0.0, 6.0))
    for wanted in ("one $x.mp3", "two_y$.mp3", "2.50 dB", "Difference (dB)"):
        assert wanted in all_text(figure)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_figures_are_saved_by_their_ending_and_leave_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"figure{suffix}"
    log_mel = random_log_mel(20)
    save_figure(
        plot_predictions(log_mel, [DrawnPrediction("musex", log_mel)], log_mel, at=2.0, title="曲 \udcff $1"), path
    )
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[suffix.lower()])
    assert list(tmp_path.iterdir()) == [path]


def test_saving_refuses_what_it_should(tmp_path: Path) -> None:
    figure = Figure()
    path = tmp_path / "figure.png"
    path.write_bytes(b"mine")
    with pytest.raises(MusexError, match="exists already"):
        save_figure(figure, path)
    assert path.read_bytes() == b"mine"
    save_figure(figure, path, force=True)
    with pytest.raises(MusexError, match="png, svg, pdf"):
        save_figure(figure, tmp_path / "figure.txt")
    with pytest.raises(MusexError, match="there is no folder"):
        save_figure(figure, tmp_path / "nowhere" / "figure.png")


@pytest.mark.parametrize(
    ("seconds", "at", "place"), [(100, None, 50), (32, None, 20), (26, None, 16), (8, None, 4), (60, 3.0, 3)]
)
def test_prediction_place(seconds: float, at: float | None, place: float) -> None:
    assert prediction_place(seconds, at, PointerConfig()) == place


def test_stretches_of_songs_stand_in_columns_at_their_times() -> None:
    levels = np.linspace(-80.0, -20.0, 64)[None, :] * np.ones((200, 1))
    songs = [
        [DrawnStretch(f"{name}, heard", levels, 0.0), DrawnStretch(f"{name}, predicted", levels[:100], 20.0)]
        for name in ("one", "$other")
    ]
    figure = plot_stretches(songs)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == [
        "one, heard",
        "$other, heard",
        "one, predicted",
        "$other, predicted",
    ]
    assert [axis.get_xlim() for axis in panels] == [(0.0, 20.0), (0.0, 20.0), (20.0, 30.0), (20.0, 30.0)]
    assert len({image.get_clim() for axis in panels for image in axis.images}) == 1


@pytest.mark.parametrize("at", [0.0, -1.0, 60.0, 1e9, float("nan")])
def test_prediction_place_refuses_what_is_outside(at: float) -> None:
    with pytest.raises(MusexError, match="choose 1 to 59"):
        prediction_place(60.0, at, PointerConfig())


def test_a_file_compared_with_itself_differs_by_nothing(wav_path: Path, tmp_path: Path) -> None:
    assert compare_files(wav_path, wav_path, tmp_path / "figure.png") == 0.0
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_losses_of_a_reference_stand_beside_silence() -> None:
    rows = [{"epoch": n, "loss": 1 / (n + 1), "validation_loss": 1.2, "silence": 1.0, "seconds": n} for n in range(4)]
    figure = plot_losses(rows, title="paper")
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["Training", "Validation", "Silence"]
    assert len({line.get_linestyle() for line in axis.lines}) == 3
    np.testing.assert_allclose(np.array(axis.lines[0].get_xdata()), [1, 2, 3, 4])
    np.testing.assert_allclose(np.array(axis.lines[0].get_ydata()), [1, 1 / 2, 1 / 3, 1 / 4])
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("MSE", "Epoch")
    (axis,) = plot_losses([rows[0] | {"validation_loss": 1e11}, *rows]).axes
    assert axis.get_ylim() == (0.0, 2.0)
    assert axis.lines[1].get_label() == "Validation (up to 1e+11)"
    (axis,) = plot_losses([rows[0], rows[1] | {"validation_loss": np.nan}, *rows[2:]]).axes
    np.testing.assert_allclose(np.array(axis.lines[1].get_xdata()), [1, 3, 4])
    (axis,) = plot_losses([row | {"loss": np.nan} for row in rows]).axes
    assert len(np.array(axis.lines[0].get_xdata())) == 0


def test_losses_of_the_pointer_are_drawn_with_the_learning_rate() -> None:
    names = ("learning_rate", "loss", "validation_error_db", "validation_regret")
    rows = [{"epoch": n, **dict(zip(names, (1e-3, 9.0, 6.0 - n, 0.3 - 0.1 * n), strict=True))} for n in range(3)]
    figure = plot_losses(rows)
    assert [axis.get_ylabel() for axis in figure.axes] == ["Error (dB)", "Regret of the start", "Loss", "Learning rate"]
    np.testing.assert_allclose(np.array(figure.axes[0].lines[0].get_ydata()), [6, 5, 4])
    np.testing.assert_allclose(np.array(figure.axes[1].lines[0].get_ydata()), [0.3, 0.2, 0.1])
    with pytest.raises(MusexError, match="no epoch"):
        plot_losses([])
