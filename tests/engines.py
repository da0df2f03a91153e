"""Loop points as programs that play games' music read them: by their own libraries, or by what their source does."""

import ctypes
import os
import re
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import soundfile

GET_INSTRUMENT = 0x10D0  # a command of libsndfile
INSTRUMENT_BYTES = 272


def read_by_sampler(path: Path) -> tuple[int, int]:
    """The first frame of a wav's loop and how many it has, as libsndfile reads its `smpl` chunk."""
    from soundfile import _ffi, _snd  # how soundfile calls libsndfile

    with soundfile.SoundFile(path) as file:
        buffer = _ffi.new("char[]", INSTRUMENT_BYTES)
        assert _snd.sf_command(file._file, GET_INSTRUMENT, buffer, INSTRUMENT_BYTES)
        count, mode, start, end = struct.unpack_from("<iiII", bytes(_ffi.buffer(buffer)), 12)
    assert (count, mode) == (1, 801)  # one loop, forward
    return start, end - start


@cache
def sdl_mixer() -> Any:
    """SDL_mixer, on a sound device that is none; skips where it is not installed."""
    os.environ["SDL_AUDIODRIVER"] = "dummy"
    try:
        sdl, mixer = ctypes.CDLL("libSDL2-2.0.so.0"), ctypes.CDLL("libSDL2_mixer-2.0.so.0")
        start, length = mixer.Mix_GetMusicLoopStartTime, mixer.Mix_GetMusicLoopLengthTime  # from 2.6 on
    except (OSError, AttributeError):
        pytest.skip("SDL_mixer 2.6 is missing: apt install libsdl2-mixer-2.0-0")
    audio, signed_16 = 0x10, 0x8010
    assert sdl.SDL_Init(audio) == 0
    assert mixer.Mix_OpenAudio(44_100, signed_16, 2, 1_024) == 0
    mixer.Mix_LoadMUS.restype = ctypes.c_void_p
    for function in (start, length):
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_void_p]
    return mixer


def read_by_sdl_mixer(path: Path, sample_rate: int) -> tuple[int, int]:
    """The first frame of a loop and how many it has, as SDL_mixer reads tags."""
    mixer = sdl_mixer()
    music = mixer.Mix_LoadMUS(os.fsencode(path))
    assert music, path
    start, length = mixer.Mix_GetMusicLoopStartTime(music), mixer.Mix_GetMusicLoopLengthTime(music)
    mixer.Mix_FreeMusic(ctypes.c_void_p(music))
    return round(start * sample_rate), round(length * sample_rate)


def read_by_rpg_maker(packet: bytes) -> tuple[int, int]:
    """The same as RPG Maker MV reads an Ogg file's packet of comments: what begins with LOOP in its first segment.

    After `WebAudio._readOgg` and `_readMetaData` of its rpg_core.js, version 1.6.
    """
    found = {"LOOPSTART": 0, "LOOPLENGTH": 0}
    place = 0
    while place < min(len(packet), 255) - 10:
        if packet[place : place + 4] == b"LOOP":
            end = packet.index(0, place) if 0 in packet[place:] else len(packet)
            text, place = packet[place:end].decode("latin-1"), end
            for name in found:
                if match := re.search(f"{name}=([0-9]+)", text):
                    found[name] = int(match[1])
        place += 1
    return found["LOOPSTART"], found["LOOPLENGTH"]
