"""Work that comes in many parts: again and again, or one part after another."""

from heliotrope.plan.series.graph import Graph, Laid, Step, lay
from heliotrope.plan.series.periodic import Rhythm, recurring

__all__ = ["Graph", "Laid", "Rhythm", "Step", "lay", "recurring"]
