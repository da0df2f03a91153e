"""Stems as files: a song taken apart, and a plan of it played on files that are its stems or its tracks."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from musex import __version__
from musex.audio.file_names import RELATED_SUFFIXES, find_song
from musex.audio.formats import FORMATS
from musex.audio.inputs import read_logged
from musex.audio.reading import check_song
from musex.audio.song import Samples, Song
from musex.audio.writing import check_output
from musex.errors import AudioError, MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Span, read_plan
from musex.rendering.levels import FULL_SCALE, level_plan, to_db, with_mix
from musex.rendering.outputs import Sound, made_by, title_of, write_together
from musex.rendering.stems import changed_stems
from musex.rendering.stitch import check_plan, render, render_stem
from musex.separation.separated import check_stems, stems_of
from musex.separation.stem_folders import files_in, read_stem, stem_of
from musex.settings import STEMS, Settings
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import made_folder, name_beside

logger = logging.getLogger(__name__)

MIX = "mix"  # what the file is called that has the stems as a mix has them
MAKER = f"musex {__version__}"  # of stems, for their tags


def separate_file(
    song_path: str | Path,
    folder: str | Path | None = None,
    *,
    mix: Any = None,
    stream: int | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Path]:
    """Take a song apart: a file in floating point for each of its stems, which add up to it; returns their paths.

    Args:
        song_path: The song.
        folder: Where `voice.wav`, `drums.wav`, `bass.wav` and `rest.wav` go, as far as it has them; made where it is
            missing. Without it `<stem>-stems` beside the song.
        mix: As in `musex.extend`, over the song's own time: there is a `mix.wav` of it, too.
        stream: As in `musex.read_song`.
        force: Overwrite existing files, and remove those of stems that this song does not have.
        on_progress: Called with what is being done and how much of it is done.

    Raises:
        MusexError: The song cannot be read, or lacks a stem that the mix changes; or a file cannot be written: then
            none is.
    """
    settings, report = Settings(mix=mix or ()), on_progress or ignore_progress
    check_song(song_path)
    target = _folder_of(folder) if folder is not None else name_beside(song_path, "-stems")
    names = [*STEMS, *([MIX] if mix else [])]
    with made_folder(target):
        for name in names:  # all that may come of it
            check_output(target / f"{name}.wav", song_path, force)
        report("Reading", 0.0)
        song = replace(read_logged(song_path, stream=stream), subtype="FLOAT")
        report("Separating", 0.0)
        stems = stems_of(song, on_progress=partial(report, "Separating"))
        check_stems(song, settings.changes)
        if "voice" not in stems:
            logger.warning("nobody is heard to sing: there is no voice.wav")
        sounds = [Sound(_blocks(stem, song), song.frames, song, f" ({name})", MAKER) for name, stem in stems.items()]
        if mix:
            plan = level_plan(_as_it_is(song, settings), song, report)
            sounds.append(Sound(render(plan, song), song.frames, song, f" ({MIX})", MAKER))
        paths = [target / f"{name}.wav" for name in (*stems, *names[len(STEMS) :])]
        write_together(paths, sounds, frames=len(paths) * song.frames, force=force, report=report)
        if force:
            for name in set(STEMS) - set(stems):  # another song's, which would stand for a stem of this one
                (target / f"{name}.wav").unlink(missing_ok=True)
    return paths


def render_stems(
    plan_path: str | Path,
    files: Sequence[str | Path],
    folder: str | Path | None = None,
    *,
    mix: Any = None,
    song_path: str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Plan, list[Path]]:
    """Play a plan on files of its song's stems or tracks, cut where the song is; returns the plan and what is written.

    They are aligned to the sample, and add up to the output where the files add up to the song: wav and aiff are in
    floating point. What the plan changes of stems is changed in files that are called as they are.

    Args:
        plan_path: What `extend_file` wrote.
        files: As long as the song, at its rate and with as many channels; a folder stands for the stems in it.
        folder: Where the outputs go, called as the files are (wav where their format is not written); made where it is
            missing. Without it `<stem>-stems` beside the plan.
        mix: As in `musex.extend`, in place of the plan's own; the levels are as given, however loud that is.
        song_path: As in `render_file`.
        force: Overwrite existing files.
        bitrate: As in `extend_file`.
        on_progress: As in `extend_file`.

    Raises:
        MusexError: The plan is damaged, the song is missing or another one, a file does not fit it, or cannot be
            written: then none is.
    """
    plan = with_mix(read_plan(plan_path), mix)
    report = on_progress or ignore_progress
    found = Path(song_path) if song_path is not None else find_song(plan, Path(plan_path))
    check_song(found)
    sources = [source for path in map(Path, files) for source in (files_in(path) if path.is_dir() else [path])]
    for source in sources:
        check_song(source)
    target = _folder_of(folder) if folder is not None else name_beside(plan_path, "-stems")
    outputs = _name_outputs(sources, target)
    plan = _as_changed(plan, sources)
    if mix and not plan.settings.changes and Settings(mix=mix).changes:
        raise MusexError("`mix=` is for stems, and no file is called as those are that it changes")
    with made_folder(target):
        for output in outputs:
            for source in (found, *sources):
                check_output(output, source, force, bitrate=bitrate)
        report("Reading", 0.0)
        song = read_logged(found, stream=plan.song.stream)
        check_plan(plan, song)
        write_together(
            outputs,
            (_play(plan, song, source, output.suffix.lower()) for source, output in zip(sources, outputs, strict=True)),
            frames=len(outputs) * plan.frames,
            force=force,
            bitrate=bitrate,
            report=report,
        )
    return plan, outputs


def _folder_of(folder: str | Path) -> Path:
    """The folder for stems; raises AudioError where a file or a stream is named."""
    target = Path(folder)
    if str(target) == "-":
        raise AudioError("stems are several files and cannot be streamed: name a folder for them")
    if target.suffix.lower() in FORMATS and not target.exists():
        raise AudioError(f"{target} names one file, and stems are several: name a folder, such as {target.stem}")
    return target


def _as_it_is(song: Song, settings: Settings) -> Plan:
    """The song from its beginning to its end, with a mix."""
    about, spans = describe_song(song), (Span(0, song.frames),)
    return Plan(song.seconds, about, PlanModel("", ""), PlanSettings.of(settings, song.seconds), spans, ())


def _name_outputs(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Where the output of each file goes; raises AudioError if two would be one."""
    outputs: list[Path] = []
    for source in sources:
        suffix = RELATED_SUFFIXES.get(source.suffix.lower(), source.suffix)
        output = folder / f"{source.stem}{suffix if suffix.lower() in FORMATS else '.wav'}"
        if output in outputs:
            other = sources[outputs.index(output)]
            raise AudioError(f"{other} and {source} would both become {output}: rename one")
        outputs.append(output)
    return outputs


