"""The formats that can be written: what each can hold, and how ffmpeg is asked for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from musex.audio.song import MOST_CHANNELS, Samples, Song, to_int16, to_int24
from musex.audio.streams import holding_layout
from musex.config import QUALITIES
from musex.errors import AudioError

# By number of channels, from 1: what each encoder takes without mixing or reordering.
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_AAC_LAYOUTS = (*_LAYOUTS[:6], "6.1(back)", "7.1")
_MORE_AAC_LAYOUTS = ("2.1", "3.0(back)", "3.1", "4.0", "4.1", "7.0")  # that come back as they were


@dataclass(frozen=True)
class Format:
    """What a written format can hold."""

    muxer: str
    codec: str
    most_channels: int = MOST_CHANNELS
    sample_rates: tuple[int, ...] = ()  # ascending; empty: any
    lossless: bool = False
    layouts: tuple[str, ...] = _LAYOUTS  # taken where the song does not say how its channels lie
    other_layouts: tuple[str, ...] | None = ()  # which it holds, too; None: any
    most_bytes: int | None = None  # of samples, if its header cannot count more


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FORMATS = {
    ".wav": Format("wav", "pcm", lossless=True, other_layouts=None),
    ".flac": Format("flac", "flac", lossless=True, other_layouts=None),
    ".aiff": Format("aiff", "pcm", lossless=True, other_layouts=None, most_bytes=2**32 - 2**20),
    ".mp3": Format("mp3", "libmp3lame", most_channels=2, sample_rates=_MPEG_RATES),
    ".ogg": Format("ogg", "libvorbis"),
    ".opus": Format("opus", "libopus", sample_rates=(48_000,)),
    ".m4a": Format(
        "ipod",
        "aac",
        sample_rates=(*_MPEG_RATES, 64_000, 88_200, 96_000),
        layouts=_AAC_LAYOUTS,
        other_layouts=_MORE_AAC_LAYOUTS,
    ),
}
LOSSLESS_CODECS = ("pcm", "flac", "alac", "wavpack", "tta", "ape")  # as ffmpeg's names begin
LOSSLESS_M4A = replace(FORMATS[".m4a"], codec="alac", most_channels=2, sample_rates=(), lossless=True)
WRITABLE = tuple(FORMATS)
FORMATS[".aif"] = FORMATS[".aiff"]
_PCM_CODECS = {
    "wav": {"PCM_16": "pcm_s16le", "PCM_24": "pcm_s24le", "FLOAT": "pcm_f32le"},
    "aiff": {"PCM_16": "pcm_s16be", "PCM_24": "pcm_s24be", "FLOAT": "pcm_f32be"},
}
PIPED = {".wav": ["-rf64", "never"], ".m4a": ["-movflags", "frag_keyframe+empty_moov"]}  # what cannot be mended later
LOOP_TAGGED = (".mp3", ".flac", ".ogg", ".opus")
_BIT_RATES = (192, 224, 256, 320)  # kb/s for two channels: at least the first, up to the source's class
_VARIABLE = {".mp3": ("5", "2", "0"), ".ogg": ("3", "6", "9")}  # the encoders' own scales; others take bit rates
_QUALITY_BIT_RATES = (96, 160, 256)  # kb/s for two channels
_VORBIS_BIT_RATES = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)  # kb/s for two channels at quality 0 to 10

# LAME's presets of constant bit rates turn the level down, up to so many kb/s to this part of it.
_LAME_LEVELS = ((176, 0.95), (208, 0.97), (240, 0.98))


def _to_float32(samples: Samples) -> np.ndarray[Any, Any]:
    return samples.astype("<f4", copy=False)


def choose_format(suffix: str, song: Song, source_codec: str, *, bitrate: str | None, notes: list[str]) -> Format:
    """What is written under this ending: an m4a of a lossless one stays lossless, unless a bit rate is asked for."""
    if suffix != ".m4a" or source_codec != LOSSLESS_M4A.codec or bitrate is not None:
        return FORMATS[suffix]
    if song.channels <= LOSSLESS_M4A.most_channels:
        return LOSSLESS_M4A
    notes.append(
        f"m4a holds {song.channels} channels by AAC only, which loses some: name a .flac or .wav to lose nothing"
    )
    return FORMATS[suffix]


def raw_format(form: Format, song: Song, notes: list[str]) -> tuple[str, Callable[[Samples], np.ndarray[Any, Any]]]:
    """The sample format of ffmpeg's pipe, and what converts a block to it."""
    if not form.lossless:
        return "f32le", _to_float32
    if song.subtype == "PCM_16":
        return "s16le", to_int16
    if song.subtype == "FLOAT" and form.codec == "pcm":
        return "f32le", _to_float32
    if song.subtype == "FLOAT":
        notes.append(f"{form.codec} holds 24 bits: rounded from floating point")
    return "s32le", to_int24


def check_size(form: Format, song: Song, frames: int, name: object) -> None:
    """Refuse more samples than the header of the format can count; raises AudioError."""
    width = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[song.subtype]
    if form.most_bytes is not None and frames * song.channels * width > form.most_bytes:
        longest = form.most_bytes / (song.channels * width * song.sample_rate)
        raise AudioError(
            f"could not write {name}: {form.muxer} holds {longest / 60:.0f} min of this song at most; name a .wav or "
            ".flac for more"
        )


