"""A site's agent in virtual time, before the real office: cut off, late, heard twice, killed, lying, or not itself.

Its warden is the real one: what it does when the agent is gone for longer than its lease is what it does anywhere.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from nacl.signing import SigningKey

from heliotrope.errors import BadSignature, EngineError, ProviderDown, StaleRequest
from heliotrope.run.agents import wire
from heliotrope.run.agents.site.membership import Orders
from heliotrope.run.agents.site.porter import Porter
from heliotrope.run.agents.site.warden import Reach, Warden
from heliotrope.run.agents.wire import Join, Report, Sync, Wish
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Exit, Folder
from heliotrope.run.working.processes import Identity
from houses import told


class FarSite:
    def __init__(self, world, site) -> None:
        self.world, self.site = world, site
        self.home = world.home.parent / site
        self.cluster = world.there
        self.orders: tuple[wire.Errand, ...] = ()
        self.told = Orders(world.now_s(), 0)
        self.heard_s = world.elapsed_s
        self.number = 0
        self.alive = self.linked = True
        self.lies = False
        self.skew_s = 0.0
        self.delayed: list[tuple[bytes, str]] = []
        self.key = SigningKey.generate()
        self.token = world.office.token(site, valid_s=1e9, now_s=world.now_s())
        said = Join(self.token, b64encode(bytes(self.key.verify_key)).decode())
        self.joined = world.office.join(msgspec.json.encode(said), world.now_s())
        self.home.mkdir(parents=True)
        Folder(self.home).write("engine", Reach("virtual", {}, Identity(0, 0, "")))
        self.warden = Warden(self.home)
        self.member, self.spoken = self, 0
        self.porter = Porter(self.home, self)

    def is_busy(self) -> bool:
        """Otherwise it would only say that it is there; now and then it does."""
        return bool(self.orders) or self.world.elapsed_s - self.heard_s > 20

    def tick(self) -> None:
        """What an agent does at each look: carries out what it was told, reports, asks. Its warden looks, too."""
        self.warden.look(self.told, self.joined.lease_s)
        if not self.alive:
            return
        alone_s = self.world.elapsed_s - self.heard_s
        for errand in self.orders:
            wish = errand.wish
            if alone_s > self.joined.lease_s + 10:
                wish = Wish.KILL
            elif alone_s > self.joined.lease_s and wish in {Wish.RUN, Wish.PAUSE}:
                wish = Wish.SAVE
            try:
                self._carry_out(errand, wish)
            except EngineError:
                continue
        if self.linked:
            self._sync()

    def _carry_out(self, errand, wish) -> None:
        if errand.wish in {Wish.SEND, Wish.DROP}:
            if self.porter.report(errand).exit is None:
                (self.porter.send if errand.wish is Wish.SEND else self.porter.drop)(errand)
            return
        handle = self._handle(errand)
        seen = self.cluster.observe(handle).seen
        if seen is Seen.ABSENT:
            if wish is Wish.RUN and not errand.held and self.porter.fetched(errand):
                saved = str(self.home / "checkpoints" / Path(errand.task.checkpoint).name)
                self.cluster.launch(msgspec.structs.replace(errand.task, handle=handle, checkpoint=saved))
            elif wish in {Wish.SAVE, Wish.KILL}:
                Path(handle).mkdir(parents=True, exist_ok=True)
                Folder(Path(handle)).write("exit", Exit(-15, self.world.now_s()))
                self.cluster.never(handle, errand.task)
        elif seen in {Seen.ALIVE, Seen.QUEUED}:
            act = {Wish.RUN: "resume", Wish.PAUSE: "pause", Wish.SAVE: "save", Wish.KILL: "kill"}[wish]
            getattr(self.cluster, act)(handle)

    def _sync(self) -> None:
        self.number += 1
        asked_s = self.world.elapsed_s
        said = Sync(self.site, self.number, self.world.now_s() + self.skew_s, tuple(map(self._report, self.orders)))
        body = msgspec.json.encode(said)
        signature = wire.signed(bytes(self.key), body)
        match self.world.fate("sync"):
            case "lost":
                self.delayed.append((body, signature))
            case "unanswered":
                self._post(body, signature)
            case "twice":
                self._told(self._post(body, signature), asked_s)
                with pytest.raises(StaleRequest):
                    self._post(body, signature)
            case _:
                self._told(self._post(body, signature), asked_s)
                # What the network kept back comes now, when a later word was heard already.
                for late in self.delayed:
                    with suppress(StaleRequest):
                        self._post(*late)
                self.delayed.clear()

    def _post(self, body, signature):
        return told(self.world.office, body, signature, self.world.now_s())

    def _told(self, answer, asked_s) -> None:
        self.orders, self.heard_s = answer.errands, asked_s
        self.told = Orders(self.world.now_s(), answer.number, answer.errands)

    def _report(self, errand) -> Report:
        if errand.wish in {Wish.SEND, Wish.DROP}:
            return self.porter.report(errand)
        handle = self._handle(errand)
        sight = self.cluster.look(handle)
        if sight.seen not in {Seen.EXITED, Seen.GONE}:
            return Report(errand.name, sight.seen, sight.why)
        folder = Folder(Path(handle))
        measurement = folder.measurement
        if self.lies and measurement is not None:
            huge = msgspec.structs.replace(measurement.energy_j, value=1e12, low=1e12, high=1e12)
            measurement = msgspec.structs.replace(measurement, energy_j=huge)
            self.world.lied.add(errand.name.partition("/")[0])
        return Report(errand.name, sight.seen, sight.why, folder.exit, measurement)

    def _handle(self, errand) -> str:
        return str(self.home / "runs" / errand.name)

    def ask(self, errand, act, digest, data=b"", *, stop):
        """About a state, over the same line."""
        self.spoken += 1
        line = msgspec.json.encode(wire.Ask(self.site, self.spoken, errand, act, digest))
        fate = self.world.fate("a piece")
        if not self.linked or fate == "lost":
            raise ProviderDown("cut off")
        said = self.world.states.take(line + b"\n" + data, wire.signed(bytes(self.key), line), self.world.now_s())
        if fate == "unanswered":
            raise ProviderDown("cut off")
        return said

    # Somebody else

    def thief(self) -> None:
        """With a token that was used, with a key of his own, or in another's name: nothing is told to him."""
        office, now_s = self.world.office, self.world.now_s()
        mine = SigningKey.generate()
        with pytest.raises(BadSignature):
            office.join(msgspec.json.encode(Join(self.token, b64encode(bytes(mine.verify_key)).decode())), now_s)
        body = msgspec.json.encode(Sync(self.site, self.number + 1000, now_s))
        with pytest.raises(BadSignature):
            told(office, body, wire.signed(bytes(mine), body), now_s)
        other = msgspec.json.encode(Sync("here", self.number + 1000, now_s))
        with pytest.raises(BadSignature):
            told(office, other, wire.signed(bytes(self.key), other), now_s)
