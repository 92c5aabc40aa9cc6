"""Meters that are asked: Prometheus, a BMC over Redfish or IPMI, a PDU over SNMP (a real agent) or as a file."""

from __future__ import annotations

import base64
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure import registry
from heliotrope.measure.meters.integrated import Direct, IntegratedMeter, Point, Told
from heliotrope.measure.meters.remote import ipmi, prometheus, redfish
from heliotrope.measure.meters.remote.snmp import Agent, Reading, find, parse
from heliotrope.measure.meters.remote.snmp.ber import Garbled, oid, request, response
from heliotrope.measure.meters.remote.web import fetch
from heliotrope.measure.protocol import Opening, Usage
from heliotrope.measure.share.attribution import part_of
from heliotrope.model import Provenance

START = Usage(0.0, 0.0, 0.0, 4)
BUSY = Usage(1.0, 2.0, 4.0, 4)


def flags(draws):
    return " ".join(flag for draw in draws for flag in draw.flags)


# watts and counters over time


class Played:
    """A source that plays its points, or raises."""

    def __init__(self, *points):
        self.points = list(points)
        self.clock_s = 0.0

    def take(self, elapsed_s):
        self.clock_s += elapsed_s
        due = []
        while self.points and not isinstance(self.points[0], MeterError) and self.points[0].at_s <= self.clock_s:
            due.append(self.points.pop(0))
        if not due and self.points and isinstance(self.points[0], MeterError):
            raise self.points.pop(0)
        return due

    def now_s(self):
        return self.clock_s

    def close(self):
        self.closed = True


def played(*points):
    source = Played(*points)
    meter = IntegratedMeter("pdu", None, covers=frozenset({"node"}), resolution_s=5.0, source=source)
    assert meter.read(START) == ()
    return meter


def watts(at_s, power_w):
    return Point(at_s, [Told("node", watts=power_w)])


def joules(at_s, energy_j, **more):
    return Point(at_s, [Told("node", joules=energy_j, **more)])


def test_a_short_run_is_not_nothing_and_what_was_guessed_is_settled():
    meter = played(watts(0, 100.0), watts(5, 200.0), watts(10, 200.0))
    draws = [meter.read(Usage(0.5, 0, 0, 4))[0] for _ in range(20)]
    assert draws[0].energy_j == pytest.approx(50.0)
    assert sum(draw.energy_j for draw in draws) == pytest.approx(100 * 5 + 50 * 5 + 200 * 5)
    assert sum(draw.low_j for draw in draws) <= 1750 <= sum(draw.high_j for draw in draws)
    assert all(draw.low_j <= draw.energy_j <= draw.high_j for draw in draws)


def test_counters_wrap_are_reset_and_are_read_once():
    meter = played(joules(0, 90.0, counter_range_j=100.0), joules(1, 15.0, counter_range_j=100.0), joules(2, 4.0))
    (draw,) = meter.read(BUSY)
    assert draw.energy_j == pytest.approx(25.0)
    (draw,) = meter.read(BUSY)
    assert draw.energy_j == pytest.approx(4.0)
    assert "reset" in flags([draw])
    once = played(joules(0, 5.0))
    assert "read once" in flags(once.read(BUSY))


def test_a_source_that_is_silent_is_not_guessed_for_ever():
    meter = played(watts(0, 100.0), watts(1, 100.0))
    total_j = sum(meter.read(BUSY)[0].energy_j for _ in range(60))
    assert total_j <= 100.0 * 17
    lost = played(watts(0, 100.0), MeterError("no answer"), watts(3, 100.0))
    assert "no answer" in flags(lost.read(BUSY))
    total_j = sum(lost.read(BUSY)[0].energy_j for _ in range(2))
    assert total_j == pytest.approx(300.0)


