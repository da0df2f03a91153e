"""What may be asked of a plan besides its duration; a plan keeps it under `settings`."""

from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from musex.errors import MusexError

ENDINGS = ("outro", "fade", "cut", "loop")
Stretch = tuple[float, float]  # of the song, from and to, in seconds


class Options(TypedDict, total=False):
    """The settings as keyword arguments of the public functions; `Settings` says what each means."""

    seed: int
    ending: str
    keep_from: float | None
    keep_to: float | None
    avoid: tuple[Stretch, ...]
    novelty: float


@dataclass(frozen=True)
class Settings:
    """How a song shall be extended.

    Attributes:
        seed: Fixes everything drawn at random: varies the choice among jumps that are about as good.
        ending: "outro" for the song's own ending, "fade" or "cut" at the duration, "loop" to run into the
            output's own beginning, which is then the loop's first sample rather than the song's.
        keep_from: Seconds of the song; jumps neither leave nor enter before …
        keep_to: … nor after this; without them wherever the song is usable.
        avoid: Stretches of the song that are never heard.
        novelty: 0 as the song goes, with few jumps, to 1, with many.
    """

    seed: int = 0
    ending: str = "outro"
    keep_from: float | None = None
    keep_to: float | None = None
    avoid: tuple[Stretch, ...] = ()
    novelty: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what means nothing for any song; raises MusexError."""
        if self.ending not in ENDINGS:
            raise MusexError(f"the ending {self.ending!r} is not available; musex has {', '.join(ENDINGS)}")
        if not 0.0 <= self.novelty <= 1.0:
            raise MusexError(f"a novelty of {self.novelty:g} is out of range: 0 for few jumps to 1 for many")
        start, stop = self.keep_from or 0.0, self.keep_to
        if start < 0.0 or (stop is not None and not start < stop):
            raise MusexError(f"there is nothing to keep from {start:g} s to {stop:g} s: it must end after it starts")
        for start, stop in self.avoid:
            if not 0.0 <= start < stop:
                raise MusexError(
                    f"there is nothing to avoid from {start:g} s to {stop:g} s: it must end after it starts"
                )

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them, for the plan."""
        return {**asdict(self), "avoid": [list(stretch) for stretch in self.avoid]}
