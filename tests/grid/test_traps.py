"""What each service's documents warn of, in answers written by hand: what was meant comes out, or an error does."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from heliotrope.config import GridSettings
from heliotrope.errors import ProviderGarbled, SignalGap
from heliotrope.grid import Grid
from heliotrope.model import PRICE, SignalKind
from heliotrope.units import S_PER_HOUR, epoch_s, parse_instant

LIFECYCLE = SignalKind.parse("carbon/average/lifecycle/production")
USED = SignalKind.parse("carbon/average/lifecycle/consumption")
MARGINAL = SignalKind.parse("carbon/marginal/direct")
GB = SignalKind.parse("carbon/average/direct/consumption")


def at(text):
    return epoch_s(parse_instant(text))


START = at("2026-03-01T00:00Z")


@contextmanager
def saying(*bodies):
    """A server that gives these answers in turn, the last one ever after."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = left.pop(0) if len(left) > 1 else left[0]
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(name, zone, kind, hours, *bodies, start=START, **options):
    with saying(*bodies) as url:
        settings = GridSettings(providers=(name,), options={name: {"url": url, "key": "k", **options}})
        return Grid(settings).history(zone, start, start + hours * S_PER_HOUR, kind=kind)


# ENTSO-E ---------------------------------------------------------------------------------------------------------


def entsoe(*series):
    return f'<GL_MarketDocument xmlns="urn:x">{"".join(series)}</GL_MarketDocument>'


def made(fuel, points, *, start="2026-03-01T00:00Z", end="2026-03-01T04:00Z", curve="A03", name="quantity", head=""):
    inner = "".join(f"<Point><position>{i}</position><{name}>{v}</{name}></Point>" for i, v in points)
    return (
        f"<TimeSeries>{head}<MktPSRType><psrType>{fuel}</psrType></MktPSRType><curveType>{curve}</curveType>"
        f"<Period><timeInterval><start>{start}</start><end>{end}</end></timeInterval>"
        f"<resolution>PT60M</resolution>{inner}</Period></TimeSeries>"
    )


def test_entsoe_positions_left_out_repeat_the_one_before():
    gas, wind = made("B04", [(1, 100), (3, 300)]), made("B19", [(1, 100)])
    signal = ask("entsoe", "DE", LIFECYCLE, 4, entsoe(gas, wind))
    assert signal.values.tolist() == pytest.approx([250.5, 250.5, (3 * 490 + 11) / 4, (3 * 490 + 11) / 4])


def test_entsoe_positions_left_out_of_a_plain_curve_are_a_gap():
    gas, wind = made("B04", [(1, 100)], curve="A01"), made("B19", [(1, 100)], curve="A01")
    with pytest.raises(SignalGap, match="3 h without values"):
        ask("entsoe", "DE", LIFECYCLE, 4, entsoe(gas, wind))


def test_entsoe_storage_and_what_it_took_in_are_not_generation():
    took_in = "<outBiddingZone_Domain.mRID>x</outBiddingZone_Domain.mRID>"
    answer = entsoe(
        made("B04", [(1, 100)]),
        made("B10", [(1, 500)]),
        made("B19", [(1, 900)], head=took_in),
    )
    assert ask("entsoe", "DE", LIFECYCLE, 4, answer).values[0] == pytest.approx(490)


def test_entsoe_an_hour_without_its_usual_fuel_is_no_value():
    """Gas came late for the last hours: without it the hour would look three times as clean."""
    gas = made("B04", [(1, 100)], end="2026-03-01T05:00Z")
    wind = made("B19", [(1, 100)], end="2026-03-01T08:00Z")
    with pytest.raises(SignalGap, match="3 h without values from 2026-03-01T05:00Z"):
        ask("entsoe", "DE", LIFECYCLE, 8, entsoe(gas, wind))


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("2026-03-28T23:00Z", "2026-03-29T22:00Z", 23), ("2025-10-25T22:00Z", "2025-10-26T23:00Z", 25)],
)
def test_entsoe_days_of_23_and_25_hours(start, end, hours):
    points = [(i, 50 + i) for i in range(1, hours + 1)]
    body = entsoe(made("", points, start=start, end=end, name="price.amount"))
    price = ask("entsoe", "DE", PRICE, hours, body, start=at(start))
    assert price.values.tolist() == [50 + i for i in range(1, hours + 1)]
    assert not price.quality.flags


def test_entsoe_entities_are_refused():
    with pytest.raises(ProviderGarbled, match="entities"):
        ask("entsoe", "DE", LIFECYCLE, 4, '<!DOCTYPE x [<!ENTITY a "b">]>' + entsoe())


# EIA -------------------------------------------------------------------------------------------------------------


def eia(*rows):
    data = [
        {"period": f"2026-03-01T{hour:02}", "respondent": "CISO", "fueltype": code, "type-name": name, "value": value}
        for hour, code, name, value in rows
    ]
    return {"response": {"total": str(len(data)), "data": data}}


