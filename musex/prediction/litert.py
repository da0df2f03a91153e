"""An exported network in LiteRT, without TensorFlow."""

import threading
from pathlib import Path
from typing import Any

from musex.audio.ffmpeg import muted_stderr
from musex.errors import ModelError
from musex.system.arrays import Array


class Runner:
    """The exported function of a LiteRT file. Threads take turns: its memory is one."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(details["shape"].tolist()) for name, details in function.get_input_details().items()
        }
        self._turn = threading.Lock()

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        with self._turn:
            outputs: dict[str, Array] = self.function(**inputs)
        return outputs


def load_runner(path: Path, inputs: set[str], content: bytes | None = None, *, delegate: bool = True) -> Runner:
    """The exported function of a LiteRT file; raises ModelError if it is damaged or takes other inputs.

    Without its delegate LiteRT is slower, and keeps no copy of the weights for each place where they are used.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            model_content=content or path.read_bytes(), num_threads=2, experimental_op_resolver_type=resolver
        )
        runner = Runner(interpreter.get_signature_runner("serving_default"))
        names = set(runner.shapes)
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelError(f"{path} cannot be loaded, it is damaged or no LiteRT model: {error}") from error
    if names != inputs:
        raise ModelError(f"{path} takes {sorted(names)}, not {sorted(inputs)}: it is not the network expected here")
    return runner


def run(runner: Any, **inputs: Array) -> dict[str, Array]:
    """Run an exported function; raises ModelError if it holds what LiteRT cannot run."""
    try:
        with muted_stderr():  # LiteRT announces its delegates there
            outputs: dict[str, Array] = runner(**inputs)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"the model cannot be run: {error}") from error
    return outputs
