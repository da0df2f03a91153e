"""What is seen of jumps, what the packaged head says of them, and that a plan depends on it."""

import numpy as np
import pytest

from musex.analysis.song_analysis import Analysis, analyse_song
from musex.audio.song import Song, song_from_array
from musex.config import FEATURES, TRANSITION_QUESTIONS
from musex.evaluation.baselines import ablate
from musex.evaluation.jumps import share_the_same
from musex.planning.planner import plan_song
from musex.planning.transitions import _strips_of_all, _strips_of_jumps, input_width, judge_jumps, see
from musex.prediction.model import load_model
from musex.seams.bounds import BOUNDS
from musex.settings import Ending

Array = np.ndarray
RATE = FEATURES.sample_rate
BEAT = 0.48  # seconds: neither beats nor bars are whole steps of 100 ms for long
STEPS = FEATURES.steps_per_second


def drums_and_chords(bars: list[int], beats: int, *, beat_seconds: float = BEAT, seed: int = 0) -> Song:
    """A song of bars of so many beats: a kick on the first, snares and hats, and each number its own chord and tune."""
    random = np.random.default_rng(seed)
    length = round(beats * beat_seconds * RATE)
    time = np.arange(length) / RATE
    played = {}
    for number in sorted(set(bars)):
        tones = [np.sin(2 * np.pi * float(hertz) * time) for hertz in random.uniform(150.0, 900.0, 3)]
        bar = 0.12 * np.sum(tones, axis=0)
        for beat in range(beats):
            hit = np.arange(round(0.1 * RATE)) / RATE
            kick = np.sin(2 * np.pi * 60.0 * hit) * np.exp(-hit * 30.0)
            snare = random.standard_normal(len(hit)) * np.exp(-hit * 40.0)
            start = round(beat * beat_seconds * RATE)
            bar[start : start + len(hit)] += 0.25 * kick if beat == 0 else 0.15 * snare
            note = np.sin(2 * np.pi * float(random.uniform(300.0, 1200.0)) * hit) * np.exp(-hit * 15.0)
            bar[start + len(hit) : start + 2 * len(hit)] += 0.2 * note
        played[number] = bar
    samples = np.concatenate([played[number] for number in bars])
    samples[-RATE:] *= np.linspace(1.0, 0.0, RATE)
    return song_from_array(samples[:, None].astype(np.float32), RATE)


@pytest.fixture(scope="module")
def verses() -> Song:
    """Two verses of eight bars that differ in their third line, twice."""
    verse, other = [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 8, 9, 6, 7]
    return drums_and_chords([*verse, *other, *verse, *other], beats=4)


def test_the_place_itself_looks_like_no_jump_at_all(verses: Song) -> None:
    analysis = analyse_song(verses)
    places = np.array([180, 200, 301])
    seen, sub_lags = see(analysis, places, places)
    assert seen.shape == (3, input_width())
    assert np.isfinite(seen).all()
    strips = seen[:, : input_width() - 21]
    np.testing.assert_allclose(strips, 0.0, atol=2e-3)
    np.testing.assert_array_equal(sub_lags, 0)


def test_jumps_are_seen_the_same_whichever_others_there_are(verses: Song) -> None:
    analysis = analyse_song(verses)
    leaves, enters = np.array([500, 120, 250, 40]), np.array([120, 310, 41, 555])
    together, lags = see(analysis, leaves, enters)
    for number in range(len(leaves)):
        alone, lag = see(analysis, leaves[number : number + 1], enters[number : number + 1])
        np.testing.assert_allclose(alone[0], together[number], atol=1e-3)
        assert lag[0] == lags[number]


def test_strips_along_the_jumps_alone_are_those_of_all_steps() -> None:
    rng = np.random.default_rng(0)
    log_mel = rng.normal(-40.0, 10.0, (5 * 700, FEATURES.n_mels)).astype(np.float32)
    analysis = Analysis(log_mel, rng.random((len(log_mel), FEATURES.n_chroma), np.float32))
    leaves, enters = rng.integers(0, 700, (2, 300))
    enters[:100] = (leaves[:100] + rng.choice([-90, 120], 100)) % 700  # many on the same diagonals
    enters += enters == leaves
    leaves[-4:], enters[-4:] = [0, 699, 0, 350], [699, 0, 350, 699]
    along, of_all = (find(analysis, leaves, enters) for find in (_strips_of_jumps, _strips_of_all))
    np.testing.assert_allclose(along, of_all, atol=1e-4)


def test_the_head_tells_a_kept_bar_from_half_a_bar_off(verses: Song) -> None:
    head = load_model().transition_head
    assert head is not None
    bar = 4 * BEAT * STEPS
    leave = round(9.5 * bar)
    enters = np.array([round(leave + 16 * bar), round(leave + 16.5 * bar), round(leave + 16.125 * bar)])
    targets = np.zeros((len(analyse_song(verses).features), 3), np.int64)
    targets[leave] = enters
    possible = np.zeros(targets.shape, bool)
    possible[leave] = True
    odds, _ = judge_jumps(analyse_song(verses), head, targets, possible)
    kept, half, eighth = odds[leave, :, TRANSITION_QUESTIONS.index("bar")]
    assert kept > 1.0
    assert kept > half + 1.0
    assert kept > eighth + 1.0
    assert not odds[leave - 1].any()


