"""The witness's HTTP face."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from heliotrope.prove.witness.memory import Witness
from heliotrope.prove.witness.protocol import MAX_REQUEST_BYTES, monitor_path

if TYPE_CHECKING:
    from aiohttp import web


def application(witness: Witness) -> web.Application:
    from aiohttp import web

    async def add_checkpoint(request: web.Request) -> web.Response:
        raw = await request.read()
        answer = witness.add_checkpoint(raw, time_s=int(time.time()))
        return web.Response(
            status=answer.status, body=answer.body.encode(), headers={"Content-Type": answer.content_type}
        )

    def monitor(origin: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def checkpoint(_: web.Request) -> web.Response:
            head = witness.head(origin)
            if head is None:
                raise web.HTTPNotFound
            return web.Response(text=str(head), content_type="text/plain", charset="utf-8")

        return checkpoint

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    for origin in witness.origins:
        app.router.add_get(monitor_path(origin), monitor(origin))
    return app
