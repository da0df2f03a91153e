"""Whatever the public verbs take, as a song."""

import logging
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from musex.audio.reading import read_song
from musex.audio.song import Song, song_from_array, song_from_segment
from musex.errors import AudioError

logger = logging.getLogger(__name__)


def song_of(song: Any, sample_rate: int | None = None) -> Song:
    """Whatever the public verbs take, as a song; raises AudioError if it is none."""
    if isinstance(song, np.ndarray):
        if sample_rate is None:
            raise AudioError("an array does not say its sample rate: give `sample_rate=`, such as 44100")
        return song_from_array(song, sample_rate)
    if sample_rate is not None:
        raise AudioError("`sample_rate=` is for arrays: files, songs and segments know their own")
    if isinstance(song, Song):
        return song
    if isinstance(song, str | os.PathLike):
        return read_logged(os.fspath(song))
    pydub = sys.modules.get("pydub")  # whoever holds a segment has imported it
    if pydub is not None and isinstance(song, pydub.AudioSegment):
        return song_from_segment(song)
    raise AudioError(f"a {type(song).__name__} is not a song: give a path, a Song, an AudioSegment or an array")


@dataclass(frozen=True)
class SongFile:
    """A song's file, read when it is first asked for, and then kept."""

    path: str | Path
    stream: int | None = None  # as in `read_song`

    @cached_property
    def song(self) -> Song:
        """The decoded song, what is wrong with it logged; raises AudioError as `read_song`."""
        return read_logged(self.path, stream=self.stream)


def read_logged(path: str | Path, *, stream: int | None = None, silent: bool = False) -> Song:
    """Read a song, and log what it is and what is wrong with it."""
    began = time.monotonic()
    song = read_song(path, stream=stream, silent=silent)
    kind = f"{song.seconds:.1f} s, {song.sample_rate} Hz, {song.channels} channels"
    logger.info(f"read {path} ({kind}) in {time.monotonic() - began:.2f} s")
    for warning in song.warnings:
        logger.warning(warning)
    return song
