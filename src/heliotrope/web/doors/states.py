"""Where agents lay states down and fetch them: one call, judged by the house's `States`."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from heliotrope.errors import BadSignature, HelioError, InvalidInput, NotAllowed, StaleRequest
from heliotrope.run.agents import wire
from heliotrope.run.agents.house.states import States
from heliotrope.run.agents.site.agent import PIECE_S
from heliotrope.web.doors import bodies

STATUS = ((BadSignature, 403), (NotAllowed, 403), (StaleRequest, 409), (InvalidInput, 400))


def add_routes(app: web.Application, states: States) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        signature = request.headers.get(wire.SIGNATURE, "")
        body = await bodies.whole(request, wire.MAX_BYTES, PIECE_S)
        try:
            said = await asyncio.to_thread(states.take, body, signature, time.time(), request.remote or "")
        except (HelioError, OSError) as error:
            # No room, or a store that does not answer: the agent goes on, and says it again.
            status = next((status for kind, status in STATUS if isinstance(error, kind)), 503)
            last = {wire.LAST: str(error.last)} if isinstance(error, StaleRequest) else {}
            return web.Response(status=status, text=str(error), headers=last)
        return web.Response(body=said, content_type="application/octet-stream")

    app.router.add_post(wire.STATE, handle)
