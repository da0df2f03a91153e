"""What musex costs: CPU time and peak memory of a prediction, of starting up, of an output minute."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from musex.errors import MusexError
from musex.prediction.model import Model
from musex.system.processes import peak_memory_mb, running_python
from musex.system.side_files import temporary_folder

MEMORY_SECONDS = 180
OUTPUT_MINUTES = (2, 10)  # of which the shorter only tells what memory grows by


def prediction_seconds(model: Model, *, memory_seconds: int = MEMORY_SECONDS, repeats: int = 5) -> float:
    """CPU seconds, of all cores together, of predicting 10 s from `memory_seconds` of memory: the best of some."""
    features = model.config.features
    steps = memory_seconds * features.steps_per_second
    memory = model.listen(np.random.default_rng(0).normal(-40.0, 10.0, (steps, features.width)).astype(np.float32))
    taken = []
    for _ in range(repeats + 1):  # the first also allocates
        began = time.process_time()
        model.predict(memory, np.arange(steps - model.config.context_steps, steps))
        taken.append(time.process_time() - began)
    return min(taken)


def report_extension(song: str, model: str, seconds: str) -> None:
    """In a process of its own: load, extend unless `seconds` is 0, and write the costs to standard output as JSON."""
    from musex.files import extend_file
    from musex.prediction.model import load_model

    loaded = load_model(model)
    started = time.process_time()
    if float(seconds) > 0:
        with temporary_folder() as folder:
            extend_file(song, folder / "extended.wav", seconds=float(seconds), model=loaded)
    result = {"start_up": started, "seconds": time.process_time() - started, "peak_memory_mb": peak_memory_mb()}
    sys.stdout.write(json.dumps(result))


def run_extension(song: Path, model: Model, seconds: float) -> dict[str, float]:
    """`report_extension`, run; raises MusexError if it fails."""
    code = "import sys; from musex.evaluation.cost import report_extension; report_extension(*sys.argv[1:])"
    with running_python(code, song, model.path, seconds) as process:
        told, log = process.communicate()
    if process.returncode:
        reason = (log.decode(errors="replace").strip().splitlines() or ["it was killed"])[-1]
        raise MusexError(f"{song} could not be extended to {seconds:.0f} s to take its cost: {reason}")
    result: dict[str, float] = json.loads(told)
    return result


def measure_cost(song: Path, model: Model, *, minutes: tuple[int, int] = OUTPUT_MINUTES) -> dict[str, float]:
    """What extending a song costs, CPU seconds and MB, by name; the shorter output only tells what memory grows by."""
    short, long = (run_extension(song, model, 60.0 * length) for length in minutes)
    growth = (long["peak_memory_mb"] - short["peak_memory_mb"]) / (minutes[1] - minutes[0])
    return {
        "prediction_cpu_seconds": prediction_seconds(model),
        "start_up_cpu_seconds": min(short["start_up"], long["start_up"]),
        "cpu_seconds_per_output_minute": long["seconds"] / minutes[1],
        "peak_memory_mb": long["peak_memory_mb"],
        "peak_memory_mb_per_output_minute": growth,
    }
