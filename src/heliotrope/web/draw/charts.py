"""Line and bar charts as SVG without script: power over time, intensities with their intervals, two plans compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

from heliotrope.model import Estimate
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, show_number

_TICK_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)


ROOM = 0.2  # of the width, between a label that begins at the edge and the next


class Series(msgspec.Struct, frozen=True):
    """Steps: `values[i]` holds over [times_s[i], times_s[i + 1]); one more time than values. `low`/`high`: a band."""

    label: str
    times_s: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def steps(series: Sequence[Series], *, title: str, height: int = 180, now_s: float | None = None) -> str:
    """Stepped lines over a common time span, from zero up, or from below it where values are; `now_s` is marked."""
    drawn = [one for one in series if len(one.values)]
    if not drawn:
        return ""
    start, end = min(s.times_s[0] for s in drawn), max(s.times_s[-1] for s in drawn)
    span = max(end - start, 1e-9)
    top, tick = _nice(max(max(*s.values, *s.high) if len(s.values) + len(s.high) > 1 else s.values[0] for s in drawn))
    lowest = min(0.0, *(min((*s.values, *s.low)) for s in drawn))
    bottom = tick * math.floor(lowest / tick)
    parts = [f'<svg class="chart" role="img" aria-label="{escape(title)}" width="100%" height="{height + 22}">']
    levels = [
        (i * tick, height * (top - i * tick) / (top - bottom))
        for i in range(round(bottom / tick), round(top / tick) + 1)
    ]
    parts += [f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>' for _, y in levels]
    parts.append(f'<svg x="0" y="0" width="100%" height="{height}" viewBox="0 0 1000 1000" preserveAspectRatio="none">')
    for i, one in enumerate(drawn):
        xs = [1000 * (t - start) / span for t in one.times_s]
        if len(one.low) and len(one.high):
            up, down = _path(xs, one.high, bottom, top), _path(xs, one.low, bottom, top)
            back = " ".join(f"L{x:.1f} {y:.1f}" for x, y in reversed(down))
            parts.append(f'<path class="band s{i}" d="{_line(up)} {back} Z"/>')
        line = _path(xs, one.values, bottom, top)
        if not len(one.low):
            parts.append(f'<path class="area s{i}" d="{_line(line)} L{xs[-1]:.1f} 1000 L{xs[0]:.1f} 1000 Z"/>')
        parts.append(f'<path class="line s{i}" vector-effect="non-scaling-stroke" d="{_line(line)}"/>')
    parts.append("</svg>")
    if now_s is not None and start <= now_s <= end:
        at = f"{100 * (now_s - start) / span:.4g}%"
        parts.append(f'<line class="now" x1="{at}" x2="{at}" y1="0" y2="{height}"/>')
    # The gutter left of the picture is the sheet's padding.
    parts += [
        f'<text class="tick" x="-8" y="{y + 4:.1f}" text-anchor="end">{show_number(level)}</text>'
        for level, y in levels
    ]
    parts += [
        f'<text class="tick" x="{100 * (at - start) / span:.4g}%" y="{height + 16}"'
        f' text-anchor="{_anchor(at, start, span)}">{label}</text>'
        for at, label in _times(start, end)
    ]
    return "".join([*parts, "</svg>"])


class Bar(msgspec.Struct, frozen=True):
    """From zero to the value, with a whisker over its interval; `style` is a class of the sheet."""

    label: str
    estimate: Estimate
    style: str
    text: str


def bars(rows: Sequence[Bar], *, title: str) -> str:
    """All on one scale."""
    top = max((row.estimate.high for row in rows), default=0.0) or 1.0
    drawn = [f'<table class="bars" aria-label="{escape(title)}">']
    for row in rows:
        width, low, high = (
            f"{100 * max(v, 0.0) / top:.4g}%" for v in (row.estimate.value, row.estimate.low, row.estimate.high)
        )
        drawn.append(
            f'<tr><th scope="row">{escape(row.label)}</th><td><svg width="100%" height="22" aria-hidden="true">'
            f'<rect class="bar {row.style}" width="{width}" y="3" height="16"/>'
            f'<line class="whisker" x1="{low}" x2="{high}" y1="11" y2="11"/>'
            f'<line class="whisker" x1="{low}" x2="{low}" y1="7" y2="15"/>'
            f'<line class="whisker" x1="{high}" x2="{high}" y1="7" y2="15"/></svg></td>'
            f"<td>{escape(row.text)}</td></tr>"
        )
    return "".join([*drawn, "</table>"])


def _path(xs: Sequence[float], values: Sequence[float], bottom: float, top: float) -> list[tuple[float, float]]:
    points = []
    for i, value in enumerate(values):
        y = 1000 * (top - value) / (top - bottom)
        points += [(xs[i], y), (xs[i + 1], y)]
    return points


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _nice(highest: float) -> tuple[float, float]:
    """A round top at or above the highest value, and the distance of grid lines: 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return 1.0, 1.0
    raw = highest / 4
    power = 10.0 ** math.floor(math.log10(raw))
    tick = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    return tick * math.ceil(highest / tick - 1e-9), tick


def _times(start: float, end: float) -> list[tuple[float, str]]:
    step = next((s for s in _TICK_S if (end - start) / s <= 7), _TICK_S[-1])
    at = math.ceil(start / step) * step
    found: list[tuple[float, str]] = []
    while at <= end:
        when = from_epoch(at)
        if at % S_PER_DAY == 0:
            label = f"{when:%a} {when.day}"
        else:
            label = f"{when:%H:%M}" if step >= 60 or at % S_PER_HOUR == 0 else f"{when:%H:%M:%S}"
        found.append((at, label))
        at += step
    crowded = len(found) > 1 and _anchor(found[0][0], start, end - start) == "start" and step < ROOM * (end - start)
    return found[1:] if crowded else found


def _anchor(at: float, start: float, span: float) -> str:
    share = (at - start) / span
    return "start" if share < 0.04 else "end" if share > 0.96 else "middle"
