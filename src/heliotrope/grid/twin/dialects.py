"""How each API speaks: from points to the body that its documentation shows. Written from the documented shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from heliotrope.grid.twin.faults import Points
from heliotrope.units import G_PER_LB, S_PER_HOUR, from_epoch

Shape = dict[str, float]  # fuel → share


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


def neso_region(points: Points, region: int) -> str:
    rows = [
        {
            "from": zulu(at),
            "to": zulu(at + 1800),
            "intensity": {"forecast": None if value is None else round(value), "index": "moderate"},
            "generationmix": [{"fuel": "gas", "perc": 43.6}, {"fuel": "wind", "perc": 56.4}],
        }
        for at, value in points
    ]
    return json.dumps({"data": {"regionid": region, "shortname": f"Region {region}", "data": rows}})


def electricity_maps(points: Points, zone: str, scope: str, key: str) -> str:
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
    return json.dumps({"zone": zone, key: rows, "temporalGranularity": "hourly"})


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


def energy_charts_price(points: Points) -> str:
    return json.dumps(
        {
            "license_info": "CC BY 4.0 from Bundesnetzagentur | SMARD.de",
            "unix_seconds": [at for at, _ in points],
            "price": [value for _, value in points],
            "unit": "EUR / MWh",
            "deprecated": False,
        }
    )


def open_meteo(points: Points, variable: str) -> str:
    times = [f"{from_epoch(at):%Y-%m-%dT%H:%M}" for at, _ in points]
    return json.dumps({"hourly": {"time": times, variable: [value for _, value in points]}})


def carbon_aware(points: Points, location: str) -> str:
    rows = [
        {"location": location, "time": from_epoch(at).isoformat(), "rating": value, "duration": "01:00:00"}
        for at, value in points
    ]
    return json.dumps(rows)


def carbon_aware_forecast(points: Points, location: str, now_s: int) -> str:
    rows = [
        {"location": location, "timestamp": from_epoch(at).isoformat(), "duration": 60, "value": value}
        for at, value in points
    ]
    known = [(value, i) for i, (_, value) in enumerate(points) if value is not None]
    best = rows[min(known)[1]] if known else None
    document: dict[str, Any] = {
        "requestedAt": from_epoch(now_s).isoformat(),
        "generatedAt": from_epoch(now_s // 300 * 300).isoformat(),
        "location": location,
        "windowSize": 60,
        "optimalDataPoints": [best] if best else [],
        "forecastData": rows,
    }
    return json.dumps([document])


def eia(mixes: Mapping[int, Shape | None], respondent: str) -> str:
    """Values as strings, as the API sends them; power in MWh of the hour."""
    codes = {"coal": "COL", "gas": "NG", "nuclear": "NUC", "oil": "OIL", "hydro": "WAT", "solar": "SUN", "wind": "WND"}
    rows = [
        {
            "period": f"{from_epoch(at):%Y-%m-%dT%H}",
            "respondent": respondent,
            "fueltype": codes[fuel],
            "type-name": fuel.title(),
            "value": None if mix is None else str(round(20_000 * mix.get(fuel, 0.0))),
            "value-units": "megawatthours",
        }
        for at, mix in mixes.items()
        for fuel in codes
    ]
    return json.dumps({"response": {"total": str(len(rows)), "dateFormat": 'YYYY-MM-DD"T"HH24', "data": rows}})


PSR = {"coal": "B05", "gas": "B04", "nuclear": "B14", "oil": "B06", "hydro": "B11", "solar": "B16", "wind": "B19"}


def entsoe_generation(mixes: Mapping[int, Shape | None], area: str) -> str:
    at = sorted(mixes)
    series = "".join(
        f"<TimeSeries><inBiddingZone_Domain.mRID>{escape(area)}</inBiddingZone_Domain.mRID>"
        f"<MktPSRType><psrType>{code}</psrType></MktPSRType>"
        + _periods([(t, None if (mix := mixes[t]) is None else 20_000 * mix.get(fuel, 0.0)) for t in at], "quantity")
        + "</TimeSeries>"
        for fuel, code in PSR.items()
    )
    return _document("GL_MarketDocument", "451-6:generationloaddocument:3:0", series)


def entsoe_prices(points: Points, area: str) -> str:
    domain = f"<in_Domain.mRID>{escape(area)}</in_Domain.mRID>"
    series = f"<TimeSeries>{domain}{_periods(points, 'price.amount')}</TimeSeries>"
    return _document("Publication_MarketDocument", "451-3:publicationdocument:7:3", series)


def entsoe_nothing() -> str:
    reason = "<Reason><code>999</code><text>No matching data found</text></Reason>"
    return _document("Acknowledgement_MarketDocument", "451-1:acknowledgementdocument:7:0", reason)


def _document(name: str, schema: str, inner: str) -> str:
    return f'<?xml version="1.0"?><{name} xmlns="urn:iec62325.351:tc57wg16:{schema}">{inner}</{name}>'


def _periods(points: Points, name: str) -> str:
    """One period for each unbroken run of hours; a null is left out of its run."""
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
        )
        + "</Period>"
        for run in runs
    )
