"""What all sessions share: the model, the one thread that works, a private folder; and how a song comes in."""

import re
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from musex.audio.inputs import read_logged
from musex.audio.reading import READABLE
from musex.audio.song import Song
from musex.errors import AudioError, MusexError
from musex.extension import pointing
from musex.prediction.model import Model
from musex.studio.session import Session
from musex.system.side_files import LONGEST_NAME, shorten

MOST_UPLOAD_BYTES = 1 << 30  # of a song's file
MOST_SESSIONS = 6  # at a time: a song's samples lie in memory
UNSAFE = r"[\x00-\x1f\x7f/\\]" if sys.platform != "win32" else r'[\x00-\x1f\x7f/\\<>:"|?*]'


class Workshop:
    """The songs that are open, by their keys."""

    def __init__(self, folder: Path, model: str | Path | None = None) -> None:
        """Args: a folder that is this process's alone, and the model as in `musex.extend`."""
        self.folder, self.sessions = folder, dict[str, Session]()
        self._model_path, self._model = model, None  # type: tuple[str | Path | None, Model | None]
        self._worker = ThreadPoolExecutor(1, "musex-studio")  # LiteRT bears no two threads

    @property
    def model(self) -> Model:
        """Loaded when it is first asked for; raises ModelError."""
        if self._model is None:
            self._model = pointing(self._model_path)
        return self._model

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Have something done after what was begun before."""
        return self._worker.submit(work)

    def open_song(self, song: Song, *, folder: Path | None = None) -> Session:
        """Begin a session with a song: its first plan, then what is to be found in it."""
        key = secrets.token_hex(6)
        folder = folder or self.own_folder()
        session = Session(
            key,
            song,
            model=self.model,
            folder=folder,
            submit=self.submit,
            dropped=song.path is not None and (song.path.parent == folder),
        )
        while len(self.sessions) >= MOST_SESSIONS:
            self.sessions.pop(next(iter(self.sessions))).close()
        self.sessions[key] = session
        session.begin(session.open)
        session.begin(session.inspect, instead=False)
        return session

    def own_folder(self) -> Path:
        """A new folder for one song and its sounds."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder

    async def receive(self, name: str, content: AsyncIterator[bytes], size: int | None) -> Path:
        """Write what was dropped into a folder of its own; raises AudioError if it is too large or no song."""
        if size is not None and size > MOST_UPLOAD_BYTES:
            raise too_large(name)
        path = self.own_folder() / safe_name(name)
        written = 0
        with open(path, "xb") as file:
            async for chunk in content:
                written += len(chunk)
                if written > MOST_UPLOAD_BYTES:
                    path.unlink()
                    raise too_large(name)
                file.write(chunk)
        if not written:
            raise AudioError(f"{name} is empty: nothing of it has arrived")
        return path

    def read(self, path: Path) -> Session:
        """Open a song that was received; raises AudioError if it is none, and nothing is left of it then."""
        try:
            return self.open_song(read_logged(path), folder=path.parent)
        except MusexError as error:
            path.unlink(missing_ok=True)
            raise AudioError(str(error).replace(str(path), path.name)) from error

    def close(self) -> None:
        """End what is being done."""
        for session in self.sessions.values():
            session.give_up()
        self._worker.shutdown(wait=False, cancel_futures=True)


def safe_name(name: str) -> str:
    """What a song that was dropped is called on the disk: as it was, as far as that is a file's name here.

    Raises AudioError where it has no ending of a song.
    """
    plain = re.sub(UNSAFE, "_", name).strip(" .")
    suffix = Path(plain).suffix
    if suffix.lower() not in READABLE:
        listed = ", ".join(each[1:] for each in READABLE)
        raise AudioError(f"{name or 'what was dropped'} is no song: {suffix or 'no ending'} is not among {listed}")
    return shorten(plain[: -len(suffix)], LONGEST_NAME - 40) + suffix


def too_large(name: str) -> AudioError:
    return AudioError(
        f"{name} is larger than {MOST_UPLOAD_BYTES >> 30} GB, the most that the page takes: use musex extend"
    )
