"""The twin's server: routes of every API under its own prefix, faults from the command line or over HTTP.

`POST /twin/faults {"name": "busy", "api": "neso", "times": 2, "retry_after_s": 1}`, `DELETE /twin/faults`,
`GET /twin/calls` (what was asked, without keys).
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from heliotrope.errors import HelioError
from heliotrope.grid import zones
from heliotrope.grid.hourly import Hourly
from heliotrope.grid.providers import model
from heliotrope.grid.twin import dialects, faults
from heliotrope.grid.twin.faults import Fault, Points
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR

KEY = "twin-key"  # what the twin takes for a good key, password and security token
TOKEN = "twin-token"  # noqa: S105
APIS = ("neso", "electricitymaps", "watttime", "energycharts", "openmeteo", "eia", "entsoe", "casdk")
MOST_DAYS = {"neso": 14, "electricitymaps": 10, "watttime": 32}
EMBEDDED = {"neso": "carbon/average/direct", "energycharts": "carbon/average/direct"}


class World:
    """What the power is like: from a series where there is one, else from the embedded model."""

    def __init__(self, series: dict[str, Hourly]) -> None:
        self.series = series

    def at(self, zone: str, at_s: int, kind: str = "carbon/average/lifecycle") -> float | None:
        """A series repeats itself day-aligned past its ends, so that any clock meets data."""
        given = self.series.get(zone)
        if given is None:
            signal = model.series(zones.find(zone), SignalKind.parse(kind), at_s, at_s + 1)
            return float(signal.values[0])
        days = len(given.values) // 24 * 24
        return float(given.values[(at_s // S_PER_HOUR - given.hour0) % days])

    def mix(self, zone: str, at_s: int) -> dict[str, float]:
        """Gas and wind in the proportion that gives the intensity, so that a round trip can be checked."""
        value = self.at(zone, at_s) or 0.0
        gas = min(max((value - 11.0) / (490.0 - 11.0), 0.0), 1.0)
        return {"gas": gas, "wind": 1.0 - gas}


class Twin:
    def __init__(self, series: dict[str, Hourly] | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.world = World(series or {})
        self.now = now
        self.faults: list[Fault] = []
        self.calls: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave])
        app.add_routes(
            [
                web.get("/neso/intensity/{start}/{end}", self.neso),
                web.get("/neso/regional/intensity/{start}/{end}/regionid/{region}", self.neso),
                web.get("/electricitymaps/v3/carbon-intensity/{what}", self.electricity_maps),
                web.get("/watttime/login", self.login),
                web.get("/watttime/v3/{what}", self.watttime),
                web.get("/energycharts/{what}", self.energy_charts),
                web.get("/openmeteo/v1/forecast", self.open_meteo),
                web.get("/eia/v2/electricity/rto/fuel-type-data/data", self.eia),
                web.get("/entsoe/api", self.entsoe),
                web.get("/casdk/emissions/bylocation", self.carbon_aware),
                web.get("/casdk/emissions/forecasts/current", self.carbon_aware),
                web.get("/twin/calls", self._show_calls),
                web.post("/twin/faults", self._add_fault),
                web.delete("/twin/faults", self._drop_faults),
            ]
        )
        return app

    # Faults ------------------------------------------------------------------------------------------------

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
        self.calls.append({"api": api, "path": request.path, "at": self.now()})
        fault = self.active(api)
        request["fault"] = fault.name if fault else ""
        if fault and (answer := await self._on_connection(request, fault)) is not None:
            return answer
        answer = await handler(request)
        assert isinstance(answer, web.Response)
        if fault and fault.name in faults.ON_TEXT:
            answer.text = faults.on_text(fault.name, answer.text or "")
        if fault and fault.name == "clock":
            answer.headers["Date"] = format_datetime(datetime.fromtimestamp(self.now() - S_PER_DAY, UTC), usegmt=True)
        return answer

    async def _on_connection(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        if fault.name == "unauthorized":
            return _error(401, "unauthorized")
        if fault.name == "forbidden":
            return _error(403, "forbidden")
        if fault.name == "busy":
            wait = {} if fault.retry_after_s is None else {"Retry-After": f"{fault.retry_after_s:g}"}
            return _error(429, "too many requests", wait)
        if fault.name == "down":
            return _error(503, "service unavailable")
        if fault.name == "slow":
            await asyncio.sleep(30)
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
        except (msgspec.DecodeError, HelioError) as error:
            return _error(400, str(error))
        self.faults.append(fault)
        return web.json_response({"active": msgspec.to_builtins(self.faults)})

    async def _drop_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({"active": []})

    def points(self, request: web.Request, zone: str, start_s: int, end_s: int, step_s: int, kind: str = "") -> Points:
        """Every step of [start, end) that the world knows, with the request's fault done to it."""
        first = start_s // step_s * step_s
        found: Points = [
            (at, self.world.at(zone, at, kind or "carbon/average/lifecycle")) for at in range(first, end_s, step_s)
        ]
        return self._disturb(request, found)

    def _disturb(self, request: web.Request, points: Points) -> Points:
        disturb = faults.ON_POINTS.get(request["fault"])
        return disturb(points, int(self.now())) if disturb else points

    # The APIs ----------------------------------------------------------------------------------------------

    async def neso(self, request: web.Request) -> web.Response:
        start = _instant(request.match_info["start"])
        text = request.match_info["end"]
        end = start + 48 * S_PER_HOUR if text == "fw48h" else _instant(text)
        if end - start > MOST_DAYS["neso"] * S_PER_DAY:
            return _error(400, "The maximum date range is 14 days.")
        now = int(self.now())
        points = self.points(request, "GB", start, end, 1800, EMBEDDED["neso"])
        region = request.match_info.get("region")
        return _json(dialects.neso_region(points, int(region)) if region else dialects.neso(points, now))

    async def electricity_maps(self, request: web.Request) -> web.Response:
        if request.headers.get("auth-token") != KEY:
            return _error(401, "Invalid auth-token")
        zone, scope = request.query["zone"], request.query.get("emissionFactorType", "lifecycle")
        kind = f"carbon/average/{scope}"
        now = int(self.now()) // S_PER_HOUR * S_PER_HOUR
        match request.match_info["what"]:
            case "forecast":
                points = self.points(request, zone, now, now + 72 * S_PER_HOUR, S_PER_HOUR, kind)
                return _json(dialects.electricity_maps(points, zone, scope, "forecast"))
            case "history":
                points = self.points(request, zone, now - S_PER_DAY, now, S_PER_HOUR, kind)
                return _json(dialects.electricity_maps(points, zone, scope, "history"))
            case "past-range":
                start, end = _instant(request.query["start"]), _instant(request.query["end"])
                if end - start > MOST_DAYS["electricitymaps"] * S_PER_DAY:
                    return _error(400, "the range is limited to 10 days for hourly granularity")
                points = self.points(request, zone, start, min(end, now + S_PER_HOUR), S_PER_HOUR, kind)
                return _json(dialects.electricity_maps(points, zone, scope, "data"))
        return _error(404, "not found")

    async def login(self, request: web.Request) -> web.Response:
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or base64.b64decode(pair).decode().partition(":")[2] != KEY:
            return _error(401, "Invalid credentials")
        return web.json_response({"token": TOKEN})

    async def watttime(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(403, "Invalid token")
        region, now = request.query["region"], int(self.now())
        if request.match_info["what"] == "forecast":
            start, end = now, now + int(request.query.get("horizon_hours", "24")) * S_PER_HOUR
        else:
            start, end = _instant(request.query["start"]), _instant(request.query["end"])
        zone = {"CAISO_NORTH": "US-CAL-CISO"}.get(region, region)
        return _json(dialects.watttime(self.points(request, zone, start, end, 300), region, now, 300))

    async def energy_charts(self, request: web.Request) -> web.Response:
        now = int(self.now())
        start = _instant(request.query["start"]) if "start" in request.query else now // S_PER_DAY * S_PER_DAY
        end = _instant(request.query["end"]) if "end" in request.query else start + 2 * S_PER_DAY
        if request.match_info["what"] == "price":
            prices: Points = [(at, round(60 + 50 * math.sin(at / 14_000), 2)) for at in range(start, end, S_PER_HOUR)]
            return _json(dialects.energy_charts_price(self._disturb(request, prices)))
        zone = request.query["country"].upper()
        return _json(dialects.energy_charts(self.points(request, zone, start, end, 900, EMBEDDED["energycharts"]), now))

    async def open_meteo(self, request: web.Request) -> web.Response:
        variable = request.query["hourly"]
        today = int(self.now()) // S_PER_DAY * S_PER_DAY
        start = _instant(request.query["start_date"]) if "start_date" in request.query else today
        end = _instant(request.query["end_date"]) + S_PER_DAY if "end_date" in request.query else today + 8 * S_PER_DAY
        weather: Points = [(at, round(6 + 4 * math.sin(at / 20_000), 2)) for at in range(start, end, S_PER_HOUR)]
        return _json(dialects.open_meteo(self._disturb(request, weather), variable))

    async def eia(self, request: web.Request) -> web.Response:
        if request.query.get("api_key") != KEY:
            return _error(403, "API_KEY_INVALID")
        start, end = _instant(request.query["start"] + ":00"), _instant(request.query["end"] + ":00") + S_PER_HOUR
        respondent = request.query["facets[respondent][]"]
        zone = {"CISO": "US-CAL-CISO", "PJM": "US-MIDA-PJM", "US48": "US"}.get(respondent, respondent)
        return _json(dialects.eia(self._mixes(request, zone, start, end), respondent))

    async def entsoe(self, request: web.Request) -> web.Response:
        if request.query.get("securityToken") != KEY:
            return _error(401, "Unauthorized")
        start, end = (
            int(datetime.strptime(request.query[name], "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp())
            for name in ("periodStart", "periodEnd")
        )
        area = request.query["in_Domain"]
        if request.query["documentType"] == "A44":
            prices: Points = [(at, round(60 + 50 * math.sin(at / 14_000), 2)) for at in range(start, end, S_PER_HOUR)]
            return _xml(dialects.entsoe_prices(self._disturb(request, prices), area))
        mixes = self._mixes(request, "DE", start, min(end, int(self.now())))
        return _xml(dialects.entsoe_generation(mixes, area) if mixes else dialects.entsoe_nothing())

    async def carbon_aware(self, request: web.Request) -> web.Response:
        location, now = request.query["location"], int(self.now()) // S_PER_HOUR * S_PER_HOUR
        if request.path.endswith("current"):
            points = self.points(request, location, now, now + S_PER_DAY, S_PER_HOUR)
            return _json(dialects.carbon_aware_forecast(points, location, now))
        start, end = _instant(request.query["time"]), _instant(request.query["toTime"])
        return _json(dialects.carbon_aware(self.points(request, location, start, end, S_PER_HOUR), location))

    def _mixes(self, request: web.Request, zone: str, start_s: int, end_s: int) -> dict[int, dict[str, float] | None]:
        """Generation of each hour; faults of points act on gas, which is what the intensity hangs on."""
        hours: Points = [(at, 1.0) for at in range(start_s, end_s, S_PER_HOUR)]
        return {
            at: None if factor is None else {k: v * factor for k, v in self.world.mix(zone, at).items()}
            for at, factor in self._disturb(request, hours)
        }


def _instant(text: str) -> int:
    when = datetime.fromisoformat(text)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def _json(body: str) -> web.Response:
    return web.Response(text=body, content_type="application/json")


def _xml(body: str) -> web.Response:
    return web.Response(text=body, content_type="text/xml")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": str(status), "message": message}}, status=status, headers=headers)


def serve(twin: Twin, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Until interrupted; `ready` is told the port."""

    async def run() -> None:
        runner = web.AppRunner(twin.app(), access_log=None)
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
