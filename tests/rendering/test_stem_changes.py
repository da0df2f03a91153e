"""Stems in an output: what is changed of them, and nothing else, on stems that are known."""

import logging
from dataclasses import replace

import numpy as np
import pytest

import musex
from musex.errors import MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span, Swap, Turn
from musex.rendering.levels import level_plan
from musex.rendering.stems import trace_stem
from musex.rendering.stitch import check_plan, render
from musex.seams.crossfade import crossfade
from musex.separation.separated import give_stems, stems_of
from musex.settings import Mix, Settings

RATE, FRAMES = 8_000, 80_000
HALF = 0.5 * np.pi


def noise(seed: int, *, level: float = 0.1, frames: int = FRAMES) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


def song_of(stems: dict[str, np.ndarray]) -> musex.Song:
    song = musex.Song(sum(stems.values()), RATE)  # type: ignore[arg-type]
    give_stems(song, stems)  # type: ignore[arg-type]
    return song


@pytest.fixture
def stems() -> dict[str, np.ndarray]:
    return {name: noise(number) for number, name in enumerate(("voice", "drums", "bass", "rest"))}


@pytest.fixture
def song(stems: dict[str, np.ndarray]) -> musex.Song:
    return song_of(stems)


def plan_of(song: musex.Song, *turns: Turn, mix: Mix = (), swaps: tuple[Swap, ...] = ()) -> Plan:
    """The song to sample 50 000, and on from 10 000; its crossfade is one that has to be limited."""
    seam = Seam(50_000, 50_000, 10_000, 400, -0.9, 0.0, 0.0, 0.0)
    spans = Span(0, 50_000), Span(10_000, song.frames)
    model, settings = PlanModel("", ""), PlanSettings(mix=mix)
    return Plan(15.0, describe_song(song), model, settings, spans, (seam,), swaps=swaps, turns=turns)


def sound(plan: Plan, song: musex.Song) -> np.ndarray:
    return np.concatenate(list(render(plan, song)))


def silent(stem: str) -> Mix:
    return ((stem, ((0.0, None),)),)  # type: ignore[return-value]


