"""`helio meter serve`: owns the counters that only root may read, and tells everybody over a Unix socket."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from heliotrope.errors import MeterError, UsageError
from heliotrope.measure import registry
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import NOBODY, Draw, Meter, Usage
from heliotrope.model import Provenance

LONGEST_ASK = 4096  # bytes that a client may send without ending a line


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
    users_j: dict[int, float] | None = None  # joules by process, NOBODY among them; None: shared by CPU time
    flags: tuple[str, ...] = ()

    def add(self, draw: Draw) -> None:
        self.energy_j += draw.energy_j
        self.low_j += draw.low_j
        self.high_j += draw.high_j
        self.idle_w = draw.idle_w
        self.idle_with_low_w, self.idle_with_high_w = draw.idle_with_low_w, draw.idle_with_high_w
        self.flags = draw.flags
        if draw.users is not None:
            users_j = self.users_j = self.users_j or {}
            whole = sum(draw.users.values())
            for pid, weight in draw.users.items() if whole > 0 else [(NOBODY, 1.0)]:
                users_j[pid] = users_j.get(pid, 0.0) + draw.energy_j * weight / (whole or 1.0)

    def forget(self, alive: Callable[[int], bool]) -> None:
        """Processes that are gone are nobody's business any more; what they used stays in the sum."""
        if self.users_j is not None:
            for pid in [pid for pid in self.users_j if pid != NOBODY and not alive(pid)]:
                del self.users_j[pid]


class Told(msgspec.Struct):
    """The answer to a line: one line of JSON. `started_s` tells one life of the daemon from the next."""

    started_s: float
    read_s: float
    counters: list[Counter]


