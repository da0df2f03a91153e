"""Spectrogram figures of files: what networks predict of a song, and how two songs differ."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from musex.analysis.features import analyse, columns, to_mono
from musex.analysis.song_analysis import analyse_past, analyse_song
from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.config import FEATURES, PointerConfig, WaveformConfig
from musex.errors import MusexError
from musex.prediction.model import Model, WaveformModel, load_model
from musex.views.plots import DrawnPrediction, check_figure, mean_error, plot_comparison, plot_predictions, save_figure

Array = np.ndarray[Any, Any]

SHORTEST_SECONDS = 1.0  # of what is heard and of what is predicted


def predict_file(
    song_path: str | Path,
    output: str | Path,
    *,
    at: float | None = None,
    models: Sequence[Model | WaveformModel | str | Path] = (),
    stream: int | None = None,
    force: bool = False,
) -> dict[str, float]:
    """Draw what models predict for `at` seconds into a song, from what comes before alone; returns each one's error.

    Of a generative model it is the log-mel of the predicted waveform: the paper's figures 7 to 9. Without `models` it
    is the packaged one.
    """
    check_figure(output, force, song_path)
    song = read_song(song_path, stream=stream)
    loaded = [m if isinstance(m, Model | WaveformModel) else load_model(m) for m in models] or [load_model()]
    config: PointerConfig | WaveformConfig = loaded[0].config
    rate = FEATURES.steps_per_second
    step = round(prediction_place(song.seconds, at, config) * rate)
    log_mel = _log_mel(song)
    heard = log_mel[max(0, step - config.context_seconds * rate) : step]
    guesses: list[DrawnPrediction] = []
    for model in loaded:
        name = model.name if model.name not in [guess.name for guess in guesses] else str(model.path.parent)
        guesses.append(replace(guess_on(model, song, step), name=name))
    actual = log_mel[step : step + max(len(guess.predicted) for guess in guesses)]
    figure = plot_predictions(heard, guesses, actual, at=step / rate, title=Path(song_path).name)
    save_figure(figure, output, force=force)
    return {guess.name: mean_error(guess.predicted, actual) for guess in guesses}


def guess_on(model: Model | WaveformModel, song: Song, step: int) -> DrawnPrediction:
    """What a model says of the song from a step on, and what would be played for it."""
    if isinstance(model, WaveformModel):
        past = song.samples[: step * song.sample_rate // FEATURES.steps_per_second]
        mono = to_mono(past, song.sample_rate, replace(FEATURES, sample_rate=model.config.sample_rate))
        return DrawnPrediction(model.name, columns(analyse(model.predict(mono), model.config.sample_rate)).log_mel)
    features = analyse_past(song, step)
    prediction = model.predict_rows(model.listen(features), features)
    horizon, realised = len(prediction.log_mel), None
    starts = prediction.starts[: max(0, step - horizon + 1), -1]
    if len(starts):
        start = int(starts.argmax())
        realised = columns(features).log_mel[start : start + horizon]
    return DrawnPrediction(model.name, prediction.log_mel, realised)


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
    return analyse_song(song).columns.log_mel
