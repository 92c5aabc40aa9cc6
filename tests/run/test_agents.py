"""A site elsewhere: its agent is let in once, fetches work, reports it, goes on when cut off; nobody can speak for it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from itertools import count, pairwise

import aiohttp
import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from fakemachine import FakeMachine, FakeNvml
from heliotrope import fleet
from heliotrope.cli.root import helio
from heliotrope.config import AgentSettings, WebSettings
from heliotrope.errors import BadSignature, InvalidInput, StaleRequest, UnknownName, UnknownZone, UsageError
from heliotrope.model import (
    Device,
    Estimate,
    Flexibility,
    Measurement,
    PauseBy,
    Reading,
    RunState,
)
from heliotrope.run.agents import wire
from heliotrope.run.agents.house import mirror
from heliotrope.run.agents.house.belief import impossible
from heliotrope.run.agents.house.office import Office, Told
from heliotrope.run.agents.site import here, tails
from heliotrope.run.agents.wire import Join, Report, Sync, Tail
from heliotrope.run.lifecycle import Seen
from heliotrope.run.views import run_view
from heliotrope.run.working import logs, segments
from heliotrope.run.working.folder import Exit, Folder
from heliotrope.store import Store, agents, reports
from heliotrope.web import gather
from houses import Hub, told
from work_stories import work

FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
[[site]]
name = "north"
zone = "SE"
engine = "agent"
capacity = 8
devices = [{ id = "cpu", model = "any", max_w = 200 }]
"""