def input_layout(form: Format, song: Song) -> str:
    """How the song's channels lie: as it says, else as the format takes so many."""
    return song.layout or form.layouts[song.channels - 1]


def output_layout(form: Format, song: Song) -> str:
    """How the channels of the output lie: as the song's where the format has that, else in the least that holds them.

    "stereo" where the format has fewer channels.
    """
    layout = input_layout(form, song)
    if song.channels > form.most_channels:
        return "stereo"
    if form.other_layouts is None or layout in (*form.layouts, *form.other_layouts):
        return layout
    return holding_layout(layout, form.layouts) or form.layouts[song.channels - 1]


def output_rate(form: Format, song: Song) -> int:
    """The song's sample rate, or the next that the format has, Hz."""
    rate, rates = song.sample_rate, form.sample_rates
    return rate if not rates or rate in rates else next((allowed for allowed in rates if allowed >= rate), rates[-1])


def codec_arguments(
    suffix: str, form: Format, song: Song, *, source_rate: int | None, bitrate: str | None, notes: list[str]
) -> list[str]:
    """What ffmpeg is told of rate, channels and encoder; `source_rate` is the bit rate of the song's file, kb/s."""
    name = suffix[1:]
    rate, channels = output_rate(form, song), min(song.channels, form.most_channels)
    layout, layout_before = output_layout(form, song), input_layout(form, song)
    if rate != song.sample_rate:
        only = "only" if len(form.sample_rates) == 1 else "at most" if rate < song.sample_rate else "as the next rate"
        notes.append(f"{name} holds {rate} Hz {only}: resampled from {song.sample_rate} Hz")
    arguments, filters = ["-ar", str(rate)], []
    if channels < song.channels:
        notes.append(f"{name} holds {channels} channels at most: mixed down from {song.channels}")
    if layout != layout_before:
        if channels == song.channels and layout != layout_before.replace("(side)", ""):
            notes.append(f"{name} has no channels as {layout_before}: written as {layout}")
        filters += [f"aresample=out_chlayout={layout}:rematrix_maxval=1"]  # never louder than full scale
    if form.lossless:
        if bitrate is not None:
            notes.append(f"{name} is lossless: the bit rate of {bitrate} has no effect")
        if form.codec == "pcm":
            more = ["-rf64", "auto"] if form.muxer == "wav" else ["-write_id3v2", "1"]
            return [*arguments, "-c:a", _PCM_CODECS[form.muxer][song.subtype], *more]
        bits = ["s16", "16"] if song.subtype == "PCM_16" else ["s32", "24"]
        planar = "p" * (form.codec == "alac")
        return [*arguments, "-c:a", form.codec, "-sample_fmt", bits[0] + planar, "-bits_per_raw_sample", bits[1]]
    kilobits = kilobits_of(bitrate, source_rate, channels)
    arguments += ["-c:a", form.codec]
    if bitrate in QUALITIES and suffix in _VARIABLE:
        arguments += ["-q:a", _VARIABLE[suffix][QUALITIES.index(bitrate)]]
    elif suffix == ".ogg":
        quality = np.interp(kilobits * 2 / channels, _VORBIS_BIT_RATES, range(len(_VORBIS_BIT_RATES)))
        arguments += ["-q:a", f"{quality:.2f}"]
    else:
        arguments += ["-b:a", f"{min(kilobits, 250 * channels)}k"]
        if suffix == ".mp3":
            filters += [f"volume={1.0 / lame_level(kilobits, rate):.6f}:precision=float"]
    if filters:
        arguments += ["-af", ",".join(filters)]
    if suffix == ".mp3":
        arguments += ["-compression_level", "7", "-id3v2_version", "3"]
    if suffix == ".m4a":
        arguments += ["-aac_coder", "fast"]  # half the time, and nearer to the waveform at these bit rates
    if suffix == ".opus" and channels > 2:
        arguments += ["-mapping_family", "1"]  # left to itself, ffmpeg shuffles 5 and 7 channels
    return arguments


def lame_level(kilobits: int, sample_rate: int) -> float:
    """The part of the level that LAME keeps at a constant bit rate: what it is given must be as much louder."""
    most = 320 if sample_rate >= 32_000 else 160 if sample_rate >= 16_000 else 64  # MPEG 1, 2 and 2.5
    return next((level for highest, level in _LAME_LEVELS if min(kilobits, most) <= highest), 1.0)


def kilobits_of(bitrate: str | None, source_rate: int | None, channels: int) -> int:
    """The bit rate of all channels in kb/s; raises AudioError if `bitrate` is none."""
    if bitrate in QUALITIES:
        return _QUALITY_BIT_RATES[QUALITIES.index(bitrate)] * channels // 2
    if bitrate is None:
        wanted = source_rate or 0
        return next((step for step in _BIT_RATES if step >= wanted), _BIT_RATES[-1]) * channels // 2
    match = re.fullmatch(r"(\d{1,4})k?", bitrate.strip().lower())
    if not match or not 8 <= int(match[1]) <= 512:
        raise AudioError(
            f"`bitrate={bitrate!r}` cannot be used: give 8k to 512k, such as 192k, or a quality: {', '.join(QUALITIES)}"
        )
    return int(match[1])
