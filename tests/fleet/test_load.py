"""Fleet files: what a person writes, what they get, and what they are told when it is wrong."""

import json

import pytest
from click.testing import CliRunner

from heliotrope import fleet
from heliotrope.cli.root import helio
from heliotrope.errors import InvalidInput, UnknownName
from heliotrope.model import Tier

GOOD = """
home = "lab"
[[site]]
name = "lab"
zone = "DE"
tier = "edge"
[[site]]
name = "north"
zone = "SE"
cooling = { pue = 1.1, source = "meter" }
[[site.devices]]
id = "g"
model = "H100"
kind = "gpu"
count = 8
[[link]]
between = ["north", "lab"]
latency_ms = 30
"""


def written(tmp_path, text):
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    return path


def test_a_file_becomes_a_fleet(tmp_path):
    loaded = fleet.load(written(tmp_path, GOOD))
    assert loaded.home == "lab"
    assert loaded.site("lab").tier is Tier.EDGE
    assert loaded.site("north").jurisdiction == "EU"
    assert loaded.site("north").devices[0].count == 8
    assert loaded.latency_ms("lab", "north") == loaded.latency_ms("north", "lab") == 30
    assert loaded.latency_ms("lab", "lab") == 0


def test_unstated_cooling_is_an_assumed_interval_not_a_flattering_one(tmp_path):
    cooling = fleet.load(written(tmp_path, GOOD)).site("lab").cooling
    assert cooling.source == "assumed"
    assert 1.0 == cooling.pue_low < cooling.pue < cooling.pue_high


def test_no_file_is_this_machine():
    alone = fleet.load(None, zone="FR")
    assert [s.name for s in alone.sites] == [alone.home]
    assert (alone.sites[0].zone, alone.sites[0].country, alone.sites[0].jurisdiction) == ("FR", "FR", "EU")


def test_the_example_has_six_emulated_sites_in_six_countries_and_every_tier():
    packaged = fleet.load("example")
    assert packaged == fleet.example()
    assert len({s.country for s in packaged.sites}) == len(packaged.sites) == 6
    assert {s.tier for s in packaged.sites} == set(Tier)
    assert all(s.emulated for s in packaged.sites)
    assert all(packaged.latency_ms(packaged.home, s.name) is not None for s in packaged.sites)
    assert packaged.latency_ms("sydney", "hamina") is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cooling = { pue", "cooling = { puee", ("site north: cooling: puee", "did you mean pue")),
        ('zone = "SE"', 'zoen = "SE"', ("zoen", "did you mean zone")),
        ('kind = "gpu"', 'knd = "gpu"', ("knd", "did you mean kind")),
        ("pue = 1.1", "pue = 0.9", (">= 1", "cooling.pue")),
        ('tier = "edge"', 'tier = "cloud"', ("cloud", "tier")),
        ('home = "lab"', 'home = "lub"', ("home", "did you mean lab")),
        ('"north", "lab"', '"norht", "lab"', ("link.between", "did you mean north")),
        ('name = "north"', 'name = "lab"', ("two sites have one name",)),
        ('home = "lab"', "home = ", ("not TOML", "line 2")),
        ('zone = "DE"', "", ("zone",)),
    ],
)
def test_faults_name_file_key_and_the_nearest(tmp_path, old, new, words):
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InvalidInput) as caught:
        fleet.load(path)
    text = str(caught.value)
    assert str(path) in text
    for word in words:
        assert word in text


def test_missing_empty_and_unreadable_files(tmp_path):
    with pytest.raises(InvalidInput, match="no such fleet file"):
        fleet.load(tmp_path / "none.toml")
    with pytest.raises(InvalidInput, match="at least one site"):
        fleet.load(written(tmp_path, "site = []"))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="cannot be read"):
        fleet.load(tmp_path / "b.toml")


def test_an_unknown_site_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean hamina"):
        fleet.example().site("hamnia")


def test_helio_sites_lists_them(tmp_path):
    result = CliRunner().invoke(helio, ["sites", "--fleet", "example", "--json", "--home", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert {s["name"] for s in json.loads(result.stdout)["sites"]} == {s.name for s in fleet.example().sites}
    table = CliRunner().invoke(helio, ["sites", "--fleet", "example", "--home", str(tmp_path)])
    assert "munich (home)" in table.stdout


SHARED = (
    GOOD
    + """
[sharing]
reserve = 0.1
half_life_hours = 24
[[organisation]]
name = "uni"
reserved = true
owns = { lab = 0.5 }
[[organisation]]
name = "firm"
owns = { lab = 0.5, north = 1.0 }
lends = 0.8
lends_only_to = ["uni"]
quota = { devices = 4, carbon_g_per_day = 5000 }
[[organisation.projects]]
name = "vision"
quota = { energy_j_per_day = 3.6e6 }
"""
)


def test_who_brought_what_and_who_may_use_it(tmp_path):
    sharing = fleet.load(written(tmp_path, SHARED)).sharing
    assert sharing.half_life_s == 86_400
    firm = sharing.organisation("firm")
    assert firm.lends_to("uni")
    assert not firm.lends_to("stranger")
    assert firm.projects[0].quota.energy_j_per_day == 3.6e6
    assert sharing.organisation("stranger").owns == {}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("owns = { lab = 0.5 }", "owns = { lab = 0.6 }", "lab is owned more than once"),
        ("owns = { lab = 0.5 }", "owns = { lap = 0.5 }", "no site has that name"),
        ("owns = { lab = 0.5 }", "owns = { lab = 1.5 }", "1.0"),
        ('["uni"]', '["uno"]', "no organisation has that name"),
        ('name = "uni"', 'name = "firm"', "two organisations have one name"),
        ('name = "vision"', 'name = "a/b"', "slash"),
        ("reserve = 0.1", "reserv = 0.1", "unknown key reserv"),
        ("half_life_hours = 24", "half_life_hours = 0", "half_life_hours"),
    ],
)
def test_wrong_terms_of_sharing_are_told(tmp_path, old, new, told):
    with pytest.raises(InvalidInput) as wrong:
        fleet.load(written(tmp_path, SHARED.replace(old, new)))
    assert told in str(wrong.value)
