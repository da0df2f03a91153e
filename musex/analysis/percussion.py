"""The percussive part of a song, by median filtering of its spectrogram.

Fitzgerald, "Harmonic/percussive separation using median filtering", 2010.
"""

import weakref

import numpy as np

from musex.audio.song import Song
from musex.system.arrays import Array
from musex.system.caches import place_caches

N_FFT, HOP_LENGTH, KERNEL = 2048, 1024, 17  # of the separation, at any sample rate
BLOCK_FRAMES = 1500  # of the spectrogram that are separated at a time
MARGIN_FRAMES = KERNEL + 2  # separated beside a block as well, so that blocks join as if they were one

_percussion: "weakref.WeakKeyDictionary[Song, Array]" = weakref.WeakKeyDictionary()


def separate(samples: Array) -> Array:
    """The percussive part of samples (frames, channels), float32; what is left of them is the harmonic part."""
    place_caches()
    from librosa import istft, stft
    from librosa.decompose import hpss

    frames = len(samples)
    percussive = np.zeros(samples.shape, np.float32)
    size, margin = BLOCK_FRAMES * HOP_LENGTH, MARGIN_FRAMES * HOP_LENGTH
    for start in range(0, frames, size):
        first, last = max(0, start - margin), min(frames, start + size + margin)
        # Silence after it: the inverse divides by the windows, of which there would be next to nothing at the very end.
        part = np.pad(samples[first:last].T, ((0, 0), (0, N_FFT)))
        spectra = stft(part, n_fft=N_FFT, hop_length=HOP_LENGTH)
        _, mask = hpss(np.abs(spectra).mean(axis=0), kernel_size=KERNEL, mask=True)
        sound = istft(spectra * mask, hop_length=HOP_LENGTH, n_fft=N_FFT, length=last - first)
        stop = min(frames, start + size)
        percussive[start:stop] = sound.T[start - first : stop - first]
    return percussive


def percussion_of(song: Song) -> Array:
    """The percussive part of a song, (frames, channels), kept as long as the song is."""
    if song not in _percussion:
        _percussion[song] = separate(song.samples)
    return _percussion[song]
