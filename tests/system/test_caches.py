"""Libraries get a folder for what they compile where home cannot be written."""

import os
from pathlib import Path

import pytest

from musex.system.caches import place_caches


@pytest.mark.parametrize("short", ["nothing", "home", "everything"])
def test_caches_are_placed_where_they_can_be(tmp_path: Path, short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.touch()  # nothing can be made within a file
    names = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "NUMBA_DISABLE_JIT")
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path if short == "nothing" else home / "cache"))

    def refuse(prefix: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    if short == "everything":
        monkeypatch.setattr("tempfile.mkdtemp", refuse)
    place_caches.cache_clear()
    told = place_caches()
    place_caches.cache_clear()
    assert {name for name in names if name in os.environ} == {
        "nothing": set(),
        "home": {"NUMBA_CACHE_DIR", "MPLCONFIGDIR"},
        "everything": {"NUMBA_DISABLE_JIT"},
    }[short]
    assert bool(told) == (short != "nothing")
