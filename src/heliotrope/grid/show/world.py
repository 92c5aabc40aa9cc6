"""Every zone at once: its hour, on a map of the world in the terminal."""

from __future__ import annotations

import msgspec

from heliotrope.errors import HelioError
from heliotrope.grid.grid import Grid
from heliotrope.grid.show.strip import legend, paint
from heliotrope.grid.zones import all_zones
from heliotrope.model import Signal, SignalKind
from heliotrope.units import S_PER_HOUR, from_epoch, hour_floor

ROWS, COLUMNS = 30, 60
NORTH, SOUTH = 75.0, -58.0  # nobody beyond them has a grid that facts know


class Survey(msgspec.Struct, frozen=True):
    """The hour in each zone that could be told, and the zones that could not, with why."""

    found: list[Signal]
    missing: dict[str, str]


def survey(door: Grid, kind: SignalKind, at_s: int) -> Survey:
    """Every zone that a provider covers; an error where not even the first can be told."""
    start = hour_floor(at_s)
    found: list[Signal] = []
    missing: dict[str, str] = {}
    for zone in door.zones():
        if not any(provider.serves(zone, kind) for provider in door.providers):
            continue
        try:
            found.append(door.forecast(zone.name, start, start + S_PER_HOUR, issued_at_s=at_s, kind=kind))
        except HelioError as error:
            if not found:
                raise  # a provider that is down would be asked two hundred times
            missing[zone.name] = error.what
    return Survey(found, missing)


def draw(seen: Survey, *, colour: bool) -> str:
    """A cell holds the mean of the zones in it; longitude runs -180 to 180, north is up."""
    signals = seen.found
    if not signals:
        return "no zone is covered by the configured providers"
    cells: dict[tuple[int, int], list[float]] = {}
    for signal in signals:
        place = all_zones()[signal.zone].place
        if place is None:
            continue
        row = int((NORTH - place.latitude) / (NORTH - SOUTH) * ROWS)
        column = int((place.longitude + 180) / 360 * COLUMNS)
        cells.setdefault((min(max(row, 0), ROWS - 1), min(column, COLUMNS - 1)), []).append(float(signal.values[0]))
    means = {cell: sum(values) / len(values) for cell, values in cells.items()}
    low, high = min(means.values()), max(means.values())
    lines = []
    for row in range(ROWS):
        shown = [means.get((row, column)) for column in range(COLUMNS)]
        text = "".join(
            "  " if v is None else paint((v - low) / (high - low) if high > low else 0.0, colour) for v in shown
        )
        lines.append(text.rstrip())
    one = signals[0]
    lines.append(legend(low, high, one.kind.unit, colour))
    lines.append(
        f"{len(signals)} zones, {from_epoch(one.start_s):%Y-%m-%d %H:00} UTC, {one.kind}, {one.quality.kind.value}"
    )
    lines.extend(untold(seen))
    return "\n".join(lines)


def untold(seen: Survey) -> list[str]:
    """A line for each reason, with the zones that it kept from being told."""
    zones: dict[str, list[str]] = {}
    for zone, why in seen.missing.items():
        zones.setdefault(why, []).append(zone)
    return [f"{', '.join(names)} could not be told: {why}" for why, names in zones.items()]
