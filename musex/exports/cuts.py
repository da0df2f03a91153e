"""The cut list of a plan: which stretches of the song's file an output plays, when, and how they are joined.

A cut list holds spans, crossfades, fades, silence, gain and the beats of the output. What changes the song's stems
(turns, a mix, swaps of percussion) it cannot hold: `CutList.left_out` tells of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from musex.analysis.bar_pointer import Beats
from musex.analysis.song_analysis import analyse_song
from musex.audio.song import Song
from musex.config import GENERATIVE
from musex.errors import MusexError
from musex.plans import Plan, Seam
from musex.prediction.beat_network import BeatNetwork
from musex.rendering.stitch import check_plan, plan_fades
from musex.system.wording import format_count, plain_line

SAME_BEAT = 0.5  # of the usual interval: beats on both sides of a seam that are nearer than this are one


@dataclass(frozen=True)
class Clip:
    """A stretch of the song's file, all in samples.

    Attributes:
        at: Of the output: where it begins, in the middle of the crossfade with the clip before it.
        start: Of the song: what is played there.
        stop: Of the song: where it ends, in the middle of the crossfade with the clip after it.
        lead: How far that with the clip before reaches to either side of `at`; 0 without one.
        tail: The same at its end.
        correlation: Of both sides of the crossfade at its beginning, -1 to 1.
    """

    at: int
    start: int
    stop: int
    lead: int = 0
    tail: int = 0
    correlation: float = 0.0

    @property
    def frames(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Beat:
    """A beat of the output.

    Attributes:
        at: Sample of the output.
        bar: Which bar it belongs to, counted from 1; 0 before the first downbeat.
        number: Which beat of the bar it is, 1 for the downbeat.
    """

    at: int
    bar: int
    number: int

    @property
    def is_downbeat(self) -> bool:
        return self.number == 1

    @property
    def label(self) -> str:
        """As markers are called: "bar 12", "12.3"."""
        return f"bar {self.bar}" if self.is_downbeat else f"{self.bar}.{self.number}"


@dataclass(frozen=True)
class CutList:
    """What an output plays, for programs that cut by themselves; all positions in samples.

    Attributes:
        path: The song's file, absolute.
        sample_rate: Hz.
        song_frames: Length of the song.
        channels: Of the song.
        clips: In the order in which they are heard.
        rest: Silence after the last one.
        fades: Of the output itself, in and out.
        gain_db: Of the output.
        closing: The seam from a loop's end to its beginning: the output begins and ends amid its crossfade.
        beats: Of the output.
        tempo: Beats per minute; 0.0 without a pulse.
        metre: Beats of most bars; 0 without a pulse.
        left_out: What of the plan it does not hold, in words.
    """

    path: Path
    sample_rate: int
    song_frames: int
    channels: int
    clips: tuple[Clip, ...]
    rest: int
    fades: tuple[int, int]
    gain_db: float
    closing: Seam | None
    beats: tuple[Beat, ...]
    tempo: float
    metre: int
    left_out: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Length of the output."""
        return sum(clip.frames for clip in self.clips) + self.rest

    @property
    def title(self) -> str:
        """The song's name, in characters that any format can hold."""
        return plain_line(self.path.stem)

    def seconds(self, frames: int) -> float:
        """Seconds of so many samples."""
        return frames / self.sample_rate


def cut_plan(plan: Plan, song: Song, beats: Beats | None = None) -> CutList:
    """The cut list of a plan.

    Args:
        plan: What is played.
        song: Its song, which came from a file.
        beats: Of the song; without it they are listened for.

    Raises:
        MusexError: The plan is of another song or of a model that cuts nothing, or the song came from no file.
    """
    if plan.model.name in GENERATIVE:
        raise MusexError(f"{plan.model.name} predicts the waveform itself: there are no cuts to hand over")
    if song.path is None:
        raise MusexError("the song is an array, and cuts are handed over with its file: save it, and name that file")
    check_plan(plan, song)
    heard = beats if beats is not None else find_beats(song)
    return CutList(
        path=song.path.absolute(),
        sample_rate=song.sample_rate,
        song_frames=song.frames,
        channels=song.channels,
        clips=tuple(_clips(plan)),
        rest=plan.rest,
        fades=plan_fades(plan),
        gain_db=plan.gain_db,
        closing=plan.closing,
        beats=lay_beats(plan, heard),
        tempo=heard.tempo,
        metre=heard.metre,
        left_out=tuple(_left_out(plan)),
    )


def find_beats(song: Song) -> Beats:
    """The beats of a song, as the packaged network hears them."""
    analysis = analyse_song(song)
    return BeatNetwork().track(analysis.log_mel, analysis.chroma)


def _clips(plan: Plan) -> Iterator[Clip]:
    """A clip for each span."""
    inner = plan.seams[:-1] if plan.closing else plan.seams
    halves = [0, *(seam.fade // 2 for seam in inner), 0]
    alike = [0.0, *(seam.correlation for seam in inner)]
    places = accumulate((span.frames for span in plan.spans), initial=0)
    for number, (at, span) in enumerate(zip(places, plan.spans, strict=False)):
        yield Clip(at, span.start, span.stop, halves[number], halves[number + 1], alike[number])


def lay_beats(plan: Plan, beats: Beats) -> tuple[Beat, ...]:
    """The beats of a plan's output: those of the song wherever it is played; one where two meet at a seam."""
    if len(beats.times) < 2:
        return ()
    places = np.rint(beats.times * plan.song.sample_rate).astype(np.int64)
    least = SAME_BEAT * float(np.median(np.diff(places)))
    found: list[tuple[int, int]] = []
    at = 0
    for span in plan.spans:
        inside = np.flatnonzero((places >= span.start) & (places < span.stop))
        for place, position in zip(places[inside].tolist(), beats.positions[inside].tolist(), strict=True):
            time = at + place - span.start
            if found and time - found[-1][0] < least:
                if found[-1][1] == 0 != position:
                    continue
                found.pop()
            found.append((time, position))
        at += span.frames
    bars = accumulate(int(position == 0) for _, position in found)
    return tuple(Beat(time, bar, position + 1) for (time, position), bar in zip(found, bars, strict=True))


def _left_out(plan: Plan) -> Iterator[str]:
    """What a cut list of this plan does not hold."""
    if plan.turns:
        yield f"{format_count(len(plan.turns), 'turn')} of stems (--arrange)"
    if plan.settings.changes:
        yield "the mix of stems (--mix)"
    if plan.swaps:
        yield f"{format_count(len(plan.swaps), 'swap')} of percussion (--layers)"
