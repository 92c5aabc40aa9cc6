"""From a run that ended to what it cost: its readings on its own clock, under the signals of the hours they fell in."""

from __future__ import annotations

import msgspec

from heliotrope import footprint, measure
from heliotrope.errors import InvalidInput, ProviderError, SignalGap, SignalMismatch
from heliotrope.fleet import Fleet
from heliotrope.grid import Grid
from heliotrope.model import (
    PRICE,
    TRANSFER,
    WATER,
    Estimate,
    Link,
    Measurement,
    MeterTotal,
    Provenance,
    Reading,
    Signal,
    SignalKind,
    Site,
    Workload,
    total,
)
from heliotrope.run.clock import Clock
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.moving import Carry
from heliotrope.store.runs import Account
from heliotrope.units import show_bytes, show_duration, show_energy


class Bill(msgspec.Struct, frozen=True):
    """The account, and all that it was computed from."""

    account: Account
    signals: tuple[Signal, ...]
    device_s: float
    site: Site
    home: Site


def measured(folders: list[Folder]) -> Measurement | None:
    """All segments of an attempt as one; a segment whose shepherd died is read from its journal."""
    parts = []
    for folder in folders:
        if folder.refused:
            raise InvalidInput(f"readings that cannot be true: {folder.refused}")
        part = folder.measurement
        # A journal without a whole line is of a command that was never executed.
        if part is None and folder.journal.exists() and b"\n" in folder.journal.read_bytes():
            part = measure.recover(folder.journal)
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    return Measurement(
        name=parts[0].name,
        start_s=parts[0].start_s,
        end_s=parts[-1].end_s,
        duration_s=sum(p.duration_s for p in parts),
        energy_j=total(p.energy_j for p in parts),
        meters=tuple(m for p in parts for m in p.meters),
        readings=tuple(r for p in parts for r in p.readings),
        flags=tuple(dict.fromkeys(f for p in parts for f in p.flags)),
        journal=parts[-1].journal,
    )


def with_transfer(raw: Measurement | None, name: str, way: Carry, fleet: Fleet) -> Measurement:
    """What carrying its state there took belongs to the attempt that it was carried for, and to no other.

    Joules of all networks on the way, as the plan counted them: bits times the link's watts for each bit a second.
    That is a model of the margin: the truth lies anywhere from nothing to twice as much.
    """
    ended_s = way.ended_s or way.began_s
    energy_j, trust = _in_the_network(way, fleet)
    reading = Reading("link", TRANSFER, way.began_s, ended_s, energy_j, energy_j / 2, trust)
    took = Estimate(energy_j, 0.0, 2 * energy_j, trust)
    raw = raw or Measurement(name, way.began_s, ended_s, 0.0, total(()))
    return msgspec.structs.replace(
        raw,
        start_s=min(raw.start_s, way.began_s),
        energy_j=raw.energy_j + took,
        meters=(*raw.meters, MeterTotal("link", TRANSFER, trust, energy_j)),
        readings=(reading, *raw.readings),
        flags=(*raw.flags, told(way, fleet)),
    )


def told(way: Carry, fleet: Fleet) -> str:
    energy_j, trust = _in_the_network(way, fleet)
    took_s = (way.ended_s or way.began_s) - way.began_s
    by = f" by way of {way.via}, where {show_bytes(way.up_bytes)} were missing," if way.via else ""
    return (
        f"{show_bytes(way.sent_bytes)} of {show_bytes(way.whole_bytes)} came from {way.origin} to {way.target}{by} in "
        f"{show_duration(took_s)}: {show_energy(energy_j)} in the network, {trust}"
    )


def _in_the_network(way: Carry, fleet: Fleet) -> tuple[float, Provenance]:
    """Over each link on the way; one that the fleet file does not describe is assumed to be as most are."""
    legs = [(way.origin, way.target, way.sent_bytes)]
    if way.via:
        legs = [(way.origin, way.via, way.up_bytes), (way.via, way.target, way.sent_bytes)]
    links = [(fleet.link(here, there), sent_bytes) for here, there, sent_bytes in legs]
    energy_j = sum(sent_bytes * 8 * (link or Link("", 0.0)).power_w_per_bps for link, sent_bytes in links)
    return energy_j, Provenance.MODELLED if all(link for link, _ in links) else Provenance.ASSUMED


