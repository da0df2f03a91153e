"""A longer version of a song: read, plan, render and write in one call, for arrays and for files."""

import logging
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Unpack

import numpy as np

from musex import __version__
from musex.audio import Samples, Song, read_song, song_from_array, song_from_segment, to_segment
from musex.chain import plan_song
from musex.config import LONGEST_OUTPUT_SECONDS
from musex.errors import AudioError, DurationError, MusexError
from musex.generative import continue_song
from musex.model import Model, WaveformModel, load_model
from musex.plans import Plan
from musex.settings import Options, Settings
from musex.stitch import render
from musex.writing import WRITABLE, check_output, pipe_song, write_song

if TYPE_CHECKING:
    from pydub import AudioSegment

logger = logging.getLogger(__name__)

OnProgress = Callable[[str, float], None]  # what is being done, and how much of it is done, 0 to 1


@dataclass(frozen=True, eq=False)
class Extension:
    """A song made longer (or shorter).

    Attributes:
        samples: float32, (frames, channels), full scale at ±1.
        sample_rate: Hz, the song's own.
        plan: The spans of the song that are played, and the seams between them.
        subtype: The sample format of the song: "PCM_16", "PCM_24" or "FLOAT".
    """

    samples: Samples
    sample_rate: int
    plan: Plan
    subtype: str = "PCM_16"

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate

    def _repr_html_(self) -> str:
        """A player and a picture of the path through the song, for notebooks."""
        from musex.report import compose_cell

        return compose_cell(self)

    @property
    def segment(self) -> "AudioSegment":
        """The same as a pydub segment, of 16 bits (32 where the song had more than 16)."""
        return to_segment(self.samples, self.sample_rate, sample_width=2 if self.subtype == "PCM_16" else 4)


def extend(
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    seconds: float,
    sample_rate: int | None = None,
    model: Model | WaveformModel | str | Path | None = None,
    **options: Unpack[Options],
) -> Extension:
    """Make a song last `seconds`, in memory.

    Args:
        song: A file's path, a `Song`, a pydub segment, or an array (frames,) or (frames, channels) with its rate.
        seconds: How long the result shall be: more than 0, at most 24 h.
        sample_rate: Hz; for arrays, and only for them.
        model: A loaded model, or the file or folder of one; without it the packaged model. After the end of the song
            a generative one, `paper` or `lstm`, plays what it predicts; see `musex.generative`.
        options: `seed`, `ending`, `avoid` and more; see `musex.settings.Settings`.

    Raises:
        MusexError: The song, the duration or the model cannot be used; the message says why.
    """
    check_seconds(seconds)
    source = _song_of(song, sample_rate)
    loaded = _model_of(model)
    if isinstance(loaded, WaveformModel):
        plan, blocks = continue_song(source, loaded, seconds=seconds, settings=Settings(**options))
    else:
        plan = plan_song(source, loaded, seconds=seconds, **options)
        blocks = render(plan, source)
    samples = np.empty((round(plan.seconds * source.sample_rate), source.channels), np.float32)
    filled = 0
    for block in blocks:
        samples[filled : filled + len(block)] = block
        filled += len(block)
    return Extension(samples, source.sample_rate, plan, source.subtype)


