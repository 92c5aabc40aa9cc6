"""Whose turn it is at each site, from what is live in a home: the rule is plan's, here it meets runs and the store."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from heliotrope.errors import QuotaReached
from heliotrope.fleet import Fleet
from heliotrope.fleet.shares import Organisation, Sharing
from heliotrope.model import Plan, Run, Site, Workload
from heliotrope.plan.share import Ask, Pool, Standing, Turns, Use, dominant, standings, total, turns
from heliotrope.run.choosing.board import Board, Card
from heliotrope.run.clock import Clock
from heliotrope.run.lifecycle import Turn
from heliotrope.store import Store, Transaction, runs, shares


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


def case_of(tx: Transaction, run_id: str) -> Case:
    run = runs.run(tx, run_id)
    assert run is not None
    workload, plan = runs.workload(tx, run.workload), runs.newest_plan(tx, run.workload)
    assert workload is not None
    assert plan is not None
    clock = Clock(*runs.clock(tx, run.workload))
    fleet = Fleet(runs.sites(tx, run.workload), home=runs.home(tx, run.workload))
    return Case(run, workload, plan, clock, fleet, runs.cancel_wished_s(tx, run.workload), clock.now_s())


def decide(tx: Transaction, cards: Sequence[Card], fleet: Fleet, now_s: float) -> Turns:
    """Among all that run and all whose time has come. `now_s`: of the wall."""
    asking = [card for card in cards if card.asks(now_s)]
    latest_s = max((card.clock.at(now_s) for card in asking), default=now_s)
    pools = _pools(tx, asking, fleet)
    return turns(pools, [card.ask for card in asking], fleet.sharing, standing(tx, fleet, latest_s))


def check_open(tx: Transaction, fleet: Fleet, organisation: str, *, more: int) -> None:
    """Refuses what would give an organisation, or one of its projects, more unfinished jobs than its quota lets in."""
    top, _, project = organisation.partition("/")
    known = fleet.sharing.organisation(top)
    quotas = [(top, known.quota), *((f"{top}/{p.name}", p.quota) for p in known.projects if p.name == project)]
    for name, quota in quotas:
        if quota.jobs is not None and (found := runs.open_jobs(tx, name)) + more > quota.jobs:
            raise QuotaReached(
                f"{name} has as many jobs as it may",
                cause=f"{found + more - 1} are not over, and its quota is {quota.jobs}",
                hint="wait until one ends, or cancel one: helio jobs lists them; the fleet file sets quota.jobs",
            )


def turn_of(run_id: str, said: Turns) -> Turn:
    if run_id in said.leave:
        return Turn.LEAVE
    return Turn.WAIT if run_id in said.why else Turn.GO


def standing(tx: Transaction, fleet: Fleet, now_s: float) -> dict[str, Standing]:
    """Of whatever ended in the last ten half-lives; before that a thousandth is left. Nobody's where nobody shares."""
    if not fleet.sharing.organisations:
        return {}
    half_life_s = fleet.sharing.half_life_s
    uses = (_use(row) for row in shares.ended(tx, now_s - 10 * half_life_s))
    return standings(uses, now_s, half_life_s)


def _use(row: shares.Ended) -> Use:
    organisation, _, project = row.organisation.partition("/")
    return Use(organisation, row.ended_s, row.energy_j, row.carbon_g, project, row.lent_by)


def _pools(tx: Transaction, asking: Sequence[Card], fleet: Fleet) -> list[Pool]:
    """Sites as the fleet says now; one that it does not know any more as its work remembers it."""
    sites = {site.name: site for site in fleet.sites}
    for card in asking:
        if card.ask.site not in sites:
            sites = {site.name: site for site in runs.sites(tx, card.workload)} | sites
    return [Pool(site.name, site.capacity, site.power_cap_w) for site in sites.values()]


def busy(
    there: Sequence[Card], workload: Workload, site: Site, sharing: Sharing, clock: Clock
) -> tuple[tuple[float, float], ...]:
    """Spans in which the plans of other work, `there`, leave too little of a site for one unit of this work.

    Who owns enough of the site looks at its own plans alone: borrowers make room. Work on another clock lives in
    another time, and is not looked at.
    """
    organisation = workload.organisation.partition("/")[0]
    needed = max(1, workload.resources.devices)
    room = int(sharing.organisation(organisation).owns.get(site.name, 0.0) * site.capacity + 1e-9)
    owner = room >= needed
    edges: Counter[float] = Counter()
    for card in there:
        if card.workload == workload.id or card.clock != clock or card.cancelled:
            continue
        if owner and card.ask.organisation != organisation:
            continue
        for name, start_s, end_s, devices in card.spans:
            if name == site.name:
                edges[start_s] += devices
                edges[end_s] -= devices
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
    board, now_s = Board(store), time.time()
    board.refresh()
    cards = board.cards()
    with store.read() as tx:
        stands = standing(tx, fleet, max((card.clock.at(now_s) for card in cards), default=now_s))
        said = decide(tx, cards, fleet, now_s)
    asks = [card.ask for card in cards if card.asks(now_s)]
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
