"""Where a jump is cut on a song's waveform, how long its crossfade is, and how badly it joins."""

from dataclasses import dataclass

from musex.plans import Seam
from musex.prediction.join_head import JoinHead
from musex.seams.alignment import align_seam
from musex.seams.bounds import exceeded
from musex.seams.fades import longest_fade, possible_fades
from musex.seams.joins import seam_log_odds
from musex.seams.measures import FluxReference, fade_over
from musex.seams.voice import Voice
from musex.system.arrays import Array


@dataclass(frozen=True)
class SeamPrices:
    """How badly a seam joins, in the unit of a path's costs: a plain good jump costs about 1.

    Measured on ten minutes of 60 validation songs by the seam classifier, unless a line says otherwise (models/log.md,
    "Seams").
    """

    disagreement: float = 0.5  # sides that do not correlate at all
    rhythm: float = 0.03  # each millisecond between both sides' attacks
    most_rhythm: float = 50.0  # milliseconds beyond which it costs no more: the attacks are not the same ones
    level: float = 0.6  # each dB of level step; doubled when seams were found at 0.61 instead of 0.65
    free_level: float = 1.0  # dB that cost nothing: the bound of `musex.seams.bounds`
    most_level: float = 12.0  # dB beyond those after which it costs no more
    flux: float = 0.04  # each percent of the flux percentile
    free_flux: float = 80.0  # percent that cost nothing; not measured by itself
    join: float = 0.3  # each nat of the join head's doubt; twice as much found no fewer seams
    join_sure: float = 2.0  # nats of its log-odds from which it does not doubt; not measured by itself
    join_cap: float = 6.0  # nats of doubt after which it costs no more; not measured by itself
    voice: float = 100.0  # a word cut in two; 14 songs with words set over them, "The voice"
    beyond: float = 100.0  # each bound exceeded: nothing that is doubted of a jump outvotes it; "Written, and bounds"


SEAM_PRICES = SeamPrices()


class SeamFinder:
    """Aligns jumps on a song's waveform and says how badly they join; remembers what it found."""

    def __init__(
        self,
        samples: Array,
        sample_rate: int,
        mono: Array,
        *,
        join_head: JoinHead | None,
        prices: SeamPrices,
        voice: Voice | None = None,
    ) -> None:
        """Find seams of samples (frames, channels); `mono` is the same in mono at the features' rate."""
        self.voice = voice
        self.samples, self.sample_rate, self.mono = samples, sample_rate, mono
        self.join_head, self.prices = join_head, prices
        self.reference = FluxReference(samples, sample_rate)
        self._prices: dict[Seam, float] = {}
        self._faded: dict[tuple[Seam, tuple[int, ...]], Seam] = {}

    def align(
        self,
        leave: int,
        enter: int,
        *,
        slide: float,
        keeps_place: bool = False,
        lags: tuple[int, int] | None = None,
    ) -> Seam:
        """The seam of a jump from about sample `leave` to about `enter`; see `align_seam`."""
        seam = align_seam(
            self.samples,
            self.sample_rate,
            leave,
            enter,
            lags=lags,
            slide=slide,
            keeps_place=keeps_place,
            reference=self.reference,
        )
        return self.voice.tell(seam, self.sample_rate) if self.voice else seam

    def choose_fade(self, seam: Seam, *, slide: float, before: int | None = None) -> Seam:
        """The seam with the crossfade that joins best, as the join head hears it.

        Args:
            seam: where the jump is cut.
            slide: seconds by which the cut may move along.
            before: samples between the cut and the crossfade before it, if there is one that it may meet.
        """
        if self.join_head is None:
            return seam
        ends = (seam.leave, seam.enter, len(self.samples) - seam.leave, len(self.samples) - seam.enter)
        longest = min(longest_fade(slide, self.sample_rate, before=before), 2 * min(ends))
        possible = possible_fades(longest, self.sample_rate)
        if (seam, possible) not in self._faded:
            faded = (
                fade_over(self.samples, self.sample_rate, seam, fade, reference=self.reference) for fade in possible
            )
            self._faded[seam, possible] = min([seam, *faded], key=self.price)
        return self._faded[seam, possible]

    def price(self, seam: Seam) -> float:
        """How badly a seam joins, by its measures and by the join head."""
        if seam not in self._prices:
            self._prices[seam] = self._price(seam)
        return self._prices[seam]

    def _price(self, seam: Seam) -> float:
        prices, head = self.prices, self.join_head
        odds = seam_log_odds(head, self.mono, self.sample_rate, seam) if head else 0.0
        return (
            prices.join * min(max(prices.join_sure - odds, 0.0), prices.join_cap)
            + prices.disagreement * (1.0 - max(seam.correlation, 0.0))
            + prices.rhythm * min(seam.rhythm_ms or 0.0, prices.most_rhythm)
            + prices.level * min(max(abs(seam.level_db) - prices.free_level, 0.0), prices.most_level)
            + prices.flux * max(seam.flux_percentile - prices.free_flux, 0.0)
            + prices.voice * (seam.voice or 0.0)
            + prices.beyond * len({*exceeded(seam)} - ({"beat", "bar", "voice"} if seam.beat else {"voice"}))
        )
