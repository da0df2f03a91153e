"""Where libraries keep what they compile and look up: in a temporary folder where home cannot be written."""

import atexit
import hashlib
import os
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path

from musex.system.signals import undo_at_stop


@cache
def place_caches() -> str:
    """Find numba (behind librosa) and matplotlib a folder for their caches, before they are imported.

    They take it from the environment, and numba fails without one. Returns what is short; nothing where nothing is.
    """
    home = _cache_folder()
    if is_writable(home):
        return ""
    try:
        folder = str(_temporary_caches())
    except OSError:
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        return f"neither {home} nor a temporary folder can be written to: layers and sections are slow"
    os.environ.setdefault("NUMBA_CACHE_DIR", folder)
    os.environ.setdefault("MPLCONFIGDIR", folder)
    return f"{home} cannot be written to: libraries compile anew each time"


@cache
def beside_or_apart(folder: Path) -> Path:
    """A folder for caches where it can be written to; else one for the same things below the user's own caches.

    Where neither can be written to, a temporary one.
    """
    if is_writable(folder):
        return folder
    apart = _cache_folder() / "musex" / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return apart if is_writable(apart) else _temporary_caches()


def _temporary_caches() -> Path:
    """A folder that goes with this process; raises OSError where there can be none."""
    folder = tempfile.mkdtemp(prefix="musex-caches-")
    remove = partial(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(remove)
    undo_at_stop(remove)
    return Path(folder)


def _cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given) if given else Path.home() / ".cache"
    except RuntimeError:  # nobody's home
        return Path("/nonexistent")


def is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
