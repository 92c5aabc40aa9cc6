"""What a measurement cost where the settings say it was made: fleet, grid and footprint, put together once."""

from __future__ import annotations

import math

import msgspec

from heliotrope import config
from heliotrope.config import Settings
from heliotrope.model import CARBON, Footprint, Measurement, Quality, QualityKind, Signal, Site
from heliotrope.units import S_PER_HOUR


def worth(measurement: Measurement, settings: Settings | None = None) -> Footprint:
    """The site is the fleet's home; no zone gives the world's intensity, with the span of all countries and a flag."""
    from heliotrope import fleet, footprint
    from heliotrope.grid import Grid

    settings = settings or config.load()
    loaded = fleet.load(settings.fleet, zone=settings.zone)
    site = loaded.site(loaded.home)
    start_s = math.floor(measurement.start_s)
    end_s = max(math.ceil(measurement.end_s), start_s + 1)
    if site.zone:
        carbon = Grid(settings.grid, settings.home_path).history(
            site.zone, start_s, end_s, kind=type(CARBON).parse(settings.grid.kind)
        )
    else:
        carbon = _anywhere(start_s, end_s)
    return footprint.compute(measurement, _here(site), carbon)


def _here(site: Site) -> Site:
    return msgspec.structs.replace(site, zone=site.zone or "unknown")


def _anywhere(start_s: int, end_s: int) -> Signal:
    """The median country, between the cleanest and the dirtiest twentieth of them."""
    import numpy as np

    from heliotrope import facts

    rows = sorted(facts.table("countries"), key=lambda row: row.value)
    levels = [rows[int(part * (len(rows) - 1))].value for part in (0.05, 0.5, 0.95)]
    first = start_s // S_PER_HOUR * S_PER_HOUR
    hours = -(-(end_s - first) // S_PER_HOUR)
    low, value, high = (np.full(hours, level) for level in levels)
    flag = "zone unknown, assumed anywhere: the span of all countries; set `zone` in the settings or HOME/config.toml"
    quality = Quality(QualityKind.ESTIMATED, rows[0].source, rows[0].licence, None, rows[0].year, (flag,))
    return Signal(CARBON, "unknown", first, S_PER_HOUR, value, low, high, quality)
