"""Where nothing can be measured: CPU time times what a thread of this CPU draws, memory times what a gigabyte draws."""

from __future__ import annotations

from heliotrope import facts
from heliotrope.measure.machine.cpu import this_cpu
from heliotrope.measure.machine.system import System
from heliotrope.measure.protocol import BYTES_PER_GB, Draw, Line, Opening, Probe, Usage
from heliotrope.model import Provenance

NAME = "modelled"
NONE_W = (0.0, 0.0, 0.0)


class ModelledMeter:
    """A line from idle to full power. A line, since then a neighbour's work does not change what ours costs.

    Each thread's second of work costs full power's share; each idle second of the node costs idle power's share and
    belongs to nobody. The bounds hold the CPU model, the code's intensity and what a vCPU is (a thread or a core).
    """

    name = NAME
    provenance = Provenance.MODELLED
    covers = frozenset({"cpu", "dram"})
    resolution_s = 0.0  # CPU time is told to the nanosecond

    def __init__(self, system: System, stands_back_for: frozenset[str] = frozenset()) -> None:
        cpu = this_cpu(system)
        self.cpu = cpu
        self.busy_w, self.idle_w = cpu.socket.vcpu_w, cpu.socket.vcpu_idle_w
        memory = facts.fact("power_model", "memory")
        self.memory_w_per_gb = (memory.value, float(memory.more["low"]), float(memory.more["high"]))
        self.does_cpu = "cpu" not in stands_back_for
        self.does_memory = "dram" not in stands_back_for
        self.flags = cpu.socket.flags
        self.lines = self._lines()
        self._started = False

    def _lines(self) -> tuple[Line, ...]:
        """The same as `read` says, as the straight lines that they are."""
        cpu = Line("cpu", self.busy_w, self.idle_w.value, NONE_W, self.flags)
        memory = Line("memory", NONE_W, 0.0, self.memory_w_per_gb)
        return (cpu,) * self.does_cpu + (memory,) * self.does_memory

    def read(self, usage: Usage) -> tuple[Draw, ...]:
        if not self._started:
            self._started = True
            return ()
        draws = []
        if self.does_cpu:
            busy_s = max(usage.busy_s, usage.tree_s)
            rest_s = max(0.0, usage.capacity_s - busy_s)
            busy, idle, cpus = self.busy_w, self.idle_w, usage.cpus
            draws.append(
                Draw(
                    "cpu",
                    busy.value * busy_s + idle.value * rest_s,
                    busy.low * busy_s + idle.low * rest_s,
                    busy.high * busy_s + idle.high * rest_s,
                    idle.value * cpus,
                    idle.low * cpus,
                    idle.high * cpus,
                    flags=self.flags,
                )
            )
        if self.does_memory:
            gb_s = usage.tree_bytes / BYTES_PER_GB * usage.elapsed_s
            value, low, high = self.memory_w_per_gb
            draws.append(Draw("memory", value * gb_s, low * gb_s, high * gb_s, mine=True))
        return tuple(draws)

    def close(self) -> None:
        """Holds nothing."""


def probe(system: System) -> Probe:
    cpu = this_cpu(system)
    socket = cpu.socket
    kind = "vCPUs of a guest" if cpu.guest else "threads"
    return Probe(
        NAME,
        True,
        ("cpu", "memory"),
        f"{cpu.vcpus} {kind} on {socket.family} ({socket.tdp_w.value:.0f} W, about {socket.threads.value:.0f} "
        f"threads a socket): {socket.watts_per_thread.value:.2g} W each ({socket.watts_per_thread.low:.2g} to "
        f"{socket.watts_per_thread.high:.2g})",
        "calibrate it with a plug meter: `helio meter calibrate`" if not socket.exact else "",
    )


def open_meter(opening: Opening) -> ModelledMeter:
    return ModelledMeter(opening.system, opening.covered)
