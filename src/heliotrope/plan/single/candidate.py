"""Where a workload might go, what refuses it there, and what moving costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from heliotrope.errors import InvalidInput, SignalMismatch
from heliotrope.model import Basis, Link, Quantity, Scope, Signal, Site, Workload

Latency = Callable[[str, str], float | None]
# W of IT power at width 1 where neither the work, the site nor its devices say.
ASSUMED_POWER_W = 100.0
# g/kWh, mean of a series: far below wind alone over its lifecycle (11), far above coal alone (820 to 937).
_PLAUSIBLE = (2.0, 2500.0)


class Candidate(msgspec.Struct, frozen=True, eq=False):
    """A site with its signals. `power_w`: IT watts of this work there at width 1, 0 for unknown.

    `busy`: epoch-second spans in which other work holds the site and this work may not run.
    `caps`: whether a power cap would be held there.
    """

    site: Site
    carbon: Signal
    price: Signal | None = None
    power_w: float = 0.0
    busy: tuple[tuple[float, float], ...] = ()
    caps: bool = True


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Work already under way: what is left, where its state lies, and whether it runs at this moment.

    `done_s`: work done so far; of a length that is not known it says what is left better than one number.
    """

    remaining_s: float
    site: str = ""
    running: bool = False
    done_s: float = 0.0


class Refusal(msgspec.Struct, frozen=True):
    """One limit that keeps a workload from a site; `relax` is the smallest change that lifts it, `size` how big."""

    limit: str
    reason: str
    relax: str
    size: float = 0.0


def check_signals(candidates: Sequence[Candidate]) -> None:
    """One kind of carbon signal for all, and none that cannot be true."""
    if not candidates:
        raise InvalidInput("there is no site to choose from", field="candidates", hint="helio sites lists the fleet")
    first = candidates[0].carbon
    for candidate in candidates:
        signal = candidate.carbon
        if signal.kind.quantity is not Quantity.CARBON:
            raise SignalMismatch("a carbon signal is needed here", field=signal.zone, found=str(signal.kind))
        first.same_kind(signal)
        if signal.kind.basis is Basis.AVERAGE and len(signal.values) and float(signal.values.min()) < 0:
            raise InvalidInput(
                "an average carbon intensity is negative",
                field=signal.zone,
                found=float(signal.values.min()),
                allowed="0 or more g/kWh",
            )
        for start, end in candidate.busy:
            if not start < end:
                raise InvalidInput(
                    "a busy span must end after it starts", field=candidate.site.name, found=f"{start} to {end}"
                )
        if candidate.price is not None and candidate.price.kind.quantity is not Quantity.PRICE:
            raise SignalMismatch("a price signal is needed here", field=signal.zone, found=str(candidate.price.kind))


def unit_slip(signal: Signal) -> str | None:
    """A series that is probably in another unit than it says: kg or mg where g is declared."""
    if not len(signal.values) or signal.kind.basis is not Basis.AVERAGE:
        return None
    mean = float(signal.values.sum()) / len(signal.values)
    least = _PLAUSIBLE[0] if signal.kind.scope is Scope.LIFECYCLE else 0.0
    if mean == 0 or least <= mean <= _PLAUSIBLE[1]:
        return None
    return f"its mean is {mean:.3g} g/kWh, which no grid has: is it in another unit?"


def power_w(workload: Workload, candidate: Candidate) -> tuple[float, bool]:
    """IT watts at width 1, and whether anybody said so: the caller, the work, the site's devices, in that order."""
    if candidate.power_w > 0:
        return candidate.power_w, True
    if workload.resources.power_w is not None:
        return workload.resources.power_w, True
    fitting = [d for d in candidate.site.devices if workload.resources.device_kind in {None, d.kind}]
    if fitting and workload.resources.devices:
        return workload.resources.devices * max(d.max_w for d in fitting), True
    return ASSUMED_POWER_W, False


