"""The dashboard on loopback: pages, JSON, static files and a stream that says when to look again."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
from aiohttp import web

from heliotrope import __version__, tls
from heliotrope.config import WebSettings
from heliotrope.errors import ConfigError, HelioError, UnknownName
from heliotrope.run.agents.wire import MAX_BYTES
from heliotrope.web import api, gather
from heliotrope.web.doors import memberpages, people, states
from heliotrope.web.doors.agents import add_routes
from heliotrope.web.house import House
from heliotrope.web.pages.html import PAGES, render, run_page

# Nothing but this server may be asked for anything, and nobody may frame or feed it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LOOK_S = 1.0
HOUSE: web.AppKey[House] = web.AppKey("house", House)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(house: House) -> web.Application:
    app = web.Application(middlewares=[_guard, people.doors], client_max_size=MAX_BYTES)
    app[HOUSE] = house
    add_routes(app, house.office)
    states.add_routes(app, house.states)
    people.add_routes(app, house.reception)
    for path, page in PAGES.items():
        app.router.add_get(path, _page(page))
    app.router.add_get("/runs/{name}/page.html", _kept_page)
    for route in api.ROUTES:
        app.router.add_get(route.path, _answer(route))
    app.router.add_get("/api/", _description)
    app.router.add_get("/events", _events)
    app.router.add_get("/static/{name}", _static)
    return app


def _page(page: Callable[[House, dict[str, str]], str]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        words = {**request.query, **request.match_info}
        return _sent(request, await asyncio.to_thread(page, request.app[HOUSE], words), "text/html")

    return handle


async def _kept_page(request: web.Request) -> web.StreamResponse:
    view = await asyncio.to_thread(gather.view, request.app[HOUSE], request.match_info["name"])
    answer = _sent(request, await asyncio.to_thread(run_page, view), "text/html")
    # The file brings its own styles and its own rule against all else.
    answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return answer


def _answer(route: api.Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(route.ask, request.app[HOUSE], {**request.query, **request.match_info})
        return _sent(request, msgspec.json.encode(found), "application/json")

    return handle


async def _description(request: web.Request) -> web.StreamResponse:
    return _sent(request, msgspec.json.encode(api.description()), "application/json")


async def _events(request: web.Request) -> web.StreamResponse:
    """`changed` whenever the store or the log has moved; a comment now and then keeps the line open."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"} | HEADERS)
    try:
        await answer.prepare(request)
        await answer.write(b"retry: 2000\n\n")
        await _tell_changes(request.app[HOUSE], answer)
    except ConnectionResetError:
        # The reader closed the page, which is how every such stream ends.
        return answer
    return answer


async def _tell_changes(house: House, answer: web.StreamResponse) -> None:
    seen = await asyncio.to_thread(gather.version, house)
    quiet = 0
    while True:
        await asyncio.sleep(LOOK_S)
        found = await asyncio.to_thread(gather.version, house)
        quiet += 1
        if found != seen:
            await answer.write(b"event: changed\ndata: {}\n\n")
            seen, quiet = found, 0
        elif quiet >= 15:
            await answer.write(b": still here\n\n")
            quiet = 0


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if name not in static_files():
        raise UnknownName(f"no file {name}")
    answer = _sent(request, static_files()[name], TYPES["." + name.rsplit(".", 1)[1]])
    answer.headers["Cache-Control"] = "max-age=300"
    return answer


@cache
def static_files() -> dict[str, bytes]:
    """Read once; a name that is not here does not exist, whatever its dots and slashes."""
    folder = files(__package__).joinpath("static")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name.endswith(tuple(TYPES))}


def _sent(request: web.Request, body: str | bytes, kind: str) -> web.Response:
    raw = body.encode() if isinstance(body, str) else body
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(raw) > 1000 and "gzip" in request.headers.get("Accept-Encoding", ""):
        raw = gzip.compress(raw, 5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=raw, content_type=kind, charset="utf-8", headers=headers)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Headers on everything, errors in the form that was asked for, and no answer to a host that is not ours."""
    host = request.host.rsplit(":", 1)[0].strip("[]")
    settings = request.app[HOUSE].settings.web
    if settings.host in {"127.0.0.1", "localhost", "::1"} and host not in {"127.0.0.1", "localhost", "::1"}:
        # A page elsewhere that rebinds its name to loopback asks under its own name.
        return web.Response(status=421, text="this server answers to localhost alone\n")
    try:
        answer = await handler(request)
    except HelioError as error:
        answer = _problem(request, people.status_of(error), error.what, error.cause, error.hint)
    except web.HTTPException as error:
        answer = _problem(request, error.status, f"{request.path}: {error.reason}".strip(), "", "")
    except ConnectionError:
        raise  # whoever asked has gone
    except OSError as error:
        answer = _problem(request, 503, "this cannot be done now", str(error), "try again in a moment")
    if not answer.prepared:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
    return answer


def _problem(request: web.Request, status: int, what: str, cause: str, hint: str) -> web.Response:
    if request.path.startswith("/api/"):
        answer = _sent(request, msgspec.json.encode(api.Fault(what, cause, hint)), "application/json")
    elif request.path.startswith(f"{memberpages.ROOT}/"):
        answer = memberpages.problem(what, cause, hint)
    else:
        page = render("problem.html", title="Problem", here="", version=__version__, what=what, cause=cause, hint=hint)
        answer = _sent(request, page, "text/html")
    answer.set_status(status)
    return answer


def _shown(settings: WebSettings) -> ssl.SSLContext | None:
    if not settings.cert and not settings.key:
        return None
    if not settings.cert or not settings.key:
        raise ConfigError(
            "TLS needs a certificate and its key", hint="set both: web.cert and web.key, or --cert, --key"
        )
    return tls.showing(Path(settings.cert).expanduser(), Path(settings.key).expanduser())


class Server:
    """A running dashboard; `url` says where."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        settings = self.house.settings.web
        shown = _shown(settings)
        self._runner = web.AppRunner(make_app(self.house), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, ssl_context=shown)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            raise HelioError(
                f"cannot listen on {settings.host}:{settings.port}",
                cause=os.strerror(error.errno) if error.errno else str(error),
                hint="another one may be running: set web.port, or 0 for any free port",
            ) from error
        host, port = self._runner.addresses[0][:2]
        self.url = f"http{'s' if shown else ''}://{f'[{host}]' if ':' in host else host}:{port}/"

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
