"""What hears beats and bars where no score tells them: trackers that neither planning nor rendering uses.

BeatNet was made and trained by others. The beat network of musex learned from scores, some of them modules that the
transition head learned from as well, and hears the same features: where it errs, the search may err alike.

How far they are right, where a score knows: 26 modules held out (`musex evaluate MODULES/ --scores`; biniax2-data,
ceferino-data, gweled, madbomber-data, pachi-data, penguin-command and vodovod, outputs of 420 s), as far as they hear
a clear pulse in them. Means of the modules' shares, 95 % intervals over modules:

| it says that a jump keeps the bar, of those … | BeatNet | beats.tflite |
|---|---|---|
| of musex that keep it (130, 175) | 0.69 [0.51, 0.84] | 0.85 [0.74, 0.95] |
| of PyMusicLooper that keep it (76, 99) | 0.57 [0.35, 0.79] | 0.80 [0.62, 0.95] |
| at random, attacks aligned, that keep it (99, 128) | 0.56 [0.40, 0.72] | 0.80 [0.68, 0.91] |
| of the search without transition head that break it (42, 52) | 0.19 [0.03, 0.38] | 0.12 [0.00, 0.29] |
| at random, attacks aligned, that break it (52, 56) | 0.01 [0.00, 0.03] | 0.00 |

Of the beats that musex' jumps keep they say so of all, and of 0.99. How many bars they miss depends on the kind of jump
and on the song, most with BeatNet, so that no one number corrects their shares.
"""

from collections.abc import Callable, Mapping
from functools import cache

from musex.analysis import beatnet
from musex.analysis.bar_pointer import Beats, no_pulse
from musex.analysis.song_analysis import Analysis
from musex.config import FEATURES
from musex.prediction.beat_network import BeatNetwork

CLEAR_PULSE = 0.6  # of a tracker's confidence: of songs below it, it says nothing

_load_network = cache(BeatNetwork)


def _track_by_beatnet(analysis: Analysis) -> Beats:
    return beatnet.track(analysis.mono, FEATURES.sample_rate)


def _track_by_network(analysis: Analysis) -> Beats:
    return _load_network().track(analysis.log_mel, analysis.chroma)


TRACKERS: Mapping[str, Callable[[Analysis], Beats]] = {"BeatNet": _track_by_beatnet, "beats.tflite": _track_by_network}


def hear_beats(analysis: Analysis) -> dict[str, Beats]:
    """The beats of a song by tracker; no pulse where the tracker does not hear a clear one.

    Raises ModelError if the weights of one are missing or damaged.
    """
    tracked = ((name, track(analysis)) for name, track in TRACKERS.items())
    return {name: beats if beats.confidence >= CLEAR_PULSE else no_pulse(beats.confidence) for name, beats in tracked}
