"""What people see: strips that fit the screen, tables that other tools and this one read back, one line for a page."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from heliotrope.cli.know.grid import grid as commands
from heliotrope.config import GridSettings
from heliotrope.errors import InvalidInput, UnknownZone
from heliotrope.grid import Grid, replay
from heliotrope.grid.show import page, strip, world
from heliotrope.grid.twin.faults import Fault
from heliotrope.model import CARBON, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, epoch_s, from_epoch, hour_floor, parse_instant
from twins import CASES, KEY, door

START = epoch_s(parse_instant("2026-03-01T00:00Z"))
GB = SignalKind.parse(CASES["neso"][1])


def helio(*arguments, home, columns="80", **environment):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", "grid", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": columns, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def twin_url():
    """The command of the manual, in a process of its own."""
    command = [sys.executable, "-m", "heliotrope", "grid", "twin", "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["url"]
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.fixture
def config(tmp_path, twin_url):
    path = tmp_path / "config.toml"
    path.write_text(
        "".join(
            f'[grid.options.{name}]\nurl = "{twin_url}/{name}"\nkey = "{KEY}"\n'
            for name in ("neso", "energycharts", "openmeteo", "entsoe")
        )
    )
    return path


@pytest.mark.parametrize(("zone", "provider"), [("GB", "neso"), ("FR", "energycharts")])
def test_a_user_without_a_key_gets_live_data_by_naming_one_provider(tmp_path, config, zone, provider):
    shown = helio("forecast", zone, "--provider", provider, "--config", str(config), home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"{zone}: carbon/average/direct" in shown.stdout
    assert provider in shown.stdout
    assert "UTC" in shown.stdout
    assert "\x1b" not in shown.stdout
    row = json.loads(
        helio("now", zone, "--provider", provider, "--config", str(config), "--json", home=tmp_path).stdout
    )
    assert row["low"] < row["value"] < row["high"]
    assert row["quality"]["licence"].startswith("CC BY 4.0")


def test_the_twin_prints_the_settings_that_lead_to_it(tmp_path):
    """As the manual has it; a second one on the same port, or a fault of nobody's, is refused without a traceback."""
    command = [sys.executable, "-m", "heliotrope", "grid", "twin", "--port", "0", "--home", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        where = said.split(";")[0].rpartition("/")[2]
        text = "".join(iter(process.stdout.readline, 'grid.options.casdk.kind = "carbon/average/lifecycle"\n'))
        options = tomllib.loads(text + 'grid.options.casdk.kind = "carbon/average/lifecycle"\n')["grid"]["options"]
        now = int(time.time())
        for name, (zone, kind, _) in CASES.items():
            asked = Grid(GridSettings(providers=(name,), options=options))
            given = asked.kind_of(zone, SignalKind.parse(kind))
            assert len(asked.history(zone, now - S_PER_DAY, now - S_PER_HOUR, kind=given).values) >= 23
        again = helio("twin", "--port", where.rpartition(":")[2], home=tmp_path)
        assert (again.returncode, "cannot listen" in again.stderr) == (2, True)
        assert "did you mean neso" in helio("twin", "--fault", "nso:busy", home=tmp_path).stderr
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_what_was_told_is_kept_and_shown_without_asking_anybody(tmp_path, config):
    asked = helio("history", "GB", "--provider", "neso", "--config", str(config), "--csv", home=tmp_path)
    assert asked.returncode == 0, asked.stderr
    kept = helio("history", "GB", "--kept", "--json", home=tmp_path)
    rows = [json.loads(line) for line in kept.stdout.splitlines()]
    assert len(rows) == 24
    assert {row["provider"] for row in rows} == {"neso"}
    assert not any(row["replaced"] for row in rows)
    assert helio("history", "FR", "--kept", home=tmp_path).stdout == ""


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_history_in_a_file_says_where_each_value_comes_from(tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / f"history.{suffix}"
    span = ("--from", "2026-03-01T00:00Z", "--to", "2026-03-02T00:00Z")
    shown = helio("history", "DE", *span, "--out", str(out), "--json", home=tmp_path)
    assert json.loads(shown.stdout) == {"file": str(out), "rows": 24}
    if suffix == "json":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert rows[0]["source"].startswith("heliotrope model")
        return
    again = Grid(GridSettings(providers=("file",), files=(str(out),))).history("DE", START, START + S_PER_DAY)
    truth = Grid(GridSettings()).history("DE", START, START + S_PER_DAY)
    assert np.allclose(again.values, truth.values, rtol=1e-5)


def test_a_format_that_nobody_writes_is_refused_before_anybody_is_asked(tmp_path):
    shown = helio("history", "DE", "--out", "x.xlsx", home=tmp_path)
    assert shown.returncode == 2
    assert ".csv, .parquet, .json" in shown.stderr


def shown(*arguments, home):
    """In this process: what a command prints on stdout."""
    found = CliRunner().invoke(commands, [*arguments, "--home", str(home)])
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize(
    "command", [("now", "DE", "FR"), ("forecast", "DE", "--hours", "3h"), ("map",), ("providers",)], ids=lambda c: c[0]
)
def test_everything_can_be_had_as_csv_and_as_json(tmp_path, command):
    rows = list(csv.DictReader(io.StringIO(shown(*command, "--csv", home=tmp_path))))
    told = [json.loads(line) for line in shown(*command, "--json", home=tmp_path).splitlines()]
    out = tmp_path / "rows.csv"
    assert json.loads(shown(*command, "--out", str(out), "--json", home=tmp_path)) == {
        "file": str(out),
        "rows": len(rows),
    }
    assert len(out.read_text().splitlines()) == len(rows) + 1
    if command[0] == "providers":
        assert {row["name"]: row["state"] for row in rows} == {row["name"]: row["state"] for row in told}
        return
    assert [row["zone"] for row in rows[:: 3 if command[0] == "forecast" else 1]] == [row["zone"] for row in told]
    assert all(row["source"].startswith("heliotrope model") and row["licence"] for row in rows)


def test_a_zone_that_is_not_covered_says_who_covers_it(tmp_path):
    for provider, who in (
        ("neso", "--provider energycharts (carbon/average/direct/production)"),
        ("eia", "with a key"),
    ):
        with pytest.raises(UnknownZone, match=f"{provider}: DE is not covered") as error:
            Grid(GridSettings(providers=(provider,))).forecast("DE", START, START + S_PER_HOUR, issued_at_s=START)
        assert who in error.value.hint


def test_each_zone_is_told_in_the_kind_of_who_covers_it(served, twin):
    both = door(served, "eia", also=("neso",))
    assert str(both.kind_of("GB", CARBON)).startswith("carbon/average/direct/consumption")
    assert both.kind_of("US-CAL-CISO", CARBON) == CARBON


def test_a_map_says_whom_it_could_not_ask(served, twin, monkeypatch):
    """The first answer is right, the second garbled, the third right again."""
    asked = door(served, "energycharts")
    few = [zone for zone in asked.zones() if zone.name in {"DE", "FR", "PL"}]
    monkeypatch.setattr(asked, "zones", lambda: few)
    whole = asked.forecast

    def forecast(zone, *span, **how):
        if zone == "FR":
            twin.faults.append(Fault("absurd", times=1))
        return whole(zone, *span, **how)

    monkeypatch.setattr(asked, "forecast", forecast)
    seen = world.survey(asked, SignalKind.parse(CASES["energycharts"][1]), int(time.time()))
    assert [signal.zone for signal in seen.found] == ["DE", "PL"]
    assert list(seen.missing) == ["FR"]
    assert "FR could not be told: energycharts" in world.draw(seen, colour=False)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_a_strip_fits_the_screen(columns):
    series = Grid(GridSettings()).forecast("DE", START, START + 3 * S_PER_DAY, issued_at_s=START)
    drawn = strip.draw(series, colour=False, columns=columns).splitlines()
    cells = [line for line in drawn[:4] if line]
    assert max(len(line) for line in cells) <= columns
    assert len(cells) == 4


def test_colour_can_be_had_and_refused():
    series = Grid(GridSettings()).forecast("DE", START, START + S_PER_DAY, issued_at_s=START)
    assert "\x1b[48;5;" in strip.draw(series, colour=True)
    assert "\x1b" not in strip.draw(series, colour=False)


def test_providers_say_what_of_their_budget_is_spent(tmp_path, config):
    helio("history", "GB", "--provider", "neso", "--config", str(config), home=tmp_path)
    rows = [
        json.loads(line)
        for line in helio("providers", "--config", str(config), "--json", home=tmp_path).stdout.splitlines()
    ]
    neso = next(row for row in rows if row["name"] == "neso")
    assert neso["calls"] == 1
    assert neso["calls_per_hour"] == 600
    assert KEY not in json.dumps(rows)


def test_a_backtest_is_a_table_that_explains_itself(tmp_path):
    series = tmp_path / "series.csv"
    values = 300 + 80 * np.sin(np.arange(24 * 40) * 2 * np.pi / 24) + np.arange(24 * 40) % 7
    rows = [f"{from_epoch(START + i * S_PER_HOUR):%Y-%m-%dT%H:%MZ},{value:.1f}" for i, value in enumerate(values)]
    series.write_text("\n".join(["time,DE", *rows]))
    asked = ("backtest", "--series", str(series), "--zone", "DE", "--model", "yesterday")
    text = shown(*asked, home=tmp_path)
    assert text.startswith("DE, 2026-03-31 00:00 to 2026-04-10 00:00 UTC: forecasts of 24h, one each 6 h, yesterday")
    score = json.loads(shown(*asked, "--json", home=tmp_path))
    assert f"{score['mape']:.2f} %" in text
    assert f"{100 * score['coverage90']:.2f} %  of the hours lay within" in text
    with pytest.raises(InvalidInput, match="a window outside the series") as error:
        replay.score(series, "DE", start_s=START - S_PER_DAY)
    assert "2026-03-01T00:00Z to 2026-04-10T00:00Z" in str(error.value)


# A page ----------------------------------------------------------------------------------------------------------


def test_a_page_joins_what_was_and_what_is_to_come(served, twin):
    now = int(time.time())
    seen = page.of(door(served, "neso"), "GB", now, kind=GB, ahead_h=24)
    assert seen.past.start_s + 48 * S_PER_HOUR == seen.next.start_s == hour_floor(now)
    assert len(seen.next.values) == len(seen.next.low) == len(seen.next.high) == 24
    assert seen.title
    assert seen.age_s < 60
    assert seen.past.quality.licence


def test_a_page_without_a_past_says_why(tmp_path):
    rows = "\n".join(f"{np.datetime64(START + i * S_PER_HOUR, 's')}Z,{100 + i}" for i in range(48))
    (tmp_path / "next.csv").write_text(f"time,DE\n{rows}\n")
    options = {"file": {"role": "forecast"}}
    grid = Grid(GridSettings(providers=("file",), files=(str(tmp_path / "next.csv"),), options=options))
    seen = page.of(grid, "DE", START, ahead_h=24)
    assert seen.next.values[0] == 100
    assert seen.past is None
    assert "without values" in seen.why_no_past
