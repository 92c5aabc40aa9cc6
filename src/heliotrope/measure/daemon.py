"""`helio meter serve`: owns the counters that only root may read, and tells everybody over a Unix socket."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

import msgspec

from heliotrope.errors import MeterError, UsageError
from heliotrope.measure import registry
from heliotrope.measure.protocol import Usage
from heliotrope.measure.system import System
from heliotrope.model import Provenance


class Counter(msgspec.Struct):
    """One domain since the daemon began: joules with bounds, and the idle watts that go with them."""

    meter: str
    domain: str
    provenance: Provenance
    covers: tuple[str, ...]
    counted: bool
    energy_j: float = 0.0
    low_j: float = 0.0
    high_j: float = 0.0
    idle_w: float = 0.0
    idle_with_low_w: float = 0.0
    idle_with_high_w: float = 0.0
    users: dict[int, float] | None = None
    flags: tuple[str, ...] = ()


class Told(msgspec.Struct):
    """The answer to whoever connects: one line of JSON. `started_s` tells one life of the daemon from the next."""

    started_s: float
    read_s: float
    counters: list[Counter]


class Daemon:
    """Reads measured meters every `interval_s`; whoever connects gets the counters and is let go."""

    def __init__(
        self, path: Path, *, interval_s: float = 0.1, meters: tuple[str, ...] = (), system: System | None = None
    ) -> None:
        self.path = path
        self.interval_s = interval_s
        system = system or System()
        opened = (
            registry.open_all(system, meters) if meters else registry.open_all(system, registry.MEASURED, skip=True)
        )
        if not opened:
            raise MeterError(
                "there is nothing to serve: no measured meter works here",
                hint="helio doctor   # says why, and what would help",
            )
        self.meters = opened
        self._cpus = system.cpus()
        self._lock = threading.Lock()
        self._told = Told(time.time(), time.time(), [])
        self._ended = threading.Event()

    def read(self, elapsed_s: float) -> None:
        usage = Usage(elapsed_s, 0.0, 0.0, self._cpus)
        with self._lock:
            for meter in self.meters:
                for draw in meter.read(usage):
                    counter = next(
                        (c for c in self._told.counters if (c.meter, c.domain) == (meter.name, draw.domain)), None
                    )
                    if counter is None:
                        counter = Counter(
                            meter.name, draw.domain, meter.provenance, tuple(sorted(meter.covers)), draw.counted
                        )
                        self._told.counters.append(counter)
                    counter.energy_j += draw.energy_j
                    counter.low_j += draw.low_j
                    counter.high_j += draw.high_j
                    counter.idle_w, counter.users = draw.idle_w, None if draw.users is None else dict(draw.users)
                    counter.idle_with_low_w, counter.idle_with_high_w = draw.idle_with_low_w, draw.idle_with_high_w
                    counter.flags = draw.flags
            self._told.read_s = time.time()

    def answer(self) -> bytes:
        with self._lock:
            return msgspec.json.encode(self._told) + b"\n"

    def serve(self) -> None:
        """Until `stop`. A socket that another daemon answers on is left to it; one that nobody answers on is taken."""
        server = self._listen()
        thread = threading.Thread(target=self._sample, name="helio-meter", daemon=True)
        thread.start()
        try:
            server.settimeout(0.2)
            while not self._ended.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                with client, contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                    client.settimeout(1.0)
                    client.sendall(self.answer())
        finally:
            self._ended.set()
            thread.join()
            server.close()
            self.path.unlink(missing_ok=True)
            for meter in self.meters:
                meter.close()

    def _listen(self) -> socket.socket:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            try:
                ask(self.path)
            except MeterError:
                self.path.unlink()
            else:
                raise UsageError(f"a meter daemon serves {self.path} already")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(self.path))
        # Readings are for every user of the node: that is what the daemon is for.
        self.path.chmod(0o666)
        server.listen(64)
        return server

    def _sample(self) -> None:
        last_s = time.monotonic()
        self.read(0.0)
        while not self._ended.wait(self.interval_s):
            now_s = time.monotonic()
            self.read(now_s - last_s)
            last_s = now_s

    def stop(self) -> None:
        self._ended.set()


def ask(path: str | Path) -> Told:
    """The counters as they are now."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2.0)
            client.connect(str(path))
            parts = []
            while part := client.recv(65536):
                parts.append(part)
        return msgspec.json.decode(b"".join(parts), type=Told)
    except (OSError, msgspec.MsgspecError) as error:
        raise MeterError(
            "the meter daemon does not answer", cause=f"{path}: {error}", hint="sudo helio meter serve"
        ) from error
