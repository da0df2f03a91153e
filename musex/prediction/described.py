"""An exported network with the JSON beside it that describes it: loaded where both belong together, and run."""

import hashlib
from pathlib import Path
from typing import Any

from musex.errors import ModelError
from musex.prediction.litert import Runner, load_runner
from musex.prediction.trial import Shapes, try_model
from musex.system.json_files import parse_json, read_json_text
from musex.system.packaged import packaged_file

MODEL_NAME = "pointer"
TRANSITION_FILE = "transition.tflite"
BEATS_FILE = "beats.tflite"
SINGING_FILE = "singing.tflite"
VOICE_FILE = "voice.tflite"
ARRANGEMENT_FILE = "arrangement.tflite"
SEPARATOR_FILE = "separator.tflite"
FORMAT_VERSION = 1


def packaged_model() -> Path:
    """The model that came with musex."""
    return packaged_file(f"{MODEL_NAME}.tflite")


def find_network(path: Path | None, name: str) -> Path:
    """A network's file: the one that `path` is, or the one called so in that folder; else the packaged one."""
    if path is not None and path.suffix != ".tflite":
        path = path / name if (path / name).exists() else None
    return path or packaged_model().with_name(name)


def read_description(file: Path) -> dict[str, Any]:
    """What the JSON beside a LiteRT file says of it; raises ModelError if it says nothing, or is of another version."""
    description = file.with_suffix(".json")
    try:
        settings = parse_json(read_json_text(description))
        if not all(isinstance(settings.get(name, ""), str) for name in ("network", "sha256")):
            raise TypeError("its network and sha256 are words")
    except FileNotFoundError as error:
        raise ModelError(f"no {description.name} beside {file}: a model is both files") from error
    except OSError as error:
        raise ModelError(f"{description} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{description} does not describe a model of this musex: {error}") from error
    if (version := settings.get("format", FORMAT_VERSION)) != FORMAT_VERSION:
        raise ModelError(f"{file} is of format {version}, this musex reads format {FORMAT_VERSION}: train it again")
    return dict(settings)


def load_described(
    path: Path, shapes: Shapes, settings: dict[str, Any], *, delegate: bool = True
) -> tuple[Runner, str]:
    """The exported function of the LiteRT file that `settings` were written for, and the file's SHA-256.

    A file that did not come with musex is tried first; see `musex.prediction.trial`, for `shapes` too.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != settings.get("sha256", sha256):
        raise ModelError(f"{path} is damaged or not the file its description was written for: install it again")
    if sha256 not in _tried and path.resolve().parent != packaged_model().resolve().parent:
        try_model(path, shapes, delegate=delegate)
        _tried.add(sha256)
    return load_runner(path, set(shapes), content, delegate=delegate), sha256


_tried: set[str] = set()  # of files that are known to run
