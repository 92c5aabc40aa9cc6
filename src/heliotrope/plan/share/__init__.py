"""Whose turn it is: owners first, idle capacity lent to whoever used least energy and carbon, quotas never exceeded."""

from heliotrope.plan.share.standing import Standing, Use, dominant, standings, total
from heliotrope.plan.share.turns import Ask, Pool, Turns, turns

__all__ = ["Ask", "Pool", "Standing", "Turns", "Use", "dominant", "standings", "total", "turns"]
