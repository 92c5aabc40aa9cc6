"""Writes zones.csv (parts of countries) and cloud_regions.csv from public packages and hourly generation.

    python tools/facts_zones.py SOURCES GRID

SOURCES as in facts_countries.py; GRID is a folder with dacf_{CISO,PJM}_direct_emissions.csv (EIA hourly generation,
Apache-2.0 repository). Run facts_countries.py and write fuels.csv first: intensities here are mixes times fuels.csv.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from facts_countries import FUELS, ZONE_TAB, decode, degrees, ring

DATA = Path(__file__).parents[1] / "src/heliotrope/facts/data"
FUEL_OF_COLUMN = {column: column.removesuffix("_twh") for column in FUELS}
KIND = "carbon/average/lifecycle/production"
PROVINCES = {
    "CA-AB": ("alberta", "Alberta", "America/Edmonton"),
    "CA-BC": ("british columbia", "British Columbia", "America/Vancouver"),
    "CA-MB": ("manitoba", "Manitoba", "America/Winnipeg"),
    "CA-NB": ("new brunswick", "New Brunswick", "America/Moncton"),
    "CA-NL": ("newfoundland and labrador", "Newfoundland and Labrador", "America/St_Johns"),
    "CA-NS": ("nova scotia", "Nova Scotia", "America/Halifax"),
    "CA-ON": ("ontario", "Ontario", "America/Toronto"),
    "CA-QC": ("quebec", "Québec", "America/Toronto"),
    "CA-SK": ("saskatchewan", "Saskatchewan", "America/Regina"),
}
PROVINCE_FUELS = {
    "coal": "coal_twh",
    "naturalGas": "gas_twh",
    "petroleum": "oil_twh",
    "nuclear": "nuclear_twh",
    "hydro": "hydro_twh",
    "wind": "wind_twh",
    "solar": "solar_twh",
    "biomass": "biomass_twh",
    "tidal": "other_renewable_twh",
    "other": "oil_twh",
}
EIA = {
    "US-CAL-CISO": ("CISO", "California ISO", "America/Los_Angeles"),
    "US-MIDA-PJM": ("PJM", "PJM Interconnection", "America/New_York"),
}
EIA_FUELS = {
    "coal": "coal_twh",
    "nat_gas": "gas_twh",
    "oil": "oil_twh",
    "nuclear": "nuclear_twh",
    "hydro": "hydro_twh",
    "wind": "wind_twh",
    "solar": "solar_twh",
    "other": "biomass_twh",
}
MISPLACED = {"brazilus", "israelcentral"}  # the source puts them in the sea
NORDIC = {
    f"{country}{i}": (country, f"{country}-{country}{i}")
    for country, n in (("SE", 4), ("NO", 5))
    for i in range(1, n + 1)
}


def main(sources: Path, grid: Path) -> None:
    factors = {
        row["fuel"]: float(row["value"])
        for row in csv.DictReader((DATA / "fuels.csv").open(encoding="utf-8"))
        if row["kind"] == "lifecycle"
    }
    places = city_places()
    rows = [*provinces(sources, factors, places), *eia(grid, factors, places), *nordic(sources)]
    write("zones.csv", sorted(rows, key=lambda row: row["name"]))
    write("cloud_regions.csv", sorted(regions(sources), key=lambda row: row["name"]))


def write(name: str, rows: list[dict]) -> None:
    with (DATA / name).open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def zone_row(
    name: str, country: str, title: str, value: float, year: int, source: str, licence: str, place, mix
) -> dict:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": "g/kWh",
        "kind": KIND,
        "year": year,
        "source": source,
        "licence": licence,
        "country": country,
        "title": title,
        "latitude": "" if place is None else round(place[0], 2),
        "longitude": "" if place is None else round(place[1], 2),
        **{column: "" if mix is None else round(mix.get(column, 0.0), 4) for column in FUELS},
    }


def intensity(mix: dict[str, float], factors: dict[str, float]) -> float:
    return sum(factors[FUEL_OF_COLUMN[c]] * twh for c, twh in mix.items()) / sum(mix.values())


def provinces(sources: Path, factors, places):
    shares = json.loads((sources / "codecarbon/data/private_infra/2023/canada_energy_mix.json").read_text())
    for name, (key, title, tz) in PROVINCES.items():
        mix = dict.fromkeys(FUELS, 0.0)
        for theirs, ours in PROVINCE_FUELS.items():
            mix[ours] += shares[key][theirs]
        source = "shares of generation: codecarbon 3.3.2 canada_energy_mix.json, times fuels.csv (`other` as oil)"
        yield zone_row(name, "CA", title, intensity(mix, factors), 2023, source, "MIT", places[tz], mix)


def eia(grid: Path, factors, places):
    for name, (file, title, tz) in EIA.items():
        with (grid / f"dacf_{file}_direct_emissions.csv").open(encoding="utf-8") as text:
            hours = [row for row in csv.DictReader(text) if row["UTC time"].startswith("2021")]
        mix = {ours: sum(float(h.get(theirs) or 0) for h in hours) / 1e6 for theirs, ours in EIA_FUELS.items()}
        source = (
            "hourly generation 2021: EIA-930, as carried by the DACF repository, times fuels.csv (`other` as biomass)"
        )
        yield zone_row(
            name,
            "US",
            title,
            intensity(mix, factors),
            2021,
            source,
            "US public domain; DACF Apache-2.0",
            places[tz],
            mix,
        )


def nordic(sources: Path):
    data = json.loads((sources / "codecarbon/data/private_infra/nordic_emissions.json").read_text())["data"]
    for key, (country, name) in NORDIC.items():
        source = "ENTSO-E generation 2025 times codecarbon factors (codecarbon 3.3.2 nordic_emissions.json)"
        title = data[key]["description"].split(" (")[0]
        yield zone_row(name, country, title, data[key]["emission_factor"], data[key]["year"], source, "MIT", None, None)


def city_places() -> dict[str, tuple[float, float]]:
    places = {}
    for line in ZONE_TAB.read_text().splitlines():
        if not line.startswith("#"):
            _, position, tz, *_ = line.split("\t")
            cut = max(position.rfind("+"), position.rfind("-"))
            places[tz] = (degrees(position[:cut], 2), degrees(position[cut:], 3))
    return places


def regions(sources: Path):
    codes = json.loads((sources / "i18n-iso-countries/codes.json").read_text())
    by_numeric = {numeric: iso2 for iso2, _, numeric, *_ in codes}
    numeric_of = {iso3: (int(numeric), iso2) for iso2, iso3, numeric, *_ in codes}
    clouds = csv.DictReader((sources / "codecarbon/data/cloud/impact.csv").open(encoding="utf-8-sig"))
    for row in clouds:
        number, zone = numeric_of["HKG" if row["city"] == "Hong Kong" else row["countryIsoCode"]]
        region = row["region"].replace("cenrtal", "central")
        yield region_row(
            f"{row['provider']}/{region}",
            number,
            zone,
            row["city"],
            "codecarbon 3.3.2 cloud/impact.csv (region and country only)",
            "MIT",
            2025,
        )
    shapes = country_rings(json.loads((sources / "world-atlas/countries-50m.json").read_text()))
    azure = csv.DictReader((sources / "azure_region_latlon.csv").open(encoding="utf-8"))
    for row in azure:
        if row["region"] in MISPLACED:
            continue
        numeric = country_at(float(row["lat"]), float(row["lon"]), shapes)
        source = f"{row['source']}; country by Natural Earth 4.1.0"
        yield region_row(
            f"azure/{row['region']}", int(numeric), by_numeric[numeric], "", source, row["licence_note"], 2024
        )


def region_row(name: str, number: int, zone: str, city: str, source: str, licence: str, year: int) -> dict:
    return {
        "name": name,
        "value": number,
        "unit": "ISO 3166-1 numeric",
        "kind": "place",
        "year": year,
        "source": source,
        "licence": licence,
        "zone": zone,
        "city": city,
    }


def country_rings(topology: dict) -> list[tuple[str, list[tuple[float, float]]]]:
    arcs = [decode(arc, topology["transform"]) for arc in topology["arcs"]]
    out = []
    for shape in topology["objects"]["countries"]["geometries"]:
        if "id" in shape:
            polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
            out += [(shape["id"], ring(polygon[0], arcs)) for polygon in polygons]
    return out


def country_at(latitude: float, longitude: float, shapes) -> str:
    """The country whose outline holds the point, else the one with the nearest corner (ports at the sea)."""
    for numeric, points in shapes:
        if inside(latitude, longitude, points):
            return numeric
    return min(shapes, key=lambda s: min((x - longitude) ** 2 + (y - latitude) ** 2 for x, y in s[1]))[0]


def inside(latitude: float, longitude: float, points: list[tuple[float, float]]) -> bool:
    odd = False
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 > latitude) != (y1 > latitude) and longitude < x0 + (latitude - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
