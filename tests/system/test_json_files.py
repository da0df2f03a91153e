"""Plans and models whose JSON holds anything at all: used, or refused in words."""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from musex.audio.file_names import find_song
from musex.audio.song import Song, song_from_array
from musex.cli.app import run
from musex.cli.tables import describe_output
from musex.cli.terminal import summarise
from musex.errors import ModelError, MusexError
from musex.planning.planner import describe_song
from musex.plans import Plan, PlanModel, PlanSettings, Seam, Span, Swap, Turn, read_plan
from musex.prediction.model import load_model
from musex.rendering.stitch import render
from musex.seams.bounds import MEASURES, format_measure
from musex.separation.separated import give_stems
from musex.system.json_files import fits, parse_json
from tests.faults.mutators import ODD, places, put

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def song(make_song: Callable[..., np.ndarray]) -> Song:
    return song_from_array(make_song(8.0, 8_000, 1), 8_000)


@pytest.fixture(scope="module")
def content(song: Song) -> dict[str, Any]:
    """A plan with one of everything, as JSON has it."""
    settings = PlanSettings(avoid=((1.0, 2.0),), arc=((0.0, "calm"),), requested_seconds=8.0)
    seam = Seam(16_000, 16_000, 32_000, 400, 0.5, 0.1, 50.0, 1.0, 0.9, 0.8)
    spans = (Span(0, 16_000), Span(32_000, song.frames))
    swap = Swap(8_000, 4_000, 8_000, 40_000, 200)
    about, model = replace(describe_song(song), path="song.wav"), PlanModel("pointer", "0")
    plan = Plan(6.0, about, model, settings, spans, (seam,), (swap,), 3, 0, 1, "0")
    return dict(json.loads(plan.to_json()))


def use(text: str, song: Song) -> None:
    """Everything that is done with a plan but encoding."""
    plan = Plan.from_json(text)
    find_song(plan, Path("plan.json"))
    blocks = render(plan, song)
    if not plan.swaps:
        next(blocks)
    describe_output(plan, Path("a.wav"), 1.0)
    summarise(plan, Path("a.wav"), 1.0)
    for seam in plan.seams:
        assert [format_measure(seam, name) for name in MEASURES]


def test_what_no_plan_asks_for_is_refused(content: dict[str, Any]) -> None:
    for name, odd in (("ending", "bang"), ("novelty", 2.0), ("layers", "some")):
        with pytest.raises(MusexError, match=str(odd)):
            Plan.from_json(json.dumps({**content, "settings": {**content["settings"], name: odd}}))


def test_a_plan_of_an_older_version_is_read(content: dict[str, Any]) -> None:
    older = {name: value for name, value in content.items() if name not in ("musex", "tries", "swaps", "rest")}
    older["settings"] = {"seed": 3, "ending": "fade", "unheard_of": 1}
    plan = Plan.from_json(json.dumps(older))
    assert (plan.settings.seed, plan.settings.ending, plan.settings.requested_seconds) == (3, "fade", None)
    assert (plan.settings["seed"], plan.song["path"], plan.model.get("name"), plan.song.get("x")) == (
        3,
        "song.wav",
        "pointer",
        None,
    )
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_keeps_its_mix_and_its_turns(content: dict[str, Any]) -> None:
    assert not {"turns", "gain_db"} & content.keys()
    assert "mix" not in content["settings"]
    turn = {"stem": "bass", "at": 5_000, "frames": 2_000, "to": 7_000, "gain_db": None, "fade": 200}
    mix = [["drums", [[0.0, None], [60.0, -6.0]]]]
    changed = {**content, "turns": [turn], "gain_db": -1.5, "settings": {**content["settings"], "mix": mix}}
    plan = Plan.from_json(json.dumps(changed))
    assert plan.turns == (Turn("bass", 5_000, 2_000, 7_000, None, 200),)
    assert plan.settings.mix == (("drums", ((0.0, None), (60.0, -6.0))),)
    assert json.loads(plan.to_json()) == changed
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stem": "drum"}, "is of no stem; .* did you mean drums"),
        ({"stem": 3}, "stem cannot be"),
        ({"at": -1}, "does not fit"),
        ({"at": 10**7}, "does not fit"),
        ({"fade": 0}, "does not fit"),
        ({"fade": 2_001}, "does not fit"),
        ({"to": -1}, "before the song"),
        ({"gain_db": 12.5}, "12.5 dB"),
        ({"gain_db": 1e400}, "infinity|Infinity|large|number"),
        ({"frames": 2.5}, "frames cannot be"),
        ({"what": 1}, "what"),
    ],
)
def test_damaged_turns_are_refused(change: dict[str, Any], told: str, content: dict[str, Any]) -> None:
    turn = {"stem": "bass", "at": 5_000, "frames": 2_000, "to": 7_000, "gain_db": None, "fade": 200, **change}
    with pytest.raises(MusexError, match=told):
        Plan.from_json(json.dumps({**content, "turns": [turn]}))
    with pytest.raises(MusexError, match="gain of 1 dB"):
        Plan.from_json(json.dumps({**content, "gain_db": 1.0}))


