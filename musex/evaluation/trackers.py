"""What hears beats and bars where no score tells them: trackers that neither planning nor rendering uses.

BeatNet was made and trained by others. The beat network of musex learned from scores, some of them modules that the
transition head learned from as well, and hears the same features: where it errs, the search may err alike.
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