def test_eia_numbers_in_strings_and_fuels_told_twice_under_names_of_another_case():
    rows = [
        (h, *row) for h in range(2) for row in (("NG", "Gas", "100"), ("SUN", "Solar", "300"), ("SUN", "solar", "300"))
    ]
    signal = ask("eia", "US-CAL-CISO", LIFECYCLE, 2, eia(*rows))
    assert signal.values.tolist() == pytest.approx([(490 + 3 * 45) / 4] * 2)


def test_eia_a_null_of_one_fuel_leaves_the_hour_out():
    rows = [(h, "NG", "Gas", None if h == 1 else "100") for h in range(3)]
    rows += [(h, "SUN", "Solar", "300") for h in range(3)]
    signal = ask("eia", "US-CAL-CISO", LIFECYCLE, 3, eia(*rows))
    assert signal.values[1] == pytest.approx(signal.values[0])
    assert "1 h filled from their neighbours" in signal.quality.flags


def test_eia_negative_generation_is_none_and_said():
    rows = [(0, "NG", "Gas", "100"), (0, "SUN", "Solar", "-5")]
    signal = ask("eia", "US-CAL-CISO", LIFECYCLE, 1, eia(*rows))
    assert signal.values[0] == pytest.approx(490)
    assert "negative generation counted as none" in signal.quality.flags[0]


def test_eia_pages_are_all_read():
    first = eia(*[(h % 24, "NG", "Gas", "100") for h in range(5000)])
    signal = ask("eia", "US-CAL-CISO", LIFECYCLE, 24, first, eia(*[(h, "WND", "Wind", "100") for h in range(24)]))
    assert signal.values.tolist() == pytest.approx([250.5] * 24)


# Electricity Maps, WattTime, NESO, the SDK -------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["estimationMethod", "estimatedMethod"])
def test_electricity_maps_says_estimated_under_either_name(field):
    row = {"datetime": "2026-03-01T00:00:00.000Z", "carbonIntensity": 302, field: "TIME_SLICER_AVERAGE"}
    signal = ask("electricitymaps", "DE", USED, 1, {"zone": "DE", "data": [row]})
    assert "1 h estimated by them" in signal.quality.flags


def test_electricity_maps_factors_of_another_scope_are_refused():
    row = {"datetime": "2026-03-01T00:00:00.000Z", "carbonIntensity": 302, "emissionFactorType": "direct"}
    with pytest.raises(ProviderGarbled, match="asked for lifecycle"):
        ask("electricitymaps", "DE", USED, 1, {"zone": "DE", "data": [row]})


def test_electricity_maps_null_is_no_value():
    row = {"datetime": "2026-03-01T00:00:00.000Z", "carbonIntensity": None}
    with pytest.raises(SignalGap):
        ask("electricitymaps", "DE", USED, 1, {"zone": "DE", "data": [row]})


@pytest.mark.parametrize("unit", ["kg_co2_per_mwh", "lbs_co2_per_kwh"])
def test_watttime_in_an_unknown_unit_is_refused(unit):
    points = [{"point_time": "2026-03-01T00:00:00+00:00", "value": 900.0}]
    answer = {"data": points, "meta": {"units": unit, "data_point_period_seconds": 300}}
    options = {"user": "me", "zones": {"US-CAL-CISO": "CAISO_NORTH"}}
    with pytest.raises(ProviderGarbled, match="an unknown unit"):
        ask("watttime", "US-CAL-CISO", MARGINAL, 1, {"token": "t"}, answer, **options)


def test_neso_half_hours_not_yet_measured_are_forecasts_and_said():
    rows = [
        {"from": f"2026-03-01T00:{m:02}Z", "to": "", "intensity": {"forecast": 266, "actual": actual, "index": "low"}}
        for m, actual in ((0, 200), (30, None))
    ]
    signal = ask("neso", "GB", GB, 1, {"data": rows})
    assert signal.values[0] == 233
    assert "1 h not yet measured: the forecast stands in" in signal.quality.flags


@pytest.mark.parametrize("best", ["optimalDataPoint", "optimalDataPoints"])
def test_the_sdks_best_hour_may_go_by_either_name(best):
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [
        {"timestamp": (now + timedelta(minutes=10 * i)).isoformat(), "duration": 10, "value": 70.0} for i in range(60)
    ]
    answer = [{"generatedAt": now.isoformat(), best: [rows[0]], "forecastData": rows}]
    kind = SignalKind.parse("carbon/average/lifecycle")
    with saying(answer) as url:
        options = {"casdk": {"url": url, "kind": "carbon/average/lifecycle"}}
        start = int(now.timestamp())
        grid = Grid(GridSettings(providers=("casdk",), options=options))
        signal = grid.forecast("DE", start, start + 10 * S_PER_HOUR, issued_at_s=start + 60, kind=kind)
    assert signal.values.tolist() == [70.0] * 10
