"""A song whose loop is known to the sample: an intro, the same phrase twice, an ending."""

import numpy as np

RATE = 44_100
BAR = 2 * RATE  # frames, at 120 beats a minute
INTRO_BARS, PHRASE_BARS, OUTRO_BARS = 2, 8, 2
PHRASE = PHRASE_BARS * BAR
CHORDS = (220.0, 174.6, 130.8, 196.0, 146.8, 164.8, 246.9, 116.5)


def bar(number: int) -> np.ndarray:
    """Two seconds that no other bar repeats, float32 (frames, 2)."""
    rng = np.random.default_rng(number)
    time = np.arange(BAR) / RATE
    root = CHORDS[number % len(CHORDS)]
    tone = sum(np.sin(2 * np.pi * root * ratio * time + rng.uniform(0, 6)) for ratio in (1.0, 1.25, 1.5, 2.0))
    melody = np.concatenate(
        [np.sin(2 * np.pi * root * rng.choice([2.0, 2.25, 2.5, 3.0, 3.5]) * time[: BAR // 8]) for _ in range(8)]
    )
    drum = rng.standard_normal(BAR) * np.exp(-25 * (time % 0.5))
    edge = np.minimum(1.0, np.minimum(np.arange(BAR), np.arange(BAR)[::-1]) / 200.0)
    mono = (0.06 * tone + 0.1 * melody) * edge + 0.12 * drum
    return np.asarray(mono[:, None] * np.array([1.0, 0.8]), np.float32)


def looped_song() -> np.ndarray:
    """Intro, phrase, phrase, ending: 40 s, float32 (frames, 2). What loops is as long as the phrase, to the sample."""
    phrase = [bar(number) for number in range(PHRASE_BARS)]
    intro = [0.4 * bar(100 + number) for number in range(INTRO_BARS)]
    outro = [bar(200 + number) * np.linspace(1.0, 0.0, BAR, dtype=np.float32)[:, None] for number in range(OUTRO_BARS)]
    return np.concatenate([*intro, *phrase, *phrase, *outro]).astype(np.float32)
