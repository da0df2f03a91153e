"""How loud an output is whose stems are changed: never louder than full scale, or than its song is."""

import logging
import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from musex.audio.song import Samples, Song
from musex.plans import Plan
from musex.rendering.stitch import render
from musex.separation.separated import check_stems, stems_of
from musex.settings import StemName
from musex.system.progress import OnProgress, ignore_progress

logger = logging.getLogger(__name__)

FULL_SCALE = 1.0


def separate_for(
    names: Collection[StemName], song: Song, on_progress: OnProgress | None = None, *, always: bool = False
) -> None:
    """Take a song apart before anything is made of it, if stems of these names will be changed, or `always`.

    Raises MusexError as `check_stems`.
    """
    if names or always:
        report = on_progress or ignore_progress
        report("Separating", 0.0)
        stems_of(song, on_progress=lambda done: report("Separating", done))
        check_stems(song, names)


def with_mix(plan: Plan, mix: Any) -> Plan:
    """A plan with another mix, unless that is None; its gain is then to be found anew."""
    return plan if mix is None else replace(plan, settings=replace(plan.settings, mix=mix), gain_db=0.0)


def level_plan(plan: Plan, song: Song, on_progress: OnProgress | None = None) -> Plan:
    """The plan with the gain, one for all of the output, that its changed stems need; the log tells of it.

    It is rendered once for that. Nothing is lowered where the loudest sample is within full scale or the song's own.
    """
    if not plan.changes_stems:
        return plan
    report, plain = on_progress or ignore_progress, replace(plan, gain_db=0.0)
    peak = done = 0.0
    for block in render(plain, song):
        peak, done = max(peak, _peak(block)), done + len(block)
        report("Mixing", done / plain.frames)
    most = max(FULL_SCALE, _peak(song.samples))
    if peak <= most:
        return plain
    gain_db = math.floor(2000.0 * math.log10(most / peak)) / 100.0
    logger.warning(
        f"what is changed of the stems peaks {to_db(peak):.1f} dB above full scale: all of the output is "
        f"{-gain_db:.2f} dB lower"
    )
    return replace(plain, gain_db=gain_db)


def _peak(samples: Samples) -> float:
    return float(max(np.max(samples), -np.min(samples)))


def to_db(amplitude: float) -> float:
    """The level of an amplitude, dB of full scale."""
    return 20.0 * math.log10(amplitude)
