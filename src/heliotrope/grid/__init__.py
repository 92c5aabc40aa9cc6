"""Signals of the world outside: what the power is like, now and next."""

from heliotrope.grid.grid import Grid
from heliotrope.grid.zones import Zone

__all__ = ["Grid", "Zone"]
