"""From activations to beats: where the beats and the bars of a song lie, and how fast it goes.

A network says for each frame how likely a beat and a downbeat are; here the likeliest regular pulse behind that is
found. As in the bar pointer model (Krebs, Böck and Widmer, An efficient state-space model for joint tempo and meter
tracking, ISMIR 2015) the hidden state is a tempo and a place within the beat, tempo changes at beats only, and Viterbi
finds the best path. Between two beats nothing is decided there, so that what they compute frame by frame is computed
here beat by beat, with the same result: a beat at frame t after an interval of τ frames follows a beat at frame t − τ.
A rest, where no pulse is, is one state more. A second, small Viterbi over the beats found counts them into bars.
"""

from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

from musex.system.arrays import Array


@dataclass(frozen=True)
class BarPointerConfig:
    """Prices are in nats, in units of what the activations' log-odds say of one beat.

    Tried on songs whose tempo is known (models/log.md, "Beats") and on pulses with noise, gaps and wrong peaks
    (tests/analysis/test_bar_pointer.py).
    """

    slowest: float = 50.0  # beats a minute
    fastest: float = 220.0
    usual: float = 110.0  # beats a minute
    unusual: float = 0.0  # price of each beat at half or twice that tempo
    change: float = 0.5  # price of any change of the interval from beat to beat: it is whole frames
    elasticity: float = 60.0  # price of a change by 100 %, counted from one frame more or less
    threshold: float = 0.25  # of a beat's usual activation: whatever lies higher speaks for a beat
    loudest: float = 3.0  # the most that one beat's activation may say for it
    missing: float = 2.5  # the most that an activation may say against a beat where there is none
    begin: float = 12.0  # price of beginning a pulse, at first and after each rest
    height_seconds: float = 8.0  # what is usual, is so around here, to either side
    lowest_height: float = 0.1  # activations that stay lower are those of music without a pulse
    smoothing_beats: int = 8  # to either side, of the local regression of beat times
    longest_move: float = 0.012  # seconds: farther the regression moves no clear beat
    # Price of a bar of so many beats.
    bars: dict[int, float] = field(default_factory=lambda: {2: 1.5, 3: 0.7, 4: 0.0, 5: 3.0, 6: 1.5, 7: 3.5})
    bar: float = 0.0  # price of each bar
    bar_change: float = 8.0  # price of another metre from here on, and of a bar broken off
    least_confidence: float = 0.3  # below: no pulse; noise stays below 0.2, see tests/analysis/test_bar_pointer.py
    fewest_beats: int = 8  # of a pulse: fewer are none


CONFIG = BarPointerConfig()
SAME_PLACE, SAME_BEAT = 0.07, 0.2  # seconds, of a beat: what is nearer is together, as `mir_eval.beat` has it
LONGEST_INTERVAL = 1.4  # of the usual one: a rest


@dataclass(frozen=True)
class Beats:
    """The pulse of a song.

    Attributes:
        times: float64 (beats,), seconds, in order; empty where there is no pulse.
        positions: int64 (beats,), place of each beat in its bar, 0 for a downbeat.
        metre: Beats in the most frequent bar; 0 without a pulse.
        tempo: Beats a minute of the song's steady pulse; 0.0 without a pulse.
        confidence: How clearly there is a pulse, 0 to 1.
    """

    times: Array
    positions: Array
    metre: int
    tempo: float
    confidence: float

    @property
    def downbeats(self) -> Array:
        """Times of the first beats of bars, in seconds."""
        return np.asarray(self.times[self.positions == 0])

    @cached_property
    def bar_beats(self) -> Array:
        """Beats of the bar that each beat belongs to, int64 (beats,): of the last one, as many as are usual."""
        bars = np.cumsum(self.positions == 0)
        lengths = np.bincount(bars)[bars]
        return np.asarray(np.where((bars == bars[-1:]) | (bars == 0), np.maximum(lengths, self.metre), lengths))

    def judge(self, leaves: Array, enters: Array) -> dict[str, Array]:
        """Whether jumps go on at the same place between beats, and at the same place of a bar of as many beats.

        Args:
            leaves: seconds of the song at which they leave, (jumps,).
            enters: seconds at which they go on.

        Returns:
            {"beat", "bar": float64 (jumps,)}: 1 where it is kept, 0 where not, NaN where there is no pulse.
        """
        if len(self.times) < 2:
            return {"beat": np.full(len(leaves), np.nan), "bar": np.full(len(leaves), np.nan)}
        before, since, interval = self._phase(np.asarray(leaves, np.float64))
        after, into, _ = self._phase(np.asarray(enters, np.float64))
        heard = np.isfinite(since + into)
        moved = np.where(heard, into - since, 0.0)
        step = np.rint(moved).astype(np.int64)
        beat = np.abs(moved - step) * interval <= np.minimum(SAME_PLACE, SAME_BEAT * interval)
        beats = self.bar_beats[before]
        distance = self.positions[after] + step - self.positions[before]
        bar = beat & (beats == self.bar_beats[after]) & (distance % beats == 0)
        return {"beat": np.where(heard, beat, np.nan), "bar": np.where(heard, bar, np.nan)}

    def _phase(self, seconds: Array) -> tuple[Array, Array, Array]:
        """The beat before each time, how far on the next one is, 0 to 1, and the interval; NaN outside of the pulse."""
        beat = np.clip(np.searchsorted(self.times, seconds, side="right") - 1, 0, len(self.times) - 2)
        interval = self.times[beat + 1] - self.times[beat]
        share = (seconds - self.times[beat]) / interval
        resting = interval > LONGEST_INTERVAL * np.median(np.diff(self.times))
        return beat, np.where(resting | (share < -1.0) | (share > 2.0), np.nan, share), interval


