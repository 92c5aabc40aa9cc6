"""A keeper's HTTP face: the receipt of a close in, its seed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliotrope.errors import HelioError
from heliotrope.prove.claims.seeds.keeper import Closing, Keeper
from heliotrope.prove.formats.trust import Trust

if TYPE_CHECKING:
    from aiohttp import web

_MAX_BYTES = 256 * 1024


def application(keeper: Keeper, trust: Trust) -> web.Application:
    from aiohttp import web

    async def seed(request: web.Request) -> web.Response:
        try:
            close, leaf = Closing.parse(await request.read()).verify(trust)
            given = keeper.seed(close.programme, close.epoch, leaf)
        except HelioError as error:
            raise web.HTTPForbidden(text=f"{error.what}\n") from error
        return web.Response(text=given.hex())

    app = web.Application(client_max_size=_MAX_BYTES)
    app.router.add_post("/seed", seed)
    return app
