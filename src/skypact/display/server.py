"""The web server of a centre: the page, its two streams, and the REST interface.

`/ws/picture` sends binary frames (`frame.py`), one at a time: the client answers each with its
sequence number and then gets the newest picture there is, so that nothing queues anywhere for a slow
client, not even in the network's buffers. `/ws/events` sends every event in order as JSON.
"""

import asyncio
import contextlib
import logging
import mimetypes
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skypact import __version__
from skypact.core.errors import BadInputError
from skypact.display.hub import DisplayHub
from skypact.display.model import CentreInfo
from skypact.display.rest import add_rest, is_same_origin
from skypact.display.views import PartnerViews

log = logging.getLogger(__name__)

STATIC = Path(__file__).resolve().parent.parent / "static"
PROGRESS_TIMEOUT = 10.0  # s without an answer after which a picture client is dropped

CLOSE_TRY_LATER = 1013
SeenBy = Annotated[str | None, Query(alias="as")]  # the partner whose view of us is asked for
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Said here, because what the system's tables know differs between machines.
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("application/json", ".json"),
    ("font/woff2", ".woff2"),
    ("font/woff", ".woff"),
    ("image/svg+xml", ".svg"),
):
    mimetypes.add_type(_type, _suffix)

NO_PAGE = """<!doctype html><html lang=en><title>Skypact</title>
<h1>The page is not built</h1>
<p>This centre runs, but its web page was left out of the installation. In the source folder, with
Node 20 or newer: <code>npm --prefix web ci &amp;&amp; npm --prefix web run build</code>, then reload.</p>
<p>The interface for programs works: <a href="/api/docs">/api/docs</a>.</p>"""


def create_app(
    hub: DisplayHub, *, info: CentreInfo, static: Path | None = None, views: PartnerViews | None = None
) -> FastAPI:
    """The application that serves the page in the folder `static` (the built-in one by default)."""
    folder = STATIC if static is None else static
    sources = views or PartnerViews(hub)
    app = FastAPI(
        title=f"Skypact {info.name}",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # these two viewers load their script from the internet
        redoc_url=None,
    )
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(SecurityHeaders)
    add_rest(app, hub, info)

    @app.websocket("/ws/picture")
    async def picture_stream(socket: WebSocket, partner: SeenBy = None) -> None:
        if await _accept(socket, sources.knows(partner)):
            with sources.watch(partner) as source:
                stream = PictureStream(socket, source)
                await _serve(socket, stream.send(), stream.take_answer)

    @app.websocket("/ws/events")
    async def event_stream(
        socket: WebSocket, epoch: int | None = None, after: int | None = None, partner: SeenBy = None
    ) -> None:
        if await _accept(socket, sources.knows(partner)):
            with sources.watch(partner) as source:
                await _serve(socket, _send_events(socket, source, epoch, after), lambda message: None)

    if info.cut_link is not None:
        cut_link = info.cut_link

        # A plain function: it may take a moment, and FastAPI runs it on a worker thread.
        @app.post("/api/demo/link", include_in_schema=False)
        def demo_link(request: Request, cut: bool) -> Response:
            if not is_same_origin(request.headers.get("origin"), request.headers.get("host")):
                return Response(status_code=403)
            cut_link(cut)
            return Response(status_code=204)

    @app.get("/", include_in_schema=False, response_model=None)
    def page() -> Response:
        index = folder / "index.html"
        # The page names its scripts by content, so that it alone must be asked for each time.
        headers = {"cache-control": "no-cache"}
        return FileResponse(index, headers=headers) if index.exists() else HTMLResponse(NO_PAGE)

    app.mount("/", StaticFiles(directory=folder, check_dir=False), name="static")
    return app


def server_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """How the server must run: the picture socket uncompressed, which costs 80 times the CPU else."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=65_536,  # clients send but a few bytes
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def make_server(
    app: FastAPI, host: str, port: int, certificate: Path | None = None, key: Path | None = None
) -> uvicorn.Server:
    """A server that `serve()` or `run()` starts; with a certificate and its key it speaks TLS only.

    Raises:
        BadInputError: one of certificate and key is missing or can't be used.
    """
    config = server_config(app, host, port)
    if certificate is not None or key is not None:
        if certificate is None or key is None:
            raise BadInputError("a certificate needs its key, and a key its certificate", "display")
        config.ssl_certfile, config.ssl_keyfile = str(certificate), str(key)
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            raise BadInputError(f"can't be used: {error}", f"{certificate}, {key}") from None
    return uvicorn.Server(config)


class SecurityHeaders:
    """Adds to each answer what keeps a browser from loading or running anything foreign."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the headers with its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = CONTENT_SECURITY_POLICY
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers["cross-origin-opener-policy"] = "same-origin"
                if scope["path"].startswith("/assets/") and message["status"] == 200:
                    headers["cache-control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


async def _accept(socket: WebSocket, is_there: bool) -> bool:
    if not is_there or not is_same_origin(socket.headers.get("origin"), socket.headers.get("host")):
        await socket.close()  # before it is accepted: the browser sees 403
        return False
    await socket.accept()
    return True


async def _serve(
    socket: WebSocket, sending: Coroutine[Any, Any, None], take_answer: Callable[[Message], None]
) -> None:
    """Send until the client goes, is dropped for want of progress, or the server stops."""
    sender = asyncio.create_task(sending)
    reader = asyncio.create_task(_read(socket, take_answer))
    try:
        await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sender.cancel()
        reader.cancel()
        ended = await asyncio.gather(sender, reader, return_exceptions=True)
    for result in ended:
        if isinstance(result, TimeoutError):
            log.warning("page dropped: no progress for %g s", PROGRESS_TIMEOUT)
            with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
                await asyncio.wait_for(socket.close(CLOSE_TRY_LATER), 1.0)
        elif isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result


async def _read(socket: WebSocket, take_answer: Callable[[Message], None]) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        take_answer(message)


class PictureStream:
    """Sends pictures to one client, the next only when it has answered the last."""

    def __init__(self, socket: WebSocket, hub: DisplayHub) -> None:
        self._socket = socket
        self._hub = hub
        self._answered = asyncio.Event()

    def take_answer(self, message: Message) -> None:
        """Any message from the client says that it has taken in the last frame."""
        self._answered.set()

    async def send(self) -> None:
        """Send trails, then for ever the newest picture.

        Raises:
            TimeoutError: the client made no progress for `PROGRESS_TIMEOUT`.
        """
        subscriber = self._hub.subscribe()
        try:
            for frame in self._hub.history():
                await self._offer(frame)
            sent: bytes | None = None
            while True:
                subscriber.fresh.clear()
                newest = self._hub.frame
                if newest is None or newest is sent:
                    await subscriber.fresh.wait()
                else:
                    await self._offer(newest)
                    sent = newest
        finally:
            self._hub.unsubscribe(subscriber)

    async def _offer(self, frame: bytes) -> None:
        self._answered.clear()
        async with asyncio.timeout(PROGRESS_TIMEOUT):
            await self._socket.send_bytes(frame)
            await self._answered.wait()


async def _send_events(socket: WebSocket, hub: DisplayHub, epoch: int | None, after: int | None) -> None:
    subscriber = hub.subscribe()
    try:
        while True:
            subscriber.fresh.clear()
            for event in hub.events_after(epoch, after):
                async with asyncio.timeout(PROGRESS_TIMEOUT):
                    await socket.send_text(event.text)
                epoch, after = hub.epoch, event.id
            await subscriber.fresh.wait()
    finally:
        hub.unsubscribe(subscriber)
