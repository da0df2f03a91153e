"""Arrangements of songs whose stems and bars are known: where stems turn, how far, and by whom it is decided."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import musex
from musex.analysis.song_analysis import Analysis, analyse_signal
from musex.cli.tables import describe_output
from musex.errors import MusexError
from musex.evaluation.baselines import shuffle_file
from musex.planning.arrangement import CONFIG, MODES, arrange, plan_turns
from musex.planning.bars import AGAIN, SongBars, find_again, find_bars, find_purity, lay_bars
from musex.planning.measures import arranged_plays, arrangement_share
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span, Turn
from musex.prediction.arrangement_network import ArrangementNetwork
from musex.rendering.stitch import check_plan, render
from musex.separation.separated import give_stems
from musex.settings import STEMS, Arrange, StemName

Array = np.ndarray
Stems = dict[StemName, Array]

RATE = 11_025
BAR = 2 * RATE
BARS = 32
DRUMS = STEMS.index("drums")


def song_stems() -> Stems:
    """Thirty-two bars: a chord for each of four bars, a bass, drums with a fill in each eighth bar, and a voice that
    sings every other eight bars."""
    random = np.random.default_rng(0)
    times = np.arange(BARS * BAR) / RATE
    bar, into = np.arange(BARS * BAR) // BAR, times % 2.0
    root = np.array([110.0, 146.8, 164.8, 123.5])[bar % 4]
    phase = 2 * np.pi * np.cumsum(root) / RATE
    rest = 0.06 * np.sin(np.outer(phase, [4.0, 5.0, 6.0])).sum(axis=1)
    bass = 0.15 * np.sin(phase) * np.exp(-2.0 * (into % 0.5))
    voice = 0.2 * np.sin(9.0 * phase + 3.0 * np.sin(2 * np.pi * 5.0 * times)) * np.sin(np.pi * (into % 1.0)) ** 0.5
    voice *= bar // 8 % 2
    hits = np.zeros(len(times))
    for number in range(BARS):
        beats = [0.0, 0.5, 1.0, 1.5] + ([1.125, 1.25, 1.375, 1.625, 1.75, 1.875] if number % 8 == 7 else [])
        for beat in beats:
            at, length = round((2.0 * number + beat) * RATE), RATE // 10
            hits[at : at + length] += 0.3 * random.standard_normal(length) * np.exp(-40.0 * np.arange(length) / RATE)
    stems: dict[StemName, Array] = {"voice": voice, "drums": hits, "bass": bass, "rest": rest}
    return {name: stem[:, None].astype(np.float32) for name, stem in stems.items()}


def play_again(stems: Stems, *jumps: tuple[float, float], **settings: object) -> tuple[Plan, musex.Song]:
    """A plan that jumps so, from and to in bars, and plays to the end."""
    song = musex.Song(np.sum(list(stems.values()), axis=0), RATE)
    give_stems(song, stems)
    spans, seams, at, start = list[Span](), list[Seam](), 0, 0
    for leave, enter in jumps:
        stop = round(leave * BAR)
        spans.append(Span(start, stop))
        at, start = at + stop - start, round(enter * BAR)
        seams.append(Seam(at, stop, start, 220, 0.9, 0.0, 0.0, 0.0))
    spans.append(Span(start, song.frames))
    frames = sum(span.frames for span in spans)
    asked = PlanSettings(**settings)  # type: ignore[arg-type]
    model = PlanModel("", "")
    return Plan(frames / RATE, describe_song(song), model, asked, tuple(spans), tuple(seams)), song


@cache
def network() -> ArrangementNetwork:
    return ArrangementNetwork()


THREE_TIMES = ((28.0, 4.0), (28.0, 4.0), (28.0, 4.0))
DOWNBEATS = 2.0 * np.arange(BARS)
ANALYSES: dict[int, tuple[Stems, Analysis]] = {}  # by the identity of stems, which are kept with theirs


def turns_of(
    stems: Stems,
    plan: Plan,
    mode: Arrange,
    seed: int,
    *,
    downbeats: Array = DOWNBEATS,
    by: ArrangementNetwork | None = None,
) -> tuple[Turn, ...]:
    analysis = analysed(stems)
    return arrange(plan, stems, downbeats, mode=mode, seed=seed, network=by or network(), analysis=analysis)


def analysed(stems: Stems) -> Analysis:
    """The analysis of what stems add up to, made once."""
    if id(stems) not in ANALYSES:
        ANALYSES[id(stems)] = stems, analyse_signal(np.sum(list(stems.values()), axis=0), RATE)
    return ANALYSES[id(stems)][1]


def bars_of(stems: Stems) -> SongBars:
    bars = find_bars(stems, DOWNBEATS, RATE, analysed(stems))
    assert bars is not None
    return bars


@pytest.fixture(scope="module")
def stems() -> Stems:
    return song_stems()


@pytest.mark.parametrize("mode", ["subtle", "bold"])
def test_only_what_is_heard_again_turns(stems: Stems, mode: Arrange) -> None:
    plan, song = play_again(stems, *THREE_TIMES)
    count = 0
    for seed in range(4):
        turns = turns_of(stems, plan, mode, seed)
        check_plan(replace(plan, turns=turns), song)
        for turn in turns:
            first, last = turn.at - turn.fade // 2, turn.at + turn.frames + turn.fade // 2
            assert first >= CONFIG.edge_seconds * RATE
            assert last <= plan.frames - CONFIG.edge_seconds * RATE
            assert first >= 28 * BAR
            assert find_again(plan, np.array([first, last]))[0]
        count += len(turns)
    assert count >= 4
    assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)


def test_a_song_heard_once_stays_as_it_is(stems: Stems) -> None:
    plan, _ = play_again(stems)
    assert turns_of(stems, plan, "bold", 0) == ()
    assert turns_of(stems, play_again(stems, *THREE_TIMES)[0], "off", 0) == ()


def test_seeds_give_different_arrangements_and_the_same_one_the_same(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    found = [turns_of(stems, plan, "bold", seed) for seed in range(5)]
    assert len(set(found)) >= 4
    assert turns_of(stems, plan, "bold", 3) == found[3]


def test_what_was_learned_decides_what_plays(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    file = network().path
    differ = 0
    for seed in range(4):
        mixed = ArrangementNetwork(file, shuffle_file(file, seed))
        one, other = (turns_of(stems, plan, "subtle", seed, by=by) for by in (network(), mixed))
        differ += one != other
    assert differ >= 3


def test_a_subtle_arrangement_leaves_out_one_stem_now_and_then(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    for seed in range(6):
        silent = [turn for turn in turns_of(stems, plan, "subtle", seed) if turn.gain_db is None]
        assert all(turn.frames <= 8.3 * BAR for turn in silent)
        for one, other in pairwise(silent):
            assert other.at - one.at - one.frames >= (MODES["subtle"].period_seconds - 1.0) * RATE


def test_something_is_always_heard_and_moves_begin_with_bars(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    for seed in range(4):
        turned = replace(plan, turns=turns_of(stems, plan, "bold", seed))
        plays, _ = arranged_plays(turned, bars_of(stems))
        assert plays.any(axis=1).all()
        for turn in turned.turns:
            if turn.gain_db is None and turn.stem != "voice":
                start = turn.at + turn.fade // 2 + CONFIG.lead_seconds * RATE
                assert abs(start / BAR - round(start / BAR)) < 1e-3


def test_there_are_no_drums_where_there_are_none(stems: Stems) -> None:
    without: Stems = {name: stem for name, stem in stems.items() if name != "drums"}
    silent: Stems = {**without, "drums": 0.001 * stems["drums"]}
    for some in (without, silent):
        plan, _ = play_again(some, *THREE_TIMES)
        turns = [turn for seed in range(3) for turn in turns_of(some, plan, "bold", seed)]
        assert turns
        assert "drums" not in {turn.stem for turn in turns}


def test_stems_that_are_hardly_apart_stay(stems: Stems) -> None:
    whole = np.sum(list(stems.values()), axis=0)
    alike: Stems = dict.fromkeys(STEMS, 0.25 * whole)
    assert find_purity(alike) == pytest.approx(0.25, abs=0.01)
    assert find_purity(stems).min() > 0.6
    plan, _ = play_again(alike, *THREE_TIMES)
    assert not [turn for turn in turns_of(alike, plan, "bold", 0) if turn.gain_db is None]


def test_without_a_pulse_only_levels_change_and_slowly() -> None:
    times = np.arange(60 * RATE) / RATE
    one, other = (0.1 * np.sin(2 * np.pi * hertz * times)[:, None].astype(np.float32) for hertz in (220.0, 330.0))
    pad: Stems = {"voice": one, "rest": other}
    plan, song = play_again(pad, (25.0, 2.0), (25.0, 2.0))
    for mode in ("subtle", "bold"):
        turns = turns_of(pad, plan, mode, 0, downbeats=np.zeros(0))
        assert turns
        for turn in turns:
            assert turn.gain_db == MODES[mode].gentle_db
            assert (turn.enter, turn.fade) == (None, 2 * RATE)
            assert turn.at >= 25 * BAR
        turned = replace(plan, turns=turns)
        levels = [10 * np.log10(np.mean(np.concatenate(list(render(each, song))) ** 2)) for each in (plan, turned)]
        assert abs(levels[0] - levels[1]) < 1.0


def test_loudness_stays_outside_of_breakdowns(stems: Stems) -> None:
    plan, song = play_again(stems, *THREE_TIMES)
    plain = np.concatenate(list(render(plan, song)))
    for mode in ("subtle", "bold"):
        turns = turns_of(stems, plan, mode, 1)
        turned = np.concatenate(list(render(replace(plan, turns=turns), song)))
        kept = np.ones(len(plain), bool)
        for turn in turns:
            if turn.gain_db is None:
                kept[turn.at - turn.fade : turn.at + turn.frames + turn.fade] = False
        assert np.abs(turned - plain).max() > 0.05
        for start in range(0, len(plain) - 60 * RATE, 10 * RATE):
            here = slice(start, start + 60 * RATE)
            powers = [np.mean(np.square(sound[here][kept[here]])) for sound in (plain, turned)]
            assert abs(10.0 * np.log10(powers[1] / powers[0])) < 1.0


def test_a_plan_with_an_arrangement_is_kept(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES, arrange="bold")
    plan = replace(plan, turns=turns_of(stems, plan, "bold", 2))
    assert plan.turns
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.settings.arrange == "bold"


def test_stems_change_places_at_moments_of_their_own(stems: Stems) -> None:
    jumps = (28.0, 4.0), (20.4, 4.4), (28.0, 4.0)  # the second one within a bar
    plan, song = play_again(stems, *jumps)
    seam, found = plan.seams[1], set[str]()
    for seed in range(8):
        for turn in turns_of(stems, plan, "bold", seed):
            goes_on = turn.enter is not None and turn.enter - turn.at == seam.leave - seam.at
            if goes_on and turn.at < seam.at < turn.at + turn.frames:
                found.add(turn.stem)
                end = turn.at + turn.frames + turn.fade // 2 + CONFIG.lead_seconds * RATE
                assert (end - 24 * BAR) / BAR == pytest.approx(round((end - 24 * BAR) / BAR), abs=1e-3)
                check_plan(replace(plan, turns=(turn,)), song)
                assert turn.at + turn.fade // 2 <= seam.at - seam.fade // 2
    assert {"drums", "rest"} <= found


def test_a_fill_of_the_song_leads_to_a_seam(stems: Stems) -> None:
    plan, _ = play_again(stems, (28.0, 4.0), (21.0, 9.0))
    seam = plan.seams[1]
    fills = [
        turn
        for seed in range(12)
        for turn in turns_of(stems, plan, "bold", seed)
        if turn.stem == "drums" and turn.enter is not None and 0 < seam.at - turn.at - turn.frames < 0.1 * RATE
        if turn.frames < 0.6 * BAR
    ]
    assert fills
    for turn in fills:
        assert turn.enter is not None
        assert (turn.enter + 0.01 * RATE) // BAR % 8 == 7


def test_bars_of_an_output_are_those_of_the_song(stems: Stems) -> None:
    plan, _ = play_again(stems, (28.0, 4.0), (20.5, 8.0))
    bars = bars_of(stems)
    assert bars.present.all()
    assert bars.plays[:, 0].tolist() == [number // 8 % 2 == 1 for number in range(BARS)]
    output = lay_bars(plan, bars)
    broken = np.flatnonzero(~output.regular)
    assert len(output) == 28 + 17 + 23  # the bar that is broken off counts, and the last one has no end
    assert output.sources[:45].tolist() == [*range(28), *range(4, 21)]
    assert broken.tolist() == [44]
    assert not output.again[:28].any()
    assert output.again[28:44].all()
    assert 0.9 <= AGAIN <= 1.0


def test_the_share_of_combinations_that_the_song_never_has(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    bars = bars_of(stems)
    assert arrangement_share(plan, bars) == 0.0
    silent = Turn("drums", 30 * BAR, 10 * BAR, None, None, 132)
    output = len(lay_bars(plan, bars))
    assert arrangement_share(replace(plan, turns=(silent,)), bars) == pytest.approx(10 / output)
    quieter = replace(silent, gain_db=-3.0)
    assert arrangement_share(replace(plan, turns=(quieter,)), bars) == 0.0
    voice = Turn("voice", 36 * BAR, 4 * BAR, None, None, 132)  # bars 12 to 16: as bars without a voice are
    assert arrangement_share(replace(plan, turns=(voice,)), bars) == 0.0


def test_what_is_told_of_turns(stems: Stems) -> None:
    plan, _ = play_again(stems, *THREE_TIMES)
    assert "turns" not in describe_output(plan, Path("long.wav"), 1.0)
    turns = Turn("drums", 4 * RATE, 2 * RATE, None, None, 132), Turn("bass", 8 * RATE, RATE, RATE, 0.0, 132)
    told = describe_output(replace(plan, turns=turns), Path("long.wav"), 1.0)["turns"]
    assert told[0] == {"stem": "drums", "at": 4.0, "seconds": 2.0, "to": None, "gain_db": None}
    assert told[1]["to"] == 1.0


def test_what_cannot_be_asked_for_is_said() -> None:
    with pytest.raises(MusexError, match=r"`arrange='bolt'` is not available.*did you mean bold"):
        PlanSettings(arrange="bolt")  # type: ignore[arg-type]


def test_a_song_is_arranged_with_its_own_stems(stems: Stems) -> None:
    plan, song = play_again(stems, *THREE_TIMES)
    turns = plan_turns(plan, song, mode="bold", seed=0)
    check_plan(replace(plan, turns=turns), song)
    assert {turn.stem for turn in turns} <= set(stems)
    assert turns