@pytest.fixture
def fleet_file(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


@pytest.fixture
def hub(home, fleet_file):
    made = Hub(home, fleet_file)
    yield made
    made.close()


@pytest.fixture
def agent(hub, tmp_path):
    """Starts one as a person does; every one that is started is ended."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "heliotrope", "site", "join", hub.server.url.rstrip("/"), *words],
            env=os.environ | {"HELIO_HOME": str(tmp_path / "north")},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stderr.close()


def at_north(name, code, **more):
    return work(name, code, sites=("north",), **more)


def test_work_goes_to_a_site_elsewhere_and_its_receipt_comes_back(hub, agent, tmp_path):
    agent("--token", hub.token())
    hub.controller.submit(at_north("w", "import time; t=time.time()\nwhile time.time()-t<0.6: pass"), at_once=True)
    hub.step_until(lambda: hub.state("w") is RunState.DONE)
    view = run_view(hub.controller.store, "w")
    assert view.run.site == "north"
    assert view.run.engine == "agent"
    assert view.measurement.energy_j.value > 0
    assert view.receipt
    assert (tmp_path / "north" / "runs" / "w-1" / "0" / "out.log").exists(), "it ran in the agent's home"


def test_it_pauses_goes_on_and_is_cancelled_over_there(hub, agent, tmp_path):
    agent("--token", hub.token())
    began = tmp_path / "began"
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
pathlib.Path({str(began)!r}).touch()
time.sleep(60)
"""
    flexible = Flexibility(pausable=True, pause_by=PauseBy.CHECKPOINT)
    hub.controller.submit(at_north("w", code, flexibility=flexible), at_once=True)
    hub.step_until(began.exists)
    hub.controller.cancel("w")
    hub.step_until(lambda: hub.state("w") is RunState.CANCELLED)
    assert run_view(hub.controller.store, "w").run.exit_code == 75


def test_cut_off_it_goes_on_and_tells_when_the_line_is_back(hub, agent, tmp_path):
    agent("--token", hub.token())
    began, done = tmp_path / "began", tmp_path / "done"
    code = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(1.5); pathlib.Path({str(done)!r}).touch()"
    hub.controller.submit(at_north("w", code), at_once=True)
    hub.step_until(began.exists)
    port = hub.server.url.rstrip("/").rsplit(":", 1)[1]
    hub.cut()
    deadline = time.monotonic() + 20
    while not done.exists():
        assert time.monotonic() < deadline
        hub.controller.step()
        time.sleep(0.05)
    assert hub.state("w") in {RunState.STARTING, RunState.RUNNING}
    hub.house.settings = msgspec.structs.replace(hub.settings, web=WebSettings(port=int(port)))
    hub.open()
    hub.step_until(lambda: hub.state("w") is RunState.DONE)
    assert len(run_view(hub.controller.store, "w").attempts) == 1


@pytest.mark.slow
def test_an_agent_that_is_killed_goes_on_where_it_was(hub, agent, tmp_path):
    log = tmp_path / "effects"
    first = agent("--token", hub.token())
    hub.step_until((tmp_path / "north" / "agent.json").exists)
    code = f"import time; time.sleep(0.8); open({str(log)!r}, 'a').write('x')"
    for i in range(6):
        hub.controller.submit(at_north(f"w{i}", code), at_once=True)
    for _ in range(5):
        before = time.monotonic()
        pause_s = random.uniform(0.1, 1.5)
        hub.step_until(lambda before=before, pause_s=pause_s: time.monotonic() - before > pause_s)
        first.kill()
        first.wait(10)
        first = agent()
    hub.step_until(lambda: all(hub.state(f"w{i}") is RunState.DONE for i in range(6)), within_s=60)
    assert log.read_text() == "x" * 6
    assert all(len(run_view(hub.controller.store, f"w{i}").attempts) == 1 for i in range(6))


class BadLine:
    """Between agent and house: it loses requests, loses answers, says things twice, and some again much later."""

    def __init__(self, hub, seed):
        self.hub, self.draw, self.did = hub, random.Random(seed), Counter()
        self.session = self.runner = None
        self.late = set()
        self.url = self.call(self.begin())

    def call(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.hub.loop).result(20)

    async def begin(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{path:.*}", self.pass_on)
        self.session = aiohttp.ClientSession(self.hub.server.url)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    async def pass_on(self, request):
        body, kept = await request.read(), {wire.SIGNATURE: request.headers.get(wire.SIGNATURE, "")}

        async def say(wait_s=0.0):
            await asyncio.sleep(wait_s)
            async with self.session.post(request.path, data=body, headers=kept) as answer:
                return answer.status, await answer.read(), answer.headers

        fate = self.draw.choice(["lose", "lose answer", "twice", "late", "pass", "pass"])
        if request.path == wire.JOIN:
            fate = "pass"
        self.did[fate] += 1
        if fate == "lose":
            return web.Response(status=502)
        if fate == "late":
            self.late.add(asyncio.ensure_future(say(self.draw.uniform(0.2, 1.5))))
        if fate == "twice":
            await say()
        status, said, headers = await say()
        if fate == "lose answer":
            return web.Response(status=502)
        told = {name: headers[name] for name in (wire.LAST,) if name in headers}
        return web.Response(status=status, body=said, headers=told)

    async def end(self):
        await asyncio.gather(*self.late)
        await self.session.close()
        await self.runner.cleanup()


def test_over_a_line_that_loses_doubles_and_delays_each_is_done_once(hub, tmp_path):
    line, log = BadLine(hub, seed=7), tmp_path / "effects"
    process = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "site", "join", line.url, "--token", hub.token()],
        env=os.environ | {"HELIO_HOME": str(tmp_path / "north")},
    )
    try:
        code = f"import time; time.sleep(0.3); open({str(log)!r}, 'a').write('x')"
        for i in range(6):
            hub.controller.submit(at_north(f"w{i}", code), at_once=True)
            before = time.monotonic()
            hub.step_until(lambda before=before: time.monotonic() - before > 0.3)
        hub.step_until(lambda: all(hub.state(f"w{i}") is RunState.DONE for i in range(6)), within_s=60)
        hub.step_until(lambda: len(line.did) == 5, within_s=60)
    finally:
        process.terminate()
        process.wait(20)
        line.call(line.end())
    assert log.read_text() == "x" * 6
    views = [run_view(hub.controller.store, f"w{i}") for i in range(6)]
    assert [len(view.attempts) for view in views] == [1] * 6
    assert all(view.measurement is not None and view.receipt for view in views)


def test_cut_off_for_longer_than_its_lease_it_ends_what_it_runs(home, fleet_file, tmp_path, monkeypatch):
    hub = Hub(home, fleet_file, lease_s=1.0)
    try:
        began = tmp_path / "began"
        process = subprocess.Popen(
            [sys.executable, "-m", "heliotrope", "site", "join", hub.server.url.rstrip("/"), "--token", hub.token()],
            env=os.environ | {"HELIO_HOME": str(tmp_path / "north")},
        )
        code = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(60)"
        hub.controller.submit(at_north("w", code, max_attempts=1), at_once=True)
        hub.step_until(began.exists)
        hub.cut()
        over = tmp_path / "north" / "runs" / "w-1" / "0" / "exit.json"
        deadline = time.monotonic() + 30
        while not over.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # By its own clock the office may take it for gone only later than that.
        monkeypatch.setattr("heliotrope.run.engines.agent.MARGIN_S", 1.0)
        hub.step_until(lambda: hub.state("w") is RunState.FAILED)
        assert "vanished" in run_view(hub.controller.store, "w").run.reason
    finally:
        process.terminate()
        process.wait(20)
        hub.open()
        hub.close()


