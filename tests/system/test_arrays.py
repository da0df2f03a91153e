"""Arrays in files: whole, or known to be damaged."""

import resource
from pathlib import Path

import numpy as np
import pytest

from musex.errors import MusexError
from musex.system.arrays import load_array, load_arrays, save_array, save_arrays


def test_arrays_come_back(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    save_array(array, tmp_path / "a.npy")
    save_arrays({"a": array, "b": array[0]}, tmp_path / "b.npz")
    for mapped in (False, True):
        found = load_array(tmp_path / "a.npy", mapped=mapped)
        assert found is not None
        np.testing.assert_array_equal(found, array)
    stored = load_arrays(tmp_path / "b.npz")
    assert stored is not None
    np.testing.assert_array_equal(stored["b"], array[0])
    assert load_array(tmp_path / "none.npy") is None
    assert load_arrays(tmp_path / "none.npz") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npz"]


@pytest.mark.parametrize("name", ["a.npy", "b.npz"])
def test_damaged_files_are_told(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path, array = tmp_path / name, np.arange(40.0)
    random = np.random.default_rng(0)
    for number in range(200):
        save_array(array, path) if name == "a.npy" else save_arrays({"a": array, "b": array}, path)
        content = bytearray(path.read_bytes())
        if number % 2:
            del content[random.integers(len(content)) :]
        else:
            content[random.integers(min(len(content), 128))] ^= 1 << random.integers(8)
        path.write_bytes(content)
        caplog.clear()
        found = load_array(path) if name == "a.npy" else load_arrays(path)
        assert found is not None or "a.npy is damaged" in caplog.text or "b.npz is damaged" in caplog.text


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    save_array(np.zeros(4), tmp_path / "a.npy")
    save_arrays({"a": np.zeros(4)}, tmp_path / "b.npz")
    large, limits = np.zeros(100_000), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(MusexError, match=r"could not write .*a\.npy"):
            save_array(large, tmp_path / "a.npy")
        with pytest.raises(MusexError, match=r"could not write .*b\.npz"):
            save_arrays({"a": large}, tmp_path / "b.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_array(tmp_path / "a.npy") is not None
    assert load_arrays(tmp_path / "b.npz") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npz"]
