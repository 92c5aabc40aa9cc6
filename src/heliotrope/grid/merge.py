"""Several providers, one series: each hour from the first that knows it, and it says which hours are whose."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from heliotrope.grid.wire.points import complete, filled_note
from heliotrope.model import Quality, QualityKind, Signal
from heliotrope.units import S_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a mixed series is worth is what its weakest part is.
TRUST = (QualityKind.MODELLED, QualityKind.FORECAST, QualityKind.ESTIMATED, QualityKind.MEASURED)


def merge(parts: Sequence[Signal], first: int, last: int, *, zone: str) -> Signal:
    """Hours of [first, last) from `parts`, in order of precedence, all hourly and of one kind.

    Holes of at most two hours that nobody knows are filled and flagged; longer ones raise `SignalGap`.
    """
    import numpy as np

    owner: dict[int, tuple[Signal, int]] = {}
    for part in parts:
        parts[0].same_kind(part)
        for i in range(len(part.values)):
            at = part.start_s + i * S_PER_HOUR
            if first <= at < last:
                owner.setdefault(at, (part, i))
    columns = []
    for name in ("values", "low", "high"):
        known = {at: float(getattr(part, name)[i]) for at, (part, i) in owner.items()}
        series, filled = complete(known, first, last, who=_names(parts), zone=zone)
        columns.append(np.asarray(series))
    hours = Counter(part.quality.source for part, _ in owner.values())
    used = [part for part in parts if part.quality.source in hours]
    flags = list(dict.fromkeys(flag for part in used for flag in part.quality.flags))
    if len(hours) > 1:
        flags += [f"{count} h from {source}" for source, count in hours.items()]
    best = used[0].quality
    quality = Quality(
        min((part.quality.kind for part in used), key=TRUST.index),
        " + ".join(hours),
        " + ".join(dict.fromkeys(part.quality.licence for part in used)),
        best.issued_at_s,
        best.year,
        (*flags, *filled_note(filled)),
    )
    values, low, high = columns
    return Signal(parts[0].kind, zone, first, S_PER_HOUR, values, low, high, quality)


def flagged(signal: Signal, flags: Sequence[str]) -> Signal:
    if not flags:
        return signal
    quality = msgspec.structs.replace(signal.quality, flags=tuple(dict.fromkeys((*signal.quality.flags, *flags))))
    return msgspec.structs.replace(signal, quality=quality)


def _names(parts: Sequence[Signal]) -> str:
    return " + ".join(dict.fromkeys(part.quality.source for part in parts))
