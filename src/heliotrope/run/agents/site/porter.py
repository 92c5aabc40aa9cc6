"""The agent's side of states on their way: lays down at the house what was saved here, fetches what is gone on with.

Each is kept up until it is done, over any line, with only what is missing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from heliotrope.checkpoint import carry
from heliotrope.checkpoint.depots import Piece
from heliotrope.checkpoint.manifest import name_of, survey
from heliotrope.errors import EngineError, ProviderDown, StoreError
from heliotrope.run.agents import wire
from heliotrope.run.agents.site import tails
from heliotrope.run.agents.site.membership import Membership
from heliotrope.run.agents.wire import Act, Ask, Came, Errand, Missing, Report
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Exit
from heliotrope.run.working.moving import Carry, fetch, note_of
from heliotrope.run.working.ways import Stop, Ways

if TYPE_CHECKING:
    import aiohttp

LISTEN_S = 0.5  # until somebody who waits for an answer looks whether it is wanted any more
STALE = 409
_Answer = tuple[int, bytes, int]  # status, what it says, the largest number that was used


class Line:
    """Words about states, each signed, one after the other, from any thread but the session's own."""

    def __init__(self, member: Membership, session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
        self.member, self.session, self.loop = member, session, loop
        self._lock = threading.Lock()
        self._number = 0

    def ask(self, errand: str, act: Act, digest: str, data: bytes = b"", *, stop: Stop) -> bytes:
        with self._lock:
            for _ in range(2):
                # Time makes a number that grows even where this home was restored from a copy.
                self._number = max(self._number + 1, int(time.time() * 1000))
                line = msgspec.json.encode(Ask(self.member.site, self._number, errand, act, digest))
                status, said, last = self._answered(self._post(line, data), stop)
                if status != STALE:
                    break
                self._number = last
        if status != 200:
            raise ProviderDown(f"{self.member.url} answered {status}", cause=said.decode(errors="replace")[:300])
        return said

    async def _post(self, line: bytes, data: bytes) -> _Answer:
        headers = {wire.SIGNATURE: wire.signed(self.member.seed, line)}
        async with self.session.post(wire.STATE, data=line + b"\n" + data, headers=headers) as answer:
            return answer.status, await answer.read(), int(answer.headers.get(wire.LAST, 0))

    def _answered(self, post: Coroutine[Any, Any, _Answer], stop: Stop) -> _Answer:
        import aiohttp

        future = asyncio.run_coroutine_threadsafe(post, self.loop)
        while not stop():
            try:
                return future.result(LISTEN_S)
            except (aiohttp.ClientError, TimeoutError) as error:
                if future.done():
                    raise ProviderDown(
                        f"cut off from {self.member.url}", cause=str(error) or type(error).__name__
                    ) from error
        future.cancel()
        raise StoreError("stopped on the way", hint="it goes on where it was")


class _House:
    """Pieces of the state that one errand is to go on with."""

    def __init__(self, line: Line, errand: str, stop: Stop) -> None:
        self.line, self.errand, self.stop = line, errand, stop

    def get(self, names: Sequence[str]) -> Iterator[Piece]:
        for name in names:
            yield name, self.line.ask(self.errand, Act.GET, name, stop=self.stop)


class Porter:
    """One an agent."""

    def __init__(self, home: Path, line: Line) -> None:
        self.home, self.line = home, line
        self._ways = Ways()
        self._why: dict[str, str] = {}

    def send(self, errand: Errand) -> None:
        self._go(errand, lambda stop: self._send(errand, stop))

    def drop(self, errand: Errand) -> None:
        carry.drop(self._saved(errand))
        self._over(errand)

    def fetched(self, errand: Errand) -> bool:
        """True when it has what it goes on with; until then that comes."""
        left = errand.task.left
        if left is None or self._has(errand, left.digest):
            return True
        self._go(errand, lambda stop: self._fetch(errand, left.site, left.digest, stop))
        return False

    def end(self, errand: Errand) -> None:
        self._ways.end(errand.name)

    def report(self, errand: Errand) -> Report:
        """Of one that sends or drops: over once it was done."""
        ended = tails.folder_at(self.home / "runs", errand.name).exit
        if ended is None:
            return Report(errand.name, Seen.ALIVE, self.why(errand))
        return Report(errand.name, Seen.EXITED, exit=ended)

    def why(self, errand: Errand) -> str:
        return self._why.get(errand.name, "")

    def close(self) -> None:
        self._ways.close()

    def _go(self, errand: Errand, way: Callable[[Stop], None]) -> None:
        broke = self._ways.go(errand.name, way)
        if broke is not None:
            self._why[errand.name] = f"{broke.what}{f': {broke.cause}' if broke.cause else ''}"
            raise EngineError(f"its state is not on its way: {broke.what}", cause=broke.cause) from broke

    def _send(self, errand: Errand, stop: Stop) -> None:
        """What was saved and is no more, or never was, is nothing: the house hears that too."""
        manifest, spots = survey(self._saved(errand))
        data = manifest.encoded()
        while missing := self._offer(errand, data, stop):
            for name in missing:
                piece = spots[name].read()
                self.line.ask(errand.name, Act.PUT, name, piece, stop=stop)
        self._over(errand)

    def _offer(self, errand: Errand, manifest: bytes, stop: Stop) -> tuple[str, ...]:
        said = self.line.ask(errand.name, Act.OFFER, name_of(manifest), manifest, stop=stop)
        return wire.decoded(said, Missing).names

    def _fetch(self, errand: Errand, origin: str, digest: str, stop: Stop) -> None:
        def tell(note: Carry) -> None:
            came = msgspec.json.encode(Came(note.sent_bytes, note.began_s, note.ended_s, time.time()))
            self.line.ask(errand.name, Act.CAME, name_of(came), came, stop=stop)

        run = self._run(errand)
        run.mkdir(parents=True, exist_ok=True)
        note = Carry(origin, self.line.member.site, digest, 0, 0, time.time())
        fetch(_House(self.line, errand.name, stop), note, run, self._saved(errand), stop, tell)

    def _has(self, errand: Errand, digest: str) -> bool:
        note = note_of(self._run(errand))
        return note is not None and note.digest == digest and note.ended_s is not None

    def _over(self, errand: Errand) -> None:
        folder = tails.folder_at(self.home / "runs", errand.name)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write("exit", Exit(0, time.time()))
        self._why.pop(errand.name, None)

    def _saved(self, errand: Errand) -> Path:
        return self.home / "checkpoints" / Path(errand.task.checkpoint).name

    def _run(self, errand: Errand) -> Path:
        return tails.folder_at(self.home / "runs", errand.name).path.parent
