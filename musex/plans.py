"""The plan of an output: which spans of the song are played and how they are joined. Small, and renderable again."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np

from musex.config import LONGEST_OUTPUT_SECONDS
from musex.errors import MusexError, suggest
from musex.settings import HIGHEST_DB, LOWEST_DB, STEMS, Settings, StemName
from musex.system.arrays import Array
from musex.system.json_files import check_types, fits, parse_json, read_json_text
from musex.system.named import Named
from musex.system.wording import format_count, format_time

PLAN_VERSION = 1
T = TypeVar("T")


@dataclass(frozen=True)
class PlanSong(Named):
    """The song that a plan is of.

    Attributes:
        path: of its file, as it was named; None if it came from no file.
        sha256: of its file, or of its samples.
        sample_rate: Hz.
        frames: samples of each channel.
        channels: their number.
        stream: which audio stream of the file, from 1; a plan file names it where it is another.
    """

    path: str | None
    sha256: str
    sample_rate: int
    frames: int
    channels: int
    stream: int = 1

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.path).name if self.path else "an array"


@dataclass(frozen=True)
class PlanModel(Named):
    """The model that made a plan, by its name and its file."""

    name: str
    sha256: str


@dataclass(frozen=True)
class PlanSettings(Settings):
    """What was asked for: the settings, and the duration where it is known."""

    requested_seconds: float | None = None

    @classmethod
    def of(cls, settings: Settings, seconds: float | None) -> "PlanSettings":
        """Settings with the duration that was requested."""
        return cls(**{**vars(settings), "requested_seconds": seconds})

    def to_dict(self) -> dict[str, Any]:
        """As JSON has them; without a duration where none is known."""
        return {name: value for name, value in super().to_dict().items() if name != "requested_seconds" or value}


@dataclass(frozen=True)
class Span:
    """A run of consecutive source samples, [start, stop), played without a cut."""

    start: int
    stop: int

    @property
    def frames(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Seam:
    """Where one span ends and the next begins; all positions in samples, the crossfade reaches `fade / 2` around."""

    at: int  # of the output: the middle of the crossfade
    leave: int  # of the source: where the span before ends ("from" in the file)
    enter: int  # of the source: where the span after begins ("to" in the file)
    fade: int
    correlation: float  # of both sides over the crossfade, -1 to 1
    level_db: float  # see `musex.seams.measures.level_error`
    flux_percentile: float  # of the spectral flux at the seam among the song's own
    rhythm_ms: float | None  # how far the onsets of both sides lie apart; None without a pulse to tell by
    beat: float | None = None  # how likely it goes on at the same place between beats, 0 to 1; None where none can tell
    bar: float | None = None  # and at the same place of the bar
    voice: float | None = None  # how surely a word or a line that is sung is cut, 0 to 1; None where nobody sings


@dataclass(frozen=True)
class Beginning:
    """The output begins with sample `start` of the song, and what was decided before is void.

    It would play on to sample `stop` if nothing jumped.
    """

    start: int
    stop: int


@dataclass(frozen=True)
class Part:
    """What is decided at once: samples [start, stop) of the song, and the seam that follows them, if one does."""

    start: int
    stop: int
    seam: Seam | None = None


@dataclass(frozen=True)
class Swap:
    """A stretch whose percussive part comes from elsewhere in the song; all in samples, see `musex.planning.layers`."""

    at: int  # of the output: where it begins
    frames: int
    leave: int  # of the source: what is played there ("from" in the file)
    enter: int  # of the source: whose percussion is heard instead ("to" in the file)
    fade: int


@dataclass(frozen=True)
class Turn:
    """A stretch of the output in which one stem is heard at another level, or from another place of the song.

    All in samples. Its fades reach `fade / 2` around its ends, but at the ends of the output, where it has none. Where
    one turn of a stem ends as the next begins, with the same fade, the one fades into the other.
    """

    stem: StemName
    at: int  # of the output: where it begins
    frames: int
    enter: int | None  # of the source: where the stem is played from ("to" in the file); None: on along the path
    gain_db: float | None  # of the stem; None: silent
    fade: int


@dataclass(frozen=True)
class Plan:
    """A whole output. `song`, `model` and `settings` say what it was made from and how.

    After the last span there may be a `rest`, samples of silence that make the duration exact. Of several `tries`,
    plans made because a seam of those before exceeded its bounds, it is the best one. Where `turns` and the settings'
    mix would make it louder than full scale, `gain_db` lowers all of the output.
    """

    seconds: float
    song: PlanSong
    model: PlanModel
    settings: PlanSettings
    spans: tuple[Span, ...]
    seams: tuple[Seam, ...]
    swaps: tuple[Swap, ...] = ()
    predictions: int = 0
    rest: int = 0
    tries: int = 1
    musex: str = ""  # the version that made it
    turns: tuple[Turn, ...] = ()
    gain_db: float = 0.0
    intro: int = 0  # samples of the output before the loop, which begins where the closing crossfade ends

    @property
    def stream(self) -> int:
        """Which audio stream of the song's file it was made from, from 1."""
        return self.song.stream

    @property
    def song_name(self) -> str:
        """The name of its song's file."""
        return self.song.name

    @property
    def frames(self) -> int:
        """Length of the output in samples at the song's rate."""
        tail = self.closing.fade // 2 if self.intro and self.closing else 0  # the crossfade's second half
        return sum(span.frames for span in self.spans) + tail + self.rest

    @property
    def loops(self) -> bool:
        """Whether its end shall lead to its beginning."""
        return self.settings.ending == "loop"

    @property
    def changes_stems(self) -> bool:
        """Whether stems are heard otherwise than in the song."""
        return bool(self.turns or self.settings.changes)

    @property
    def closing(self) -> Seam | None:
        """The seam from a loop's end to its beginning."""
        return self.seams[-1] if self.seams and len(self.seams) == len(self.spans) else None

    @property
    def loop(self) -> tuple[int, int] | None:
        """What of the output loops: its first sample, and how many it has; None if nothing shall."""
        return (self.intro, self.frames - self.intro) if self.loops else None

    def parts(self) -> tuple[Beginning | Part, ...]:
        """What is played, part by part, as a chain decided it; a rest of silence may follow. Nothing without spans."""
        if not self.spans:
            return ()
        stretches = zip_longest(self.spans, self.seams)
        parts = (Part(span.start, span.stop, seam) for span, seam in stretches)
        return (Beginning(self.spans[0].start, self.spans[-1].stop), *parts)

    @property
    def untouched(self) -> int:
        """How many samples of the song are played from its beginning on as they are."""
        if not self.spans or self.spans[0].start > 0 or self.settings.changes or self.gain_db:
            return 0
        joins: tuple[Seam | Swap | Turn, ...] = (*self.seams, *self.swaps, *self.turns)
        changes = [join.at - join.fade for join in joins]
        return max(0, min([self.spans[0].frames, *changes]))

    def __repr__(self) -> str:
        return f"<Plan of {self.song.name}: {format_time(self.seconds)}, {format_count(len(self.seams), 'seam')}>"

    def places(self, times: Array) -> Array:
        """Which samples of the song are played at output samples `times`; during a rest the last one before it."""
        times = np.minimum(times, self.frames - self.rest - 1)
        lengths = [span.frames for span in self.spans]
        begins = np.cumsum([0, *lengths[:-1]])
        number = np.searchsorted(begins, times, side="right") - 1
        return np.asarray(np.array([span.start for span in self.spans])[number] + times - begins[number])

    def steps(self, step_seconds: float) -> Array:
        """Which step of the song each step of the output plays, for steps of so many seconds: int64 (steps,)."""
        length = self.song.sample_rate * step_seconds
        times = np.ceil(np.arange(0.0, self.frames, length))  # first samples of steps, which may be no whole numbers
        places = self.places(times.astype(np.int64)) / length
        return np.asarray(places.astype(np.int64))

    def to_json(self) -> str:
        """The plan file: one JSON object."""
        content = {"version": PLAN_VERSION, **asdict(self)}
        if self.song.stream == 1:
            del content["song"]["stream"]
        content["settings"] = self.settings.to_dict()
        for seam in content["seams"]:
            if seam["voice"] is None:
                del seam["voice"]
        for join in (*content["seams"], *content["swaps"]):
            join["from"], join["to"] = join.pop("leave"), join.pop("enter")
        for turn in content["turns"]:
            turn["to"] = turn.pop("enter")
        for name in ("turns", "gain_db", "intro"):  # a plan without is as it was before there were any
            if not content[name]:
                del content[name]
        return json.dumps(content, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Read a plan file's text back; raises MusexError if it is damaged or of another version."""
        try:
            content = parse_json(text)
            version = content.pop("version")
            if version != PLAN_VERSION:
                raise MusexError(f"this plan is of version {version}; this musex reads version {PLAN_VERSION}")
            for join in (*content["seams"], *content.get("swaps", ())):
                join["leave"], join["enter"] = join.pop("from"), join.pop("to")
            for turn in content.get("turns", ()):
                turn["enter"] = turn.pop("to")
            content["swaps"] = tuple(Swap(**swap) for swap in content.get("swaps", ()))
            content["turns"] = tuple(Turn(**turn) for turn in content.get("turns", ()))
            content["spans"] = tuple(Span(**span) for span in content["spans"])
            content["seams"] = tuple(Seam(**seam) for seam in content["seams"])
            for name, kind in (("song", PlanSong), ("model", PlanModel), ("settings", PlanSettings)):
                content[name] = _known(kind, name, content[name])
            plan = cls(**content)
            _check_values(plan)
            return plan
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MusexError(f"this is no plan, or a damaged one: {error}") from error

    def save(self, path: Path) -> None:
        path.write_text(self.to_json() + "\n", encoding="utf-8")


def _known(kind: type[T], title: str, content: Any) -> T:
    """A dataclass of what it knows of a file's object; raises TypeError or MusexError for what it cannot hold."""
    if not isinstance(content, dict):
        raise TypeError(f"its {title} cannot be {str(content)[:40]!r}")
    if kind is PlanSong:
        content.setdefault("path", None)
    hints = get_type_hints(kind)
    values = {name: _as_tuples(value) for name, value in content.items() if name in hints}
    for name, value in values.items():
        if not fits(value, hints[name]):
            raise TypeError(f"its {name} cannot be {str(content[name])[:40]!r}")
    for field in fields(kind):  # type: ignore[arg-type] # a dataclass
        if field.name not in values and field.default is MISSING:
            raise TypeError(f"its {title} has no {field.name}")
    return kind(**values)


def _check_values(plan: Plan) -> None:
    """Refuse values of other types than a plan has, or out of range; raises TypeError or ValueError."""
    for part in (plan, *plan.spans, *plan.seams, *plan.swaps, *plan.turns):
        check_types(part)
    if (
        not 0.0 < plan.seconds <= 2 * LONGEST_OUTPUT_SECONDS
        or plan.song.sample_rate < 1
        or plan.predictions < 0
        or plan.tries < 1
        or plan.intro < 0
    ):
        raise ValueError(f"{plan.seconds:g} s at {plan.song.sample_rate} Hz cannot be")
    if not LOWEST_DB <= plan.gain_db <= 0.0:
        raise ValueError(f"its gain of {plan.gain_db:g} dB is out of range: {LOWEST_DB:g} to 0 dB")
    for turn in plan.turns:
        _check_turn(turn, plan.frames)


def _check_turn(turn: Turn, frames: int) -> None:
    """Refuse a turn that fits no output of so many samples; raises ValueError."""
    name = f"its turn of {turn.stem} at output sample {turn.at}"
    if turn.stem not in STEMS:
        raise ValueError(f"{name} is of no stem; musex has {', '.join(STEMS)}{suggest(turn.stem, STEMS)}")
    if not (turn.at >= 0 and 0 < turn.fade <= turn.frames and turn.at + turn.frames <= frames):
        raise ValueError(f"{name} ({turn.frames} samples, fade {turn.fade}) does not fit the output's {frames}")
    if turn.enter is not None and turn.enter < 0:
        raise ValueError(f"{name} is played from sample {turn.enter}, before the song")
    if turn.gain_db is not None and not LOWEST_DB <= turn.gain_db <= HIGHEST_DB:
        raise ValueError(f"{name} is at {turn.gain_db:g} dB: {LOWEST_DB:g} to {HIGHEST_DB:g} dB can be, or null")


def _as_tuples(value: Any) -> Any:
    """Lists, which JSON has, as the tuples that they were."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def common_share(one: Plan, other: Plan, *, within_seconds: float = 0.05) -> float:
    """Share of the shorter output during which two plans of one song play the same place of it, 0 to 1."""
    rate = one.song.sample_rate
    times = np.arange(0, min(one.frames, other.frames), max(1, rate // 10))
    return float(np.mean(np.abs(one.places(times) - other.places(times)) <= within_seconds * rate))


def read_plan(path: str | Path) -> Plan:
    """Read a plan file; raises MusexError if it is missing or damaged."""
    try:
        plan = Plan.from_json(read_json_text(Path(path)))
    except FileNotFoundError as error:
        raise MusexError(f"no such plan: {path}") from error
    except UnicodeDecodeError as error:
        raise MusexError(f"{path} is not a plan: it is no text; name what `musex extend --plan` wrote") from error
    except OSError as error:
        raise MusexError(f"{path} cannot be read: {error.strerror or error}") from error
    except (MusexError, ValueError) as error:
        raise MusexError(f"{path}: {error}") from error
    return plan
