"""What may be asked of a plan besides its duration; a plan keeps it under `settings`."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal, TypedDict, get_args

from musex.config import LONGEST_OUTPUT_SECONDS
from musex.errors import DurationError, MusexError, suggest
from musex.system.named import Named

Ending = Literal["outro", "fade", "cut", "loop"]
Layers = Literal["off", "auto", "on"]
Voice = Literal["whole", "off"]
Arrange = Literal["off", "subtle", "bold"]
Order = Literal["given", "flow"]  # of the songs of a mix
Mood = Literal["calm", "bright", "intense", "dark"]
StemName = Literal["voice", "drums", "bass", "rest"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
VOICES: tuple[Voice, ...] = get_args(Voice)
LAYERS: tuple[Layers, ...] = get_args(Layers)
ARRANGES: tuple[Arrange, ...] = get_args(Arrange)
STEMS: tuple[StemName, ...] = get_args(StemName)  # which add up to the song: rest is what is left of it
# Arousal and valence, in deviations from the song's median.
MOODS: dict[str, tuple[float, float]] = dict(
    zip(get_args(Mood), ((-1.2, 0.3), (0.4, 1.2), (1.2, 0.0), (-0.2, -1.2)), strict=True)
)
MoodPoints = tuple[tuple[float, Mood], ...]  # seconds of the output, and the mood asked for then
Stretch = tuple[float, float]  # of the song, from and to, in seconds
JumpEnds = tuple[float | None, float | None]  # where a jump leaves and enters, in seconds of the song; None: anywhere
Hit = tuple[float | Literal["peak"], float]  # a place of the song, and when in the output it is heard, in seconds
Levels = tuple[tuple[float, float | None], ...]  # seconds of the output, and a stem's level then in dB; None: silent
Mix = tuple[tuple[StemName, Levels], ...]
WISHES = ("must", "forbid", "require", "hits")  # which places and jumps of the song are heard, by hand
LOWEST_DB, HIGHEST_DB = -60.0, 12.0  # of a stem's level, by choice


def check_seconds(seconds: Any) -> float:
    """Return the duration if it is one; raises DurationError for zero, negative, not finite, over 24 h."""
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        raise DurationError(f"`seconds={seconds!r}` is no duration: give a number")
    if fault := find_fault(float(seconds)):
        raise DurationError(f"`seconds={float(seconds):g}` is no duration: {fault}")
    return float(seconds)


def find_fault(seconds: float) -> str:
    """Why a number of seconds is no duration to be asked for; nothing where it is one."""
    if 0.0 < seconds <= LONGEST_OUTPUT_SECONDS:
        return ""
    return f"give more than 0, and {LONGEST_OUTPUT_SECONDS / 3600:g} h at most"


def check_length(seconds: Any, settings: "Settings") -> float | None:
    """As `check_seconds`; None is a loop as long as the song has it, where that is what the settings ask for.

    Raises:
        DurationError: The duration is none, or there is none and the ending needs one.
        MusexError: There is none, and the settings are of what is played when, which is the song's own then.
    """
    if seconds is not None:
        return check_seconds(seconds)
    if settings.ending != "loop":
        raise DurationError(
            "no duration is given: how long shall it last? Give `seconds=`; only `ending='loop'` has one of its own"
        )
    for name in ("novelty", "mood", "arc", "layers", "arrange"):
        value = getattr(settings, name)
        if value != getattr(Settings, name):
            shown = value if isinstance(value, str) else ""
            raise MusexError(
                f"`{name}={shown}` is for outputs of a length: a loop without one is the song as it is; say how long "
                "it shall last, or leave that out"
            )
    return None


class Options(TypedDict, total=False):
    """The settings as keyword arguments of the public functions; `Settings` says what each means."""

    seed: int
    ending: Ending
    intro: bool
    keep_from: float | None
    keep_to: float | None
    avoid: tuple[Stretch, ...]
    must: tuple[Stretch, ...]
    forbid: tuple[JumpEnds, ...]
    require: tuple[JumpEnds, ...]
    hits: tuple[Hit, ...]
    nearest: bool
    novelty: float
    mood: Mood | None
    arc: MoodPoints
    layers: Layers
    voice: Voice
    arrange: Arrange
    mix: Any  # a `Mix`, or levels by stem as a mapping


@dataclass(frozen=True)
class Settings(Named):
    """How a song shall be extended.

    Attributes:
        seed: Fixes everything drawn at random: varies the choice among jumps that are about as good.
        ending: "outro" for the song's own ending, "fade" or "cut" at the duration, "loop" to run into the
            output's own beginning, which is then the loop's first sample rather than the song's.
        intro: Whether the song from its beginning to the loop comes before the loop; the duration is the loop's alone.
        keep_from: Seconds of the song before which jumps neither leave nor enter; without it wherever it is usable.
        keep_to: Seconds of the song after which they do not; without it wherever it is usable.
        avoid: Stretches of the song that are never heard.
        must: Stretches of the song that are heard without a cut.
        forbid: Jumps that are not taken, by where they leave and enter, to a bar; None for anywhere.
        require: Jumps that are taken, told in the same way.
        hits: Places of the song and when in the output they are heard, within 0.05 s; "peak" for the song's climax.
        nearest: Whether the output lasts as long as a phrase ends nearest to the duration, within 8 s, instead.
        novelty: 0 as the song goes, with few jumps, to 1, with many.
        mood: "calm", "bright", "intense" or "dark": which places of the song are played more.
        arc: The same for some times of the output, as (seconds, mood) in order; between them it changes evenly.
        layers: "on" to exchange the percussion of what is heard again for that of places with the same rhythm, "auto"
            where the output is four times as long as the song, "off" to play the song as it is.
        voice: "whole" to cut no word and no held note of a voice where the song offers other places, "off" not to
            listen for a voice, which saves its time.
        arrange: "subtle" or "bold" to bring back what is heard again with other stems, as `musex.planning.arrangement`
            has it; "off" to play them as the song does.
        mix: How loud stems are, as (stem, levels), levels as (seconds of the output, dB or None for silent) in order;
            between them the amplitude changes evenly. Also taken as a mapping of stems to levels, or to one level.
    """

    seed: int = 0
    ending: Ending = "outro"
    intro: bool = False
    keep_from: float | None = None
    keep_to: float | None = None
    avoid: tuple[Stretch, ...] = ()
    must: tuple[Stretch, ...] = ()
    forbid: tuple[JumpEnds, ...] = ()
    require: tuple[JumpEnds, ...] = ()
    hits: tuple[Hit, ...] = ()
    nearest: bool = False
    novelty: float = 0.5
    mood: Mood | None = None
    arc: MoodPoints = ()
    layers: Layers = "off"
    voice: Voice = "whole"
    arrange: Arrange = "off"
    mix: Mix = ()

    def __post_init__(self) -> None:
        """Refuse what means nothing for any song; raises MusexError. Lists become tuples."""
        for name in ("avoid", "arc", *WISHES):
            object.__setattr__(self, name, tuple(map(tuple, getattr(self, name))))
        choices = {"ending": ENDINGS, "layers": LAYERS, "voice": VOICES, "arrange": ARRANGES}
        for name, words in choices.items():
            value = getattr(self, name)
            if value not in words:
                listed = ", ".join(words) + suggest(value, words)
                raise MusexError(f"`{name}={value!r}` is not available; musex has {listed}")
        seed: Any = self.seed
        if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) < 0:
            raise MusexError(f"`seed={seed!r}` is no seed: give a whole number from 0 on")
        novelty: Any = self.novelty
        if not isinstance(novelty, Real) or not 0.0 <= float(novelty) <= 1.0:
            raise MusexError(f"`novelty={novelty!r}` is out of range: 0 for few jumps to 1 for many")
        start, stop = self.keep_from or 0.0, self.keep_to
        if start < 0.0:
            raise MusexError(f"`keep_from={start:g}` lies before the song: give 0 or more")
        if stop is not None and not start < stop:
            raise MusexError(
                f"there is nothing to keep from {start:g} s to {stop:g} s: `keep_to=` must be after `keep_from=`"
            )
        for start, stop in self.avoid:
            if not 0.0 <= start < stop:
                raise MusexError(
                    f"there is nothing to avoid from {start:g} s to {stop:g} s: it must end after it starts"
                )
        self._check_wishes()
        if self.mood is not None and self.arc:
            raise MusexError(f"`mood={self.mood!r}` and `arc=` are both given: give one of them")
        for _, mood in self.moods:
            if mood not in MOODS:
                given = f"`mood={mood!r}`" if self.mood is not None else f"{mood!r} in `arc=`"
                listed = ", ".join(MOODS)
                raise MusexError(f"{given} is not known; musex has {listed}{suggest(mood, MOODS)}")
        times = [seconds for seconds, _ in self.arc]
        if any(not 0.0 <= seconds < math.inf for seconds in times) or any(b <= a for a, b in pairwise(times)):
            listed = ", ".join(f"{seconds / 60:g}" for seconds in times)
            raise MusexError(f"the times of `arc=`, {listed} min, must be in order, each once, from 0 on")
        object.__setattr__(self, "mix", parse_levels(self.mix))
        check_mix(self.mix, loops=self.ending == "loop")
        if self.intro:
            self._check_intro()

    def _check_intro(self) -> None:
        """Refuse an intro beside what it does not go with; raises MusexError."""
        if self.ending != "loop":
            raise MusexError(f"`intro=True` is for loops, and `ending={self.ending!r}` is none: give `ending='loop'`")
        if self.layers != "off" or self.arrange != "off":
            raise MusexError("`intro=True` plays the song as it is: leave out `layers=` and `arrange=`")
        if any(len(levels) > 1 for _, levels in self.mix):
            raise MusexError(
                "`intro=True` needs one level of each stem: `mix=` over time would jump as the loop begins"
            )

    def _check_wishes(self) -> None:
        """Refuse what no path can follow; raises MusexError."""
        for start, stop in self.must:
            if not 0.0 <= start < stop < math.inf:
                raise MusexError(f"nothing must be heard from {start:g} s to {stop:g} s: it must end after it starts")
            for begin, end in self.avoid:
                if max(start, begin) < min(stop, end):
                    raise MusexError(
                        f"`must=` wants {start:g} s to {stop:g} s of the song to be heard, `avoid=` {begin:g} s to "
                        f"{end:g} s not: they must not overlap"
                    )
        for name in ("forbid", "require"):
            for ends in getattr(self, name):
                told = ">".join("" if end is None else f"{end:g}" for end in ends)
                if ends == (None, None) or any(end is not None and not 0.0 <= end < math.inf for end in ends):
                    raise MusexError(f"`{name}={told}` is no jump: say where it leaves, or where it enters, or both")
        times = [seconds for _, seconds in self.hits]
        for place, seconds in self.hits:
            known = place == "peak" if isinstance(place, str) else 0.0 <= place < math.inf
            if not known or not 0.0 <= seconds < math.inf:
                raise MusexError(f'`hits=` has {place}@{seconds:g}: give a place of the song, or "peak", and a time')
        if any(b <= a for a, b in pairwise(times)):
            listed = ", ".join(f"{seconds:g}" for seconds in times)
            raise MusexError(f"the times of `hits=`, {listed} s, must be in order, each once")
        if wish := next(
            (name for name in ("hits", "must", "require") if self.ending == "loop" and getattr(self, name)), ""
        ):
            raise MusexError(
                f"a loop begins where it closes best: `{wish}=` is for other endings than loop; for loops there are "
                "`keep_from=`, `keep_to=` and `avoid=`"
            )

    @property
    def changes(self) -> dict[StemName, Levels]:
        """The stems that the mix changes, and their levels; nothing where all are as they are in the song."""
        return {stem: levels for stem, levels in self.mix if any(level != 0.0 for _, level in levels)}

    @property
    def moods(self) -> MoodPoints:
        """The arc, or the one mood as an arc; nothing if neither is asked for."""
        return self.arc or (((0.0, self.mood),) if self.mood is not None else ())

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them, for the plan."""
        lists = {name: [list(pair) for pair in getattr(self, name)] for name in ("avoid", "arc", *WISHES)}
        content = {**asdict(self), **lists, "mix": [[stem, [list(p) for p in levels]] for stem, levels in self.mix]}
        usual = {"voice": "whole", "arrange": "off", "mix": [], "nearest": False, "intro": False}
        usual |= {name: [] for name in WISHES}
        for name, value in usual.items():  # older plans have none of them
            if content[name] == value:
                del content[name]
        return content


