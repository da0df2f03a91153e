"""What the search for a path weighs: what jumps cost before they have their exact place."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from musex.config import FEATURES
from musex.planning.jumps import Jumps
from musex.seams.alignment import beyond_own
from musex.seams.finder import SEAM_PRICES, SeamPrices

Array = np.ndarray

HEARD_STEPS = 100  # what it costs to hear a horizon is told for so many steps, whatever a model's horizon is


@dataclass(frozen=True)
class SearchConfig:
    """What the search weighs; costs are without unit, a plain good jump costs about 1."""

    tolerance_seconds: float = 0.09  # of the output's duration
    ring_seconds: float = 2.0  # of the song's last ring that may be cut off for an exact duration, …
    rest_seconds: tuple[float, float] = (0.5, 2.0)  # … silence that may follow it instead: this, or up to that where …
    rest_share: float = 0.02  # … so much of the duration is more, …
    off_time: float = 2.0  # … and what a second of either costs: less than a broken bar
    jump: float = 4.5  # any jump: spans of a few seconds, one after another, are restless (models/log.md) …
    jump_in_brief: float = 30.0  # … and so much more in a song of no length: 95 s of a sting have 6 seams (4: 11) …
    brief_song_seconds: float = 60.0  # … fading until it lasts so long: to be heard again and again, it is cut seldom
    urge: float = 0.0  # taken off a jump when it is weighed against staying
    form: float = 1.2  # entering where nothing begins, rather than at a section's beginning
    # Each nat by which the transition head doubts that a jump keeps the beat, the bar, the row, and is written, …
    transition: tuple[float, float, float, float] = (1.0, 1.0, 4.0, 2.0)
    transition_in_mood: tuple[float, float, float, float] = (1.0, 1.0, 0.5, 0.5)  # … where a mood is asked for, …
    transition_scale: float = 2.0  # … all of them times this; 1 and 3 kept as many bars on nine validation modules
    likeness: float = 6.0  # times how unlike both sides sound; only where there is no transition head
    back: float = 2.0  # hearing again what was heard just now …
    back_seconds: float = 40.0  # … fading with how long ago
    pointer: float = 1.0  # a horizon that the pointer does not expect at all
    pointer_cap: float = 8.0  # nats below the best place that count as not at all
    heard: float = 0.6  # a horizon that was heard just before, once
    heard_again: float = 16.0  # and what is above half of that: more than once …
    heard_again_in_mood: float = 2.0  # … where a mood is asked for, whose places may be few
    heard_seconds: float = 40.0  # fading with how long ago
    mood: float = 20.0  # a horizon of one deviation from the mood asked for, where that changes (models/log.md) …
    steady_mood: float = 7.0  # … and where it is one throughout, which may be had with fewer jumps
    brief: float = 1.0  # a jump right at the start, or to right before the ending …
    brief_seconds: float = 8.0  # … fading until this far from it (a sixth of a song at most)
    first_jump_seconds: float = 0.0  # no jump before the song has been played so far
    soon: float = 1.0  # a jump right after another …
    soon_seconds: float = 8.0  # … fading until this long after it
    reuse: float = 0.7  # each use of a jump (or one beside it) before
    most_uses: int = 4
    beside_steps: int = 10  # jumps this near, of about the same distance, count as the same
    unlike: float = 1.0  # a jump (or one beside it) of a plan that this one shall be unlike
    forbidden: float = 50.0  # finite: taken where nothing else reaches the end
    seam: SeamPrices = SEAM_PRICES  # how badly a seam joins; what a bound exceeded costs is taken for jumps, too
    tries: int = 3  # plans made, each shunning the seams beyond their bounds of those before, until there is none
    expected_seam: float = 0.4  # all of these but the level step, before the seam is aligned
    alignments: int = 16  # tried for one decision
    noise: float = 0.3  # scale of the seed's Gumbel noise on each jump, …
    noise_alike: float = 1.0  # … and on all that leave nearby, and all that lead about as far: else seeds differ little
    alike_steps: tuple[int, int] = (40, 4)  # what counts as near, and as about as far

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
    energies = [float(np.vdot(part, part)) for part in (samples[a:b] for a, b in pairwise(bounds))]  # without a copy
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
