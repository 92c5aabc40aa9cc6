"""The twin's server: every API under its own prefix, conditional requests, and faults on demand.

`POST /twin/faults {"name": "busy", "api": "neso", "times": 2, "retry_after_s": 1}`, `DELETE /twin/faults`,
`GET /twin/calls` (what was asked, without keys).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from heliotrope.errors import ConfigError, HelioError, UnknownName, nearest
from heliotrope.grid.files.hourly import Hourly
from heliotrope.grid.twin import apis, faults
from heliotrope.grid.twin.apis import APIS, KEY
from heliotrope.grid.twin.faults import Fault
from heliotrope.grid.twin.world import World
from heliotrope.units import S_PER_DAY

__all__ = ["APIS", "KEY", "Twin", "check", "serve", "settings"]

PATHS = {"electricitymaps": "electricitymaps/v3"}
WANTED = {
    **{api: {"key": KEY} for api in ("electricitymaps", "eia", "entsoe")},
    "watttime": {"user": "me", "key": KEY},
    "casdk": {"kind": "carbon/average/lifecycle"},
}


class Twin:
    def __init__(self, series: dict[str, Hourly] | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.world = World(series or {})
        self.now = now
        self.faults: list[Fault] = []
        self.calls: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave])
        app.add_routes(apis.Apis(self.world, self.now).routes())
        app.add_routes(
            [
                web.get("/twin/calls", self._show_calls),
                web.post("/twin/faults", self._add_fault),
                web.delete("/twin/faults", self._drop_faults),
            ]
        )
        return app

    def active(self, api: str) -> Fault | None:
        """The first fault that concerns `api` and has times left; using it takes one."""
        for fault in self.faults:
            if fault.times > 0 and fault.api in {"", api}:
                fault.times -= 1
                return fault
        return None

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Any) -> web.StreamResponse:
        api = request.path.split("/")[1]
        if api == "twin":
            response: web.StreamResponse = await handler(request)
            return response
        fault = self.active(api)
        faults.DOING.set(fault.name if fault else "")
        answer = await self._on_connection(request, fault) if fault else None
        if answer is None:
            answer = await self._answered(request, handler, fault)
        self.calls.append({"api": api, "path": request.path, "at": self.now(), "status": answer.status})
        return answer

    async def _answered(self, request: web.Request, handler: Any, fault: Fault | None) -> web.Response:
        try:
            answer: web.Response = await handler(request)
        except (KeyError, ValueError, HelioError) as error:
            return apis.refusal(400, f"bad request: {error}")
        if fault and fault.name in faults.ON_TEXT:
            answer.text = faults.on_text(fault.name, answer.text or "")
        if answer.status == 200 and answer.body:
            tag = f'"{hashlib.sha256(answer.text.encode() if answer.text else b"").hexdigest()[:16]}"'
            if request.headers.get("If-None-Match") == tag:
                answer = web.Response(status=304)
            answer.headers["ETag"] = tag
        if fault and fault.name == "clock":
            answer.headers["Date"] = format_datetime(datetime.fromtimestamp(self.now() - S_PER_DAY, UTC), usegmt=True)
        return answer

    async def _on_connection(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        if fault.name == "unauthorized":
            return apis.refusal(401, "unauthorized")
        if fault.name == "forbidden":
            return apis.refusal(403, "forbidden")
        if fault.name == "busy":
            wait = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
            return apis.refusal(429, "too many requests", wait)
        if fault.name == "down":
            return apis.refusal(503, "service unavailable")
        if fault.name == "moved":
            return apis.refusal(301, "moved permanently", {"Location": "/elsewhere"})
        if fault.name == "slow":
            await asyncio.sleep(fault.after_s)
        if fault.name == "broken":
            response = web.StreamResponse(headers={"Content-Length": "5000", "Content-Type": "application/json"})
            await response.prepare(request)
            await response.write(b'{"data": [')
            assert request.transport is not None
            request.transport.close()
            return response
        return None

    async def _show_calls(self, request: web.Request) -> web.Response:
        return web.json_response(self.calls)

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
            faults.check(fault.name)
            check(fault.api)
        except (msgspec.DecodeError, HelioError) as error:
            return apis.refusal(400, str(error))
        self.faults.append(fault)
        return web.json_response({"active": msgspec.to_builtins(self.faults)})

    async def _drop_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({"active": []})


def serve(twin: Twin, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Until interrupted; `ready` is told the port."""

    async def run() -> None:
        runner = web.AppRunner(twin.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        ready(runner.addresses[0][1])
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}", cause=error.strerror or str(error), hint="--port 0 takes any free port"
        ) from error


def check(api: str) -> str:
    """One of the twin's; empty for all."""
    if api and api not in APIS:
        raise UnknownName(f"no API named {api} here", field="fault", hint=nearest(api, APIS))
    return api


def settings(url: str) -> str:
    """TOML that sends each provider to the twin at `url`."""
    lines = [f"# a twin of {len(APIS)} grid APIs"]
    for api in APIS:
        lines.append(f'grid.options.{api}.url = "{url}/{PATHS.get(api, api)}"')
        lines += [f'grid.options.{api}.{name} = "{value}"' for name, value in WANTED.get(api, {}).items()]
    return "\n".join(lines)
