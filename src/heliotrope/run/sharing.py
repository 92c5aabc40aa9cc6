"""Whose turn it is at each site, from what is live in a home: the rule is plan's, here it meets runs and the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from heliotrope.fleet import Fleet
from heliotrope.fleet.shares import Organisation, Sharing
from heliotrope.model import Plan, Run, RunState, Site, Workload
from heliotrope.plan.share import Ask, Pool, Standing, Turns, Use, dominant, standings, total, turns
from heliotrope.run.clock import Clock
from heliotrope.run.lifecycle import Turn
from heliotrope.store import Store, Transaction, runs, shares
from heliotrope.units import epoch_s

HOLDS = frozenset({RunState.STARTING, RunState.RUNNING, RunState.RESUMING, RunState.PAUSING, RunState.CANCELLING})


class Case(msgspec.Struct, frozen=True):
    """Everything that is known of a run that is not over. `now_s`: on its own clock."""

    run: Run
    workload: Workload
    plan: Plan
    clock: Clock
    fleet: Fleet
    cancel_s: float | None
    now_s: float

    @property
    def slot_number(self) -> int:
        return min(self.run.slot, len(self.plan.slots) - 1)


def cases(tx: Transaction) -> list[Case]:
    """Of everything in the home that is not over."""
    return [_case(tx, run) for run in runs.live(tx)]


def _case(tx: Transaction, run: Run) -> Case:
    workload, plan = runs.workload(tx, run.workload), runs.newest_plan(tx, run.workload)
    clock = Clock(*runs.clock(tx, run.workload))
    fleet = Fleet(runs.sites(tx, run.workload), home=runs.home(tx, run.workload))
    assert workload is not None
    assert plan is not None
    return Case(run, workload, plan, clock, fleet, runs.cancel_wished_s(tx, run.workload), clock.now_s())


def decide(cases: Sequence[Case], fleet: Fleet, standing: dict[str, Standing]) -> Turns:
    asks = [ask for case in cases if (ask := _ask(case)) is not None]
    return turns(_pools(cases, fleet), asks, fleet.sharing, standing)


def turn_of(case: Case, said: Turns) -> Turn:
    if case.run.id in said.leave:
        return Turn.LEAVE
    return Turn.WAIT if case.run.id in said.why else Turn.GO


def standing(tx: Transaction, fleet: Fleet, cases: Sequence[Case]) -> dict[str, Standing]:
    """Of whatever ended in the last ten half-lives; before that a thousandth is left. Nobody's where nobody shares."""
    if not fleet.sharing.organisations:
        return {}
    now_s = max((case.now_s for case in cases), default=time.time())
    half_life_s = fleet.sharing.half_life_s
    uses = (_use(row) for row in shares.ended(tx, now_s - 10 * half_life_s))
    return standings(uses, now_s, half_life_s)


def _use(row: shares.Ended) -> Use:
    organisation, _, project = row.organisation.partition("/")
    return Use(organisation, row.ended_s, row.energy_j, row.carbon_g, project, row.lent_by)


def _ask(case: Case) -> Ask | None:
    """None where it neither holds room nor wants it yet."""
    run, slot = case.run, case.plan.slots[case.slot_number]
    holds = run.state in HOLDS
    if not holds and (case.now_s < epoch_s(slot.start) or case.cancel_s is not None):
        return None
    organisation, _, project = case.workload.organisation.partition("/")
    resources = case.workload.resources
    return Ask(
        id=run.id,
        organisation=organisation,
        site=run.site if run.handle else slot.site,
        devices=max(1, resources.devices) * slot.width,
        since_s=epoch_s(case.workload.submitted_at),
        running=holds,
        pausable=case.workload.flexibility.pausable,
        project=project,
        power_w=(resources.power_w or 0.0) * slot.width,
        energy_j=case.plan.expected.energy_j,
        carbon_g=case.plan.expected.carbon_g,
    )


