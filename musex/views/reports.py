"""A page to listen on: one HTML file with the output, its seams, the path through the song and what it was made with.

Everything is inside the file, sound and scripts included: it works from the file system, without a network.
"""

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musex import __version__
from musex.analysis.moods import asked
from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.file_names import default_page, find_song
from musex.audio.inputs import SongFile, song_of
from musex.audio.song import Samples, Song
from musex.audio.writing import write_song
from musex.config import FEATURES
from musex.errors import MusexError
from musex.plans import Plan, read_plan
from musex.rendering.levels import to_db
from musex.rendering.stems import changed_stems, trace_stem
from musex.rendering.stitch import check_plan, render
from musex.seams.bounds import MEASURES, exceeded, format_measure, passes, shown_measures
from musex.settings import STEMS
from musex.system.arrays import Array
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import check_side_file, save_text, temporary_folder
from musex.system.wording import format_count, format_time

if TYPE_CHECKING:
    from pydub import AudioSegment


PEAKS = 2000  # of the waveform that is drawn
POINTS = 1000  # of a curve, at most
AUDIO_BYTES = 20_000_000  # of the sound inside a page; longer outputs get a lower bit rate
HIGHEST_KBPS, LOWEST_KBPS = 112, 32  # of the sound inside a page
WIDTH, MARGIN, ARC_HEIGHT, BASE = 1000, 10, 200, 215  # of the picture of the path; charts have its width
ROW_HEIGHT = 32  # of a stem in the picture of turns
STRENGTH_DB = 12.0  # below a stem's own level at which it is drawn faintest
COLUMNS_DRAWN = 2400  # of a spectrogram, at most