def _as_changed(plan: Plan, sources: Sequence[Path]) -> Plan:
    """A plan of what it changes of the stems that there are files of; the log tells what it does not change then."""
    names = {stem_of(source) for source in sources}
    left = [name for name in changed_stems(plan) if name not in names]
    if plan.swaps and "drums" not in names:
        left.append("drums")
    if left:
        stems = " and ".join(dict.fromkeys(left))
        logger.warning(f"what the plan changes of {stems} is left out: there is no file of that name")
    mix = tuple((stem, levels) for stem, levels in plan.settings.mix if stem in names)
    plan = replace(
        plan,
        turns=tuple(turn for turn in plan.turns if turn.stem in names),
        swaps=plan.swaps if "drums" in names else (),
        settings=replace(plan.settings, mix=mix),
    )
    return plan if plan.changes_stems else replace(plan, gain_db=0.0)


def _play(plan: Plan, song: Song, source: Path, suffix: str) -> Sound:
    """A plan played on a file of one stem or track; raises MusexError where it does not fit the song."""
    stem, floating = read_stem(source, song), FORMATS[suffix].codec == "pcm"
    stem = replace(stem, subtype="FLOAT" if floating else "PCM_24")
    blocks = render_stem(plan, song, stem.samples, stem_of(source))
    if FORMATS[suffix].lossless and not floating:
        blocks = _told_of_peaks(blocks, source)
    title = title_of(plan.song.frames, plan.frames, song.sample_rate, plan.settings.ending)
    maker = made_by(plan.model.name, plan.model.sha256, plan.settings.seed)
    return Sound(blocks, plan.frames, stem, title, maker, plan.loop)


def _told_of_peaks(blocks: Iterable[Samples], source: Path) -> Iterator[Samples]:
    """The same blocks; the log tells afterwards if whole numbers cannot hold them."""
    peak = 0.0
    for block in blocks:
        peak = max(peak, float(np.abs(block).max()))
        yield block
    if peak > FULL_SCALE:
        logger.warning(
            f"{source} peaks {to_db(peak):.1f} dB above full scale in the output, which is cut off: wav holds it"
        )


def _blocks(samples: Samples, song: Song) -> Iterator[Samples]:
    """Blocks of a second."""
    for start in range(0, len(samples), song.sample_rate):
        yield samples[start : start + song.sample_rate]
