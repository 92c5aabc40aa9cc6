"""Software Carbon Intensity (ISO/IEC 21031:2024): grams for each unit of use."""

from __future__ import annotations

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.model import Estimate, Footprint

BOUNDARY = "IT energy with the site's PUE, and the embodied carbon of the share of the host that was used"
METHOD = "SCI = (E·I + M) / R, location-based; no market instrument and no offset is counted"


class Sci(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The standard asks for all three: a score alone says nothing."""

    score_g: Estimate
    functional_unit: str
    functional_units: float
    boundary: str
    method: str


def sci(
    footprint: Footprint, functional_units: float, *, functional_unit: str = "run", boundary: str = BOUNDARY
) -> Sci:
    """Grams CO2e for one `functional_unit` (a run, a token, an image …), of which there were `functional_units`."""
    if not functional_units > 0:
        raise InvalidInput(
            "a score needs at least some use to be divided by",
            field="functional_units",
            found=functional_units,
            allowed="more than 0",
        )
    return Sci(footprint.carbon_g * (1.0 / functional_units), functional_unit, functional_units, boundary, METHOD)