class Daemon:
    """Reads measured meters every `interval_s`; a line that a client sends is answered with the counters."""

    def __init__(
        self,
        path: Path,
        *,
        interval_s: float = 0.1,
        meters: tuple[str, ...] = (),
        system: System | None = None,
        opened: list[Meter] | None = None,
    ) -> None:
        self.path = path
        self.interval_s = interval_s
        self._system = system or System()
        if opened is None:
            opened = registry.open_all(self._system, meters or registry.MEASURED, skip=not meters)
        if not opened:
            raise MeterError(
                "there is nothing to serve: no measured meter works here",
                hint="helio doctor   # says why, and what would help",
            )
        self.meters = opened
        self._cpus = self._system.cpus()
        self._lock = threading.Lock()
        self._told = Told(time.time(), time.time(), [])
        self._by_domain: dict[tuple[str, str], Counter] = {}
        self._ended = threading.Event()

    def read(self, elapsed_s: float) -> None:
        usage = Usage(elapsed_s, 0.0, 0.0, self._cpus)
        with self._lock:
            for meter in self.meters:
                for draw in meter.read(usage):
                    counter = self._by_domain.get((meter.name, draw.domain))
                    if counter is None:
                        covers = tuple(sorted(meter.covers))
                        counter = Counter(meter.name, draw.domain, meter.provenance, covers, draw.counted)
                        self._by_domain[meter.name, draw.domain] = counter
                        self._told.counters.append(counter)
                    counter.add(draw)
            self._told.read_s = time.time()

    def counters(self) -> Told:
        """A copy, whole: taken between two reads."""
        return msgspec.json.decode(self.answer(), type=Told)

    def answer(self) -> bytes:
        with self._lock:
            return msgspec.json.encode(self._told) + b"\n"

    def serve(self) -> None:
        """Until `stop`. A socket that another daemon answers on is left to it; one that nobody answers on is taken."""
        server = listen(self.path, mode=0o666)  # readings are for every user of the node: that is what it is for
        sampler = threading.Thread(target=self._sample, name="helio-meter", daemon=True)
        sampler.start()
        clients = selectors.DefaultSelector()
        clients.register(server, selectors.EVENT_READ)
        try:
            while not self._ended.is_set():
                for key, _ in clients.select(0.2):
                    link = key.fileobj
                    assert isinstance(link, socket.socket)
                    if link is server:
                        client, _ = server.accept()
                        client.setblocking(False)
                        clients.register(client, selectors.EVENT_READ)
                    elif not self._serve(link):
                        clients.unregister(link)
                        link.close()
        finally:
            self._ended.set()
            for key in list(clients.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
            clients.close()
            sampler.join()
            self.path.unlink(missing_ok=True)
            for meter in self.meters:
                meter.close()

    def _serve(self, client: socket.socket) -> bool:
        """False when the client is gone, or does not take what it asked for: nobody is waited for."""
        try:
            asked = client.recv(LONGEST_ASK)
            if not asked:
                return False
            if b"\n" not in asked:
                return True
            answer = self.answer()
            return client.send(answer) == len(answer)
        except OSError:
            return False

    def _sample(self) -> None:
        last_s = swept_s = time.monotonic()
        self.read(0.0)
        while not self._ended.wait(self.interval_s):
            now_s = time.monotonic()
            self.read(now_s - last_s)
            last_s = now_s
            if now_s - swept_s > 60.0:
                swept_s = now_s
                with self._lock:
                    for counter in self._told.counters:
                        counter.forget(lambda pid: self._system.process(pid) is not None)

    def stop(self) -> None:
        """May be called by a signal's handler."""
        self._ended.set()


def page(told: Told) -> str:
    """The counters as Prometheus reads them; the meter `prometheus` knows them again."""
    lines = [
        "# HELP heliotrope_node_joules_total Energy of the node; what is not counted is held by another domain.",
        "# TYPE heliotrope_node_joules_total counter",
    ]
    for one in told.counters:
        labels = f'meter="{one.meter}",domain="{one.domain}",provenance="{one.provenance.value}"'
        labels += f',counted="{"true" if one.counted else "false"}"'
        lines.append(f"heliotrope_node_joules_total{{{labels}}} {one.energy_j:.6f}")
    return "\n".join(lines) + "\n"


def listen(path: Path, *, mode: int) -> socket.socket:
    """A Unix socket at `path`: taken over from a dead daemon, not from a living one; never open wider than `mode`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be served", cause=str(error), hint="run as root, or --socket PATH") from error
    if path.exists() and not path.is_socket():
        raise UsageError(f"{path} is in the way", cause="it is not a socket", hint="name another: --socket PATH")
    if path.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            try:
                other.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            except OSError as error:
                raise UsageError(
                    f"{path} is in the way", cause=str(error), hint="name another: --socket PATH"
                ) from error
            else:
                raise UsageError(f"a meter daemon serves {path} already")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # It takes its name when it listens already: whoever sees it can connect.
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    before = os.umask(0o777 & ~mode)
    try:
        server.bind(str(new))
        server.listen(128)
        new.replace(path)
    except OSError as error:
        server.close()
        raise UsageError(f"{path} cannot be served", cause=str(error), hint="run as root, or --socket PATH") from error
    finally:
        os.umask(before)
    return server


class Client:
    """Keeps its connection; asks again on a new one where the old broke."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._link: socket.socket | None = None
        self._decode = msgspec.json.Decoder(Told).decode

    def ask(self) -> Told:
        try:
            return self._asked()
        except (OSError, msgspec.MsgspecError) as error:
            self.close()
            raise MeterError(
                "the meter daemon does not answer", cause=f"{self.path}: {error}", hint="sudo helio meter serve"
            ) from error

    def _asked(self) -> Told:
        if self._link is None:
            self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._link.settimeout(2.0)
            self._link.connect(self.path)
        self._link.sendall(b"\n")
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            part = self._link.recv(262144)
            if not part:
                raise ConnectionError("it hung up")
            parts.append(part)
        return self._decode(b"".join(parts))

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def ask(path: str | Path) -> Told:
    """The counters as they are now."""
    client = Client(str(path))
    try:
        return client.ask()
    finally:
        client.close()
