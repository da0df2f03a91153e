"""Where libraries keep what they compile and look up: in a temporary folder where home cannot be written."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def place_caches() -> str:
    """Find numba (behind librosa) and matplotlib a folder for their caches, before they are imported.

    They take it from the environment, and numba fails without one. Returns what is short; nothing where nothing is.
    """
    home = _cache_folder()
    if _is_writable(home):
        return ""
    try:
        folder = tempfile.mkdtemp(prefix="musex-caches-")
    except OSError:
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        return f"neither {home} nor a temporary folder can be written to: layers and sections are slow"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", folder)
    os.environ.setdefault("MPLCONFIGDIR", folder)
    return f"{home} cannot be written to: libraries compile anew each time"


def _cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given) if given else Path.home() / ".cache"
    except RuntimeError:  # nobody's home
        return Path("/nonexistent")


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
