"""Where somebody sings: the singing network tells the frames, the voice network whether it is a voice at all."""

import weakref

import numpy as np
import soxr

from musex.analysis.song_analysis import analyse_song
from musex.audio.song import Song
from musex.config import FEATURES, VOICE
from musex.prediction.singing_network import SingingNetwork
from musex.prediction.voice_network import VoiceNetwork
from musex.separation.separator import spectra_of
from musex.system.arrays import Array

# Of 15 validation songs with words set over them two spots or more had a voice of -6 dB and more, of 11 instrumental
# ones in which the singing network suspects one, none had two beyond -8 dB (models/log.md, "The voice").
SUSPECTED = 0.5  # mean surety in a spot from which the voice network is asked
SPOTS = 4  # of a song, the surest, in which it is asked
AGREEING = 2  # of those
LEAST_SHARE_DB = -7.0  # of the voice in the sound of a spot
SPOT_FRAMES = round(VOICE.block * VOICE.hop_length / VOICE.sample_rate * FEATURES.frames_per_second)

_activations: "weakref.WeakKeyDictionary[Song, dict[str, Array | None]]" = weakref.WeakKeyDictionary()


def hear_voice(song: Song, singing: SingingNetwork) -> Array | None:
    """Probabilities of a voice in each frame, (frames,), kept as long as the song is; None if nobody sings."""
    known = _activations.setdefault(song, {})
    if singing.sha256 not in known:
        activations = singing.activations(analyse_song(song).log_mel)
        known[singing.sha256] = activations if is_voice(song, activations) else None
    return known[singing.sha256]


def is_voice(song: Song, activations: Array) -> bool:
    """Whether what the singing network hears is one: instruments that glide and sustain are taken for it, too."""
    spots = _surest(activations)
    if len(spots) < AGREEING:
        return False
    network, agreeing = VoiceNetwork(), 0
    for spot in spots:
        agreeing += _share_db(song, spot, network) > LEAST_SHARE_DB
        if agreeing == AGREEING:
            return True
    return False


def _share_db(song: Song, spot: int, network: VoiceNetwork) -> float:
    """Level of the voice in what is heard around a frame, beside all of it, dB."""
    middle = round(spot * song.sample_rate / FEATURES.frames_per_second)
    half = round((VOICE.block * VOICE.hop_length + VOICE.n_fft) / VOICE.sample_rate * song.sample_rate / 2)
    sound = song.samples[max(0, middle - half) : middle + half, :2]
    if song.sample_rate != VOICE.sample_rate:
        sound = soxr.resample(sound, song.sample_rate, VOICE.sample_rate, quality="HQ")
    spectra = np.abs(spectra_of(sound, VOICE.n_fft, VOICE.hop_length))
    heard = np.broadcast_to(spectra[:, : VOICE.bins], (len(spectra), VOICE.bins, 2))
    voice = network.shares(heard)[..., : spectra.shape[2]] * spectra[:, : VOICE.bins]
    return float(10.0 * np.log10((np.square(voice).sum() + 1e-12) / (np.square(spectra).sum() + 1e-12)))


def _surest(activations: Array) -> list[int]:
    """The middle frames of the surest spots that do not overlap, where a voice is suspected."""
    sure = np.clip(2.0 * activations.astype(np.float64) - 1.0, 0.0, 1.0)
    sums = np.concatenate([[0.0], np.cumsum(sure)])
    if len(sums) <= SPOT_FRAMES:
        return []
    means = (sums[SPOT_FRAMES:] - sums[:-SPOT_FRAMES]) / SPOT_FRAMES
    spots: list[int] = []
    while len(spots) < SPOTS and means.max() >= SUSPECTED:
        first = int(means.argmax())
        spots.append(first + SPOT_FRAMES // 2)
        means[max(0, first - SPOT_FRAMES) : first + SPOT_FRAMES] = -1.0
    return spots
