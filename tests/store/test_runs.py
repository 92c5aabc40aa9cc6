"""What goes into the store comes out as it was, and the questions asked of it find what they should."""

from __future__ import annotations

from heliotrope.model import Length, Run, RunState, Site, Workload, WorkloadKind
from heliotrope.store import runs
from heliotrope.store.runs import Strip
from heliotrope.units import from_epoch

NOW = 1_800_000_000


def work(name, command=("train", "ü")):
    return Workload(
        id=name, kind=WorkloadKind.TRAIN, command=command, submitted_at=from_epoch(NOW), length=Length.known(60)
    )


def attempt(name, number, state, **more):
    return Run(
        id=f"{name}-{number}", workload=name, state=state, created_at=from_epoch(NOW + number), attempt=number, **more
    )


def add(tx, name, *tries, factor=1.0, **more):
    runs.add_workload(tx, work(name, **more), factor, NOW, "home", (Site(name="home", zone="DE"),))
    for run in tries:
        runs.put_run(tx, run)


def test_structs_come_out_as_they_went_in(store):
    with store.write() as tx:
        add(tx, "a", attempt("a", 1, RunState.WAITING), factor=60.0)
        strip = Strip("home", "DE", NOW, 3600, (1.0, 2.5), (0.5, 2.0), (2.0, 3.0), quality="forecast", source="here")
        runs.put_strip(tx, "a", strip)
        runs.put_strip(tx, "a", strip)
    with store.read() as tx:
        assert runs.workload(tx, "a") == work("a")
        assert runs.run(tx, "a-1") == attempt("a", 1, RunState.WAITING)
        assert runs.clock(tx, "a") == (60.0, NOW)
        assert runs.sites(tx, "a") == (Site(name="home", zone="DE"),)
        assert runs.home(tx, "a") == "home"
        assert runs.strips(tx, "a") == (strip,)
        assert runs.workload(tx, "nobody") is None
        assert runs.run(tx, "nobody") is None


def test_live_are_those_that_have_not_ended_and_newest_is_one_a_job(store):
    with store.write() as tx:
        add(tx, "a", attempt("a", 1, RunState.LOST), attempt("a", 2, RunState.RUNNING))
        for i, state in enumerate(RunState):
            add(tx, f"s{i}", attempt(f"s{i}", 1, state))
    with store.read() as tx:
        live = {run.workload for run in runs.live(tx)}
        newest = [run.id for run in runs.newest(tx, 100)]
    assert live == {"a"} | {f"s{i}" for i, state in enumerate(RunState) if not state.ended}
    assert len(newest) == len(set(newest)) == len(RunState) + 1
    assert "a-2" in newest
    assert "a-1" not in newest


def test_the_first_wish_to_cancel_counts(store):
    with store.write() as tx:
        add(tx, "a")
        assert runs.cancel_wished_s(tx, "a") is None
        runs.wish_cancel(tx, "a", NOW + 1.5)
        runs.wish_cancel(tx, "a", NOW + 9.0)
    with store.read() as tx:
        assert runs.cancel_wished_s(tx, "a") == NOW + 1.5


def test_how_long_it_took_is_that_of_the_same_command_on_as_fast_a_clock(store):
    def done(name, number, seconds, factor=1.0):
        return attempt(
            name, number, RunState.DONE,
            started_at=from_epoch(NOW), ended_at=from_epoch(NOW + seconds), clock_factor=factor,
        )  # fmt: skip

    with store.write() as tx:
        add(tx, "slow", done("slow", 1, 100))
        add(tx, "again", done("again", 2, 120))
        add(tx, "fast", done("fast", 3, 360_000, 3600.0), factor=3600.0)
        add(tx, "failed", attempt("failed", 4, RunState.FAILED))
        add(tx, "other", done("other", 5, 5), command=("other",))
    with store.read() as tx:
        assert runs.past_length_s(tx, ("train", "ü"), 1.0) == 120
        assert runs.past_length_s(tx, ("train", "ü"), 3600.0) == 360_000
        assert runs.past_length_s(tx, ("train",), 1.0) is None