def no_pulse(confidence: float = 0.0) -> Beats:
    """What is said of music in which no beat recurs."""
    return Beats(np.zeros(0), np.zeros(0, np.int64), 0, 0.0, confidence)


def decode(activations: Array, rate: int = 50, config: BarPointerConfig = CONFIG) -> Beats:
    """Find the beats, bars and tempo that activations show.

    Args:
        activations: Probabilities of a beat (downbeats, too) and of a downbeat, (frames, 2). Frame n is the n-th hop,
            its middle at (n + 0.5) / rate, as `musex.analysis.features` counts.
        rate: Frames a second.
        config: Prices and bounds.
    """
    activations = np.clip(np.nan_to_num(np.asarray(activations, np.float64)), 0.0, 1.0)
    if not len(activations):
        return no_pulse()
    background = np.median(activations, axis=0)
    beat, downbeat = (np.maximum(activations - background, 0.0) / np.maximum(1.0 - background, 1e-9)).T
    usual = usual_height(beat, round(config.height_seconds * rate), config)
    frames = track_pulse(beat_evidence(beat, usual, config), rate, config)
    if len(frames) < config.fewest_beats:
        return no_pulse()
    confidence = pulse_confidence(beat, frames)
    if confidence < config.least_confidence:
        return no_pulse(confidence)
    times = refine(beat, usual, frames, rate, config=config)
    positions = count_bars(times, highest_near(downbeat, frames), config)
    return Beats(times, positions, most_frequent_bar(positions), steady_tempo(times), confidence)


def usual_height(beat: Array, reach: int, config: BarPointerConfig = CONFIG) -> Array:
    """How high activations of beats are around each frame, (frames,): a mean in which peaks outweigh all else."""
    sums = np.cumsum(np.pad(np.stack([beat**2, beat**3]), ((0, 0), (1, 0))), axis=1)
    frames = np.arange(len(beat))
    square, cube = sums[:, np.minimum(frames + reach, len(beat))] - sums[:, np.maximum(frames - reach, 0)]
    return np.asarray(np.maximum(cube / np.maximum(square, 1e-12), config.lowest_height))


def beat_evidence(beat: Array, usual: Array, config: BarPointerConfig = CONFIG) -> Array:
    """What each frame says for a beat there, nats (frames,): log-odds beyond those of the threshold.

    Half a peak counts for the frames beside it, as intervals of whole frames miss peaks by one.
    """
    around = np.pad(beat, 1)
    near = np.maximum(beat, 0.7 * np.maximum(around[:-2], around[2:]))
    share = np.clip(0.9 * near / usual, 0.01, 0.99)
    evidence = _log_odds(share) - _log_odds(np.array(config.threshold))
    return np.asarray(np.clip(evidence, -config.missing, config.loudest))


def _log_odds(probability: Array) -> Array:
    return np.asarray(np.log(probability) - np.log1p(-probability))


@cache
def _interval_prices(shortest: int, longest: int, change: float, elasticity: float) -> Array:
    """Prices (before, after) of one interval after another, both in frames from `shortest` to `longest`."""
    intervals = np.arange(shortest, longest + 1, dtype=np.float64)
    difference = np.abs(intervals[:, None] - intervals[None, :])
    return change * (difference > 0) + elasticity * np.maximum(0.0, difference - 1.0) / intervals[:, None]


