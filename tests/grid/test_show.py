"""What people see: strips that fit the screen, tables that other tools and this one read back, one line for a page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from heliotrope.config import GridSettings
from heliotrope.grid import Grid
from heliotrope.grid.show import page, strip
from heliotrope.model import SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, epoch_s, hour_floor, parse_instant
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


def test_no_key_is_in_anything_that_is_kept(tmp_path, config):
    span = ("--provider", "entsoe", "--config", str(config))
    assert helio("history", "FR", *span, home=tmp_path).returncode == 0
    for path in (tmp_path / "grid").iterdir():
        assert KEY.encode() not in path.read_bytes()


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