def parse_levels(mix: Any) -> Mix:
    """A mix as settings keep it; raises MusexError where it has another form."""
    try:
        stems = mix.items() if isinstance(mix, Mapping) else mix
        return tuple((str(stem), _points(levels)) for stem, levels in stems)  # type: ignore[misc] # names: see check_mix
    except (TypeError, ValueError) as error:
        raise MusexError(
            f"`mix={mix!r}` is no mix: give levels by stem, such as {{'voice': None, 'drums': -6.0}}"
        ) from error


def _points(levels: Any) -> Levels:
    if levels is None or isinstance(levels, Real):
        levels = ((0.0, levels),)
    return tuple((float(seconds), None if level is None else float(level)) for seconds, level in levels)


def check_mix(mix: Mix, *, loops: bool = False) -> None:
    """Refuse a mix of unknown stems, or of levels and times that cannot be; raises MusexError."""
    for number, (stem, levels) in enumerate(mix):
        if stem not in STEMS:
            raise MusexError(f"`mix={stem}` is no stem; musex has {', '.join(STEMS)}{suggest(stem, STEMS)}")
        if stem in [name for name, _ in mix[:number]]:
            raise MusexError(f"`mix={stem}` is given twice: give it once; levels over time are {stem}=0:off,1:0dB")
        for _, level in levels:
            if level is not None and not LOWEST_DB <= level <= HIGHEST_DB:
                raise MusexError(
                    f"`mix={stem}` at {level:g} dB is out of range: give {LOWEST_DB:g} to {HIGHEST_DB:g} dB, or off"
                )
        times = [seconds for seconds, _ in levels]
        ordered = all(0.0 <= seconds < math.inf for seconds in times) and all(a < b for a, b in pairwise(times))
        if not times or not ordered:
            listed = ", ".join(f"{seconds / 60:g}" for seconds in times) or "none"
            raise MusexError(f"the times of `mix={stem}`, {listed} min, must be in order, each once, from 0 on")
        if loops and levels[0][1] != levels[-1][1]:
            raise MusexError(f"`mix={stem}` ends at another level than it begins with: a loop's end is its beginning")
