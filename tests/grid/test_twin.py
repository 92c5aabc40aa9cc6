"""Every provider against the twin: right numbers when all is well; no crash, no silent number, no call storm when not."""

from __future__ import annotations

import json
import logging
import time
import urllib.request

import numpy as np
import pytest

from heliotrope.config import GridSettings
from heliotrope.errors import (
    ConfigError,
    HelioError,
    ProviderBusy,
    ProviderDenied,
    ProviderDown,
    ProviderError,
    ProviderGarbled,
    SignalGap,
    SignalMismatch,
)
from heliotrope.grid import Grid
from heliotrope.grid.twin.faults import NAMES, Fault
from heliotrope.grid.wire.client import Client
from heliotrope.grid.zones import find as find_zone
from heliotrope.model import LOAD, PRICE, SOLAR_POWER, WIND_POWER, QualityKind, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, hour_floor
from twins import CASES, FORECASTERS, KEY, ask, door, serving, yesterday


@pytest.mark.parametrize("name", CASES)
def test_history_is_what_the_twin_knows(served, twin, name):
    signal = ask(served, name)
    zone, kind, _ = CASES[name]
    assert signal.kind == SignalKind.parse(kind)
    assert len(signal.values) == 48
    assert signal.quality.kind is QualityKind.MEASURED
    assert name in signal.quality.source
    assert signal.quality.licence
    if name == "openmeteo":
        return
    told = {"neso": "carbon/average/direct", "energycharts": "carbon/average/direct"}.get(
        name, "carbon/average/lifecycle"
    )
    truth = [twin.world.at(zone, signal.start_s + i * S_PER_HOUR, told) for i in range(48)]
    assert np.allclose(signal.values, np.clip(truth, 0, 490) if name in {"eia", "entsoe"} else truth, atol=0.6)


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_say_when_they_were_issued(served, twin, name):
    zone, kind, _ = CASES[name]
    now = int(time.time())
    start = hour_floor(now) + S_PER_HOUR
    signal = door(served, name).forecast(
        zone, start, start + 12 * S_PER_HOUR, issued_at_s=now, kind=SignalKind.parse(kind)
    )
    assert signal.quality.kind is QualityKind.FORECAST
    assert 0 <= now + 60 - signal.quality.issued_at_s < 360, "WattTime issues each five minutes"
    assert len(signal.values) == 12


@pytest.mark.parametrize("name", ["energycharts", "entsoe"])
def test_prices_can_be_asked_for(served, twin, name):
    price = door(served, name).history("DE", *yesterday(), kind=PRICE)
    assert price.kind == PRICE
    assert price.values.max() > 60


@pytest.mark.parametrize("name", ["energycharts", "entsoe", "eia"])
@pytest.mark.parametrize("kind", [WIND_POWER, SOLAR_POWER, LOAD], ids=str)
def test_wind_sun_and_load_can_be_asked_for_with_their_forecasts(served, twin, name, kind):
    """Megawatts as the twin has them; where a day-ahead forecast is published it is told as one."""
    zone, now = CASES[name][0], int(time.time())
    past = door(served, name).history(zone, *yesterday(), kind=kind)
    assert past.kind.unit == "MW"
    hours = [past.start_s + i * S_PER_HOUR for i in range(len(past.values))]
    truth = {WIND_POWER: [20_000 * twin.world.mix(zone, at)["wind"] for at in hours], SOLAR_POWER: 0.0, LOAD: 20_000.0}
    assert np.allclose(past.values, truth[kind], atol=1.0)
    published = door(served, name).providers[0].forecast(find_zone(zone), kind, now, now + S_PER_DAY, now)
    if name == "eia" and kind != LOAD:
        assert published is None
    else:
        assert published.quality.kind is QualityKind.FORECAST
        assert len(published.values) >= 24


