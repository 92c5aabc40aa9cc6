"""Laws of the pictures: the ramp only darkens, strips lose no hour, boxes stand where their hours are."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from heliotrope.model import Estimate
from heliotrope.web.draw import charts, ramp, strips

DAY = 1_795_219_200  # a midnight UTC


def lightness(colour):
    """CIE luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_dirtier_is_darker_at_every_step():
    shades = [lightness(ramp.colour(level)) for level in range(ramp.LEVELS + 1)]
    assert all(a > b for a, b in pairwise(shades))
    assert shades[0] > 0.7
    assert shades[-1] < 0.04


@given(st.floats(-100, 5000), st.floats(-100, 5000))
def test_the_colour_of_more_is_never_lighter(a, b):
    low, high = sorted((a, b))
    assert lightness(ramp.colour_of(low)) >= lightness(ramp.colour_of(high))


@given(st.lists(st.floats(0, 900), min_size=1, max_size=200))
def test_cells_cover_the_span_once(values):
    row = strips.Row("a", "A", DAY, 3600, values)
    picture = strips.picture([row], DAY, DAY + 3600 * len(values))
    cells = re.findall(r'<rect x="([\d.e-]+)%" width="([\d.e-]+)%" height="100%" fill', picture.rows[0][1])
    levels = [ramp.level(value) for value in values]
    changes = [0, *(i for i, (a, b) in enumerate(pairwise(levels), start=1) if a != b)]
    assert len(cells) == len(changes)
    for (x, width), change in zip(cells, changes, strict=True):
        assert abs(float(x) - 100 * change / len(values)) < 0.02
        assert abs(float(x) + float(width) - 100) < 0.05


@given(st.floats(0, 23), st.floats(0.5, 24))
def test_a_box_stands_over_its_hours(start_h, length_h):
    row = strips.Row(
        "a", "A", DAY, 3600, [100.0] * 48, (strips.Box(DAY + start_h * 3600, DAY + (start_h + length_h) * 3600, "x"),)
    )
    svg = strips.picture([row], DAY, DAY + 48 * 3600).rows[0][1]
    x, width = map(float, re.search(r'class="box plan" x="([\d.e-]+)%" y="1.5" width="([\d.e-]+)%"', svg).groups())
    assert abs(x - 100 * start_h / 48) < 0.02
    assert abs(width - 100 * length_h / 48) < 0.02


def test_day_labels_stand_where_days_begin():
    axis = strips.picture([], DAY - 6 * 3600, DAY + 4 * 86_400 + 18 * 3600).axis
    labels = re.findall(r'<text[^>]* x="([\d.]+)%"[^>]*>(\w{3} \d+)<', axis)
    assert len(labels) >= 4
    for x, _ in labels:
        at = DAY - 6 * 3600 + float(x) / 100 * 5 * 86_400
        assert abs((at - DAY + 43_200) % 86_400 - 43_200) < 60


@given(st.floats(1e-6, 1e9))
def test_a_chart_has_room_for_its_highest_value(highest):
    top, tick = charts._nice(highest)
    assert highest <= top * 1.000001
    assert 2 <= top / tick <= 6


def test_bars_stand_on_one_scale_and_keep_their_whiskers_on_the_picture():
    rows = [charts.Bar("a", Estimate(1, 0.5, 4), "", "1 g"), charts.Bar("b", Estimate(2, 1, 3), "", "2 g")]
    html = charts.bars(rows, title="t")
    for x in map(float, re.findall(r'x[12]="([\d.]+)%"', html)):
        assert 0 <= x <= 100
    assert re.findall(r'class="bar " width="([\d.]+)%"', html) == ["25", "50"]


def test_negative_prices_lie_under_a_zero_line_and_the_present_is_marked():
    series = charts.Series("p", [0, 3600, 7200], [80.0, -30.0], [70.0, -45.0], [90.0, -10.0])
    drawn = charts.steps([series], title="t", now_s=3600)
    heights = [float(y) for y in re.findall(r"[ML][0-9.]+ (-?[0-9.]+)", drawn)]
    assert heights
    assert all(0 <= y <= 1000 for y in heights)
    assert ">-50<" in drawn
    assert '<line class="now" x1="50%"' in drawn
