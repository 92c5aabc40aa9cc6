"""The CPU of this machine, from /proc/cpuinfo: name, generation, how many of its threads are ours."""

from __future__ import annotations

from typing import NamedTuple

from heliotrope.measure.machine.cpu.names import HIDDEN, Socket, Span, resolve
from heliotrope.measure.machine.system import System


class ThisCpu(NamedTuple):
    """`vcpus`: logical CPUs that we see. `guest`: they are shares of sockets that we do not see."""

    socket: Socket
    vcpus: int
    guest: bool


def this_cpu(system: System) -> ThisCpu:
    fields: dict[str, str] = {}
    for line in (system.text("proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    name = fields.get("model name") or fields.get("cpu") or _product(system)
    if "cpu implementer" in fields:
        cpuid = f"{fields['cpu implementer']}/{fields.get('cpu part', '')}"
    else:
        cpuid = "/".join(fields.get(key, "") for key in ("cpu family", "model", "stepping"))
    guest = "hypervisor" in fields.get("flags", "").split() or "graviton" in name.lower()
    socket = resolve(name, cpuid)
    if socket.family in HIDDEN and (product := system.text("sys/class/dmi/id/product_name")):
        told = resolve(product.strip())  # a cloud may say which instance type it is
        socket = socket if told.family in HIDDEN else told
    siblings = fields.get("siblings", "")
    if not guest and siblings.isdigit() and int(siblings) > 0 and not socket.exact:
        threads = Span.exact(float(siblings))
        socket = socket._replace(threads=threads, watts_per_thread=socket.tdp_w.times(1 / threads.value))
    return ThisCpu(socket, system.cpus(), guest)


def _product(system: System) -> str:
    """Arm kernels name no model; the firmware or the device tree may."""
    for path in ("sys/class/dmi/id/processor_version", "proc/device-tree/model"):
        if text := system.text(path):
            return text.strip("\0\n ")
    return (system.text("sys/class/dmi/id/product_name") or "").strip()
