"""Checks a joint plan as a stranger would: every limit from the slots alone, the grams anew, the bound from its prices.

Shares no code with the planner: limits are swept over exact times, prices are answered by trying every breakpoint,
or by sorting all seconds of the window where a job may pause.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from heliotrope.errors import InvalidInput
from heliotrope.plan.kernels.shapes import Batch, Curves
from heliotrope.units import J_PER_KWH

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CLOCK_S = 1e-3  # clocks that went through decimal text come back a little off
CHUNK = 4096


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`price[z][k]`: grams a device-second costs in `zones[z]` over step k of `step_s` since the grid's start."""

    zones: tuple[str, ...]
    step_s: float
    price: tuple[tuple[float, ...], ...]
    carbon_g: float
    bound_g: float


class Held(msgspec.Struct, frozen=True, eq=False):
    """Slots as read: `job` is the row of the jobs file; times on the grid's clock."""

    job: Ints
    zone: Ints
    start_s: Floats
    end_s: Floats
    width: Floats


class Verdict(msgspec.Struct, frozen=True):
    """`faults`: one line for each kind of limit that is broken, with an example; empty where the plan holds."""

    jobs: int
    slots: int
    carbon_g: float
    bound_g: float | None
    gap: float | None
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.faults


def verify(
    batch: Batch, curves: Curves, capacity: Sequence[float], held: Held, certificate: Certificate | None = None
) -> Verdict:
    """Carbon is recomputed; a stated carbon or bound that differs is a fault like any other."""
    faults = _window_faults(batch, held) + _zone_faults(batch, curves, held) + _room_faults(curves, capacity, held)
    carbon_g = float((batch.power_w[held.job] / J_PER_KWH * _area(curves, held)).sum())
    bound_g = None
    if certificate is not None:
        bound_g = bound(batch, curves, capacity, certificate)
        if abs(certificate.carbon_g - carbon_g) > 1e-6 * max(1.0, abs(carbon_g)):
            faults.append(f"the plan states {certificate.carbon_g:.6g} g, its slots come to {carbon_g:.6g} g")
        if certificate.bound_g > bound_g + 1e-6 * max(1.0, abs(bound_g)):
            faults.append(f"the plan states a bound of {certificate.bound_g:.6g} g, its prices give {bound_g:.6g} g")
        if carbon_g < bound_g - 1e-6 * max(1.0, abs(bound_g)) and not faults:
            faults.append(f"the slots come to {carbon_g:.6g} g, less than the bound of {bound_g:.6g} g")
    gap = (carbon_g - bound_g) / bound_g if bound_g else None
    return Verdict(len(batch), len(held.job), carbon_g, bound_g, gap, tuple(faults))


def _area(curves: Curves, held: Held) -> Floats:
    """(g/kWh)·s under each slot."""
    edges = np.arange(curves.area.shape[1]) * curves.step_s
    out = np.empty(len(held.job))
    for z in range(len(curves.zones)):
        here = held.zone == z
        out[here] = np.interp(held.end_s[here], edges, curves.area[z]) - np.interp(
            held.start_s[here], edges, curves.area[z]
        )
    return out


def _window_faults(batch: Batch, held: Held) -> list[str]:
    """Every job runs its whole length, neither before it was submitted nor after its deadline, nor twice at once.

    In one piece, unless it may pause; in one zone, unless it may move.
    """
    if len(held.job) and (held.job.min() < 0 or held.job.max() >= len(batch)):
        raise InvalidInput("a slot of a job that is not in the jobs file", field="job", found=int(held.job.max()))
    faults: list[str] = []
    times = np.bincount(held.job, minlength=len(batch))
    run_s = np.bincount(held.job, weights=held.end_s - held.start_s, minlength=len(batch))
    _note(faults, times == 0, "jobs have no slot")
    _note(faults, (times > 1) & (batch.pausable == 0), "jobs have more than one slot and may not pause")
    deadline = batch.submitted_s + batch.length_s + batch.slack_s
    short = (times > 0) & (np.abs(run_s - batch.length_s) > CLOCK_S * times)
    _note(faults, short, "jobs have slots that are not as long as their work")
    _note(faults, held.end_s < held.start_s, "slots end before they start")
    _note(faults, held.start_s < batch.submitted_s[held.job] - CLOCK_S, "slots start before their job was submitted")
    _note(faults, held.end_s > deadline[held.job] + CLOCK_S, "slots end after their deadline")
    _note(faults, held.width < batch.devices[held.job] * (1 - 1e-9), "slots hold fewer devices than their job needs")
    order = np.lexsort((held.start_s, held.job))
    job, zone = held.job[order], held.zone[order]
    again = job[1:] == job[:-1]
    twice, away = np.zeros((2, len(held.job)), dtype=bool)
    twice[order[1:]] = again & (held.start_s[order][1:] < held.end_s[order][:-1] - CLOCK_S)
    away[order[1:]] = again & (zone[1:] != zone[:-1]) & (batch.movable[job[1:]] == 0)
    _note(faults, twice, "slots begin before their job's last one has ended")
    _note(faults, away, "slots lie in another zone than their job's last one, and it may not move")
    return faults


def _zone_faults(batch: Batch, curves: Curves, held: Held) -> list[str]:
    faults: list[str] = []
    allowed = np.zeros((len(batch.sets_ptr) - 1, len(curves.zones)), dtype=bool)
    for place in range(len(allowed)):
        allowed[place, batch.sets[batch.sets_ptr[place] : batch.sets_ptr[place + 1]]] = True
    _note(faults, ~allowed[batch.places[held.job], held.zone], "slots lie in a zone their job may not use")
    return faults


