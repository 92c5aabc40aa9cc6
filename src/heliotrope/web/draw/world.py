"""The world map: sites as dots on an Equal Earth projection, drawn on the server. No script, no tiles, no request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

import msgspec

from heliotrope.model import Place
from heliotrope.web.draw import ramp

WIDTH = 960.0
# Degrees of latitude at the picture's upper and lower edge: no grid lies beyond.
NORTH, SOUTH = 84.0, -57.0


class Dot(msgspec.Struct, frozen=True):
    """`intensity_g_per_kwh` colours it; home has a ring."""

    label: str
    place: Place
    intensity_g_per_kwh: float
    home: bool = False


def equal_earth(longitude: float, latitude: float) -> tuple[float, float]:
    """Šavrič, Patterson and Jenny (2018): areas are true. Degrees to units of the sphere's radius, y up."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    t2 = theta * theta
    t6 = t2**3
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    x = math.radians(longitude) * math.cos(theta)
    x /= math.sqrt(3) / 2 * (a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2))
    return x, theta * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))


@cache
def _unit() -> float:
    """Pixels to one radius of the sphere."""
    return WIDTH / (2 * equal_earth(180, 0)[0])


@cache
def height() -> float:
    return (equal_earth(0, NORTH)[1] - equal_earth(0, SOUTH)[1]) * _unit()


def project(place: Place) -> tuple[float, float]:
    """Pixels from the upper left corner, x right, y down."""
    x, y = equal_earth(place.longitude, place.latitude)
    return WIDTH / 2 + x * _unit(), (equal_earth(0, NORTH)[1] - y) * _unit()


@cache
def _land() -> str:
    return files("heliotrope.web").joinpath("static", "vendor", "world.path").read_text(encoding="utf-8").strip()


def draw(dots: Sequence[Dot]) -> str:
    size = f'width="100%" viewBox="0 0 {WIDTH:.0f} {height():.0f}"'
    # The land lies in half pixels.
    parts = [
        f'<svg class="map" role="img" aria-label="Map of {len(dots)} sites" {size}>',
        f'<path class="land" transform="scale(0.5)" d="{_land()}"/>',
    ]
    for dot in sorted(dots, key=lambda d: d.home):
        x, y = project(dot.place)
        title = f"{dot.label}: {dot.intensity_g_per_kwh:.0f} g/kWh" + (", home" if dot.home else "")
        parts.append(
            f'<circle{" class=home" if dot.home else ""} cx="{x:.1f}" cy="{y:.1f}" r="9" '
            f'fill="{ramp.colour_of(dot.intensity_g_per_kwh)}"><title>{escape(title)}</title></circle>'
        )
    return "".join([*parts, "</svg>"])