def ran_s(folders: list[Folder], now_s: float) -> float:
    """Wall seconds in which the command ran, in slots that ended and in the one that has not."""
    spans = [(folder.began, folder.exit) for folder in folders]
    return sum((end.ended_s if end else now_s) - began.started_s for began, end in spans if began)


def held_s(raw: Measurement, folders: list[Folder], workload: Workload) -> float:
    """Seconds in which one unit of a site's capacity was held: as long as it ran, times how wide."""
    held = raw.duration_s
    for folder in folders:
        measurement = folder.measurement
        if measurement is not None:
            held += measurement.duration_s * (folder.width - 1)
    return held * max(1, workload.resources.devices)


def bill(
    workload: Workload,
    raw: Measurement,
    site: Site,
    fleet: Fleet,
    grid: Grid,
    clock: Clock,
    kind: SignalKind,
    marginal: SignalKind | None = None,
    *,
    device_s: float,
) -> Bill:
    """`device_s`: of one unit of the site's capacity.

    `marginal`: shown in the record beside what the bill was made with, for claims to be reckoned by.
    """
    flags = list(raw.flags)
    if clock.factor != 1:
        flags.append(f"the clock ran {clock.factor:g} times as fast as the wall")
    if site.emulated:
        flags.append(f"{site.name} is emulated: it ran on this machine")
    charged = footprint.shift(
        msgspec.structs.replace(raw, flags=tuple(flags)), clock.at(raw.start_s) - raw.start_s, stretch=clock.factor
    )
    home = fleet.site(fleet.home)
    earliest = max(workload.submitted_at, workload.not_before or workload.submitted_at)
    at_once = footprint.at_once(charged, earliest.timestamp())
    # One signal a zone, over both spans, so that whoever computes this again cannot pick the wrong one.
    span = (int(min(charged.start_s, at_once.start_s)), int(max(charged.end_s, at_once.end_s)) + 1)
    carbon, price, water = _signals(grid, site, span, kind)
    cost = footprint.compute(charged, site, carbon, price=price, water=water, device_s=device_s)
    carbon_home = carbon if home.zone == site.zone else _carbon(grid, home.zone, span, kind)
    run_now = footprint.compute(at_once, home, carbon_home, device_s=device_s)
    kept = {id(s): s for s in (carbon, carbon_home, price, water) if s is not None}
    return Bill(
        Account(cost, charged, run_now.carbon_g, run_now.carbon_operational_g),
        (*kept.values(), *_shown(grid, (site.zone, home.zone), span, marginal)),
        device_s,
        site,
        home,
    )


def _signals(
    grid: Grid, site: Site, span: tuple[int, int], kind: SignalKind
) -> tuple[Signal, Signal | None, Signal | None]:
    start_s, end_s = span
    stated = site.price_eur_per_mwh is not None
    price = None if stated else grid.forecast(site.zone, start_s, end_s, issued_at_s=start_s, kind=PRICE)
    water = grid.forecast(site.zone, start_s, end_s, issued_at_s=start_s, kind=WATER)
    return _carbon(grid, site.zone, span, kind), price, water


def _shown(grid: Grid, zones: tuple[str, ...], span: tuple[int, int], kind: SignalKind | None) -> tuple[Signal, ...]:
    """One a zone; none where no provider has it: the claim is then refused, not the run."""
    if kind is None:
        return ()
    try:
        return tuple(_carbon(grid, zone, span, kind) for zone in dict.fromkeys(zones))
    except (ProviderError, SignalGap, SignalMismatch):
        return ()


def _carbon(grid: Grid, zone: str, span: tuple[int, int], kind: SignalKind) -> Signal:
    """What was; where nobody knows yet, what was expected, with a flag."""
    start_s, end_s = span
    try:
        return grid.history(zone, start_s, end_s, kind=kind)
    except (SignalGap, ProviderError):
        signal = grid.forecast(zone, start_s, end_s, issued_at_s=start_s, kind=kind)
        quality = msgspec.structs.replace(
            signal.quality, flags=(*signal.quality.flags, "accounted with a forecast: no history yet")
        )
        return msgspec.structs.replace(signal, quality=quality)
