"""The measures of a plan: of its seams, anew from the sound, as those it tells may be of other places; of its turns."""

from dataclasses import replace

import numpy as np

from musex.analysis.activity import OWN_DB
from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.song import Song
from musex.config import FEATURES
from musex.planning.bars import SongBars, lay_bars
from musex.planning.course import LEAST_PULSE, ModelLike, tell_kept
from musex.planning.transitions import see
from musex.plans import Plan, Seam
from musex.prediction.arrangement_network import to_combinations
from musex.prediction.transition_head import TransitionHead
from musex.seams.measures import FluxReference, measure_seam
from musex.seams.voice import Voice
from musex.separation.singing import hear_voice
from musex.settings import STEMS
from musex.system.arrays import Array


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


def arranged_plays(plan: Plan, bars: SongBars) -> tuple[Array, Array]:
    """Which stem plays in each bar of an output with its turns, bool (bars, 4), and how long it is, int64 (bars,)."""
    output = lay_bars(plan, bars)
    plays, lengths = bars.plays[output.sources].copy(), np.diff(output.bounds)
    for turn in plan.turns:
        inside = np.minimum(output.bounds[1:], turn.at + turn.frames) - np.maximum(output.bounds[:-1], turn.at)
        turned, stem = np.flatnonzero(inside > 0.5 * lengths), STEMS.index(turn.stem)
        if turn.gain_db is None or turn.gain_db <= -OWN_DB:
            plays[turned, stem] = False
        elif turn.enter is not None:
            places = turn.enter + (output.bounds[turned] + output.bounds[turned + 1]) // 2 - turn.at
            plays[turned, stem] = [bars.plays[bars.find(place), stem] for place in places.tolist()]
    return plays, lengths


def arrangement_share(plan: Plan, bars: SongBars) -> float:
    """Share of an output in whole bars during which a combination of stems plays that the song never has, 0 to 1."""
    plays, lengths = arranged_plays(plan, bars)
    known = np.unique(to_combinations(bars.plays))
    new = ~np.isin(to_combinations(plays), known)
    return float(lengths[new].sum() / max(lengths.sum(), 1))


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