def test_an_agent_that_is_killed_for_good_leaves_nothing_running(home, fleet_file, tmp_path, monkeypatch):
    """Its warden ends what it began, when its lease is over and before it is begun elsewhere."""
    hub = Hub(home, fleet_file, lease_s=2.0)
    process = subprocess.Popen(
        [sys.executable, "-m", "heliotrope", "site", "join", hub.server.url.rstrip("/"), "--token", hub.token()],
        env=os.environ | {"HELIO_HOME": str(tmp_path / "north")},
    )
    try:
        began = tmp_path / "began"
        code = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(600)"
        hub.controller.submit(at_north("w", code, max_attempts=1), at_once=True)
        hub.step_until(began.exists)
        process.kill()
        process.wait(20)
        ended = Folder(tmp_path / "north" / "runs" / "w-1" / "0")
        deadline = time.monotonic() + 60
        while ended.exit is None:
            assert not hub.state("w").ended, "nobody gives it up before"
            assert time.monotonic() < deadline
            hub.controller.step()
            time.sleep(0.05)
        assert ended.exit.code == -signal.SIGTERM, "it was asked to save"
        monkeypatch.setattr("heliotrope.run.engines.agent.MARGIN_S", 0.0)
        hub.step_until(lambda: hub.state("w") is RunState.FAILED)
    finally:
        process.kill()
        hub.close()


# Who may speak


class Site:
    """An agent's hand without an agent: says whatever a test wants said."""

    def __init__(self, office, token, now_s=None):
        self.office, self.key, self.number = office, SigningKey.generate(), 0
        self.now_s = time.time() if now_s is None else now_s
        public = wire.b64encode(bytes(self.key.verify_key)).decode()
        self.met = office.join(msgspec.json.encode(Join(token, public)), self.now_s)

    def sync(self, *reports, number=None, site="north", at_s=None, tails=(), life=""):
        self.number += 1
        body = msgspec.json.encode(Sync(site, number or self.number, at_s or time.time(), reports, tails, life))
        return told(self.office, body, wire.signed(bytes(self.key), body), time.time())


def test_what_an_agent_says_is_kept_up_to_a_length(hub):
    """Else whoever is let in could fill the house, a heartbeat at a time."""
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    (errand,) = site.sync().errands
    for _ in range(2):
        site.sync(Report(errand.name, Seen.QUEUED, "no room " * 100_000))
    with hub.controller.store.read() as tx:
        assert agents.standing(tx, errand.name).why == ("no room " * 125)
    for life, number in (("x" * 65, None), ("x", 1 << 63)):
        with pytest.raises(InvalidInput, match="not a sync request"):
            site.sync(life=life, number=number)


def test_a_token_lets_one_in_once(hub):
    token = hub.token()
    Site(hub.house.office, token)
    for wrong in (token, "helio-guess", ""):
        with pytest.raises(BadSignature, match="lets nobody in"):
            Site(hub.house.office, wrong)
    late = hub.house.office.token("north", valid_s=-1, now_s=time.time())
    with pytest.raises(BadSignature):
        Site(hub.house.office, late)
    with pytest.raises(UnknownName, match="no site called hub is reached by an agent"):
        hub.house.office.token("hub", valid_s=60, now_s=0)
    told = hub.refused()
    assert "shown again, or too late" in told["join", "north"].why, "whoever stole a token is told of"
    assert told["join", "north"].times == 2
    assert told["join", ""].times == 2, "guesses"


def test_a_new_agent_of_a_site_shuts_the_old_one_out(hub):
    old = Site(hub.house.office, hub.token())
    old.sync()
    new = Site(hub.house.office, hub.token())
    with pytest.raises(BadSignature):
        old.sync()
    new.sync()


