"""A set of sites and the way between them."""

from __future__ import annotations

import os

import msgspec

from heliotrope import facts
from heliotrope.errors import UnknownName, nearest
from heliotrope.fleet.shares import Sharing
from heliotrope.model import Cooling, Link, Site, Tier

# fmt: off
EU = frozenset({
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
})
# fmt: on


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`home` is the site where people submit: what "run now" would have used. `sharing`: who may use how much."""

    sites: tuple[Site, ...]
    home: str
    sharing: Sharing = Sharing()

    def site(self, name: str) -> Site:
        for site in self.sites:
            if site.name == name:
                return site
        raise UnknownName(f"no site is called {name}", field="site", hint=nearest(name, [s.name for s in self.sites]))

    def latency_ms(self, a: str, b: str) -> float | None:
        """Round trip, ms; 0 within a site; None where no link is written down: distance is not a promise."""
        if a == b:
            return 0.0
        link = self.link(a, b)
        return None if link is None else link.latency_ms

    def link(self, a: str, b: str) -> Link | None:
        """The way between two sites, at whichever end it is written down."""
        for here, there in ((a, b), (b, a)):
            for link in self.site(here).links:
                if link.to == there:
                    return link
        return None


def this_machine(zone: str) -> Fleet:
    """No fleet file: one site, here, as many at once as it has cores.

    Nobody said how it is cooled, so the PUE is an assumed interval.
    """
    return Fleet((completed(Site(name="here", zone=zone, tier=Tier.EDGE, capacity=os.cpu_count() or 1)),), home="here")


def completed(site: Site) -> Site:
    """Fills what follows from the rest: country from the zone, jurisdiction from the country, cooling from facts."""
    country = site.country or site.zone.split("-")[0]
    return msgspec.structs.replace(
        site,
        country=country,
        jurisdiction=site.jurisdiction or ("EU" if country in EU else country),
        cooling=_assumed_cooling() if site.cooling == Cooling() else site.cooling,
    )


def _assumed_cooling() -> Cooling:
    """From no overhead at all to the average server room, around the average public cloud."""
    return Cooling(
        pue=facts.fact("pue", "public-cloud-average").value,
        pue_low=1.0,
        pue_high=facts.fact("pue", "on-premises-average").value,
    )
