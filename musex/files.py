"""The public verbs from file to file: read, plan, render and write in one call."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Unpack

from musex.audio.file_names import default_output, find_song
from musex.audio.formats import FORMATS, check_size
from musex.audio.inputs import SongFile, read_logged
from musex.audio.reading import check_song
from musex.audio.song import Samples, Song
from musex.audio.writing import check_output, pipe_song
from musex.config import FEATURES
from musex.errors import MusexError
from musex.exports.formats import check_exports, save_exports
from musex.extension import model_of
from musex.planning.edits import Edit, edit_plan
from musex.planning.measures import measure_plan
from musex.planning.planner import Planner
from musex.planning.variations import Barred, plan_apart
from musex.plans import Plan, read_plan
from musex.prediction.model import Model, WaveformModel, load_model
from musex.rendering.generative import continue_song
from musex.rendering.levels import level_plan, separate_for, with_mix
from musex.rendering.outputs import counted, made_by, title_of, write_output, write_plan
from musex.rendering.stems import changed_stems
from musex.rendering.stitch import BegunAnewError, check_plan, render
from musex.rendering.streaming import is_streamed_alike, stream_plan, stream_song
from musex.separation.separated import give_stems
from musex.separation.stem_folders import read_stems
from musex.settings import Options, Settings, check_length
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import check_side_file, save_text

logger = logging.getLogger(__name__)


def extend_file(
    song_path: str | Path,
    output: str | Path,
    *,
    seconds: float | None = None,
    model: Model | WaveformModel | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    plan_path: str | Path | None = None,
    stream: int | None = None,
    stems: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Plan:
    """Make a song last `seconds`, from file to file, in memory that does not grow with the result.

    What the user should know about the song or the output's format goes to the log as warnings.

    Args:
        song_path: The song.
        output: The file to write; its ending chooses the format.
        seconds: How long the result shall be, as in `musex.extend`: more than 0, at most 24 h.
        model: As in `musex.extend`.
        force: Overwrite an existing output and plan.
        bitrate: For lossy formats, such as "256k", or a quality: "small", "good" or "best".
        plan_path: Where to keep the plan, for `render_file`; generative models have none.
        stream: As in `musex.read_song`.
        stems: The folder that has the song's stems, as `separate_file` writes them; without it they are separated
            where they are needed.
        on_progress: Called with what is being done and how much of it is done.
        options: As in `musex.extend`.

    Raises:
        MusexError: As `extend`; or the output cannot be written. Nothing is left behind then, and an existing file
            is as it was.
    """
    made = vary_file(
        SongFile(song_path, stream),
        [Path(output)],
        seconds=seconds,
        model=model,
        force=force,
        bitrate=bitrate,
        plan_paths=[] if plan_path is None else [plan_path],
        stems=stems,
        on_progress=on_progress,
        **options,
    )
    return made[0]


def vary_file(
    source: SongFile,
    outputs: Sequence[str | Path],
    *,
    seconds: float | None,
    model: Model | WaveformModel | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    plan_paths: Sequence[str | Path] = (),
    stems: str | Path | None = None,
    edit: Edit | None = None,
    done: Collection[Path] = (),
    on_written: Callable[[Path], None] | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> list[Plan]:
    """Make as many different versions of a song as there are outputs, as `extend_file` makes one; returns their plans.

    The seed rises by one from each to the next, and each leaves aside the jumps of those before it. Outputs and plans
    that are `done` are there already as they would be written: they stay, and a plan among them is read. `on_written`
    is called with each other as soon as it is in its place. With an `edit` its plan is changed, and `options` are its
    settings that are replaced.
    """
    chosen: dict[str, Any] = {**(edit.settings if edit else {}), **options}
    settings = Settings(**chosen)
    check_length(seconds, settings)
    check_song(source.path)
    left = [path for path in map(Path, outputs) if path not in done]
    for output in left:
        check_output(output, source.path, force, bitrate=bitrate)
    for kept in map(Path, plan_paths):
        if kept not in done:
            check_side_file(kept, force, source.path, *outputs)
    report = on_progress or ignore_progress
    report("Reading", 0.0)
    song = source.song
    for output in left:
        frames = song.frames if seconds is None else round(seconds * song.sample_rate)
        check_size(FORMATS[output.suffix.lower()], song, frames, output)
    loaded = model_of(model)
    if isinstance(loaded, WaveformModel):
        if plan_paths or len(outputs) > 1:
            raise MusexError(f"{loaded.name} predicts the waveform itself: there is no plan to keep, and one version")
        plan, blocks = continue_song(song, loaded, seconds=seconds, settings=settings)
        _write_plan(plan, blocks, song, outputs[0], force=force, bitrate=bitrate, report=report)
        (on_written or _ignore_file)(Path(outputs[0]))
        return [plan]
    if stems is not None:
        give_stems(song, read_stems(stems, song))
    separate_for(settings.changes, song, report, always=settings.arrange != "off")
    if edit is not None:
        check_plan(edit.plan, song)
    maker = _Maker(song, loaded, seconds, edit, force, bitrate, report, on_written or _ignore_file)
    plans: list[Plan] = []
    for number, output in enumerate(map(Path, outputs)):
        began = time.monotonic()
        own = replace(settings, seed=settings.seed + number)
        path = Path(plan_paths[number]) if plan_paths else None
        target = output if output in left else None
        if path is not None and path in done:
            plan = read_plan(path)
            if target is not None:
                maker.render(plan, target)
        else:
            plan = maker.make(own, plans, target)
            if path is not None:
                save_text(plan.to_json() + "\n", path, force=force)
                maker.on_written(path)
        spent = time.monotonic() - began
        logger.info(f"planned and written in {spent:.2f} s, {plan.seconds / max(spent, 1e-3):.0f} × real time")
        plans.append(plan)
    return plans


def stream_file(
    song_path: str | Path,
    handle: IO[bytes],
    *,
    seconds: float | None,
    suffix: str = ".wav",
    model: Model | WaveformModel | str | Path | None = None,
    bitrate: str | None = None,
    stream: int | None = None,
    stems: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> None:
    """Make a song last `seconds` into a pipe, each part as soon as it is predicted; see `musex.rendering.streaming`.

    Raises:
        MusexError: As `extend`; the format cannot be used, or the ending is "loop".
        BrokenPipeError: Whoever reads has closed the pipe.
    """
    report = on_progress or ignore_progress
    report("Reading", 0.0)
    song = read_logged(song_path, stream=stream)
    if stems is not None:
        give_stems(song, read_stems(stems, song))
    blocks = stream_song(song, model_of(model), seconds=seconds, **options)
    frames = round((seconds or song.seconds) * song.sample_rate)
    for note in pipe_song(handle, counted(blocks, frames, report), song=song, suffix=suffix, bitrate=bitrate):
        logger.warning(note)


def render_file(
    plan_path: str | Path,
    output: str | Path | None = None,
    *,
    song_path: str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    mix: Any = None,
    measured: bool = False,
    exports: Sequence[str | Path] = (),
    on_progress: OnProgress | None = None,
) -> tuple[Plan, Path]:
    """Render a plan file again; returns the plan and the file written.

    Args:
        plan_path: What `extend_file` wrote.
        output: As in `extend_file`; without it the song's default output.
        song_path: Where the song is now; without it where the plan says, from here or from the plan's folder.
        force: As in `extend_file`.
        bitrate: As in `extend_file`.
        mix: As in `musex.extend`, in place of the plan's own.
        measured: Return the plan with the measures that its seams have in the song, not with those it tells.
        exports: Where its cuts go, too, as `musex.export_plan` writes them.
        on_progress: As in `extend_file`.

    Raises:
        MusexError: The plan is damaged, the song is missing or another one, or the output cannot be written.
    """
    plan = with_mix(read_plan(plan_path), mix)
    found = Path(song_path) if song_path is not None else find_song(plan, Path(plan_path))
    target = Path(output) if output is not None else default_output(found)
    check_output(target, found, force, bitrate=bitrate)
    check_exports(exports, force, found, target, plan_path)
    report = on_progress or ignore_progress
    report("Reading", 0.0)
    song = read_logged(found, stream=plan.song.stream)
    check_plan(plan, song)
    separate_for(changed_stems(plan), song, report)
    if mix is not None:
        plan = level_plan(plan, song, report)
    _write_plan(plan, render(plan, song), song, target, force=force, bitrate=bitrate, report=report)
    if exports:
        save_exports(plan, song, exports, report, force=force)
    return measure_plan(plan, song, load_model()) if measured else plan, target


def _ignore_file(path: Path) -> None:
    """Called where nobody asked what was written."""


@dataclass(frozen=True)
class _Maker:
    """What all versions of a song have in common."""

    song: Song
    model: Model
    seconds: float | None
    edit: Edit | None
    force: bool
    bitrate: str | None
    report: OnProgress
    on_written: Callable[[Path], None]

    def make(self, settings: Settings, unlike: Sequence[Plan], output: Path | None) -> Plan:
        """Plan a version and write it, at the same time where it can be streamed; it is only planned without output."""
        song, model = self.song, self.model
        self.report("Predicting", 0.0)
        if self.edit is not None:
            made = edit_plan(
                song,
                model,
                self.edit,
                seconds=self.seconds,
                on_progress=partial(self.report, "Predicting"),
                **vars(settings),
            )
            return self.finish(made, output)
        if unlike and self.seconds is not None and (plan := self.vary(settings, unlike)):
            return self.finish(plan, output)
        planner = Planner(song, model, seconds=self.seconds, settings=settings, unlike=unlike)
        if output is not None and is_streamed_alike(planner):
            try:
                write_output(
                    _predicted(planner, self.report),
                    song,
                    output,
                    force=self.force,
                    bitrate=self.bitrate,
                    title=title_of(song.frames, planner.request.target, song.sample_rate, settings.ending),
                    encoded_by=made_by(model.name, model.sha256, settings.seed),
                    untouched=lambda: planner.drafted().untouched,
                )
                self.on_written(output)
                self.report("Predicting", 1.0)
                return planner.drafted()
            except BegunAnewError:
                logger.info("what was written is no longer planned: planning first")
        return self.finish(planner.finish(partial(self.report, "Predicting")), output)

    def vary(self, settings: Settings, found: Sequence[Plan]) -> Plan | None:
        """A plan that sounds differently from those found; where there is none, that is told."""

        def planner(barred: Barred = ()) -> Planner:
            wishes = replace(settings, forbid=(*settings.forbid, *barred))
            return Planner(self.song, self.model, seconds=self.seconds, settings=wishes, unlike=found)

        bar_seconds = planner().request.bar_steps / FEATURES.steps_per_second
        tell = partial(self.report, "Predicting")
        plan = plan_apart(lambda barred: planner(barred).finish(), found, bar_seconds=bar_seconds, on_progress=tell)
        if plan is None:
            logger.warning(
                f"version {len(found) + 1} sounds like one before it: the song has no other way through it in this "
                "duration; ask for fewer versions, another duration or more --novelty"
            )
        return plan

    def finish(self, plan: Plan, output: Path | None) -> Plan:
        """Find a plan's gain and render it, if there is an output; the plan."""
        plan = level_plan(plan, self.song, self.report)
        if output is not None:
            self.render(plan, output)
        return plan

    def render(self, plan: Plan, output: Path) -> None:
        _write_plan(
            plan, render(plan, self.song), self.song, output, force=self.force, bitrate=self.bitrate, report=self.report
        )
        self.on_written(output)


def _predicted(planner: Planner, report: OnProgress) -> Iterator[Samples]:
    for block in stream_plan(planner):
        yield block
        report("Predicting", planner.done)


def _write_plan(
    plan: Plan,
    blocks: Iterable[Samples],
    song: Song,
    output: str | Path,
    *,
    force: bool,
    bitrate: str | None,
    report: OnProgress,
) -> None:
    frames = round(plan.seconds * song.sample_rate)
    write_plan(plan, counted(blocks, frames, report), song, output, force=force, bitrate=bitrate)
