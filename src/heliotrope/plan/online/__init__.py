"""Advice with a guarantee: as good as the forecast where it is good, and never much worse than running at once."""

from heliotrope.plan.online.guard import Guard

__all__ = ["Guard"]
