"""Fast exact kernels for many independent jobs: numba where it is installed, the same plan without it."""

from heliotrope.plan.kernels.jit import COMPILED
from heliotrope.plan.kernels.shapes import Batch, Curves, Slots

__all__ = ["COMPILED", "Batch", "Curves", "Slots"]
