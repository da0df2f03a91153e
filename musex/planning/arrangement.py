"""The arrangement: what is heard again in an output comes back with other stems, as scores would go on.

At the beginnings of phrases and of their halves a *move* may begin: some stems leave, for some bars or one after
another, and come back. The arrangement network says how likely what would then play is, bar by bar, after what has
played in the output so far; among all moves that are allowed, and none, one is drawn by that. Besides, stems change
places at moments of their own around seams, a fill is played before some, and drums come from other places of the same
rhythm: these change nothing of which stem plays, and the network is not asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, permutations

import numpy as np

from musex.analysis.activity import PHRASE_BARS, find_hits, find_strips, to_likeness
from musex.analysis.song_analysis import Analysis, analyse_signal, analyse_song
from musex.audio.song import Song
from musex.planning.bars import OutputBars, SongBars, find_again, find_bars, lay_bars
from musex.planning.layers import PlaceFinder
from musex.plans import Plan, Seam, Turn
from musex.prediction.arrangement_network import (
    LONGEST_RUN,
    ArrangementNetwork,
    hear_bars,
    last_bars,
    see_ahead,
    to_combinations,
)
from musex.prediction.beat_network import BeatNetwork
from musex.separation.separated import stems_of
from musex.settings import STEMS, Arrange, StemName
from musex.system.arrays import Array

DRUMS, VOICE = STEMS.index("drums"), STEMS.index("voice")


@dataclass(frozen=True)
class ArrangeConfig:
    """Where stems may turn, whatever the mode; by choice, not measured, but where it is said."""

    edge_seconds: float = 8.0  # at the output's ends nothing turns
    lead_seconds: float = 0.004  # by which a turn is over before the attack it makes room for
    fades: dict[StemName, float] = field(  # seconds
        default_factory=lambda: {"voice": 0.08, "drums": 0.012, "bass": 0.03, "rest": 0.1}
    )
    voice_slide: float = 0.25  # of a bar, by which a voice leaves or returns earlier, where it is quietest
    quiet_seconds: float = 0.05  # of what is compared for that
    leaves: float = 0.4  # least purity of a stem that may leave: less of one leaves others damaged
    alone: float = 0.55  # least purity of a stem that may be heard alone
    alone_bars: int = 2  # most bars of drums alone
    worn: float = 1.5  # nats by which stems that left before are less likely to do so again, each time
    least_change: float = 0.5  # share of a move's bars in which a stem that leaves would play
    alike: float = 0.5  # least likeness of the bars in which a stem other than drums goes on over another place
    least_on: float = 0.2  # of a bar, for which a stem goes on at least
    even: float = 0.02  # of a bar, by which bars that are exchanged may differ
    fill_db: float = 6.0  # most difference of the levels of a fill and of the drums in its place
    fill: float = 1.5  # how many times as unlike the usual bar of drums as is usual its second half is in a fill
    gentle_seconds: float = 12.0  # of a change of level where there is no pulse
    gentle_fade: float = 2.0
    gentle_share: float = 0.6  # of the song's power: a stem with more of it makes the whole song quieter
    step_seconds: float = 1.0  # between moments that are tried for it


@dataclass(frozen=True)
class ModeConfig:
    """How often and how far an arrangement departs from the song."""

    period_seconds: float  # from the end of a move to the next one, at least
    wish: float  # nats for each bar at which stems leave or return: scores change them less often than is wished here
    most_out: int  # stems that are silent at once
    lengths: tuple[int, ...]  # bars of a move
    most_quiet_db: float  # by which the output may become quieter than the song is
    builds: bool  # whether stems may enter one by one, and drums be heard alone
    stagger: float  # share of the seams at which stems change places at moments of their own
    staggered: tuple[StemName, ...]
    fills: float  # share of the seams before which a fill is played
    other_drums: float  # share of the pieces whose drums come from elsewhere
    gentle_db: float  # of a stem, where there is no pulse


MODES: dict[Arrange, ModeConfig] = {
    "subtle": ModeConfig(45.0, 3.0, 1, (4, 8), 6.0, False, 0.5, ("drums",), 0.0, 0.0, -3.0),
    "bold": ModeConfig(16.0, 4.5, 3, (1, 2, 4, 8), 15.0, True, 0.8, ("drums", "rest", "voice"), 0.5, 0.5, -5.0),
}
CONFIG = ArrangeConfig()


@dataclass(frozen=True, eq=False)
class Move:
    """Which stems are silent in so many bars, bool (bars, 4)."""

    out: Array

    @property
    def bars(self) -> int:
        return len(self.out)

    @property
    def changes(self) -> int:
        """At how many bars stems leave or return, the one after the last included."""
        return int(np.any(np.diff(np.pad(self.out, ((1, 1), (0, 0))).astype(int), axis=0), axis=1).sum())

    @property
    def key(self) -> bytes:
        """The same for moves of the same stems."""
        return np.packbits(self.out.any(axis=0)).tobytes()


def plan_turns(plan: Plan, song: Song, *, mode: Arrange, seed: int) -> tuple[Turn, ...]:
    """The turns of a plan without any, with the song's own stems and the networks that came with musex."""
    analysis = analyse_song(song)
    downbeats = BeatNetwork().track(analysis.log_mel, analysis.chroma).downbeats
    network = ArrangementNetwork()
    return arrange(plan, stems_of(song), downbeats, mode=mode, seed=seed, network=network, analysis=analysis)


