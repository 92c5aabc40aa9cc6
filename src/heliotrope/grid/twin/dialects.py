"""How each API speaks: from points to the body that its documentation shows. Written from the documented shapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from heliotrope.grid.twin.faults import Points
from heliotrope.grid.zones import Zone
from heliotrope.units import G_PER_LB, S_PER_HOUR, from_epoch

Shape = dict[str, float]  # fuel → share
Mixes = list[tuple[int, Shape | None]]  # as it comes: hours may be missing, or there twice


def zulu(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%MZ}"


def iso(at_s: int) -> str:
    return f"{from_epoch(at_s):%Y-%m-%dT%H:%M:%S.000Z}"


def neso(points: Points, now_s: int) -> str:
    rows = [
        {
            "from": zulu(at),
            "to": zulu(at + 1800),
            "intensity": {
                "forecast": None if value is None else round(value) + 3,
                "actual": None if value is None or at > now_s else round(value),
                "index": "moderate",
            },
        }
        for at, value in points
    ]
    return json.dumps({"data": rows})


def neso_region(points: Points, region: int, postcode: str = "") -> str:
    rows = [
        {
            "from": zulu(at),
            "to": zulu(at + 1800),
            "intensity": {"forecast": None if value is None else round(value), "index": "moderate"},
            "generationmix": [{"fuel": "gas", "perc": 43.6}, {"fuel": "wind", "perc": 56.4}],
        }
        for at, value in points
    ]
    where: dict[str, Any] = {"regionid": region, "shortname": f"Region {region}"}
    return json.dumps({"data": where | ({"postcode": postcode} if postcode else {}) | {"data": rows}})


def neso_generation(mixes: Mixes) -> str:
    rows = [
        {
            "from": zulu(at + half),
            "to": zulu(at + half + 1800),
            "generationmix": [
                {"fuel": fuel, "perc": None if mix is None else round(100 * mix.get(fuel, 0.0), 1)}
                for fuel in ("gas", "coal", "biomass", "nuclear", "hydro", "imports", "other", "wind", "solar")
            ],
        }
        for at, mix in mixes
        for half in (0, 1800)
    ]
    return json.dumps({"data": rows})


def neso_factors() -> str:
    return json.dumps({"data": [{"Biomass": 120, "Coal": 937, "Gas (Combined Cycle)": 394, "Nuclear": 0, "Wind": 0}]})


def power_breakdown(mixes: Mixes, zone: str, key: str, issued_s: int) -> str:
    rows = [
        {
            "zone": zone,
            "datetime": iso(at),
            "updatedAt": iso(at + 2 * S_PER_HOUR),
            "fossilFreePercentage": None if mix is None else round(100 * mix["wind"], 2),
            "renewablePercentage": None if mix is None else round(100 * mix["wind"], 2),
            "isEstimated": False,
            "estimationMethod": None,
        }
        for at, mix in mixes
    ]
    return json.dumps(rows[0] if key == "latest" else {"zone": zone, key: rows, "updatedAt": iso(issued_s)})


def electricity_maps(points: Points, zone: str, scope: str, key: str, issued_s: int) -> str:
    rows = [
        {
            "zone": zone,
            "carbonIntensity": None if value is None else round(value),
            "datetime": iso(at),
            "updatedAt": iso(at + 2 * S_PER_HOUR),
            "createdAt": iso(at + S_PER_HOUR),
            "emissionFactorType": scope,
            "isEstimated": False,
            "estimationMethod": None,
        }
        for at, value in points
    ]
    if key == "forecast":
        rows = [{"carbonIntensity": row["carbonIntensity"], "datetime": row["datetime"]} for row in rows]
    if key == "latest":
        return json.dumps({**rows[0], "temporalGranularity": "hourly"})
    answer = {"zone": zone, key: rows, "temporalGranularity": "hourly"}
    return json.dumps(answer | ({"updatedAt": iso(issued_s)} if key == "forecast" else {}))


def watttime(points: Points, region: str, now_s: int, step_s: int) -> str:
    rows = [
        {
            "point_time": from_epoch(at).isoformat(),
            "value": None if value is None else round(value * 1000 / G_PER_LB, 3),
            "version": "2026-03-01",
        }
        for at, value in points
    ]
    meta = {
        "region": region,
        "signal_type": "co2_moer",
        "model": {"date": "2026-03-01"},
        "units": "lbs_co2_per_mwh",
        "generated_at": from_epoch(now_s // 300 * 300).isoformat(),
        "generated_at_period_seconds": 300,
        "data_point_period_seconds": step_s,
    }
    return json.dumps({"data": rows, "meta": meta})


def energy_charts(points: Points, now_s: int) -> str:
    return json.dumps(
        {
            "unix_seconds": [at for at, _ in points],
            "co2eq": [value if at <= now_s else None for at, value in points],
            "co2eq_forecast": [value if at > now_s else None for at, value in points],
            "substitute": False,
            "deprecated": False,
        }
    )


def energy_charts_power(mixes: Mixes) -> str:
    types = {"Fossil gas": "gas", "Wind onshore": "wind", "Solar": "solar", "Hydro Run-of-River": "hydro"}
    columns = [
        {"name": name, "data": [None if mix is None else round(20_000 * mix.get(fuel, 0.0), 1) for _, mix in mixes]}
        for name, fuel in types.items()
    ]
    load = [{"name": "Load", "data": [20_000.0] * len(mixes)}]
    share = [{"name": "Renewable share of load", "data": [None] * len(mixes)}]
    times = [at for at, _ in mixes]
    return json.dumps({"unix_seconds": times, "production_types": [*columns, *load, *share], "deprecated": False})


def energy_charts_forecast(points: Points, production_type: str, forecast_type: str) -> str:
    return json.dumps(
        {
            "unix_seconds": [at for at, _ in points],
            "production_type": production_type,
            "forecast_type": forecast_type,
            "forecast_values": [value for _, value in points],
            "deprecated": False,
        }
    )


def energy_charts_price(points: Points, zone: str) -> str:
    return json.dumps(
        {
            "license_info": f"{zone}: CC BY 4.0 from Bundesnetzagentur | SMARD.de",
            "unix_seconds": [at for at, _ in points],
            "price": [value for _, value in points],
            "unit": "EUR / MWh",
            "deprecated": False,
        }
    )


def open_meteo(columns: Mapping[str, Points]) -> str:
    first = next(iter(columns.values()))
    times = [f"{from_epoch(at):%Y-%m-%dT%H:%M}" for at, _ in first]
    hourly: dict[str, Any] = {name: [value for _, value in points] for name, points in columns.items()}
    return json.dumps({"utc_offset_seconds": 0, "timezone": "GMT", "hourly": {"time": times, **hourly}})


def electricity_maps_zones(known: Iterable[Zone]) -> str:
    return json.dumps({zone.name: {"zoneName": zone.title, "countryCode": zone.country} for zone in known})


def watttime_access(regions: list[str]) -> str:
    """What the account may ask: one signal, one model, all of the twin's regions."""
    models = [{"model": "2026-03-01", "data_start": "2022-01-01T00:00+00:00", "type": "binned_regression"}]
    endpoints = [{"endpoint": f"v3/{name}", "models": models} for name in ("forecast", "historical")]
    access = [{"region": name, "region_full_name": name, "parent": "", "endpoints": endpoints} for name in regions]
    signal = {"signal_type": "co2_moer", "signal_type_full_name": "Marginal Operating Emissions Rate of CO2"}
    return json.dumps({"signal_types": [{**signal, "regions": access}]})


