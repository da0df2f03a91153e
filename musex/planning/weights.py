"""What the search for a path weighs: what jumps cost before they have their exact place."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from musex.config import FEATURES
from musex.planning.jumps import Jumps
from musex.seams.finder import SEAM_PRICES, SeamPrices
from musex.seams.measures import beyond_own
from musex.system.arrays import Array
from musex.system.spools import let_go

LET_GO_STEPS = 600  # of a long song, that are held at once
HEARD_STEPS = 100  # what it costs to hear a horizon is told for so many steps, whatever a model's horizon is


@dataclass(frozen=True)
class SearchConfig:
    """What the search weighs; costs are without unit, a plain good jump costs about 1 before `jump` is added.

    Each line says what its number was measured on; the tables stand in models/log.md under the title named. "By choice"
    is what was set when it was written, and never measured by itself.
    """

    # How exact an output is, and what takes up what jumps cannot.
    tolerance_seconds: float = 0.09  # of the duration; by choice, so that loops keep to ±0.1 s
    ring_seconds: float = 2.0  # of the last ring that may be cut off; by choice
    rest_seconds: tuple[float, float] = (
        0.5,
        2.0,
    )  # of silence that may follow, always and at most; the same
    rest_share: float = 0.02  # of the duration that silence may last between those; the same
    off_time: float = 2.0  # each second of either, less than a broken bar; groove and waltz, "What keeps the row"

    # Any jump, and where it leads.
    jump: float = 4.5  # any jump, against restlessness; 26 modules held out, "Seeds that differ"
    jump_in_brief: float = 30.0  # added in a song of no length; a sting of 19 s, "One beat off"
    brief_song_seconds: float = 60.0  # length of a song from which nothing is added; the same
    urge: float = 0.0  # taken off a jump when it is weighed against staying; `at` a novelty, and `musex play`
    form: float = 1.2  # entering where nothing begins, without a transition head; tests/benchmark_form.py
    likeness: float = 6.0  # times how unlike both sides sound, without a transition head; by choice
    # Each nat by which the transition head doubts that a jump keeps the beat, the bar, the row, and is written so:
    # 26 modules held out, "Written, and bounds"; where a mood is asked for, "Moods since jumps keep rows".
    transition: tuple[float, float, float, float] = (1.0, 1.0, 2.0, 6.0)
    transition_in_mood: tuple[float, float, float, float] = (1.0, 1.0, 0.5, 0.5)
    transition_scale: float = 2.0  # all four times this; 1 and 3 kept as many bars of 9 modules held out
    back: float = 2.0  # hearing again what was heard just now; by choice
    back_seconds: float = 40.0  # after which a third of that is left; by choice
    pointer: float = 1.0  # a horizon that the pointer does not expect at all; by choice
    pointer_cap: float = 8.0  # nats below the best place that count as not at all; by choice

    # What was heard lately, and moods.
    heard: float = 0.6  # a horizon that was heard just before, once; by choice
    heard_again: float = 16.0  # what is above half of that, more than once; tests/benchmark_repetition.py
    heard_again_in_mood: float = 2.0  # the same where a mood is asked for, whose places may be few; "Moods"
    heard_seconds: float = 40.0  # after which a third of what was heard is left; by choice
    mood: float = 20.0  # a horizon of one deviation from a mood that changes; as `steady_mood`
    steady_mood: float = 7.0  # a horizon of one deviation from one mood throughout; 8 songs, "Moods with fewer jumps"

    # When jumps come.
    brief: float = 1.0  # a jump right at the start, or to right before the ending; by choice
    brief_seconds: float = 8.0  # from there after which nothing is added, a sixth of a song at most; by choice
    first_jump_seconds: float = 0.0  # no jump before the song has been played so far; evaluation's hidden endings
    soon: float = 1.0  # a jump right after another; by choice
    soon_seconds: float = 8.0  # after another from which nothing is added; by choice

    # Jumps that were taken before.
    reuse: float = 0.7  # each use of a jump (or one beside it) before; tests/benchmark_repetition.py
    most_uses: int = 4  # of a jump; more gained nothing in 3 modules held out, "A cost of each jump"
    beside_steps: int = 10  # jumps this near, of about the same distance, count as the same; by choice
    unlike: float = 1.0  # a jump (or one beside it) of a plan that this one shall be unlike; by choice
    forbidden: float = 50.0  # a jump used too often; finite: taken where nothing else reaches the end

    # Seams.
    seam: SeamPrices = SEAM_PRICES  # how badly a seam joins; what a bound exceeded costs is taken for jumps, too
    tries: int = 3  # plans made, each without seams beyond bounds of those before; 7 modules, "What keeps the row"
    expected_seam: float = 0.4  # all of a seam's prices but the level's, before it is aligned; by choice
    alignments: int = 16  # tried for one decision; 24 validation songs, "What a seam beyond its bounds costs"

    # The seed.
    noise: float = 0.3  # scale of the Gumbel noise on each jump; 7 modules held out, "What keeps the row"
    noise_alike: float = 1.0  # scale of the noise that jumps beside each other share; 8 songs, "Seeds that differ"
    alike_steps: tuple[int, int] = (40, 4)  # within which jumps leave, and distances differ, for that; the same

    @property
    def in_mood(self) -> "SearchConfig":
        """The same where a mood is asked for, whose places may be few and far."""
        return replace(self, transition=self.transition_in_mood, heard_again=self.heard_again_in_mood)

    def at(self, novelty: float) -> "SearchConfig":
        """The same for another novelty than 0.5: below it jumps cost more, above it they are wanted for themselves."""
        less, more = max(0.0, 1.0 - 2.0 * novelty), max(0.0, 2.0 * novelty - 1.0)
        return replace(
            self,
            jump=self.jump * (1.0 - more) + 3.0 * less,
            urge=self.urge + 2.5 * more**0.5,
            heard=self.heard * (1.0 - 0.5 * less),
            soon=self.soon * (1.0 + more),
        )


SEARCH = SearchConfig()


def weigh_jumps(
    jumps: Jumps,
    begins: Array,
    config: SearchConfig,
    *,
    has_pulse: bool,
    start: int,
    length: int,
    seed: int,
) -> Array:
    """What each jump costs, wherever in the output it is taken and however its seam turns out: (steps, partners).

    Args:
        jumps: that may be taken.
        begins: how much each step is the beginning of something, (steps,), 0 to 1.
        config: the weights.
        has_pulse: whether the song has beats and bars that a jump may break.
        start: the step at which the output begins.
        length: steps of the song that may be heard.
        seed: of the noise.
    """
    distances, steps, odds = jumps.distances, jumps.steps, jumps.odds
    recent = np.exp(-np.abs(distances) / (config.back_seconds * FEATURES.steps_per_second))
    random = np.random.default_rng(seed)
    noise = random.gumbel(size=distances.shape) * config.noise
    near, far = config.alike_steps
    nearby, as_far = random.gumbel(size=(2, 2 * steps))
    noise += config.noise_alike * (nearby[np.arange(steps) // near, None] + as_far[distances // far])
    brief_song = max(0.0, 1.0 - length / (config.brief_song_seconds * FEATURES.steps_per_second))
    costs = config.jump + config.jump_in_brief * brief_song - noise
    if odds is None:
        costs = costs + config.likeness * jumps.unlikeness + config.form * (1.0 - begins[jumps.targets])
    else:
        doubt = np.logaddexp(0.0, -odds) @ np.array(config.transition, np.float32)  # nats
        doubt = config.transition_scale * doubt + config.seam.beyond * np.sum(odds[..., :2] < 0.0, axis=-1) * has_pulse
        costs = costs + np.where(np.isfinite(jumps.unlikeness), doubt, np.inf)
    costs += np.where(distances > 0, config.back * recent, 0.0)
    brief = min(config.brief_seconds * FEATURES.steps_per_second, steps / 6)
    costs += config.brief * np.clip(1.0 - (np.arange(steps) - start) / brief, 0.0, 1.0)[:, None]
    costs += config.brief * np.maximum(0.0, 1.0 - (steps - jumps.targets) / brief)
    return np.maximum(costs, 0.1).astype(np.float32)


def expect_seams(samples: Array, rate: float, jumps: Jumps, config: SearchConfig) -> Array:
    """What the seam of each jump may cost before it is aligned, by the level step it will have: (steps, partners).

    Args:
        samples: the song, (frames, channels).
        rate: samples per step.
        jumps: that may be taken.
        config: the weights.
    """
    steps, second = jumps.steps, FEATURES.steps_per_second
    bounds = np.minimum(np.rint(np.arange(steps + 1) * rate).astype(np.int64), len(samples))
    energies = []
    for start, stop in pairwise(bounds):
        part = samples[start:stop]
        energies.append(float(np.vdot(part, part)))  # without a copy
        if not len(energies) % LET_GO_STEPS:
            let_go(samples)
    sums = np.concatenate([[0.0], np.cumsum(energies)])
    places = np.arange(steps)
    first, last = np.maximum(places - second, 0), np.minimum(places + second, steps)
    before = 10.0 * np.log10((sums[places] - sums[first]) / np.maximum(bounds[places] - bounds[first], 1) + 1e-10)
    after = 10.0 * np.log10((sums[last] - sums[places]) / np.maximum(bounds[last] - bounds[places], 1) + 1e-10)
    rise, own = after[jumps.targets] - before[:, None], after - before
    step = np.abs(beyond_own(rise, own[:, None], own[jumps.targets]))
    beyond = np.clip(step - 0.5, 0.0, 1.0)  # the cut may yet move it by some tenths
    prices = config.seam
    over = np.clip(step - prices.free_level, 0.0, prices.most_level)
    cost = prices.level * over + prices.beyond * beyond + config.expected_seam
    return np.asarray(cost, np.float32)
