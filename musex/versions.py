"""The versions of a song as files: an output each, and what is kept of it; made all in one call."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from musex.audio.file_names import default_page, number_path
from musex.audio.inputs import SongFile
from musex.files import vary_file
from musex.planning.edits import Edit
from musex.plans import Plan, read_plan
from musex.prediction.model import Model, WaveformModel
from musex.settings import Options
from musex.system.progress import OnProgress
from musex.system.side_files import check_side_file


@dataclass(frozen=True)
class Version:
    """A version of a song: where its output goes, and its plan and its page, where they are kept."""

    output: Path
    plan: Path | None = None
    page: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written of it."""
        return tuple(path for path in (self.output, self.plan, self.page) if path is not None)


def name_versions(output: Path, *, count: int = 1, plan: Path | None = None, page: bool = False) -> tuple[Version, ...]:
    """As many versions, numbered from 1 where there are several; with plans, and with a page beside each output."""
    if count == 1:
        return (Version(output, plan, default_page(output) if page else None),)
    names = [(number_path(output, number), plan and number_path(plan, number)) for number in range(1, count + 1)]
    return tuple(version for own, kept in names for version in name_versions(own, plan=kept, page=page))


def make_versions(
    song_path: Path,
    versions: Sequence[Version],
    *,
    seconds: float,
    model: Model | WaveformModel | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    stream: int | None = None,
    stems: Path | None = None,
    edit: Edit | None = None,
    done: Collection[Path] = (),
    on_written: Callable[[Path], None] | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> list[Plan]:
    """Write versions of a song as `musex.files.vary_file` does, and the pages that are asked for; returns their plans.

    Args:
        song_path: The song.
        versions: What is written; all have plans, or none.
        seconds: As in `extend_file`.
        model: As in `extend_file`.
        force: Overwrite what exists.
        bitrate: As in `extend_file`.
        stream: As in `extend_file`.
        stems: As in `extend_file`.
        edit: As in `musex.files.vary_file`.
        done: Files that are there already as they would be written; they stay, and plans among them are read.
        on_written: Called with each file as soon as it is in its place.
        on_progress: As in `extend_file`.
        options: As in `extend_file`.
    """
    song = SongFile(song_path, stream)
    outputs, plans = [version.output for version in versions], [version.plan for version in versions if version.plan]
    pages = [version.page for version in versions if version.page and version.page not in done]
    for page in pages:
        check_side_file(page, force, song_path, *outputs, *plans)
    if pages:
        from musex.views.reports import page_kbps  # with what draws pages, which takes time to import

        page_kbps(seconds)  # too long for a page: better said before the music is made
    if plans and set(outputs) | set(plans) <= set(done):
        made = [read_plan(path) for path in plans]
    else:
        made = vary_file(
            song,
            outputs,
            seconds=seconds,
            model=model,
            force=force,
            bitrate=bitrate,
            plan_paths=plans,
            stems=stems,
            edit=edit,
            done=done,
            on_written=on_written,
            on_progress=on_progress,
            **options,
        )
    if pages:
        from musex.views.reports import save_reports

        paged = [plan for plan, version in zip(made, versions, strict=True) if version.page in pages]
        save_reports(paged, song, pages, on_progress, force=force, on_written=on_written)
    return made
