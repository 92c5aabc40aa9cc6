"""Which socket a CPU name means, and what one of its threads draws."""

from heliotrope.measure.machine.cpu.names import Socket, resolve
from heliotrope.measure.machine.cpu.this import this_cpu

__all__ = ["Socket", "resolve", "this_cpu"]
