"""The one door: prices and water where nobody knows them, kinds that nobody gives, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from heliotrope.config import GridSettings
from heliotrope.errors import SignalGap, SignalMismatch
from heliotrope.grid import Grid
from heliotrope.model import PRICE, WATER, SignalKind
from heliotrope.units import S_PER_DAY, epoch_s, parse_instant

START = epoch_s(parse_instant("2026-03-01T00:00Z"))


def helio(*arguments, home, **environment):
    return subprocess.run(
        [sys.executable, "-m", "heliotrope", *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_an_unknown_price_is_a_wide_guess_that_says_so():
    price = Grid(GridSettings()).forecast("DE", START, START + S_PER_DAY, issued_at_s=START, kind=PRICE)
    assert (price.low < price.values).all()
    assert price.high[0] > 3 * price.values[0]
    assert price.quality.flags[0].startswith("assumed")


@pytest.mark.parametrize(("zone", "word"), [("DE", "±50 %"), ("AW", "the world's"), ("US-CAL-CISO", "±50 %")])
def test_water_is_the_countrys_or_the_span_of_all(zone, word):
    water = Grid(GridSettings()).history(zone, START, START + S_PER_DAY, kind=WATER)
    assert water.low[0] < water.values[0] < water.high[0]
    assert word in water.quality.flags[0]


def test_kinds_nobody_gives_are_refused():
    with pytest.raises(SignalMismatch, match="marginal"):
        Grid(GridSettings()).history("DE", START, START + S_PER_DAY, kind=SignalKind.parse("carbon/marginal/direct"))


def test_an_empty_span_is_refused():
    with pytest.raises(SignalGap, match="empty"):
        Grid(GridSettings()).history("DE", START, START)


def test_every_zone_can_be_asked_for():
    door = Grid(GridSettings())
    assert len(door.zones()) > 200
    for zone in door.zones():
        signal = door.forecast(zone.name, START, START + 3 * 3600, issued_at_s=START)
        assert signal.quality.issued_at_s == START
        assert len(signal.values) == 3


def test_the_terminal_shows_a_strip_with_its_legend(tmp_path):
    shown = helio("grid", "forecast", "DE", "--hours", "48h", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "UTC" in shown.stdout
    assert "·" in shown.stdout
    assert "█" in shown.stdout
    assert "g/kWh" in shown.stdout
    assert "modelled" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_json_is_one_object_a_zone(tmp_path):
    shown = helio("grid", "now", "DE", "FRA", "--json", home=tmp_path)
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [row["zone"] for row in rows] == ["DE", "FR"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_history_as_csv_reads_back_as_a_file(tmp_path):
    shown = helio(
        "grid", "history", "DE", "--from", "2026-03-01T00:00Z", "--to", "2026-03-03T00:00Z", "--csv", home=tmp_path
    )
    path = tmp_path / "back.csv"
    path.write_text(shown.stdout)
    door = Grid(GridSettings(providers=("file",), files=(str(path),)))
    again = door.history("DE", START, START + 2 * S_PER_DAY)
    assert len(again.values) == 48


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["now", "Atlantis"], "unknown zone Atlantis"),
        (["history", "DE", "--from", "2026-03-01T00:00"], "a time without a zone"),
        (["forecast", "DE", "--hours", "soon"], "not a duration"),
        (["forecast", "DE", "--provider", "modle"], "did you mean model"),
        (["forecast", "DE", "--kind", "carbon/avrage"], "avrage"),
    ],
)
def test_faults_are_told_not_traced(tmp_path, arguments, said):
    shown = helio("grid", *arguments, home=tmp_path)
    assert shown.returncode == 2
    assert said in shown.stderr
    assert "hint:" in shown.stderr or "allowed" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""


def test_the_map_shows_every_zone_and_its_legend(tmp_path):
    shown = helio("grid", "map", home=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "g/kWh" in shown.stdout
    zones = int(shown.stdout.splitlines()[-1].split()[0])
    assert zones == len(Grid(GridSettings()).zones())


def test_a_service_passed_over_for_its_kind_is_named_with_the_way_to_ask_it():
    door = Grid(GridSettings(providers=("neso", "model")))
    british, german = (door.history(zone, START, START + S_PER_DAY).quality.flags for zone in ("GB", "DE"))
    assert "neso tells carbon/average/direct/consumption here, another kind: ask with --kind or grid.kind" in british
    assert not any("neso" in flag for flag in german)