def test_without_a_key_europe_has_forecasts_of_what_drives_its_power(served, twin):
    """Wind on land, none off a coast that is not there (a 404), sun and load, of days gone by too."""
    now = hour_floor(time.time())
    found = door(served, "energycharts").providers[0].drivers(find_zone("DE"), now - 2 * S_PER_DAY, now + S_PER_DAY)
    assert {name: len(column) for name, column in found.items()} == {
        "wind_production_forecast": 72,
        "solar_production_forecast": 72,
        "forecast_load": 72,
    }
    twin.faults.append(Fault("truncated"))
    with pytest.raises(ProviderGarbled):
        door(served, "energycharts").providers[0].drivers(find_zone("DE"), now, now + S_PER_DAY)


@pytest.mark.parametrize("zone", ["GB-LONDON", "GB-SCOTLAND"])
def test_regions_of_great_britain_need_no_settings(served, twin, zone):
    signal = door(served, "neso").history(zone, *yesterday(), kind=SignalKind.parse(CASES["neso"][1]))
    assert len(signal.values) == 48
    assert any(call["path"].endswith("/regionid/13" if zone == "GB-LONDON" else "/regionid/16") for call in twin.calls)


def test_watttime_is_asked_once_for_the_region_of_a_place(served, twin, tmp_path):
    """Without `zones` in the settings."""
    for _ in range(2):
        asked = door(served, "watttime", tmp_path, zones={})
        signal = asked.history("US-CAL-CISO", *yesterday(), kind=SignalKind.parse("carbon/marginal/direct"))
        assert signal.values[0] == pytest.approx(twin.world.at("US-CAL-CISO", signal.start_s), rel=1e-3)
    paths = [call["path"] for call in twin.calls]
    assert paths.count("/watttime/v3/region-from-loc") == 1


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/neso/intensity/date", lambda answer: len(answer["data"]) == 48),
        ("/neso/intensity/2026-03-01T00:00Z/fw24h", lambda answer: answer["data"][0]["from"] == "2026-03-01T00:00Z"),
        ("/neso/intensity/2026-03-01T00:00Z/pt24h", lambda answer: answer["data"][-1]["to"] == "2026-03-01T00:00Z"),
        (
            "/neso/regional/intensity/2026-03-01T00:00Z/fw48h/postcode/SE1",
            lambda answer: len(answer["data"]["data"]) == 96,
        ),
        ("/electricitymaps/v3/zones", lambda answer: answer["DE"]["zoneName"] == "Germany"),
        ("/casdk/locations", lambda answer: {"Latitude", "Longitude"} <= answer["FR"].keys()),
        (
            "/casdk/emissions/bylocations/best?location=DE&location=FR&time=2026-03-01&toTime=2026-03-02",
            lambda answer: {row["location"] for row in answer} == {"FR"},
        ),
        (
            "/casdk/emissions/average-carbon-intensity?location=DE&startTime=2026-03-01&endTime=2026-03-02",
            lambda answer: 100 < answer["carbonIntensity"] < 900,
        ),
        (
            "/casdk/emissions/forecasts/current?location=DE&location=FR",
            lambda answer: [one["location"] for one in answer] == ["DE", "FR"],
        ),
    ],
)
def test_the_twin_answers_what_other_peoples_schedulers_ask(served, twin, path, found):
    with urllib.request.urlopen(f"{served[1]}{path}", timeout=10) as answer:
        assert found(json.load(answer))


def test_lb_per_mwh_become_g_per_kwh(served, twin):
    """2204.62 lb/MWh are 1000 g/kWh: whoever forgets is out by a factor of 2.2."""
    signal = ask(served, "watttime")
    truth = twin.world.at("US-CAL-CISO", signal.start_s)
    assert signal.values[0] == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("fault", [name for name in NAMES if name != "slow"])
