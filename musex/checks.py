"""Whether the seams of a plan keep to the bounds within which they are hard to hear."""

from dataclasses import dataclass

from musex.plans import Plan, Seam


@dataclass(frozen=True)
class SeamBounds:
    """What a seam shall not exceed."""

    rhythm_ms: float = 10.0  # where there is a pulse; without one the error is none
    level_db: float = 1.0
    flux_percentile: float = 95.0


BOUNDS = SeamBounds()


def exceeded(seam: Seam, bounds: SeamBounds = BOUNDS) -> tuple[str, ...]:
    """Which measures of a seam exceed their bounds, by their names in `Seam`."""
    values = {
        "rhythm_ms": (seam.rhythm_ms, bounds.rhythm_ms),
        "level_db": (abs(seam.level_db), bounds.level_db),
        "flux_percentile": (seam.flux_percentile, bounds.flux_percentile),
    }
    return tuple(name for name, (value, bound) in values.items() if not value <= bound)


def passes(plan: Plan, bounds: SeamBounds = BOUNDS) -> bool:
    """Whether every seam of a plan keeps to the bounds."""
    return not any(exceeded(seam, bounds) for seam in plan.seams)
