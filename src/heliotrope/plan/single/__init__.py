"""One workload: the best site, time, width and power, exact on the signals given, with what lost and by how much."""

from heliotrope.plan.single.candidate import Candidate, Progress
from heliotrope.plan.single.place import HORIZON_S, place

__all__ = ["HORIZON_S", "Candidate", "Progress", "place"]
