"""Programs that musex runs: none outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from musex.system.signals import held_off, undoing


@contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """`subprocess.Popen`, killed if a signal ends musex meanwhile."""
    with ExitStack() as stack:
        with held_off():
            process = stack.enter_context(subprocess.Popen(command, **options))
            stack.enter_context(undoing(partial(_kill, process)))
        yield process


@contextmanager
def running_python(code: str, *arguments: object, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """The same of a Python that runs `code`, which finds this musex; its stdout and stderr are pipes."""
    paths = [str(Path(__file__).parent.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with running(command, env=environment, **pipes, **options) as process:
        yield process


def tell_stop(process: "subprocess.Popen[bytes]") -> str:
    """By which signal a process has ended, such as "stopped by SIGKILL"; nothing where it ended by itself."""
    number = -(process.returncode or 0)
    if number <= 0:
        return ""
    known = {int(one) for one in signal.Signals}
    return f"stopped by {signal.Signals(number).name if number in known else f'signal {number}'}"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and wait for its end: it writes nothing after that."""
    process.kill()
    if hasattr(os, "waitpid") and os.name == "posix":
        with suppress(ChildProcessError):  # another thread has waited
            os.waitpid(process.pid, 0)  # Popen.wait would want a lock that the interrupted code may hold
    else:
        process.wait()


def peak_memory_mb() -> float:
    """The most memory this process has held so far, MB."""
    try:  # ru_maxrss may be that of the process that started this one
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1000.0
    except (OSError, IndexError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / 1e6 if sys.platform == "darwin" else used / 1000.0
