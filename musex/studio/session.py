"""A song on the page: what was decided of it, how it sounds, and what is being done.

One thread works for all sessions.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from musex.audio.song import Samples, Song
from musex.config import LONGEST_OUTPUT_SECONDS
from musex.errors import DurationError, MusexError
from musex.inspection import SongInfo, info
from musex.planning.variations import share_in_common
from musex.plans import Plan
from musex.prediction.model import Model
from musex.rendering.stitch import render
from musex.studio import editing
from musex.studio.history import History, Lock, Step
from musex.studio.keeping import find_kept, keep
from musex.studio.pictures import describe_plan, describe_song, song_peaks, tell_seams
from musex.studio.sounds import MOST_BYTES, SAMPLE_BYTES, Sound, SupersededError
from musex.views.reports import describe_path

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 3 * 3600.0  # that the page plays; the command line makes a day
SHORTEST_SECONDS = 5.0
FIRST_SHARE = 2.0  # of the song's duration, for which the first plan is made
MOST_SOUNDS = 8  # kept at a time, in files
MOST_SOUND_BYTES = 4 << 30  # of them together

Submit = Callable[[Callable[[], None]], "Future[None]"]


class Session:
    """One song and what is made of it.

    What changes is changed in the one thread that works; others only read, and see `revision` rise.
    """

    def __init__(self, key: str, song: Song, *, model: Model, folder: Path, submit: Submit, dropped: bool) -> None:
        """Args: the song and the model, a private folder for sounds, and what hands work to the thread that works."""
        self.key, self.song, self.model, self.folder, self.dropped = key, song, model, folder, dropped
        self.name = song.path.name if song.path else "Untitled"
        self.history, self.versions = History(), tuple[Plan, ...]()
        self.revision, self.stage, self.done, self.failure = 0, "", 0.0, ""
        self.closed = False
        self.info: SongInfo | None = None
        self.draft: tuple[str, float] | None = None  # the sound of a plan that is being made, and its seconds
        self.peaks = song_peaks(song)
        self._submit, self._ticket, self._count = submit, 0, 0
        self._mine: int | None = None  # the ticket of what is being done
        self._given_up = False  # what was begun last
        self._sounds: dict[str, Sound] = {}
        self._sound_ids: dict[str, str] = {}  # by what a plan says
        self._described: tuple[Step, SongInfo | None, dict[str, Any]] | None = None
        self._alternatives: dict[tuple[str, int], list[Any]] = {}
        self._lock = threading.Lock()  # around the sounds, which requests ask for, too

    # What is read.

    @property
    def step(self) -> Step:
        """What counts now; raises MusexError while there is nothing."""
        if self.history.now is None:
            raise MusexError(self.failure or "the first plan is still being made: wait a moment")
        return self.history.now

    @property
    def plan(self) -> Plan:
        return self.step.plan

    @property
    def longest(self) -> float:
        """Seconds that an output may last."""
        counted = MOST_BYTES / (self.song.sample_rate * self.song.channels * SAMPLE_BYTES)
        return float(int(min(LONGEST_SECONDS, counted, LONGEST_OUTPUT_SECONDS)))

    def describe(self) -> dict[str, Any]:
        """All that the page shows, but for the song."""
        now = self.history.now
        return {
            "revision": self.revision,
            "stage": self.stage,
            "done": round(self.done, 3),
            "failure": self.failure,
            "undo": self.history.can_undo,
            "redo": self.history.can_redo,
            "limits": [SHORTEST_SECONDS, self.longest],
            "song_known": self.info is not None,
            "draft": {"sound": self.draft[0], "seconds": self.draft[1]} if self.draft else None,
            "sound": self.sound_of(now.plan) if now else None,
            "plan": self._describe(now) if now else None,
            "versions": [
                self._brief(plan, now.plan if now else plan) | {"chosen": now is not None and plan == now.plan}
                for plan in self.versions
            ],
        }

    def _describe(self, step: Step) -> dict[str, Any]:
        described, facts = self._described, self.info
        if described is None or described[0] is not step or described[1] is not facts:
            told = describe_plan(step.plan, self.song, self.peaks, info=facts, locked=step.locked_numbers)
            key = identify(step.plan)[:16]
            told |= {"key": key, "version": f"{key} {step.locked_numbers} {facts is not None}"}
            self._described = described = step, facts, told
        return described[2]

    def _brief(self, plan: Plan, now: Plan) -> dict[str, Any]:
        """A version beside what counts now."""
        told = f"{tell_seams(plan)}; as now for {share_in_common(plan, now):.0%} of the time"
        return {
            "seconds": plan.seconds,
            "told": told if plan != now else f"{tell_seams(plan)}; this is what you have",
            "path": describe_path(plan, self.song.seconds),
        }

    def describe_song(self) -> dict[str, Any]:
        """What the page shows of the song, which does not change once it is known."""
        return {"name": self.name, **describe_song(self.song, self.peaks, self.info)}

    def sound(self, key: str) -> Sound | None:
        """A sound by the name that `describe` gives it."""
        return self._sounds.get(key)

    def sound_of(self, plan: Plan) -> str:
        """The name of the sound of a plan, which begins to be made if there is none."""
        told = identify(plan)
        with self._lock:
            key = self._sound_ids.get(told)
            if key in self._sounds and not self._sounds[key].failed:
                return key
            key, sound = self._new_sound(plan.frames)
            self._sound_ids[told] = key
        sound.fill_apart(render(plan, self.song), wanted=lambda: key in self._sounds)
        return key

    def _new_sound(self, frames: int) -> tuple[str, Sound]:
        """A sound to be filled; the oldest ones go where there are too many."""
        self._count += 1
        key = f"{self._count}"
        sound = Sound(
            self.folder / f"{key}.pcm", frames=frames, channels=self.song.channels, sample_rate=self.song.sample_rate
        )
        self._sounds[key] = sound
        while len(self._sounds) > 1 and (
            len(self._sounds) > MOST_SOUNDS or sum(each.size for each in self._sounds.values()) > MOST_SOUND_BYTES
        ):
            self._drop_sound(next(iter(self._sounds)))
        return key, sound

    # What is done, in the thread that works.

    def begin(self, work: Callable[[], None], *, instead: bool = True) -> "Future[None]":
        """Have something done; what was begun before is given up where this takes its place."""
        if instead:
            self._ticket += 1
        return self._submit(partial(self._run, work, self._ticket if instead else None))

    def submit_nothing(self) -> "Future[None]":
        """Done once all is done that was begun before."""
        return self._submit(lambda: None)

    def give_up(self) -> None:
        """Do no more of what was begun."""
        self._ticket += 1

    def close(self) -> None:
        """Do no more of what was begun, and let go of all sounds; what was decided is kept."""
        self.give_up()
        self.closed = True
        with self._lock:
            for key in [*self._sounds]:
                self._drop_sound(key)

    def _drop_sound(self, key: str) -> None:
        sound = self._sounds.pop(key)
        sound.failed = "it is no longer kept"
        with suppress(OSError):  # Windows, while it is read
            sound.path.unlink()

    def _run(self, work: Callable[[], None], ticket: int | None) -> None:
        self._mine = ticket
        self.failure = ""
        try:
            if not self._wanted():
                raise SupersededError
            work()
            self._given_up = False
        except SupersededError:
            self._given_up = True
        except MusexError as error:
            self.failure = str(error)
            raise
        finally:
            self.draft, self.stage, self.done = None, "", 0.0
            self.revision += 1

    def _wanted(self) -> bool:
        return self._mine is None or self._mine == self._ticket

    def tell(self, stage: str, done: float) -> None:
        """Note what is being done; raises SupersededError where that is no longer wanted."""
        if not self._wanted():
            raise SupersededError
        self.stage, self.done = stage, done

    def open(self) -> None:
        """The first plan: what was decided of this song before, else one that is twice as long as it."""
        kept = find_kept(self.song)
        if kept is not None and SHORTEST_SECONDS <= kept.plan.seconds <= self.longest:
            editing.prepare(self, kept.plan)
            self.take(kept)
            return
        seconds = min(max(FIRST_SHARE * self.song.seconds, 2 * SHORTEST_SECONDS), self.longest)
        try:
            editing.plan_anew(self, float(round(seconds)))
        except DurationError:  # so that there is something to be changed
            editing.plan_anew(self, self.song.seconds)

    def inspect(self) -> None:
        """Find sections, bars and beats."""
        self.stage = "Finding sections and bars"
        self.info = info(self.song)

    def take(self, step: Step) -> None:
        """Let something count from now on."""
        self._set(self.history.add(step))

    def undo(self) -> None:
        """Go back a step; where one was still being made, it is given up, and that is all."""
        if self._given_up:
            return
        self._go(self.history.undo(), "undo")

    def redo(self) -> None:
        """Go forth again."""
        self._go(self.history.redo(), "redo")

    def _go(self, history: History, whither: str) -> None:
        if history == self.history:
            raise MusexError(f"there is nothing to {whither}")
        self._set(history)

    def _set(self, history: History) -> None:
        self.history = history
        step = self.step
        path = self.name if self.dropped else step.plan.song.path
        keep(replace(step, plan=replace(step.plan, song=replace(step.plan.song, path=path))), self.song)

    def draft_sound(self, frames: int, blocks: Iterable[Samples]) -> str:
        """Make the sound of a plan while that is being made; returns its name once it is whole.

        Raises SupersededError if it is no longer wanted.
        """
        with self._lock:
            key, sound = self._new_sound(frames)
        self.draft = key, frames / self.song.sample_rate
        self.revision += 1
        try:
            sound.fill(blocks, wanted=self._wanted)
        except BaseException:
            sound.failed = sound.failed or "it is no longer part of the plan"
            raise
        return key

    def name_sound(self, plan: Plan, key: str) -> None:
        """Say of a sound that it is a plan's."""
        self._sound_ids[identify(plan)] = key

    def alternatives(self, number: int) -> list[Any]:
        """Jumps that could be taken instead of a seam, found once for each plan."""
        asked = identify(self.plan), number
        if asked not in self._alternatives:
            self._alternatives[asked] = editing.find_alternatives(self, number)
        return self._alternatives[asked]

    def set_locks(self, locked: frozenset[Lock]) -> None:
        """Say which seams shall stay."""
        self.take(replace(self.step, locked=locked))


def identify(plan: Plan) -> str:
    """What a plan is known by."""
    return sha256(plan.to_json().encode()).hexdigest()
