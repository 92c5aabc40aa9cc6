"""Adds the regions of AWS and Oracle to cloud_regions.csv, and says in which part of a country a region lies.

    python tools/facts_regions.py ENDPOINTS_JSON REGIONS_DEFINITIONS_PY

The files are botocore's data/endpoints.json (Apache-2.0) and oci/regions_definitions.py (UPL or Apache-2.0): they give
the names, of which the cities are read; the country of each city is general knowledge, written here to be checked.
Run facts_zones.py first: it writes the regions of Azure and Google.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

DATA = Path(__file__).parents[1] / "src/heliotrope/facts/data"
AWS_PLACE = {
    "N. Virginia": "US", "Ohio": "US", "N. California": "US", "Oregon": "US", "US-East": "US", "US-West": "US",
    "Cape Town": "ZA", "Hong Kong": "HK", "Taipei": "TW", "Tokyo": "JP", "Seoul": "KR", "Osaka": "JP", "Mumbai": "IN",
    "Hyderabad": "IN", "Singapore": "SG", "Sydney": "AU", "Jakarta": "ID", "Melbourne": "AU", "Malaysia": "MY",
    "New Zealand": "NZ", "Thailand": "TH", "Calgary": "CA", "Frankfurt": "DE", "Zurich": "CH", "Stockholm": "SE",
    "Milan": "IT", "Spain": "ES", "Ireland": "IE", "London": "GB", "Paris": "FR", "Tel Aviv": "IL", "UAE": "AE",
    "Bahrain": "BH", "Sao Paulo": "BR", "Beijing": "CN", "Ningxia": "CN", "Germany": "DE",
}  # fmt: skip
AWS_REGION = {
    "ca-central-1": ("CA", "Montreal"),
    "mx-central-1": ("MX", "Querétaro"),
}  # their cities are not in the names
OCI_PLACE = {
    "chuncheon": "KR", "hyderabad": "IN", "melbourne": "AU", "mumbai": "IN", "osaka": "JP", "seoul": "KR",
    "sydney": "AU", "tokyo": "JP", "montreal": "CA", "toronto": "CA", "amsterdam": "NL", "frankfurt": "DE",
    "zurich": "CH", "jeddah": "SA", "dubai": "AE", "saopaulo": "BR", "cardiff": "GB", "london": "GB", "ashburn": "US",
    "phoenix": "US", "sanjose": "US", "vinhedo": "BR", "santiago": "CL", "jerusalem": "IL", "marseille": "FR",
    "singapore": "SG", "abudhabi": "AE", "milan": "IT", "stockholm": "SE", "johannesburg": "ZA", "paris": "FR",
    "queretaro": "MX", "madrid": "ES", "chicago": "US", "monterrey": "MX", "saltlake": "US", "bogota": "CO",
    "valparaiso": "CL", "riyadh": "SA", "delhi": "IN", "batam": "ID", "turin": "IT", "casablanca": "MA",
    "newark": "US", "budapest": "HU", "riodejaneiro": "BR", "suwon": "KR",
}  # fmt: skip
PUBLIC_OCI = "oc1"
# Regions whose city lies in a part of its country that zones.csv knows.
PARTS = {
    "US-MIDA-PJM": "aws/us-east-1 aws/us-east-2 azure/eastus azure/eastus2 azure/northcentralus gcp/us-east4"
    " gcp/us-east5 oci/us-ashburn-1 oci/us-chicago-1",
    "US-CAL-CISO": "aws/us-west-1 azure/westus oci/us-sanjose-1",
    "CA-QC": "aws/ca-central-1 azure/canadaeast gcp/northamerica-northeast1 oci/ca-montreal-1",
    "CA-ON": "azure/canadacentral gcp/northamerica-northeast2 oci/ca-toronto-1",
    "CA-AB": "aws/ca-west-1",
    "SE-SE3": "aws/eu-north-1 azure/swedencentral gcp/europe-north2 oci/eu-stockholm-1",
    "NO-NO1": "azure/norwayeast",
    "NO-NO2": "azure/norwaywest",
}


def main(endpoints: Path, definitions: Path) -> None:
    path = DATA / "cloud_regions.csv"
    with path.open(encoding="utf-8") as text:
        rows = {row["name"]: row for row in csv.DictReader(text)}
    numbers = {row["zone"]: row["value"] for row in rows.values() if "-" not in row["zone"]} | known_numbers()
    for name, zone, city, source, licence in (*aws(endpoints), *oracle(definitions)):
        rows[name] = {
            "name": name,
            "value": numbers[zone],
            "unit": "ISO 3166-1 numeric",
            "kind": "place",
            "year": "2026",
        }
        rows[name] |= {"source": source, "licence": licence, "zone": zone, "city": city}
    for zone, names in PARTS.items():
        for name in names.split():
            if name in rows:
                rows[name]["zone"] = zone
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(next(iter(rows.values()))), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def aws(endpoints: Path):
    source = "botocore 1.44.5 data/endpoints.json (region names); country of the city"
    for partition in json.loads(endpoints.read_text())["partitions"]:
        for region, about in partition["regions"].items():
            found = re.search(r"\((.+)\)", about["description"])
            city = found[1] if found else ""
            zone, city = AWS_REGION.get(region, (AWS_PLACE.get(city), city))
            if zone:
                yield f"aws/{region}", zone, city, source, "Apache-2.0"


def oracle(definitions: Path):
    source = "oci 2.189.0 regions_definitions.py (region names); country of the city"
    names: dict = {}
    exec(definitions.read_text(), names)
    for region, realm in names["REGION_REALMS"].items():
        city = region.split("-")[1]
        if realm == PUBLIC_OCI and city in OCI_PLACE:
            yield f"oci/{region}", OCI_PLACE[city], city.title(), source, "UPL-1.0 or Apache-2.0"


def known_numbers() -> dict[str, str]:
    """ISO 3166-1 numbers of countries where neither Azure nor Google has a region in the table."""
    return {"BH": "48", "NZ": "554", "TH": "764", "MA": "504", "CO": "170", "HU": "348", "MY": "458", "CN": "156"}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
