"""States on their way between a site and the house: whole, resumed, checked, and nobody else's."""

from __future__ import annotations

import os
import shutil
import time
from types import SimpleNamespace

import msgspec
import pytest
from nacl.signing import SigningKey

from heliotrope.checkpoint.manifest import Entry, Manifest, name_of, survey
from heliotrope.errors import BadSignature, EngineError, InvalidInput, NotAllowed, ProviderDown, StaleRequest
from heliotrope.model import DataNeed, Run, RunState
from heliotrope.run.agents import wire
from heliotrope.run.agents.site.porter import Porter
from heliotrope.run.agents.wire import Act, Ask, Came, Errand, Join, Missing, Wish
from heliotrope.run.engines.protocol import Task
from heliotrope.run.working.meeting import Meeting
from heliotrope.run.working.moving import Journey, far, note_of, state_folder
from heliotrope.store import agents
from heliotrope.units import from_epoch
from houses import Hub
from work_stories import work

FLEET = """
home = "hub"
[[site]]
name = "hub"
zone = "DE"
jurisdiction = "EU"
[[site]]
name = "north"
zone = "SE"
jurisdiction = "EU"
engine = "agent"
[[site]]
name = "south"
zone = "ES"
jurisdiction = "EU"
engine = "agent"
[[site]]
name = "abroad"
zone = "US-CAL-CISO"
jurisdiction = "US"
engine = "agent"
"""
CHUNK = 1000
FULL = SimpleNamespace(total=1, used=1, free=0)


class Hand:
    """A site's key and number, and words straight to the house: what a line carries, without a line.

    `breaks`: after so many words more, none comes through.
    """

    def __init__(self, hub, site):
        self.states, self.site, self.key, self.number = hub.house.states, site, SigningKey.generate(), 0
        self.breaks, self.said = None, []
        self.member = self
        token = hub.house.office.token(site, valid_s=60, now_s=time.time())
        public = wire.b64encode(bytes(self.key.verify_key)).decode()
        hub.house.office.join(msgspec.json.encode(Join(token, public)), time.time())

    def ask(self, errand, act, digest, data=b"", *, stop=lambda: False, number=None, site=None):
        if self.breaks is not None:
            self.breaks -= 1
            if self.breaks < 0:
                raise ProviderDown("cut off")
        self.number += 1
        line = msgspec.json.encode(Ask(site or self.site, number or self.number, errand, act, digest))
        self.said.append(act)
        return self.states.take(line + b"\n" + data, wire.signed(bytes(self.key), line), time.time())


