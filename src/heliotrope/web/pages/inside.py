"""Where inside a run the energy went: its steps over time, its epochs side by side. Pure.

Windows are parts of the run's total, measured by the program itself; they are never added to it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from heliotrope.measure.records.windows import Window
from heliotrope.model import Estimate
from heliotrope.units import show_energy
from heliotrope.web.draw import charts

MOST_POINTS = 240
MOST_BARS = 12
_NUMBERED = re.compile(r"^(.*?)\s*(\d+)$")


class Inside(msgspec.Struct, frozen=True):
    """`note` says what is drawn, and how far to trust it."""

    chart: str
    bars: str
    note: str


def inside(windows: Sequence[Window], *, factor: float) -> Inside | None:
    """None where the program measured no windows. `factor`: of the run's clock; windows are on the wall's."""
    plain = [one for one in windows if not _NUMBERED.match(one.name)]
    if not windows:
        return None
    name = _finest(plain)
    drawn = _bundled(sorted((one for one in plain if one.name == name), key=lambda one: one.start_s))
    groups = _groups(windows)
    steps = sum(one.last - one.first + 1 for one in plain if one.name == name)
    energy = sum(one.energy_j for one in plain if one.name == name)
    kinds = ", ".join(sorted({one.provenance.value for one in windows}))
    parts = [f"{steps:,} × {name}, {show_energy(energy / steps)} each on average"] if steps else []
    parts.append(f"{kinds}, band: 90 %")
    if factor != 1:
        parts.append("on the wall's clock")
    return Inside(
        chart=charts.steps([_series(name, drawn)], title=f"Joules a {name} over time") if len(drawn) > 1 else "",
        bars=charts.bars(groups, title="Energy of each part") if len(groups) > 1 else "",
        note="; ".join(parts),
    )


def _finest(windows: Sequence[Window]) -> str:
    """The name that most windows bear: of steps there are more than of anything they lie in."""
    counts: defaultdict[str, int] = defaultdict(int)
    for one in windows:
        counts[one.name] += one.last - one.first + 1
    return max(counts, key=lambda name: (counts[name], name), default="")


def _bundled(windows: Sequence[Window]) -> list[Window]:
    """Neighbours joined until they can be told apart on a screen."""
    each = -(-len(windows) // MOST_POINTS) if windows else 1
    found = []
    for first in range(0, len(windows), each):
        one, *rest = windows[first : first + each]
        count = sum(w.last - w.first + 1 for w in (one, *rest))
        for later in rest:
            one = one.joined(later)
        found.append(msgspec.structs.replace(one, last=one.first + count - 1))
    return found


def _series(name: str, windows: Sequence[Window]) -> charts.Series:
    """Joules of one step; between two bundles the value of the first holds on."""
    counts = [one.last - one.first + 1 for one in windows]
    return charts.Series(
        f"joules a {name}",
        [one.start_s for one in windows] + [windows[-1].end_s] if windows else [],
        [one.energy_j / n for one, n in zip(windows, counts, strict=True)],
        [one.low_j / n for one, n in zip(windows, counts, strict=True)],
        [one.high_j / n for one, n in zip(windows, counts, strict=True)],
    )


def _groups(windows: Sequence[Window]) -> list[charts.Bar]:
    """Numbered windows (epoch 1, epoch 2 …), several to a bar where there are many."""
    numbered: dict[tuple[str, int], Estimate] = {}
    for one in windows:
        if found := _NUMBERED.match(one.name):
            key = (found[1], int(found[2]))
            energy = Estimate(one.energy_j, one.low_j, one.high_j, one.provenance)
            numbered[key] = numbered[key] + energy if key in numbered else energy
    ordered = sorted(numbered)
    each = -(-len(ordered) // MOST_BARS) if ordered else 1
    bars = []
    for i in range(0, len(ordered), each):
        keys = ordered[i : i + each]
        whole = numbered[keys[0]]
        for key in keys[1:]:
            whole = whole + numbered[key]
        label = f"{keys[0][0]} {keys[0][1]}" + (f" to {keys[-1][1]}" if len(keys) > 1 else "")
        bars.append(charts.Bar(label, whole, "chosen", show_energy(whole.value)))
    return bars