def carbon_aware_locations(known: Iterable[Zone]) -> str:
    return json.dumps(
        {
            zone.name: {"Latitude": zone.place.latitude, "Longitude": zone.place.longitude, "Name": zone.name}
            for zone in known
            if zone.place
        }
    )


def carbon_aware(points: Points, location: str) -> list[dict[str, Any]]:
    return [
        {"location": location, "time": from_epoch(at).isoformat(), "rating": value, "duration": "01:00:00"}
        for at, value in points
    ]


def carbon_aware_average(points: Points, location: str, start_s: int, end_s: int) -> str:
    known = [value for _, value in points if value is not None]
    mean = sum(known) / len(known) if known else None
    span = {"startTime": from_epoch(start_s).isoformat(), "endTime": from_epoch(end_s).isoformat()}
    return json.dumps({"location": location, **span, "carbonIntensity": mean})


def carbon_aware_forecast(points: Points, location: str, now_s: int) -> dict[str, Any]:
    rows = [
        {"location": location, "timestamp": from_epoch(at).isoformat(), "duration": 60, "value": value}
        for at, value in points
    ]
    known = [(value, i) for i, (_, value) in enumerate(points) if value is not None]
    best = rows[min(known)[1]] if known else None
    return {
        "requestedAt": from_epoch(now_s).isoformat(),
        "generatedAt": from_epoch(now_s // 300 * 300).isoformat(),
        "location": location,
        "windowSize": 60,
        "optimalDataPoints": [best] if best else [],
        "forecastData": rows,
    }


def eia(mixes: Mixes, respondent: str) -> list[dict[str, Any]]:
    """Values as strings, as the API sends them, in MWh of the hour; wind comes under two spellings of its name."""
    codes = {"coal": "COL", "gas": "NG", "nuclear": "NUC", "oil": "OIL", "hydro": "WAT", "solar": "SUN", "wind": "WND"}
    return [
        {
            "period": f"{from_epoch(at):%Y-%m-%dT%H}",
            "respondent": respondent,
            "fueltype": codes[fuel],
            "type-name": name,
            "value": None if mix is None else str(round(20_000 * mix.get(fuel, 0.0))),
            "value-units": "megawatthours",
        }
        for at, mix in mixes
        for fuel in codes
        for name in ((fuel.title(), fuel.upper()) if fuel == "wind" else (fuel.title(),))
    ]


def eia_demand(points: Points, respondent: str, kind: str) -> list[dict[str, Any]]:
    return [
        {
            "period": f"{from_epoch(at):%Y-%m-%dT%H}",
            "respondent": respondent,
            "type": kind,
            "type-name": "Day-ahead demand forecast" if kind == "DF" else "Demand",
            "value": None if value is None else str(round(value)),
            "value-units": "megawatthours",
        }
        for at, value in points
    ]


def eia_page(rows: list[dict[str, Any]], offset: int, length: int, params: Mapping[str, str]) -> str:
    """The API repeats the question in its answer, the key with it."""
    page = rows[offset : offset + length]
    response = {"total": str(len(rows)), "dateFormat": 'YYYY-MM-DD"T"HH24', "data": page}
    return json.dumps({"response": response, "request": {"params": dict(params)}, "apiVersion": "2.1.8"})


PSR = {"coal": "B05", "gas": "B04", "nuclear": "B14", "oil": "B06", "hydro": "B11", "solar": "B16", "wind": "B19"}
CURVE = "<curveType>A03</curveType>"  # a position that repeats the value before it is left out


def entsoe_generation(mixes: Mixes, area: str) -> str:
    return _document(
        "GL_MarketDocument",
        "451-6:generationloaddocument:3:0",
        "".join(
            _typed(code, area, [(at, None if mix is None else 20_000 * mix.get(fuel, 0.0)) for at, mix in mixes])
            for fuel, code in PSR.items()
        ),
    )


def entsoe_wind_and_sun(wind: Points, sun: Points, area: str) -> str:
    return _document(
        "GL_MarketDocument",
        "451-6:generationloaddocument:3:0",
        _typed(PSR["wind"], area, wind) + _typed(PSR["solar"], area, sun),
    )


def entsoe_load(points: Points, area: str) -> str:
    domain = f"<outBiddingZone_Domain.mRID>{escape(area)}</outBiddingZone_Domain.mRID>"
    series = f"<TimeSeries>{domain}{CURVE}{_periods(points, 'quantity')}</TimeSeries>"
    return _document("GL_MarketDocument", "451-6:generationloaddocument:3:0", series)


def _typed(code: str, area: str, points: Points) -> str:
    return (
        f"<TimeSeries><inBiddingZone_Domain.mRID>{escape(area)}</inBiddingZone_Domain.mRID>"
        f"<MktPSRType><psrType>{code}</psrType></MktPSRType>{CURVE}{_periods(points, 'quantity')}</TimeSeries>"
    )


def entsoe_prices(points: Points, area: str) -> str:
    domain = f"<in_Domain.mRID>{escape(area)}</in_Domain.mRID>"
    series = f"<TimeSeries>{domain}{CURVE}{_periods(points, 'price.amount')}</TimeSeries>"
    return _document("Publication_MarketDocument", "451-3:publicationdocument:7:3", series)


def entsoe_nothing() -> str:
    reason = "<Reason><code>999</code><text>No matching data found</text></Reason>"
    return _document("Acknowledgement_MarketDocument", "451-1:acknowledgementdocument:7:0", reason)


def _document(name: str, schema: str, inner: str) -> str:
    return f'<?xml version="1.0"?><{name} xmlns="urn:iec62325.351:tc57wg16:{schema}">{inner}</{name}>'


def _periods(points: Points, name: str) -> str:
    """One period for each unbroken run of hours; a null ends its run."""
    runs: list[Points] = []
    for at, value in points:
        if value is None:
            continue
        if runs and at == runs[-1][-1][0] + S_PER_HOUR:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    return "".join(
        f"<Period><timeInterval><start>{zulu(run[0][0])}</start>"
        f"<end>{zulu(run[-1][0] + S_PER_HOUR)}</end></timeInterval>"
        "<resolution>PT60M</resolution>"
        + "".join(
            f"<Point><position>{i}</position><{name}>{value:.2f}</{name}></Point>"
            for i, (_, value) in enumerate(run, 1)
            if i == 1 or value != run[i - 2][1]
        )
        + "</Period>"
        for run in runs
    )