def track_pulse(evidence: Array, rate: int, config: BarPointerConfig = CONFIG) -> Array:
    """The frames of the beats of the best pulse, int64 (beats,); it rests where nothing speaks for one.

    Blocks of the shortest interval are computed at once: no beat depends on another of its block. Which way the best
    path came is found out on the way back, for its own beats only.
    """
    shortest, longest = int(60.0 * rate / config.fastest) + 1, int(60.0 * rate / config.slowest)
    prices = _interval_prices(shortest, longest, config.change, config.elasticity)
    intervals = np.arange(shortest, longest + 1)
    columns = np.arange(len(intervals))
    unusual = config.unusual * np.log2(60.0 * rate / intervals / config.usual) ** 2
    frames = len(evidence)
    scores = np.full((frames, len(intervals)), -np.inf)  # [t, i]: of the best path to a beat at t, after interval i
    going = np.full((longest + frames, len(intervals)), -np.inf)  # [longest + t, i]: the same where i comes next
    resting = np.zeros(shortest + frames)  # [shortest + t]: of the best path without a beat after t
    last_beat = np.full(shortest + frames, -1)  # where its last one was
    for start in range(0, frames, shortest):
        block = np.arange(start, min(start + shortest, frames))
        played_on = going[longest + block[:, None] - intervals, columns]
        scores[block] = np.maximum(played_on, resting[block, None] - config.begin) + evidence[block, None] - unusual
        going[longest + block] = (scores[block, :, None] - prices).max(axis=1)
        previous = shortest + start - 1
        ended = np.append(resting[previous], scores[block].max(axis=1))
        resting[shortest + block] = np.maximum.accumulate(ended)[1:]
        newest = np.where(ended[1:] >= resting[shortest + block], block, last_beat[previous])
        last_beat[shortest + block] = np.maximum.accumulate(newest)

    beats: list[int] = []
    frame = int(last_beat[-1])
    interval = int(scores[frame].argmax())
    while frame >= 0:
        beats.append(frame)
        if going[longest + frame - intervals[interval], interval] >= resting[frame] - config.begin:
            frame -= int(intervals[interval])
            interval = int((scores[frame] - prices[:, interval]).argmax())
        else:
            frame = int(last_beat[frame])
            interval = int(scores[frame].argmax())
    return np.array(beats[::-1], np.int64)


def highest_near(activation: Array, frames: Array, reach: int = 1) -> Array:
    """The highest activation within `reach` frames of each of `frames`."""
    near = frames[:, None] + np.arange(-reach, reach + 1)
    return np.asarray(np.pad(activation, reach)[near + reach].max(axis=1))


def pulse_confidence(beat: Array, frames: Array, reach: int = 2) -> float:
    """How clearly the activations show these beats, 0 to 1.

    The share of all activation (squared: what lies low everywhere says nothing) that lies at the beats, beyond what
    would lie there by chance, times how many of the beats are there.
    """
    power = beat**2
    near = np.zeros(len(beat), bool)
    near[np.clip(frames[:, None] + np.arange(-reach, reach + 1), 0, len(beat) - 1)] = True
    chance = near[frames[0] : frames[-1] + 1].mean()
    share = power[near].sum() / max(power.sum(), 1e-12)
    presence = np.minimum(1.0, 2.0 * highest_near(beat, frames)).mean()
    return float(np.clip((share - chance) / (1.0 - chance), 0.0, 1.0) * presence)


def refine(beat: Array, usual: Array, frames: Array, rate: int, *, config: BarPointerConfig = CONFIG) -> Array:
    """Times of beats below a frame, float64 (beats,), seconds.

    Each is the vertex of the parabola through the activation's peak. A robust local regression over the neighbours'
    steadies them, and places those that have no peak.
    """
    times, heights = _peaks(beat, frames)
    times /= rate
    clear = np.clip(heights / usual[frames], 0.0, 1.0) ** 2
    smooth = np.concatenate([_regress(times[part], clear[part], config.smoothing_beats) for part in parts(times)])
    moved = np.clip(smooth - times, -config.longest_move, config.longest_move)
    return np.maximum.accumulate(np.maximum(np.where(clear > config.threshold, times + moved, smooth), 0.0))


def _peaks(beat: Array, frames: Array) -> tuple[Array, Array]:
    """Where the activation peaks within a frame of each beat, in frames from the first one's beginning; how high."""
    padded = np.pad(beat, 2)
    best = frames + np.array([0, -1, 1])[np.argmax(padded[frames[:, None] + [2, 1, 3]], axis=1)]
    left, middle, right = (padded[best + shift] for shift in (1, 2, 3))
    bend = np.minimum(left - 2.0 * middle + right, -1e-9)
    return best + 0.5 + np.clip(0.5 * (left - right) / bend, -0.5, 0.5), middle


def parts(times: Array) -> list[slice]:
    """The stretches of beats between rests: where two beats lie farther apart than their neighbours do."""
    intervals = np.diff(times)
    beside = np.pad(intervals, 1, constant_values=np.inf)
    rests = np.flatnonzero(intervals > 1.4 * np.minimum(beside[:-2], beside[2:])) + 1
    borders = [0, *rests.tolist(), len(times)]
    return [slice(start, stop) for start, stop in pairwise(borders)]


