"""Loading a model, and what the packaged one knows."""

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from musex.analysis.features import analyse
from musex.config import IMPOSSIBLE
from musex.errors import ModelError
from musex.extension import pointing
from musex.prediction import trial
from musex.prediction.described import packaged_model
from musex.prediction.model import load_model
from tests.phrases import compose


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        load_model(tmp_path / "none.tflite")
    content = packaged_model().read_bytes()
    settings = json.loads(packaged_model().with_suffix(".json").read_text())
    (tmp_path / "pointer.tflite").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"no pointer\.json"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text(json.dumps(settings | {"format": 99}))
    with pytest.raises(ModelError, match="format 99"):
        load_model(tmp_path)
    (tmp_path / "pointer.json").write_text("{")
    with pytest.raises(ModelError, match="does not describe"):
        load_model(tmp_path)


def copy_packaged(folder: Path) -> None:
    """The packaged models, with their descriptions, where no packaged model is."""
    for path in packaged_model().parent.glob("*.*"):
        if path.suffix in (".json", ".tflite"):
            shutil.copy(path, folder)


@pytest.mark.parametrize(("name", "heard"), [("hop_length", 512), ("n_chroma", 24), ("floor_db", -80.0)])
def test_a_model_that_hears_otherwise_is_refused(tmp_path: Path, name: str, heard: float) -> None:
    copy_packaged(tmp_path)
    description = tmp_path / "pointer.json"
    settings = json.loads(description.read_text())
    settings["model"]["features"][name] = heard
    description.write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=rf"it hears with {name} {heard}, this one with .*: train it again"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["join", "transition"])
def test_heads_are_checked_as_the_model_is(tmp_path: Path, name: str) -> None:
    copy_packaged(tmp_path)
    file = tmp_path / f"{name}.tflite"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    model = pointing(tmp_path)
    with pytest.raises(ModelError, match=rf"{name}\.tflite is damaged or not the file its description"):
        _ = model.join_head if name == "join" else model.transition_head
    file.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=rf"no {name}\.json beside"):
        _ = model.join_head if name == "join" else model.transition_head


def test_only_what_is_not_packaged_is_tried_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_packaged(tmp_path)
    model = pointing(tmp_path)
    assert model.join_head is not None
    assert model.transition_head is not None
    monkeypatch.setattr(trial, "CODE", "import os; os.abort()")  # what a damaged model may do
    load_model(tmp_path)
    load_model()
    file = tmp_path / "pointer.tflite"
    changed = file.read_bytes() + b"\0"
    file.write_bytes(changed)
    settings = json.loads((tmp_path / "pointer.json").read_text())
    settings["sha256"] = hashlib.sha256(changed).hexdigest()
    (tmp_path / "pointer.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"damaged: running it crashes \(code -6\)"):
        load_model(tmp_path)
    monkeypatch.setattr(trial, "CODE", "import time; time.sleep(60)")
    monkeypatch.setattr(trial, "LONGEST_SECONDS", 0.1)
    with pytest.raises(ModelError, match=r"it ran for 0\.1 s without a result"):
        load_model(tmp_path)


def test_a_trial_has_its_limit_of_memory() -> None:
    with pytest.raises(ModelError, match=r"wants more than [\d.]+ GB of memory|cannot be run"):
        trial.try_model(packaged_model().with_name("transition.tflite"), {"seen": (2**33, 0)})


def test_the_packaged_model_finds_an_exact_repeat() -> None:
    features = analyse(compose(60, 5), 22_050)
    model = pointing(packaged_model())
    memory = model.listen(features[:400])  # phrases of 2 s, 8 s a round
    starts = model.predict(memory, np.arange(200, 400)).starts
    assert (int(starts[:300, -1].argmax()) - 400) % 80 in (0, 1, 79)


def test_threads_share_a_model() -> None:
    model = load_model()
    memory = model.listen(analyse(compose(60, 7), 22_050))
    contexts = [np.arange(end - 200, end) for end in range(220, 420, 10)]
    alone = [model.predict(memory, context).log_mel for context in contexts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda context: model.predict(memory, context).log_mel, contexts))
    for expected, found in zip(alone, together, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_prediction_is_told_of_what_is_shown_alone() -> None:
    model, features = load_model(), analyse(compose(60, 5), 22_050)
    memory, context = model.listen(features), np.arange(100, 300)
    everything = model.predict(memory, context).starts
    np.testing.assert_allclose(model.predict(memory, context, shown=np.arange(len(features))).starts, everything)
    shown = np.arange(250, 450)
    starts = model.predict(memory, context, shown=shown).starts
    assert (starts[np.setdiff1d(np.arange(len(features)), shown)] == IMPOSSIBLE).all()
    np.testing.assert_allclose(np.exp(starts[shown]).sum(axis=0), 1.0, atol=1e-3)
