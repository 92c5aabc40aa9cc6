"""How many devices of each site are promised for all of an hour: kept with the board, asked for all sites at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from heliotrope.units import S_PER_HOUR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOURS = 24 * 21
Span = tuple[str, float, float, int]


class Hours:
    """Sites in rows, hours from `first` on in columns; what lies outside is not counted: never too much is."""

    def __init__(self, first: int) -> None:
        import numpy as np

        self.first = first
        self._rows: dict[str, int] = {}
        self._used = np.zeros((64, HOURS), dtype=np.int64)

    def add(self, spans: Iterable[Span], sign: int = 1) -> None:
        """Site, start and end (epoch s), devices."""
        for site, start_s, end_s, devices in spans:
            start = max(0, -int(-start_s // S_PER_HOUR) - self.first)
            end = min(HOURS, int(end_s // S_PER_HOUR) - self.first)
            if start < end:
                self._used[self._row(site), start:end] += sign * devices

    def used(self, sites: Sequence[str], first: int, count: int) -> NDArray[np.int64]:
        import numpy as np

        found = np.zeros((len(sites), count), dtype=np.int64)
        start, end = max(first, self.first), min(first + count, self.first + HOURS)
        known = [(row, self._rows[name]) for row, name in enumerate(sites) if name in self._rows]
        if known and start < end:
            to, of = map(list, zip(*known, strict=True))
            found[to, start - first : end - first] = self._used[of, start - self.first : end - self.first]
        return found

    def _row(self, site: str) -> int:
        import numpy as np

        row = self._rows.setdefault(site, len(self._rows))
        if row == len(self._used):
            self._used = np.concatenate([self._used, np.zeros_like(self._used)])
        return row
