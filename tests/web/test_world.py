"""The map: areas are true, the date line is no scar, and what is shipped says where it came from."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import heliotrope.web
from heliotrope.model import Place
from heliotrope.web.draw import world

VENDOR = Path(heliotrope.web.__file__).parent / "static" / "vendor"


@given(st.floats(-80, 80), st.floats(-170, 170))
def test_areas_are_true(latitude, longitude):
    """A small square of the sphere has the same area anywhere on the picture."""
    step = 0.01

    def at(north, east):
        return world.equal_earth(longitude + east * step, latitude + north * step)

    (x0, y0), (x1, y1), (x2, y2) = at(0, 0), at(0, 1), at(1, 0)
    drawn = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    true = math.radians(step) ** 2 * math.cos(math.radians(latitude + step / 2))
    assert math.isclose(drawn, true, rel_tol=2e-3)


def test_cities_lie_where_they_are():
    x, y = world.project(Place(0, 0))
    assert x == world.WIDTH / 2
    assert 0 < y < world.height()
    west, east = world.project(Place(40, -74)), world.project(Place(35, 139))
    assert west[0] < x < east[0]
    assert west[1] < y


def test_no_line_runs_across_the_map():
    """A ring that crosses the date line would jump from edge to edge."""
    path = (VENDOR / "world.path").read_text()
    moves = [int(n) for ring in re.findall(r"l([^z]*)z", path) for n in re.findall(r"-?\d+", ring)[::2]]
    assert len(moves) > 5000
    assert max(map(abs, moves)) < 0.2 * 2 * world.WIDTH


def test_what_is_taken_from_others_is_pinned_and_licensed():
    names = {path.name for path in VENDOR.iterdir()}
    for line in (VENDOR / "VERSIONS").read_text().splitlines():
        package, version, digest = line.split()
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
        assert f"{package}.LICENSE" in names


def test_dots_are_drawn_dirtier_darker_and_named_safely():
    dots = [world.Dot("<a>", Place(50, 10), 20.0, home=True), world.Dot("b", Place(-30, 150), 700.0)]
    svg = world.draw(dots)
    assert "&lt;a&gt;: 20 g/kWh, home" in svg
    shades = re.findall(r'fill="(#\w{6})"', svg)
    assert len(shades) == 2
    assert all(a != b for a, b in pairwise(shades))
