"""Plan to waveform: a plan played as a stream of blocks."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from musex.audio.song import Song
from musex.errors import MusexError
from musex.plans import Beginning, Part, Plan
from musex.rendering.stems import check_turns, play_stem, with_stems
from musex.rendering.swaps import with_swaps
from musex.seams.crossfade import crossfade
from musex.settings import StemName
from musex.system.arrays import Array
from musex.system.spools import let_go

BLOCK_SECONDS = 1.0
CUT_SECONDS = 0.01  # fade where the output begins or ends within the song
RING_SECONDS = 0.2  # fade where the song's own ending is cut off within its last ring, for the duration's sake
LONGEST_REST_SECONDS = 10.0
FADE_OUT_SECONDS = {"outro": 0.0, "cut": CUT_SECONDS, "fade": 5.0, "loop": 0.0}  # by the plan's ending


class BegunAnewError(Exception):
    """What was played of an output is no longer part of it."""


def check_plan(plan: Plan, song: Song) -> None:
    """Refuse a plan that is not of this song, or whose spans and seams do not fit together; raises MusexError."""
    frames, channels = song.samples.shape
    for name, unit, true in (
        ("sample_rate", "Hz", song.sample_rate),
        ("frames", "samples long", frames),
        ("channels", "channels", channels),
    ):
        if plan.song[name] != true:
            raise MusexError(
                f"the plan was made from another song than this one, which is not {plan.song[name]} {unit} but {true}"
            )
    if plan.song.sha256 != song.sha256:
        raise MusexError("the plan was made from another song than this one (their SHA-256 differ)")
    if not plan.spans or len(plan.seams) != len(plan.spans) - (not plan.loops):
        wanted = "as many seams are" if plan.loops else "one seam fewer is"
        raise MusexError(f"the plan has {len(plan.spans)} spans and {len(plan.seams)} seams: {wanted} needed")
    if plan.intro and not plan.loops:
        raise MusexError(f"the plan's intro of {plan.intro} samples fits no output but a loop")
    at = 0
    begin = plan.spans[0].start + (plan.intro - plan.seams[-1].fade // 2 if plan.intro else 0)
    following = [*(span.start for span in plan.spans[1:]), begin]
    for span, seam, after in zip(plan.spans, plan.seams, following, strict=False):
        at += span.frames
        half = seam.fade // 2
        inside = half <= min(seam.leave, seam.enter) and max(seam.leave, seam.enter) + half <= frames
        if not inside or seam.fade < 0 or seam.at != at or seam.leave != span.stop:
            raise MusexError(f"the plan's seam at output sample {seam.at} does not fit the span before it or the song")
        if seam.enter != after:
            raise MusexError(f"the plan's seam at output sample {seam.at} does not fit the span after it")
    for span, (first, second) in zip(plan.spans, pairwise(_halves(plan)), strict=True):
        if not 0 <= span.start <= span.stop <= frames or first + second > span.frames:
            raise MusexError(f"the plan's span {span.start} to {span.stop} is too short or outside the song")
    if plan.loops and plan.rest:
        raise MusexError(f"the plan's rest of {plan.rest} samples fits no loop: its end leads to its beginning")
    if not 0 <= plan.rest <= LONGEST_REST_SECONDS * song.sample_rate:
        raise MusexError(f"the plan's rest of {plan.rest} samples is out of range: 0 to {LONGEST_REST_SECONDS:g} s")
    for swap in plan.swaps:
        half, ends = swap.fade // 2, np.array([swap.at, swap.at + swap.frames - 1])
        inside = half <= min(swap.leave, swap.enter) and max(swap.leave, swap.enter) + swap.frames + half <= frames
        fits = inside and 0 < swap.fade <= swap.frames and swap.at >= 0 and swap.at + swap.frames <= plan.frames
        if not fits or any(plan.places(ends) != swap.leave + ends - swap.at):
            raise MusexError(f"the plan's swap at output sample {swap.at} does not fit its spans or the song")
    check_turns(plan)


def _halves(plan: Plan) -> list[int]:
    """How far the crossfade reaches into both spans at each seam, and at the output's ends; an intro counts as one."""
    halves = [seam.fade // 2 for seam in plan.seams]
    return [plan.intro or halves[-1], *halves] if plan.closing else [0, *halves, 0]


def pieces(samples: Array, parts: Iterable[Beginning | Part], *, like: Array | None = None) -> Iterator[Array]:
    """The sound of an output's parts, as soon as each is decided: views and crossfades of any length.

    `like` is the song, where `samples` are a stem of it; see `crossfade`.

    Raises:
        BegunAnewError: what was played is void.
    """
    at = 0
    played = False
    for part in parts:
        if isinstance(part, Beginning):
            if played:
                raise BegunAnewError
            at = part.start
        elif part.seam is None:
            yield samples[at : part.stop]
            at, played = max(at, part.stop), True
        else:
            half = part.seam.fade // 2
            yield samples[at : part.seam.leave - half]
            yield crossfade(samples, part.seam, like=like)
            at, played = part.seam.enter + half, True


def plan_pieces(plan: Plan, samples: Array, *, like: Array | None = None) -> Iterator[Array]:
    """The sound of a whole plan; a loop without an intro begins amid its last seam's crossfade, and ends there.

    `like` as in `pieces`.
    """
    beginning, *parts = plan.parts()
    if (closing := plan.closing) and not plan.intro:
        half = closing.fade // 2
        beginning = Beginning(beginning.start + half, beginning.stop)
        yield crossfade(samples, closing, like=like)[half:]
    yield from pieces(samples, (beginning, *parts), like=like)


def to_length(sounds: Iterable[Array], frames: int) -> Iterator[Array]:
    """Pieces of sound (frames, channels) cut off after so many frames, or silence after them until then."""
    left, channels = frames, 1
    for sound in sounds:
        channels = sound.shape[1]
        yield sound[:left]
        left -= min(len(sound), left)
    if left:
        yield np.zeros((left, channels), np.float32)


def _fade(block: Array, start: int, frames: int, lengths: tuple[int, int]) -> None:
    """Apply the output's fades, in and out, to a block that starts at `start` of `frames`, in place."""
    fade_in, fade_out = lengths
    if start < fade_in:
        gone = np.arange(start, min(start + len(block), fade_in)) / fade_in
        block[: len(gone)] *= np.sin(0.5 * np.pi * gone)[:, None].astype(np.float32)
    first = max(start, frames - fade_out)
    if fade_out and start + len(block) > first:
        left = (frames - 1 - np.arange(first, start + len(block))) / fade_out
        block[first - start :] *= np.sin(0.5 * np.pi * left)[:, None].astype(np.float32)


def fade_lengths(ending: str, sample_rate: int, frames: int, *, from_start: bool, to_end: bool) -> tuple[int, int]:
    """Samples of an output's fades, in and out, by whether it begins with the song's start and ends with its end."""
    if ending == "loop":
        return 0, 0
    fade_in = 0.0 if from_start else CUT_SECONDS
    fade_out = max(FADE_OUT_SECONDS[ending], 0.0 if to_end else RING_SECONDS if ending == "outro" else CUT_SECONDS)
    return min(round(fade_in * sample_rate), frames // 2), min(round(fade_out * sample_rate), frames)


def render(plan: Plan, song: Song) -> Iterator[Array]:
    """Play a plan: float32 blocks (frames, channels) of about a second, `plan.frames` in all, in constant memory.

    Samples away from seams and swaps are the source's, bit for bit, where no mix or turn changes its stems. Raises
    MusexError at once if the plan is not of this song.
    """
    check_plan(plan, song)
    sound = play_plan(plan, song.samples)
    if plan.changes_stems:
        sound = with_stems(sound, plan, song, lambda stem: play_plan(plan, stem, like=song.samples))
    blocks = play(sound, song, frames=plan.frames, fades=lambda: plan_fades(plan))
    return with_swaps(blocks, plan, song) if plan.swaps and not plan.changes_stems else blocks


def render_stem(plan: Plan, song: Song, stem: Array, name: StemName | None = None) -> Iterator[Array]:
    """Play a plan's cuts on a stem of its song, (frames, channels); blocks as `render` gives them.

    What stems add up to is what `render` gives of the sum. What the plan changes of the stem of that name is changed.
    """
    sound = play_stem(play_plan(plan, stem, like=song.samples), plan, song, stem, name=name)
    return play(sound, song, frames=plan.frames, fades=lambda: plan_fades(plan))


def play_plan(plan: Plan, samples: Array, *, like: Array | None = None) -> Iterator[Array]:
    """The pieces of a plan and the silence of its rest, without the output's own fades; `like` as in `pieces`."""
    return to_length(plan_pieces(plan, samples, like=like), plan.frames)


def plan_fades(plan: Plan) -> tuple[int, int]:
    """Samples of a plan's fades, in and out."""
    return fade_lengths(
        plan.settings.ending,
        plan.song.sample_rate,
        plan.frames,
        from_start=plan.spans[0].start == 0,
        to_end=plan.spans[-1].stop == plan.song.frames,
    )


def play(sounds: Iterable[Array], song: Song, *, frames: int, fades: Callable[[], tuple[int, int]]) -> Iterator[Array]:
    """Pieces of sound, `frames` in all, as blocks of about a second, faded in and out over so many samples.

    `fades` are asked for before each block: those of a stream are known at its end only.
    """
    size = round(BLOCK_SECONDS * song.sample_rate)
    block = np.empty((size, song.samples.shape[1]), np.float32)
    start = filled = 0
    for piece in sounds:
        while len(piece):
            taken = piece[: size - filled]
            block[filled : filled + len(taken)] = taken
            filled, piece = filled + len(taken), piece[len(taken) :]
            if filled == size:
                _fade(block, start, frames, fades())
                yield block
                let_go(song.samples)
                block, start, filled = np.empty_like(block), start + size, 0
    if filled:
        block = block[:filled]
        _fade(block, start, frames, fades())
        yield block
