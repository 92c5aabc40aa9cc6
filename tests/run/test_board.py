"""What is known at a glance is what the store says, however it came about; and what need not be looked at is not."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliotrope.config import Settings
from heliotrope.fleet import Fleet
from heliotrope.model import Length, Outlook, Plan, Run, RunState, Site, Slot, Workload, WorkloadKind
from heliotrope.run import Controller
from heliotrope.run.choosing.agenda import Secretary
from heliotrope.run.choosing.board import Board
from heliotrope.store import Store, runs
from heliotrope.units import from_epoch

HOUR = 3600
NOW = 1_800_000_000
SITES = tuple(Site(name, "DE", capacity=2) for name in ("north", "south"))
FLEET = Fleet(SITES, home="north")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "helio.db")
    yield made
    made.close()


def plan_of(name, start_s, site="north"):
    cost = Outlook(1.0, 1.0, 1.0, 1.0, 0.0, from_epoch(start_s + HOUR))
    slot = Slot(site, from_epoch(start_s), from_epoch(start_s + HOUR))
    return Plan(name, from_epoch(NOW), (slot,), cost, cost, (), 1.0, 0.0, "carbon/average/lifecycle")


def add(tx, name, start_s=NOW + HOUR):
    work = Workload(
        id=name, kind=WorkloadKind.BATCH, command=("true",), submitted_at=from_epoch(NOW), length=Length.known(HOUR)
    )
    runs.add_workload(tx, work, 1.0, 0.0, "north", SITES)
    runs.add_plan(tx, plan_of(name, start_s))
    runs.put_run(tx, Run(f"{name}-1", name, RunState.WAITING, from_epoch(NOW), 1, site="north", zone="DE"))


def fresh(store):
    board = Board(store)
    board.refresh()
    return board


ACTS = st.lists(
    st.tuples(st.sampled_from(["add", "start", "end", "again", "plan", "cancel"]), st.integers(0, 5)), max_size=25
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, looks=st.sets(st.integers(0, 24)))
def test_kept_up_to_date_it_is_what_a_new_one_would_be(store, acts, looks):
    """Whatever happens in between, and whenever it was looked at."""
    with store.write() as tx:
        for table in ("event", "wish", "run", "plan", "submission", "workload"):
            tx.execute(f"DELETE FROM {table}")
    kept, count = Board(store), 0
    for number, (act, which) in enumerate(acts):
        with store.write() as tx:
            if act == "add":
                add(tx, f"w{count}")
                count += 1
            elif which < count:
                _change(tx, act, f"w{which}", number)
        if number in looks:
            kept.refresh()
    kept.refresh()
    anew = fresh(store)
    assert sorted(kept.cards(), key=lambda c: c.run) == sorted(anew.cards(), key=lambda c: c.run)
    for site in ("north", "south"):
        assert {c.run for c in kept.at(site)} == {c.run for c in anew.at(site)}
    with store.read() as tx:
        assert {card.run for card in anew.cards()} == {run.id for run in runs.live(tx)}


def _change(tx, act, name, number):
    last = runs.attempts(tx, name)[-1]
    if act == "start" and not last.state.ended:
        runs.put_run(tx, msgspec.structs.replace(last, state=RunState.RUNNING, handle="h", site="south"))
    elif act == "end" and not last.state.ended:
        runs.put_run(tx, msgspec.structs.replace(last, state=RunState.DONE))
    elif act == "again" and last.state.ended:
        again = msgspec.structs.replace(last, id=f"{name}-{last.attempt + 1}", attempt=last.attempt + 1)
        runs.put_run(tx, msgspec.structs.replace(again, state=RunState.WAITING, handle=""))
    elif act == "plan":
        runs.add_plan(tx, plan_of(name, NOW + number * HOUR, ("north", "south")[number % 2]))
    elif act == "cancel":
        runs.wish_cancel(tx, name, NOW)


def test_only_what_may_change_is_looked_at(store):
    """Two have room, the third has to wait for it; a fourth sleeps until its time; a fifth is to end."""
    with store.write() as tx:
        for name in ("a", "b", "c"):
            add(tx, name, NOW)
        add(tx, "later", NOW + HOUR)
        add(tx, "ends", NOW + 2 * HOUR)
        runs.wish_cancel(tx, "ends", NOW)
    secretary = Secretary(store, Board(store))
    agenda = secretary.agenda(FLEET, NOW + 1)
    assert [card.workload for card in agenda.look] == ["a", "b", "ends"]
    assert list(agenda.said.why) == ["c-1"]
    assert secretary.agenda(FLEET, NOW + 2) is agenda, "nothing changed: nothing is thought over"
    with store.write() as tx:
        runs.put_run(tx, msgspec.structs.replace(runs.run(tx, "a-1"), state=RunState.DONE))
    assert [card.workload for card in secretary.agenda(FLEET, NOW + 3).look] == ["b", "c", "ends"]


def test_a_plan_grows_old_when_forecasts_may_have_changed_and_is_then_looked_at_once(store):
    with store.write() as tx:
        add(tx, "w", NOW + 10 * HOUR)
    secretary = Secretary(store, Board(store))
    assert secretary.agenda(FLEET, NOW + 3590).replan == ()
    (card,) = secretary.agenda(FLEET, NOW + 3601).replan
    secretary.replanned(card, NOW + 3601)
    assert secretary.agenda(FLEET, NOW + 3602).replan == ()
    assert secretary.agenda(FLEET, NOW + 7190).replan == ()
    assert [one.run for one in secretary.agenda(FLEET, NOW + 7202).replan] == ["w-1"]


def test_one_look_has_an_end_and_the_next_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """However much there is to do, whoever follows a run or asks for an end of it is heard."""
    monkeypatch.setattr("heliotrope.run.controller.LOOK_BUDGET_S", 0.0)
    wide = Fleet((Site("here", "DE", capacity=3),), home="here")
    controller = Controller(Settings(home=str(tmp_path), zone="DE"), wide)
    assert controller.lead()
    seen = []
    monkeypatch.setattr(controller, "_step", lambda case, said: seen.append(case.run.id) or 1.0)
    for name in ("a", "b", "c"):
        controller.submit(
            Workload(
                id=name, kind=WorkloadKind.BATCH, command=("true",), submitted_at=from_epoch(time.time()),
                length=Length.known(1), environment={"PATH": "/bin:/usr/bin"},
            ),
            at_once=True,
        )  # fmt: skip
    for _ in range(3):
        controller.step()
    controller.close()
    assert sorted(seen) == ["a-1", "b-1", "c-1"]