def arrange(
    plan: Plan,
    stems: Mapping[StemName, Array],
    downbeats: Array,
    *,
    mode: Arrange,
    seed: int,
    network: ArrangementNetwork,
    analysis: Analysis | None = None,
    config: ArrangeConfig = CONFIG,
) -> tuple[Turn, ...]:
    """Turns of stems for a plan, in what it plays again, in order.

    Args:
        plan: without turns.
        stems: float32 (frames, channels) at the song's rate by their names; they add up to the song.
        downbeats: seconds of the song at which bars begin; none without a pulse.
        mode: how much is turned.
        seed: fixes what is drawn at random.
        network: says what would be written.
        analysis: of the song, where it is known.
        config: where stems may turn.
    """
    if mode == "off" or not stems:
        return ()
    rate = plan.song.sample_rate
    if analysis is None:
        analysis = analyse_signal(np.sum(list(stems.values()), axis=0), rate)
    random = np.random.default_rng(seed)
    bars = find_bars(stems, downbeats, rate, analysis)
    if bars is None:
        turns = list(_change_levels(plan, stems, mode=MODES[mode], random=random, config=config))
    else:
        arranger = _Arranger(plan, stems, bars, mode=MODES[mode], random=random, config=config)
        arranger.take_moves(network)
        arranger.stagger(analysis)
        arranger.fill()
        arranger.exchange_drums(seed)
        turns = arranger.turns
    return tuple(sorted(turns, key=lambda turn: (turn.at, STEMS.index(turn.stem))))


