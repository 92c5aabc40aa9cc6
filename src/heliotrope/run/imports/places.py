"""Sites where a foreign file says clouds and regions: those on the same grid, or those that bear the name."""

from __future__ import annotations

from heliotrope.errors import InvalidInput, UnknownZone
from heliotrope.fleet import Fleet
from heliotrope.grid import zones
from heliotrope.model import Site

ENGINES = {"kubernetes": "k8s", "slurm": "slurm"}  # as clouds are called


def sites_at(places: tuple[str, ...], fleet: Fleet) -> tuple[str, ...]:
    """Names of sites that will do for one of the places; none asked for is no limit."""
    found = tuple(site.name for site in fleet.sites if any(_is_there(site, place) for place in places))
    if places and not found:
        raise InvalidInput(
            "no site lies there",
            field="resources",
            found=", ".join(places),
            allowed=", ".join(f"{site.name} ({site.zone or 'zone unknown'})" for site in fleet.sites),
            hint="leave the place out, and the plan chooses; or give a site this name or its grid zone",
        )
    return found


def _is_there(site: Site, place: str) -> bool:
    if place in {site.name.lower(), ENGINES.get(site.engine)} or place.rpartition("/")[2] == site.name.lower():
        return True
    try:
        there, here = zones.find(place), zones.find(site.zone)
    except UnknownZone:
        return False
    return there.name != zones.WORLD and here.name == there.name