def test_a_plan_that_lacks_something_says_what(content: dict[str, Any]) -> None:
    for change, told in (
        ({"settings": []}, r"its settings cannot be '\[\]'"),
        ({"song": {"frames": 5}}, "its song has no sha256"),
        ({"model": "pointer"}, "its model cannot be 'pointer'"),
    ):
        with pytest.raises(MusexError, match=told):
            Plan.from_json(json.dumps({**content, **change}))


def test_a_plan_may_be_read_as_dicts(content: dict[str, Any]) -> None:
    plan = Plan.from_json(json.dumps(content))
    assert dict(plan.song) == {**content["song"], "stream": 1}
    assert plan.settings["requested_seconds"] == 8.0
    assert "seed" in plan.settings
    assert "bang" not in plan.settings
    assert {**plan.model} == dict(plan.model.items()) == content["model"]
    assert (plan.stream, plan.song_name, len(plan.model)) == (1, "song.wav", 2)


def test_a_plan_with_anything_anywhere_is_used_or_refused(content: dict[str, Any], song: Song) -> None:
    use_with_anything(content, list(places(content)), song)


def test_changes_of_stems_with_anything_anywhere_are_used_or_refused(content: dict[str, Any], song: Song) -> None:
    give_stems(song, {"drums": 0.25 * song.samples, "rest": 0.75 * song.samples})
    turns = [
        {"stem": "drums", "at": 0, "frames": 2_000, "to": 7_000, "gain_db": None, "fade": 200},
        {"stem": "rest", "at": 3_000, "frames": 2_000, "to": None, "gain_db": -6.0, "fade": 200},
    ]
    settings = {**content["settings"], "mix": [["drums", [[0.0, None], [60.0, -6.0]]]]}
    changed = {**content, "swaps": [], "turns": turns, "gain_db": -1.0, "settings": settings}
    own = [path for path in places(changed) if {"turns", "gain_db", "mix"} & set(path)]
    assert len(own) > 20
    use_with_anything(changed, own, song)


def use_with_anything(content: dict[str, Any], among: list[Any], song: Song) -> None:
    """Use a plan as it is, and with odd values at places of it."""
    use(json.dumps(content), song)
    for path in among:
        for odd in ODD:
            try:
                use(json.dumps(put(content, path, odd)), song)
            except MusexError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it is named
                pytest.fail(f"{path} = {odd!r}: {type(error).__name__}: {error}")


def test_a_model_with_anything_anywhere_is_used_or_refused(tmp_path: Path) -> None:
    content = json.loads((ROOT / "models" / "pointer.json").read_text())
    model = tmp_path / "pointer.tflite"
    model.write_bytes(b"none")
    content = {"format": 1, "network": "pointer", "sha256": content["sha256"], "model": content["model"]}
    for path in places(content):
        for odd in ODD:
            model.with_suffix(".json").write_text(json.dumps(put(content, path, odd)))
            try:
                load_model(model)
            except ModelError:
                continue
            except Exception as error:  # noqa: BLE001
                pytest.fail(f"{path} = {odd!r}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": NaN}', "1e999", "9" * 5_000, '"\\ud800"'])
def test_what_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it |surrogate|Exceeds"):
        parse_json(text)
    with pytest.raises(MusexError, match="no plan"):
        Plan.from_json(text)


def test_devices_and_pipes_are_no_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        reader = threading.Thread(target=pytest.raises, args=(MusexError, read_plan, path), daemon=True)
        reader.start()
        reader.join(10.0)
        assert not reader.is_alive()
        assert run(["render", str(path)]) == 1
        assert "not a regular file" in capsys.readouterr().err


def test_types_are_told_apart() -> None:
    assert fits(3, float)
    assert fits((1, 2.0), tuple[float, ...])
    assert fits(None, float | None)
    assert not any(fits(value, int) for value in (True, 1.0, None, "1"))
    assert not any(fits(value, float) for value in (True, float("nan"), "1"))
    assert not fits((1.0, 2.0, 3.0), tuple[float, float])
    assert fits("fade", Literal["fade", "cut"] | None)
    assert fits("of a later version", Literal["fade", "cut"])
    assert not fits(1, Literal["fade", "cut"])
