"""The voice of a song, taken out of it."""

from collections.abc import Callable, Iterator

import numpy as np
import soxr

from musex.config import VOICE
from musex.prediction.voice_network import VoiceNetwork
from musex.system.arrays import Array
from musex.system.caches import place_caches

BLOCK_FRAMES = 896  # of the spectrum that are separated at once
MARGIN_FRAMES = 64  # heard beside a block as well, so that blocks join as if they were one


def separate_voice(
    samples: Array, sample_rate: int, network: VoiceNetwork, *, on_share: Callable[[float], None] | None = None
) -> Array:
    """The voice in samples (frames, channels), float32 alike; what is left of them is all else.

    Above 11 kHz nothing is taken for a voice. Channels are heard by twos.
    """
    sound = samples if sample_rate == VOICE.sample_rate else _resample(samples, sample_rate, VOICE.sample_rate)
    voice = np.empty_like(sound)
    pairs = [slice(first, first + 2) for first in range(0, sound.shape[1], 2)]
    for number, pair in enumerate(pairs):
        for done, block, part in _blocks(sound[:, pair], network):
            voice[block, pair] = part
            if on_share:
                on_share((number + done) / len(pairs))
    if sample_rate == VOICE.sample_rate:
        return voice
    voice = _resample(voice, VOICE.sample_rate, sample_rate)
    missing = max(0, len(samples) - len(voice))
    return np.pad(voice[: len(samples)], ((0, missing), (0, 0)))


def _resample(samples: Array, from_rate: int, to_rate: int) -> Array:
    return np.asarray(soxr.resample(samples, from_rate, to_rate, quality="HQ"), np.float32)


def _blocks(sound: Array, network: VoiceNetwork) -> Iterator[tuple[float, slice, Array]]:
    """The voice of one or two channels block by block: the share done, which samples, and their voice."""
    place_caches()
    from librosa import istft, stft

    frames, channels = sound.shape
    n_fft, hop_length = VOICE.n_fft, VOICE.hop_length
    size, margin = BLOCK_FRAMES * hop_length, MARGIN_FRAMES * hop_length
    for start in range(0, frames, size):
        stop, first, last = min(frames, start + size), max(0, start - margin), min(frames, start + size + margin)
        part = np.ascontiguousarray(sound[first:last].T)
        spectra = stft(part, n_fft=n_fft, hop_length=hop_length)[:, : VOICE.bins]
        heard = np.abs(spectra).T  # (frames of the spectrum, bins, channels)
        shares = network.shares(heard if channels == 2 else np.repeat(heard, 2, axis=2))[..., :channels]
        masked = np.zeros((channels, n_fft // 2 + 1, spectra.shape[2]), np.complex64)
        masked[:, : VOICE.bins] = spectra * shares.T
        voice = istft(masked, n_fft=n_fft, hop_length=hop_length, length=last - first).T
        yield stop / frames, slice(start, stop), voice[start - first : stop - first]
