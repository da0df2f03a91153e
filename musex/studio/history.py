"""What was decided one after another, and can be taken back."""

from dataclasses import dataclass, field, replace

from musex.plans import Plan, Seam

MOST_STEPS = 200  # that can be taken back

Lock = tuple[int, int, int]  # where a seam leaves and enters, samples of the song, and when, sample of the output


@dataclass(frozen=True)
class Step:
    """A plan, and which of its seams shall stay whatever else changes."""

    plan: Plan
    locked: frozenset[Lock] = frozenset()

    @property
    def locked_numbers(self) -> tuple[int, ...]:
        """The seams that are locked, numbered from 1."""
        return tuple(number for number, seam in enumerate(self.plan.seams, 1) if lock_of(seam) in self.locked)


@dataclass(frozen=True)
class History:
    """Steps in their order, and the one that counts now."""

    steps: tuple[Step, ...] = field(default=())
    at: int = -1

    @property
    def now(self) -> Step | None:
        return self.steps[self.at] if self.steps else None

    @property
    def can_undo(self) -> bool:
        return self.at > 0

    @property
    def can_redo(self) -> bool:
        return self.at < len(self.steps) - 1

    def add(self, step: Step) -> "History":
        """One step more; what was taken back before it is gone."""
        steps = (*self.steps[: self.at + 1], step)[-MOST_STEPS:]
        return History(steps, len(steps) - 1)

    def undo(self) -> "History":
        return replace(self, at=max(self.at - 1, min(0, self.at)))

    def redo(self) -> "History":
        return replace(self, at=min(self.at + 1, len(self.steps) - 1))


def lock_of(seam: Seam) -> Lock:
    """What a seam is known by, among others that may jump the same."""
    return seam.leave, seam.enter, seam.at


def carry_locks(locked: frozenset[Lock], plan: Plan) -> frozenset[Lock]:
    """The same locks in another plan: of seams that jump alike the one that is nearest in time, each once."""
    free, carried = [lock_of(seam) for seam in plan.seams], set[Lock]()
    for leave, enter, at in sorted(locked, key=lambda lock: lock[2]):
        alike = [lock for lock in free if lock[:2] == (leave, enter)]
        if alike:
            nearest = min(alike, key=lambda lock: abs(lock[2] - at))
            free.remove(nearest)
            carried.add(nearest)
    return frozenset(carried)
