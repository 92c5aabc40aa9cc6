"""A measurement at a site under its signals, as a footprint: every number with its interval and its factors."""

from __future__ import annotations

from heliotrope import facts
from heliotrope.errors import InvalidInput, SignalMismatch
from heliotrope.footprint.embodied import embodied
from heliotrope.footprint.profile import by_step
from heliotrope.model import (
    CARBON,
    PRICE,
    WATER,
    ZERO,
    Cooling,
    Estimate,
    Factor,
    Footprint,
    Hour,
    Measurement,
    Provenance,
    QualityKind,
    Quantity,
    Signal,
    Site,
    total,
)
from heliotrope.units import J_PER_KWH

ASSUMED = "assumed"
# EUR/MWh where nothing is known: wide on purpose, so that nobody mistakes it for a bill.
ASSUMED_PRICE = Estimate(120.0, 20.0, 400.0, Provenance.ASSUMED)


def compute(
    measurement: Measurement,
    site: Site,
    carbon: Signal,
    *,
    price: Signal | None = None,
    water: Signal | None = None,
    device_s: float | None = None,
) -> Footprint:
    """What `measurement` cost at `site`.

    Boundary: IT energy times PUE; `hours` hold facility joules. `device_s` is the time in which one unit of the
    site's capacity was held (width times seconds); None takes the measured duration at width 1.
    """
    _expect(carbon, CARBON.quantity)
    held_s = measurement.duration_s if device_s is None else device_s
    if held_s < 0:
        raise InvalidInput("a device cannot be held for less than no time", field="device_s", found=device_s)
    flags = list(measurement.flags)
    factors: list[Factor] = []

    pue = _pue(site.cooling, factors, flags)
    facility = measurement.energy_j * pue
    carbon_g, hours = _charged(measurement, facility, carbon)
    factors.append(_digest(carbon, facility, carbon_g))
    flags += [f"carbon: {flag}" for flag in carbon.quality.flags]
    made_g, made_of, made_flags = embodied(site, held_s)
    factors += made_of
    flags += made_flags
    return Footprint(
        energy_j=measurement.energy_j,
        facility_energy_j=facility,
        carbon_operational_g=carbon_g,
        carbon_embodied_g=made_g,
        water_l=_water(measurement, site.cooling, facility, water, factors, flags),
        cost=_cost(measurement, site, facility, price, factors, flags),
        heat_reused_j=facility * site.cooling.heat_reuse_share,
        hours=hours,
        factors=tuple(factors),
        flags=tuple(dict.fromkeys(flags)),
    )


def _expect(signal: Signal, quantity: Quantity) -> None:
    if signal.kind.quantity is not quantity:
        raise SignalMismatch(f"a {quantity} signal is needed here", field=signal.zone, found=str(signal.kind))


def _pue(cooling: Cooling, factors: list[Factor], flags: list[str]) -> Estimate:
    """Stated bounds hold; an assumed PUE without bounds reaches from none at all to the average server room."""
    if cooling.source == ASSUMED:
        worst = facts.fact("pue", "on-premises-average")
        low = 1.0 if cooling.pue_low is None else cooling.pue_low
        high = max(cooling.pue, worst.value) if cooling.pue_high is None else cooling.pue_high
        factors.append(Factor.of(worst))
        flags.append("PUE assumed")
        provenance = Provenance.ASSUMED
    else:
        low = cooling.pue if cooling.pue_low is None else cooling.pue_low
        high = cooling.pue if cooling.pue_high is None else cooling.pue_high
        provenance = Provenance.MODELLED
    factors.append(Factor("PUE", cooling.pue, "ratio", "site", cooling.source))
    return Estimate(cooling.pue, low, high, provenance)


def _trust(signal: Signal) -> Provenance:
    if any(ASSUMED in flag for flag in signal.quality.flags):
        return Provenance.ASSUMED
    return Provenance.MEASURED if signal.quality.kind is QualityKind.MEASURED else Provenance.MODELLED


def _charged(measurement: Measurement, facility: Estimate, signal: Signal) -> tuple[Estimate, tuple[Hour, ...]]:
    """Each step's facility energy times that step's value per kWh; the hours sum to the total."""
    provenance = _trust(signal)
    parts: list[Estimate] = []
    hours: list[Hour] = []
    for i, share in sorted(by_step(measurement, signal).items()):
        value, low, high = (float(series[i]) for series in (signal.values, signal.low, signal.high))
        parts.append(facility * (share / J_PER_KWH) * Estimate(value, low, high, provenance))
        hours.append(Hour(signal.start_s + i * signal.step_s, facility.value * share, value))
    return total(parts), tuple(hours)


def _digest(signal: Signal, facility: Estimate, charged: Estimate) -> Factor:
    """The mean that the energy met, as the factor to quote."""
    mean = charged.value / (facility.value / J_PER_KWH) if facility.value else 0.0
    quality = signal.quality
    return Factor(
        f"signal/{signal.zone}", mean, signal.kind.unit, str(signal.kind), quality.source, quality.licence, quality.year
    )


def _water(
    measurement: Measurement,
    cooling: Cooling,
    facility: Estimate,
    water: Signal | None,
    factors: list[Factor],
    flags: list[str],
) -> Estimate:
    """Litres: the site's own (WUE counts IT energy) and those that made the power."""
    provenance = Provenance.ASSUMED if cooling.source == ASSUMED else Provenance.MODELLED
    own = measurement.energy_j * Estimate.exact(cooling.wue_l_per_kwh / J_PER_KWH, provenance)
    if cooling.wue_l_per_kwh:
        factors.append(Factor("WUE", cooling.wue_l_per_kwh, "L/kWh", "site", cooling.source))
    if water is None:
        flags.append("water: the power plants' share is not known and not in it")
        return own
    _expect(water, WATER.quantity)
    flags += [f"water: {flag}" for flag in water.quality.flags]
    made, _ = _charged(measurement, facility, water)
    factors.append(_digest(water, facility, made))
    return own + made


def _cost(
    measurement: Measurement,
    site: Site,
    facility: Estimate,
    price: Signal | None,
    factors: list[Factor],
    flags: list[str],
) -> Estimate:
    """Money for facility energy: the signal, else the site's own price, else an assumed and very wide one."""
    if price is not None:
        _expect(price, PRICE.quantity)
        per_mwh, _ = _charged(measurement, facility, price)
        factors.append(_digest(price, facility, per_mwh))
        flags += [f"price: {flag}" for flag in price.quality.flags]
        return per_mwh * 1e-3
    if site.price_eur_per_mwh is not None:
        each = Estimate.exact(site.price_eur_per_mwh, Provenance.MODELLED)
        source = f"fleet file, site {site.name}"
    else:
        each, source = ASSUMED_PRICE, "assumed by heliotrope: a wide span of European retail prices"
        flags.append("price assumed")
    factors.append(Factor("price", each.value, "EUR/MWh", "site", source))
    return facility * (1e-3 / J_PER_KWH) * each if facility.value else ZERO