def same(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_crossfades_of_stems_add_up_to_the_songs(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    seam = plan_of(song).seams[0]
    whole = crossfade(song.samples, seam)
    sides = np.abs(song.samples[49_800:50_200]).max(), np.abs(song.samples[9_800:10_200]).max()
    assert np.abs(whole).max() == pytest.approx(max(sides), rel=1e-3)  # it was limited
    same(sum(crossfade(stem, seam, like=song.samples) for stem in stems.values()), whole)  # type: ignore[arg-type]
    alone = sum(crossfade(stem, seam) for stem in stems.values())
    assert np.abs(alone - whole).max() > 0.01


def test_without_a_stem_the_others_are_heard(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    plain = plan_of(song)
    without = sound(plan_of(song, mix=silent("voice")), song)
    others = song_of({name: stem for name, stem in stems.items() if name != "voice"})
    same(without[:49_000], others.samples[:49_000])
    same(without[51_000:], others.samples[11_000:])
    stem = crossfade(stems["voice"], plain.seams[0], like=song.samples)
    same(sound(plain, song)[49_800:50_200] - without[49_800:50_200], stem)


def test_a_mix_of_nothing_is_the_song_and_separates_nothing() -> None:
    song = musex.Song(noise(7), RATE)
    plain = sound(plan_of(song), song)
    even: Mix = (("drums", ((0.0, 0.0), (9.0, 0.0))), ("voice", ((0.0, 0.0),)))
    mixed = plan_of(song, mix=even)
    assert not mixed.changes_stems
    assert sound(mixed, song).tobytes() == plain.tobytes()
    assert level_plan(mixed, song) is mixed


def test_levels_change_evenly(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    plan = plan_of(song, mix=(("bass", ((2.0, None), (4.0, 0.0))),))
    changed = sound(plan, song) - sound(plan_of(song), song)
    gains = np.interp(np.arange(40_000), [16_000, 32_000], [0.0, 1.0])[:, None]
    same(changed[:40_000], stems["bass"][:40_000] * (gains - 1.0))
    assert not changed[32_001:].any()


def test_a_turn_plays_a_stem_from_elsewhere(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    turn = Turn("drums", 20_000, 8_000, 60_000, 0.0, 1_000)
    output, plain = sound(plan_of(song, turn), song), sound(plan_of(song), song)
    assert output[:19_500].tobytes() == plain[:19_500].tobytes()
    assert output[28_500:].tobytes() == plain[28_500:].tobytes()
    drums = stems["drums"]
    same((output - plain)[20_500:27_500], drums[60_500:67_500] - drums[20_500:27_500])
    share = np.sin(HALF * (np.arange(-500, 500) + 500.5) / 1_000)[:, None] ** 2
    same((output - plain)[19_500:20_500], share * (drums[59_500:60_500] - drums[19_500:20_500]))
    same((output - plain)[27_500:28_500], share[::-1] * (drums[67_500:68_500] - drums[27_500:28_500]))


def test_a_turn_from_where_it_is_changes_nothing(song: musex.Song) -> None:
    plain = sound(plan_of(song), song)
    for enter in (None, 20_000):
        turn = Turn("bass", 20_000, 8_000, enter, 0.0, 1_000)
        assert sound(plan_of(song, turn), song).tobytes() == plain.tobytes()


def test_levels_of_turns_and_of_the_mix_multiply(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    turn = Turn("drums", 20_000, 8_000, 60_000, -6.0, 1_000)
    output = sound(plan_of(song, turn, mix=(("drums", ((0.0, 6.0),)),)), song)
    expected = song.samples - stems["drums"]
    expected[21_000:27_000] += stems["drums"][61_000:67_000]
    same(output[21_000:27_000], expected[21_000:27_000])
    same(output[:19_000], expected[:19_000] + 10**0.3 * stems["drums"][:19_000])


def test_turns_in_a_row_fade_into_each_other(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    row = Turn("voice", 20_000, 8_000, 60_000, 0.0, 1_000), Turn("voice", 28_000, 4_000, None, None, 1_000)
    changed = sound(plan_of(song, *row), song) - song_of(stems).samples[[*range(50_000), *range(10_000, FRAMES)]]
    voice, share = stems["voice"], np.cos(HALF * (np.arange(1_000) + 0.5) / 1_000)[:, None] ** 2
    same(changed[27_500:28_500], share * voice[67_500:68_500] - voice[27_500:28_500])
    same(changed[28_500:31_500], -voice[28_500:31_500])


def test_turns_at_the_ends_have_no_fade_there(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    frames = plan_of(song).frames
    turns = Turn("voice", 0, 8_000, 0, None, 1_000), Turn("voice", frames - 8_000, 8_000, None, None, 1_000)
    output = sound(plan_of(song, *turns), song)
    same(output[:7_500], (song.samples - stems["voice"])[:7_500])
    same(output[-7_500:], (song.samples - stems["voice"])[-7_500:])


def test_swaps_are_mixed_with_the_drums(song: musex.Song) -> None:
    swap = Swap(20_000, 8_000, 20_000, 60_000, 200)
    plain, swapped = sound(plan_of(song), song), sound(plan_of(song, swaps=(swap,)), song)
    assert np.abs(swapped - plain).max() > 0.01
    bass = sound(plan_of(song, swaps=(swap,), mix=silent("bass")), song)
    same(bass - sound(plan_of(song, mix=silent("bass")), song), swapped - plain)
    quiet = sound(plan_of(song, swaps=(swap,), mix=silent("drums")), song)
    same(quiet, sound(plan_of(song, mix=silent("drums")), song))


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ([Turn("bass", -1, 100, None, None, 10)], "does not fit"),
        ([Turn("bass", 119_950, 100, None, None, 10)], "does not fit"),
        ([Turn("bass", 0, 100, None, None, 101)], "does not fit"),
        ([Turn("bass", 0, 100, None, None, 0)], "does not fit"),
        ([Turn("bass", 20_000, 100, 4, None, 10)], "does not fit"),
        ([Turn("bass", 20_000, 100, FRAMES - 104, 0.0, 10)], "does not fit"),
        ([Turn("bass", 20_000, 100, None, None, 10), Turn("bass", 20_099, 100, None, None, 10)], "overlap"),
        ([Turn("bass", 20_000, 100, None, None, 10), Turn("bass", 20_100, 100, None, None, 12)], "overlap"),
        ([Turn("bass", 20_000, 100, None, None, 10), Turn("bass", 20_005, 10, None, None, 10)], "overlap"),
    ],
)
def test_turns_that_do_not_fit_are_refused(turns: list[Turn], told: str, song: musex.Song) -> None:
    with pytest.raises(MusexError, match=f"turns? of bass at .*{told}"):
        check_plan(plan_of(song, *turns), song)


def test_turns_that_touch_are_taken(song: musex.Song) -> None:
    ends = Turn("bass", 20_000, 100, 5, None, 10), Turn("bass", 20_110, 100, FRAMES - 105, 0.0, 10)
    check_plan(plan_of(song, *ends, Turn("drums", 20_000, 100, None, None, 10)), song)


def test_a_loop_has_no_turn_at_its_ends() -> None:
    song = musex.Song(noise(1), RATE)
    seam = Seam(70_000, 75_000, 5_000, 400, 0.0, 0.0, 0.0, 0.0)
    plan = replace(plan_of(song), spans=(Span(5_000, 75_000),), seams=(seam,), settings=PlanSettings(ending="loop"))
    check_plan(replace(plan, turns=(Turn("bass", 50, 69_900, None, None, 100),)), song)
    for at in (0, 51):
        with pytest.raises(MusexError, match="end of the loop"):
            check_plan(replace(plan, turns=(Turn("bass", at, 69_900, None, None, 100),)), song)


def test_a_stem_is_traced_as_it_is_heard(song: musex.Song) -> None:
    turns = Turn("bass", 20_000, 8_000, 60_000, -6.0, 1_000), Turn("bass", 40_000, 8_000, None, None, 1_000)
    plan = plan_of(song, *turns, mix=(("bass", ((0.0, 6.0),)),))
    gains, elsewhere = trace_stem(plan, "bass", np.array([0, 20_000, 24_000, 44_000, 60_000]))
    loud = 10**0.3
    np.testing.assert_allclose(gains, [loud, (1 + loud) / 2, 1.0, 0.0, loud], atol=1e-3)  # half a sample of the fade
    np.testing.assert_allclose(elsewhere, [0.0, 0.5, 1.0, 0.0, 0.0], atol=1e-3)


def test_a_stem_that_the_song_has_not_is_told(song: musex.Song, stems: dict[str, np.ndarray]) -> None:
    less = song_of({"drums": stems["drums"], "rest": stems["rest"]})
    with pytest.raises(MusexError, match=r"voice cannot be heard apart .* drums, rest"):
        render(plan_of(less, mix=silent("voice")), less)


def test_what_would_be_too_loud_is_lowered_evenly(caplog: pytest.LogCaptureFixture) -> None:
    stems = {"drums": noise(1), "rest": noise(2)}
    song = song_of({name: 0.7 * stem / np.abs(sum(stems.values())).max() for name, stem in stems.items()})
    loud = plan_of(song, mix=(("drums", ((0.0, 12.0),)),))
    plain = sound(loud, song)
    assert np.abs(plain).max() > 1.0
    with caplog.at_level(logging.WARNING):
        leveled = level_plan(loud, song)
    assert "dB lower" in caplog.text
    assert level_plan(leveled, song) == leveled
    output = sound(leveled, song)
    assert 0.99 < np.abs(output).max() <= 1.0
    same(output, plain * 10 ** (leveled.gain_db / 20))
    assert Plan.from_json(leveled.to_json()) == leveled
    assert not leveled.untouched
    within = plan_of(song, mix=(("drums", ((0.0, 1.0),)),))
    assert level_plan(within, song) == within


def test_the_percussion_filter_gives_the_drums_for_now(samples: np.ndarray) -> None:
    song = musex.Song(samples, 44_100)
    stems = stems_of(song)
    assert stems_of(song) is stems
    same(sum(stems.values()), samples)  # type: ignore[arg-type]
    assert all(stem.dtype == np.float32 and stem.shape == samples.shape for stem in stems.values())


def test_what_is_untouched_ends_with_the_first_turn(song: musex.Song) -> None:
    assert plan_of(song).untouched == 49_600
    assert plan_of(song, Turn("bass", 20_000, 100, None, None, 10)).untouched == 19_990
    assert plan_of(song, mix=silent("bass")).untouched == 0


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        ({"drum": 0.0}, "`mix=drum` is no stem; musex has voice, drums, bass, rest; did you mean drums?"),
        ({"drums": 13.0}, "`mix=drums` at 13 dB is out of range: give -60 to 12 dB, or off"),
        ({"drums": float("nan")}, "out of range"),
        ({"drums": ((60.0, 0.0), (30.0, 0.0))}, "the times of `mix=drums`, 1, 0.5 min, must be in order"),
        ({"drums": ((-1.0, 0.0),)}, "must be in order"),
        ({"drums": ()}, "the times of `mix=drums`, none min"),
        ((("drums", ((0.0, 0.0),)), ("drums", ((0.0, 1.0),))), "`mix=drums` is given twice"),
        ({"drums": "loud"}, "is no mix"),
        (5, "is no mix"),
    ],
)
def test_mixes_that_cannot_be(mix: object, told: str) -> None:
    with pytest.raises(MusexError) as refused:
        Settings(mix=mix)  # type: ignore[arg-type]
    assert told in str(refused.value)


def test_a_mix_may_be_given_by_stem() -> None:
    mix = {"voice": None, "drums": -6, "bass": [(0, None), (60, 0)]}
    made = Settings(mix=mix)  # type: ignore[arg-type]
    bass = ((0.0, None), (60.0, 0.0))
    assert made.mix == (("voice", ((0.0, None),)), ("drums", ((0.0, -6.0),)), ("bass", bass))
    assert set(made.changes) == {"voice", "drums", "bass"}


def test_a_loop_ends_at_the_level_it_begins_with() -> None:
    levels = ((0.0, None), (60.0, 0.0))
    with pytest.raises(MusexError, match="`mix=bass` ends at another level"):
        Settings(mix=(("bass", levels),), ending="loop")
    Settings(mix=(("bass", (*levels, (90.0, None))),), ending="loop")