@pytest.mark.parametrize("name", CASES)
def test_no_fault_crashes_or_passes_in_silence(served, twin, name, fault):
    """A fault ends in an error of ours with a cause, or in numbers that are right or flagged; never in a call storm."""
    truth = ask(served, name).values
    twin.calls.clear()
    twin.faults.append(Fault(fault))
    found = error = None
    try:
        found = ask(served, name)
    except HelioError as raised:
        error = raised
    if error is not None:
        assert isinstance(error, (ProviderError, SignalGap))
        assert error.what
        assert KEY not in str(error)
    else:
        assert np.isfinite(found.values).all()
        silent = not found.quality.flags
        if fault not in {"revised", "dst"}:  # a revision is the truth of today; a shifted clock cannot be seen inside
            assert not silent or np.allclose(found.values, truth, atol=0.6)
    assert len(twin.calls) <= 8


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("unauthorized", ProviderDenied),
        ("forbidden", ProviderDenied),
        ("busy", ProviderBusy),
        ("down", ProviderDown),
        ("truncated", ProviderGarbled),
        ("html", ProviderGarbled),
        ("renamed", ProviderGarbled),
        ("absurd", ProviderGarbled),
        ("negative", ProviderGarbled),
        ("gap", SignalGap),
        ("clock", ProviderGarbled),
    ],
)
def test_each_fault_has_its_error(served, twin, fault, error):
    twin.faults.append(Fault(fault))
    with pytest.raises(error) as found:
        ask(served, "neso")
    assert "neso" in found.value.what


def test_trouble_that_passes_is_waited_out(served, twin):
    twin.faults.append(Fault("down", times=2))
    assert len(ask(served, "neso").values) == 48
    assert len(twin.calls) == 3


def test_an_answer_after_the_timeout_is_an_error_and_is_not_waited_for(twin):
    """A twin that would answer rightly, but late: three short tries, then the service is left alone."""
    with serving() as slow:
        slow[0].faults.append(Fault("slow", after_s=0.6))
        with pytest.raises(ProviderDown, match="cannot be reached") as error:
            ask(slow, "neso", timeout_s=0.1)
        assert "timed out" in error.value.cause


def test_retry_after_is_obeyed(served, twin):
    waits = []
    clock = [time.time()]
    client = Client(
        "neso",
        f"{served[1]}/neso",
        sleep=lambda s: (waits.append(s), clock.__setitem__(0, clock[0] + s)),
        now=lambda: clock[0],
    )
    twin.faults.append(Fault("busy", times=1, retry_after_s=3))
    client.get("/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z")
    assert waits == [3.0]
    twin.faults.append(Fault("busy", times=1, retry_after_s=600))
    with pytest.raises(ProviderBusy):
        client.get("/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z")
    before = len(twin.calls)
    with pytest.raises(ProviderBusy, match="asked for quiet"):
        client.get("/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z")
    assert len(twin.calls) == before, "nothing is sent while the server wants quiet"


def test_a_budget_of_calls_is_kept(served, twin):
    client = Client("neso", f"{served[1]}/neso", calls_per_hour=2)
    for _ in range(2):
        client.get("/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z")
    with pytest.raises(ProviderBusy, match="budget of 2 calls"):
        client.get("/intensity/2026-03-01T00:00Z/2026-03-02T00:00Z")
    assert len(twin.calls) == 2


def test_what_was_fetched_is_not_asked_for_again(served, twin, tmp_path):
    first = ask(served, "neso", tmp_path)
    sent = len(twin.calls)
    second = ask(served, "neso", tmp_path)
    assert len(twin.calls) == sent
    assert np.array_equal(first.values, second.values)