def _room_faults(curves: Curves, capacity: Sequence[float], held: Held) -> list[str]:
    """Devices in use at every instant: ends before starts at the same moment."""
    faults = []
    for z, name in enumerate(curves.zones):
        here = held.zone == z
        # Clocks are put on whole milliseconds, so that a slot that follows another does not overlap it by a rounding.
        times = np.rint(np.concatenate([held.end_s[here], held.start_s[here]]) / CLOCK_S)
        change = np.concatenate([-held.width[here], held.width[here]])
        order = np.lexsort((change, times))
        used = np.cumsum(change[order])
        over = np.flatnonzero(used > capacity[z] * (1 + 1e-9) + 1e-6)
        if len(over):
            at = float(times[order][over[0]]) * CLOCK_S
            faults.append(f"{name}: {used[over[0]]:g} devices in use at {at:.0f} s, there are {capacity[z]:g}")
    return faults


def _note(faults: list[str], broken: npt.NDArray[np.bool_], what: str) -> None:
    rows = np.flatnonzero(broken)
    if len(rows):
        faults.append(f"{len(rows)} {what}, first row {rows[0]}")


def bound(batch: Batch, curves: Curves, capacity: Sequence[float], certificate: Certificate) -> float:
    """Σ over jobs of the least grams plus price, less the prices of all room. Refuses prices below 0."""
    price = np.array(certificate.price, dtype=np.float64)
    if certificate.zones != curves.zones or price.shape[0] != len(curves.zones):
        raise InvalidInput("the certificate is of other zones", field="zones", found=", ".join(certificate.zones))
    if not (np.isfinite(price).all() and (price >= 0).all()):
        raise InvalidInput("a price is below 0 or no number", field="price", allowed="0 or more")
    step = certificate.step_s
    steps = price.shape[1]
    if abs(steps * step - curves.end_s) > CLOCK_S:
        raise InvalidInput(
            "the prices do not cover the grid", field="price", found=steps * step, allowed=str(curves.end_s)
        )
    priced = np.concatenate([np.zeros((len(price), 1)), np.cumsum(price * step, axis=1)], axis=1)
    edges = np.arange(curves.area.shape[1]) * curves.step_s
    area = np.stack([np.interp(np.arange(steps + 1) * step, edges, row) for row in curves.area])
    whole, total = batch.take(batch.pausable == 0), 0.0
    for begin in range(0, len(whole), CHUNK):
        total += float(_answers(whole, slice(begin, begin + CHUNK), area, priced, step).sum())
    pausing = batch.take(batch.pausable != 0)
    total += sum(_in_pieces(pausing, j, area, priced, step) for j in range(len(pausing)))
    return total - float((np.array(capacity) * price.sum(axis=1)).sum()) * step


def _answers(batch: Batch, rows: slice, area: Floats, priced: Floats, step: float) -> Floats:
    """The least over every start at an edge, every end at an edge, and both ends of the window."""
    release, length, slack = batch.submitted_s[rows], batch.length_s[rows], np.maximum(batch.slack_s[rows], 0.0)
    grams, width, places = batch.power_w[rows] / J_PER_KWH, batch.devices[rows], batch.places[rows]
    latest = release + slack
    tries = int(np.ceil(slack.max() / step)) + 2
    best = np.full(len(release), np.inf)
    first = np.floor(release / step)
    first_end = np.floor((release + length) / step)
    allowed = [set(batch.sets[a:b].tolist()) for a, b in zip(batch.sets_ptr[:-1], batch.sets_ptr[1:], strict=True)]
    for z in range(len(area)):
        here = np.array([z in zones for zones in allowed])[places]
        if not here.any():
            continue
        for offset in range(tries):
            for starts in ((first + offset) * step, (first_end + offset) * step - length):
                start = np.clip(starts, release, latest)[here]
                end = start + length[here]
                cost = grams[here] * (_at(area[z], end / step) - _at(area[z], start / step))
                cost += width[here] * (_at(priced[z], end / step) - _at(priced[z], start / step))
                best[here] = np.minimum(best[here], cost)
    return best


def _in_pieces(batch: Batch, j: int, area: Floats, priced: Floats, step: float) -> float:
    """The cheapest seconds of job j's window, all in one zone or, if it may move, wherever they are cheapest."""
    release, length = batch.submitted_s[j], batch.length_s[j]
    due = release + length + max(batch.slack_s[j], 0.0)
    edges = np.arange(area.shape[1]) * step
    inside = np.clip(edges, release, due)
    sizes = np.diff(inside)
    touched = np.flatnonzero(sizes > 0)
    zones = batch.sets[batch.sets_ptr[batch.places[j]] : batch.sets_ptr[batch.places[j] + 1]]
    paid = batch.power_w[j] / J_PER_KWH * np.diff(area[zones]) + batch.devices[j] * np.diff(priced[zones])
    rates = paid[:, touched] / step
    if batch.movable[j]:
        rates = rates.min(axis=0, keepdims=True)
    order = np.argsort(rates, axis=1)
    before = np.cumsum(sizes[touched][order], axis=1) - sizes[touched][order]
    used = np.clip(length - before, 0.0, sizes[touched][order])
    return float((np.take_along_axis(rates, order, axis=1) * used).sum(axis=1).min())


def _at(curve: Floats, position: Floats) -> Floats:
    """Linear between the points of a curve, at fractional indices."""
    low = np.clip(position.astype(np.int64), 0, len(curve) - 2)
    value: Floats = curve[low] + (position - low) * (curve[low + 1] - curve[low])
    return value
