"""Make any piece of music last as long as you need.

    import musex

    longer = musex.extend("song.mp3", seconds=600)
    longer.samples, longer.sample_rate, longer.plan

Names are loaded when first used: importing musex imports none of its libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musex.audio.reading import read_song
    from musex.audio.song import Song
    from musex.errors import MusexError
    from musex.evaluation.comparison import evaluate
    from musex.extension import Extension, extend, plan, predict
    from musex.files import extend_file, render_file
    from musex.inspection import SongInfo, info
    from musex.plans import Plan
    from musex.prediction.model import Prediction, load_model
    from musex.rendering.stitch import render
    from musex.views.reports import report, report_file

__version__ = "0.1.0"

__all__ = [
    "Extension",
    "MusexError",
    "Plan",
    "Prediction",
    "Song",
    "SongInfo",
    "__version__",
    "evaluate",
    "extend",
    "extend_file",
    "info",
    "load_model",
    "plan",
    "predict",
    "read_song",
    "render",
    "render_file",
    "report",
    "report_file",
]

_HOMES = {
    "Extension": "extension",
    "MusexError": "errors",
    "Plan": "plans",
    "Prediction": "prediction.model",
    "Song": "audio.song",
    "SongInfo": "inspection",
    "evaluate": "evaluation.comparison",
    "extend": "extension",
    "extend_file": "files",
    "info": "inspection",
    "load_model": "prediction.model",
    "plan": "extension",
    "predict": "extension",
    "read_song": "audio.reading",
    "render": "rendering.stitch",
    "render_file": "files",
    "report": "views.reports",
    "report_file": "views.reports",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'musex' has no attribute {name!r}")
    value: object = getattr(import_module(f"musex.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