def refusals(
    workload: Workload, candidate: Candidate, watts: float, latency: Latency, ready: Progress | None
) -> list[Refusal]:
    """Every limit but time; empty where the site is admissible."""
    site = candidate.site
    found = []
    if workload.sites and site.name not in workload.sites:
        found.append(Refusal("sites", "not among the allowed sites", f"allow {site.name}"))
    for data in workload.data:
        if data.jurisdictions and not {site.jurisdiction, site.country} & set(data.jurisdictions):
            allowed = ", ".join(data.jurisdictions)
            found.append(
                Refusal(
                    "jurisdiction",
                    f"{data.name} may not leave {allowed}; {site.name} is under {site.jurisdiction or 'unknown'} law",
                    f"let {data.name} go to {site.jurisdiction or site.name}",
                )
            )
    if workload.latency is not None:
        found += _too_far(workload.latency.to, workload.latency.limit_ms, site.name, latency)
    needed = max(1, workload.resources.devices)
    if needed > site.capacity:
        found.append(
            Refusal("capacity", f"needs {needed} of {site.capacity}", f"ask for {site.capacity} at {site.name}")
        )
    kind = workload.resources.device_kind
    if kind is not None and all(device.kind != kind for device in site.devices):
        found.append(Refusal("device kind", f"has no {kind}", f"give {site.name} a {kind}, or ask for no kind"))
    if site.power_cap_w is not None and watts > site.power_cap_w:
        found.append(
            Refusal(
                "power", f"needs {watts:.0f} W under a cap of {site.power_cap_w:.0f} W", f"raise the cap of {site.name}"
            )
        )
    if ready is not None and ready.site and ready.site != site.name and not workload.flexibility.movable:
        found.append(Refusal("movable", f"its state lies at {ready.site} and it cannot move", "let it move"))
    return found


def _too_far(to: str, limit_ms: float, name: str, latency: Latency) -> list[Refusal]:
    found = latency(to, name)
    if found is None:
        return [Refusal("latency", f"no link to {to} is known", f"write down the link between {to} and {name}")]
    if found > limit_ms:
        return [
            Refusal(
                "latency",
                f"{found:g} ms from {to}, the limit is {limit_ms:g} ms",
                f"allow {found:g} ms to {to}",
                found - limit_ms,
            )
        ]
    return []


def linked(candidates: Sequence[Candidate]) -> Latency:
    """Latency as the candidates' own links say, for callers that give no other."""

    def latency(a: str, b: str) -> float | None:
        if a == b:
            return 0.0
        found = _link(candidates, a, b)
        return None if found is None else found.latency_ms

    return latency


class Transfer(msgspec.Struct, frozen=True):
    """Getting data and state to a site: seconds, joules in the network, bytes, whether a link had to be assumed."""

    seconds: float = 0.0
    energy_j: float = 0.0
    assumed: bool = False
    size_bytes: int = 0


def transfer(
    workload: Workload, site: Site, candidates: Sequence[Candidate], home: str, ready: Progress | None
) -> Transfer:
    """Everything not already there comes over its own link, at the same time; J = bits · W/bps."""
    origin = ready.site if ready is not None and ready.site else home
    loads = [(data.held_at, data.size_bytes) for data in workload.data if data.held_at]
    loads.append((origin, workload.flexibility.move_bytes))
    seconds, energy_j, assumed, moved = 0.0, 0.0, False, 0
    for source, size_bytes in loads:
        if not source or source == site.name or not size_bytes:
            continue
        link = _link(candidates, source, site.name)
        assumed |= link is None
        link = link or Link(site.name, 0.0)
        seconds = max(seconds, size_bytes * 8 / link.bandwidth_bps)
        energy_j += size_bytes * 8 * link.power_w_per_bps
        moved += size_bytes
    return Transfer(seconds, energy_j, assumed, moved)


def _link(candidates: Sequence[Candidate], a: str, b: str) -> Link | None:
    for here, there in ((a, b), (b, a)):
        for candidate in candidates:
            if candidate.site.name == here:
                for link in candidate.site.links:
                    if link.to == there:
                        return link
    return None