def test_direct_sources_may_be_asked_seldom():
    asked = []
    source = Direct(lambda: asked.append(1) or [Told("node", watts=10.0)], every_s=5.0)
    meter = IntegratedMeter("file", None, covers=frozenset(), resolution_s=5.0, source=source)
    meter.read(START)
    assert sum(meter.read(BUSY)[0].energy_j for _ in range(10)) == pytest.approx(100.0)
    assert len(asked) == 3


def test_a_node_that_idles_is_not_charged_to_whoever_works_a_little_on_it():
    meter = played(watts(0, 100.0), *(watts(i, 100.0) for i in range(1, 5)))
    usage = Usage(1.0, 0.1, 0.1, 4)
    for _ in range(3):
        (draw,) = meter.read(usage)
    part = part_of(draw, usage)
    assert part.mine_j + part.others_j + part.idle_j == pytest.approx(100.0)
    assert part.idle_j == pytest.approx(40.0 * (1 - 0.1 / 4))
    assert part.low_j < part.mine_j < part.high_j


def test_a_gpu_whose_users_nobody_tells_is_counted_whole_and_what_is_modelled_stays_so():
    text = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 5000\n'
    assert not prometheus.parse(text)[0][0].shared
    meter = played(*(Point(i, [Told("gpu0", joules=10.0 * i, shared=False)]) for i in range(3)))
    (draw,) = meter.read(BUSY)
    assert draw.mine
    assert "users are not shown" in flags([draw])
    assert prometheus.provenance(text) is Provenance.MEASURED
    assert prometheus.provenance('x{provenance="modelled"} 1\ny{provenance="measured"} 1\n') is Provenance.MODELLED


# Prometheus


def test_labels_tell_domains_apart_or_are_parts_of_one():
    old_kepler = (
        'kepler_node_package_joules_total{instance="a",package="0",source="rapl",mode="dynamic"} 70\n'
        'kepler_node_package_joules_total{instance="a",package="0",source="rapl",mode="idle"} 30\n'
        'kepler_node_package_joules_total{instance="a",package="1",source="rapl",mode="dynamic"} 11\n'
    )
    told = {one.domain: one.joules for one in prometheus.parse(old_kepler)[0]}
    assert told == {"kepler_node_package_joules_total-0": 100.0, "kepler_node_package_joules_total-1": 11.0}
    dcgm = (
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1",GPU_I_ID="1",pod="a, \\"b\\""} 5000\n'
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1",GPU_I_ID="2"} 5000\n'
        'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="1",UUID="GPU-2"} 7000 1700000000000\n'
        'DCGM_FI_DEV_POWER_USAGE{gpu="0"} NaN\n'
    )
    told = {one.domain: one.joules for one in prometheus.parse(dcgm)[0]}
    assert told == {"gpu0": 5.0, "gpu1": 7.0}
    assert prometheus.parse('scaph_socket_energy_microjoules{socket_id="0"} 2500000\n')[0][0].joules == 2.5
    many = 'my_joules_total{rack="1"} 3\nmy_joules_total{rack="2"} 4\n'
    assert [one.joules for one in prometheus.parse(many, "my_joules_total")[0]] == [3.0, 4.0]
    with pytest.raises(MeterError, match="not the text"):
        prometheus.parse("kepler_node_cpu_joules_total much\n")
    with pytest.raises(MeterError, match="no metric"):
        prometheus.parse("kepler_node_cpu_joules_total NaN\n")


# Redfish


