"""The side that does the work: asks the office what is wanted, makes its engine do so, reports how that stands.

Level-triggered like the controller: at every look it compares what it was told last with what its engine sees. Cut off,
it goes on with that; cut off for longer than its lease, it ends what it runs, for by then it may be begun elsewhere.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from heliotrope.errors import EngineError, InvalidInput, ProviderDenied, ProviderDown, RunError
from heliotrope.model import Site
from heliotrope.run import accounting, engines
from heliotrope.run.agents import wire
from heliotrope.run.agents.site import tails, warden
from heliotrope.run.agents.site.membership import GRACE_S, Membership, Orders
from heliotrope.run.agents.site.porter import Line, Porter
from heliotrope.run.agents.wire import Errand, Join, Joined, Report, Sync, Synced, Tail, Wanted, Wish
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Exit, Folder

if TYPE_CHECKING:
    import aiohttp

REFUSED_S = 5.0  # between two tries of an agent that is not believed any more
ANSWER_S = 20.0
PIECE_S = 600.0  # that one piece of a state may take over the line
REJOIN = "ask whoever keeps it for a token: helio site join URL --token TOKEN"


class Agent:
    """One a home. `site` says by which engine things run here."""

    def __init__(self, home: Path, site: Site, say: Callable[[str], None]) -> None:
        self.home = home
        self.say = say
        member = Folder(home).read("agent", Membership)
        if member is None:
            raise RunError(f"{home} belongs to no site yet", hint="helio site join URL --token TOKEN")
        self.membership = member
        self._lock = Folder(home).try_lock("agent.lock")
        if self._lock is None:
            raise RunError(f"another agent runs in {home}", hint="stop it, or give this one a --home of its own")
        self.life = secrets.token_hex(8)
        self.site = site
        self.engine = engines.of(site)
        self.orders = Folder(home).read("errands", Orders) or Orders(0.0, 0)
        self._answered = time.monotonic() - max(0.0, time.time() - self.orders.asked_s)
        self._cut_off = False
        self._refused = False
        self._wanted: tuple[Wanted, ...] = ()

    async def run(self, stop: asyncio.Event) -> None:
        await asyncio.to_thread(warden.introduce, self.home, self.site)
        async with (
            wire.session(self.membership.url, self.membership.ca, ANSWER_S) as session,
            wire.session(self.membership.url, self.membership.ca, PIECE_S) as freight,
        ):
            self.porter = Porter(self.home, Line(self.membership, freight, asyncio.get_running_loop()))
            try:
                await self._keep_at(session, stop)
            finally:
                await asyncio.to_thread(self.porter.close)

    async def _keep_at(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.to_thread(warden.send, self.home)
            reports = await asyncio.to_thread(self.look)
            said = await asyncio.to_thread(tails.cut, self.home / "runs", self._wanted)
            await self._sync(session, reports, said)
            await asyncio.to_thread(self.act)
            if self._refused and self._is_empty():
                raise ProviderDenied(f"{self.membership.url} does not know this agent any more", hint=REJOIN)
            try:
                pause_s = max(self.membership.sync_s, REFUSED_S) if self._refused else self.membership.sync_s
                await asyncio.wait_for(stop.wait(), pause_s)
            except TimeoutError:
                continue

    def look(self) -> tuple[Report, ...]:
        return tuple(self._report(errand) for errand in self.orders.errands)

    def act(self) -> None:
        """What cannot be done now is tried at the next look, and keeps nothing else from being done."""
        for errand in self.orders.errands:
            try:
                self._carry_out(errand, self._lapsed_wish(errand.wish))
            except EngineError as error:
                self.say(f"{errand.name}: {error.what}")

    def _is_empty(self) -> bool:
        """Nothing of the office's lives here any more."""
        live = (Seen.ALIVE, Seen.QUEUED)
        return not any(self.engine.observe(self._handle(errand)).seen in live for errand in self.orders.errands)

    async def _sync(self, session: aiohttp.ClientSession, reports: tuple[Report, ...], said: tuple[Tail, ...]) -> None:
        import aiohttp

        member = self.membership
        asked, asked_s = time.monotonic(), time.time()
        # Time makes a number that grows even where this home was restored from a copy.
        number = max(self.orders.number + 1, int(asked_s * 1000))
        body = msgspec.json.encode(Sync(member.site, number, asked_s, reports, said, self.life))
        headers = {wire.SIGNATURE: wire.signed(member.seed, body)}
        try:
            async with session.post(wire.SYNC, data=body, headers=headers) as answer:
                answered = await answer.read()
                if answer.status == 409:
                    number = int(answer.headers.get(wire.LAST, number))
                    self.orders = msgspec.structs.replace(self.orders, number=number)
                    return
                if answer.status == 403:
                    self._tell_refused(answered.decode("utf-8", "replace")[:300])
                    return
                if answer.status != 200:
                    raise ProviderDown(
                        f"{member.url} answered {answer.status}: {answered.decode(errors='replace')[:300]}"
                    )
                told = wire.decoded(answered, Synced)
        except (aiohttp.ClientError, TimeoutError, ProviderDown, InvalidInput) as error:
            if not self._cut_off:
                self.say(f"cut off from {member.url}: {error or type(error).__name__}; what runs here goes on")
            self._cut_off = True
            return
        if self._cut_off:
            self.say(f"{member.url} answers again")
        self._cut_off = self._refused = False
        self._wanted = told.wanted
        # The lease runs from before the request was sent: here it is over no later than there.
        self._answered = asked
        self.orders = Orders(asked_s, number, told.errands)
        await asyncio.to_thread(Folder(self.home).write, "errands", self.orders)

    def _tell_refused(self, why: str) -> None:
        """As if cut off: what it runs goes on, and is ended with the lease if no token lets it in by then."""
        if not self._refused:
            self.say(f"{self.membership.url} does not know this agent any more: {why}")
        self._refused = True

    def _lapsed_wish(self, wish: Wish) -> Wish:
        alone_s = time.monotonic() - self._answered
        if alone_s > self.membership.lease_s + GRACE_S:
            return Wish.KILL
        if alone_s > self.membership.lease_s and wish in {Wish.RUN, Wish.PAUSE}:
            return Wish.SAVE
        return wish

    def _carry_out(self, errand: Errand, wish: Wish) -> None:
        # What moves states is no work that a lease could end.
        if errand.wish is Wish.SEND:
            self._unless_over(errand, self.porter.send)
            return
        if errand.wish is Wish.DROP:
            self._unless_over(errand, self.porter.drop)
            return
        handle = self._handle(errand)
        seen = self.engine.observe(handle).seen
        if seen is Seen.ABSENT and errand.held and not Path(handle).is_dir():
            # Begun by an agent before, or by this one before its files were lost: it may live, so nobody begins it.
            return
        if seen is Seen.ABSENT:
            if wish is Wish.RUN and self.porter.fetched(errand):
                self.engine.launch(self._task(errand))
            elif wish in {Wish.SAVE, Wish.KILL}:
                self.porter.end(errand)
                # Never begun, and now never will be.
                folder = Folder(Path(handle))
                folder.path.mkdir(parents=True, exist_ok=True)
                folder.write("exit", Exit(-15, time.time()))
        elif seen is Seen.GONE:
            self.engine.reap(handle)
        elif seen in {Seen.ALIVE, Seen.QUEUED}:
            match wish:
                case Wish.RUN:
                    self.engine.resume(handle)
                case Wish.PAUSE:
                    self.engine.pause(handle)
                case Wish.SAVE:
                    self.engine.save(handle)
                case Wish.KILL:
                    self.engine.kill(handle)

    def _unless_over(self, errand: Errand, do: Callable[[Errand], None]) -> None:
        if tails.folder_at(self.home / "runs", errand.name).exit is None:
            do(errand)

    def _report(self, errand: Errand) -> Report:
        if errand.wish in {Wish.SEND, Wish.DROP}:
            return self.porter.report(errand)
        handle = self._handle(errand)
        folder = Folder(Path(handle))
        try:
            sight = self.engine.observe(handle)
            if sight.seen is Seen.GONE:
                self.engine.reap(handle)
        except EngineError as error:
            # Not known to be over: that is all the office needs to wait.
            return Report(errand.name, Seen.ALIVE, error.what)
        if sight.seen is Seen.ABSENT and folder.path.is_dir():
            # Its launch was cut short: it is ours, and will be begun.
            return Report(errand.name, Seen.QUEUED)
        if sight.seen not in {Seen.EXITED, Seen.GONE}:
            return Report(errand.name, sight.seen, sight.why or self.porter.why(errand))
        end = None if sight.seen is Seen.GONE else folder.exit or Exit(sight.code or 0, time.time(), sight.why)
        try:
            measured = accounting.measured([*folder.earlier(), folder])
        except InvalidInput as error:
            return Report(errand.name, sight.seen, f"not measured: {error.what}", end)
        return Report(errand.name, sight.seen, sight.why, end, measured)

    def _handle(self, errand: Errand) -> str:
        return str(tails.folder_at(self.home / "runs", errand.name).path)

    def _task(self, errand: Errand) -> engines.Task:
        """The same work under this home's own paths."""
        there = Path(errand.task.working_directory)
        here = there if there.is_dir() else self.home / "work"
        here.mkdir(parents=True, exist_ok=True)
        return msgspec.structs.replace(
            errand.task,
            handle=self._handle(errand),
            working_directory=str(here),
            checkpoint=str(self.home / "checkpoints" / Path(errand.task.checkpoint).name),
        )


async def join(home: Path, url: str, token: str, site: Site, ca: str = "") -> Joined:
    """Makes a key, shows the token for it, and remembers who it is now. `ca`: as Membership has it."""
    import aiohttp
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    body = msgspec.json.encode(Join(token, b64encode(bytes(key.verify_key)).decode(), site.devices))
    try:
        async with (
            wire.session(url, ca, ANSWER_S) as session,
            session.post(wire.JOIN, data=body) as answer,
        ):
            said = await answer.read()
            if answer.status != 200:
                raise ProviderDenied(f"{url} lets nobody in with this", cause=said.decode()[:300])
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProviderDown(f"{url} cannot be reached", cause=str(error) or type(error).__name__) from error
    joined = wire.decoded(said, Joined)
    member = Membership(url, joined.site, bytes(key), joined.lease_s, joined.sync_s, ca)
    await asyncio.to_thread(_remember, home, member)
    return joined


def _remember(home: Path, membership: Membership) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    Folder(home).write("agent", membership)
    (home / "agent.json").chmod(0o600)
