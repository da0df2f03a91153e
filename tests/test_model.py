"""Loading a model, and what the packaged one knows."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from musex.errors import ModelError
from musex.features import analyse
from musex.model import load_model, packaged_model
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


def test_the_packaged_model_finds_an_exact_repeat() -> None:
    features = analyse(compose(60, 5), 22_050)
    model = load_model(packaged_model())
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
