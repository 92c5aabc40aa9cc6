"""Who may run now and who has to leave, from who runs, who waits, who owns and who used how much. Pure.

1. *Own* work comes first: of each organisation's unfinished work in the order of its coming, as much as fits into what
   it owns. Nobody who lends can therefore start anything later than it would have alone (but for the grace that a
   borrower gets to save its state).
2. What owners leave idle is *lent*, to work that can pause, least used first. Reserved organisations come before all
   others until they have their reserve.
3. Whoever borrows leaves when the owner wants it back: the most used, and the youngest of its work, first.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from heliotrope.fleet.shares import Organisation, Quota, Sharing
from heliotrope.plan.share.standing import Standing, dominant, total


class Pool(msgspec.Struct, frozen=True):
    """A site at this moment. `power_w` None: no limit."""

    site: str
    devices: int
    power_w: float | None = None


class Ask(msgspec.Struct, frozen=True):
    """Work that runs, or whose time has come. `energy_j`, `carbon_g`: expected of all of it, for quotas."""

    id: str
    organisation: str
    site: str
    devices: int
    since_s: float
    running: bool = False
    pausable: bool = False
    project: str = ""
    power_w: float = 0.0
    energy_j: float = 0.0
    carbon_g: float = 0.0


class Turns(msgspec.Struct, frozen=True):
    """`run`: may run or go on. `leave`: has to save its state and go. `why`: of everyone who neither runs nor may.

    `lent_by`: for each borrower that runs, the share of it that each lender gave.
    """

    run: frozenset[str]
    leave: frozenset[str]
    own: frozenset[str]
    lent_by: dict[str, dict[str, float]]
    why: dict[str, str]


class _Room:
    """What is left of a pool, as devices and watts."""

    def __init__(self, devices: float, power_w: float | None) -> None:
        self.devices = devices
        self.power_w = power_w

    def fits(self, ask: Ask) -> bool:
        return ask.devices <= self.devices + 1e-9 and (self.power_w is None or ask.power_w <= self.power_w + 1e-9)

    def take(self, ask: Ask, sign: int = 1) -> None:
        self.devices -= sign * ask.devices
        if self.power_w is not None:
            self.power_w -= sign * ask.power_w


def turns(
    pools: Sequence[Pool], asks: Iterable[Ask], sharing: Sharing, standing: Mapping[str, Standing] | None = None
) -> Turns:
    standing = dict(standing or {})
    ordered = sorted(asks, key=lambda ask: (ask.since_s, ask.id))
    why: dict[str, str] = {}
    allowed = _within_quota(ordered, sharing, standing, why)
    run: set[str] = set()
    leave: set[str] = set()
    own: set[str] = set()
    lent: dict[str, dict[str, float]] = {}
    at: defaultdict[str, list[Ask]] = defaultdict(list)
    for ask in allowed:
        at[ask.site].append(ask)
    for pool in pools:
        here = at[pool.site]
        mine = _own(pool, here, sharing)
        own |= {ask.id for ask in mine}
        _one_pool(pool, here, mine, sharing, standing, run, leave, lent, why)
    return Turns(frozenset(run), frozenset(leave), frozenset(own), lent, why)


def _within_quota(
    asks: list[Ask], sharing: Sharing, standing: Mapping[str, Standing], why: dict[str, str]
) -> list[Ask]:
    """Running work was let in under its quota and stays; the rest comes in as long as no limit is crossed."""
    devices: defaultdict[str, int] = defaultdict(int)
    spent: dict[str, Standing] = {}
    allowed = []
    for ask in sorted(asks, key=lambda ask: not ask.running):
        crossed = ""
        for name, quota in _quotas(ask, sharing):
            today = spent.setdefault(name, _today(standing.get(name)))
            if quota.devices is not None and devices[name] + ask.devices > quota.devices:
                crossed = f"{name} may use {quota.devices} devices at once"
            elif quota.energy_j_per_day is not None and today.day_j + ask.energy_j > quota.energy_j_per_day:
                crossed = f"{name} may use {quota.energy_j_per_day / 3.6e6:.6g} kWh in 24 h"
            elif quota.carbon_g_per_day is not None and today.day_g + ask.carbon_g > quota.carbon_g_per_day:
                crossed = f"{name} may emit {quota.carbon_g_per_day:.6g} g in 24 h"
        if crossed and not ask.running:
            why[ask.id] = crossed
            continue
        for name, _quota in _quotas(ask, sharing):
            devices[name] += ask.devices
            spent[name].day_j += ask.energy_j
            spent[name].day_g += ask.carbon_g
        allowed.append(ask)
    return sorted(allowed, key=lambda ask: (ask.since_s, ask.id))


def _today(standing: Standing | None) -> Standing:
    return Standing(day_j=standing.day_j, day_g=standing.day_g) if standing else Standing()


def _quotas(ask: Ask, sharing: Sharing) -> list[tuple[str, Quota]]:
    organisation = sharing.organisation(ask.organisation)
    found = [(ask.organisation, organisation.quota)]
    found += [(f"{ask.organisation}/{p.name}", p.quota) for p in organisation.projects if p.name == ask.project]
    return found


def _own(pool: Pool, asks: list[Ask], sharing: Sharing) -> list[Ask]:
    """Of each organisation, in the order of coming, what fits into its part; the first that does not ends it."""
    owners = _owned(pool, sharing)
    found = []
    full: set[str] = set()
    for ask in asks:
        room = owners.get(ask.organisation)
        if room is None or ask.organisation in full:
            continue
        if room.fits(ask):
            room.take(ask)
            found.append(ask)
        else:
            full.add(ask.organisation)
    return found


def _owned(pool: Pool, sharing: Sharing) -> dict[str, _Room]:
    """Whole devices: a part of one cannot be used. What nobody owns is everybody's to borrow."""
    return {
        o.name: _Room(
            int(o.owns[pool.site] * pool.devices + 1e-9),
            None if pool.power_w is None else o.owns[pool.site] * pool.power_w,
        )
        for o in sharing.organisations
        if pool.site in o.owns
    }


