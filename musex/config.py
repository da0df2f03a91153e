"""Every constant and hyper-parameter, once. Derived values are properties that refuse a remainder."""

from dataclasses import dataclass, field
from typing import Literal, get_args


def exact_div(dividend: int, divisor: int) -> int:
    """Divide, refusing a remainder."""
    quotient, remainder = divmod(dividend, divisor)
    if remainder:
        raise ValueError(f"{dividend} is not a multiple of {divisor}")
    return quotient


@dataclass(frozen=True)
class FeatureConfig:
    """What the network hears: log-mel, chroma and onset strength, one row per step of 100 ms.

    No size was measured against others; models and caches depend on all of them.
    """

    sample_rate: int = 22_050  # half of 44 100: sound up to 11 kHz
    n_fft: int = 2048  # 93 ms
    hop_length: int = 441  # one frame, 20 ms
    n_mels: int = 64
    n_chroma: int = 12
    frames_per_step: int = 5  # a step is 100 ms
    floor_db: float = -100.0  # a full-scale sine peaks near -17 dB in area-normalised bands

    @property
    def step_length(self) -> int:
        """Samples at `sample_rate` in one step."""
        return self.hop_length * self.frames_per_step

    @property
    def frames_per_second(self) -> int:
        return exact_div(self.sample_rate, self.hop_length)

    @property
    def steps_per_second(self) -> int:
        return exact_div(self.sample_rate, self.step_length)

    @property
    def width(self) -> int:
        """Numbers in one row: log-mel, then chroma, then onset strength per frame."""
        return self.n_mels + self.n_chroma + self.frames_per_step


@dataclass(frozen=True)
class PointerConfig:
    """The `pointer` network: sizes in steps, widths in channels.

    What each part gives was measured by leaving it out (models/README.md, "What its parts give"); the widths were not
    measured against others.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    context_seconds: int = 20
    horizon_seconds: int = 10
    lags: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200)  # match windows, steps; by the first alone 0.28 dB worse
    embedding_channels: int = 32  # 0: nothing learned is compared, which is as good after a tenth of the training
    strip_channels: int = 32
    sharpness: tuple[float, ...] = (30.0, 15.0, 10.0, 6.0, 4.0, 2.0)  # of the heads at first
    mixture_channels: int = 24
    dropout: float = 0.1
    generates: bool = True  # a gated mixture of copies and means plus a residual, not only copies: 0.14 dB
    looks_ahead: bool = True  # starts are judged by what follows them, too: 10 points of skill

    @property
    def heads(self) -> int:
        return len(self.sharpness)

    @property
    def context_steps(self) -> int:
        return self.context_seconds * self.features.steps_per_second

    @property
    def horizon_steps(self) -> int:
        return self.horizon_seconds * self.features.steps_per_second


@dataclass(frozen=True)
class BeatConfig:
    """The beat network: what it hears of each frame, and how far around."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # frames, of each residual block
    hears_chroma: bool = False

    @property
    def width(self) -> int:
        """Numbers of one frame: the log-mel, and the chroma if it is heard."""
        return self.features.n_mels + self.hears_chroma * self.features.n_chroma

    @property
    def reach(self) -> int:
        """Frames to either side that have a say in one."""
        return 3 + 2 * sum(self.dilations)


@dataclass(frozen=True)
class SingingConfig:
    """The singing network: what it hears of each frame, and how far around."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    filters: tuple[int, ...] = (8, 16, 24)  # of its convolutions over time and bands, after each half as many bands
    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)  # frames, of each residual block

    @property
    def reach(self) -> int:
        """Frames to either side that have a say in one."""
        return 2 * len(self.filters) + sum(self.dilations)


@dataclass(frozen=True)
class VoiceConfig:
    """The voice's U-Net: what it hears, as Spleeter was trained."""

    sample_rate: int = 44100
    n_fft: int = 4096
    hop_length: int = 1024
    bins: int = 1024  # of the spectrum that are heard, up to 11 kHz
    block: int = 64  # frames: it hears a multiple of them


