"""Keeps the lease when its agent cannot: killed and not started again, it would leave work running that others begin.

`python -m heliotrope.run.agents.site.warden HOME LOCK_FD`, sent by the agent before it begins anything, and living on
its own. It holds HOME/warden.lock as long as it lives, and lives as long as something is there to be ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from heliotrope.errors import EngineError
from heliotrope.model import Site
from heliotrope.run import engines
from heliotrope.run.agents.site import tails
from heliotrope.run.agents.site.membership import GRACE_S, Membership, Orders
from heliotrope.run.engines.protocol import Engine
from heliotrope.run.lifecycle import Seen
from heliotrope.run.working.folder import Folder
from heliotrope.run.working.processes import Identity, alive, identity

LOOK_S = 2.0
IDLE_S = 10.0  # neither its agent lives nor anything that one began


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HOME/engine.json: what runs things here and which process is the agent, for whoever has to do without it."""

    engine: str
    options: dict[str, str | bool | float]
    agent: Identity


def introduce(home: Path, site: Site) -> None:
    """By the agent, when it begins."""
    me = identity(os.getpid())
    assert me is not None, "whoever asks is there"
    Folder(home).write("engine", Reach(site.engine, dict(site.engine_options), me))


def send(home: Path) -> None:
    """Unless one is there. The lock is its own from before it begins, so that there are never two."""
    lock = Folder(home).try_lock("warden.lock")
    if lock is None:
        return
    try:
        with (home / "warden.log").open("ab") as log:
            subprocess.run(
                [sys.executable, "-m", "heliotrope.run.agents.site.warden", str(home), str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                check=True,
            )
    finally:
        os.close(lock)


class Warden:
    def __init__(self, home: Path) -> None:
        self.home = home
        reach = Folder(home).read("engine", Reach)
        assert reach is not None, "whoever sends a warden says what runs things here"
        self.engine: Engine = engines.engine(reach.engine, **reach.options)
        self._number, self._heard = -1, 0.0
        self._looked: float | None = None
        self._asked: dict[str, float] = {}

    def guard(self) -> None:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < IDLE_S:
            folder = Folder(self.home)
            member, reach = folder.read("agent", Membership), folder.read("engine", Reach)
            if member is None or reach is None:
                return
            lives = self.look(folder.read("errands", Orders) or Orders(0.0, 0), member.lease_s)
            if lives or alive(reach.agent):
                idle_since = time.monotonic()
            time.sleep(min(LOOK_S, member.lease_s / 2))

    def look(self, orders: Orders, lease_s: float) -> bool:
        """Whether anything lives. By the steady clock: an answer that is new came after the last look, not before."""
        now = time.monotonic()
        if self._looked is None:
            self._heard = now - max(0.0, time.time() - orders.asked_s)
        elif orders.number != self._number:
            self._heard = self._looked
        self._looked, self._number = now, orders.number
        alone_s = now - self._heard
        lives = False
        for errand in orders.errands:
            handle = str(tails.folder_at(self.home / "runs", errand.name).path)
            try:
                seen = self.engine.observe(handle).seen
                lives = lives or seen in {Seen.ALIVE, Seen.QUEUED, Seen.GONE}
                if alone_s > lease_s:
                    self._end(handle, seen)
            except EngineError as error:
                sys.stderr.write(f"{errand.name}: {error.what}; tried again\n")
                lives = True
        return lives

    def _end(self, handle: str, seen: Seen) -> None:
        if seen is Seen.GONE:
            self.engine.reap(handle)
        elif seen in {Seen.ALIVE, Seen.QUEUED}:
            asked = self._asked.setdefault(handle, time.monotonic())
            (self.engine.save if time.monotonic() - asked < GRACE_S else self.engine.kill)(handle)


def main() -> None:
    # Whoever sent it waits for this first process alone; the one that stays has no parent to miss.
    if os.fork():
        os._exit(0)
    os.setsid()
    os.set_inheritable(int(sys.argv[2]), False)
    Warden(Path(sys.argv[1])).guard()


if __name__ == "__main__":
    main()