def _regress(times: Array, weights: Array, reach: int) -> Array:
    """Beat times smoothed by robust local quadratic regression over `reach` beats to either side (Cleveland, 1979)."""
    count = len(times)
    if count < 4:
        return times
    index = np.arange(count)
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach, count - 1)
    interval = (times[last] - times[first]) / (last - first)
    offsets = np.arange(-reach, reach + 1)
    neighbours = index[:, None] + offsets
    inside = (neighbours >= 0) & (neighbours < count)
    neighbours = np.clip(neighbours, 0, count - 1)
    deviation = times[neighbours] - times[:, None] - interval[:, None] * offsets  # from an even pulse
    powers = (offsets / reach)[:, None] ** np.arange(3)
    kernel = inside * (1.0 - np.abs(offsets / (reach + 1)) ** 3) ** 3
    trust, smooth = np.ones(count), times
    for _ in range(3):
        weight = kernel * (weights * trust)[neighbours]
        normal = np.einsum("bn,np,nq->bpq", weight, powers, powers) + 1e-3 * np.eye(3)
        moments = np.einsum("bn,np,bn->bp", weight, powers, deviation)
        smooth = times + np.linalg.solve(normal, moments[:, :, None])[:, 0, 0]
        residual = np.abs(times - smooth)
        scale = 6.0 * max(float(np.median(residual)), 0.001)
        trust = np.maximum(0.0, 1.0 - (residual / scale) ** 2) ** 2
    return smooth


def count_bars(times: Array, downbeat: Array, config: BarPointerConfig = CONFIG) -> Array:
    """The place of each beat in its bar, int64 (beats,), from the activations of a downbeat at the beats.

    Metre and place are one state; places follow one another, and another metre, or a bar broken off, has its price
    unless there was a rest.
    """
    places = np.array([(metre, place) for metre in config.bars for place in range(metre)])
    first, last = places[:, 1] == 0, places[:, 1] == places[:, 0] - 1
    before = np.arange(len(places)) - 1  # the place before each in its bar
    before[first] = np.flatnonzero(last)
    usual = max(float((downbeat**3).sum() / max(float((downbeat**2).sum()), 1e-12)), config.lowest_height)
    odds = _log_odds(np.clip(0.9 * downbeat / usual, 0.02, 0.98))
    evidence = odds - _log_odds(np.clip((0.9 * downbeat / usual).mean(keepdims=True), 0.02, 0.98)) - config.bar
    prices = np.full(len(times), config.bar_change)
    prices[[part.start for part in parts(times)]] = 0.0
    scores = -np.array([config.bars[int(metre)] for metre in places[:, 0]])
    came = np.zeros((len(times), len(places)), np.int64)
    for beat in range(len(times)):
        if beat:
            anew = int(scores.argmax())
            broken = first & (scores[anew] - prices[beat] > scores[before])
            came[beat] = np.where(broken, anew, before)
            scores = scores[came[beat]] - np.where(broken, prices[beat], 0.0)
        scores = scores + np.where(first, evidence[beat], 0.0)
    path = [int(scores.argmax())]
    for beat in range(len(times) - 1, 0, -1):
        path.append(int(came[beat, path[-1]]))
    return np.asarray(places[path[::-1], 1], np.int64)


def most_frequent_bar(positions: Array) -> int:
    """Beats in most of the bars: from downbeat to downbeat."""
    lengths = np.diff(np.flatnonzero(positions == 0))
    return int(np.bincount(lengths).argmax()) if len(lengths) else int(positions.max()) + 1


def steady_tempo(times: Array, lag: int = 16) -> float:
    """Beats a minute of the pulse that most of the song keeps.

    The most frequent interval, averaged over `lag` beats, is refined by a line through each stretch that keeps it
    within 1 %: a song at 112 beats a minute is told as 112.0 though a frame is 4 % of its beat.
    """
    lag = min(lag, max(1, (len(times) - 1) // 2))
    runs = [times[part] for part in parts(times) if part.stop - part.start > lag] or [times]
    means = [(run[lag:] - run[:-lag]) / lag for run in runs]
    ordered = np.sort(np.concatenate(means))
    within = np.searchsorted(ordered, ordered * 1.01, side="right") - np.searchsorted(ordered, ordered * 0.99)
    usual = float(np.median(ordered[within == within.max()]))
    slopes, weights = [usual], [1e-9]
    for run, mean in zip(runs, means, strict=True):
        steady = np.flatnonzero(np.abs(mean / usual - 1.0) < 0.01)
        for stretch in np.split(steady, np.flatnonzero(np.diff(steady) > 1) + 1):
            if len(stretch):
                kept = run[stretch[0] : stretch[-1] + lag + 1]
                index = np.arange(len(kept)) - (len(kept) - 1) / 2
                weights.append(float(index @ index))
                slopes.append(float(index @ kept) / weights[-1])
    return 60.0 / float(np.average(slopes, weights=weights))
