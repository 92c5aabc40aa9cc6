"""A server's management controller through its own kernel (IPMI, DCMI): the whole node, asked by ipmitool."""

from __future__ import annotations

import re
import shutil
import subprocess

from heliotrope.errors import MeterError
from heliotrope.measure.machine.system import System
from heliotrope.measure.meters.integrated import IntegratedMeter, Told
from heliotrope.measure.meters.remote.watch import Watch
from heliotrope.measure.protocol import Opening, Probe

NAME = "ipmi"
ASK = ("ipmitool", "dcmi", "power", "reading")
PATIENCE_S = 10.0
NOW = re.compile(r"^\s*Instantaneous power reading:\s*(\d+)\s*Watts", re.MULTILINE)
STATE = re.compile(r"^\s*Power reading state is:\s*(\S+)", re.MULTILINE)


def parse(text: str) -> list[Told]:
    """Watts of `ipmitool dcmi power reading`."""
    match, state = NOW.search(text), STATE.search(text)
    if match is None:
        raise MeterError("the BMC tells no power", cause=text.strip()[:200] or "no answer")
    if state is not None and state[1].lower().startswith(("deactivated", "off")):
        raise MeterError("the BMC does not measure power now", cause=state[0].strip())
    return [Told("node", watts=float(match[1]))]


def look() -> list[Told]:
    try:
        done = subprocess.run(ASK, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeterError("ipmitool does not answer", cause=str(error)) from error
    if done.returncode:
        raise MeterError(
            "ipmitool failed", cause=done.stderr.strip()[:200], hint="run as root; modprobe ipmi_devintf ipmi_si"
        )
    return parse(done.stdout)


def probe(system: System) -> Probe:
    if not any(name.startswith("ipmi") for name in system.names("dev")):
        hint = "modprobe ipmi_devintf ipmi_si, if this is a server; or ask its BMC: redfish:https://…"
        return Probe(NAME, False, (), "no /dev/ipmi0", hint)
    if shutil.which(ASK[0]) is None:
        return Probe(NAME, False, ("node",), "ipmitool is not installed", "apt install ipmitool")
    try:
        look()
    except MeterError as error:
        return Probe(NAME, False, ("node",), error.what, error.hint or error.cause)
    return Probe(NAME, True, ("node",), "asked for by name only", "helio measure --meter ipmi -- CMD")


def open_meter(opening: Opening) -> IntegratedMeter | None:
    if not probe(opening.system).available:
        return None
    return IntegratedMeter(NAME, None, covers=frozenset({"node", "cpu", "dram"}), resolution_s=5.0, source=Watch(look))