def _pools(cases: Sequence[Case], fleet: Fleet) -> list[Pool]:
    """Sites as the fleet says now; one that it does not know any more as its work remembers it."""
    sites = {site.name: site for case in cases for site in case.fleet.sites}
    sites.update({site.name: site for site in fleet.sites})
    return [Pool(site.name, site.capacity, site.power_cap_w) for site in sites.values()]


def busy(
    live: Sequence[Case], workload: Workload, site: Site, sharing: Sharing, clock: Clock
) -> tuple[tuple[float, float], ...]:
    """Spans in which other work's plans leave too little of a site for one unit of this work.

    Who owns enough of the site looks at its own plans alone: borrowers make room. Work on another clock lives in
    another time, and is not looked at.
    """
    organisation = workload.organisation.partition("/")[0]
    needed = max(1, workload.resources.devices)
    room = int(sharing.organisation(organisation).owns.get(site.name, 0.0) * site.capacity + 1e-9)
    owner = room >= needed
    edges: Counter[float] = Counter()
    for case in live:
        other = case.workload
        if other.id == workload.id or case.clock != clock or case.cancel_s is not None:
            continue
        if owner and other.organisation.partition("/")[0] != organisation:
            continue
        for slot in case.plan.slots[case.slot_number :]:
            if slot.site == site.name:
                used = max(1, other.resources.devices) * slot.width
                edges[slot.start.timestamp()] += used
                edges[slot.end.timestamp()] -= used
    return _over(edges, (room if owner else site.capacity) - needed)


def _over(edges: Counter[float], limit: int) -> tuple[tuple[float, float], ...]:
    """Where the sum of what begins and ends is above the limit; spans that touch are one."""
    spans: list[tuple[float, float]] = []
    used, since = 0, None
    for at_s in sorted(edges):
        used += edges[at_s]
        if used > limit and since is None:
            since = at_s
        elif used <= limit and since is not None:
            spans.append((since, at_s))
            since = None
    return tuple(spans)


class Waiting(msgspec.Struct, frozen=True):
    run: str
    site: str
    devices: int
    why: str


class Member(msgspec.Struct, frozen=True):
    """An organisation as `helio share` shows it; J and g fade with age, `day_*` is of the last 24 h."""

    organisation: Organisation
    own: dict[str, int]
    borrowed: dict[str, int]
    lent: float
    waiting: tuple[Waiting, ...]
    standing: Standing


def members(store: Store, fleet: Fleet) -> list[Member]:
    """Everybody who owns, uses or waits; whoever has a turn next comes first."""
    with store.read() as tx:
        live = cases(tx)
        stands = standing(tx, fleet, live)
    said = decide(live, fleet, stands)
    asks = [ask for case in live if (ask := _ask(case)) is not None]
    whole = total(stands)
    names = {o.name for o in fleet.sharing.organisations} | {ask.organisation for ask in asks}
    names |= {name for name in stands if "/" not in name}
    found = [_member(fleet.sharing.organisation(name), asks, said, stands.get(name, Standing())) for name in names]
    return sorted(found, key=lambda m: (dominant(m.organisation, m.standing, whole), m.organisation.name))


def _member(organisation: Organisation, asks: list[Ask], said: Turns, standing: Standing) -> Member:
    own: Counter[str] = Counter()
    borrowed: Counter[str] = Counter()
    waiting = []
    for ask in asks:
        if ask.organisation != organisation.name:
            continue
        if ask.id in said.why:
            waiting.append(Waiting(ask.id, ask.site, ask.devices, said.why[ask.id]))
        else:
            (own if ask.id in said.own else borrowed)[ask.site] += ask.devices
    lent = sum(ask.devices * said.lent_by.get(ask.id, {}).get(organisation.name, 0.0) for ask in asks)
    return Member(organisation, dict(own), dict(borrowed), lent, tuple(waiting), standing)
