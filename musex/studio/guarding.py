"""Who may ask for what: this machine alone, by the address with its key, from the page itself."""

from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CLOSED = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>musex</title><h1>This address lacks its key</h1><p>Open the address that <code>musex studio</code> has "
    "printed, whole. It is new each time that the studio is started.</p></html>"
)


class Guard:
    """Passes on what comes from this machine to `/KEY/…`, as `/…`; refuses all else.

    Another page's script can neither guess the key nor ask for anything without it; what comes by another name than
    this machine's, as when a name server is made to point here, is refused, too.
    """

    def __init__(self, app: ASGIApp, *, key: str, nonce: str, hosts: frozenset[str]) -> None:
        self.app, self.key, self.hosts = app, key, hosts
        self.headers = {**HEADERS, "content-security-policy": POLICY.format(nonce=nonce)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing here is a web socket
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        inside = self._allowed(Headers(scope=scope)) and self._strip_key(scope)
        answer = self.app if inside else HTMLResponse(CLOSED, 403)
        await answer(scope, receive, send_guarded)

    def _allowed(self, headers: Headers) -> bool:
        if headers.get("host", "") not in self.hosts:
            return False
        origin = headers.get("origin")
        if origin is not None and (urlsplit(origin).scheme != "http" or urlsplit(origin).netloc not in self.hosts):
            return False
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin") or _is_visit(headers)

    def _strip_key(self, scope: Scope) -> bool:
        """Take the key off a path; False where it is not there."""
        _, key, *rest = str(scope["path"]).split("/", 2)
        if not rest or not compare_digest(key.encode(), self.key.encode()):
            return False
        scope["path"] = f"/{rest[0]}"
        scope["raw_path"] = scope["path"].encode()
        return True


def _is_visit(headers: Headers) -> bool:
    """Whether somebody has followed a link here, which asks for a page and nothing else."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
