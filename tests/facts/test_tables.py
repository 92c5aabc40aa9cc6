"""No number without its unit, kind, year, source and licence; none that may not be shipped."""

from __future__ import annotations

import math

import pytest

from heliotrope import facts
from heliotrope.errors import UnknownName
from heliotrope.model import SignalKind


@pytest.mark.parametrize("name", facts.tables())
def test_no_row_lacks_anything(name):
    rows = facts.table(name)
    assert rows
    for row in rows:
        assert math.isfinite(row.value)
        assert all(text.strip() for text in (row.name, row.unit, row.kind, row.source, row.licence))
        assert 1990 < row.year < 2100


@pytest.mark.parametrize("name", facts.tables())
def test_names_are_unique(name):
    names = [row.name for row in facts.table(name)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", facts.tables())
def test_nothing_is_shipped_that_its_source_forbids(name):
    for row in facts.table(name):
        text = f"{row.source} {row.licence}".lower()
        assert not any(bar in text for bar in ("verify", "from memory", "agpl", "no licence", "unverified"))


def test_an_unknown_table_names_its_nearest():
    with pytest.raises(UnknownName, match="countries"):
        facts.table("countrys")


def test_countries_have_a_place_an_intensity_and_a_mix():
    for row in facts.table("countries"):
        assert len(row.name) == 2
        assert len(row.more["iso3"]) == 3
        assert -90 <= float(row.more["latitude"]) <= 90
        assert -180 <= float(row.more["longitude"]) <= 180
        assert 0 < row.value < 1500
        assert row.more["place_source"]
        assert sum(float(value) for key, value in row.more.items() if key.endswith("_twh")) > 0


@pytest.mark.parametrize("table", ["countries", "zones"])
def test_intensities_are_of_the_kind_that_plans_use(table):
    for row in facts.table(table):
        assert SignalKind.parse(row.kind) == SignalKind.parse("carbon/average/lifecycle/production")


def test_mixes_times_factors_agree_with_the_published_intensity():
    """Two sources that never met (Ember's figures, IPCC's factors) must tell the same story, country by country."""
    ratios = []
    for row in facts.table("countries"):
        mix = {key.removesuffix("_twh"): float(v) for key, v in row.more.items() if key.endswith("_twh")}
        ours = sum(facts.fact("fuels", f"{fuel}/lifecycle").value * v for fuel, v in mix.items()) / sum(mix.values())
        ratios.append(ours / row.value)
    ratios.sort()
    assert 0.8 < ratios[len(ratios) // 2] < 1.2
    assert ratios[len(ratios) // 20] > 0.5
    assert ratios[-len(ratios) // 20] < 2.0


def test_the_places_of_countries_are_theirs():
    places = {row.name: (float(row.more["latitude"]), float(row.more["longitude"])) for row in facts.table("countries")}
    for name, (latitude, longitude) in {"DE": (51, 10), "US": (39, -99), "RU": (60, 97), "NZ": (-44, 170)}.items():
        assert abs(places[name][0] - latitude) < 2
        assert abs(places[name][1] - longitude) < 3


def test_regions_of_clouds_lead_to_zones():
    countries = {row.name for row in facts.table("countries")}
    parts = {row.name for row in facts.table("zones")}
    assert {row.more["zone"] for row in facts.table("cloud_regions")} <= countries | parts
