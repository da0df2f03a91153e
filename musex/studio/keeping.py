"""Where sessions are kept: a folder for each song, by what is in its file, with the plan as a plan file."""

import logging
import os
import sys
from contextlib import suppress
from json import dumps, loads
from pathlib import Path

from musex.audio.song import Song
from musex.errors import MusexError
from musex.plans import read_plan
from musex.rendering.stitch import check_plan
from musex.studio.history import Lock, Step
from musex.system.side_files import save_text

logger = logging.getLogger(__name__)

PLAN_NAME, LOCKED_NAME = "plan.json", "locked.json"


def kept_folder() -> Path:
    """Where all sessions are kept, for this user alone."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return home / "musex" / "studio"


def keep(step: Step, song: Song) -> Path | None:
    """Write what was decided of a song to its folder; None, and the log says so, where that cannot be."""
    try:
        folder = kept_folder() / song.sha256[:32]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save_text(step.plan.to_json() + "\n", folder / PLAN_NAME, force=True)
        save_text(dumps(sorted(step.locked)) + "\n", folder / LOCKED_NAME, force=True)
    except (OSError, RuntimeError, MusexError) as error:  # RuntimeError: nobody's home
        logger.warning(f"the session is not kept: {error}")
        return None
    return folder / PLAN_NAME


def find_kept(song: Song) -> Step | None:
    """What was decided of a song before; None where nothing was, or it can no longer be used."""
    try:
        folder = kept_folder() / song.sha256[:32]
        plan = read_plan(folder / PLAN_NAME)
        check_plan(plan, song)
    except (RuntimeError, MusexError):
        return None
    locked = list[Lock]()
    with suppress(OSError, ValueError, TypeError):
        locked = [
            (int(leave), int(enter), int(at)) for leave, enter, at in loads((folder / LOCKED_NAME).read_text("utf-8"))
        ]
    return Step(plan, frozenset(locked))
