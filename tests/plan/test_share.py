"""Sharing: nobody does worse than alone, nothing is given twice, quotas hold, what is lent is paid back."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from heliotrope.fleet.shares import Organisation, Project, Quota, Sharing
from heliotrope.plan.share import Ask, Pool, Standing, Use, standings, turns

NAMES = ("uni", "firm", "lab")
SITE = "north"


class Job(msgspec.Struct):
    ask: Ask
    left: int
    done_at: int | None = None
    begun: bool = False


@st.composite
def worlds(draw):
    devices = draw(st.integers(1, 12))
    cuts = sorted(draw(st.lists(st.integers(0, devices), min_size=2, max_size=2)))
    owned = (cuts[0], cuts[1] - cuts[0], devices - cuts[1] if draw(st.booleans()) else 0)
    sharing = Sharing(
        tuple(
            Organisation(
                name,
                weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
                owns={SITE: part / devices},
                lends=draw(st.sampled_from([0.0, 0.5, 1.0])),
                reserved=name == "lab",
            )
            for name, part in zip(NAMES, owned, strict=True)
        ),
        reserve=draw(st.sampled_from([0.0, 0.3])),
    )
    jobs = [
        Job(
            Ask(
                f"j{i:02}",
                draw(st.sampled_from([*NAMES, "stranger"])),
                SITE,
                draw(st.integers(1, devices)),
                since_s=float(draw(st.integers(0, 12))),
                pausable=draw(st.booleans()),
                energy_j=draw(st.floats(0, 1e6)),
                carbon_g=draw(st.floats(0, 1e3)),
            ),
            left=draw(st.integers(1, 6)),
        )
        for i in range(draw(st.integers(1, 14)))
    ]
    return devices, sharing, jobs


def play(devices, sharing, jobs, look=lambda *_: None):
    """Steps of a second; whoever has to leave does within its step. Job id to the step it was done in."""
    jobs = [msgspec.structs.replace(job) for job in jobs]
    running: set[str] = set()
    for now in range(200):
        here = [j for j in jobs if j.ask.since_s <= now and j.done_at is None]
        asks = [msgspec.structs.replace(j.ask, running=j.ask.id in running) for j in here]
        said = turns([Pool(SITE, devices)], asks, sharing)
        if said.leave:  # they save and go at once; then the same question again
            running -= said.leave
            asks = [msgspec.structs.replace(j.ask, running=j.ask.id in running) for j in here]
            said = turns([Pool(SITE, devices)], asks, sharing)
        look(asks, said)
        running = set(said.run)
        for job in here:
            if job.ask.id in running:
                job.left -= 1
                if job.left == 0:
                    job.done_at = now
                    running.discard(job.ask.id)
    return {job.ask.id: job.done_at for job in jobs}


@given(worlds())
@settings(max_examples=300)
def test_no_organisation_does_worse_than_alone(world):
    devices, sharing, jobs = world
    together = play(devices, sharing, jobs)
    for name in NAMES:
        organisation = sharing.organisation(name)
        part = round(organisation.owns[SITE] * devices)
        mine = [job for job in jobs if job.ask.organisation == name]
        alone_sharing = Sharing((Organisation(name, owns={SITE: 1.0}, lends=0.0),))
        alone = play(part, alone_sharing, mine) if part else {}
        for job, at in alone.items():
            if at is not None:
                assert together[job] is not None
                assert together[job] <= at, f"{job} of {name} at {together[job]}, alone at {at}"


@given(worlds())
@settings(max_examples=300)
def test_nothing_is_given_twice_and_every_refusal_has_a_reason(world):
    devices, sharing, jobs = world

    def look(asks, said):
        by_id = {ask.id: ask for ask in asks}
        assert sum(by_id[name].devices for name in said.run) <= devices
        assert not said.run & said.leave
        for ask in asks:
            assert (ask.id in said.run) != (ask.id in said.why)
            assert ask.running or ask.id not in said.leave
            assert ask.pausable or ask.id not in said.leave, "what cannot pause is never sent away"
        lent = defaultdict(float)
        for borrower, lenders in said.lent_by.items():
            assert borrower not in said.own
            for lender, share in lenders.items():
                lent[lender] += share * by_id[borrower].devices
        for lender, amount in lent.items():
            assert amount <= sharing.organisation(lender).owns[SITE] * devices + 1e-6

    play(devices, sharing, jobs, look)


@given(worlds())
def test_everything_that_fits_what_nobody_owns_or_its_owner_gets_done(world):
    devices, _sharing, jobs = world
    done = play(devices, Sharing(), jobs)
    assert all(at is not None for at in done.values()), "without organisations everything is everybody's"


@given(worlds(), st.integers(0, 4), st.floats(0, 2e6))
def test_quotas_are_never_exceeded(world, limit, energy_j):
    devices, sharing, jobs = world
    quota = Quota(devices=limit, energy_j_per_day=energy_j)
    sharing = msgspec.structs.replace(
        sharing, organisations=tuple(msgspec.structs.replace(o, quota=quota) for o in sharing.organisations)
    )

    def look(asks, said):
        for name in NAMES:
            chosen = [ask for ask in asks if ask.organisation == name and ask.id in said.run]
            assert sum(ask.devices for ask in chosen) <= limit
            assert sum(ask.energy_j for ask in chosen) <= energy_j + 1e-6

    play(devices, sharing, jobs, look)


def test_a_project_has_a_limit_of_its_own():
    firm = Organisation("firm", owns={SITE: 1.0}, projects=(Project("vision", Quota(devices=1)),))
    asks = [Ask(f"v{i}", "firm", SITE, 1, float(i), project="vision") for i in range(3)]
    asks.append(Ask("other", "firm", SITE, 1, 9.0))
    said = turns([Pool(SITE, 4)], asks, Sharing((firm,)))
    assert said.run == {"v0", "other"}
    assert said.why["v1"] == "firm/vision may use 1 devices at once"


def test_the_least_used_goes_first_and_what_was_lent_is_paid_back():
    sharing = Sharing((Organisation("day"), Organisation("night")))
    uses = [Use("day", 0.0, 8e6, 900.0, lent_by={"night": 1.0}), Use("night", 0.0, 8e6, 900.0)]
    standing = standings(uses, 0.0, sharing.half_life_s)
    asks = [Ask("d", "day", SITE, 1, 0.0, pausable=True), Ask("n", "night", SITE, 1, 5.0, pausable=True)]
    said = turns([Pool(SITE, 1)], asks, sharing, standing)
    assert said.run == {"n"}, "both used as much, but night lent day what it used"


def test_reserved_ones_come_first_until_they_have_their_reserve():
    sharing = Sharing((Organisation("school", reserved=True), Organisation("firm", weight=50.0)), reserve=0.25)
    standing = {"school": Standing(energy_j=9e9, carbon_g=9e9), "firm": Standing(energy_j=1.0, carbon_g=1.0)}
    asks = [Ask(f"{name}{i}", name, SITE, 1, 0.0, pausable=True) for name in ("school", "firm") for i in range(8)]
    said = turns([Pool(SITE, 8)], asks, sharing, standing)
    assert sum(name.startswith("school") for name in said.run) == 2


def test_an_owner_waits_only_until_the_borrower_has_saved():
    sharing = Sharing((Organisation("firm", owns={SITE: 1.0}),))
    guest = Ask("guest", "lab", SITE, 2, 0.0, running=True, pausable=True)
    mine = Ask("mine", "firm", SITE, 1, 5.0)
    asked = turns([Pool(SITE, 2)], [guest, mine], sharing)
    assert asked.leave == {"guest"}
    assert "waits for another to save its state" in asked.why["mine"]
    assert turns([Pool(SITE, 2)], [msgspec.structs.replace(guest, running=False), mine], sharing).run == {"mine"}


def test_watts_are_a_pool_too():
    asks = [Ask(f"j{i}", "me", SITE, 1, float(i), power_w=400.0) for i in range(5)]
    assert turns([Pool(SITE, 8, power_w=1000.0)], asks, Sharing()).run == {"j0", "j1"}


@given(st.lists(st.builds(
    Use, st.sampled_from(NAMES), st.floats(0, 1e6), st.floats(0, 1e9), st.floats(0, 1e6),
    lent_by=st.dictionaries(st.sampled_from(NAMES), st.floats(0, 0.3), max_size=3),
), max_size=20))  # fmt: skip
def test_credits_add_up_to_nothing(uses):
    found = standings(uses, 1e6, 86_400.0)
    scale = sum(use.energy_j for use in uses) + 1
    assert abs(sum(s.credit_j for s in found.values())) <= 1e-9 * scale
    assert all(s.energy_j >= 0 for s in found.values())
