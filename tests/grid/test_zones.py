"""The names people use lead to zones, or to an error that helps."""

from __future__ import annotations

import pytest

from heliotrope.config import GridSettings
from heliotrope.errors import UnknownZone
from heliotrope.grid import Grid, zones


@pytest.mark.parametrize(
    ("name", "zone"),
    [("DE", "DE"), ("de", "DE"), ("DEU", "DE"), (" FR ", "FR"), ("US-CAL-CISO", "US-CAL-CISO"), ("SE-SE3", "SE-SE3")],
)
def test_codes_of_two_letters_of_three_and_of_parts(name, zone):
    assert zones.find(name).name == zone


def test_a_cloud_region_is_its_country_with_a_flag():
    zone = zones.find("azure/westeurope")
    assert zone.name == zone.country == "NL"
    assert "azure/westeurope" in zone.flags[-1]


@pytest.mark.parametrize(
    ("region", "zone"),
    [
        ("aws/us-east-1", "US-MIDA-PJM"),
        ("aws/eu-north-1", "SE-SE3"),
        ("aws/sa-east-1", "BR"),
        ("oci/uk-london-1", "GB"),
        ("gcp/northamerica-northeast1", "CA-QC"),
        ("azure/westus", "US-CAL-CISO"),
    ],
)
def test_regions_of_every_cloud_have_a_zone_by_either_name(region, zone):
    assert zones.find(region).name == zones.find(region.partition("/")[2]).name == zone


def test_a_region_that_nobody_knows_is_the_world_with_a_flag():
    zone = zones.find("aws/mars-north-1")
    assert zone.name == "WORLD"
    assert zone.flags == ("unknown region mars-north-1 of aws: the world's mean, with the span of countries",)
    signal = Grid(GridSettings()).forecast("aws/mars-north-1", 0, 3600, issued_at_s=0)
    assert signal.low[0] < signal.values[0] / 3 < signal.high[0]
    assert "mars-north-1" in " ".join(signal.quality.flags)


def test_a_part_without_facts_is_its_country_with_a_flag():
    zone = zones.find("USA-TEX-ERCO")
    assert (zone.name, zone.country, zone.title) == ("US-TEX-ERCO", "US", "Electric Reliability Council of Texas")
    assert "US stands in" in zone.flags[-1]
    assert zones.find("FR-COR").name == "FR-COR"


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("UK", "GB"),
        ("germany", "DE"),
        ("United Kingdom", "GB"),
        ("DE-LU", "DE"),
        ("DE_LU", "DE"),
        ("EL", "GR"),
        ("CISO", "US-CAL-CISO"),
        ("CAISO", "US-CAL-CISO"),
        ("California", "US-CAL-CISO"),
        ("pjm", "US-MIDA-PJM"),
        ("ERCOT", "US-TEX-ERCO"),
        ("se3", "SE-SE3"),
        ("DK1", "DK-DK1"),
        ("London", "GB-LONDON"),
    ],
)
def test_what_people_call_a_grid_leads_to_it(said, zone):
    assert zones.find(said).name == zone


def test_a_search_finds_zones_and_parts_by_any_of_their_names():
    assert [zone.name for zone in zones.search(["germ"])] == ["DE"]
    assert [zone.name for zone in zones.search(["ercot"])] == ["US-TEX-ERCO"]
    assert {zone.name for zone in zones.search(["us-", "california"])} == {"US-CAL-CISO"}
    assert len(zones.search([])) == len(set(zones.all_zones()) | set(zones.parts()))


def test_no_title_or_code_is_two_places():
    """`Georgia` is the country: parts never take a country's name."""
    titles = [zone.title.lower() for zone in zones.all_zones().values()]
    assert {zones.find(title).name for title in titles} <= set(zones.all_zones())
    assert zones.find("Georgia").name == "GE"


@pytest.mark.parametrize("name", ["Atlantis", "ZZ", "ZZ-NOWHERE", "nocloud/nowhere", "🌻"])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(UnknownZone) as fault:
        zones.find(name)
    assert fault.value.hint
    assert fault.value.exit_code == 2


def test_a_title_spelt_almost_right_is_told_its_code():
    with pytest.raises(UnknownZone) as fault:
        zones.find("Germny")
    assert "DE (Germany)" in fault.value.hint


@pytest.mark.parametrize("name", ["", "  ", "WORLD", "world"])
def test_no_name_is_the_world_with_a_flag(name):
    zone = zones.find(name)
    assert zone.name == "WORLD"
    assert 400 < zone.intensity.value < 550
    assert "unknown place" in zone.flags[0]


def test_the_nearest_codes_of_two_letters_come_first():
    with pytest.raises(UnknownZone) as fault:
        zones.find("XQ")
    assert "IQ" in fault.value.hint


def test_a_near_miss_is_named():
    with pytest.raises(UnknownZone) as fault:
        zones.find("DEUU")
    assert "DEU" in fault.value.hint
