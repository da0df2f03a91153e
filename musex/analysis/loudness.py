"""How loud music is, as ITU-R BS.1770-4 has it: power weighted by what ears hear, silence left out.

The weighting is applied to spectra of steps of 100 ms. All channels count alike.
"""

import numpy as np

from musex.system.arrays import Array

STEP_SECONDS = 0.1
BLOCK_STEPS = 4  # of a gating block, 400 ms
OFFSET_DB = -0.691  # with which a sine of 997 Hz at full scale in one channel is at -3.01 LUFS
SILENCE_LUFS = -70.0  # below: no music
RELATIVE_DB = -10.0  # below all that is none: left out as well
# The two filters of the recommendation, at 48 000 Hz: b0, b1, b2, a1, a2.
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)
_FILTER_RATE = 48_000


def step_powers(samples: Array, sample_rate: int) -> Array:
    """Weighted mean square of each step of 100 ms, all channels added up: float64 (steps,).

    Args:
        samples: (frames, channels), full scale at ±1; what is left after the last whole step does not count.
        sample_rate: Hz.
    """
    frames = round(STEP_SECONDS * sample_rate)
    count = len(samples) // frames
    weights = _weights(frames, sample_rate)
    powers = np.zeros(count)
    for start in range(0, count, 256):
        stop = min(start + 256, count)
        steps = samples[start * frames : stop * frames].reshape(stop - start, frames, -1)
        spectra = np.square(np.abs(np.fft.rfft(steps, axis=1))).sum(axis=2)
        powers[start:stop] = spectra @ weights
    return powers


def step_peaks(samples: Array, sample_rate: int) -> Array:
    """The largest sample of each step of 100 ms, float32 (steps,); arguments as in `step_powers`."""
    frames = round(STEP_SECONDS * sample_rate)
    count = len(samples) // frames
    peaks = np.zeros(count, np.float32)
    for step in range(count):
        part = samples[step * frames : (step + 1) * frames]
        peaks[step] = max(float(part.max()), -float(part.min()))
    return peaks


def _weights(frames: int, sample_rate: int) -> Array:
    """What each line of a spectrum counts, so that their sum is the mean square."""
    lines = np.minimum(np.fft.rfftfreq(frames, 1.0 / sample_rate), 0.4999 * _FILTER_RATE)
    step = np.exp(-2j * np.pi * lines / _FILTER_RATE)
    gains = np.ones(len(lines))
    for b0, b1, b2, a1, a2 in (_SHELF, _HIGH_PASS):
        gains = gains * np.square(np.abs((b0 + b1 * step + b2 * step**2) / (1.0 + a1 * step + a2 * step**2)))
    twice = np.full(len(lines), 2.0)
    twice[0] = 1.0
    if frames % 2 == 0:
        twice[-1] = 1.0
    return np.asarray(gains * twice / frames**2)


def loudness(powers: Array) -> float:
    """Loudness in LUFS of steps as `step_powers` gives them; -inf for silence."""
    if not len(powers):
        return -np.inf
    sums = np.cumsum([0.0, *powers])
    size = min(BLOCK_STEPS, len(powers))
    blocks = (sums[size:] - sums[:-size]) / size
    for least in (SILENCE_LUFS, None):
        limit = _to_lufs(float(blocks.mean())) + RELATIVE_DB if least is None else least
        blocks = blocks[blocks > 10.0 ** ((limit - OFFSET_DB) / 10.0)]
        if not len(blocks):
            return -np.inf
    return _to_lufs(float(blocks.mean()))


def level(powers: Array) -> float:
    """The same without leaving anything out: of a short stretch."""
    return _to_lufs(float(np.mean(powers))) if len(powers) else -np.inf


def _to_lufs(power: float) -> float:
    return OFFSET_DB + 10.0 * float(np.log10(max(power, 1e-12)))
