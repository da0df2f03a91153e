"""The measures of a plan's seams, taken anew from the sound: those that it tells may be of other places by now."""

from dataclasses import replace

import numpy as np

from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.song import Song
from musex.config import FEATURES
from musex.planning.course import LEAST_PULSE, ModelLike, tell_kept
from musex.planning.transitions import see
from musex.plans import Plan, Seam
from musex.prediction.transition_head import TransitionHead
from musex.seams.measures import FluxReference, measure_seam
from musex.seams.voice import Voice
from musex.separation.singing import hear_voice


def measure_plan(plan: Plan, song: Song, model: ModelLike) -> Plan:
    """The same plan with the measures that its seams have in the song, wherever it was edited.

    Args:
        plan: Fits the song, see `musex.rendering.stitch.check_plan`.
        song: The plan's.
        model: Its transition head judges beat and bar.
    """
    analysis = analyse_song(song)
    reference = FluxReference(song.samples, song.sample_rate)
    seams = [measure_seam(song.samples, song.sample_rate, seam, reference) for seam in plan.seams]
    network = None if plan.settings.voice == "off" else model.singing_network
    if seams and network and (activations := hear_voice(song, network)) is not None:
        voice = Voice(activations)
        seams = [voice.tell(seam, song.sample_rate) for seam in seams]
    if seams:
        seams = _judged(seams, analysis, model.transition_head, song.sample_rate)
    return replace(plan, seams=tuple(seams))


def _judged(seams: list[Seam], analysis: Analysis, head: TransitionHead | None, sample_rate: int) -> list[Seam]:
    """The seams with the likelihoods of beat and bar that a path would give them; none where nobody can tell."""
    if head is None or analysis.pulse < LEAST_PULSE:
        return [replace(seam, beat=None, bar=None) for seam in seams]
    rate, last = sample_rate / FEATURES.steps_per_second, analysis.steps - 1
    leaves = np.clip([round(seam.leave / rate) for seam in seams], 0, last)
    lags = np.array([seam.enter - seam.leave for seam in seams])  # samples
    enters = np.clip(leaves + np.rint(lags / rate).astype(np.int64), 0, last)
    seen, sub_lags = see(analysis, leaves, enters)
    agreed = (enters - leaves + sub_lags / FEATURES.frames_per_step) * rate
    odds = head.log_odds(seen)[:, :2].tolist()
    return [
        tell_kept(seam, lag, answers, sample_rate)
        for seam, lag, answers in zip(seams, agreed.tolist(), odds, strict=True)
    ]
