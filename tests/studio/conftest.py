"""A studio that is open, and a browser to look at it; both for all tests of a file."""

import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from musex.audio.inputs import read_logged
from musex.studio.serving import listen_at, make_server
from musex.studio.session import Session
from musex.studio.workshop import Workshop

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PATIENCE_SECONDS = 60.0


@dataclass
class Studio:
    """A studio that is open in this process."""

    workshop: Workshop
    address: str

    def open(self, path: Path) -> tuple[Session, str]:
        """A session with a song, whose first plan is there and whose bars are known; and its address."""
        session = self.workshop.open_song(read_logged(path))
        settle(session)
        return session, f"{self.address}songs/{session.key}/"

    def ask(
        self, path: str, content: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, content and headers of an answer; `path` is below the key, or a whole address."""
        address = path if path.startswith("http") else self.address + path
        data = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        request = urllib.request.Request(address, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)


def settle(session: Session) -> None:
    """Wait until nothing is being done."""
    until = time.monotonic() + PATIENCE_SECONDS
    session.submit_nothing().result(PATIENCE_SECONDS)
    while session.info is None and time.monotonic() < until:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch, listen_at(0) as listener:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("LOCALAPPDATA", str(folder / "state"))
        (folder / "songs").mkdir()
        workshop = Workshop(folder / "songs")
        server, address = make_server(workshop, listener)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Studio(workshop, address)
        server.should_exit = True
        thread.join(10)
        workshop.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Headless Chromium, which saves what it is given in the test's folder."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        "mute-audio",
        "autoplay-policy=no-user-gesture-required",
        "window-size=1280,1000",
    ):
        options.add_argument(f"--{argument}")
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(tmp_path), "download.prompt_for_download": False}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver
