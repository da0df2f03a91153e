"""What lies at which address of the page, below its key."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from importlib.resources import files
from json import dumps, loads
from typing import Any
from urllib.parse import unquote

import soundfile
from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from musex import __version__
from musex.audio.formats import WRITABLE
from musex.audio.reading import READABLE
from musex.audio.song import to_int16
from musex.errors import MusexError
from musex.settings import ENDINGS, MOODS, STEMS
from musex.studio import editing, exports, variants
from musex.studio.pictures import ENDINGS as ENDING_WORDS
from musex.studio.pictures import describe_seam
from musex.studio.session import Session, identify
from musex.studio.sounds import Sound
from musex.studio.workshop import Workshop

PAGE = files("musex.studio") / "page"
REPORT = files("musex.views") / "page"
SCRIPTS = (
    "main", "server", "player", "output", "song", "seams", "mood", "shape", "versions", "exporting", "words", "start",
)  # fmt: skip
ASSETS = {  # all that can be asked for by name
    **{f"{name}.js": (PAGE / f"{name}.js", "text/javascript") for name in SCRIPTS},
    "studio.css": (PAGE / "studio.css", "text/css"),
    "uPlot.min.css": (PAGE / "vendor" / "uPlot.min.css", "text/css"),
    "uPlot.min.js": (PAGE / "vendor" / "uPlot.iife.min.js", "text/javascript"),
    **{f"{name}.min.js": (REPORT / f"{name}.min.js", "text/javascript") for name in ("wavesurfer", "regions")},
    **{
        f"{name}.min.js": (PAGE / "vendor" / f"{name}.min.js", "text/javascript")
        for name in ("hover", "timeline", "zoom", "minimap")
    },
}
LICENCES = (REPORT / "WAVESURFER-LICENSE", PAGE / "vendor" / "UPLOT-LICENSE")
MOST_REQUEST_BYTES = 100_000  # of anything but a song
WATCH_SECONDS = 0.1  # between two looks at what has changed
SILENT_SECONDS = 5.0  # after which a page that waits is told that all is well
PATIENCE_SECONDS = 120.0  # for what is answered when it is done

Answer = Callable[[Request], Awaitable[Response]]


class Application:
    """The answers to what the page asks."""

    def __init__(self, workshop: Workshop, nonce: str) -> None:
        self.workshop, self.nonce = workshop, nonce
        self._pages = Environment(loader=FunctionLoader(_read_page), autoescape=True, undefined=StrictUndefined)

    def routes(self) -> list[Route]:
        song = "/songs/{song}"
        return [
            Route("/", self.start),
            Route("/static/{name}", self.asset),
            Route("/songs", _told(self.receive), methods=["POST"]),
            Route(song + "/", self.page),
            Route(song + "/song", _told(self.song)),
            Route(song + "/state", _told(self.state)),
            Route(song + "/events", self.events),
            Route(song + "/edits", _told(self.edit), methods=["POST"]),
            Route(song + "/alternatives/{number:int}", _told(self.alternatives)),
            Route(song + "/previews/{number:int}/{index:int}.wav", _told(self.preview)),
            Route(song + "/sounds/{sound}.wav", self.sound),
            Route(song + "/versions/{index:int}/sound", _told(self.version_sound)),
            Route(song + "/exports", _told(self.export), methods=["POST"]),
            Route(song + "/exports/{name}", self.download),
        ]

    def asgi(self) -> Starlette:
        return Starlette(routes=self.routes(), exception_handlers={404: self.missing})

    # Pages.

    def _page(self, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
        common = {
            "version": __version__,
            "nonce": self.nonce,
            "licences": [each.read_text("utf-8") for each in LICENCES],
        }
        page = self._pages.get_template(template).render(**common, **shown)
        return HTMLResponse(page.encode("utf-8", "replace"), status)

    async def start(self, request: Request) -> Response:
        """Where a song is dropped, and where those that are open can be found again."""
        opened = [{"key": session.key, "name": session.name} for session in self.workshop.sessions.values()]
        return self._page("start.html", songs=opened, base="", endings=",".join(READABLE), problem="")

    async def page(self, request: Request) -> Response:
        session = self._session(request)
        return self._page(
            "studio.html",
            name=session.name,
            base="../../",
            endings=[(name, ENDING_WORDS[name]) for name in ENDINGS],
            moods=list(MOODS),
            stems=STEMS,
            formats=[suffix[1:] for suffix in WRITABLE],
            editors=exports.editors(),
        )

    async def missing(self, request: Request, error: Exception) -> Response:
        """What is asked for that is not there, such as a song of a studio that was started before."""
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"error": "there is no such thing here"}, 404)
        depth = request.url.path.count("/") - 1
        problem = "There is no such song open here. Drop it again: what was decided of it is kept."
        return self._page("start.html", 404, songs=[], base="../" * depth, endings=",".join(READABLE), problem=problem)

    async def asset(self, request: Request) -> Response:
        found = ASSETS.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        path, kind = found
        return Response(path.read_bytes(), media_type=kind)

    # Songs.

    def _session(self, request: Request) -> Session:
        session = self.workshop.sessions.get(request.path_params["song"])
        if session is None:
            raise HTTPException(404)
        return session

    async def receive(self, request: Request) -> Response:
        """A song that was dropped."""
        name, size = unquote(request.headers.get("x-name", "")), request.headers.get("content-length", "")
        path = await self.workshop.receive(name, request.stream(), int(size) if size.isdecimal() else None)
        session = await run_in_threadpool(self.workshop.read, path)
        return JSONResponse({"song": session.key}, 201)

    async def song(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._session(request).describe_song))

    async def state(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._session(request).describe))

    async def events(self, request: Request) -> Response:
        """Told whenever something has changed, as server-sent events: the revision, and what is being done."""
        return StreamingResponse(watch(self._session(request), request), media_type="text/event-stream")

    # What is done.

    async def edit(self, request: Request) -> Response:
        """Do something to the plan; answered when it is done, or when it can be heard."""
        session, asked = self._session(request), await _read_json(request)
        work = _work_of(session, asked)
        if asked.get("action") in NUMBERED:
            work = partial(_on_plan, session, str(asked.get("plan", "")), work)
        began = session.begin(work)
        await _until_heard(session, began)
        return JSONResponse(await run_in_threadpool(session.describe))

    async def alternatives(self, request: Request) -> Response:
        session, number = self._session(request), request.path_params["number"]
        found: list[Any] = []
        await _until_done(session.begin(lambda: found.extend(session.alternatives(number)), instead=False))
        listed = [describe_seam(each.seam, number, session.plan) | {"keeps": each.keeps} for each in found]
        return JSONResponse(listed)

    async def preview(self, request: Request) -> Response:
        """How an alternative would sound, ±5 s."""
        session, index = self._session(request), request.path_params["index"]
        found = session.alternatives(request.path_params["number"])
        if index >= len(found):
            raise HTTPException(404)
        samples = await run_in_threadpool(editing.preview, session, found[index].seam)
        wav = io.BytesIO()
        soundfile.write(wav, to_int16(samples), session.song.sample_rate, "PCM_16", format="WAV")
        return Response(wav.getvalue(), media_type="audio/wav")

    async def sound(self, request: Request) -> Response:
        sound = self._session(request).sound(request.path_params["sound"])
        if sound is None:
            raise HTTPException(404)
        return _ranged(sound, request.headers.get("range", ""))

    async def version_sound(self, request: Request) -> Response:
        session, index = self._session(request), request.path_params["index"]
        if index >= len(session.versions):
            raise HTTPException(404)
        return JSONResponse({"sound": await run_in_threadpool(session.sound_of, session.versions[index])})

    async def export(self, request: Request) -> Response:
        session, asked = self._session(request), await _read_json(request)
        suffix, quality = f".{asked.get('format', 'mp3')}", asked.get("quality") or None
        folder = session.folder / "exports"
        folder.mkdir(mode=0o700, exist_ok=True)
        make = partial(exports.export, session, folder, kind=str(asked.get("kind")), suffix=suffix, quality=quality)
        return JSONResponse({"name": (await run_in_threadpool(make)).name})

    async def download(self, request: Request) -> Response:
        folder, name = self._session(request).folder / "exports", request.path_params["name"]
        there = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
        if name not in there:  # what was exported, and nothing beside it
            raise HTTPException(404)
        return FileResponse(there[name], filename=name)


def _read_page(name: str) -> str:
    return (PAGE / name).read_text("utf-8")


def _told(answer: Answer) -> Answer:
    """The same, where an error of musex becomes words for the page."""

    async def told(request: Request) -> Response:
        try:
            return await answer(request)
        except MusexError as error:
            return JSONResponse({"error": str(error)}, 422)

    return told


async def _read_json(request: Request) -> dict[str, Any]:
    """What the page asks, as a JSON object; raises HTTPException where it is none."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_REQUEST_BYTES:
            raise HTTPException(413)
    try:
        asked = loads(content)
    except ValueError as error:
        raise HTTPException(400) from error
    if not isinstance(asked, dict):
        raise HTTPException(400)
    return asked


NUMBERED = ("reject", "lock", "none", "move", "replace")  # actions that mean a seam by its number


def _on_plan(session: Session, key: str, work: Callable[[], None]) -> None:
    """Do what was asked for while a plan was looked at; raises MusexError where another one counts by now."""
    if key and key != identify(session.plan)[: len(key)]:
        raise MusexError("the plan has changed meanwhile, perhaps in another tab: look again, then decide")
    work()


def _work_of(session: Session, asked: dict[str, Any]) -> Callable[[], None]:
    """What an action means; raises HTTPException for what means nothing."""
    try:
        match asked.get("action"):
            case "length":
                return partial(editing.set_length, session, _length(session, float(asked["seconds"])))
            case "change":
                return partial(editing.change, session, _settings(asked["settings"]))
            case "mute":
                return partial(editing.mute, session, [str(stem) for stem in asked["stems"]])
            case "reject":
                return partial(editing.reject, session, int(asked["number"]))
            case "lock":
                return partial(editing.lock, session, int(asked["number"]), bool(asked["on"]))
            case "none":
                return partial(editing.leave_out, session, int(asked["number"]))
            case "move":
                by = "bar" if asked["by"] == "bar" else "beat"
                return partial(editing.move, session, int(asked["number"]), by, int(asked["steps"]))
            case "replace":
                return partial(editing.use_alternative, session, int(asked["number"]), int(asked["index"]))
            case "versions":
                return lambda: variants.make_versions(session, editing.options_of(session.plan))
            case "choose":
                return partial(variants.choose_version, session, int(asked["index"]))
            case "undo":
                return session.undo
            case "redo":
                return session.redo
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise HTTPException(400) from error
    raise HTTPException(400)


