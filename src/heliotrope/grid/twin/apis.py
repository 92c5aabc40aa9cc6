"""The questions each API takes, as it documents them: its addresses, its keys, its limits, its zones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from heliotrope import facts
from heliotrope.grid import zones
from heliotrope.grid.twin import dialects, faults
from heliotrope.grid.twin.faults import Points
from heliotrope.grid.twin.world import DIRECT, LIFECYCLE, LOAD_MW, World
from heliotrope.units import S_PER_DAY, S_PER_HOUR, hour_floor

KEY = "twin-key"  # what the twin takes for a good key, password and security token
TOKEN = "twin-token"  # noqa: S105
APIS = ("neso", "electricitymaps", "watttime", "energycharts", "openmeteo", "eia", "entsoe", "casdk")
MOST_DAYS = {"neso": 14, "electricitymaps": 10, "watttime": 32, "entsoe": 366}
OPEN_METEO_PAST_DAYS = 92
EIA_ROWS = 5000
RESPONDENTS = {"US48": "US"} | {part.more["eia"]: name for name, part in zones.parts().items() if part.more["eia"]}
NESO_SPANS_H = {"fw24h": 24, "fw48h": 48, "pt24h": -24}
NESO_LONDON = 13  # where every postcode of the twin lies
ENERGY_CHARTS_NAMES = {"uk": "GB"}
WATTTIME_REGIONS = {"CAISO_NORTH": "US-CAL-CISO", "PJM_DC": "US-MIDA-PJM", "UK": "GB"}


class Apis:
    def __init__(self, world: World, now: Callable[[], float]) -> None:
        self.world = world
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/neso/intensity", self.neso_now),
            web.get("/neso/intensity/factors", self.neso_factors),
            web.get("/neso/intensity/date", self.neso_today),
            web.get("/neso/intensity/{start}/{end}", self.neso),
            web.get("/neso/generation/{start}/{end}", self.neso_generation),
            web.get("/neso/regional/intensity/{start}/{end}/regionid/{region}", self.neso),
            web.get("/neso/regional/intensity/{start}/{end}/postcode/{postcode}", self.neso),
            web.get("/electricitymaps/{version:v[34]}/zones", self.maps_zones),
            web.get("/electricitymaps/{version:v[34]}/{table:carbon-intensity|power-breakdown}/{what}", self.maps),
            web.get("/watttime/login", self.login),
            web.get("/watttime/v3/{what}", self.watttime),
            web.get("/energycharts/{what:co2eq|price|public_power_forecast|public_power}", self.energy_charts),
            web.get("/openmeteo/v1/forecast", self.open_meteo),
            web.get("/eia/v2/electricity/rto/{table:fuel-type-data|region-data}/data", self.eia),
            web.get("/entsoe/api", self.entsoe),
            web.get("/casdk/locations", self.carbon_aware_locations),
            web.get("/casdk/emissions/bylocation", self.carbon_aware),
            web.get("/casdk/emissions/bylocations", self.carbon_aware),
            web.get("/casdk/emissions/bylocations/best", self.carbon_aware),
            web.get("/casdk/emissions/average-carbon-intensity", self.carbon_aware),
            web.get("/casdk/emissions/forecasts/current", self.carbon_aware),
        ]

    @property
    def now(self) -> int:
        return int(self._now())

    def points(self, zone: str, start_s: int, end_s: int, step_s: int, kind: str) -> Points:
        """Every step of [start, end) that the world knows, with the request's fault done to it."""
        steps = range(start_s // step_s * step_s, end_s, step_s)
        return self._disturb([(at, self.world.at(zone, at, kind)) for at in steps])

    def _disturb(self, points: Points) -> Points:
        disturb = faults.ON_POINTS.get(faults.DOING.get())
        return disturb(points, self.now) if disturb else points

    def _mixes(self, zone: str, start_s: int, end_s: int) -> dialects.Mixes:
        """Generation of each hour; faults of points act on all of an hour's power."""
        hours: Points = [(at, 1.0) for at in range(start_s, end_s, S_PER_HOUR)]
        return [
            (at, None if factor is None else {k: v * factor for k, v in self.world.mix(zone, at).items()})
            for at, factor in self._disturb(hours)
        ]

    def _nearest(self, latitude: float, longitude: float) -> str:
        """Of the regions whose zones have a place: WattTime knows many more."""

        def distance(region: str) -> float:
            place = zones.find(WATTTIME_REGIONS[region]).place
            return abs(place.latitude - latitude) + abs(place.longitude - longitude) if place else 360.0

        return min(WATTTIME_REGIONS, key=distance)

    def _power(self, zone: str, what: str) -> Callable[[int], float]:
        """MW at an hour as it was foreseen the day before: `wind`, `solar` or `load`."""
        if what == "load":
            return lambda _at: LOAD_MW
        return lambda at: self.world.wind_forecast(zone, at) if what == "wind" else 0.0

    def _issued(self, now_s: int) -> int:
        """When a forecast says it was made."""
        return now_s - 30 * S_PER_HOUR if faults.DOING.get() == "old" else now_s

    # Great Britain -----------------------------------------------------------------------------------------

    async def neso_now(self, request: web.Request) -> web.Response:
        start = self.now // 1800 * 1800
        return _json(dialects.neso(self.points("GB", start, start + 1800, 1800, DIRECT), self.now))

    async def neso_factors(self, request: web.Request) -> web.Response:
        return _json(dialects.neso_factors())

    async def neso_today(self, request: web.Request) -> web.Response:
        start = self.now // S_PER_DAY * S_PER_DAY
        return _json(dialects.neso(self.points("GB", start, start + S_PER_DAY, 1800, DIRECT), self.now))

    async def neso(self, request: web.Request) -> web.Response:
        start, text = instant(request.match_info["start"]), request.match_info["end"]
        if text in NESO_SPANS_H:
            start, end = sorted((start, start + NESO_SPANS_H[text] * S_PER_HOUR))
        else:
            end = instant(text)
        if end - start > MOST_DAYS["neso"] * S_PER_DAY:
            return refusal(400, "The maximum date range is 14 days.")
        points = self.points("GB", start, end, 1800, DIRECT)
        if "postcode" in request.match_info:
            return _json(dialects.neso_region(points, NESO_LONDON, request.match_info["postcode"]))
        region = request.match_info.get("region")
        return _json(dialects.neso_region(points, int(region)) if region else dialects.neso(points, self.now))

    async def neso_generation(self, request: web.Request) -> web.Response:
        start, end = instant(request.match_info["start"]), instant(request.match_info["end"])
        if end - start > MOST_DAYS["neso"] * S_PER_DAY:
            return refusal(400, "The maximum date range is 14 days.")
        return _json(dialects.neso_generation(self._mixes("GB", start, min(end, self.now))))

    # The world ---------------------------------------------------------------------------------------------

    async def maps(self, request: web.Request) -> web.Response:
        """Electricity Maps: versions 3 and 4, of one shape here."""
        if request.headers.get("auth-token") != KEY:
            return refusal(401, "Invalid auth-token")
        zone, scope = request.query["zone"], request.query.get("emissionFactorType", "lifecycle")
        now, what = hour_floor(self.now), request.match_info["what"]
        key = {"past-range": "data"}.get(what, what)
        if what == "forecast":
            start, end = now, now + int(request.query.get("horizonHours", "24")) * S_PER_HOUR
        elif what == "history":
            start, end = now - S_PER_DAY, now
        elif what == "latest":
            start, end = now, now + S_PER_HOUR
        elif what == "past-range":
            start, end = instant(request.query["start"]), min(instant(request.query["end"]), now + S_PER_HOUR)
            if end - start > MOST_DAYS["electricitymaps"] * S_PER_DAY:
                return refusal(400, "the range is limited to 10 days for hourly granularity")
        else:
            return refusal(404, "not found")
        issued = self._issued(self.now)
        if request.match_info["table"] == "power-breakdown":
            mixes = self._mixes(zone, start, end)
            return _json(dialects.power_breakdown(mixes, zone, key, issued))
        points = self.points(zone, start, end, S_PER_HOUR, f"carbon/average/{scope}")
        return _json(dialects.electricity_maps(points, zone, scope, key, issued))

    async def maps_zones(self, request: web.Request) -> web.Response:
        """The one question that needs no key."""
        return _json(dialects.electricity_maps_zones(zones.all_zones().values()))

    async def login(self, request: web.Request) -> web.Response:
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or base64.b64decode(pair).decode().partition(":")[2] != KEY:
            return refusal(401, "Invalid credentials")
        return web.json_response({"token": TOKEN})

    async def watttime(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(403, "Invalid token")
        what = request.match_info["what"]
        if what == "region-from-loc":
            region = self._nearest(float(request.query["latitude"]), float(request.query["longitude"]))
            return web.json_response({"region": region, "region_full_name": region, "signal_type": "co2_moer"})
        if what == "my-access":
            return _json(dialects.watttime_access(list(WATTTIME_REGIONS)))
        region = request.query["region"]
        zone = WATTTIME_REGIONS.get(region, region)
        if what == "forecast":
            hours = int(request.query.get("horizon_hours", "24"))
            if not 0 <= hours <= 72:
                return refusal(400, "horizon_hours must be between 0 and 72")
            start, end = self.now // 300 * 300, self.now + hours * S_PER_HOUR
        elif what == "historical":
            start, end = instant(request.query["start"]), instant(request.query["end"])
            if end - start > MOST_DAYS["watttime"] * S_PER_DAY:
                return refusal(400, "the range is limited to 32 days")
        else:
            return refusal(404, "not found")
        points = self.points(zone, start, end, 300, LIFECYCLE)
        return _json(dialects.watttime(points, region, self._issued(self.now), 300))

    async def open_meteo(self, request: web.Request) -> web.Response:
        today = self.now // S_PER_DAY * S_PER_DAY
        start = instant(request.query["start_date"]) if "start_date" in request.query else today
        end = instant(request.query["end_date"]) + S_PER_DAY if "end_date" in request.query else today + 8 * S_PER_DAY
        if start < today - OPEN_METEO_PAST_DAYS * S_PER_DAY or end > today + 17 * S_PER_DAY:
            reason = "Parameter 'start_date' or 'end_date' is out of allowed range"
            return web.json_response({"error": True, "reason": reason}, status=400)
        columns = {
            name: self._disturb([(at, self.world.weather(name, at)) for at in range(start, end, S_PER_HOUR)])
            for name in request.query["hourly"].split(",")
        }
        return _json(dialects.open_meteo(columns))

    # Europe and the United States --------------------------------------------------------------------------

    async def energy_charts(self, request: web.Request) -> web.Response:
        start = instant(request.query["start"]) if "start" in request.query else self.now // S_PER_DAY * S_PER_DAY
        end = instant(request.query["end"]) if "end" in request.query else start + 2 * S_PER_DAY
        what = request.match_info["what"]
        if what == "price":
            prices: Points = [(at, self.world.price(at)) for at in range(start, end, S_PER_HOUR)]
            return _json(dialects.energy_charts_price(self._disturb(prices), request.query["bzn"]))
        zone = ENERGY_CHARTS_NAMES.get(request.query["country"], request.query["country"].upper())
        if what == "public_power_forecast":
            type_ = request.query["production_type"]
            if type_ == "wind_offshore":
                return refusal(404, "no content available")
            value = self._power(zone, {"wind_onshore": "wind"}.get(type_, type_))
            points = self._disturb([(at, value(at)) for at in range(start, end, S_PER_HOUR)])
            return _json(dialects.energy_charts_forecast(points, type_, request.query["forecast_type"]))
        if what == "public_power":
            return _json(dialects.energy_charts_power(self._mixes(zone, start, min(end, self.now))))
        return _json(dialects.energy_charts(self.points(zone, start, end, 900, DIRECT), self.now))

    async def eia(self, request: web.Request) -> web.Response:
        if request.query.get("api_key") != KEY:
            return refusal(403, "API_KEY_INVALID")
        start, end = instant(request.query["start"] + ":00"), instant(request.query["end"] + ":00") + S_PER_HOUR
        respondent = request.query["facets[respondent][]"]
        zone = RESPONDENTS.get(respondent, respondent)
        if request.match_info["table"] == "region-data":
            points = self._disturb([(at, LOAD_MW) for at in range(start, end, S_PER_HOUR)])
            rows = dialects.eia_demand(points, respondent, request.query.get("facets[type][]", "DF"))
        else:
            rows = dialects.eia(self._mixes(zone, start, min(end, self.now)), respondent)
        offset, length = int(request.query.get("offset", "0")), int(request.query.get("length", str(EIA_ROWS)))
        return _json(dialects.eia_page(rows, offset, min(length, EIA_ROWS), request.query))

    async def entsoe(self, request: web.Request) -> web.Response:
        if request.query.get("securityToken") != KEY:
            return refusal(401, "Unauthorized")
        start, end = (
            int(datetime.strptime(request.query[name], "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp())
            for name in ("periodStart", "periodEnd")
        )
        area = request.query.get("in_Domain") or request.query["outBiddingZone_Domain"]
        zone = {fact.more["eic"]: fact.name for fact in facts.table("entsoe_areas")}.get(area)
        if zone is None or end - start > MOST_DAYS["entsoe"] * S_PER_DAY:
            return _xml(dialects.entsoe_nothing(), status=400)
        hours = range(start, end, S_PER_HOUR)
        match request.query["documentType"], request.query.get("processType"):
            case "A44", _:
                prices = self._disturb([(at, self.world.price(at)) for at in hours])
                return _xml(dialects.entsoe_prices(prices, area))
            case "A65", "A01" | "A16":
                return _xml(dialects.entsoe_load(self._disturb([(at, LOAD_MW) for at in hours]), area))
            case "A69", "A01":
                wind, sun = (
                    self._disturb([(at, self._power(zone, what)(at)) for at in hours]) for what in ("wind", "solar")
                )
                return _xml(dialects.entsoe_wind_and_sun(wind, sun, area))
            case "A75", "A16":
                mixes = self._mixes(zone, start, min(end, self.now))
                return _xml(dialects.entsoe_generation(mixes, area) if mixes else dialects.entsoe_nothing())
        return _xml(dialects.entsoe_nothing(), status=400)

    async def carbon_aware_locations(self, request: web.Request) -> web.Response:
        return _json(dialects.carbon_aware_locations(zones.all_zones().values()))

    async def carbon_aware(self, request: web.Request) -> web.Response:
        """Several locations are one list; `best` are the rows of the lowest rating."""
        locations, now = request.query.getall("location"), hour_floor(self.now)
        if request.path.endswith("current"):
            issued = self._issued(self.now)
            made = [
                dialects.carbon_aware_forecast(
                    self.points(location, now, now + S_PER_DAY, S_PER_HOUR, LIFECYCLE), location, issued
                )
                for location in locations
            ]
            return _json(json.dumps(made))
        averaged = request.path.endswith("intensity")
        start, end = (
            instant(request.query[name]) for name in (("startTime", "endTime") if averaged else ("time", "toTime"))
        )
        told = {place: self.points(place, start, end, S_PER_HOUR, LIFECYCLE) for place in locations}
        if averaged:
            return _json(dialects.carbon_aware_average(told[locations[0]], locations[0], start, end))
        rows = [row for location, points in told.items() for row in dialects.carbon_aware(points, location)]
        if request.path.endswith("best"):
            least = min((row["rating"] for row in rows if row["rating"] is not None), default=None)
            rows = [row for row in rows if row["rating"] == least]
        return _json(json.dumps(rows))


def instant(text: str) -> int:
    when = datetime.fromisoformat(text)
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body: dict[str, Any] = {"error": {"code": str(status), "message": message}}
    return web.json_response(body, status=status, headers=headers)


def _json(body: str) -> web.Response:
    return web.Response(text=body, content_type="application/json")


def _xml(body: str, *, status: int = 200) -> web.Response:
    return web.Response(text=body, content_type="text/xml", status=status)
