"""Cut lists as plain text: tables (CSV) and labels (Audacity)."""

import csv
import io
from collections.abc import Iterator

from musex.exports.cuts import CutList

COLUMNS = (
    "kind",  # clip, rest, beat or downbeat
    "at_sample",  # of the output
    "samples",  # how long it is
    "source_sample",  # of the song: what a clip plays first
    "crossfade_samples",  # with the clip before it, half of it on either side of at_sample
    "at_seconds",
    "seconds",
    "source_seconds",
    "gain_db",
    "label",
    "sample_rate",
    "source",  # the song's file
)


def to_table(cuts: CutList) -> str:
    """A table as `COLUMNS`, a row for each clip, for silence after them and for each beat."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    common = (cuts.sample_rate, str(cuts.path))
    for number, clip in enumerate(cuts.clips, start=1):
        times = (f"{cuts.seconds(place):.9f}" for place in (clip.at, clip.frames, clip.start))
        places = (clip.at, clip.frames, clip.start, 2 * clip.lead)
        table.writerow(("clip", *places, *times, f"{cuts.gain_db:g}", f"clip {number}", *common))
    if cuts.rest:
        at = cuts.frames - cuts.rest
        times = (f"{cuts.seconds(place):.9f}" for place in (at, cuts.rest))
        table.writerow(("rest", at, cuts.rest, "", "", *times, "", "", "silence", *common))
    for beat in cuts.beats:
        kind = "downbeat" if beat.is_downbeat else "beat"
        table.writerow((kind, beat.at, 0, "", "", f"{cuts.seconds(beat.at):.9f}", 0, "", "", beat.label, *common))
    return text.getvalue()


def to_labels(cuts: CutList) -> str:
    """Labels for Audacity: a stretch for each clip, a point for each beat; seconds of the output."""
    return "".join(f"{start:.6f}\t{stop:.6f}\t{label}\n" for start, stop, label in sorted(_labels(cuts)))


def _labels(cuts: CutList) -> Iterator[tuple[float, float, str]]:
    for number, clip in enumerate(cuts.clips, start=1):
        source = f"{cuts.seconds(clip.start):.3f} to {cuts.seconds(clip.stop):.3f} s of {cuts.title}"
        yield cuts.seconds(clip.at), cuts.seconds(clip.at + clip.frames), f"clip {number}: {source}"
    if cuts.rest:
        yield cuts.seconds(cuts.frames - cuts.rest), cuts.seconds(cuts.frames), "silence"
    for beat in cuts.beats:
        yield cuts.seconds(beat.at), cuts.seconds(beat.at), beat.label
