"""Members, whose work is whose, refusals and output asked for: the same over both stores."""

from __future__ import annotations

from heliotrope.model import Run, RunState
from heliotrope.store import agents, people, reports, runs
from heliotrope.store.agents import Agent
from heliotrope.store.people import Member, Refusal
from heliotrope.store.reports import Ending, Output
from heliotrope.units import from_epoch
from work_stories import work

ANN = Member("ann", "lab", "member", 1.0, 100.0)


def test_a_member_is_known_by_the_newest_token_alone(store):
    with store.write() as tx:
        people.add(tx, ANN, "one")
        people.renew(tx, Member("ann", "lab", "operator", 1.0, 200.0), "two")
    with store.read() as tx:
        assert people.by_digest(tx, "one") is None
        assert people.by_digest(tx, "two") == Member("ann", "lab", "operator", 1.0, 200.0)
        assert people.member(tx, "bob") is None
    with store.write() as tx:
        assert people.revoke(tx, "ann", 5.0)
        assert not people.revoke(tx, "ann", 6.0)
        assert [one.revoked_s for one in people.members(tx)] == [5.0]


def test_alike_refusals_are_one_and_the_oldest_go(store):
    with store.write() as tx:
        for at_s in (1.0, 2.0, 3.0):
            people.note_refusal(tx, Refusal("bob", "here", "see", "j", "not theirs", 2, at_s, at_s))
        for i in range(5):
            people.note_refusal(tx, Refusal("", "there", "join", f"s{i}", "used", 1, 10.0 + i, 10.0 + i))
        assert people.refusals(tx, 10)[-1] == Refusal("bob", "here", "see", "j", "not theirs", 6, 1.0, 3.0)
        people.keep_refusals(tx, 3)
        assert [one.object for one in people.refusals(tx, 10)] == ["s4", "s3", "s2"]


def test_whose_work_it_is_and_what_an_organisation_sees(store):
    with store.write() as tx:
        people.add(tx, ANN, "one")
        for i, organisation in enumerate(("lab", "lab/vision", "lab2", "labs", "firm")):
            job = work(f"w{i}", organisation=organisation)
            runs.add_workload(tx, job, 1.0, 0.0, "hub", ())
            runs.put_run(tx, Run(f"w{i}-1", f"w{i}", RunState.WAITING, from_epoch(float(i)), 1, "hub", "DE", "local"))
        people.put_submitter(tx, "w0", "ann", "key")
        people.put_submitter(tx, "w1", "ann", None)
    with store.read() as tx:
        assert [run.id for run in runs.newest_within(tx, "lab", 10)] == ["w1-1", "w0-1"]
        assert [run.id for run in runs.newest_within(tx, "lab/vision", 10)] == ["w1-1"]
        assert runs.newest_within(tx, "la", 10) == ()
        assert (people.submitter(tx, "w0"), people.submitter(tx, "w4")) == ("ann", "")
        assert (people.by_key(tx, "ann", "key"), people.by_key(tx, "bob", "key")) == ("w0", None)


def test_output_is_asked_for_of_what_its_site_knows(store):
    with store.write() as tx:
        for name in ("r-1/0", "r-1/1", "r-10/0"):
            agents.add_errand(tx, name, "north", "{}", "run")
        agents.sent(tx, ["r-1/0", "r-10/0"], 1.0)
        one, other = sorted(reports.segments(tx, "r-1"), key=lambda segment: segment.name)
        assert (one.name, one.sent_s, one.asked_s, one.output) == ("r-1/0", 1.0, 0.0, None)
        assert (other.name, other.sent_s) == ("r-1/1", None)
        reports.ask_output(tx, one, 5.0)
        reports.ask_output(tx, one, 7.0)
        assert list(reports.outputs_asked(tx, ["north", "south"], 6.0)) == [("north", "r-1/0", 0)]
        reports.put_output(tx, "r-1/0", Output(4, 9, 4, 8.0), piece=b"said")
        assert list(reports.outputs_asked(tx, ["north"], 6.0)) == [("north", "r-1/0", 4)], "from there on"
        assert list(reports.outputs_asked(tx, ["north"], 8.0)) == list(reports.outputs_asked(tx, ["south"], 0.0)) == []


def test_how_one_ended_is_told_once(store):
    with store.write() as tx:
        agents.add_errand(tx, "r-1/0", "north", "{}", "run")
        assert agents.standing(tx, "r-1/0").exit is None
        assert agents.standing(tx, "r-2/0") is None
        reports.end(tx, "r-1/0", Ending('{"code":0}', '{"name":"w"}'))
        agents.report(tx, "r-1/0", "exited", "", 1.0, there=True, over=True)
        reports.end(tx, "r-1/0", Ending('{"code":1}', refused="too late"))
        agents.report(tx, "r-1/0", "alive", "", 2.0, there=True, over=False)
        assert (agents.standing(tx, "r-1/0").seen, agents.standing(tx, "r-1/0").over) == ("exited", 1)
        standing = agents.standing(tx, "r-1/0")
        assert (standing.exit, standing.number, standing.lease_s) == ('{"code":0}', None, None)
        agents.put_agent(tx, Agent("north", "key", (), 60.0, 7, 0.0))
        assert (agents.standing(tx, "r-1/0").number, agents.standing(tx, "r-1/0").lease_s) == (7, 60.0)
        (one,) = reports.segments(tx, "r-1")
        assert one.ending == Ending('{"code":0}', '{"name":"w"}')


def test_a_number_is_heard_once_by_whichever_controller(store):
    with store.write() as tx:
        agents.put_agent(tx, Agent("north", "key", (), 60.0, 0, 0.0))
        assert [agents.advance(tx, "north", number, 5.0) for number in (3, 3, 2, 4)] == [True, False, False, True]
        assert not agents.advance(tx, "south", 1, 5.0), "nobody was let in there"
        assert agents.agent(tx, "north").number == 4


def test_what_a_site_had_and_has_no_more_is_missed_from_then_on(store):
    with store.write() as tx:
        agents.add_errand(tx, "r-1/0", "north", "{}", "run")
        agents.report(tx, "r-1/0", "absent", "", 1.0, there=False, over=False)
        assert (agents.errand(tx, "r-1/0").held_s, agents.errand(tx, "r-1/0").missed_s) == (None, None)
        agents.report(tx, "r-1/0", "alive", "", 2.0, there=True, over=False)
        agents.report(tx, "r-1/0", "absent", "", 3.0, there=False, over=False)
        agents.report(tx, "r-1/0", "absent", "", 4.0, there=False, over=False)
        assert (agents.errand(tx, "r-1/0").held_s, agents.errand(tx, "r-1/0").missed_s) == (2.0, 3.0)
        agents.report(tx, "r-1/0", "alive", "", 5.0, there=True, over=False)
        assert (agents.errand(tx, "r-1/0").held_s, agents.errand(tx, "r-1/0").missed_s) == (2.0, None)
