"""How a long chain holds out: drift and repetition over ten minutes, beside a plain loop of the last 10 s."""

from dataclasses import dataclass

import numpy as np

from musex.analysis.features import analyse_mono, log_mel_frames, mix_down, to_mono
from musex.audio.song import Song
from musex.config import FEATURES
from musex.metrics import longest_repeat, nearest_distances, share_used, slope_per_minute, spectral_centroid
from musex.planning.course import ModelLike
from musex.planning.planner import plan_song
from musex.prediction.model import WaveformModel
from musex.rendering.generative import continue_song
from musex.rendering.stitch import render
from musex.settings import Settings
from musex.system.arrays import Array

CHAIN_SECONDS = 600.0  # of output
LOOP_SECONDS = 10.0  # that the plain loop repeats
WINDOW_SECONDS = 10  # drift is that of the means of so much
REPEAT_SECONDS = 60  # what is heard again later is no repetition
PLAIN_LOOP = "last 10 s looped"


@dataclass(frozen=True, eq=False)
class LongOutput:
    """A long output.

    Attributes:
        mono: At the features' rate.
        path: The place in the song of each step, (steps,); None where it is not the song's own sound.
        song_steps: Steps of the song.
        begun: The step with the first seam: what comes before is the song as it is.
        seams: How many there are.
        duration_error: Seconds by which it is too long or too short.
    """

    mono: Array
    path: Array | None
    song_steps: int
    begun: int
    seams: int
    duration_error: float


def chain_song(song: Song, model: ModelLike, seconds: float = CHAIN_SECONDS, *, seed: int = 0) -> LongOutput:
    """Plan and render an output; raises DurationError if the song cannot be played so long."""
    plan = plan_song(song, model, seconds=seconds, seed=seed, ending="cut")
    blocks = [mix_down(block) for block in render(plan, song)]
    begun = plan.seams[0].at if plan.seams else plan.frames
    return LongOutput(
        to_mono(np.concatenate(blocks), song.sample_rate),
        plan.steps(1.0 / FEATURES.steps_per_second),
        int(song.seconds * FEATURES.steps_per_second),
        round(begun / song.sample_rate * FEATURES.steps_per_second),
        len(plan.seams),
        plan.seconds - seconds,
    )


def loop_end(song: Song, seconds: float = CHAIN_SECONDS) -> LongOutput:
    """The song, then its last 10 s over and over."""
    mono = to_mono(song.samples, song.sample_rate)
    rate, steps = FEATURES.steps_per_second, len(mono) // FEATURES.step_length
    period = round(LOOP_SECONDS * rate)
    total = max(round(seconds * rate), steps)
    path = np.arange(total)
    path[steps:] = steps - period + (path[steps:] - steps) % period
    whole = steps * FEATURES.step_length
    looped = np.resize(mono[whole - period * FEATURES.step_length : whole], (total - steps) * FEATURES.step_length)
    sound, joins = np.concatenate([mono[:whole], looped]), -(-(total - steps) // period)
    return LongOutput(sound, path, steps, steps, joins, total / rate - seconds)


def generate_on(song: Song, model: WaveformModel, seconds: float = CHAIN_SECONDS) -> LongOutput:
    """The song, then what a model of waveforms predicts, as `musex extend --model` plays it."""
    plan, blocks = continue_song(song, model, seconds=max(seconds, song.seconds), settings=Settings(ending="cut"))
    sound = np.concatenate([mix_down(block) for block in blocks])
    begun = int(song.seconds * FEATURES.steps_per_second)
    return LongOutput(to_mono(sound, song.sample_rate), None, begun, begun, 0, plan.seconds - seconds)


def source_rows(song: Song) -> Array:
    """Log-mel (dB) of every stretch of a step's length in the song, one begun at each frame: (frames, n_mels)."""
    mono = to_mono(song.samples, song.sample_rate)
    frames = log_mel_frames(mono, max(FEATURES.frames_per_step, len(mono) // FEATURES.hop_length))
    stretches = np.lib.stride_tricks.sliding_window_view(frames, FEATURES.frames_per_step, axis=0)
    return np.asarray(stretches.mean(axis=2), np.float32)


def measure_chain(chain: LongOutput, source: Array) -> dict[str, float]:
    """Drift and repetition from the first seam on, by name; `source` are the song's `source_rows`."""
    rate = FEATURES.steps_per_second
    rows = analyse_mono(chain.mono)[chain.begun :, : FEATURES.n_mels]
    window = WINDOW_SECONDS * rate
    count = len(rows) // window
    measures: dict[str, float] = {}
    if count > 1:
        blocks = rows[: count * window].reshape(count, window, -1)
        power = np.mean(10.0 ** (blocks.astype(np.float64) / 10.0), axis=1)
        log_power = 10.0 * np.log10(power)
        centroids = np.round(spectral_centroid(log_power), 3)  # Hz; what is finer is float32's rounding of the rows
        distances = nearest_distances(rows[: count * window], source).reshape(count, window).mean(axis=1)
        measures = {
            "loudness_db_per_minute": slope_per_minute(10.0 * np.log10(power.mean(axis=1)), WINDOW_SECONDS),
            "centroid_hz_per_minute": slope_per_minute(centroids, WINDOW_SECONDS),
            "distance_db_per_minute": slope_per_minute(distances, WINDOW_SECONDS),
            "distance_to_source_db": float(distances.mean()),
        }
    if chain.path is not None and len(chain.path) > chain.begun:
        measures["longest_repeat_seconds"] = longest_repeat(chain.path, within=REPEAT_SECONDS * rate) / rate
        measures["share_used_percent"] = share_used(chain.path[chain.begun :], chain.song_steps)
        measures["seams_per_minute"] = chain.seams / (len(chain.path) - chain.begun) * rate * 60.0
    measures["duration_error_seconds"] = chain.duration_error
    return measures
