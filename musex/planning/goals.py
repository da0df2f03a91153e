"""Goals: places of the song that a path shall reach at times of its output, and what is fixed from there on."""

from dataclasses import dataclass

from musex.errors import MusexError
from musex.plans import Seam
from musex.system.wording import format_time

HIT_TOLERANCE_SECONDS = 0.05  # by which a hit may be early or late


class HitMissedError(MusexError):
    """Something else is fixed where a place of the song shall be heard."""


@dataclass(frozen=True)
class Goal:
    """A place of the song that is played at a time of the output; all in samples.

    Attributes:
        place: of the song.
        at: of the output.
        seams: fixed ones that follow, with nothing but what lies between them.
        hold: what is played without a cut after those.
        last: whether the output ends with it.
    """

    place: int
    at: int
    seams: tuple[Seam, ...] = ()
    hold: int = 0
    last: bool = False

    @property
    def stop(self) -> int:
        """The sample of the song before which what is fixed ends."""
        return (self.seams[-1].enter if self.seams else self.place) + self.hold

    @property
    def until(self) -> int:
        """The sample of the output at which what is fixed ends."""
        jumped = sum(seam.enter - seam.leave for seam in self.seams)
        return self.at + self.stop - self.place - jumped

    def place_at(self, at: int) -> int:
        """Which sample of the song it plays at sample `at` of the output."""
        place = self.place + at - self.at
        for seam in self.seams:
            if place < seam.leave:
                break
            place += seam.enter - seam.leave
        return place


@dataclass(frozen=True)
class Leg:
    """What is planned between two fixed places of an output; all in samples.

    Attributes:
        start: of the song with which it begins; None: as the output does.
        played: of the output before it.
        goal: where it shall arrive; None: at the output's end.
    """

    start: int | None = None
    played: int = 0
    goal: Goal | None = None


UNFIXED = Leg()  # a whole output


def join_goals(fixed: tuple[Goal, ...], hits: tuple[Goal, ...], sample_rate: int) -> tuple[Goal, ...]:
    """Goals in the order of their times; of the hits those that what is fixed does not have already.

    Raises HitMissedError if something else is fixed where one shall be.
    """
    free = []
    for hit in hits:
        within = next((goal for goal in fixed if goal.at <= hit.at < goal.until), None)
        if within is None:
            free.append(hit)
        elif abs(within.place_at(hit.at) - hit.place) > HIT_TOLERANCE_SECONDS * sample_rate:
            place, at = (format_time(samples / sample_rate) for samples in (hit.place, hit.at))
            raise HitMissedError(f"{place} of the song cannot be heard at {at}, where seams are locked: lock fewer")
    return tuple(sorted((*fixed, *free), key=lambda goal: goal.at))