def test_a_stale_forecast_says_how_old_it_is(served, twin, tmp_path):
    now = int(time.time())
    kind = SignalKind.parse(CASES["neso"][1])
    start = hour_floor(now) + S_PER_HOUR

    def fetch():
        return door(served, "neso", tmp_path).forecast("GB", start, start + 6 * S_PER_HOUR, issued_at_s=now, kind=kind)

    fresh = fetch()
    import sqlite3

    with sqlite3.connect(tmp_path / "grid" / "archive.sqlite") as db:
        db.execute("UPDATE document SET fetched_s = fetched_s - 7200")
    db.close()
    twin.faults.append(Fault("down"))
    stale = fetch()
    assert np.array_equal(fresh.values, stale.values)
    assert any("stale: fetched 2.0 h ago" in flag for flag in stale.quality.flags)


def test_the_next_provider_stands_in_and_says_for_whom(served, twin):
    twin.faults.append(Fault("down"))
    signal = door(served, "electricitymaps", also=("model",)).history("DE", *yesterday())
    assert signal.quality.kind is QualityKind.MODELLED
    twin.faults.clear()
    zone, kind, _ = CASES["eia"]
    twin.faults.append(Fault("down"))
    signal = door(served, "eia", also=("model",)).history(zone, *yesterday(), kind=SignalKind.parse(kind))
    assert any(flag.startswith("eia: ") for flag in signal.quality.flags)


def test_kinds_are_not_mixed_up(served, twin):
    with pytest.raises(SignalMismatch, match="carbon/average/lifecycle/production"):
        door(served, "neso").history("GB", *yesterday())
    assert not twin.calls


def test_keys_appear_nowhere(served, twin, caplog):
    secret = "s3cret-of-mine"
    with caplog.at_level(logging.DEBUG):
        for name in ("electricitymaps", "watttime", "eia", "entsoe"):
            with pytest.raises(ProviderDenied) as error:
                ask(served, name, key=secret)
            assert secret not in str(error.value) + repr(error.value)
            assert error.value.hint
    assert secret not in caplog.text
    assert secret not in json.dumps(twin.calls)


def test_no_key_is_kept_even_where_the_answer_repeats_it(served, twin, tmp_path):
    """EIA's answers hold the question, and the question the key."""
    for name in ("eia", "watttime", "entsoe"):
        ask(served, name, tmp_path)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"eia" in kept
    assert KEY.encode() not in kept


@pytest.mark.parametrize("key", ["s3cret\nof-mine", "s3cret✓", "s3cret\x00"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(served, twin, key):
    with pytest.raises(ConfigError, match="holds characters") as error:
        ask(served, "electricitymaps", key=key)
    assert "s3cret" not in str(error.value) + repr(error.value.__cause__)
    assert not twin.calls


def test_a_newline_after_a_key_is_no_part_of_it(served, twin):
    assert len(ask(served, "electricitymaps", key=f" {KEY}\n").values) == 48


@pytest.mark.parametrize(
    "url", ["http://me:s3cret@127.0.0.1:9", "http://127.0.0.1:9/?key=s3cret", "http://127.0.0.1:port", "127.0.0.1:9"]
)
def test_an_address_holds_no_secret(url):
    settings = GridSettings(providers=("neso",), options={"neso": {"url": url}})
    with pytest.raises(ConfigError, match="url is not an address") as error:
        Grid(settings).history("GB", *yesterday(), kind=SignalKind.parse(CASES["neso"][1]))
    assert "s3cret" not in str(error.value) + error.value.cause


def test_a_missing_key_is_said_before_any_call(served, twin, monkeypatch):
    monkeypatch.delenv("HELIO_ENTSOE_KEY", raising=False)
    with pytest.raises(ProviderDenied, match="entsoe needs a key") as error:
        ask(served, "entsoe", key="")
    assert "HELIO_ENTSOE_KEY" in error.value.hint
    assert not twin.calls


def test_an_unreachable_server_is_down_not_a_traceback():
    settings = GridSettings(providers=("neso",), options={"neso": {"url": "http://127.0.0.1:9", "timeout_s": 0.2}})
    with pytest.raises(ProviderDown, match="cannot be reached"):
        Grid(settings).history("GB", *yesterday(), kind=SignalKind.parse(CASES["neso"][1]))
