"""Organisations do not see each other: one rule, asked at every door; who is refused is told of, and learns nothing."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http.cookiejar import CookieJar
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from heliotrope.cli.root import helio
from heliotrope.errors import Infeasible, InvalidInput, NotAllowed, QuotaReached, SignInRefused, UnknownName, UsageError
from heliotrope.fleet.shares import Organisation, Project, Quota, Sharing
from heliotrope.model import Length, RunState
from heliotrope.prove import verify_receipt
from heliotrope.run.agents import wire
from heliotrope.run.people.client import Elsewhere
from heliotrope.run.people.members import Members
from heliotrope.run.people.policy import Act, Person, Role, Work, may, within
from heliotrope.run.people.reception import Visit
from heliotrope.run.people.refusals import Refusals
from heliotrope.run.people.wire import JOBS, Submission
from heliotrope.store import Store, people, runs
from heliotrope.units import from_epoch
from heliotrope.web import api
from heliotrope.web.app import make_app
from heliotrope.web.doors import bodies, neighbour
from heliotrope.web.doors.memberapi import DOORS, HOME
from heliotrope.web.doors.memberpages import ROOT
from heliotrope.web.pages.html import PAGES
from houses import Hub
from work_stories import PYTHON

DAY_S = 86400.0
ORGANISATIONS = ("lab", "lab/vision", "lab/speech", "lab2", "firm")
NAMES = ("", "ann", "bob")


# The rule


@pytest.mark.parametrize(("role", "act"), list(product(Role, Act)))
def test_nothing_is_done_or_seen_across_organisations(role, act):
    for theirs, whose, name, submitter in product(ORGANISATIONS, ORGANISATIONS, NAMES, NAMES):
        allowed = may(Person(name, theirs, role), act, Work(whose, submitter))
        if whose != theirs and not whose.startswith(f"{theirs}/"):
            assert not allowed, (theirs, whose)
        elif role is Role.OPERATOR:
            assert allowed
        elif role is Role.AUDITOR:
            assert allowed == (act is Act.SEE)
        else:
            assert allowed == (act is not Act.CANCEL or submitter == name)


@given(st.text("ab/", max_size=5), st.text("ab/", max_size=5))
def test_a_project_is_within_its_organisation_and_not_the_other_way_round(whose, organisation):
    assert within(whose, whose)
    assert within(f"{organisation}/x", organisation)
    if within(whose, organisation) and within(organisation, whose):
        assert whose == organisation


# Tokens


@pytest.fixture
def store(tmp_path):
    made = Store.at(tmp_path / "home")
    yield made
    made.close()


def test_a_token_is_shown_once_expires_and_is_taken_back(store):
    members = Members(store)
    token = members.add("ann", "lab", Role.MEMBER, valid_s=DAY_S, now_s=0.0)
    assert members.known(token, 1.0) == Person("ann", "lab", Role.MEMBER)
    assert token.encode() not in store.path.read_bytes(), "what is kept lets nobody in"
    with pytest.raises(SignInRefused, match="ann does not hold") as late:
        members.known(token, DAY_S)
    assert late.value.cause == "it is too old"
    again, _ = members.renew("ann", Role.OPERATOR, valid_s=DAY_S, now_s=DAY_S)
    assert members.known(again, DAY_S + 1).role is Role.OPERATOR
    with pytest.raises(SignInRefused, match="nobody's"):
        members.known(token, 1.0)
    members.revoke("ann", now_s=DAY_S)
    assert members.revoke("ann", now_s=2 * DAY_S).revoked_s == DAY_S
    with pytest.raises(SignInRefused) as revoked:
        members.known(again, DAY_S + 1)
    assert revoked.value.cause == "it was taken back"


def test_a_name_is_given_once_and_a_wrong_one_is_named(store):
    members = Members(store)
    members.add("ann", "lab", Role.MEMBER, valid_s=DAY_S, now_s=0.0)
    with pytest.raises(InvalidInput, match="somebody has this name") as taken:
        members.add("ann", "firm", Role.MEMBER, valid_s=DAY_S, now_s=0.0)
    assert "renew ann" in taken.value.hint
    for field, name, organisation in (("name", "a b", "lab"), ("name", "", "lab"), ("organisation", "c", "a/b/c")):
        with pytest.raises(InvalidInput) as wrong:
            members.add(name, organisation, Role.MEMBER, valid_s=DAY_S, now_s=0.0)
        assert wrong.value.field == field
    with pytest.raises(UnknownName) as unknown:
        members.revoke("anna", now_s=0.0)
    assert "did you mean ann?" in unknown.value.hint


def test_being_refused_over_and_over_fills_nothing(store, monkeypatch):
    monkeypatch.setattr("heliotrope.run.people.refusals.MOST", 20)
    refusals = Refusals(store)
    for i in range(100):
        refusals.note("cancel", "not theirs", who="bob", about=f"j{i}\x1b[2J")
        if i % 10 == 0:
            refusals.flush()
    for _ in range(500):
        refusals.note("sign in", "this token is nobody's", address="10.0.0.1")
    found = refusals.last(1000)
    assert len(found) <= 20
    assert (found[0].act, found[0].times, found[0].address) == ("sign in", 500, "10.0.0.1")
    assert all(one.object.isprintable() for one in found)


# At the door


@pytest.fixture
def house(home, tmp_path):
    (tmp_path / "fleet.toml").write_text('home = "hub"\n[[site]]\nname = "hub"\nzone = "DE"\ncapacity = 8\n')
    made = Hub(home, tmp_path / "fleet.toml")
    yield made
    made.close()


@pytest.fixture
def members(house):
    """`members(name, organisation, role)` → a token."""

    def let_in(name, organisation, role=Role.MEMBER):
        return Members(house.house.store).add(name, organisation, role, valid_s=DAY_S, now_s=time.time())

    return let_in


@pytest.fixture
def at(house, members):
    """`at(name, organisation, role)`: that member, asking."""
    open_ = []

    def ask(*who):
        open_.append(Elsewhere(house.server.url, members(*who)))
        return open_[-1]

    yield ask
    for one in open_:
        one.close()


def says(text, **more):
    return Submission((*PYTHON, f"print({text!r})"), at_once=True, **more)


def noted(house):
    return {(one.who, one.act): one for one in house.house.office.refusals.last(100)}


def test_work_of_a_member_runs_and_its_organisation_alone_sees_it(house, at):
    ann, colleague, bob = at("ann", "lab"), at("cleo", "lab"), at("bob", "firm")
    job = ann.submit(says("secret", environment={"KEY": "value"})).job
    house.step_until(lambda: house.state(job) is RunState.DONE)
    for one in (ann, colleague):
        assert [row.workload for row in one.jobs()] == [job]
        assert one.log(job, None).text == "secret\n"
        assert one.show(job).footprint.energy_j.value > 0
        assert one.show(job).workload.environment == {}, "that can hold secrets"
    assert bob.jobs() == ()
    with house.house.store.read() as tx:
        assert people.submitter(tx, job) == "ann"
    # What is another's and what is not there: the same words, whatever is asked.
    for ask in (bob.show, bob.cancel, bob.receipt, lambda name: bob.log(name, None)):
        told = []
        for name in (job, f"{job}-1", "nothing"):
            with pytest.raises(UnknownName) as refused:
                ask(name)
            told.append(str(refused.value).replace(name, "…"))
        assert len(set(told)) == 1
    assert {("bob", "see"), ("bob", "cancel"), ("bob", "read_log")} <= set(noted(house))


def test_each_role_does_what_is_its_own(house, at):
    ann, cleo = at("ann", "lab"), at("cleo", "lab")
    chief, auditor = at("chief", "lab", Role.OPERATOR), at("iris", "lab", Role.AUDITOR)
    first, second = (ann.submit(Submission((*PYTHON, "import time; time.sleep(60)"), at_once=True)).job for _ in "ab")
    house.step_until(lambda: house.state(first) is house.state(second) is RunState.RUNNING)
    with pytest.raises(NotAllowed, match="cleo may not cancel here"):
        cleo.cancel(first)
    for ask in (lambda: auditor.log(first, None), lambda: auditor.cancel(first), lambda: auditor.submit(says("x"))):
        with pytest.raises(NotAllowed, match="iris may not"):
            ask()
    assert auditor.show(first).run.state is RunState.RUNNING
    assert ann.cancel(first) == first
    assert chief.cancel(f"{second}-1") == second
    house.step_until(lambda: house.state(first) is house.state(second) is RunState.CANCELLED)
    assert noted(house)["iris", "submit"].why == "not as auditor of lab"


def test_work_is_submitted_for_ones_own_organisation_alone(at):
    ann, vision = at("ann", "lab"), at("vi", "lab/vision")
    for theirs in ("firm", "lab2", "", "lab"):
        wanted = says("x", organisation=theirs)
        if theirs in ("", "lab"):
            assert ann.submit(wanted).job
        else:
            with pytest.raises(NotAllowed, match="may not submit"):
                ann.submit(wanted)
    with pytest.raises(NotAllowed):
        vision.submit(says("x", organisation="lab"))
    mine = vision.submit(says("x")).job
    assert ann.show(mine).workload.organisation == "lab/vision", "an organisation sees its projects"
    assert [row.workload for row in vision.jobs()] == [mine], "a project does not see the rest"


def test_an_answer_that_was_lost_is_given_again_and_the_work_done_once(house, members):
    who = house.house.reception.members.known(members("ann", "lab"), time.time())
    visit, body = Visit(who, "here"), msgspec.json.encode(says("once", key="k"))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(house.house.reception.submit(visit, body).job)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(house.house.reception.jobs(visit, 100)) == 1


WRONG = {
    b"{": "not a submission",
    b"[]": "not a submission",
    b'{"command": []}': "not a submission",
    b'{"command": [""]}': "nothing to run",
    b'{"command": ["x\\u0000"]}': "zero byte",
    b'{"command": ["true"], "id": "mine"}': "id",
    b'{"command": ["true"], "environment": {"A=B": ""}}': "not a variable",
    b'{"command": ["true"], "working_directory": "here"}': "not a directory of the site",
    b'{"command": ["true"], "engine_options": {"slurm.account": "theirs"}}': "not a member's to set",
    b'{"command": ["true"], "deadline": "2001-01-01T00:00:00Z"}': "deadline",
    b'{"command": ["true"], "sites": ["moon"]}': "moon",
    b'{"command": ["/no/such/program"]}': "command not found",
    b'{"command": ["true"], "key": "' + b"k" * (1 << 20) + b'"}': "too long",
}


def test_what_is_wrong_with_a_submission_is_said(house, members):
    visit = Visit(house.house.reception.members.known(members("ann", "lab"), time.time()), "here")
    for body, told in WRONG.items():
        with pytest.raises(InvalidInput) as wrong:
            house.house.reception.submit(visit, body)
        assert told in str(wrong.value), body[:60]
    assert house.house.reception.jobs(visit, 10) == ()
    assert list((house.house.home / "work").iterdir()) == [], "being refused leaves nothing behind"


def test_an_organisation_has_no_more_unfinished_jobs_than_its_quota(house, at):
    shares = Sharing((Organisation("lab", quota=Quota(jobs=2), projects=(Project("vision", Quota(jobs=1)),)),))
    house.controller.fleet = msgspec.structs.replace(house.controller.fleet, sharing=shares)
    ann, vision, bob = at("ann", "lab"), at("vi", "lab/vision"), at("bob", "firm")
    tomorrow_s = time.time() + DAY_S
    later = says("x", not_before=from_epoch(tomorrow_s), deadline=from_epoch(tomorrow_s + 36000), key="mine")
    later = msgspec.structs.replace(later, at_once=False, length=Length.known(60))
    waits = vision.submit(later).job
    with pytest.raises(QuotaReached, match="lab/vision has as many jobs as it may") as full:
        vision.submit(says("y"))
    assert full.value.cause == "1 are not over, and its quota is 1"
    done = ann.submit(says("x")).job
    with pytest.raises(QuotaReached, match="lab has as many jobs as it may"):
        ann.submit(says("y"))
    assert vision.submit(later).job == waits, "what was taken in before is no new job"
    assert bob.submit(says("z")).job, "others go on"
    house.step_until(lambda: house.state(done) is RunState.DONE)
    assert ann.submit(says("y")).job, "one ended, and made room for another"
    with house.house.store.read() as tx:
        assert (runs.open_jobs(tx, "lab"), runs.open_jobs(tx, "lab/vision"), runs.open_jobs(tx, "la")) == (2, 1, 0)


# Every way in, as somebody who should not be there


class Way(NamedTuple):
    """Who a route is for, and what it says to whoever is not that: `owner`, `member`, `agent`, or `all` who ask.

    For pages that members sign in to, a token that was not signed in with is worth nothing, so they are as the owner's.
    """

    whom: str
    refused: int = 0


WAYS = (
    {("GET", path): Way("owner", 401) for path in (*PAGES, "/runs/{name}/page.html", "/events")}
    | {("GET", route.path): Way("owner", 401) for route in api.ROUTES}
    | {("GET", "/api/"): Way("owner", 401), ("GET", HOME): Way("all"), ("GET", "/static/{name}"): Way("all", 404)}
    | {("GET", f"{ROOT}/"): Way("all"), ("POST", f"{ROOT}/sign-out"): Way("all", 303)}
    | {("POST", f"{ROOT}/sign-in"): Way("owner", 401), ("GET", f"{ROOT}/runs/{{name}}"): Way("owner", 401)}
    | {("POST", f"{ROOT}/runs/{{name}}/cancel"): Way("owner", 401)}
    | {(door.method.upper(), door.path): Way("member", 401) for door in DOORS}
    | {("POST", wire.JOIN): Way("agent", 400), ("POST", wire.SYNC): Way("agent", 400), ("POST", wire.STATE): Way("agent", 400)}
)  # fmt: skip
NAMES_THAT_LEAD_AWAY = (
    "nothing",
    "..%2f..%2fhelio.db",
    "%2e%2e",
    "a%00b",
    "x" * 3000,
    "%F0%9F%8C%BB",
    "'%20OR%201=1%20--",
)


def test_no_way_in_lets_in_whoever_it_is_not_for(house, members, monkeypatch):
    """Of every route there is: one that nobody thought of fails here."""
    routes = {(route.method, route.resource.canonical) for route in make_app(house.house).router.routes()}
    assert {way for way in routes if way[0] != "HEAD"} == set(WAYS)
    monkeypatch.setattr("heliotrope.web.doors.people.is_owner", lambda *_: False)
    token, url = members("mallory", "firm"), urlsplit(house.server.url)

    def status(method, path, **headers):
        link = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        try:
            link.request(method, path, b"{}" if method == "POST" else None, headers)
            answer = link.getresponse()
            answer.read()
            return answer.status
        finally:
            link.close()

    known = {"Authorization": f"Bearer {token}"}
    for (method, path), way in sorted(WAYS.items()):
        there = path.replace("{name}", "nothing")
        them = strangers(token) if way.whom == "member" else (*strangers(token), known)
        told = {status(method, there, **headers) for headers in them}
        assert told == {way.refused or 200} if way.whom == "all" else told <= {way.refused, 404}, (there, told)
        for name in NAMES_THAT_LEAD_AWAY if path != there else ():
            found = status(method, path.replace("{name}", name), **known)
            assert found in ({400, 404} if way.whom == "member" else {401, 404}), (path, name, found)


@pytest.fixture
def browse(house):
    """`browse()`: a browser of its own, that keeps its cookies: (method, path, form) → status, text."""

    def opened():
        jar = CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

        def ask(path, form=None, **headers):
            body = None if form is None else urlencode(form).encode()
            request = urllib.request.Request(house.server.url.rstrip("/") + path, data=body, headers=headers)
            try:
                with opener.open(request, timeout=20) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                with refused:
                    return refused.code, refused.read().decode()

        ask.jar = jar
        return ask

    return opened


def test_a_member_signs_in_sees_what_is_its_own_and_signs_out(house, browse, members, at):
    job = at("cleo", "lab").submit(says("secret <b>", environment={"KEY": "kept-from-all"})).job
    theirs = at("bob", "firm").submit(says("of the firm")).job
    house.step_until(lambda: house.state(job) is house.state(theirs) is RunState.DONE)
    ann, guess = browse(), browse()
    assert "Token" in ann(f"{ROOT}/")[1], "nobody is signed in"
    assert guess(f"{ROOT}/sign-in", {"token": "helio-guess"})[0] == 401
    assert list(guess.jar) == []
    status, page = ann(f"{ROOT}/sign-in", {"token": members("ann", "lab")})
    assert status == 200
    assert job in page
    assert theirs not in page
    (cookie,) = ann.jar
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert (cookie.get_nonstandard_attr("SameSite"), cookie.path) == ("Strict", f"{ROOT}/")
    status, page = ann(f"{ROOT}/runs/{job}")
    assert (status, "secret &lt;b&gt;" in page, "kept-from-all" in page, "Cancel" in page) == (200, True, False, False)
    for path in (theirs, f"{theirs}-1", "nothing"):
        assert ann(f"{ROOT}/runs/{path}")[0] == 404
    assert ann(f"{ROOT}/sign-out", {})[0] == 200
    assert ann(f"{ROOT}/runs/{job}")[0] == 401


def test_what_a_browser_asks_is_what_the_role_may(house, browse, members, at):
    ann = at("ann", "lab")
    tomorrow_s = time.time() + DAY_S
    later = {"not_before": from_epoch(tomorrow_s), "length": Length.known(60)}
    with pytest.raises(Infeasible, match="no plan meets every limit"):
        ann.submit(Submission(("true",), deadline=from_epoch(tomorrow_s + 1), **later))
    job = ann.submit(Submission(("true",), deadline=from_epoch(tomorrow_s + 36000), **later)).job
    chief, auditor, another = browse(), browse(), browse()
    for who, name, whose, role in (
        (chief, "chief", "lab", Role.OPERATOR), (auditor, "iris", "lab", Role.AUDITOR), (another, "bob", "firm", Role.OPERATOR),
    ):  # fmt: skip
        assert who(f"{ROOT}/sign-in", {"token": members(name, whose, role)})[0] == 200
    assert "Cancel this job" not in auditor(f"{ROOT}/runs/{job}")[1]
    assert auditor(f"{ROOT}/runs/{job}/cancel", {})[0] == 403
    assert another(f"{ROOT}/runs/{job}/cancel", {})[0] == 404
    assert chief(f"{ROOT}/runs/{job}/cancel", {}, Origin="https://elsewhere.example")[0] == 403, "another page's form"
    assert chief(f"{ROOT}/runs/{job}/cancel", {}, **{"Sec-Fetch-Site": "same-site"})[0] == 403, "a neighbour's form"
    assert chief(f"{ROOT}/runs/{job}/cancel", {}, Origin="null")[0] == 403, "nobody's"
    assert "Cancel this job" in chief(f"{ROOT}/runs/{job}")[1]
    assert chief(f"{ROOT}/runs/{job}/cancel", {}, Origin=house.server.url.rstrip("/"))[0] == 200
    house.step_until(lambda: house.state(job) is RunState.CANCELLED)
    Members(house.house.store).revoke("chief", now_s=time.time())
    assert chief(f"{ROOT}/runs/{job}")[0] == 401, "at once"
    assert "does not hold any more" in chief(f"{ROOT}/")[1]


def strangers(token):
    """The last of them would be let in if a token counted wherever it stands."""
    return (
        {},
        {"Authorization": "Bearer helio-guess"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {token}"},
        {"Cookie": f"token={token}; Authorization=Bearer {token}"},
    )


def test_a_body_is_read_no_further_than_it_may_be_long(house, members, monkeypatch):
    """Long ones, ones that hide how long they are, and ones that never end."""
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.5)
    token, url = members("ann", "lab"), urlsplit(house.server.url)

    def answered(head, *parts, path=JOBS):
        with socket.create_connection((url.hostname, url.port), timeout=20) as link:
            lines = (f"POST {path} HTTP/1.1", f"Host: {url.netloc}", f"Authorization: Bearer {token}", *head, "", "")
            link.sendall("\r\n".join(lines).encode())
            with suppress(ConnectionError):
                for part in parts:
                    link.sendall(part)
            return int(link.makefile("rb").readline().split()[1])

    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    for path, many in ((JOBS, 2), (f"{JOBS}/x/cancel", 1), (wire.JOIN, 1)):
        assert answered(("Content-Length: 99999999",), path=path) == 413
        assert answered(("Transfer-Encoding: chunked",), *[chunk] * many, path=path) == 413
    for path in (JOBS, wire.JOIN, wire.SYNC):
        assert answered(("Content-Length: 50",), b"{", path=path) == 408, "it never came to its end"


def test_a_word_said_twice_in_one_body_is_judged_as_it_is_carried_out(house, members):
    """Whichever of the two is meant, the rule is asked of the one that is done."""
    who = house.house.reception.members.known(members("ann", "lab"), time.time())
    command = msgspec.json.encode((*PYTHON, "pass")).decode()

    def twice(first, then):
        return (
            f'{{"organisation": "{first}", "command": {command}, "organisation": "{then}", "at_once": true}}'.encode()
        )

    with pytest.raises(NotAllowed):
        house.house.reception.submit(Visit(who, ""), twice("lab", "firm"))
    job = house.house.reception.submit(Visit(who, ""), twice("firm", "lab")).job
    assert house.house.reception.show(Visit(who, ""), job).workload.organisation == "lab"


def test_strangers_are_turned_away_before_they_are_read(house, members):
    def asked(path, token="", method="GET", **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(house.server.url.rstrip("/") + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    token = members("ann", "lab")
    assert asked(JOBS) == asked(JOBS, "helio-guess") == asked(JOBS, Authorization="Basic YTpi") == 401
    assert asked(JOBS, token) == asked("/api/v1/me", token) == asked("/") == 200
    assert asked("/", Host="rebound.example") == 421
    assert asked(f"{JOBS}/x/log?after=-1", token) == 400, "whatever is called so"
    assert asked(f"{JOBS}?limit=many", token) == 400
    assert asked(f"{JOBS}/x", token, "DELETE") == 405
    assert noted(house)["", "sign in"].times == 1


def test_all_that_may_be_asked_is_described(house):
    with urllib.request.urlopen(f"{house.server.url}api/v1/", timeout=10) as answer:
        told = msgspec.json.decode(answer.read())
    assert {(path, method) for path, ways in told["paths"].items() for method in ways} == {
        (door.path, door.method) for door in DOORS
    }
    body = told["paths"][JOBS]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    submission = told["components"]["schemas"][body.rpartition("/")[2]]
    assert submission["required"] == ["command"]
    assert set(submission["properties"]) == set(Submission.__struct_fields__)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_says_whose_a_connection_is(family, host):
    with socket.create_server((host, 0), family=family) as listening:
        with socket.create_connection(listening.getsockname()[:2]) as theirs, listening.accept()[0] as ours:
            ends = ours.getpeername(), ours.getsockname()
            assert theirs.fileno() > 0
            assert neighbour._uid(*ends) == os.geteuid()
            assert neighbour.is_owner(*ends)
        assert neighbour._uid(*ends) is None, "nobody's when it is closed"


def test_another_user_of_this_machine_is_not_the_owner(tmp_path, monkeypatch):
    line = "  0: 0100007F:C350 0100007F:2166 {state} 00000000:00000000 00:00000000 00000000  {uid}        0 1 1\n"
    table = tmp_path / "tcp"
    monkeypatch.setattr(neighbour, "TABLES", (table,))
    peer, here = ("127.0.0.1", 0xC350), ("127.0.0.1", 0x2166)
    for uid, state, owner in ((os.geteuid(), "01", True), (4711, "01", False), (os.geteuid(), "05", False)):
        table.write_text("head\n" + line.format(uid=uid, state=state))
        assert neighbour.is_owner(peer, here) is owner
    assert not neighbour.is_owner(("192.0.2.7", 0xC350), here), "from another machine"
    assert not neighbour.is_owner(None, None)


def test_a_token_is_not_sent_where_others_could_read_it():
    for url, told in (("http://control.example", "everybody on the way"), ("control.example", "not the address")):
        with pytest.raises(UsageError, match=told):
            Elsewhere(url, "helio-x")
    with pytest.raises(UsageError, match="no token"):
        Elsewhere("https://control.example", "")


# As people do it


def test_a_member_runs_work_from_elsewhere(house, home, tmp_path, monkeypatch):
    def told(*words, code=0):
        done = CliRunner().invoke(helio, [*words])
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.stdout

    token = told("member", "add", "ann", "--organisation", "lab").strip()
    assert house.controller.lead()
    halt = threading.Event()

    def control():
        while not halt.wait(0.05):
            house.controller.step()

    thread = threading.Thread(target=control)
    thread.start()
    try:
        monkeypatch.setenv("HELIO_TOKEN", token)
        monkeypatch.setenv("HELIO_AT", house.server.url)
        monkeypatch.setenv("HELIO_HOME", str(tmp_path / "another"))
        code = "import os, sys; print(os.environ.get('SAID'), len(os.environ) < 20); sys.exit(7)"
        ran = told("run", "--now", "--length", "5s", "--env", "SAID=hello", "--json", "--", *PYTHON, code, code=7)
        result = msgspec.json.decode(ran)
        assert (result["state"], result["exit_code"], result["site"]) == ("failed", 7, "hub")
        kept = Path(result["receipt"])
        assert kept.is_relative_to(tmp_path / "another"), "it is here, not there"
        assert verify_receipt(kept, vkeys=home / "log" / "vkeys")
        assert told("logs", result["job"]) == "hello True\n"
        assert [msgspec.json.decode(row)["workload"] for row in told("jobs", "--json").splitlines()] == [result["job"]]
        shown = msgspec.json.decode(told("runs", "show", result["job"], "--json"))
        assert shown["workload"]["organisation"] == "lab"
        task = tmp_path / "job.json"
        task.write_text(
            '{"entrypoint": "echo $SAID $PWD", "runtime_env": {"env_vars": {"SAID": "ray"}, "working_dir": "/tmp"}}'
        )
        taken = msgspec.json.decode(told("run", "--now", "--length", "5s", "--json", "--ray", str(task)))
        assert told("logs", taken["job"]) == "ray /tmp\n"
        sent = msgspec.json.decode(told("submit", "--json", "--ray", "true", "--within", "24h", "--length", "1h"))
        assert told("cancel", sent["job"]).startswith("cancelled")
        later = msgspec.json.decode(
            told("run", "--now", "--length", "60s", "--detach", "--json", "--", *PYTHON, "import time; time.sleep(60)")
        )
        assert told("cancel", later["job"]).startswith("cancelled")
    finally:
        halt.set()
        thread.join()
    monkeypatch.delenv("HELIO_AT")
    monkeypatch.setenv("HELIO_HOME", str(home))
    assert "ann" in told("member", "list")
    told("member", "revoke", "ann")
    assert "revoked" in told("member", "list")
    assert told("refused") == "nobody was turned away\n"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_a_real_browser_a_member_signs_in_and_stops_a_job(house, members, at):
    """Browsers have rules of their own for cookies and for what they say of whose page it was."""
    from playwright.sync_api import sync_playwright

    tomorrow_s = time.time() + DAY_S
    later = {
        "not_before": from_epoch(tomorrow_s),
        "deadline": from_epoch(tomorrow_s + 36000),
        "length": Length.known(60),
    }
    job = at("cleo", "lab").submit(Submission(("true",), **later)).job
    token, faults = members("chief", "lab", Role.OPERATOR), []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(java_script_enabled=False)
        page.on("request", lambda r: None if r.url.startswith(house.server.url) else faults.append(r.url))
        page.goto(f"{house.server.url.rstrip('/')}{ROOT}/")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="true").click(timeout=60_000)
        page.get_by_role("button", name="Cancel this job").click(timeout=60_000)
        page.get_by_role("link", name="All jobs").wait_for(timeout=60_000)
        assert page.url.endswith(f"{ROOT}/runs/{job}")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token").wait_for(timeout=60_000)
        browser.close()
    assert faults == [], "it asked nobody else for anything"
    house.step_until(lambda: house.state(job) is RunState.CANCELLED)