class Bmc(http.server.BaseHTTPRequestHandler):
    """A management controller: /redfish/v1, one user, power in three forms, and a few bad habits."""

    tree = {}  # noqa: RUF012
    secret = base64.b64encode(b"reader:p@ss").decode()
    moved = {}  # noqa: RUF012
    heard = []  # noqa: RUF012

    def do_GET(self):
        Bmc.heard.append((self.path, self.headers.get("Authorization")))
        if self.path in Bmc.moved:
            self.send_response(302)
            self.send_header("Location", Bmc.moved[self.path])
            self.end_headers()
        elif self.headers.get("Authorization") != f"Basic {Bmc.secret}":
            self.send_response(401)
            self.end_headers()
        elif self.path in Bmc.tree:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(Bmc.tree[self.path]).encode())
        else:
            self.send_response(404)
            self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def bmc():
    Bmc.tree = {
        "/redfish/v1/Chassis": {
            "Members": [{"@odata.id": "/redfish/v1/Chassis/Shelf"}, {"@odata.id": "/redfish/v1/Chassis/1"}]
        },
        "/redfish/v1/Chassis/Shelf": {"Name": "a shelf without a meter", "Power": {}},
        "/redfish/v1/Chassis/Shelf/Power": {"PowerControl": [{"PowerConsumedWatts": None}]},
        "/redfish/v1/Chassis/1": {"EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics"}},
        "/redfish/v1/Chassis/1/EnvironmentMetrics": {"PowerWatts": {"Reading": 412.0}, "EnergykWh": {"Reading": None}},
    }
    Bmc.moved, Bmc.heard = {}, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bmc) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_bmc_is_found_from_its_address_alone(bmc):
    meter = registry.module("redfish").open_meter(Opening(None, f"http://reader:p%40ss@{bmc}"))
    try:
        assert meter.read(START) == ()
        time.sleep(0.1)
        (draw,) = meter.read(Usage(0.1, 0, 0, 4))
        assert 0 < draw.energy_j < 412 * 5
        assert "Chassis/1/EnvironmentMetrics" in Bmc.heard[-1][0]
    finally:
        meter.close()


@pytest.mark.parametrize("user", ["", "reader:wrong@"])
def test_a_bmc_that_lets_nobody_in(bmc, user):
    with pytest.raises(MeterError, match="401") as error:
        registry.module("redfish").open_meter(Opening(None, f"http://{user}{bmc}"))
    assert "user:password" in error.value.hint
    assert "wrong" not in str(error.value)


