"""What a measurement cost where the settings say it was made: fleet, grid and footprint, put together once."""

from __future__ import annotations

import math

from heliotrope import config
from heliotrope.config import Settings
from heliotrope.model import Footprint, Measurement, SignalKind


def worth(measurement: Measurement, settings: Settings | None = None) -> Footprint:
    """The site is the fleet's home; no zone gives the world's mean, with the span of all countries and a flag."""
    from heliotrope import fleet, footprint
    from heliotrope.grid import Grid

    settings = settings or config.load()
    loaded = fleet.load(settings.fleet, zone=settings.zone)
    site = loaded.site(loaded.home)
    start_s = math.floor(measurement.start_s)
    end_s = max(math.ceil(measurement.end_s), start_s + 1)
    grid = Grid(settings.grid, settings.home_path)
    carbon = grid.history(site.zone, start_s, end_s, kind=SignalKind.parse(settings.grid.kind))
    return footprint.compute(measurement, site, carbon)
