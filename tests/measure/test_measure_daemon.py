"""The node's daemon: many clients, none of which can hold it up; restarts; rights; a page for Prometheus."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request

import pytest

from fakemachine import FakeMachine
from heliotrope.errors import UsageError
from heliotrope.measure import registry
from heliotrope.measure.meters.remote import prometheus
from heliotrope.measure.meters.remote.daemon import DaemonMeter
from heliotrope.measure.protocol import NOBODY, Draw, Usage
from heliotrope.measure.publish.daemon import Client, Daemon, ask, listen, page
from heliotrope.measure.publish.scrape import Scrape
from heliotrope.measure.share.attribution import part_of
from heliotrope.model import Provenance

START = Usage(0.0, 0.0, 0.0, 4)
BUSY = Usage(1.0, 2.0, 4.0, 4, pids=frozenset({101}))


class Gpu:
    """A GPU with two users, and then with none."""

    name, provenance, covers, resolution_s = "nvml", Provenance.MEASURED, frozenset({"gpu"}), 0.1

    def __init__(self):
        self.users = {101: 3.0, 102: 1.0}

    def read(self, usage):
        return () if usage.elapsed_s == 0 else (Draw("gpu0", 10.0, 9.0, 11.0, users=self.users),)

    def close(self):
        self.closed = True


@contextlib.contextmanager
def served(daemon):
    thread = threading.Thread(target=daemon.serve)
    thread.start()
    try:
        end_s = time.monotonic() + 60
        while not daemon.path.exists() and time.monotonic() < end_s:
            time.sleep(0.005)
        yield daemon
    finally:
        daemon.stop()
        thread.join()


def test_many_clients_and_none_waits_for_another(tmp_path):
    machine = FakeMachine(tmp_path / "m")
    path = tmp_path / "meter.sock"
    with served(Daemon(path, interval_s=0.02, system=machine.system)), contextlib.ExitStack() as open_:
        assert path.stat().st_mode & 0o777 == 0o666
        for _ in range(20):  # connect, say nothing
            open_.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        deaf = open_.enter_context(socket.socket(socket.AF_UNIX))
        deaf.setblocking(False)
        deaf.connect(str(path))
        with contextlib.suppress(OSError):  # asks and asks, and never reads
            for _ in range(2000):
                deaf.send(b"\n" * 500)
        rude = open_.enter_context(socket.socket(socket.AF_UNIX))
        rude.connect(str(path))
        rude.sendall(b"GET / HTTP/1.1")
        rude.close()
        answers, threads = [], []
        for _ in range(40):
            threads.append(threading.Thread(target=lambda: answers.append(ask(path))))
            threads[-1].start()
        for thread in threads:
            thread.join(20)
        assert len(answers) == 40
        client = Client(str(path))
        told = [client.ask() for _ in range(50)]
        assert told[-1].read_s >= told[0].read_s
        client.close()


def test_processes_on_a_gpu_are_known_to_those_who_ask_the_daemon(tmp_path):
    gpu = Gpu()
    daemon = Daemon(tmp_path / "s", interval_s=3600, opened=[gpu], system=FakeMachine(tmp_path / "m").system)
    with served(daemon):
        daemon.read(1.0)
        meter = DaemonMeter(str(tmp_path / "s"))
        meter.read(START)
        daemon.read(1.0)
        daemon.read(1.0)
        (draw,) = meter.read(BUSY)
        assert draw.energy_j == pytest.approx(20.0)
        assert part_of(draw, BUSY).mine_j == pytest.approx(15.0)
        gpu.users = {NOBODY: 1.0}
        daemon.read(1.0)
        (draw,) = meter.read(BUSY)
        assert part_of(draw, BUSY).idle_j == pytest.approx(10.0)
        meter.close()
    assert gpu.closed


def test_what_is_measured_here_is_not_taken_from_the_daemon_too(tmp_path):
    machine = FakeMachine(tmp_path / "m")
    rapl = registry.open_all(machine.system, ("rapl",))
    with served(Daemon(tmp_path / "s", interval_s=3600, opened=[*rapl, Gpu()], system=machine.system)) as daemon:
        daemon.read(1.0)
        daemon.read(1.0)
        meter = DaemonMeter(str(tmp_path / "s"), covered=frozenset({"cpu"}))
        assert meter.covers == {"gpu"}
        meter.read(START)
        daemon.read(1.0)
        assert [draw.domain for draw in meter.read(BUSY)] == ["gpu0"]
        meter.close()


def test_a_restart_is_flagged_and_then_it_goes_on(tmp_path):
    machine = FakeMachine(tmp_path / "m")
    with served(Daemon(tmp_path / "s", interval_s=0.02, system=machine.system)):
        meter = DaemonMeter(str(tmp_path / "s"))
        meter.read(START)
    assert "does not answer" in meter.read(BUSY)[0].flags[0]
    with served(Daemon(tmp_path / "s", interval_s=0.02, system=machine.system)):
        assert "began anew" in meter.read(BUSY)[0].flags[0]
        machine.work(1.0, watts={"package-0": 30.0})
        end_s, total_j = time.monotonic() + 60, 0.0
        while total_j < 29.9 and time.monotonic() < end_s:
            time.sleep(0.02)
            total_j += sum(draw.energy_j for draw in meter.read(BUSY))
        assert total_j == pytest.approx(30.0)
    meter.close()


def test_a_path_that_cannot_be_a_socket(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError):
        listen(tmp_path / "file" / "s", mode=0o666)
    with pytest.raises(UsageError, match="in the way"):
        listen(tmp_path / "file", mode=0o666)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_page_for_prometheus_that_our_own_meter_reads(tmp_path):
    machine = FakeMachine(tmp_path / "m", domains=("package-0", "psys"))
    daemon = Daemon(tmp_path / "s", system=machine.system)
    daemon.read(0.0)
    machine.work(1.0, watts={"package-0": 30.0, "psys": 50.0})
    daemon.read(1.0)
    scrape = Scrape("127.0.0.1:0", lambda: page(daemon.counters()))
    try:
        with urllib.request.urlopen(f"http://{scrape.address}/metrics") as answer:
            told, covers = prometheus.parse(answer.read().decode())
    finally:
        scrape.close()
        for meter in daemon.meters:
            meter.close()
    assert covers == {"cpu"}
    assert {one.domain.rpartition("rapl-")[2]: (one.joules, one.counted) for one in told} == {
        "package-0": (30.0, True),
        "psys-1": (50.0, False),
    }


LENDER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from heliotrope.measure.power.desk import Desk
    from heliotrope.measure.power.keeper import Keeper
    from heliotrope.measure.power.knobs import find
    from heliotrope.measure.machine.system import System
    root, folder = sys.argv[1], Path(sys.argv[2])
    keeper = Keeper(find(System(root)), folder / "power.jsonl")
    desk = Desk(folder / "power.sock", keeper)
    print(",".join(keeper.recovered), flush=True)
    time.sleep(60)
    """
)


def test_a_killed_daemon_puts_back_at_its_next_start_what_it_had_lent(tmp_path):
    from heliotrope.measure.power.lease import borrow

    machine = FakeMachine(tmp_path / "m")
    limit = tmp_path / "m/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw"
    machine._write("sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term\n")
    limit.write_text("990000000")

    def start():
        lender = subprocess.Popen(
            [sys.executable, "-c", LENDER, str(machine.root), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        return lender, lender.stdout.readline().strip()

    first, recovered = start()
    assert recovered == ""
    lease = borrow(machine.system, path=str(tmp_path / "power.sock"))
    lease.take("package-0/limit")
    lease.set("package-0/limit", 500.0)
    assert limit.read_text() == "500000000"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert limit.read_text() == "500000000"
    second, recovered = start()
    assert recovered == "package-0/limit"
    assert limit.read_text() == "990000000"
    second.kill()
    second.wait()
    second.stdout.close()
    lease._link.close()
    events = [json.loads(line)["event"] for line in (tmp_path / "power.jsonl").read_text().splitlines()]
    assert events == ["took", "set", "stands", "gave-back"]