def test_nobody_speaks_for_another_and_nothing_is_heard_twice(hub):
    site = Site(hub.house.office, hub.token())
    site.sync(number=10)
    for stale in (10, 3):
        with pytest.raises(StaleRequest):
            site.sync(number=stale)
    with pytest.raises(BadSignature, match="no agent of south"):
        site.sync(site="south", number=11)
    body = msgspec.json.encode(Sync("north", 12, 0.0))
    for signature in ("", "AAAA", "not base64!", wire.signed(bytes(SigningKey.generate()), body)):
        with pytest.raises(BadSignature):
            told(hub.house.office, body, signature, time.time())


def test_what_one_controller_heard_changes_nothing_at_another(hub):
    """Of two houses over one store; whoever kept an agent's words cannot say them to the other."""
    one, other = hub.house.office, Office(hub.house.store, hub.house.fleet, hub.settings.agents)
    site = Site(one, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    (errand,) = site.sync(number=1).errands
    kept = msgspec.json.encode(Sync("north", 3, time.time(), (Report(errand.name, Seen.GONE),)))
    early = msgspec.json.encode(Sync("north", 2, time.time()))
    told(other, early, wire.signed(bytes(site.key), early), time.time())
    site.sync(Report(errand.name, Seen.ALIVE), number=4)
    with pytest.raises(StaleRequest):
        told(other, kept, wire.signed(bytes(site.key), kept), time.time())
    with hub.controller.store.read() as tx:
        assert agents.standing(tx, errand.name).seen == Seen.ALIVE


def test_a_key_that_speaks_from_two_places_speaks_no_more(hub):
    """Whoever copied an agent's home cannot be told from the agent: both are shut out until a token says who is right."""
    token = hub.token()
    site = Site(hub.house.office, token)
    for life in ("first", "first", "restarted"):
        site.sync(life=life)
    with pytest.raises(BadSignature, match="two agents speak with one key"):
        site.sync(life="first")
    with pytest.raises(BadSignature, match="no agent of north was let in"):
        site.sync(life="restarted")
    assert "two agents" in hub.refused()["speak for a site", "north"].why
    Site(hub.house.office, hub.token()).sync(life="first")


def test_what_another_agent_may_have_begun_is_not_begun_twice(hub, monkeypatch):
    """An agent that takes another's place is not given what that one was told of, until its lease is over."""
    old = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    (errand,) = old.sync().errands
    assert not errand.held
    new = Site(hub.house.office, hub.token())
    (errand,) = new.sync().errands
    assert errand.held
    new.sync(Report(errand.name, Seen.ABSENT))
    hub.controller.step()
    assert hub.state("w") is RunState.STARTING
    monkeypatch.setattr("heliotrope.run.engines.agent.MARGIN_S", -3600.0)
    hub.step_until(lambda: len(run_view(hub.controller.store, "w").attempts) == 2)
    assert run_view(hub.controller.store, "w").attempts[0].state is RunState.LOST


def test_an_answer_that_was_lost_on_its_way_is_given_again(hub):
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    assert [errand.held for _ in range(3) for errand in site.sync().errands] == [False] * 3
    (errand,) = site.sync(Report("w-1/0", Seen.ALIVE)).errands
    assert errand.held, "from now on it is there"


def test_two_agents_do_not_share_a_home(hub, agent, tmp_path):
    agent("--token", hub.token())
    hub.step_until((tmp_path / "north" / "agent.lock").exists)
    second = agent()
    assert second.wait(30) == 1
    assert "another agent runs in" in second.stderr.read()


# What it says


def test_output_comes_when_it_is_asked_for_and_not_before(hub, agent, tmp_path):
    agent("--token", hub.token())
    hub.controller.submit(at_north("w", "print('grüße ' * 3)"), at_once=True)
    hub.step_until(lambda: hub.state("w") is RunState.DONE)
    (piece,) = segments.of(hub.controller.store, "w-1")
    assert (piece.size, piece.exit.code) == (0, 0), "it ended, and nobody asked what it said"
    pieces = []
    ask = lambda after: logs.read(hub.controller.store, "w", after)  # noqa: E731
    said = logs.follow(ask, lambda piece: pieces.append(piece.text), to_its_end=True, patience_s=30)
    assert "".join(pieces) == "grüße " * 3 + "\n"
    assert (said.complete, said.over, said.site) == (True, True, "north")
    hub.cut()
    time.sleep(0.2)
    old = logs.read(hub.controller.store, "w", 0)
    assert old.age_s > 0.1
    assert old.text == "grüße " * 3 + "\n", "as it was when the line was cut"
    page = gather.output(hub.house, run_view(hub.controller.store, "w").run)
    assert page == ("grüße " * 3, "the end of its own output"), "its page shows it too"


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """Where pieces of output are kept, of each example under a name of its own."""
    store = Store(tmp_path_factory.mktemp("laid") / "helio.db")
    yield store, count()
    store.close()


@settings(max_examples=25)
@given(
    said=st.binary(max_size=300),
    pieces=st.lists(st.tuples(st.integers(0, 299), st.integers(1, 120)), max_size=12),
    look=st.tuples(st.integers(0, 400), st.integers(1, 400)),
)
def test_pieces_of_output_come_twice_late_and_with_gaps_and_lie_in_order(laid, said, pieces, look):
    """Whatever of it arrives: what is kept is the output in its order, each gap named with its length."""
    store, number = laid
    name = f"w{next(number)}-1/0"
    at = 0
    expected = b""
    with store.write() as tx:
        for start, length in pieces:
            piece = said[start : start + length]
            mirror.lay(tx, Tail(name, start, len(said), piece), 0.0)
            fresh = piece[max(0, at - start) :]
            if fresh:
                begin = max(start, at)
                expected += (f"\n[{begin - at} bytes left out]\n".encode() if begin > at else b"") + fresh
                at = begin + len(fresh)
        assert reports.said(tx, name, 0, 1 << 20) == expected
        start, most = look
        assert reports.said(tx, name, start, most) == expected[start : start + most], "any part of it, as of a file"
        kept = reports.output(tx, name)
    assert (kept.kept, kept.next) == (len(expected), at)


def test_what_nobody_asked_for_is_not_kept_nor_what_leads_elsewhere(hub, tmp_path):
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    site.sync()
    for name in ("w-1/0", "w-2/0", "../../w"):
        site.sync(tails=(Tail(name, 0, 4, b"said"),))
    with hub.controller.store.read() as tx:
        assert tx.one("SELECT count(*) FROM output")[0] == tx.one("SELECT count(*) FROM output_piece")[0] == 0
    for name in ("../x", "w/..", "a/b/c", "w", "/etc", "", "w-1/0\0"):
        with pytest.raises(InvalidInput, match="not an errand's name"):
            tails.folder_at(tmp_path, name)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fall_over(data):
    for kind in (Join, Sync):
        try:
            told = wire.decoded(data, kind)
        except InvalidInput as error:
            told = error
        assert isinstance(told, kind) or str(told).startswith(f"not a {kind.__name__.lower()} request")


def measured(watts, seconds=10.0, start_s=None):
    start_s = time.time() - seconds if start_s is None else start_s
    return Measurement("w", start_s, start_s + seconds, seconds, Estimate.exact(watts * seconds))


def test_readings_that_its_devices_could_not_have_made_are_refused(hub):
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    (errand,) = site.sync().errands
    assert errand.task.command == at_north("w", "pass").command
    site.sync(Report(errand.name, Seen.EXITED, "", Exit(0, time.time()), measured(5000.0, seconds=1.0)))
    hub.step_until(lambda: hub.state("w") is RunState.DONE)
    view = run_view(hub.controller.store, "w")
    assert view.footprint is None
    why = next(event.text for event in view.events if event.name == "not measured")
    assert "north: 5000 W on average, and its devices draw 250 W at most" in why


def test_a_clock_that_is_wrong_bills_the_right_hours(hub):
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    (errand,) = site.sync(at_s=time.time() + 7200).errands
    ahead = measured(20.0, seconds=1.0, start_s=time.time() + 7199)
    site.sync(Report(errand.name, Seen.EXITED, "", Exit(0, time.time() + 7200), ahead), at_s=time.time() + 7200)
    hub.step_until(lambda: hub.state("w") is RunState.DONE)
    view = run_view(hub.controller.store, "w")
    assert abs(view.measurement.end_s - time.time()) < 60
    assert any("the clock of north was +7200 s off" in flag for flag in view.measurement.flags)


HANDED_S, NOW_S = 1_000_000.0, 1_003_600.0


def of_an_hour(watts, seconds=10.0, start_s=HANDED_S, reading_s=None):
    found = measured(watts, seconds, start_s)
    at_s = start_s if reading_s is None else reading_s
    return msgspec.structs.replace(found, readings=(Reading("rapl", "package", at_s, at_s + 1.0, 1.0),))


@pytest.mark.parametrize(
    ("measurement", "told"),
    [
        (of_an_hour(-1.0), "below nothing"),
        (of_an_hour(10.0, seconds=5000), "it ran for 5000 s, 3600 s after"),
        (of_an_hour(10.0, seconds=-5), "ended before it began"),
        (of_an_hour(300.0), "300 W on average"),
        (of_an_hour(10.0, start_s=HANDED_S - 7200), "before it was handed out"),
        (of_an_hour(10.0, start_s=NOW_S + 7200), "still to come"),
        (of_an_hour(10.0, start_s=1e300), "still to come"),
        (of_an_hour(10.0, reading_s=HANDED_S - 7200), "hours in which it did not run"),
        (of_an_hour(10.0, reading_s=NOW_S + 7200), "hours in which it did not run"),
        (of_an_hour(240.0), ""),
        (of_an_hour(240.0, seconds=3600), ""),
    ],
)
def test_what_is_believed(measurement, told):
    """Watts that its devices draw, in the hours that it had: else grams could be put where the grid is clean."""
    found = impossible(measurement, (Device("c", "any", max_w=200.0),), HANDED_S, NOW_S)
    assert told in found
    assert bool(told) == bool(found)


def test_what_was_not_fetched_is_taken_back(hub):
    site = Site(hub.house.office, hub.token())
    hub.controller.submit(at_north("w", "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    assert hub.state("w") is RunState.STARTING
    hub.controller.cancel("w")
    hub.step_until(lambda: hub.state("w") is RunState.CANCELLED)
    assert site.sync().errands == ()


def test_what_is_taken_back_while_its_agent_asks_is_not_handed_out(hub, monkeypatch):
    """Else it would be begun there, and again elsewhere."""
    site = Site(hub.house.office, hub.token())
    for name in ("v", "w"):
        hub.controller.submit(at_north(name, "pass"), at_once=True)
    hub.controller.lead()
    hub.controller.step()
    store, write, taken = hub.house.store, hub.house.store.write, []

    def slower():
        if not taken:
            with write() as tx:
                taken.append(agents.take_back(tx, "w-1/0"))
        return write()

    monkeypatch.setattr(store, "write", slower)
    assert [errand.name for errand in site.sync().errands] == ["v-1/0"]
    assert taken == [True]
    with store.read() as tx:
        assert agents.standing(tx, "w-1/0").sent_s is None
        assert agents.standing(tx, "v-1/0").sent_s is not None


def test_over_http_a_stranger_is_told_no_and_a_garbled_request_what_is_wrong(hub):
    def post(path, body):
        request = urllib.request.Request(hub.server.url.rstrip("/") + path, data=body)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            return answer.code, answer.read().decode()

    assert post(wire.JOIN, b'{"token": "x", "key": "' + wire.b64encode(bytes(32)) + b'"}')[0] == 403
    assert post(wire.JOIN, b"{")[0] == 400
    assert post(wire.SYNC, json.dumps({"site": "north", "number": 1, "at_s": 1.0}).encode())[0] == 403


def test_a_site_describes_itself(tmp_path):
    told = CliRunner().invoke(helio, ["site", "init", "--name", "attic", "--zone", "NL", "--home", str(tmp_path)])
    assert told.exit_code == 0, told.output
    path = tmp_path / "fleet.toml"
    path.write_text(told.stdout)
    site = fleet.load(path).site("attic")
    assert (site.zone, site.jurisdiction, site.engine) == ("NL", "EU", "agent")
    assert site.devices[0].max_w > site.devices[0].idle_w > 0
    # What holds until somebody says otherwise may be said as it stands.
    said = "\n".join(line.removeprefix("# ") for line in told.stdout.splitlines() if "?" not in line and " = " in line)
    path.write_text("[[site]]\n" + said.partition("[[site.devices]]")[0].partition("\nid = ")[0])
    assert fleet.load(path).site("attic").jurisdiction == "EU"
    wrong = CliRunner().invoke(helio, ["site", "init", "--zone", "DEE", "--home", str(tmp_path)])
    assert isinstance(wrong.exception, UnknownZone)


class Limited(FakeNvml):
    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle):  # noqa: N802
        return 100_000, int(self._gpu(handle, "limit_w") * 1000)


def test_accelerators_are_found_alike_ones_together(tmp_path):
    """Else a reading of theirs would be more than its devices could have drawn."""
    many = [{"name": "NVIDIA H100", "limit_w": 700.0}] * 2 + [{"name": b"NVIDIA L4", "limit_w": 72.0}, {"name": "dumb"}]
    library = Limited(*many)
    cpu, *gpus = here.found(FakeMachine(tmp_path).system, library)
    assert cpu.kind == "cpu"
    assert [(gpu.model, gpu.count) for gpu in gpus] == [("NVIDIA H100", 2), ("NVIDIA L4", 1)]
    assert all(gpu.max_w >= limit_w for gpu, limit_w in zip(gpus, (700.0, 72.0), strict=True))


def test_of_a_cluster_behind_an_agent_this_machine_says_no_devices():
    assert here.this_site("DE", "slurm", ("partition=green",)).devices == ()
    assert here.this_site("DE").devices != ()


def test_an_agent_takes_no_home_of_a_house(hub, home):
    told = CliRunner().invoke(helio, ["site", "join", "http://localhost:1", "--home", str(home)])
    assert isinstance(told.exception, UsageError)
    assert "the home of a house" in str(told.exception)


def test_whoever_keeps_the_house_shuts_an_agent_out(hub, home, fleet_file):
    site = Site(hub.house.office, hub.token())
    site.sync()

    def told(*words):
        done = CliRunner().invoke(helio, ["site", *words, "--home", str(home)])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert told("agents").splitlines()[1].endswith("yes")
    assert told("shut-out", "north", "--fleet", str(fleet_file)).startswith("north: shut out")
    assert "no: shut out" in told("agents")
    hub.house.office._agents.clear()
    with pytest.raises(BadSignature, match="no agent of north"):
        site.sync()


# Many at once


WORDS = st.tuples(
    st.sampled_from(("east", "west", "nobody")),
    st.integers(1, 5),
    st.sampled_from(("own", "own", "own", "another's")),
    st.sampled_from((None, Seen.ALIVE, Seen.QUEUED, Seen.ABSENT, Seen.EXITED, Seen.GONE)),
    st.sampled_from(("east-1/0", "west-1/0")),
)


@pytest.fixture(scope="module")
def keys():
    return {site: SigningKey.generate() for site in ("east", "west", "nobody")}


@pytest.fixture
def offices(tmp_path_factory, keys):
    """Two that know the same, each with a store of its own; as often as one asks."""
    opened = []

    def make():
        for _ in range(2):
            store = Store(tmp_path_factory.mktemp("office") / "helio.db")
            opened.append(store)
            with store.write() as tx:
                for site in ("east", "west"):
                    key = wire.b64encode(bytes(keys[site].verify_key)).decode()
                    agents.put_agent(tx, agents.Agent(site, key, (), 60.0, 0, 0.0))
                    agents.add_errand(tx, f"{site}-1/0", site, '{"cpus":1}', "run")
            yield Office(store, fleet.Fleet((), home=""), AgentSettings())

    yield make
    for store in opened:
        store.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(WORDS, min_size=1, max_size=8), cuts=st.lists(st.integers(0, 8), max_size=2))
def test_those_who_come_together_are_answered_as_if_they_came_one_by_one(offices, keys, said, cuts):
    """Whoever they are, whatever they say, in whatever handfuls: the same answers, and the same is true afterwards."""
    told = []
    for site, number, key, seen, name in said:
        end = Exit(0, 50.0) if seen is Seen.EXITED else None
        reports_ = () if seen is None else (Report(name, seen, "", end),)
        body = msgspec.json.encode(Sync(site, number, 100.0, reports_))
        signer = keys[site if key == "own" else "nobody"]
        told.append(Told(body, wire.signed(bytes(signer), body)))
    together, single = offices()
    edges = [0, *sorted(min(cut, len(told)) for cut in cuts), len(told)]
    many = [answer for a, b in pairwise(edges) for answer in together.sync_all(told[a:b], 100.0)]
    one_by_one = [answer for one in told for answer in single.sync_all([one], 100.0)]
    assert list(map(shown, many)) == list(map(shown, one_by_one))
    assert kept(together.store) == kept(single.store)


def shown(answer):
    return answer if isinstance(answer, bytes) else (type(answer), str(answer))


def kept(store):
    with store.read() as tx:
        return [
            [tuple(row) for row in tx.all(sql)]
            for sql in ("SELECT * FROM errand ORDER BY name", "SELECT * FROM ending ORDER BY name")
        ]