@dataclass(frozen=True)
class ArrangementConfig:
    """The arrangement network: sizes in bars, widths in channels. What it hears stands beside the code that runs it."""

    past_bars: int = 32
    horizon_bars: int = 8
    stems: int = 4
    lags: tuple[int, ...] = (1, 2, 4, 8, 16)  # bars before each one whose stems it is told of
    likeness_lags: int = 3  # of `musex.analysis.activity.BAR_LAGS`
    phrase_bars: int = 8
    units: int = 48
    attention_units: int = 16

    @property
    def combinations(self) -> int:
        """Of stems that play or do not."""
        return int(2**self.stems)

    @property
    def past_width(self) -> int:
        """Numbers of a bar heard: activity, what plays, likeness, place of the phrase, whether there is such a bar."""
        return 2 * self.stems + self.likeness_lags + self.phrase_bars + 1

    @property
    def ahead_width(self) -> int:
        """Numbers of a bar to come: place, stems of earlier bars and whether there are such, stems there are, runs."""
        return self.phrase_bars + len(self.lags) * (self.stems + 1) + 2 * self.stems


FEATURES = FeatureConfig()
VOICE = VoiceConfig()


@dataclass(frozen=True)
class SeparatorConfig:
    """The separator: the spectrogram whose masks it predicts, and its size. Reasons and figures: models/log.md."""

    sample_rate: int = 44_100
    n_fft: int = 4096  # 93 ms
    hop_length: int = 1024
    block_frames: int = 384  # that are separated at once: 9 s
    overlap_frames: int = 64  # in which one block's masks give way to the next one's
    fine_bins: int = 288  # of the lowest frequencies, up to 3.1 kHz, each has a mask of its own
    group_bins: int = 4  # that share one above
    bands: tuple[tuple[int, int], ...] = ((24, 4), (16, 12), (10, 14), (6, 50))  # numbers, and cells of each
    widths: tuple[int, ...] = (24, 48, 96, 192)  # channels at each depth; from one to the next times and bands halve
    dilations: tuple[int, ...] = (1, 2, 4, 8)  # in time, at the greatest depth

    @property
    def bins(self) -> int:
        """Frequencies that get masks: all but the highest."""
        return exact_div(self.n_fft, 2)

    @property
    def cells(self) -> int:
        """Masks of a frame: single frequencies, and groups of them above."""
        cells = self.fine_bins + exact_div(self.bins - self.fine_bins, self.group_bins)
        if sum(number * width for number, width in self.bands) != cells:
            raise ValueError(f"the bands {self.bands} do not have {cells} cells")
        halved = 2 ** (len(self.widths) - 1)
        for count in (self.block_frames, self.overlap_frames, sum(number for number, _ in self.bands)):
            exact_div(count, halved)
        return cells


Units = Literal["shared", "own"]  # of `paper`: the hidden layers of its recurrent units over time
LSTM_UNITS: dict[Units, int] = {"shared": 338, "own": 2783}  # of `lstm`: as many weights as `paper` with such units


@dataclass(frozen=True)
class WaveformConfig:
    """The generative references `paper` and `lstm`: they hear and predict one vector of samples for each second.

    Seconds and the use of LeakyReLU are the paper's; what it leaves open is settled in `training/networks/paper.py`.
    """

    sample_rate: int = FEATURES.sample_rate
    context_seconds: int = 20
    horizon_seconds: int = 10
    widths: tuple[int, ...] = (64, 128, 256, 512)  # of `paper`: its hidden layers
    slope: float = 0.3  # of `paper`: below zero, in its LeakyReLU
    units: int = 338  # of `lstm`: 38.6 million weights, as `paper` with shared units
    hidden: Units = "shared"  # of `paper`: whether a part's units share their hidden layers, or each has its own

    @property
    def clip_seconds(self) -> int:
        """What a training example lasts: context and horizon."""
        return self.context_seconds + self.horizon_seconds


Network = Literal["pointer", "paper", "lstm"]  # what may be trained
Strategy = Literal["mirrored", "multiworker"]  # what a training is shared among: GPUs of one machine, or machines
Precision = Literal["auto", "float32", "mixed"]  # "mixed": convolutions multiply bfloat16, weights stay float32
GENERATIVE = ("paper", "lstm")  # the networks that predict the waveform itself
Quality = Literal["small", "good", "best"]  # of lossy formats, which is asked for in place of a bit rate
QUALITIES: tuple[Quality, ...] = get_args(Quality)
LONG_STEPS = 9000  # 15 min: what takes a song's length squared is done throughout for songs of no more steps
TRANSITION_QUESTIONS = ("beat", "bar", "row", "written")  # which of these a jump keeps, as the transition head says
POINTER_SECONDS = (2, 5, 10)  # the pointer's three distributions: what fits the next 2, 5 and 10 s
IMPOSSIBLE = -30.0  # log-probability of a place that the pointer rules out
SHORTEST_SONG_SECONDS = 5.0  # of a song that can be made longer
LONGEST_OUTPUT_SECONDS = 24 * 3600.0  # a day
