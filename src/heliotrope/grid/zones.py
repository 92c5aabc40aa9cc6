"""Grid zones: what facts know about each place, and how a name that people use leads to one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType

import msgspec

from heliotrope import facts
from heliotrope.errors import UnknownZone, nearest
from heliotrope.facts import Fact
from heliotrope.model import Place

WORLD = "WORLD"
ALIASES = {"UK": "GB", "EL": "GR", "DE-LU": "DE"}  # the EU's own codes, and the price zone that Luxembourg shares
CLOUDS = ("aws", "azure", "gcp", "oci")
FUELS = ("coal", "gas", "oil", "nuclear", "hydro", "wind", "solar", "biomass", "other_renewable")


class Zone(msgspec.Struct, frozen=True, eq=False):
    """A place with one price and one mix. `shares`: of yearly generation by fuel, summing to 1.

    A zone that only a file of the user knows has neither place nor facts. `stand_in` says for what it stands, where it
    was not asked for by its own name.
    """

    name: str
    country: str
    title: str
    place: Place | None
    intensity: Fact | None
    shares: Mapping[str, float]
    flags: tuple[str, ...] = ()
    stand_in: str = ""


@cache
def all_zones() -> Mapping[str, Zone]:
    """Countries by ISO 3166 alpha-2, parts by `COUNTRY-PART`."""
    zones: dict[str, Zone] = {}
    for fact in facts.table("countries"):
        zones[fact.name] = Zone(fact.name, fact.name, fact.more["title"], _place(fact), fact, _shares(fact))
    for fact in facts.table("zones"):
        country = zones[fact.more["country"]]
        has_mix = bool(fact.more["hydro_twh"])
        zones[fact.name] = Zone(
            fact.name,
            country.name,
            fact.more["title"],
            _place(fact) if fact.more["latitude"] else country.place,
            fact,
            _shares(fact) if has_mix else country.shares,
            () if has_mix else (f"mix of {country.name} stands for {fact.name}",),
        )
    return MappingProxyType(zones)


def _place(fact: Fact) -> Place:
    return Place(float(fact.more["latitude"]), float(fact.more["longitude"]))


def _shares(fact: Fact) -> Mapping[str, float]:
    energy = {fuel: float(fact.more[f"{fuel}_twh"]) for fuel in FUELS}
    whole = sum(energy.values())
    return MappingProxyType({fuel: amount / whole for fuel, amount in energy.items()} if whole else {})


@cache
def _alpha3() -> Mapping[str, str]:
    return MappingProxyType({fact.more["iso3"]: fact.name for fact in facts.table("countries")})


@cache
def _regions() -> Mapping[str, str]:
    """By `cloud/region`, and by the region's name alone: no two clouds share one."""
    named = {fact.name: fact.more["zone"] for fact in facts.table("cloud_regions")}
    return MappingProxyType(named | {name.partition("/")[2]: zone for name, zone in named.items()})


@cache
def parts() -> Mapping[str, Fact]:
    """Parts of countries that services know by codes of their own, by our name."""
    return MappingProxyType({fact.name: fact for fact in facts.table("parts")})


@cache
def _by_word() -> Mapping[str, str]:
    """What countries and parts are called, in lower case → our name. A country's name is no part's."""
    words: dict[str, str] = {}
    for fact in parts().values():
        also = fact.more["aka"].split("|") if fact.more["aka"] else ()
        words |= {word.lower(): fact.name for word in (fact.more["title"], fact.more["eia"], *also) if word}
    countries_last = sorted(all_zones().values(), key=lambda zone: zone.name == zone.country)
    words |= {zone.title.lower(): zone.name for zone in countries_last}
    return MappingProxyType(words)


def search(words: Iterable[str]) -> list[Zone]:
    """Zones and parts whose name, title or other names hold every word."""
    called: dict[str, list[str]] = {}
    for word, name in _by_word().items():
        called.setdefault(name, []).append(word)
    everywhere = (*all_zones().values(), *(find(name) for name in parts() if name not in all_zones()))
    wanted = [word.lower() for word in words]
    return [z for z in everywhere if all(w in " ".join((z.name.lower(), *called.get(z.name, ()))) for w in wanted)]