def extend_file(
    song_path: str | Path,
    output: str | Path,
    *,
    seconds: float,
    model: Model | WaveformModel | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    plan_path: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Plan:
    """Make a song last `seconds`, from file to file, in memory that does not grow with the result.

    What the user should know about the song or the output's format goes to the log as warnings.

    Args:
        song_path: The song.
        output: The file to write; its ending chooses the format.
        seconds: How long the result shall be: more than 0, at most 24 h.
        model: As in `extend`.
        force: Overwrite an existing output and plan.
        bitrate: For lossy formats, such as "256k".
        plan_path: Where to keep the plan, for `render_file`; generative models have none.
        on_progress: Called with what is being done and how much of it is done.
        options: As in `extend`.

    Raises:
        MusexError: As `extend`; or the output cannot be written. Nothing is left behind then, and an existing file
            is as it was.
    """
    made = vary_file(
        song_path,
        [Path(output)],
        seconds=seconds,
        model=model,
        force=force,
        bitrate=bitrate,
        plan_paths=[] if plan_path is None else [plan_path],
        on_progress=on_progress,
        **options,
    )
    return made[0]


def vary_file(
    song_path: str | Path,
    outputs: Sequence[str | Path],
    *,
    seconds: float,
    model: Model | WaveformModel | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    plan_paths: Sequence[str | Path] = (),
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> list[Plan]:
    """Make as many different versions of a song as there are outputs, as `extend_file` makes one; returns their plans.

    The seed rises by one from each to the next, and each leaves aside the jumps of those before it.
    """
    check_seconds(seconds)
    settings = Settings(**options)
    for output in outputs:
        check_output(output, song_path, force)
    for path in plan_paths:
        check_side_file(path, force, song_path, *outputs)
    report = on_progress or _ignore
    report("Reading", 0.0)
    song = _read(song_path)
    loaded = _model_of(model)
    if isinstance(loaded, WaveformModel):
        if plan_paths or len(outputs) > 1:
            raise MusexError(f"{loaded.name} predicts the waveform itself: there is no plan to keep, and one version")
        plan, blocks = continue_song(song, loaded, seconds=seconds, settings=settings)
        _write(plan, blocks, song, outputs[0], force, bitrate, report)
        return [plan]
    plans: list[Plan] = []
    for number, output in enumerate(outputs):
        options["seed"] = settings.seed + number
        began = time.monotonic()
        report("Predicting", 0.0)
        plan = plan_song(
            song,
            loaded,
            seconds=seconds,
            unlike=plans,
            on_progress=lambda done: report("Predicting", done),
            **options,
        )
        planned = time.monotonic()
        _write(plan, render(plan, song), song, output, force, bitrate, report)
        spent = f"planned in {planned - began:.2f} s, rendered and written in {time.monotonic() - planned:.2f} s"
        logger.info(f"{spent}, {plan.seconds / max(time.monotonic() - began, 1e-3):.0f} × real time")
        if plan_paths:
            save_text(plan.to_json() + "\n", Path(plan_paths[number]))
        plans.append(plan)
    return plans


def stream_file(
    song_path: str | Path,
    handle: IO[bytes],
    *,
    seconds: float,
    suffix: str = ".wav",
    model: Model | WaveformModel | str | Path | None = None,
    bitrate: str | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> None:
    """Make a song last `seconds` into a pipe, each part as soon as it is predicted; see `musex.streaming`.

    Raises:
        MusexError: As `extend`; the format cannot be used, or the ending is "loop".
        BrokenPipeError: Whoever reads has closed the pipe.
    """
    from musex.streaming import stream_song

    report = on_progress or _ignore
    report("Reading", 0.0)
    song = _read(song_path)
    blocks = stream_song(song, _model_of(model), seconds=seconds, **options)
    frames = round(seconds * song.sample_rate)
    for note in pipe_song(handle, _counted(blocks, frames, report), song=song, suffix=suffix, bitrate=bitrate):
        logger.warning(note)


def number_path(path: str | Path, number: int) -> Path:
    """`<stem>-<number>.<ext>`: where the variation of that number goes."""
    path = Path(path)
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def render_file(
    plan_path: str | Path,
    output: str | Path | None = None,
    *,
    song_path: str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Plan, Path]:
    """Render a plan file again; returns the plan and the file written.

    Args:
        plan_path: What `extend_file` wrote.
        output: As in `extend_file`; without it the song's default output.
        song_path: Where the song is now; without it where the plan says, from here or from the plan's folder.
        force: As in `extend_file`.
        bitrate: As in `extend_file`.
        on_progress: As in `extend_file`.

    Raises:
        MusexError: The plan is damaged, the song is missing or another one, or the output cannot be written.
    """
    plan = read_plan(plan_path)
    found = Path(song_path) if song_path is not None else find_song(plan, Path(plan_path))
    target = Path(output) if output is not None else default_output(found)
    check_output(target, found, force)
    report = on_progress or _ignore
    report("Reading", 0.0)
    song = _read(found)
    _write(plan, render(plan, song), song, target, force, bitrate, report)
    return plan, target


def check_seconds(seconds: Any) -> float:
    """Return the duration if it is one; raises DurationError for zero, negative, not finite, over 24 h."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or math.isnan(seconds):
        raise DurationError(f"a duration of {seconds!r} is not a number")
    if seconds <= 0:
        raise DurationError(f"a duration of {seconds:g} s cannot be reached: it must be more than 0")
    if seconds > LONGEST_OUTPUT_SECONDS:
        raise DurationError(f"a duration of {seconds:g} s is too long: {LONGEST_OUTPUT_SECONDS / 3600:g} h is the most")
    return float(seconds)


def default_output(song_path: str | Path) -> Path:
    """`<stem>-extended.<ext>` beside the song; mp3 where the song's own format cannot be written."""
    path = Path(song_path)
    suffix = path.suffix if path.suffix.lower() in WRITABLE else ".mp3"
    return path.with_name(f"{path.stem}-extended{suffix}")


def default_page(output: str | Path) -> Path:
    """`<stem>-report.html` beside an output or a plan."""
    path = Path(output)
    return path.with_name(f"{path.stem}-report.html")


def read_plan(path: str | Path) -> Plan:
    """Read a plan file; raises MusexError if it is missing or damaged."""
    try:
        plan = Plan.from_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MusexError(f"no such plan: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise MusexError(f"{path} is not a plan that can be read: {error}") from error
    places = [value for span in plan.spans for value in (span.start, span.stop)]
    places += [value for seam in plan.seams for value in (seam.at, seam.leave, seam.enter, seam.fade)]
    if not all(type(value) is int for value in places) or not all(
        isinstance(part, dict) for part in (plan.song, plan.model, plan.settings)
    ):
        raise MusexError(f"{path} is not a plan that can be read: it is damaged")
    return plan


def check_side_file(path: str | Path, force: bool, *others: str | Path) -> None:
    """Refuse early to write a plan or a figure where it cannot be: raises MusexError."""
    path = Path(path)
    folder = Path(os.path.realpath(path)).parent
    if path.is_dir():
        raise MusexError(f"{path} is a folder: name the file to write")
    if not folder.is_dir():
        raise MusexError(f"cannot write {path}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MusexError(f"cannot write {path}: the folder {folder} is not writable")
    if any(os.path.realpath(path) == os.path.realpath(other) for other in others):
        raise MusexError(f"{path} is used twice: choose another name")
    if path.exists() and not force:
        raise MusexError(f"{path} exists already: choose another name, or overwrite it with --force")


def save_text(text: str, path: Path) -> None:
    """Write a text file whole or not at all."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".musex-{secrets.token_hex(8)}{path.suffix}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise MusexError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _song_of(song: Any, sample_rate: int | None) -> Song:
    if isinstance(song, np.ndarray):
        if sample_rate is None:
            raise AudioError("an array does not say its sample rate: give sample_rate=, such as 44100")
        return song_from_array(song, sample_rate)
    if sample_rate is not None:
        raise AudioError("sample_rate is for arrays: files, songs and segments know their own")
    if isinstance(song, Song):
        return song
    if isinstance(song, str | os.PathLike):
        return _read(os.fspath(song))
    pydub = sys.modules.get("pydub")  # whoever holds a segment has imported it
    if pydub is not None and isinstance(song, pydub.AudioSegment):
        return song_from_segment(song)
    raise AudioError(f"a {type(song).__name__} is not a song: give a path, a Song, an AudioSegment or an array")


def _model_of(model: Model | WaveformModel | str | Path | None) -> Model | WaveformModel:
    return model if isinstance(model, Model | WaveformModel) else load_model(model)


def _read(path: str | Path) -> Song:
    began = time.monotonic()
    song = read_song(path)
    kind = f"{song.seconds:.1f} s, {song.sample_rate} Hz, {song.channels} channels"
    logger.info(f"read {path} ({kind}) in {time.monotonic() - began:.2f} s")
    for warning in song.warnings:
        logger.warning(warning)
    return song


def find_song(plan: Plan, plan_path: Path) -> Path:
    """Where the song of a plan file is, from here or from the plan's folder; MusexError if it came from no file."""
    name = plan.song.get("path")
    if not isinstance(name, str):
        raise MusexError(f"{plan_path} was made from an array: name the song with --song")
    path = Path(name)
    beside = plan_path.parent / path
    return beside if not path.exists() and beside.exists() else path


def _write(
    plan: Plan,
    blocks: Iterable[Samples],
    song: Song,
    output: str | Path,
    force: bool,
    bitrate: str | None,
    report: OnProgress,
) -> None:
    frames = round(plan.seconds * song.sample_rate)
    model, seed = plan.model, plan.settings.get("seed")
    notes = write_song(
        output,
        _counted(blocks, frames, report),
        song=song,
        force=force,
        title_suffix=" (extended)",
        encoded_by=f"musex {__version__}, {model.get('name')} {str(model.get('sha256'))[:12]}, seed {seed}",
        bitrate=bitrate,
        loop_frames=frames if plan.settings.get("ending") == "loop" else None,
    )
    for note in notes:
        logger.warning(note)


def _counted(blocks: Iterable[Samples], frames: int, report: OnProgress) -> Iterator[Samples]:
    written = 0
    for block in blocks:
        yield block
        written += len(block)
        report("Writing", min(1.0, written / frames))


def _ignore(stage: str, done: float) -> None:
    pass
