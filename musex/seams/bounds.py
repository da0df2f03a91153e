"""Whether the seams of a plan keep to the bounds within which they are hard to hear."""

from collections.abc import Iterable
from dataclasses import dataclass

from musex.plans import Plan, Seam


@dataclass(frozen=True)
class SeamBounds:
    """What a seam shall not exceed; a measure that is None could not be taken, and keeps to any."""

    rhythm_ms: float = 10.0
    level_db: float = 1.0
    flux_percentile: float = 95.0
    beat: float = 0.5  # at least: more likely kept than not, as the transition head says
    bar: float = 0.5  # at least
    voice: float = 0.5  # at most: rather no word is cut than one


BOUNDS = SeamBounds()


@dataclass(frozen=True)
class Measure:
    """How a measure of a seam is shown: what it is called, its form in figures, its unit and bound, what it means."""

    title: str
    form: str
    meaning: str
    unit: str = ""
    bound: str = ""


MEASURES = {  # by their names in `Seam`
    "level_db": Measure(
        "level",
        "{:+.2f}",
        "of the second after it over that of the second before, beyond the song's own step at either place",
        " dB",
        f"±{BOUNDS.level_db:g}",
    ),
    "flux_percentile": Measure(
        "flux",
        "{:.0f}",
        "how suddenly the sound changes at the seam, among the song's own changes",
        " %",
        f"≤{BOUNDS.flux_percentile:g}",
    ),
    "rhythm_ms": Measure(
        "rhythm", "{:.1f}", "how far the attacks of both sides lie apart", " ms", f"≤{BOUNDS.rhythm_ms:g}"
    ),
    "beat": Measure("beat", "{:.2f}", "how likely it goes on between the same beats, 0 to 1", "", f"≥{BOUNDS.beat:g}"),
    "bar": Measure("bar", "{:.2f}", "how likely it goes on at the same place of a bar, 0 to 1", "", f"≥{BOUNDS.bar:g}"),
    "voice": Measure(
        "voice", "{:.2f}", "how surely a word or a line that is sung is cut, 0 to 1", "", f"≤{BOUNDS.voice:g}"
    ),
    "correlation": Measure("correlation", "{:.2f}", "how alike the waveforms of both sides are, −1 to 1"),
}


def shown_measures(seams: Iterable[Seam]) -> dict[str, Measure]:
    """The measures that say something of seams: nothing of a voice where nobody sings."""
    told = any(seam.voice is not None for seam in seams)
    return {name: measure for name, measure in MEASURES.items() if told or name != "voice"}


def exceeded(seam: Seam, bounds: SeamBounds = BOUNDS) -> tuple[str, ...]:
    """Which measures of a seam exceed their bounds, by their names in `Seam`."""
    beyond = {
        "rhythm_ms": seam.rhythm_ms is not None and not seam.rhythm_ms <= bounds.rhythm_ms,
        "level_db": not abs(seam.level_db) <= bounds.level_db,
        "flux_percentile": not seam.flux_percentile <= bounds.flux_percentile,
        "beat": seam.beat is not None and not seam.beat >= bounds.beat,
        "bar": seam.bar is not None and not seam.bar >= bounds.bar,
        "voice": seam.voice is not None and not seam.voice <= bounds.voice,
    }
    return tuple(name for name, fails in beyond.items() if fails)


def count_exceeded(plan: Plan, bounds: SeamBounds = BOUNDS) -> int:
    """How many measures of a plan's seams exceed their bounds."""
    return sum(len(exceeded(seam, bounds)) for seam in plan.seams)


def seams_beyond(plan: Plan, bounds: SeamBounds = BOUNDS) -> list[Seam]:
    """The seams of a plan that exceed a bound."""
    return [seam for seam in plan.seams if exceeded(seam, bounds)]


def passes(plan: Plan, bounds: SeamBounds = BOUNDS) -> bool:
    """Whether every seam of a plan keeps to the bounds."""
    return not seams_beyond(plan, bounds)


def format_measure(seam: Seam, name: str) -> str:
    """A measure of a seam in figures; "–" where it could not be taken."""
    value = getattr(seam, name)
    return "–" if value is None else MEASURES[name].form.format(value)
