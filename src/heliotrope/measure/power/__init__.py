"""Less power for the same work: limits and clocks, borrowed for as long as the work runs and always put back.

`search` decides (pure), `knobs` and `gpu` turn, `keeper` puts back and journals, `lease` lends over a socket,
`guard` stands by where no daemon does, `frugal` is what a training loop calls, `simulated` stands in for a GPU.
"""

from __future__ import annotations

from heliotrope.measure.power.frugal import Frugal, Outcome, Rider, frugal

__all__ = ["Frugal", "Outcome", "Rider", "frugal"]
