"""How a number came to be. On its own, so that whoever measures needs to load no more than this."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Provenance(StrEnum):
    """From most to least trusted; a sum is as trusted as its worst part."""

    MEASURED = "measured"
    MODELLED = "modelled"
    ASSUMED = "assumed"


_TRUST = {Provenance.MEASURED: 0, Provenance.MODELLED: 1, Provenance.ASSUMED: 2}


def least_trusted(kinds: Iterable[Provenance]) -> Provenance:
    return max(kinds, key=_TRUST.__getitem__, default=Provenance.MEASURED)