class House:
    """A hub with one work that ran in the north and is to go on in the south, both as far as their hands."""

    def __init__(self, hub, folder, workload):
        self.hub, self.folder, self.mover = hub, folder, hub.controller.mover
        self.fleet = hub.controller.fleet
        hub.controller.submit(workload)
        self.workload = workload
        self.porters = {}
        self.hands = {site: Hand(hub, site) for site in ("north", "south", "abroad")}
        for site in self.hands:
            self.restart(site)

    def restart(self, site):
        """As after a kill: what it has on its disk is all that it knows."""
        self.porters[site] = Porter(self.folder / site, self.hands[site])

    def journey(self, run="w-2", left_by="w-1", origin="north", target="south"):
        return Journey(run, left_by, self.workload, self.fleet.site(origin), self.fleet.site(target), "hub")

    def run(self, attempt, site):
        return Run(
            f"w-{attempt}",
            "w",
            RunState.LOST,
            from_epoch(time.time()),
            attempt=attempt,
            site=site,
            handle=f"w-{attempt}/0",
        )

    def saved(self, site):
        return self.folder / site / "checkpoints" / "w"

    def errand(self, name):
        with self.hub.controller.store.read() as tx:
            found = agents.errand(tx, name)
        return Errand(found.name, Wish(found.wish), msgspec.json.decode(found.task, type=Task))

    def wanted(self, journey):
        """The errand of whoever has the state."""
        self.mover.carry(journey)
        return self.errand(f"{journey.left_by}/state")

    def begun(self, journey):
        """The errand of whoever goes on with it."""
        assert self.mover.arrived(journey)
        self.mover.depart(journey)
        handle = str(self.hub.house.home / "runs" / journey.run / "0")
        saved = str(state_folder(self.hub.house.home, journey.target.name, "w"))
        left = self.mover.left(journey.run, journey.target)
        task = Task(handle, ("true",), "/", {}, saved, 1.0, site=journey.target.name, left=left)
        far(journey.target).launch(task)
        return self.errand(f"{journey.run}/0")

    def send(self, errand, site="north"):
        self._do(lambda: self.porters[site].send(errand), lambda: self.porters[site].report(errand).exit)

    def fetch(self, errand, site="south"):
        self._do(lambda: None, lambda: self.porters[site].fetched(errand))

    def _do(self, act, is_done):
        deadline = time.monotonic() + 60
        while not is_done():
            assert time.monotonic() < deadline
            act()
            time.sleep(0.005)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("heliotrope.checkpoint.manifest.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("heliotrope.run.agents.house.states.CHUNK_BYTES", CHUNK)
    monkeypatch.setattr("heliotrope.run.working.ways.PATIENCE_S", 0.02)


@pytest.fixture
def hub(home, tmp_path):
    (tmp_path / "fleet.toml").write_text(FLEET)
    made = Hub(home, tmp_path / "fleet.toml")
    yield made
    made.close()


@pytest.fixture
def house(hub, tmp_path, small):
    made = House(hub, tmp_path, work("w", sites=("north",), data=(DataNeed("patients", jurisdictions=("EU",)),)))
    yield made
    for porter in made.porters.values():
        porter.close()


def laid(folder, **files):
    for name, data in files.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_line_that_breaks_at_every_word_sends_each_piece_once(house):
    """The agent is killed and begun again after each word that came through, there and at the other end."""
    files = {"weights": os.urandom(5 * CHUNK + 17), "frozen": b"same" * CHUNK}
    laid(house.saved("north"), **files)
    pieces = len(survey(house.saved("north"))[0].sizes)
    journey = house.journey()
    errand, north = house.wanted(journey), house.hands["north"]
    while not house.porters["north"].report(errand).exit:
        north.breaks = 2  # the offer, and one piece
        _try(lambda: house.porters["north"].send(errand), house.porters["north"])
        house.restart("north")
    assert north.said.count(Act.PUT) == pieces
    assert not house.mover.arrived(house.journey(left_by="w-7")), "the state of that attempt alone"
    there, south = house.begun(journey), house.hands["south"]
    while True:
        south.breaks = 3  # the manifest, what is missing, and one piece
        if _try(lambda: house.porters["south"].fetched(there), house.porters["south"]):
            break
        house.restart("south")
    assert held(house.saved("south")) == files
    assert south.said.count(Act.GET) - _tries(south) == pieces
    way = note_of(house.hub.house.home / "runs" / "w-2")
    size = survey(house.saved("north"))[0]
    assert (way.up_bytes, way.sent_bytes, way.whole_bytes) == (*2 * (sum(size.sizes.values()),), size.whole_bytes)
    assert way.ended_s is not None
    assert house.mover.missed(journey) == ""
    assert house.mover.left("w-2", house.fleet.site("south")) is None, "it has what it waited for"


def _tries(hand):
    """Each asks for the manifest first."""
    return hand.said.count(Act.CAME) - 1


def _try(act, porter):
    """Until that way has ended or broken, whichever comes first."""
    try:
        done = act()
    except EngineError:
        return False
    for way in list(porter._ways._under_way.values()):
        way.join()
    return done


def _broken(act):
    """What is said once a way broke."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            act()
        except EngineError as error:
            return error
        time.sleep(0.005)
    raise AssertionError("it did not break")


def test_only_what_changed_goes_on_the_way_back(house):
    files = {"weights": b"1" * 3 * CHUNK, "frozen": os.urandom(4 * CHUNK)}
    laid(house.saved("north"), **files)
    journey = house.journey()
    house.send(house.wanted(journey))
    house.fetch(house.begun(journey))
    laid(house.saved("south"), weights=b"2" * CHUNK)
    back = house.journey("w-3", "w-2", "south", "north")
    house.send(house.wanted(back), "south")
    house.fetch(house.begun(back), "north")
    assert held(house.saved("north")) == {"weights": b"2" * CHUNK, "frozen": files["frozen"]}
    way = note_of(house.hub.house.home / "runs" / "w-3")
    assert (way.up_bytes, way.sent_bytes, way.whole_bytes) == (CHUNK, CHUNK, 5 * CHUNK)
    assert house.hands["south"].said.count(Act.PUT) == 1


def test_between_an_agent_and_a_folder_here_it_goes_both_ways(house):
    files = {"weights": os.urandom(2 * CHUNK)}
    laid(house.saved("north"), **files)
    here = house.journey(target="hub")
    house.send(house.wanted(here))
    _until_arrived(house, here)
    mine = state_folder(house.hub.house.home, "hub", "w")
    assert held(mine) == files
    way = note_of(house.hub.house.home / "runs" / "w-2")
    assert (way.sent_bytes, way.up_bytes, way.via) == (2 * CHUNK, 0, ""), "it came over one link"
    laid(mine, weights=b"on")
    there = house.journey("w-3", "w-2", "hub", "south")
    _until_arrived(house, there)
    house.fetch(house.begun(there))
    assert held(house.saved("south")) == {"weights": b"on"}
    assert note_of(house.hub.house.home / "runs" / "w-3").sent_bytes == 2


def _until_arrived(house, journey):
    deadline = time.monotonic() + 60
    while not house.mover.arrived(journey):
        assert time.monotonic() < deadline
        house.mover.carry(journey)
        time.sleep(0.005)


def test_what_was_never_saved_is_begun_anew(house):
    journey = house.journey()
    house.send(house.wanted(journey))
    assert house.mover.arrived(journey)
    assert house.mover.missed(journey) == "nothing of w-1 came from north: begins anew"
    assert house.begun(journey).task.left is None
    assert note_of(house.hub.house.home / "runs" / "w-2") is None, "nothing came, nothing is charged"


# Who may


def test_bytes_that_are_not_what_they_are_called_are_refused(house):
    laid(house.saved("north"), weights=b"right" * 30)
    name = house.wanted(house.journey()).name
    found, spots = survey(house.saved("north"))
    north, data = house.hands["north"], found.encoded()
    (piece,) = spots
    with pytest.raises(InvalidInput, match="no state that was offered"):
        north.ask(name, Act.PUT, piece, b"right" * 30)
    assert msgspec.json.decode(north.ask(name, Act.OFFER, name_of(data), data), type=Missing).names == (piece,)
    with pytest.raises(InvalidInput, match="not what they are called"):
        north.ask(name, Act.PUT, piece, b"wrong" * 30)
    with pytest.raises(InvalidInput, match="no state that was offered"):
        north.ask(name, Act.PUT, name_of(b"more"), b"more")
    assert msgspec.json.decode(north.ask(name, Act.OFFER, name_of(data), data), type=Missing).names == (piece,)
    assert not house.mover.arrived(house.journey())


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (Manifest((Entry("../x", 0o644, ("a" * 64,)),), {"a" * 64: 9}), "outside"),
        (Manifest((Entry("x", 0o644, ("../../x",)),), {"../../x": 9}), "other names"),
        (Manifest((Entry("x", 0o644, ("a" * 64,)),), {"a" * 64: CHUNK + 1}), "another size"),
        (Manifest((Entry("x", 0o644, ("a" * 64,)),), {"a" * 64: 0}), "another size"),
        (Manifest((Entry("x", 0o644, ("a" * 64,)),), {"a" * 64: 9, "b" * 64: 9}), "of no file"),
        (Manifest((Entry("x", 0o644, ("a" * 64,) * 2000),), {"a" * 64: CHUNK}), "too large"),
    ],
)
def test_an_offer_that_nobody_should_take_is_refused(house, offer, said):
    house.hub.house.states.settings = msgspec.structs.replace(house.hub.settings.agents, state_bytes=1_000_000)
    errand, data = house.wanted(house.journey()), offer.encoded()
    with pytest.raises(InvalidInput, match=said):
        house.hands["north"].ask(errand.name, Act.OFFER, name_of(data), data)
    assert Meeting(house.hub.house.home, "w").coming is None


def test_no_site_reaches_what_is_anothers(house):
    """Not by its own name, not by another's, not by saying again what was said; and the house is told."""
    laid(house.saved("north"), weights=b"secret")
    journey = house.journey()
    sends = house.wanted(journey)
    house.send(sends)
    fetches = house.begun(journey)
    digest = Meeting(house.hub.house.home, "w").laid.digest
    north, south, abroad = (house.hands[site] for site in ("north", "south", "abroad"))
    for thief in (abroad, north):
        with pytest.raises(NotAllowed, match="has no errand called"):
            thief.ask(fetches.name, Act.GET, digest)
    for errand in ("w-9/0", "../w-2/0"):
        with pytest.raises(NotAllowed):
            south.ask(errand, Act.GET, digest)
    with pytest.raises(BadSignature):
        abroad.ask(fetches.name, Act.GET, digest, site="south")
    with pytest.raises(NotAllowed, match="no piece of the state"):
        south.ask(fetches.name, Act.GET, name_of(b"something else"))
    with pytest.raises(NotAllowed, match="nobody asked for the state"):
        south.ask(fetches.name, Act.OFFER, name_of(b"{}"), b"{}")
    with pytest.raises(NotAllowed, match="no state waits for"):
        north.ask(sends.name, Act.GET, digest)
    assert south.ask(fetches.name, Act.GET, digest, number=50)
    with pytest.raises(StaleRequest):
        south.ask(fetches.name, Act.GET, digest, number=50)
    south.number = 50
    lie = msgspec.json.encode(Came(10**6, 0.0, 1.0, 2.0))
    with pytest.raises(InvalidInput, match="more bytes than there are"):
        south.ask(fetches.name, Act.CAME, name_of(lie), lie)
    told = {(one.act, one.who or one.object) for one in house.hub.house.office.refusals.last(100)}
    assert {("reach a state", "abroad"), ("reach a state", "north"), ("speak for a site", "south")} <= told


def test_the_law_is_kept_by_whoever_hands_out(house):
    """Whatever a plan says, and whoever asks: what has seen data that may not leave does not."""
    laid(house.saved("north"), weights=b"seen")
    journey = house.journey()
    house.send(house.wanted(journey))
    unlawful = house.begun(house.journey("w-2", target="abroad"))
    with pytest.raises(NotAllowed) as told:
        house.hands["abroad"].ask(unlawful.name, Act.GET, unlawful.task.left.digest)
    assert "may not be at abroad" in told.value.cause


def test_a_disk_that_is_full_delays(house, monkeypatch):
    laid(house.saved("north"), weights=os.urandom(3 * CHUNK))
    journey = house.journey()
    errand, porter = house.wanted(journey), house.porters["north"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: FULL)
    assert "no room for" in _broken(lambda: porter.send(errand)).what
    assert "no room for" in porter.report(errand).why, "the house hears why"
    assert not Meeting(house.hub.house.home, "w").depot.folder.exists()
    monkeypatch.undo()
    house.send(errand)
    assert house.mover.arrived(journey)


def test_a_piece_that_was_damaged_at_the_house_is_told(house):
    """By whoever fetches it; nothing wrong is begun, and once it is mended the rest comes."""
    laid(house.saved("north"), weights=os.urandom(2 * CHUNK))
    journey = house.journey()
    house.send(house.wanted(journey))
    depot = Meeting(house.hub.house.home, "w").depot
    name = next(iter(survey(house.saved("north"))[0].sizes))
    (depot.folder / name).write_bytes(b"x" * CHUNK)
    errand, porter = house.begun(journey), house.porters["south"]
    assert "damaged" in _broken(lambda: porter.fetched(errand)).what
    assert not house.saved("south").exists()
    depot.put([(name, survey(house.saved("north"))[1][name].read())])
    house.fetch(errand)
    assert held(house.saved("south")) == held(house.saved("north"))


# When it is over, or gone


def test_what_is_over_for_good_is_kept_where_it_ended_alone(house):
    laid(house.saved("north"), weights=os.urandom(2 * CHUNK))
    here = house.journey(target="hub")
    house.send(house.wanted(here))
    _until_arrived(house, here)
    there = house.journey("w-3", "w-2", "hub", "south")
    _until_arrived(house, there)
    house.fetch(house.begun(there))
    last = house.run(1, "north"), house.run(2, "hub"), house.run(3, "south")
    for folder in (house.saved("north"), state_folder(house.hub.house.home, "hub", "w"), house.saved("south")):
        assert folder.exists(), "kept as long as anything may resume"
    assert house.mover.at_several() == ["w"]
    house.mover.tidy("w", last, house.fleet)
    house.mover.tidy("w", last, house.fleet)
    assert house.mover.at_several() == []
    assert not state_folder(house.hub.house.home, "hub", "w").exists()
    drops = house.errand("w-1/drop")
    assert drops.wish is Wish.DROP
    house.porters["north"].drop(drops)
    assert house.porters["north"].report(drops).exit.code == 0
    assert not house.saved("north").exists()
    assert house.saved("south").exists()


def test_an_attempt_that_never_got_its_state_is_passed_over(house):
    """Told to fetch it, and gone before it had it: the state is where it was, and that is where it comes from."""
    laid(house.saved("north"), weights=b"kept" * 50)
    first = house.journey()
    house.send(house.wanted(first))
    house.begun(first)
    south = house.fleet.site("south")
    assert house.mover.left("w-2", south) is not None
    house.mover.tidy("w", (house.run(1, "north"), house.run(2, "south")), house.fleet)
    with house.hub.controller.store.read() as tx:
        assert agents.errand(tx, "w-1/drop") is None, "what the north has is all there is"
        assert agents.errand(tx, "w-2/drop") is not None


def test_a_site_that_is_gone_for_good_takes_its_state_with_it(house, monkeypatch):
    """Nobody waits for ever: after its lease the newest state that the house has must do, or none."""
    laid(house.saved("north"), weights=b"first")
    journey = house.journey(target="hub")
    house.send(house.wanted(journey))
    later = house.journey("w-3", "w-2", "north", "hub")
    house.mover.carry(later)
    assert not house.mover.arrived(later), "it may come yet"
    monkeypatch.setattr("heliotrope.run.engines.agent.MARGIN_S", -1e9)
    _until_arrived(house, later)
    assert house.mover.missed(later) == "nothing of w-2 came from north: goes on with what was saved before"
    assert held(state_folder(house.hub.house.home, "hub", "w")) == {"weights": b"first"}
    with house.hub.controller.store.read() as tx:
        assert agents.errand(tx, "w-2/state").over, "should it come back, it sends nothing"