@pytest.mark.parametrize("beats", [4, 3, 5])
def test_every_bar_has_its_beats(beats: int) -> None:
    bars = [*range(8), *range(8), 8, 9, 10, 11, *range(8), *range(8)]
    song = drums_and_chords(bars, beats=beats, seed=beats)
    plan = plan_song(song, load_model(), seconds=2.0 * song.seconds)
    assert plan.seams
    assert plan.frames == round(2.0 * song.seconds * song.sample_rate)
    lags = np.array([seam.enter - seam.leave for seam in plan.seams]) / song.sample_rate / (beats * BEAT)
    kept = np.abs(lags - np.rint(lags)) < 0.04
    assert kept.mean() >= 0.5
    assert np.mean(np.abs(lags * beats - np.rint(lags * beats)) < 0.1) == 1.0  # all keep the beat


def plain_loop(beats: int, bars: int, beat_seconds: float = 60 / 128) -> Song:
    """Kick and hat of which every beat sounds like the next; only a low note tells where a bar begins."""
    frames = round(bars * beats * beat_seconds * RATE)
    time = np.arange(frames) / RATE
    beat, into = np.divmod(time, beat_seconds)
    noise = np.random.default_rng(0).standard_normal(round(0.1 * RATE))
    kick = np.sin(2 * np.pi * 55.0 * into) * np.exp(-25.0 * into)
    since = (into - beat_seconds / 2) % beat_seconds
    hat = noise[np.minimum((since * RATE).astype(int), len(noise) - 1)] * np.exp(-60.0 * since)
    note = np.sin(2 * np.pi * 110.0 * into) * np.exp(-5.0 * into) * (beat % beats == 0)
    return song_from_array((0.5 * kick + 0.08 * hat + 0.2 * note)[:, None].astype(np.float32), RATE)


@pytest.mark.parametrize("beats", [4, 3, 5])
def test_a_plain_loop_keeps_its_bars_to_a_duration_of_no_whole_bars(beats: int) -> None:
    song = plain_loop(beats, bars=96 // beats)
    plan = plan_song(song, load_model(), seconds=95.0)
    bar = beats * 60 / 128
    assert plan.frames == 95 * RATE
    lags = np.array([seam.enter - seam.leave for seam in plan.seams]) / RATE / bar
    assert len(lags)
    assert np.all(np.abs(lags - np.rint(lags)) < 0.1 / beats), lags * beats


@pytest.mark.parametrize(
    ("seconds", "ending"), [(8.3, "outro"), (61.3, "outro"), (95.0, "outro"), (130.0, "fade"), (45.3, "loop")]
)
def test_a_beat_of_whole_steps_reaches_any_duration(seconds: float, ending: Ending) -> None:
    song = plain_loop(4, bars=24, beat_seconds=0.6)
    plan = plan_song(song, load_model(), seconds=seconds, ending=ending)
    assert abs(plan.frames - round(seconds * RATE)) <= (0.1 * RATE if ending == "loop" else 0)


def test_what_was_learned_decides_what_is_heard(verses: Song) -> None:
    model = load_model()
    learned = plan_song(verses, model, seconds=150.0)
    shuffled = plan_song(verses, ablate(model, 0)["transition head shuffled"], seconds=150.0)
    assert learned.seams
    jumps, others = ([(seam.leave / RATE, seam.enter / RATE) for seam in plan.seams] for plan in (learned, shuffled))
    assert share_the_same([others], [jumps]) <= 0.3
    again = plan_song(verses, model, seconds=150.0)
    assert again.seams == learned.seams


def test_the_pointer_does_not_see_what_is_being_played(verses: Song) -> None:
    model = load_model()
    memory = model.listen(analyse_song(verses).features)
    pointer = model.predict(memory, np.arange(100, 300), apart=100).starts
    assert (pointer[200:400] == pointer.min()).all()
    assert (model.predict(memory, np.arange(100, 300)).starts[300] > pointer[300]).all()


@pytest.mark.parametrize("faster", [1.5, 2 / 3, 1.03])
def test_most_jumps_into_another_tempo_are_beyond_the_bounds(faster: float) -> None:
    bars, other = [0, 1, 2, 3] * 4, BEAT / faster
    parts = [drums_and_chords(bars, beats=4, beat_seconds=seconds).samples for seconds in (BEAT, other)]
    analysis = analyse_song(song_from_array(np.concatenate(parts), RATE))
    leaves = np.rint(np.arange(4, 12) * 4 * BEAT * STEPS).astype(int)
    enters = np.rint((len(bars) * BEAT + np.arange(4, 12) * other) * 4 * STEPS).astype(int)
    answers = kept(analysis, np.repeat(leaves, 8), np.tile(enters, 8))
    assert np.mean(np.all(answers >= BOUNDS.bar, axis=1)) <= 0.3
    same = kept(analysis, np.repeat(leaves, 8)[::9], np.tile(leaves[[4, 5, 6, 7, 0, 1, 2, 3]], 8)[::9])
    assert np.mean(np.all(same >= BOUNDS.bar, axis=1)) >= 0.9


def kept(analysis: Analysis, leaves: Array, enters: Array) -> Array:
    """How likely jumps keep the beat and the bar, as the packaged head says, (jumps, 2)."""
    head = load_model().transition_head
    assert head is not None
    seen, _ = see(analysis, leaves, enters)
    return np.asarray(1.0 / (1.0 + np.exp(-head.log_odds(seen)[:, :2])))