def report_file(
    plan_path: str | Path,
    page: str | Path | None = None,
    *,
    song_path: str | Path | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Path:
    """Make the page of a plan file; returns where it is.

    Args:
        plan_path: What `extend_file` wrote.
        page: The file to write; without it `<plan>-report.html` beside the plan.
        song_path: Where the song is now; without it where the plan says.
        force: Overwrite an existing page.
        on_progress: Called with what is being done and how much of it is done.

    Raises:
        MusexError: The plan is damaged, the song is missing or another one, or the page cannot be written.
    """
    plan = read_plan(plan_path)
    song = Path(song_path) if song_path is not None else find_song(plan, Path(plan_path))
    target = Path(page) if page is not None else default_page(plan_path)
    check_side_file(target, force, plan_path, song)
    save_reports([plan], SongFile(song, plan.song.stream), [target], on_progress, force=force)
    return target


def save_reports(
    plans: Sequence[Plan],
    song: SongFile,
    pages: Sequence[Path],
    on_progress: OnProgress | None = None,
    *,
    force: bool = False,
    on_written: Callable[[Path], None] | None = None,
) -> None:
    """Write the page of each plan of a song, whole or not at all; plans are as `extend_file` returns them.

    `on_written` is called with each page as soon as it is in its place.
    """
    for number, (plan, page) in enumerate(zip(plans, pages, strict=True)):

        def tell(stage: str, done: float, before: int = number) -> None:
            if on_progress:
                on_progress(stage, (before + done) / len(pages))

        save_text(report(plan, song.song, on_progress=tell), page, force=force)
        if on_written:
            on_written(page)


def report(
    plan: Plan,
    song: "Song | str | Path | np.ndarray[Any, Any] | AudioSegment",
    *,
    sample_rate: int | None = None,
    on_progress: OnProgress | None = None,
) -> str:
    """The page of a plan, as HTML that needs nothing else: one file, saved in UTF-8.

    Args:
        plan: What is played, such as `Extension.plan`.
        song: Its song, as in `musex.extend`.
        sample_rate: As in `musex.extend`.
        on_progress: Called with what is being done and how much of it is done.

    Raises:
        MusexError: The song is not the plan's, the output is too long for a page, or a generative model made it.
    """
    page_kbps(plan.seconds)
    song = song_of(song, sample_rate)
    if plan.frames != round(plan.seconds * song.sample_rate):
        raise MusexError(f"{plan.model.name} predicts the waveform itself: there is no path to report on")
    check_plan(plan, song)
    analysis = analyse_song(song)
    steps = np.minimum(plan.steps(1.0 / FEATURES.steps_per_second), analysis.steps - 1)
    peaks, audio = _sound(plan, song, on_progress or ignore_progress)
    rate = plan.song.sample_rate
    begins = np.cumsum([0, *(span.frames for span in plan.spans)])[:-1]
    data = {
        "duration": plan.seconds,
        "song": song.seconds,
        "seams": [seam.at / rate for seam in plan.seams],
        "spans": [[int(at) / rate, span.start / rate] for at, span in zip(begins, plan.spans, strict=True)],
        "peaks": peaks,
        "audio": base64.b64encode(audio).decode("ascii"),
    }
    shown = _draw(
        "report.html",
        version=__version__,
        title=song.path.name if song.path else "Untitled",
        summary=_summary(plan, song.seconds),
        duration=f"{plan.seconds:.1f}",
        duration_text=format_time(plan.seconds),
        path=describe_path(plan, song.seconds),
        turns=describe_turns(plan),
        charts=_charts(plan, analysis, steps),
        times=[(f"{100 * tick / plan.seconds:.2f}", format_time(tick)[:-2]) for tick in _ticks(plan.seconds, 5)],
        measures=shown_measures(plan.seams).values(),
        seams=_seam_rows(plan),
        passes=passes(plan),
        song_picture=_spectrogram(analysis.columns.log_mel),
        output_picture=_spectrogram(analysis.columns.log_mel[steps]),
        settings=_settings(plan),
        plan=plan.to_json(),
        data=data,
    )
    return shown.encode("utf-8", "replace").decode("utf-8")  # a file's name may hold what is not Unicode


def compose_cell(plan: Plan, samples: Samples, sample_rate: int) -> str:
    """A player of what a plan sounds like, (frames, channels), and its path through the song, for a notebook's cell."""
    sound = Song(samples, sample_rate)
    audio = _encode([samples], sound, sound.seconds)
    seconds = plan.song.frames / plan.song.sample_rate
    return _draw(
        "cell.html",
        audio=base64.b64encode(audio).decode("ascii"),
        path=describe_path(plan, seconds),
        summary=_summary(plan, seconds),
    )


def _draw(name: str, **shown: Any) -> str:
    """A template of `page/`, filled in; whatever is shown is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # only a page needs it, and it takes time to import
    from markupsafe import Markup

    def read(name: str) -> str:
        return (files("musex.views") / "page" / name).read_text("utf-8")

    page = Environment(loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page.globals |= {"file": lambda name: Markup(read(name)), "width": WIDTH, "margin": MARGIN, "base": BASE}
    return page.get_template(name).render(shown)


def describe_path(plan: Plan, seconds: float) -> dict[str, Any]:
    """What `path.svg` draws: of the path through a song of `seconds` each jump, and how much each part is heard."""
    rate, scale = plan.song.sample_rate, (WIDTH - 2 * MARGIN) / max(seconds, 1e-9)
    heard = np.zeros(round((WIDTH - 2 * MARGIN) / 5))
    edges = np.linspace(0.0, seconds, len(heard) + 1)
    for span in plan.spans:
        overlap = np.minimum(edges[1:], span.stop / rate) - np.maximum(edges[:-1], span.start / rate)
        heard += np.clip(overlap, 0.0, None) * scale / 5
    arcs = []
    for seam in plan.seams:
        start, stop = (MARGIN + scale * place / rate for place in (seam.leave, seam.enter))
        across = abs(stop - start)
        arcs.append(
            {
                "start": f"{start:.1f}",
                "stop": f"{stop:.1f}",
                "across": f"{across / 2:.1f}",
                "height": f"{24 + (ARC_HEIGHT - 24) * across / WIDTH:.1f}",
                "ahead": stop > start,
            }
        )
    highest = max([0.0, *(abs(seam.leave - seam.enter) * scale / rate for seam in plan.seams)])
    return {
        "label": f"{len(plan.seams)} jumps within a song of {format_time(seconds)}",
        "top": round((ARC_HEIGHT - 24) * (1.0 - highest / WIDTH)),
        "heard": [f"{min(1.0, count / max(4.0, float(heard.max()))):.2f}" for count in heard],
        "arcs": arcs,
        "times": [(f"{MARGIN + scale * tick:.1f}", format_time(tick)[:-2]) for tick in _ticks(seconds, 8)],
    }


def describe_turns(plan: Plan) -> dict[str, Any] | None:
    """What `turns.svg` draws: which stem of an output is heard when, and whether from elsewhere; None without turns.

    Of each stem in turn, from left to right: (kind, where it begins, how wide it is, how strong), "own" as the path
    plays it and "other" from another place. Where nothing is drawn the stem is silent.
    """
    if not plan.turns:
        return None
    scale = (WIDTH - 2 * MARGIN) / plan.frames
    rows = []
    for number, name in enumerate(STEMS):
        stretches, at = list[tuple[str, int, int, float]](), 0
        for turn in sorted((turn for turn in plan.turns if turn.stem == name), key=lambda turn: turn.at):
            stretches.append(("own", at, turn.at, 1.0))
            at = turn.at + turn.frames
            if turn.gain_db is not None:
                strength = float(np.clip(1.0 + turn.gain_db / STRENGTH_DB, 0.2, 1.0))
                stretches.append(("own" if turn.enter is None else "other", turn.at, at, strength))
        stretches.append(("own", at, plan.frames, 1.0))
        drawn = [
            (kind, f"{MARGIN + scale * start:.1f}", f"{scale * (stop - start):.1f}", f"{strength:.2f}")
            for kind, start, stop, strength in stretches
            if stop > start
        ]
        top = ROW_HEIGHT * number + 16
        rows.append({"name": name, "text": top - 3, "top": top, "stretches": drawn})
    ticks = _ticks(plan.seconds, 8)
    return {
        "label": f"{format_count(len(plan.turns), 'turn')} of stems in {format_time(plan.seconds)}",
        "height": ROW_HEIGHT * len(STEMS) + 26,
        "rows": rows,
        "times": [(f"{MARGIN + scale * plan.song.sample_rate * at:.1f}", format_time(at)[:-2]) for at in ticks],
    }


def count_hearings(steps: Array) -> Array:
    """How often each step of an output, by its place in the song, was heard before: (steps,) to (steps,)."""
    seen: dict[int, int] = {}
    counts = np.zeros(len(steps))
    for number, place in enumerate(steps.tolist()):
        counts[number] = seen.get(place, 0)
        seen[place] = seen.get(place, 0) + 1
    return counts


def _ticks(seconds: float, most: int) -> Array:
    """Round times, at most so many."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000)
    apart = next(step for step in steps if seconds / step <= most)
    return np.arange(0.0, seconds - 0.4 * apart, apart)


def _sound(plan: Plan, song: Song, on_progress: OnProgress) -> tuple[list[float], bytes]:
    """The waveform's peaks, 0 to 1, and the output as mp3."""
    peaks = np.zeros(PEAKS)

    def watched(blocks: Iterable[Array]) -> Iterator[Array]:
        at = 0
        for block in blocks:
            bins = (at + np.arange(len(block))) * PEAKS // plan.frames
            np.maximum.at(peaks, np.minimum(bins, PEAKS - 1), np.abs(block).max(axis=1))
            at += len(block)
            on_progress("Reporting", at / plan.frames)
            yield block

    audio = _encode(watched(render(plan, song)), song, plan.seconds)
    return np.round(peaks, 3).tolist(), audio


def page_kbps(seconds: float) -> int:
    """The bit rate at which a sound of `seconds` fits in a page; raises MusexError where none does."""
    kbps = min(HIGHEST_KBPS, int(AUDIO_BYTES * 8 / 1000 / max(seconds, 1.0)))
    if kbps < LOWEST_KBPS:
        longest = format_time(AUDIO_BYTES * 8 / 1000 / LOWEST_KBPS)
        raise MusexError(f"an output of {format_time(seconds)} is too long for a page: {longest} is the most")
    return kbps


def _encode(blocks: Iterable[Array], song: Song, seconds: float) -> bytes:
    """Sound as mp3, without tags, small enough for a page."""
    kbps = page_kbps(seconds)
    with temporary_folder() as folder:
        file = folder / "output.mp3"
        write_song(file, blocks, song=replace(song, path=None), bitrate=f"{kbps}k")
        return file.read_bytes()


def _charts(plan: Plan, analysis: Analysis, steps: Array) -> Iterator[dict[str, Any]]:
    """Curves over the output's time."""
    every = max(1, len(steps) // POINTS)
    shown = steps[::every]
    times = np.arange(len(shown)) * every / FEATURES.steps_per_second
    levels = analysis.levels
    loudness = np.maximum(levels, levels.max() - 50.0)[shown] - float(levels.max())
    moods = analysis.moods[shown, 0]
    points = plan.settings.moods
    wanted = [asked(points, times)[:, 0]] if points else []
    yield _chart("Place in the song", shown / FEATURES.steps_per_second, low="start", high="end")
    yield _chart("Loudness", loudness, low="−50 dB", high="0 dB", bounds=(-50.0, 0.0))
    name = "Mood: arousal" + (", dashed: what was asked for" if points else "")
    yield _chart(name, moods, *wanted, low="calm", high="intense", bounds=(-2.0, 2.0))
    hearings = count_hearings(steps)[::every]
    most = max(1.0, float(hearings.max()))
    yield _chart("Heard before", hearings, low="never", high=f"{most:.0f} ×", bounds=(0.0, most))
    yield from _stem_charts(plan, np.asarray(times * plan.song.sample_rate, np.int64))


def _stem_charts(plan: Plan, places: Array) -> Iterator[dict[str, Any]]:
    """How loud each stem is that the plan changes, at samples of the output."""
    for stem in changed_stems(plan):
        gains, elsewhere = trace_stem(plan, stem, places)
        most = max(1.0, float(gains.max()))
        other = [elsewhere] if elsewhere.any() else []
        name = f"{stem.capitalize()}: level" + ", dashed: how much of it is from elsewhere in the song" * bool(other)
        yield _chart(name, gains, *other, low="silent", high=f"{to_db(most):+.1f} dB", bounds=(0.0, most))


def _chart(name: str, *curves: Array, low: str, high: str, bounds: tuple[float, float] | None = None) -> dict[str, Any]:
    """A figure with curves of as many values each, drawn from the lowest to the highest, or within bounds."""
    bottom, top = bounds or (float(curves[0].min()), float(curves[0].max()))
    across = np.linspace(0.0, WIDTH, max(2, len(curves[0])))

    def points(values: Array) -> str:
        scaled = 86.0 - 80.0 * (np.clip(values, bottom, top) - bottom) / max(top - bottom, 1e-9)
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, scaled, strict=False))

    return {"name": name, "low": low, "high": high, "curves": [points(values) for values in curves]}


