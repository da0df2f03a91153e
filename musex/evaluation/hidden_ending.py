"""The hidden ending: a song without its last part is made longer by as much, and compared with what was cut off."""

from dataclasses import replace

import numpy as np

from musex.analysis.features import analyse_mono, to_mono
from musex.audio.song import Song, song_from_array
from musex.config import FEATURES
from musex.errors import DurationError
from musex.evaluation.listening import compares_onsets, find_onsets
from musex.metrics import chroma_similarity, log_mel_mse, onset_correlation, onset_f_measure, prediction_error_db
from musex.planning.course import ModelLike
from musex.planning.planner import plan_song
from musex.planning.weights import SEARCH
from musex.rendering.stitch import render
from musex.system.arrays import Array

HIDDEN_SECONDS = (30, 60)  # cut off the song's end
LEAST_SECONDS = 60.0  # what must be left of the song
LAST_SECONDS = 10.0  # the first jump leaves within so much of the cut: before it, nothing is to be continued


def hide_ending(song: Song, seconds: float) -> tuple[Song, Array]:
    """The song without its last seconds, and those in mono at the features' rate.

    Raises:
        DurationError: less than a minute would be left.
    """
    cut = song.frames - round(seconds * song.sample_rate)
    if cut < LEAST_SECONDS * song.sample_rate:
        raise DurationError(
            f"a song of {song.seconds:.1f} s is too short to hide {seconds:g} s of: {LEAST_SECONDS:g} s must be left"
        )
    begun = song_from_array(song.samples[:cut], song.sample_rate)
    return begun, to_mono(song.samples[cut:], song.sample_rate)


def continue_song(song: Song, model: ModelLike, seconds: float, *, seed: int = 0) -> Array:
    """What musex plays after the song's end for some seconds, in mono at the features' rate.

    The song is played to within 10 s of its end without a jump, so that what follows continues what was heard there.

    Raises:
        DurationError: the song cannot be continued.
    """
    search = replace(SEARCH, first_jump_seconds=song.seconds - LAST_SECONDS)
    plan = plan_song(song, model, seconds=song.seconds + seconds, seed=seed, ending="cut", weights=search)
    played = np.concatenate(list(render(plan, song)))
    return to_mono(played[song.frames :], song.sample_rate)


def loop_song(song: Song, seconds: float) -> Array:
    """The song's last 10 s over and over for some seconds, in mono at the features' rate."""
    mono = to_mono(song.samples, song.sample_rate)
    return np.resize(mono[-round(LAST_SECONDS * FEATURES.sample_rate) :], round(seconds * FEATURES.sample_rate))


def compare(played: Array, hidden: Array) -> dict[str, float]:
    """How near two waveforms of about the same length, mono at the features' rate, are: the measures by name."""
    length = len(hidden) // FEATURES.step_length * FEATURES.step_length
    played = np.pad(played[:length], (0, max(0, length - len(played))))  # a plan may be 0.1 s short
    heard, actual = analyse_mono(played), analyse_mono(hidden[:length])
    mel, chroma = slice(FEATURES.n_mels), slice(FEATURES.n_mels, FEATURES.n_mels + FEATURES.n_chroma)
    onset = slice(FEATURES.n_mels + FEATURES.n_chroma, None)
    measures = {
        "prediction_error_db": prediction_error_db(heard[:, mel], actual[:, mel]),
        "log_mel_mse": log_mel_mse(heard[:, mel], actual[:, mel]),
        "chroma_similarity": chroma_similarity(heard[:, chroma], actual[:, chroma]),
        "onset_correlation": onset_correlation(heard[:, onset], actual[:, onset]),
    }
    if compares_onsets():
        measures["onset_f_measure"] = onset_f_measure(find_onsets(played), find_onsets(hidden[:length]))
    return measures


def measure_ending(
    song: Song, models: dict[str, ModelLike], seconds: float, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Hide the song's last seconds and continue without them: {name: {measure: value}}, a loop of the last 10 s too.

    Raises:
        DurationError: the song is too short, or cannot be continued.
    """
    begun, hidden = hide_ending(song, seconds)
    played = {name: continue_song(begun, model, seconds, seed=seed) for name, model in models.items()}
    played["last 10 s again"] = loop_song(begun, seconds)
    return {name: compare(waveform, hidden) for name, waveform in played.items()}
