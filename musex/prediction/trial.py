"""A model that did not come with musex, tried first in a process of its own: a damaged one may crash, or never end."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from musex.audio.reading import most_bytes
from musex.errors import ModelError
from musex.prediction.litert import load_runner, run
from musex.system.processes import running_python

LONGEST_SECONDS = 120.0  # of loading a model and running it once
CODE = "import sys; from musex.prediction.trial import main; main(*sys.argv[1:])"

Shapes = Mapping[str, tuple[int, ...]]


def try_model(path: Path, shapes: Shapes, *, delegate: bool = True) -> None:
    """Load a LiteRT file and run it once, in a process with limits of time and memory.

    Args:
        path: The file.
        shapes: Of its inputs; 0 is what the file itself says.
        delegate: As in `musex.prediction.litert.load_runner`.

    Raises:
        ModelError: It cannot be loaded or run, crashes, or takes too much time or memory.
    """
    with running_python(CODE, path, json.dumps(dict(shapes)), int(delegate), stdin=subprocess.DEVNULL) as process:
        try:
            told, _ = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{path} is damaged: it ran for {LONGEST_SECONDS:g} s without a result") from error
        finally:
            process.kill()
    if process.returncode:
        reason = told.decode(errors="replace").strip()
        raise ModelError(reason or f"{path} is damaged: running it crashes (code {process.returncode})")


def main(path: str, shapes: str, delegate: str) -> None:
    """In a process of its own: exit with 1 and tell on stdout why a model cannot be used."""
    _limit_memory()
    wanted: dict[str, list[int]] = json.loads(shapes)
    try:
        runner = load_runner(Path(path), set(wanted), delegate=bool(int(delegate)))
        inputs = {}
        for name, sizes in wanted.items():
            if len(sizes) != len(runner.shapes[name]):
                raise ModelError(f"{path} takes {name} of {len(runner.shapes[name])} dimensions, not {len(sizes)}")
            filled = [size or max(1, own) for size, own in zip(sizes, runner.shapes[name], strict=True)]
            inputs[name] = np.ones(filled, np.float32)
        run(runner, **inputs)
    except ModelError as error:
        reason = str(error)
    except MemoryError:
        reason = f"{path} is damaged: it wants more than {most_bytes() / 1e9:.1f} GB of memory"
    else:
        return
    sys.stdout.write(reason)
    sys.exit(1)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = most_bytes() if most == resource.RLIM_INFINITY else min(most_bytes(), most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (ValueError, OSError):  # a system that has no such limit
        return