def test_a_password_may_be_in_a_file_of_its_own(bmc, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login reader password p@ss\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert redfish.find(f"http://{bmc}").endswith("Chassis/1/EnvironmentMetrics")
    (tmp_path / ".netrc").write_text("machine\n")
    with pytest.raises(MeterError, match="netrc"):
        fetch(f"http://{bmc}/")


def test_a_bmc_that_sends_us_elsewhere(bmc):
    Bmc.moved = {"/power": "/redfish/v1/Chassis/1/EnvironmentMetrics", "/away": "http://192.0.2.1/power"}
    assert redfish.parse(fetch(f"http://reader:p%40ss@{bmc}/power"))[0].watts == 412.0
    assert Bmc.heard[-1][1] == f"Basic {Bmc.secret}"
    with pytest.raises(MeterError, match=r"sends us to http://192\.0\.2\.1"):
        fetch(f"http://reader:p%40ss@{bmc}/away")
    with pytest.raises(MeterError, match="404"):
        fetch(f"http://reader:p%40ss@{bmc}/nowhere")
    for address in ("ftp://x/", "http://", "bmc"):
        with pytest.raises(MeterError, match="not a web address"):
            fetch(address)


@pytest.mark.parametrize(
    ("tree", "power_w"),
    [
        ({"PowerWatts": {"Reading": 0}}, 0.0),
        ({"PowerWatts": 210}, 210.0),
        ({"ReadingType": "Power", "ReadingUnits": "W", "Reading": 95.5}, 95.5),
        ({"PowerControl": [{"PowerConsumedWatts": None}, {"PowerConsumedWatts": 12}]}, 12.0),
    ],
)
def test_forms_of_power(tree, power_w):
    assert redfish.parse(json.dumps(tree).encode())[0].watts == power_w


@pytest.mark.parametrize(
    "tree",
    [
        {"PowerWatts": {"Reading": None}},
        {"PowerControl": None},
        {"PowerControl": ["x"]},
        {"PowerWatts": {"Reading": "-"}},
    ],
)
def test_fields_that_are_missing(tree):
    with pytest.raises(MeterError, match="tells no power"):
        redfish.parse(json.dumps(tree).encode())


def test_a_bmc_without_a_meter(bmc):
    del Bmc.tree["/redfish/v1/Chassis/1/EnvironmentMetrics"]
    with pytest.raises(MeterError, match="no chassis"):
        redfish.find(f"http://reader:p%40ss@{bmc}/redfish/v1/")


# IPMI

DCMI = """
    Instantaneous power reading:                   226 Watts
    Minimum during sampling period:                 90 Watts
    Power reading state is:                   {state}
"""


def test_what_ipmitool_tells(tmp_path, monkeypatch):
    assert ipmi.parse(DCMI.format(state="activated"))[0].watts == 226.0
    with pytest.raises(MeterError, match="does not measure power now"):
        ipmi.parse(DCMI.format(state="deactivated"))
    with pytest.raises(MeterError, match="tells no power"):
        ipmi.parse("DCMI request failed")
    program = tmp_path / "ipmitool"
    program.write_text("#!/bin/sh\necho 'Could not open device at /dev/ipmi0' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MeterError, match="ipmitool failed") as error:
        ipmi.look()
    assert "/dev/ipmi0" in error.value.cause
    program.write_text(f"#!/bin/sh\ncat <<E\n{DCMI.format(state='activated')}\nE\n")
    assert ipmi.look()[0].watts == 226.0


# SNMP. These answers were recorded from net-snmp 5.9.3.

ANSWERED = "30470201010406736563726574a23a020101020100020100302f301706082b06010201010200060b2b06010401823e010304093014060f2b06010401823e01011a040301050102012a"
MANY = (
    "3081820201010406736563726574a275020200c80201000201003069300d06092b06010401868d1f018000301206092b06010401868d1f0241"
    "0500fffffffa301206092b06010401868d1f03420500b2d05e00301106092b06010401868d1f04040431322e35300e06092b06010401868d1f"
    "050201ff300d06092b06010401868d1f068000"
)


def test_answers_of_a_real_agent_are_read():
    who, power = response(bytes.fromhex(ANSWERED), 1)
    assert (who.data, power.data) == ("1.3.6.1.4.1.318.1.3.4.9", 42)
    assert response(bytes.fromhex(ANSWERED), 2) is None
    values = [value.data for value in response(bytes.fromhex(MANY), 200)]
    assert values == [None, 4294967290, 3000000000, "12.5", -1, None]


def test_anything_else_is_garbled_and_nothing_worse():
    data = bytes.fromhex(MANY)
    for cut in range(len(data)):
        with pytest.raises((Garbled, UnicodeDecodeError, IndexError)) as error:
            response(data[:cut], 200)
        assert error.type is Garbled
    for name in ("", "1", "x.1", "3.1", "1.99", "1.-3"):
        with pytest.raises(Garbled, match="not the name"):
            oid(name)
    assert oid("1.3.6.1.4.1.318").hex() == "06072b06010401823e"
    assert request("secret", 1, ("1.3.6.1.2.1.1.2.0", "1.3.6.1.4.1.318.1.1.26.4.3.1.5.1")).hex() == (
        "303b0201010406736563726574a02e0201010201000201003023300c06082b0601020101020005003013060f2b06010401823e01011a040301050105"
        "00"
    )


def test_addresses_of_agents():
    assert parse("pdu") == (Agent("pdu", 161, "public"), None)
    assert parse("secret@[::1]:1161#1.3.6.1.4.1.5=0.1kWh") == (
        Agent("::1", 1161, "secret"),
        Reading("1.3.6.1.4.1.5", 360_000.0, True),
    )
    for bad in ("", "pdu#x", "pdu#1.3=10", "pdu#1.3=1V", "pdu:x"):
        with pytest.raises(InvalidInput, match="not the address"):
            parse(bad)


@pytest.fixture
def agent(tmp_path):
    """net-snmp's agent, playing a PDU of APC's."""
    program = shutil.which("snmpd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("snmpd is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "snmpd.conf").write_text(
        f"agentAddress udp:127.0.0.1:{port}\nrocommunity secret 127.0.0.1\nsysObjectID 1.3.6.1.4.1.318.1.3.4.9\n"
        "override 1.3.6.1.4.1.318.1.1.26.4.3.1.5.1 integer 42\n"
        "override 1.3.6.1.4.1.99999.1 integer -1\noverride 1.3.6.1.4.1.99999.2 octet_str 12.5\n"
    )
    command = [program, "-f", "-Lf", str(tmp_path / "log"), "-C", "-c", str(tmp_path / "snmpd.conf")]
    process = subprocess.Popen(
        [*command, "-p", str(tmp_path / "pid"), f"--persistentDir={tmp_path}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        try:
            Agent("127.0.0.1", port, "secret").get("1.3.6.1.2.1.1.2.0")
            break
        except MeterError:
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()


def test_a_pdu_behind_a_real_agent(agent, monkeypatch):
    assert find(Agent("127.0.0.1", agent, "secret")) == Reading("1.3.6.1.4.1.318.1.1.26.4.3.1.5.1", 10.0, False)
    meter = registry.module("snmp").open_meter(Opening(None, f"secret@127.0.0.1:{agent}"))
    assert meter.read(START) == ()
    time.sleep(0.05)
    (draw,) = meter.read(Usage(0.05, 0, 0, 4))
    assert 0 < draw.energy_j < 420 * 5
    meter.close()
    named = registry.module("snmp").open_meter(Opening(None, f"secret@127.0.0.1:{agent}#1.3.6.1.4.1.99999.2=1W"))
    named.close()
    for name, says in (("1.3.6.1.4.1.99999.1", "does not measure"), ("1.3.6.1.4.1.99999.7", "no number")):
        with pytest.raises(MeterError, match=says):
            registry.module("snmp").open_meter(Opening(None, f"secret@127.0.0.1:{agent}#{name}=1W"))
    monkeypatch.setattr("heliotrope.measure.meters.remote.snmp.PATIENCE_S", 0.1)
    with pytest.raises(MeterError, match="does not answer SNMP") as error:
        registry.module("snmp").open_meter(Opening(None, f"wrong@127.0.0.1:{agent}"))
    assert "community" in error.value.hint


# a file that grows


def test_the_log_of_a_pdu_is_followed(tmp_path):
    path = tmp_path / "pdu.csv"
    now_s = time.time()
    path.write_text(f"Time,Outlet,Watts\n{now_s - 2},7,100\n")
    meter = registry.module("csv").open_meter(Opening(None, str(path)))
    assert meter.read(START) == ()
    time.sleep(0.05)
    (draw,) = meter.read(Usage(0.05, 0, 0, 4))
    assert draw.energy_j == pytest.approx(100 * 0.05, rel=0.9)
    with path.open("a") as text:
        text.write(f"{time.time()},7,300\n{time.time() + 0.001},7,3")
    time.sleep(0.05)
    (draw,) = meter.read(Usage(0.05, 0, 0, 4))
    assert draw.high_j > 100 * 0.05
    with path.open("a") as text:
        text.write("x\n")
    assert "pdu.csv:4: watts: not a draw" in flags(meter.read(BUSY))
    for text, says in (("", "no row"), ("a,b\n1,2\n", "column is missing"), ("time,watts\nx,2\n", "not a time")):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=says):
            registry.module("csv").open_meter(Opening(None, str(path)))
    path.write_text(f"time,watts\n{now_s - 3600},100\n")
    assert "no row of the last" in flags(registry.module("csv").open_meter(Opening(None, str(path))).read(START))
