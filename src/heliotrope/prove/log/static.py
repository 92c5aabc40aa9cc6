"""Serves a log's static files; with leave, records and evidence too; takes auditors' opinions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heliotrope.errors import BadProof, HelioError
from heliotrope.prove.formats import tiles
from heliotrope.prove.ledger import Ledger

if TYPE_CHECKING:
    from aiohttp import web

_TEXTS = ("checkpoint", "vkeys", "parties")
_MAX_ATTESTATION_BYTES = 64 * 1024
_IMMUTABLE = "public, max-age=31536000, immutable"


def application(ledger: Ledger, *, records: bool) -> web.Application:
    """`records` opens what the log only commits to: for a loopback, or behind someone's own gate."""
    from aiohttp import web

    app = web.Application(client_max_size=_MAX_ATTESTATION_BYTES)

    def text(name: str) -> None:
        async def handler(_: web.Request) -> web.Response:
            return _file(ledger.folder / name, "text/plain; charset=utf-8", "no-cache")

        app.router.add_get(f"/{name}", handler)

    async def tile(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/")
        try:
            tiles.parse_path(path)
        except BadProof as error:
            raise web.HTTPNotFound from error
        return _file(ledger.folder / path, "application/octet-stream", _IMMUTABLE)

    async def record(request: web.Request) -> web.Response:
        try:
            body = ledger.record_file(int(request.match_info["index"]))
        except HelioError as error:
            raise web.HTTPNotFound(text=f"{error.what}\n") from error
        return web.Response(body=body, content_type="application/json")

    async def evidence(request: web.Request) -> web.Response:
        try:
            body = ledger.evidence(request.match_info["digest"])
        except HelioError as error:
            raise web.HTTPNotFound(text=f"{error.what}\n") from error
        return web.Response(body=body, content_type="application/json")

    async def attest(request: web.Request) -> web.Response:
        try:
            opinion = ledger.attest(await request.read())
        except HelioError as error:
            raise web.HTTPForbidden(text=f"{error.what}\n") from error
        return web.json_response({"index": opinion.index, "agrees": opinion.agrees})

    for name in _TEXTS:
        text(name)
    app.router.add_get("/tile/{path:.*}", tile)
    app.router.add_post("/attestation", attest)
    if records:
        app.router.add_get(r"/record/{index:\d{1,18}}", record)
        app.router.add_get(r"/evidence/{digest:[0-9a-f]{64}}", evidence)
    return app


def _file(path: Path, content_type: str, caching: str) -> web.Response:
    from aiohttp import web

    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise web.HTTPNotFound from error
    return web.Response(body=raw, headers={"Content-Type": content_type, "Cache-Control": caching})
