"""Files are placed whole, once, and what a killed run left is removed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from musex.errors import MusexError
from musex.system.side_files import locked, save_text, written_whole


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_write_one_file_one_is_told(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("os.link", refuse)
    path = tmp_path / "a.txt"
    with pytest.raises(MusexError, match="exists already"), written_whole(path) as temporary:  # noqa: PT012
        temporary.write_text("second")
        save_text("first", path)
    assert path.read_text() == "first"
    save_text("third", path, force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "third"


def test_one_of_many_at_once_succeeds(tmp_path: Path) -> None:
    def save(number: int) -> bool:
        try:
            save_text(str(number), tmp_path / "a.txt")
        except MusexError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, range(32))) == 1


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left, owned, other = (tmp_path / f".musex-{name}" for name in ("0" * 16, "1" * 16, "mine"))
    for folder in (left, owned, other):
        folder.mkdir()
        (folder / ".output.wav").touch()
    with locked(owned):
        save_text("text", tmp_path / "a.txt")
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", owned.name, other.name}