def find(name: str) -> Zone:
    """A zone by alpha-2, alpha-3, `COUNTRY-PART`, its title, its grid's code (PJM, SE3) or a cloud's region.

    No name at all is the world with a flag, and so is a region that facts do not know of a cloud that they do. A part
    that facts do not know, of a country that they do, is that country with a flag; anything else is refused.
    """
    text = name.strip()
    zones = all_zones()
    code = _code(text)
    if code in {"", WORLD}:
        return unknown_place()
    if code in zones:
        return zones[code]
    if text.lower() in _regions():
        return _lying_in(zones[_regions()[text.lower()]], text.lower())
    cloud, _, region = text.lower().partition("/")
    if region and cloud in CLOUDS:
        flag = f"unknown region {region} of {cloud}: the world's mean, with the span of countries"
        return msgspec.structs.replace(unknown_place(), flags=(flag,))
    country, _, part = code.partition("-")
    if part and country in zones:
        return _standing_in(zones[country], code)
    raise UnknownZone(
        f"unknown zone {text}",
        allowed="ISO 3166 codes (DE, DEU), parts (US-CAL-CISO), cloud regions (azure/westeurope)",
        hint=_near(code) + "; `helio grid zones` lists them all",
    )


def _code(text: str) -> str:
    """Our name for what was said, or what was said in capitals."""
    upper = text.upper().replace("_", "-")
    country, dash, part = upper.partition("-")
    upper = _alpha3().get(country, country) + dash + part
    if re.fullmatch("[A-Z]{2}[0-9]", upper):  # price zones of Norway, Sweden and Denmark
        upper = f"{upper[:2]}-{upper}"
    return ALIASES.get(upper) or _by_word().get(text.lower(), upper)


def _near(upper: str) -> str:
    """Alpha-2 codes first: those that share a letter in its place, then what is spelt alike."""
    codes = [name for name in all_zones() if len(name) == len(upper) == 2]
    alike = [code for code in codes if code[0] == upper[0] or code[1] == upper[1]]
    if alike:
        return f"near it: {', '.join(alike[:8])}"
    titles = get_close_matches(upper.lower(), _by_word(), n=2)
    if titles:
        return f"did you mean {' or '.join(f'{_by_word()[title]} ({title.title()})' for title in titles)}?"
    return nearest(upper, [*all_zones(), *_alpha3(), *parts()])


@cache
def unknown_place() -> Zone:
    """The world: the mean of all countries, each weighted by what it generates."""
    rows = facts.table("countries")
    energy = [sum(float(fact.more[f"{fuel}_twh"]) for fuel in FUELS) for fact in rows]
    mean = sum(fact.value * amount for fact, amount in zip(rows, energy, strict=True)) / sum(energy)
    year = max(fact.year for fact in rows)
    source = f"generation-weighted mean of {len(rows)} countries; {rows[0].source}"
    fact = Fact("countries", WORLD, mean, "g/kWh", rows[0].kind, year, source, rows[0].licence, MappingProxyType({}))
    flag = "unknown place: set `zone` for more than the world's mean"
    return Zone(WORLD, "", "World", None, fact, {}, (flag,))


def _lying_in(zone: Zone, region: str) -> Zone:
    """A cloud tells its region's city at best: the zone around it stands for it."""
    stand_in = f"cloud region {region}: {zone.name} stands in for its grid"
    return msgspec.structs.replace(zone, flags=(*zone.flags, stand_in), stand_in=stand_in)


def _standing_in(country: Zone, name: str) -> Zone:
    """The country's mix; the part's own title and place where facts have them."""
    part = parts().get(name)
    return Zone(
        name,
        country.name,
        part.more["title"] if part else country.title,
        _place(part) if part else country.place,
        country.intensity,
        country.shares,
        (*country.flags, f"no facts for {name}: {country.name} stands in, with a wider interval"),
    )
