"""Requests to sites: who may answer whom, what a request costs there, and what the scarce capacity is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from heliotrope.errors import Infeasible, InvalidInput
from heliotrope.model import Signal, Site, Tier
from heliotrope.plan.routing.transport import Flow, Transport
from heliotrope.units import J_PER_KWH, show_carbon

Latency = Callable[[str, str], float | None]
# Milliseconds by which a nearer site wins where grams are equal, as grams: far below any real difference.
_TIE_G_PER_MS = 1e-15


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request takes on a tier: IT joules, and seconds of one device."""

    energy_j: float
    device_s: float


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of like requests. `per_s`: how many; `answers`: the tiers that are good enough for it.

    `origin`: where they come from, a site's name; `jurisdictions` empty: their content may go anywhere.
    """

    name: str
    origin: str
    per_s: float
    answers: dict[Tier, Answer]
    limit_ms: float = float("inf")
    jurisdictions: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True):
    """A site, its intensity at this moment (g/kWh) and how many of its devices are free for requests."""

    site: Site
    intensity_g_per_kwh: float
    devices: float

    @classmethod
    def now(cls, site: Site, carbon: Signal, at_s: float, devices: float | None = None) -> Target:
        return cls(site, carbon.at(at_s), float(site.capacity) if devices is None else devices)


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`share` of a class's requests goes to `site`; `g_per_request` there, `reason` why not all go to the cleanest."""

    requests: str
    site: str
    share: float
    per_s: float
    g_per_request: float
    reason: str = ""


class Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`g_per_s`: of all; `nearest_g_per_s`: had each gone to its nearest admissible site, room or not.

    `scarcity`: by site, grams a second that one more device there would save; only those above 0.
    """

    routes: tuple[Route, ...]
    g_per_s: float
    nearest_g_per_s: float
    scarcity: dict[str, float]


def route(classes: Sequence[Requests], targets: Sequence[Target], latency_ms: Latency) -> Routes:
    """Once; a gateway that asks again every few seconds keeps a `Router`."""
    return Router(latency_ms).routes(classes, targets)


class Router:
    """Keeps the last solution: as intensities, rates and capacities move, the next is found in milliseconds."""

    def __init__(self, latency_ms: Latency) -> None:
        self._latency_ms = latency_ms
        self._transport = Transport()
        self._who: tuple[object, ...] = ()
        self._ms = np.zeros((0, 0))
        self._energy_j = np.zeros((0, 0))
        self._device_s = np.zeros((0, 0))

    def routes(self, classes: Sequence[Requests], targets: Sequence[Target]) -> Routes:
        """Least carbon; of equals, the nearest. Raises Infeasible, naming who cannot be answered and what would do."""
        _check(classes, targets)
        self._learn(classes, targets)
        per_joule = np.array([t.intensity_g_per_kwh * t.site.cooling.pue / J_PER_KWH for t in targets])
        grams = self._energy_j * per_joule
        unreachable = np.flatnonzero(~np.isfinite(grams).any(axis=1))
        if len(unreachable):
            raise self._unreachable(classes[int(unreachable[0])], targets)
        near = np.where(np.isfinite(grams), self._ms, np.inf)
        cost = grams + np.where(np.isfinite(near), near, 0.0) * _TIE_G_PER_MS
        demand = np.array([c.per_s for c in classes])
        capacity = np.array([t.devices for t in targets])
        flow = self._transport.solve(cost, self._device_s, demand, capacity)
        if float(flow.unserved.sum()) > 1e-9 * max(1.0, float(demand.sum())):
            raise self._short(classes, targets, flow)
        nearest = near.argmin(axis=1)
        every = np.arange(len(classes))
        return Routes(
            self._told(classes, targets, grams, flow),
            float((grams[flow.rows, flow.columns] * flow.amount).sum()),
            float((grams[every, nearest] * demand).sum()),
            {
                target.site.name: float(value)
                for target, value in zip(targets, flow.scarcity, strict=True)
                if value > 1e-12
            },
        )

    def _learn(self, classes: Sequence[Requests], targets: Sequence[Target]) -> None:
        """What depends on who asks and who answers, not on the moment."""
        who = (
            tuple((c.name, c.origin, c.limit_ms, c.jurisdictions, tuple(c.answers.items())) for c in classes),
            tuple((t.site.name, t.site.tier, t.site.jurisdiction, t.site.country) for t in targets),
        )
        if who == self._who:
            return
        shape = len(classes), len(targets)
        self._ms, self._energy_j, self._device_s = np.full(shape, np.inf), np.full(shape, np.inf), np.zeros(shape)
        for r, asks in enumerate(classes):
            for s, target in enumerate(targets):
                refusal, far_ms = _refused(asks, target.site, self._latency_ms)
                if refusal is None:
                    answer = asks.answers[target.site.tier]
                    self._ms[r, s], self._energy_j[r, s], self._device_s[r, s] = (
                        far_ms,
                        answer.energy_j,
                        answer.device_s,
                    )
        self._who = who

    def _told(
        self, classes: Sequence[Requests], targets: Sequence[Target], grams: np.ndarray, flow: Flow
    ) -> tuple[Route, ...]:
        found = []
        cleanest = grams.argmin(axis=1)
        for r, s, amount in zip(flow.rows.tolist(), flow.columns.tolist(), flow.amount.tolist(), strict=True):
            best = int(cleanest[r])
            reason = ""
            if grams[r, s] > grams[r, best] * (1 + 1e-9):
                full, more_g = targets[best].site.name, float(grams[r, s] - grams[r, best])
                reason = f"{full} is full; a request here takes {show_carbon(more_g)} more"
            found.append(
                Route(
                    classes[r].name,
                    targets[s].site.name,
                    amount / classes[r].per_s,
                    amount,
                    float(grams[r, s]),
                    reason,
                )
            )
        return tuple(sorted(found, key=lambda route: (route.requests, -route.share, route.site)))

    def _unreachable(self, asks: Requests, targets: Sequence[Target]) -> Infeasible:
        reasons = {t.site.name: _refused(asks, t.site, self._latency_ms) for t in targets}
        cause = "; ".join(f"{name}: {refusal}" for name, (refusal, _) in reasons.items())
        too_far = [(ms, name) for name, (refusal, ms) in reasons.items() if refusal and np.isfinite(ms)]
        hint = f"allow {min(too_far)[0]:g} ms to {min(too_far)[1]}" if too_far else "let it be answered elsewhere"
        return Infeasible(f"no site may answer {asks.name}", cause=cause, hint=f"{hint} would do")

    def _short(self, classes: Sequence[Requests], targets: Sequence[Target], flow: Flow) -> Infeasible:
        missing = {c.name: float(u) for c, u in zip(classes, flow.unserved, strict=True) if u > 1e-9}
        least_s = np.where(np.isfinite(self._energy_j), self._device_s, np.inf).min(axis=1)
        devices = float((flow.unserved * least_s).sum())
        names = ", ".join(f"{name} {rate:.3g}/s" for name, rate in missing.items())
        full = ", ".join(t.site.name for t, value in zip(targets, flow.scarcity, strict=True) if value > 0)
        return Infeasible(
            "the sites cannot answer every request",
            cause=f"left over: {names}; full: {full}",
            hint=f"{devices:.3g} more devices where these may go would do, or fewer requests",
        )


def _refused(asks: Requests, site: Site, latency_ms: Latency) -> tuple[str | None, float]:
    """Why `site` may not answer, or None; and how far it is, infinite unless latency is all that is in the way."""
    if asks.jurisdictions and not {site.jurisdiction, site.country} & set(asks.jurisdictions):
        return f"under {site.jurisdiction or 'unknown'} law", np.inf
    if site.tier not in asks.answers:
        return f"{site.tier} is not good enough", np.inf
    far_ms = 0.0 if asks.origin == site.name else latency_ms(asks.origin, site.name)
    if far_ms is None:
        return f"no link to {asks.origin} is known", np.inf
    if far_ms > asks.limit_ms:
        return f"{far_ms:g} ms away, the limit is {asks.limit_ms:g} ms", far_ms
    return None, far_ms


def _check(classes: Sequence[Requests], targets: Sequence[Target]) -> None:
    if not targets:
        raise InvalidInput("there is no site to answer", field="targets", hint="helio sites lists the fleet")
    for asks in classes:
        if not asks.per_s > 0:
            raise InvalidInput(
                "a class needs requests", field=f"{asks.name}.per_s", found=asks.per_s, allowed="above 0"
            )
        for tier, answer in asks.answers.items():
            if answer.energy_j < 0 or answer.device_s < 0:
                raise InvalidInput("an answer cannot take less than nothing", field=f"{asks.name}.{tier}")
    for target in targets:
        if not (np.isfinite(target.intensity_g_per_kwh) and target.devices >= 0):
            raise InvalidInput(
                "a site needs an intensity and 0 or more devices",
                field=target.site.name,
                found=f"{target.intensity_g_per_kwh} g/kWh, {target.devices} devices",
            )
