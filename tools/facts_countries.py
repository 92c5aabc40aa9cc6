"""Writes countries.csv: yearly intensity, mix by fuel and place of every country, from three public packages.

    python tools/facts_countries.py SOURCES

SOURCES is a folder holding the unpacked packages codecarbon 3.3.2 (PyPI), world-atlas 2.0.2 and
i18n-iso-countries 7.14.0 (npm), each in a folder of its name. Small places that the atlas leaves out are put
where the tz database's zone.tab (public domain) puts their first city.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/heliotrope/facts/data/countries.csv"
ZONE_TAB = Path("/usr/share/zoneinfo/zone.tab")
FUELS = {
    "coal_twh": "coal_TWh",
    "gas_twh": "gas_TWh",
    "oil_twh": "oil_TWh",
    "nuclear_twh": "nuclear_TWh",
    "hydro_twh": "hydroelectricity_TWh",
    "wind_twh": "wind_TWh",
    "solar_twh": "solar_TWh",
    "biomass_twh": "biofuel_TWh",
    "other_renewable_twh": "other_renewable_exc_biofuel_TWh",
}
SOURCE = "Ember; Energy Institute - with major processing by Our World in Data (as carried by codecarbon 3.3.2)"
LICENCE = "CC BY 4.0"
ATLAS = "Natural Earth 4.1.0 (public domain): centroid of the largest part"
TZ = "tz database zone.tab (public domain): first city"


def main(sources: Path) -> None:
    mix = json.loads((sources / "codecarbon/data/private_infra/global_energy_mix.json").read_text())
    codes = json.loads((sources / "i18n-iso-countries/codes.json").read_text())
    numeric_to_place = centroids(json.loads((sources / "world-atlas/countries-50m.json").read_text()))
    cities = first_cities()
    rows = []
    for iso2, iso3, numeric, *_ in codes:
        country = mix.get(iso3)
        if not country or not country.get("carbon_intensity"):
            continue
        place, place_source = numeric_to_place.get(numeric), ATLAS
        if place is None:
            place, place_source = cities.get(iso2), TZ
        if place is None:
            continue
        rows.append(
            {
                "name": iso2,
                "value": country["carbon_intensity"],
                "unit": "g/kWh",
                "kind": "carbon/average/lifecycle/production",
                "year": country["year"],
                "source": SOURCE,
                "licence": LICENCE,
                "iso3": iso3,
                "title": country["country_name"],
                "latitude": round(place[0], 2),
                "longitude": round(place[1], 2),
                "place_source": place_source,
                **{ours: round(float(country.get(theirs) or 0.0), 4) for ours, theirs in FUELS.items()},
            }
        )
    rows.sort(key=lambda row: row["name"])
    with OUT.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def centroids(topology: dict) -> dict[str, tuple[float, float]]:
    """Latitude and longitude of the centroid of each country's largest polygon, by ISO numeric code."""
    arcs = [decode(arc, topology["transform"]) for arc in topology["arcs"]]
    places = {}
    for shape in topology["objects"]["countries"]["geometries"]:
        if "id" not in shape:
            continue
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        areas = [area_centroid(ring(polygon[0], arcs)) for polygon in polygons]
        area, latitude, longitude = max(areas)
        known = places.get(shape["id"])
        if known is None or known[0] < area:
            places[shape["id"]] = (area, latitude, longitude)
    return {code: (latitude, longitude) for code, (_, latitude, longitude) in places.items()}


def decode(arc: list[list[int]], transform: dict) -> list[tuple[float, float]]:
    """TopoJSON's delta-encoded, quantised arc to degrees (longitude, latitude)."""
    (sx, sy), (tx, ty) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for dx, dy in arc:
        x, y = x + dx, y + dy
        points.append((x * sx + tx, y * sy + ty))
    return points


def ring(indices: list[int], arcs: list[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for i in indices:
        arc = arcs[i] if i >= 0 else arcs[~i][::-1]
        points.extend(arc[1:] if points else arc)
    return unwrapped(points)


def unwrapped(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Longitudes without the jump at the date line; they may leave ±180."""
    out = [points[0]]
    for x, y in points[1:]:
        out.append((x - 360 * round((x - out[-1][0]) / 360), y))
    return out


def area_centroid(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """(area, latitude, longitude) in an equal-area projection (longitude × sin latitude)."""
    x_origin, y_origin = points[0][0], math.sin(math.radians(points[0][1]))
    projected = [(x - x_origin, math.sin(math.radians(y)) - y_origin) for x, y in points]
    area = cx = cy = 0.0
    for (x0, y0), (x1, y1) in zip(projected, projected[1:] + projected[:1], strict=True):
        cross = x0 * y1 - x1 * y0
        area += cross / 2
        cx += (x0 + x1) * cross / 6
        cy += (y0 + y1) * cross / 6
    if area == 0:
        return 0.0, points[0][1], points[0][0]
    return abs(area), math.degrees(math.asin(y_origin + cy / area)), (x_origin + cx / area + 180) % 360 - 180


def first_cities() -> dict[str, tuple[float, float]]:
    places: dict[str, tuple[float, float]] = {}
    for line in ZONE_TAB.read_text().splitlines():
        if line.startswith("#"):
            continue
        code, position, *_ = line.split("\t")
        latitude, longitude = re.fullmatch(r"([+-]\d+)([+-]\d+)", position).groups()
        places.setdefault(code, (degrees(latitude, 2), degrees(longitude, 3)))
    return places


def degrees(text: str, whole: int) -> float:
    """±DDMM[SS] or ±DDDMM[SS]."""
    sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    minutes, seconds = int(digits[whole : whole + 2]), int(digits[whole + 2 :] or 0)
    return sign * (int(digits[:whole]) + minutes / 60 + seconds / 3600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
