"""How numbers and times read on a page: with interval, provenance and unit; made safe for HTML."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime

from markupsafe import Markup

from heliotrope.model import Estimate, Provenance
from heliotrope.units import from_epoch, show_carbon, show_duration, show_energy, show_power, show_water


def money(value: float, currency: str = "EUR") -> str:
    if 0 < abs(value) < 1e-4:
        return f"{value * 1e6:.2g} µ{currency}"
    if value and abs(value) < 1 and currency == "EUR":
        return f"{value * 100:.2g} cent"
    return f"{value:,.2f} {currency}"


_MEANS = {
    Provenance.MEASURED: "read from a meter",
    Provenance.MODELLED: "computed from sourced factors",
    Provenance.ASSUMED: "an assumption goes into it; the interval says how much it may matter",
}
SHOW: dict[str, Callable[[float], str]] = {
    "energy": show_energy,
    "carbon": show_carbon,
    "water": show_water,
    "power": show_power,
    "heat": show_energy,
    "cost": money,
}


def badge(provenance: Provenance | str) -> Markup:
    kind = Provenance(provenance)
    return Markup('<span class="badge {0}" title="{1}">{0}</span>').format(kind.value, _MEANS[kind])


def between(estimate: Estimate, quantity: str) -> str:
    """`3.1 g to 5.2 g`; nothing where the number is exact."""
    if estimate.low == estimate.high:
        return ""
    show = SHOW[quantity]
    return f"{show(estimate.low)} to {show(estimate.high)}"


def number(estimate: Estimate | None, quantity: str) -> Markup:
    """Value, interval and badge."""
    if estimate is None:
        return Markup('<span class="none">not known yet</span>')
    span = between(estimate, quantity)
    return Markup('<span class="num">{}</span> {}{}').format(
        SHOW[quantity](estimate.value),
        Markup('<span class="span">({})</span> ').format(span) if span else "",
        badge(estimate.provenance),
    )


def instant(when: datetime | float | None) -> Markup:
    """`Sat 21 Nov 12:40 UTC`, with the machine's form beside it."""
    if when is None:
        return Markup('<span class="none">not yet</span>')
    at = when if isinstance(when, datetime) else from_epoch(when)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", clock(at))


def clock(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b %H:%M} UTC"


def duration(seconds: float | None) -> str:
    return "" if seconds is None else show_duration(seconds)


def command(words: Sequence[str], *, longest: int = 120) -> str:
    """As typed, but without the folders before the program's own name."""
    text = shlex.join([words[0].rsplit("/", 1)[-1], *words[1:]]) if words else ""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def share(part: float, whole: float) -> str:
    """By how much `part` is below `whole`; nothing to say where there is no whole."""
    if not whole:
        return ""
    change = (part - whole) / whole
    return f"{abs(change):.0%} {'less' if change < 0 else 'more'}" if abs(change) >= 0.005 else "the same"


FILTERS: dict[str, Callable[..., object]] = {
    "badge": badge,
    "between": between,
    "carbon": show_carbon,
    "command": command,
    "duration": duration,
    "energy": show_energy,
    "instant": instant,
    "money": money,
    "number": number,
    "power": show_power,
}