def _length(session: Session, seconds: float) -> float:
    return round(min(max(seconds, 5.0), session.longest), 3)


CHANGEABLE = ("ending", "novelty", "arc", "hits")


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings that the page may change, as the public verbs take them."""
    changes = {name: asked[name] for name in CHANGEABLE if name in asked}
    if "arc" in changes:
        changes |= {"arc": tuple((float(at), str(mood)) for at, mood in changes["arc"]), "mood": None}
    if "hits" in changes:
        changes["hits"] = tuple(
            ("peak" if place == "peak" else float(place), float(at)) for place, at in changes["hits"]
        )
    if not changes:
        raise ValueError("nothing is to be changed")
    return changes


async def _until_done(began: "Future[None]") -> None:
    """Wait for something; raises what it raised, and MusexError where it takes too long."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(began), PATIENCE_SECONDS)
    except TimeoutError as error:
        raise MusexError(
            "this takes long, as something else is still being done: try again when that is over"
        ) from error


async def _until_heard(session: Session, began: "Future[None]") -> None:
    """Wait until something is done, or a plan that is being made can be heard."""
    while not began.done():
        draft = session.draft
        sound = session.sound(draft[0]) if draft else None
        if sound is not None and sound.made and began.running():
            return
        await asyncio.sleep(0.005)
    if not began.cancelled():
        began.result()


async def watch(session: Session, request: Request) -> AsyncIterator[str]:
    """Events, as long as somebody listens and the song is open."""
    last, silent = "", 0.0
    while not session.closed and not await request.is_disconnected():
        told = dumps({"revision": session.revision, "stage": session.stage, "done": round(session.done, 2)})
        silent += WATCH_SECONDS
        if told != last or silent > SILENT_SECONDS:
            yield f"data: {told}\n\n"
            last, silent = told, 0.0
        await asyncio.sleep(WATCH_SECONDS)


def _ranged(sound: Sound, asked: str) -> Response:
    """A sound, or the part of it that a player asks for."""
    start, stop = 0, sound.size
    match = re.fullmatch(r"bytes=(\d{1,15})-(\d{0,15})", asked)
    if match:
        start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else sound.size, sound.size)
        if start >= stop:
            return Response(status_code=416, headers={"content-range": f"bytes */{sound.size}"})
    headers = {"accept-ranges": "bytes", "content-length": str(stop - start)}
    if match:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{sound.size}"
    return StreamingResponse(sound.read(start, stop), 206 if match else 200, headers, media_type="audio/wav")