def _one_pool(
    pool: Pool,
    asks: list[Ask],
    mine: list[Ask],
    sharing: Sharing,
    standing: dict[str, Standing],
    run: set[str],
    leave: set[str],
    lent: dict[str, dict[str, float]],
    why: dict[str, str],
) -> None:
    room = _Room(pool.devices, pool.power_w)
    for ask in mine:
        room.take(ask)
    idle = _idle(pool, mine, sharing)
    own = {ask.id for ask in mine}
    borrowers = [ask for ask in asks if ask.id not in own]
    for ask in _by_turn(pool, borrowers, sharing, standing):
        lenders = _lenders(ask, idle, sharing)
        if lenders is None or not room.fits(ask):
            why[ask.id] = _refusal(pool, ask, idle, full=not room.fits(ask))
            if ask.running:
                leave.add(ask.id)
            continue
        room.take(ask)
        for name, devices in lenders.items():
            idle[name] -= devices
        run.add(ask.id)
        lent[ask.id] = {name: n / ask.devices for name, n in lenders.items() if name and ask.devices}
    # Who has to leave still holds its devices until it has saved its state: owners wait for that, and only that.
    held = _Room(pool.devices, pool.power_w)
    for ask in asks:
        if ask.running:
            held.take(ask)
    for ask in sorted((a for a in asks if a.id in own or a.id in run), key=lambda a: (not a.running, a.id not in own)):
        if ask.running:
            run.add(ask.id)
        elif held.fits(ask):
            held.take(ask)
            run.add(ask.id)
        else:
            run.discard(ask.id)
            lent.pop(ask.id, None)
            why[ask.id] = f"{pool.site}: waits for another to save its state and leave"


def _idle(pool: Pool, mine: list[Ask], sharing: Sharing) -> dict[str, float]:
    """Devices each owner leaves idle and lends; under the name "" what nobody owns."""
    left = {name: room.devices for name, room in _owned(pool, sharing).items()}
    common = pool.devices - sum(left.values())
    for ask in mine:
        left[ask.organisation] -= ask.devices
    return {"": common} | {name: float(int(sharing.organisation(name).lends * n + 1e-9)) for name, n in left.items()}


def _refusal(pool: Pool, ask: Ask, idle: Mapping[str, float], *, full: bool) -> str:
    if full:
        return f"{pool.site} is full"
    if not ask.pausable and sum(idle.values()) >= ask.devices:
        return f"{pool.site}: only work that can pause may borrow what belongs to another"
    return f"nobody at {pool.site} lends {ask.devices} to {ask.organisation} now"


def _lenders(ask: Ask, idle: Mapping[str, float], sharing: Sharing) -> dict[str, float] | None:
    """Who gives how many devices: what nobody owns first, then its own idle rest, then others. None: too few.

    What cannot pause gets only what nobody owns: nobody may have to wait until it is done.
    """
    needed = float(ask.devices)
    found: dict[str, float] = {}
    for name in sorted(idle, key=lambda name: (name != "", name != ask.organisation, -idle[name], name)):
        lends = not name or (
            ask.pausable and (name == ask.organisation or sharing.organisation(name).lends_to(ask.organisation))
        )
        if lends and needed > 0 and idle[name] > 0:
            found[name] = min(needed, idle[name])
            needed -= found[name]
    return found if needed <= 0 else None


def _by_turn(pool: Pool, asks: list[Ask], sharing: Sharing, standing: Mapping[str, Standing]) -> Iterable[Ask]:
    """Who runs goes on; then reserved ones within their reserve, then the least used. Each counts as used at once.

    `asks` come in the order of their coming, and an organisation's own keep it: only the heads are compared.
    """
    now = {ask.organisation: _copy(standing.get(ask.organisation)) for ask in asks}
    members = {name: sharing.organisation(name) for name in now}
    whole = total(dict(standing))
    for ask in asks:
        whole.add(ask.energy_j, ask.carbon_g)
    reserve = sharing.reserve * pool.devices
    for running in (True, False):
        queues: dict[str, deque[Ask]] = {}
        for ask in asks:
            if ask.running is running:
                queues.setdefault(ask.organisation, deque()).append(ask)
        while queues:
            name = min(queues, key=lambda name: _key(members[name], queues[name][0], now[name], whole, reserve))
            chosen = queues[name].popleft()
            if not queues[name]:
                del queues[name]
            now[name].add(chosen.energy_j, chosen.carbon_g)
            if members[name].reserved:
                reserve -= chosen.devices
            yield chosen


def _key(
    organisation: Organisation, ask: Ask, now: Standing, whole: Standing, reserve: float
) -> tuple[bool, float, float, str]:
    first = organisation.reserved and ask.devices <= reserve
    return (not first, dominant(organisation, now, whole), ask.since_s, ask.id)


def _copy(standing: Standing | None) -> Standing:
    return msgspec.structs.replace(standing) if standing else Standing()
