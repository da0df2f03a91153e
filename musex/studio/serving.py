"""The studio is opened: a socket of this machine alone, an address with a key in it, and a browser."""

import errno
import logging
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from musex.audio.inputs import read_logged
from musex.errors import MusexError
from musex.studio.application import Application
from musex.studio.guarding import Guard
from musex.studio.workshop import Workshop
from musex.system.side_files import temporary_folder

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
TAKEN = (errno.EADDRINUSE, errno.EACCES)
GOODBYE_SECONDS = 1  # that open connections are given when it ends


def open_studio(
    song_path: str | Path | None = None,
    *,
    port: int = 0,
    model: str | Path | None = None,
    show: bool = True,
    on_address: Callable[[str], None],
) -> None:
    """Serve the page until the process is ended.

    Args:
        song_path: The song to begin with; without it the page asks for one.
        port: Where it is served; 0 for any that is free.
        model: As in `musex.extend`.
        show: Open the address in a browser.
        on_address: Called with the address, once it can be opened.

    Raises:
        MusexError: The song or the model cannot be used, or the port is taken.
    """
    listener = listen_at(port)
    with listener, temporary_folder() as folder:
        workshop = Workshop(folder, model)
        address = ""
        if song_path is not None:
            address = f"songs/{workshop.open_song(read_logged(song_path)).key}/"
        server, base = make_server(workshop, listener)
        serving = threading.Thread(target=server.run, args=([listener],), daemon=True)
        serving.start()  # not in the main thread, where signals are musex's own
        while not server.started and serving.is_alive():
            serving.join(0.01)
        on_address(base + address)
        if show:
            with suppress(webbrowser.Error):
                webbrowser.open(base + address)
        try:
            while serving.is_alive():
                serving.join(0.5)
        finally:
            server.should_exit = True
            workshop.close()


def listen_at(port: int) -> socket.socket:
    """A socket of this machine alone; raises MusexError where the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where another program could else listen, too
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        if error.errno in TAKEN:
            raise MusexError(
                f"port {port} is taken, perhaps by another studio: choose another with `port=`, or leave it out for a "
                "free one"
            ) from error
        raise
    listener.listen()
    return listener


def make_server(workshop: Workshop, listener: socket.socket) -> tuple[uvicorn.Server, str]:
    """A server of a workshop that is not running yet, and its address."""
    port, key, nonce = listener.getsockname()[1], secrets.token_urlsafe(24), secrets.token_urlsafe(16)
    hosts = frozenset({f"{HOST}:{port}", f"localhost:{port}"})
    guard = Guard(Application(workshop, nonce).asgi(), key=key, nonce=nonce, hosts=hosts)
    config = uvicorn.Config(
        guard,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    return uvicorn.Server(config), f"http://{HOST}:{port}/{key}/"
