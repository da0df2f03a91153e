"""`musex` in processes of its own, for tests of what happens to them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def musex_process(
    *arguments: str | Path,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    **options: object,
) -> "subprocess.Popen[str]":
    """`musex` as a process of its own, whose output is piped unless `options` say otherwise.

    `command` is started in its place, such as a shell that starts it; `environment` adds to the usual one.
    """
    given = command or [sys.executable, "-m", "musex", *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        given, env=variables, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    )


def wait_for_handlers(process: "subprocess.Popen[str]") -> None:
    """Until musex has said what a signal shall do: before that, Python itself is starting."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = int(status.read_text().split("SigCgt:")[1].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)