class _Arranger:
    """Collects the turns of one plan."""

    def __init__(
        self,
        plan: Plan,
        stems: Mapping[StemName, Array],
        bars: SongBars,
        *,
        mode: ModeConfig,
        random: np.random.Generator,
        config: ArrangeConfig,
    ) -> None:
        self.plan, self.stems, self.bars, self.mode, self.random, self.config = plan, stems, bars, mode, random, config
        self.rate = plan.song.sample_rate
        self.output: OutputBars = lay_bars(plan, bars)
        self.turns: list[Turn] = []
        self.taken: dict[bytes, int] = {}  # how often moves of the same stems were
        self.plays = bars.plays[self.output.sources]
        edge = config.edge_seconds * self.rate
        inside = (self.output.bounds[:-1] >= edge) & (self.output.bounds[1:] <= plan.frames - edge)
        self.free = self.output.again & self.output.regular & inside

    def take_moves(self, network: ArrangementNetwork) -> None:
        """Let stems leave and return, as the network would write it among what is allowed."""
        writer = _Writer(network, self.bars, self.output)
        at, quiet_until = 1, 0.0
        while at < len(self.output):
            moves = list(self._moves(at)) if self._may_begin(at, quiet_until) else []
            if not moves:
                at += 1
                continue
            none = Move(np.zeros((1, len(STEMS)), bool))
            likelihoods = writer.judge(at, [none.out, *(move.out for move in moves)])
            wishes = np.array([0.0, *(self._wish(move) - np.log(len(moves)) for move in moves)])
            drawn = int(np.argmax(likelihoods + wishes + self.random.gumbel(size=len(wishes))))
            move = [none, *moves][drawn]
            if drawn:
                self.taken[move.key] = self.taken.get(move.key, 0) + 1
                writer.play(at, move.out)
                self._silence(at, move)
                quiet_until = float(self.output.bounds[at + move.bars]) + self.mode.period_seconds * self.rate
            at += move.bars

    def _wish(self, move: Move) -> float:
        return self.mode.wish * move.changes - self.config.worn * self.taken.get(move.key, 0)

    def _may_begin(self, at: int, quiet_until: float) -> bool:
        """Whether a move may begin with a bar: at the beginning of a phrase's half, or before that of the next one."""
        place = self.bars.places[self.output.sources[at]]
        usual = place % (PHRASE_BARS // 2) == 0 or (self.mode.builds and place >= PHRASE_BARS - 2)
        return bool(usual and self.free[at - 1] and self.free[at] and self.output.bounds[at] >= quiet_until)

    def _moves(self, at: int) -> Iterator[Move]:
        """Every move that is allowed from a bar on."""
        room = int(np.argmin(np.append(self.free[at : at + PHRASE_BARS], False)))
        place = int(self.bars.places[self.output.sources[at]])
        leaving = [
            stem
            for stem in range(len(STEMS))
            if self.bars.present[stem] and self.bars.purity[stem] >= self.config.leaves
        ]
        for bars in self.mode.lengths:
            if bars > room or (bars < 4 and (place + bars) % PHRASE_BARS):
                continue  # what is short leads to a phrase
            for count in range(1, self.mode.most_out + 1):
                for some in combinations(leaving, count):
                    move = Move(np.zeros((bars, len(STEMS)), bool))
                    move.out[:, list(some)] = True
                    if self._is_allowed(at, move):
                        yield move
        if self.mode.builds and place == 0 and room >= PHRASE_BARS:
            yield from (move for move in self._builds() if self._is_allowed(at, move))

    def _builds(self) -> Iterator[Move]:
        """Stems that enter one by one, two bars each, the last one with the next phrase or before it."""
        present = np.flatnonzero(self.bars.present).tolist()
        for order in permutations(present):
            if len(order) > 2 and self.bars.purity[order[0]] >= self.config.alone:
                out = np.zeros((PHRASE_BARS, len(STEMS)), bool)
                for number, stem in enumerate(order):
                    out[: 2 * number, stem] = True
                yield Move(out)

    def _is_allowed(self, at: int, move: Move) -> bool:
        """Whether a move changes something, leaves enough to be heard, and nothing alone that would not sound well."""
        config, here = self.config, slice(at, at + move.bars)
        plays, powers = self.plays[here], self.bars.powers[self.output.sources[here]]
        for stem in np.flatnonzero(move.out.any(axis=0)).tolist():
            silent = move.out[:, stem]
            if self.bars.purity[stem] < config.leaves or plays[silent, stem].mean() < config.least_change:
                return False
        kept = plays & ~move.out
        if not kept.any(axis=1).all():
            return False
        alone = (kept.sum(axis=1) == 1) & (plays.sum(axis=1) > 1)
        if alone.any():
            solo = kept[alone].argmax(axis=1)
            if not self.mode.builds and len(np.unique(solo)) and plays[alone].sum(axis=1).max() > 2:
                return False
            if (self.bars.purity[solo] < config.alone).any() or np.sum(solo == DRUMS) > config.alone_bars:
                return False
        left = np.where(move.out, 0.0, powers).sum(axis=1)
        return bool(np.all(left >= self.bars.usual_power * 10.0 ** (-self.mode.most_quiet_db / 10.0)))

    def _silence(self, at: int, move: Move) -> None:
        """Turns of the stems that a move leaves out."""
        for stem in np.flatnonzero(move.out.any(axis=0)).tolist():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], move.out[:, stem].astype(int), [0]])))
            for first, last in edges.reshape(-1, 2).tolist():
                self._add(stem, at + first, at + last, enter=None, gain_db=None)

    def _add(self, stem: int, first: int, last: int, *, enter: int | None, gain_db: float | None) -> bool:
        """Turn a stem from bar `first` to before bar `last`, unless it turns there already."""
        name = STEMS[stem]
        fade = round(self.config.fades[name] * self.rate)
        start, stop = (int(self.output.bounds[bar]) for bar in (first, last))
        early = round(self.config.lead_seconds * self.rate) + fade // 2
        if stem == VOICE and enter is None:
            start, stop = self._quietest(start), self._quietest(stop)
        turn = Turn(name, start - early, stop - start, None if enter is None else enter - early, gain_db, fade)
        return self._keep(turn)

    def _keep(self, turn: Turn) -> bool:
        """Keep a turn that fits the output and the song and meets no other of its stem."""
        half = turn.fade // 2
        first, last = turn.at - half, turn.at + turn.frames + half
        edge = round(self.config.edge_seconds * self.rate)
        fits = turn.frames > 2 * turn.fade and first >= edge and last <= self.plan.frames - edge
        if turn.enter is not None:
            fits &= turn.enter >= half and turn.enter + turn.frames + half <= self.plan.song.frames
        for other in self.turns:
            reach = other.fade // 2
            if other.stem == turn.stem and first < other.at + other.frames + reach and other.at - reach < last:
                return False
        if fits:
            self.turns.append(turn)
        return fits

    def _quietest(self, at: int) -> int:
        """Where the voice is quietest in the quarter of a bar before a sample of the output."""
        config, voice = self.config, self.stems["voice"]
        window = round(config.quiet_seconds * self.rate)
        starts = np.arange(at - round(config.voice_slide * self.bars.length), at, max(1, window // 4))
        places = self.plan.places(np.maximum(starts, 0))
        levels = [float(np.square(voice[place : place + window]).sum()) for place in places.tolist()]
        lowest = int(np.argmin(np.array(levels[::-1])))  # the last of several
        return int(starts[::-1][lowest]) + window // 2

    def stagger(self, analysis: Analysis) -> None:
        """At seams, let stems go on where they were: drums until the bar, harmony over it, a voice until the phrase."""
        strips = find_strips(analysis, self.bars.bounds / self.rate)
        for seam in self.plan.seams:
            at = int(np.searchsorted(self.output.bounds, seam.at, side="right")) - 1
            if self.random.random() >= self.mode.stagger or not 1 <= at < len(self.output) - 1:
                continue
            old, new = self.bars.find(seam.leave), self.bars.find(seam.enter)
            if not self._in_step(seam, old, new):
                continue
            for name in self.mode.staggered:
                stem, bars = STEMS.index(name), self._bars_on(name, old)
                last = min(at + bars, len(self.output))
                whole = self.free[at - 1 : last].all() and old + last - at < len(self.bars.activity)
                if not whole or not self.bars.present[stem] or self.bars.purity[stem] < self.config.leaves:
                    continue
                some, others = (np.minimum(bar + np.arange(last - at), len(strips) - 1) for bar in (old, new))
                alike = name == "drums" or bool(np.all(to_likeness(strips, some, others) >= self.config.alike))
                if alike and self.plays[at, stem] and self.bars.plays[old : old + last - at, stem].all():
                    self._go_on(stem, seam, last)

    def _bars_on(self, name: StemName, old: int) -> int:
        """How many bars a stem goes on where it was, the one with the seam in it included."""
        if name == "voice":
            return int(PHRASE_BARS // 2 - self.bars.places[old] % (PHRASE_BARS // 2))
        return 1 if name == "drums" else 2

    def _in_step(self, seam: Seam, old: int, new: int) -> bool:
        """Whether a seam goes on at the same place of bars that are as long."""
        into = np.array([seam.leave - self.bars.bounds[old], seam.enter - self.bars.bounds[new]])
        lengths = np.diff(self.bars.bounds)[[old, new]]
        tolerance = self.config.even * self.bars.length
        return bool(abs(into[0] - into[1]) <= tolerance and abs(lengths[0] - lengths[1]) <= tolerance)

    def _go_on(self, stem: int, seam: Seam, last: int) -> None:
        """Play a stem on from where a seam leaves until a bar of the output begins."""
        name = STEMS[stem]
        fade = round(self.config.fades[name] * self.rate)
        early = seam.fade // 2 + fade  # before the seam both are the same
        end = int(self.output.bounds[last]) - round(self.config.lead_seconds * self.rate) - fade // 2
        if end - seam.at >= self.config.least_on * self.bars.length:
            self._keep(Turn(name, seam.at - early, end - seam.at + early, seam.leave - early, 0.0, fade))

    def fill(self) -> None:
        """In the bar before some seams, play the second half of a bar whose drums are a fill."""
        fills = self._find_fills()
        for seam in self.plan.seams:
            near = int(np.argmin(np.abs(self.output.bounds - seam.at)))
            at = near - 1
            if self.random.random() >= self.mode.fills or not 1 <= at < len(self.output) or not len(fills):
                continue
            source = int(self.output.sources[at])
            if not (self.free[at - 1] and self.free[at] and self.plays[at, DRUMS]) or source in fills:
                continue
            start, stop = self.output.bounds[at : at + 2].tolist()
            lengths = np.diff(self.bars.bounds)[fills]
            drums = self.bars.powers[:, DRUMS]
            louder = np.abs(10.0 * np.log10((drums[fills] + 1e-12) / (drums[source] + 1e-12)))
            even = np.abs(lengths - (stop - start)) <= self.config.even * self.bars.length
            fitting = fills[even & (louder <= self.config.fill_db)]
            if len(fitting):
                chosen = int(self.random.choice(fitting))
                fade = round(self.config.fades["drums"] * self.rate)
                early = round(self.config.lead_seconds * self.rate) + fade // 2
                middle, half = (start + stop) // 2, (stop - start) - (stop - start) // 2
                enter = round(
                    self.bars.bounds[chosen] + 0.5 * (self.bars.bounds[chosen + 1] - self.bars.bounds[chosen])
                )
                self._keep(Turn("drums", middle - early, half, enter - early, 0.0, fade))

    def _find_fills(self) -> Array:
        """Bars of the song whose drums play something else in their second half, before a phrase begins: numbers."""
        if not self.bars.present[DRUMS] or self.mode.fills <= 0.0:
            return np.zeros(0, np.int64)
        rises = find_hits(self.stems["drums"], self.bars.bounds)
        half = rises[:, rises.shape[1] // 2 :]
        playing = self.bars.plays[:, DRUMS]
        usual = np.median(half[playing], axis=0)
        unlike = np.linalg.norm(half - usual, axis=1)
        limit = max(self.config.fill * float(np.median(unlike[playing])), 0.25 * float(np.linalg.norm(usual)), 1e-9)
        places = self.bars.places % (PHRASE_BARS // 2)
        powers = self.bars.powers[:, DRUMS]
        busy = powers >= np.median(powers[playing])
        return np.flatnonzero(playing & (unlike > limit) & busy & (places == PHRASE_BARS // 2 - 1))

    def exchange_drums(self, seed: int) -> None:
        """Play drums of other places with the same rhythm where all of a piece was heard before and nothing turns."""
        if self.mode.other_drums <= 0.0 or not self.bars.present[DRUMS] or self.plan.swaps:
            return
        whole = np.sum(list(self.stems.values()), axis=0)
        finder = PlaceFinder(whole, self.stems["drums"], self.rate, seed=seed)
        fade = round(self.config.fades["drums"] * self.rate)
        for at, source, frames in finder.pieces(self.plan):
            if (
                self.random.random() >= self.mode.other_drums
                or not find_again(self.plan, np.array([at, at + frames]))[0]
            ):
                continue
            if (enter := finder.partner(source, frames)) is not None:
                self._keep(Turn("drums", at, frames, enter, 0.0, fade))


class _Writer:
    """What the output has played so far, and how likely the network finds what may come next."""

    def __init__(self, network: ArrangementNetwork, bars: SongBars, output: OutputBars) -> None:
        self.network, self.present = network, bars.present
        self.activity = bars.activity[output.sources].copy()
        self.likeness, self.places = bars.likeness[output.sources], bars.places[output.sources]
        self.plays = bars.plays[output.sources].copy()

    def play(self, at: int, out: Array) -> None:
        """Write down that stems are silent from a bar on."""
        self.activity[at : at + len(out)][out] = 0.0
        self.plays[at : at + len(out)][out] = False

    def judge(self, at: int, outs: list[Array]) -> Array:
        """Nats of what would play in the bars to come, float64 (moves,), each with some stems silent in them."""
        config = self.network.config
        horizon = min(config.horizon_bars, len(self.plays) - at)
        heard = hear_bars(self.activity[:at], self.likeness[:at], self.places[:at], config)
        past = last_bars(heard, config.past_bars)
        first = max(0, at - LONGEST_RUN - max(config.lags))
        plays = np.repeat(self.plays[None, first : at + horizon], len(outs), axis=0)
        for row, out in zip(plays, outs, strict=True):
            coming = row[at - first :]
            coming[: len(out)] &= ~out[: len(coming)]
        places = np.broadcast_to(self.places[first : at + horizon], plays.shape[:2])
        rows = see_ahead(plays, places, self.present, config)[:, at - first :]
        rows = np.pad(rows, ((0, 0), (0, config.horizon_bars - horizon), (0, 0)))
        told = self.network.log_likelihoods(np.repeat(past[None], len(outs), axis=0), rows)
        numbers = to_combinations(plays[:, at - first :])
        nats = np.take_along_axis(told[:, :horizon], numbers[..., None], axis=-1)[..., 0]
        return np.asarray(nats.sum(axis=1), np.float64)


def _change_levels(
    plan: Plan, stems: Mapping[StemName, Array], *, mode: ModeConfig, random: np.random.Generator, config: ArrangeConfig
) -> Iterator[Turn]:
    """Gentle changes of level where there is no pulse: now one stem, now another, is quieter for a while."""
    rate = plan.song.sample_rate
    powers = {name: float(np.square(stem, dtype=np.float64).mean()) for name, stem in stems.items()}
    whole = sum(powers.values())
    names = [name for name, power in powers.items() if 1e-3 * whole < power <= config.gentle_share * whole]
    frames, fade = round(config.gentle_seconds * rate), round(config.gentle_fade * rate)
    edge = round(config.edge_seconds * rate) + fade
    at, step = edge, round(config.step_seconds * rate)
    while names and at + frames <= plan.frames - edge:
        if not find_again(plan, np.array([at - fade, at + frames + fade]))[0]:
            at += step
            continue
        yield Turn(names[int(random.integers(len(names)))], at, frames, None, mode.gentle_db, fade)
        at += frames + round(mode.period_seconds * (0.8 + 0.4 * random.random()) * rate)
