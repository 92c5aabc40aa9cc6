"""A rack's power distribution unit (PDU), asked over SNMPv2c: all that hangs on its inlet."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from heliotrope import facts
from heliotrope.errors import InvalidInput, MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.remote.snmp.ber import COUNTER32, Garbled, Value, request, response
from heliotrope.measure.meters.remote.watch import Watch
from heliotrope.measure.protocol import Opening, Probe
from heliotrope.units import J_PER_KWH

NAME = "snmp"
FORM = "snmp:COMMUNITY@HOST[:PORT][#OID=SCALE UNIT], UNIT one of W, kW, J, Wh, kWh"
EXAMPLE = "helio measure --meter snmp:public@pdu -- CMD   # or snmp:public@pdu#1.3.6.1.4.1.318.1.1.26.6.3.1.7.4=10W"
ADDRESS = re.compile(r"^(?:([^@]+)@)?(\[[^\]]+\]|[^:#]+)(?::(\d+))?(?:#([\d.]+)=([\d.eE+-]*)\s*(\w+))?$")
UNITS = {"W": 1.0, "kW": 1e3, "J": 1.0, "Wh": J_PER_KWH / 1e3, "kWh": J_PER_KWH}
PORT = 161
WHO = "1.3.6.1.2.1.1.2.0"  # sysObjectID: whose make it is
TRIES, PATIENCE_S = 3, 1.0


class Agent(NamedTuple):
    """Whom to ask, with which community."""

    host: str
    port: int
    community: str

    def get(self, *names: str) -> list[Value]:
        """Values of these objects; asked up to three times, since datagrams get lost."""
        try:
            family, kind, proto, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, proto) as link:
                link.connect(address)
                link.settimeout(PATIENCE_S)
                for number in range(1, TRIES + 1):
                    link.send(request(self.community, number, names))
                    try:
                        while True:
                            values = response(link.recv(65535), number)
                            if values is not None:
                                return values
                    except TimeoutError:
                        continue
        except Garbled as error:
            raise MeterError(f"{self.host} answers SNMP oddly", cause=str(error)) from error
        except OSError as error:
            raise MeterError(f"{self.host} does not answer SNMP", cause=str(error)) from error
        raise MeterError(
            f"{self.host} does not answer SNMP",
            cause=f"no answer to {TRIES} requests in {TRIES * PATIENCE_S:g} s",
            hint="a wrong community is met with silence too: snmp:COMMUNITY@HOST; version 2c must be allowed",
        )


class Reading(NamedTuple):
    """Which object to read, and joules or watts in one unit of it."""

    name: str
    scale: float
    counts: bool

    def of(self, agent: Agent) -> list[Told]:
        (value,) = agent.get(self.name)
        try:
            number = float(value.data if value.data is not None else "")
        except ValueError:
            found = "nothing" if value.data is None else repr(value.data)
            raise MeterError(f"{agent.host} tells no number at {self.name}", cause=f"found {found}") from None
        if number < 0:
            raise MeterError(f"{agent.host} says that it does not measure this", cause=f"{self.name} is {number:g}")
        if self.counts:
            again_j = 2**32 * self.scale if value.tag == COUNTER32 else 0.0
            return [Told("node", joules=number * self.scale, counter_range_j=again_j)]
        return [Told("node", watts=number * self.scale)]


def parse(target: str) -> tuple[Agent, Reading | None]:
    match = ADDRESS.match(target)
    if match is None or (match[6] and match[6] not in UNITS):
        raise InvalidInput("not the address of an SNMP agent", field="meters", found=target, allowed=FORM, hint=EXAMPLE)
    agent = Agent(match[2].strip("[]"), int(match[3] or PORT), match[1] or "public")
    if match[4] is None:
        return agent, None
    scale = float(match[5] or 1.0) * UNITS[match[6]]
    return agent, Reading(match[4].strip("."), scale, match[6] in {"J", "Wh", "kWh"})


def find(agent: Agent) -> Reading:
    """By the make of the unit."""
    (who,) = agent.get(WHO)
    make = f"{who.data or ''}."
    for row in facts.table("pdu_oids"):
        if make.startswith(row.more["enterprise"] + "."):
            digits = 0
            if row.more["digits_oid"]:
                (told,) = agent.get(row.more["digits_oid"])
                digits = told.data if isinstance(told.data, int) else 0
            return Reading(row.more["oid"], row.value / 10**digits, counts=False)
    raise MeterError(
        f"{agent.host} is of a make that is not known here",
        cause=f"sysObjectID {who.data}",
        hint=f"name its object: {FORM}",
    )


def probe(_system: System) -> Probe:
    return Probe(NAME, True, (), "asked for by address only", EXAMPLE)


def open_meter(opening: Opening) -> IntegratedMeter:
    agent, named = parse(opening.target)
    reading = named or find(agent)
    reading.of(agent)
    return IntegratedMeter(
        NAME,
        None,
        covers=frozenset({"node", "cpu", "dram", "gpu"}),
        resolution_s=5.0,
        source=Watch(lambda: reading.of(agent)),
    )
