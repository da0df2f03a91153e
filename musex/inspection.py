"""What a song is, and what an extension can use of it: `musex info`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musex.analysis.moods import MAJOR, MINOR
from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.inputs import song_of
from musex.audio.reading import read_song
from musex.audio.song import Song
from musex.audio.tags import read_source
from musex.config import FEATURES, FeatureConfig
from musex.planning.jumps import find_jumps
from musex.planning.material import Region, find_material, find_region, limits_ladder
from musex.prediction.beat_network import BeatNetwork
from musex.settings import Settings
from musex.system.arrays import Array
from musex.system.caches import place_caches

if TYPE_CHECKING:
    from pydub import AudioSegment


PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SECTION_SECONDS = 20.0  # that a section usually lasts: how many are looked for in a song follows from it
SHORTEST_SECTION_SECONDS = 4.0  # from one section's beginning to the next: two bars at a usual tempo
GOOD_JUMP = 0.5  # of what lies between two random places: a jump that few will hear


@dataclass(frozen=True)
class SongInfo:
    """Facts about a song; times in seconds.

    Attributes:
        path: Where it was read.
        seconds: Its duration.
        sample_rate: Hz.
        channels: 1 to 8.
        subtype: What a lossless output of it would hold: "PCM_16", "PCM_24" or "FLOAT".
        codec: How its file is encoded, as ffmpeg names it; empty without a file.
        bit_rate: Of its file on average, kb/s.
        tempo: Beats per minute of the steady pulse, None where there is none.
        metre: Beats of most bars, None where there is no pulse.
        beats: Where beats lie.
        downbeats: Which of them begin bars.
        key: Such as "A minor"; None where no key stands out.
        sections: Where sections begin.
        music: Where music sounds, start and end.
        body: Where it sounds at full level: between the intro and the outro.
        jumps: Part of the body's places from which a good jump leads elsewhere, 0 to 1.
        warnings: What is wrong with the file.
    """

    path: str
    seconds: float
    sample_rate: int
    channels: int
    subtype: str
    tempo: float | None
    metre: int | None
    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    key: str | None
    sections: tuple[float, ...]
    music: tuple[float, float]
    body: tuple[float, float]
    jumps: float
    warnings: tuple[str, ...] = ()
    codec: str = ""
    bit_rate: int = 0


def info(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment", *, sample_rate: int | None = None
) -> SongInfo:
    """Tell what a song is, and what an extension can use of it; arguments and errors as in `musex.extend`."""
    return inspect_song(song_of(song, sample_rate))


def inspect_file(path: str | Path, *, stream: int | None = None, model: Path | None = None) -> SongInfo:
    """Describe a song's file; beats as the `beats.tflite` of the folder `model` hears them, if it holds one.

    Raises AudioError as `read_song` does, ModelError if that network is damaged.
    """
    return inspect_song(read_song(path, stream=stream), model)


def inspect_song(song: Song, model: Path | None = None) -> SongInfo:
    """Describe a decoded song; `model` as in `inspect_file`."""
    facts = _inspect_samples(song, model)
    if song.path is None or not song.path.is_file():
        return facts
    rate = round(8 * song.path.stat().st_size / facts.seconds / 1000)
    return replace(facts, codec=read_source(song.path, song.stream).codec, bit_rate=rate)


def _inspect_samples(song: Song, model: Path | None) -> SongInfo:
    seconds = len(song.samples) / song.sample_rate
    analysis = analyse_song(song)
    features = analysis.features
    region, rate = find_region(analysis), FEATURES.steps_per_second
    beats = BeatNetwork(model).track(analysis.log_mel, analysis.chroma)
    return SongInfo(
        path=str(song.path or ""),
        seconds=seconds,
        sample_rate=song.sample_rate,
        channels=song.samples.shape[1],
        subtype=song.subtype,
        tempo=beats.tempo or None,
        metre=beats.metre or None,
        beats=tuple(np.round(beats.times, 3).tolist()),
        downbeats=tuple(np.round(beats.downbeats, 3).tolist()),
        key=estimate_key(features),
        sections=find_sections(features, region),
        music=(region.start / rate, min(region.stop / rate, seconds)),
        body=(region.body_start / rate, min(region.body_stop / rate, seconds)),
        jumps=share_of_jumps(analysis, region),
        warnings=tuple(song.warnings),
    )


def estimate_key(features: Array, config: FeatureConfig = FEATURES) -> str | None:
    """The key whose profile the song's chroma correlates with best; None below a correlation of 0.5."""
    chroma = features[:, config.n_mels : config.n_mels + config.n_chroma].mean(axis=0)
    if chroma.std() < 1e-6:
        return None
    fits = {
        f"{PITCH_CLASSES[tonic]} {mode}": float(np.corrcoef(np.roll(profile, tonic), chroma)[0, 1])
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
        for tonic in range(config.n_chroma)
    }
    best = max(fits, key=lambda name: fits[name])
    return best if fits[best] > 0.5 else None


def find_sections(features: Array, region: Region, config: FeatureConfig = FEATURES) -> tuple[float, ...]:
    """Where sections begin, in seconds: the borders that agglomerative clustering of timbre and harmony leaves."""
    place_caches()
    import librosa

    rate = config.steps_per_second
    rows = features[region.start : region.stop, : config.n_mels + config.n_chroma].astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
    count = max(1, min(12, round(len(rows) / rate / SECTION_SECONDS)))
    begins: list[int] = []
    for border in librosa.segment.agglomerative(rows.T, count).tolist():
        if not begins or border - begins[-1] >= SHORTEST_SECTION_SECONDS * rate:
            begins.append(border)
    return tuple((region.start + border) / rate for border in begins)


def share_of_jumps(analysis: Analysis, region: Region) -> float:
    """Part of the body's steps that have a good jump elsewhere, 0 to 1."""
    material = find_material(Settings(), analysis.steps)
    limits = next(limits for limits in limits_ladder(region, material) if limits.usable > 2 * limits.distance)
    unlikeness = find_jumps(analysis.comparison_rows, limits).unlikeness[limits.first_leave : limits.last]
    return float(np.mean(unlikeness.min(axis=1) < GOOD_JUMP))
