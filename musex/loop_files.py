"""Loops as games want them: intro, loop and outro as files, and loop points in a copy of a song's own file."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

from musex.audio.file_names import RELATED_SUFFIXES
from musex.audio.formats import FORMATS, check_size
from musex.audio.inputs import read_logged
from musex.audio.reading import check_song
from musex.audio.song import Samples, Song
from musex.audio.tags.copies import COPIED, copy_with_loop
from musex.audio.writing import check_output
from musex.errors import AudioError, MusexError
from musex.extension import find_loops, pointing
from musex.planning.natural_loops import Loop
from musex.planning.planner import plan_song
from musex.plans import Plan, Span
from musex.prediction.model import Model
from musex.rendering.levels import level_plan, separate_for
from musex.rendering.outputs import Sound, made_by, write_together
from musex.rendering.stitch import render
from musex.seams.cuts import find_cut
from musex.seams.measures import similarity
from musex.settings import Options, Settings, check_length
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import name_beside, written_whole

PARTS = ("intro", "loop", "outro")


def name_parts(output: str | Path) -> list[Path]:
    """`<stem>-intro.<ext>`, `<stem>-loop.<ext>` and `<stem>-outro.<ext>`: where the parts of a loop go."""
    return [name_beside(output, f"-{part}{Path(output).suffix}") for part in PARTS]


def write_loop_parts(
    song_path: str | Path,
    output: str | Path,
    *,
    seconds: float | None = None,
    model: Model | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    stream: int | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> tuple[Plan, list[Path]]:
    """Write a loop of a song, what leads into it and what out of it, as files that play on without a gap.

    The intro is the song to the sample. The loop runs into its own beginning, as often as one likes. The outro goes on
    from there: it begins with a crossfade back to where the loop has left the song, and ends as the song does. With the
    song's own loop the three are together as long as the song.

    Args:
        song_path: The song.
        output: Names the files: `<stem>-intro.<ext>`, `<stem>-loop.<ext>` and `<stem>-outro.<ext>`.
        seconds: How long the loop shall be; without it as the song has it, the first of `musex.find_loops`.
        model: As in `musex.find_loops`.
        force: Overwrite existing files.
        bitrate: As in `musex.extend_file`.
        stream: As in `musex.read_song`.
        on_progress: As in `musex.extend_file`.
        options: As in `musex.extend`.

    Returns:
        The plan of intro and loop, and the files written; no outro where the song ends with the loop.

    Raises:
        MusexError: As `musex.extend`; or a file cannot be written: then none is.
    """
    chosen: Options = {**options, "ending": "loop", "intro": True}
    settings = Settings(**chosen)
    check_length(seconds, settings)
    check_song(song_path)
    paths = name_parts(output)
    for path in paths:
        check_output(path, song_path, force, bitrate=bitrate)
    report = on_progress or ignore_progress
    report("Reading", 0.0)
    song, loaded = read_logged(song_path, stream=stream), pointing(model)
    frames = max(song.frames, 0 if seconds is None else round(seconds * song.sample_rate))
    check_size(FORMATS[paths[0].suffix.lower()], song, frames, output)
    separate_for(settings.changes, song, report)
    plan = plan_song(song, loaded, seconds=seconds, on_progress=partial(report, "Predicting"), **chosen)
    whole = level_plan(_with_outro(plan, song), song, report)
    lengths = (plan.intro, plan.frames - plan.intro, whole.frames - plan.frames)
    made = [path for path, length in zip(paths, lengths, strict=True) if length]
    maker = made_by(plan.model.name, plan.model.sha256, plan.settings.seed)
    sounds = (
        Sound(blocks, length, song, f" ({part})", maker, (0, length) if part == "loop" else None)
        for part, length, blocks in zip(PARTS, lengths, _divide(render(whole, song), lengths), strict=True)
        if length
    )
    write_together(made, sounds, frames=whole.frames, force=force, report=report, bitrate=bitrate)
    return replace(plan, gain_db=whole.gain_db), made


def tag_loop(
    song_path: str | Path,
    output: str | Path,
    *,
    model: Model | str | Path | None = None,
    force: bool = False,
    stream: int | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Loop:
    """Copy a song's file with the points of its best loop, nothing encoded again: its sound is the same, bit for bit.

    A player that knows loop points jumps back there without a crossfade, so the loop is cut where that is heard least,
    near the middle of the crossfade that it would have.

    Args:
        song_path: An ogg, opus, mp3, flac or wav file.
        output: The copy, with the same ending: the tags LOOPSTART and LOOPLENGTH, or a `smpl` chunk in wav, take the
            place of those that the file had.
        model: As in `musex.find_loops`.
        force: Overwrite an existing copy.
        stream: As in `musex.read_song`.
        on_progress: As in `musex.extend_file`.
        options: As in `musex.find_loops`.

    Returns:
        The loop.

    Raises:
        MusexError: As `musex.find_loops`; the file is of another kind, or the copy cannot be written. Nothing is left
            behind then, and an existing file is as it was.
    """
    check_copy(song_path, output)
    check_song(song_path)
    check_output(output, song_path, force)
    if Settings(**options).changes:
        raise MusexError("`mix=` changes how the song sounds, and a copy sounds as it does: leave it out")
    report = on_progress or ignore_progress
    report("Reading", 0.0)
    song = read_logged(song_path, stream=stream)
    loop = find_loops(song, count=1, model=model, on_progress=report, **options)[0]
    seam = find_cut(song.samples, song.sample_rate, loop.seam)
    loop = replace(loop, start=seam.enter, stop=seam.leave, seam=seam)
    with written_whole(output, AudioError, force=force) as temporary:
        copy_with_loop(Path(song_path), temporary, (loop.start, loop.frames), song.sample_rate)
    return loop


def check_copy(song_path: str | Path, output: str | Path) -> None:
    """Refuse to put loop points into a copy of a file that has no place for them; raises AudioError."""
    source, target = Path(song_path).suffix.lower(), Path(output).suffix.lower()
    if source not in COPIED:
        raise AudioError(
            f"loop points cannot be written into a copy of {song_path}: they can for ogg, opus, mp3, flac and wav; "
            "without `tag_only=` it is encoded anew"
        )
    if target != RELATED_SUFFIXES.get(source, source):
        raise AudioError(
            f"a copy of {song_path} cannot be called {output}: nothing is encoded again, so it ends with {source}"
        )


def _with_outro(plan: Plan, song: Song) -> Plan:
    """Intro, loop once, and the outro: as the loop has begun again it fades back to where it had left the song."""
    closing = plan.seams[-1]
    half, left = closing.fade // 2, song.frames - closing.leave
    half_back = min(half, (left - half) // 2)
    leave, enter = (place + half + half_back for place in (closing.enter, closing.leave))
    sides = (song.samples[place - half_back : place + half_back] for place in (leave, enter))
    back = replace(closing, at=closing.at + half + half_back, leave=leave, enter=enter, fade=2 * half_back)
    whole = replace(
        plan,
        spans=(*plan.spans, Span(closing.enter, leave), Span(enter, song.frames)),
        seams=(*plan.seams, replace(back, correlation=similarity(*sides))),
        settings=replace(plan.settings, ending="outro", intro=False),
        intro=0,
    )
    return replace(whole, seconds=whole.frames / song.sample_rate)


def _divide(blocks: Iterable[Samples], lengths: Iterable[int]) -> Iterator[Iterator[Samples]]:
    """Blocks as parts of so many frames one after another; each is to be taken before the next."""
    left, waiting = iter(blocks), list[Samples]()

    def take(frames: int) -> Iterator[Samples]:
        while frames > 0:
            block = waiting.pop() if waiting else next(left)
            if len(block) > frames:
                waiting.append(block[frames:])
            yield block[:frames]
            frames -= min(len(block), frames)

    return map(take, lengths)
