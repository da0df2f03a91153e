"""Make any piece of music last as long as you need.

    import musex

    longer = musex.extend("song.mp3", seconds=600)
    longer.samples, longer.sample_rate, longer.plan

Names are loaded when first used: importing musex imports none of its libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musex.audio import Song, read_song
    from musex.chain import plan_song
    from musex.errors import MusexError
    from musex.extension import Extension, extend, extend_file, render_file
    from musex.model import load_model
    from musex.plans import Plan
    from musex.stitch import render

__version__ = "0.1.0"

__all__ = [
    "Extension",
    "MusexError",
    "Plan",
    "Song",
    "__version__",
    "extend",
    "extend_file",
    "load_model",
    "plan_song",
    "read_song",
    "render",
    "render_file",
]

_HOMES = {
    "Extension": "extension",
    "MusexError": "errors",
    "Plan": "plans",
    "Song": "audio",
    "extend": "extension",
    "extend_file": "extension",
    "load_model": "model",
    "plan_song": "chain",
    "read_song": "audio",
    "render": "stitch",
    "render_file": "extension",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'musex' has no attribute {name!r}")
    value: object = getattr(import_module(f"musex.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
