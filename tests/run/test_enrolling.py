"""Work in a programme: registered and drawn before it is promised, held out at home and at once, or shifted."""

from __future__ import annotations

import pytest

import work_stories
from heliotrope.config import ClaimSettings, MeasureSettings, Settings
from heliotrope.model import RunState
from heliotrope.prove.claims.evidence import Programme
from heliotrope.prove.claims.programme import Office
from heliotrope.prove.claims.seeds.keeper import Keeper
from heliotrope.run import Controller
from heliotrope.run.views import run_view

NAME = "night shift"


@pytest.fixture
def controller(home):
    settings = Settings(
        home=str(home), fleet="example", claims=ClaimSettings(programme=NAME), measure=MeasureSettings(interval_s=0.1)
    )
    made = Controller(settings)
    keeper = Keeper(made.ledger.home)
    seeds = {keeper.name: keeper.commitment(NAME).hex()}
    Office(made.ledger, NAME).declare(Programme(NAME, "wait for the night", 5000, 200, "none", seeds))
    yield made
    made.close()


def work(name, *, within_s=48 * 3600, **more):
    return work_stories.work(name, "sum(range(3_000_000))", length_s=3600.0, within_s=within_s, **more)


def logged(controller, kind):
    with controller.store.read() as tx:
        return [row["idx"] for row in tx.all("SELECT idx FROM log_record WHERE kind = ? ORDER BY idx", (kind,))]


def said(controller, name):
    return {event.name: event.text for event in run_view(controller.store, name).events}


def test_half_of_it_is_held_out_and_runs_at_home_at_once(controller):
    drawn = {}
    for i in range(12):
        plan, _ = controller.submit(work(f"w{i}"))
        drawn[f"w{i}"] = said(controller, f"w{i}")["drawn"]
        if drawn[f"w{i}"].startswith("held out"):
            (slot,) = plan.slots
            assert slot.site == controller.fleet.home
            assert (slot.start - plan.made_at).total_seconds() < 60
    assert set(drawn.values()) == {"held out: runs at once", "may be shifted"}
    registrations, plans = logged(controller, "registration"), logged(controller, "plan")
    assert len(registrations) == len(plans) == 12
    assert all(r < p for r, p in zip(registrations, plans, strict=True)), "registered before it was planned for good"


def test_work_that_may_not_wait_or_never_could_run_at_home_is_not_entered(controller):
    controller.submit(work("now"), at_once=True)
    controller.submit(work("open", within_s=None))
    controller.submit(work("far", sites=("sydney",)))
    assert logged(controller, "registration") == []


def test_what_its_runs_emitted_can_be_reckoned_from_the_log(controller):
    names = []
    while not (names and said(controller, names[-1])["drawn"].startswith("held out")):
        names.append(f"w{len(names)}")
        controller.submit(work(names[-1]), factor=1.0)
    run = controller.follow(names[-1], lambda *_: None)
    assert run.state is RunState.DONE
    assert controller.programme.enrolment.settle() == 1
    assert len(logged(controller, "outcome")) == 1
