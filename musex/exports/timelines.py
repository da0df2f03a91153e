"""Cut lists as OpenTimelineIO's timelines, and through its adapters as Final Cut's and as edit decision lists.

A timeline counts samples. FCPXML and EDL count frames of a picture: positions are rounded to them, each by itself, so
that nothing drifts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musex.errors import MusexError
from musex.exports.cuts import CutList

LEAST_FADE_SECONDS = 0.1  # of the output, at its end, that is told as a transition
GAP_START_SECONDS = 3600  # with which FCPXML's gaps begin


@dataclass(frozen=True)
class Adapter:
    """How a format is written: by which adapter of OpenTimelineIO, and what brings it.

    Attributes:
        name: Of the adapter.
        package: What pip installs for it.
        frame_rate: In how many parts it divides a second; None for samples.
        lost: What else it does not hold, in words.
    """

    name: str
    package: str
    frame_rate: int | None = None
    lost: str = ""


ADAPTERS = {
    ".otio": Adapter("otio_json", "opentimelineio"),
    ".fcpxml": Adapter("fcpx_xml", "otio-fcpx-xml-adapter", 60, "crossfades"),
    ".edl": Adapter("cmx_3600", "otio-cmx3600-adapter", 30, "beats"),
}


def check_adapter(suffix: str) -> None:
    """Refuse a format that nothing installed writes; raises MusexError."""
    adapter = ADAPTERS[suffix]
    try:
        import opentimelineio
    except ImportError as error:
        raise MusexError(f"writing {suffix[1:]} needs opentimelineio: pip install 'musex[editors]'") from error
    if adapter.name not in opentimelineio.adapters.available_adapter_names():
        raise MusexError(f"writing {suffix[1:]} needs {adapter.package}: pip install {adapter.package}")


def write_timeline(cuts: CutList, path: Path) -> None:
    """Write a timeline, as the ending of `path` says; raises MusexError where the adapter cannot."""
    check_adapter(path.suffix.lower())
    import opentimelineio as otio

    adapter = ADAPTERS[path.suffix.lower()]
    timeline = build_timeline(cuts, adapter)
    options = {"rate": adapter.frame_rate} if adapter.name == "cmx_3600" else {}
    try:
        otio.adapters.write_to_file(timeline, str(path), adapter_name=adapter.name, **options)
    except otio.exceptions.OTIOError as error:
        raise MusexError(f"opentimelineio cannot write {path.suffix[1:]}: {error}") from error


def build_timeline(cuts: CutList, adapter: Adapter) -> Any:
    """An `opentimelineio.schema.Timeline` of one audio track."""
    import opentimelineio as otio

    schema, grid = otio.schema, _Grid(cuts, adapter.frame_rate)
    track = schema.Track(name=cuts.title, kind=schema.TrackKind.Audio)
    for number, clip in enumerate(cuts.clips, start=1):
        lead, tail = grid.offsets(clip.lead)
        if lead and tail:
            kind = schema.TransitionTypes.SMPTE_Dissolve
            track.append(schema.Transition("crossfade", kind, grid.time(lead), grid.time(tail)))
        at, stop = grid.units(clip.at), grid.units(clip.at + clip.frames)
        start = grid.units(clip.start)
        reference = schema.ExternalReference(cuts.path.as_uri(), grid.range(0, grid.units(cuts.song_frames)))
        name = f"{cuts.title} {number}".replace("'", "’")  # which breaks a search of FCPXML's adapter
        made = schema.Clip(name, reference, grid.range(start, stop - at))
        if adapter.name == "fcpx_xml":
            made.markers.extend(_beat_markers(cuts, grid, (clip.at, clip.at + clip.frames), start - at))
        track.append(made)
    fade_out = grid.units(max(0, cuts.fades[1] - cuts.rest))
    if fade_out >= grid.units(round(LEAST_FADE_SECONDS * cuts.sample_rate)) and adapter.frame_rate is None:
        kind = schema.TransitionTypes.SMPTE_Dissolve
        track.append(schema.Transition("fade out", kind, grid.time(fade_out), grid.time(0)))
    if cuts.rest:
        end = grid.units(cuts.frames)
        track.append(schema.Gap(source_range=grid.range(0, end - grid.units(cuts.frames - cuts.rest))))
    timeline = schema.Timeline(cuts.title, global_start_time=grid.time(0))
    timeline.tracks.append(track)
    if adapter.frame_rate is None:
        timeline.tracks.markers.extend(_beat_markers(cuts, grid, (0, cuts.frames), 0))
        timeline.metadata["musex"] = {
            "gain_db": cuts.gain_db,
            "fade_in_samples": cuts.fades[0],
            "fade_out_samples": cuts.fades[1],
            "loop_crossfade_samples": cuts.closing.fade // 2 * 2 if cuts.closing else 0,
            "tempo": cuts.tempo,
            "metre": cuts.metre,
            "left_out": list(cuts.left_out),
        }
    else:  # both adapters want a picture
        empty = schema.Track(kind=schema.TrackKind.Video)
        if adapter.name == "fcpx_xml":
            empty.append(schema.Gap(source_range=grid.range(0, grid.units(cuts.frames))))
        timeline.tracks.append(empty)
    return timeline


class _Grid:
    """Samples as OpenTimelineIO's times: samples, or frames of a picture."""

    def __init__(self, cuts: CutList, frame_rate: int | None) -> None:
        self.sample_rate, self.frame_rate = cuts.sample_rate, frame_rate
        self.rate = frame_rate or cuts.sample_rate

    def units(self, samples: int) -> int:
        """So many samples, rounded to the grid."""
        return samples if self.frame_rate is None else round(samples * self.frame_rate / self.sample_rate)

    def offsets(self, half: int) -> tuple[int, int]:
        """How far a crossfade reaches before and after its middle."""
        whole = self.units(2 * half)
        return whole // 2, whole - whole // 2

    def time(self, units: int) -> Any:
        from opentimelineio.opentime import RationalTime

        return RationalTime(units, self.rate)

    def range(self, start: int, units: int) -> Any:
        from opentimelineio.opentime import TimeRange

        return TimeRange(self.time(start), self.time(units))


def _beat_markers(cuts: CutList, grid: _Grid, within: tuple[int, int], shift: int) -> Iterator[Any]:
    """A marker for each beat in these samples of the output; `shift` is added to its place."""
    from opentimelineio.schema import Marker, MarkerColor

    for beat in cuts.beats:
        if within[0] <= beat.at < within[1]:
            color = MarkerColor.ORANGE if beat.is_downbeat else MarkerColor.CYAN
            marked = grid.range(grid.units(beat.at) + shift, 0)
            yield Marker(name=beat.label, color=color, marked_range=marked)
