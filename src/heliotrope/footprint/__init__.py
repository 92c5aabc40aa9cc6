"""Energy into carbon, water, embodied, cost and heat, by the hour it was used."""

from heliotrope.footprint.compute import compute
from heliotrope.footprint.sci import Sci, sci
from heliotrope.footprint.times import at_once, shift

__all__ = ["Sci", "at_once", "compute", "sci", "shift"]
