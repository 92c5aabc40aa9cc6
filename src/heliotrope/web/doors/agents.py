"""Where agents of sites elsewhere ask for work: two calls, each judged by the office."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
from aiohttp import web

from heliotrope.errors import BadSignature, HelioError, InvalidInput, StaleRequest, StoreError
from heliotrope.run.agents import wire
from heliotrope.run.agents.house.office import Office, Told
from heliotrope.web.doors import bodies

MOST = 256  # syncs that are handled together
JOIN_BYTES = 64 << 10
GATHER_S = 0.002  # who comes within that is served together
LARGE_BYTES, MOST_LARGE = 256 << 10, 4  # of larger ones so many are read at once: nobody is known by then


def add_routes(app: web.Application, office: Office) -> None:
    counter = Counter(office)
    app.router.add_post(wire.JOIN, counter.join)
    app.router.add_post(wire.SYNC, counter.sync)
    app.on_cleanup.append(counter.close)


class Counter:
    """Those who come while others are served are served together next: one thread's turn, one transaction."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agents")
        self._waiting: list[tuple[Told, asyncio.Future[bytes | HelioError]]] = []
        self._serving: asyncio.Task[None] | None = None
        self._large = asyncio.Semaphore(MOST_LARGE)

    async def join(self, request: web.Request) -> web.StreamResponse:
        body = await bodies.whole(request, JOIN_BYTES)
        try:
            joined = await asyncio.to_thread(self._office.join, body, time.time(), request.remote or "")
        except HelioError as error:
            return _refused(error)
        except OSError as error:
            return _refused(StoreError(str(error)))
        return _said(msgspec.json.encode(joined))

    async def sync(self, request: web.Request) -> web.StreamResponse:
        length = request.content_length
        if length is None or length > LARGE_BYTES:
            async with self._large:
                body = await bodies.whole(request, wire.MAX_BYTES)
        else:
            body = await bodies.whole(request, LARGE_BYTES)
        told = Told(body, request.headers.get(wire.SIGNATURE, ""), request.remote or "")
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((told, answer))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        try:
            said = await answer
        except OSError as error:
            return _refused(StoreError(str(error)))
        except HelioError as error:
            return _refused(error)
        return _refused(said) if isinstance(said, HelioError) else _said(said)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(GATHER_S)
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            told = [one for one, _ in some]
            serving = loop.run_in_executor(self._thread, self._office.sync_all, told, time.time())
            (served,) = await asyncio.gather(serving, return_exceptions=True)
            for number, (_, waiting) in enumerate(some):
                if waiting.done():
                    continue  # who has gone meanwhile asks again
                if isinstance(served, BaseException):
                    waiting.set_exception(served)
                else:
                    waiting.set_result(served[number])

    async def close(self, _: web.Application) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._office.store.close)
        self._thread.shutdown()


def _said(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json"})


def _refused(error: HelioError) -> web.Response:
    match error:
        case BadSignature():
            return web.Response(status=403, text=str(error))
        case StaleRequest():
            return web.Response(status=409, text=str(error), headers={wire.LAST: str(error.last)})
        case InvalidInput():
            return web.Response(status=400, text=str(error))
        case StoreError():
            # No room, or a store that does not answer: the agent goes on, and says it again.
            return web.Response(status=503, text=f"this house cannot take it now: {error}")
    raise error