def _seam_rows(plan: Plan) -> list[dict[str, Any]]:
    """The rows of the table of seams: what exceeds its bound, times, and measures with whether they do."""
    rate, rows, measures = plan.song.sample_rate, [], shown_measures(plan.seams)
    for seam in plan.seams:
        beyond = exceeded(seam)
        units = {name: measure.unit if getattr(seam, name) is not None else "" for name, measure in measures.items()}
        rows.append(
            {
                "marks": ", ".join(MEASURES[name].title for name in beyond),
                "times": [format_time(place / rate) for place in (seam.at, seam.leave, seam.enter)],
                "measures": [(format_measure(seam, name) + unit, name in beyond) for name, unit in units.items()],
            }
        )
    return rows


def _summary(plan: Plan, seconds: float) -> str:
    seams = format_count(len(plan.seams), "seam")
    endings = {"outro": "the song's own ending", "fade": "a fade", "cut": "a cut", "loop": "a loop"}
    ending = endings.get(plan.settings.ending, "")
    return f"{format_time(seconds)} of music made {format_time(plan.seconds)} long, {seams}, ends with {ending}."


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "model": f"{plan.model.name} {plan.model.sha256[:12]}",
        "predictions": plan.predictions,
        **{
            name.replace("_", " "): value
            for name, value in plan.settings.to_dict().items()
            if value not in (None, [], "")
        },
    }


def _spectrogram(log_mel: Array) -> str:
    """A log-mel (steps, n_mels) in dB as a picture, with seconds and hertz, as a data URI."""
    from musex.views.plots import plot_log_mel  # matplotlib takes half a second

    every = -(-len(log_mel) // COLUMNS_DRAWN)
    columns = log_mel[: max(1, len(log_mel) // every) * every].reshape(-1, every, log_mel.shape[1]).mean(axis=1)
    picture = io.BytesIO()
    plot_log_mel(columns, steps=every).savefig(picture, format="png", dpi=100)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode("ascii")
