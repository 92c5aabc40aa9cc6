"""Which of very many sites are worth a close look: for each a bound below what any plan there costs, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from heliotrope.model import Flexibility, Plan, Signal, Site, Workload
from heliotrope.plan.single.candidate import ASSUMED_POWER_W
from heliotrope.units import S_PER_HOUR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

W_PER_KW = 1000.0


class Field:
    """Sites in rows, hours in columns from `start_s` on. g/kWh, the least of each hour."""

    def __init__(self, sites: tuple[Site, ...], signals: dict[str, Signal], start_s: int) -> None:
        import numpy as np

        self.sites = sites
        self.start_s = start_s
        hours = min((signal.end_s - start_s) // S_PER_HOUR for signal in signals.values())
        zones = {zone: _hourly(signal, start_s, hours) for zone, signal in signals.items()}
        self.carbon = np.stack([zones[site.zone] for site in sites])
        self.pue = np.array([site.cooling.pue for site in sites])
        self.capacity = np.array([site.capacity for site in sites])
        self._watts: dict[tuple[str | None, int], NDArray[np.float64]] = {}

    def bounds(
        self, workload: Workload, used: NDArray[np.int64], start_s: float, end_s: float, *, moves: bool = False
    ) -> NDArray[np.float64]:
        """Grams of operational carbon for each site, inf where it has no room. `used`: devices held all of an hour."""
        import numpy as np

        first = max(0, int((start_s - self.start_s) // S_PER_HOUR))
        last = min(self.carbon.shape[1], -int(-(end_s - self.start_s) // S_PER_HOUR))
        free = (self.capacity[:, None] - used[:, first:last]) >= max(1, workload.resources.devices)
        cost = np.where(free, self.carbon[:, first:last], np.inf)
        hours = workload.length.expected_s / S_PER_HOUR
        least = cost.min(axis=1, initial=np.inf)
        if moves or workload.flexibility.max_width > 1 or workload.flexibility.caps:
            sums = _thrift(workload.flexibility) * hours * least
        elif workload.flexibility.pausable:
            sums = _cheapest(cost, hours)
        else:
            sums = _unbroken(cost, hours)
        grams: NDArray[np.float64] = sums * self.pue * self.watts(workload) / W_PER_KW
        return grams

    def watts(self, workload: Workload) -> NDArray[np.float64]:
        """IT power at width 1, as each site's devices say where the work does not."""
        import numpy as np

        resources = workload.resources
        if resources.power_w is not None:
            return np.full(len(self.sites), resources.power_w)
        key = (resources.device_kind, resources.devices)
        if key not in self._watts:
            self._watts[key] = np.array([_watts_at(site, *key) for site in self.sites])
        return self._watts[key]


class Screened(msgspec.Struct, frozen=True, eq=False):
    """Row numbers, the best first, and the bound of each row."""

    order: NDArray[np.int64]
    bounds: NDArray[np.float64]

    def rest_g(self, taken: int) -> float:
        """Below it nothing lies among those that are not taken."""
        return float(self.bounds[self.order[taken]]) if taken < len(self.order) else float("inf")


def screened(bounds: NDArray[np.float64]) -> Screened:
    import numpy as np

    return Screened(np.argsort(bounds, kind="stable"), bounds)


def widened(plan: Plan, rest_g: float) -> Plan:
    """The same plan, its bound holding for the sites that were not looked at closely too."""
    bound_g = min(plan.bound_g, rest_g)
    gap = (plan.expected.carbon_g - bound_g) / bound_g if bound_g > 0 else 0.0
    return msgspec.structs.replace(plan, bound_g=bound_g, gap=gap)


def _hourly(signal: Signal, start_s: int, hours: int) -> NDArray[np.float64]:
    import numpy as np

    edges = start_s + S_PER_HOUR * np.arange(hours + 1)
    at = (edges - signal.start_s) // signal.step_s
    if signal.step_s >= S_PER_HOUR:
        return signal.values[at[:-1]]
    least: NDArray[np.float64] = np.minimum.reduceat(signal.values[: at[-1]], at[:-1])
    return least


def _watts_at(site: Site, kind: str | None, devices: int) -> float:
    fitting = [device.max_w for device in site.devices if kind in {None, device.kind}]
    return devices * max(fitting) if fitting and devices else ASSUMED_POWER_W


def _thrift(flexibility: Flexibility) -> float:
    """Energy in the leanest way to run, as a share of that at width 1 without a cap; under caps nobody knows here."""
    if flexibility.caps:
        return 0.0
    return min(width / speed for width, speed in enumerate(flexibility.speedup, 1)) * flexibility.speedup[0]


def _cheapest(cost: NDArray[np.float64], hours: float) -> NDArray[np.float64]:
    """In as many pieces as it likes: the cheapest hours, and a part of the next."""
    import numpy as np

    whole, part = divmod(hours, 1.0)
    k = int(whole)
    if k + (part > 0) > cost.shape[1]:
        return np.full(len(cost), np.inf)
    ordered = np.sort(cost, axis=1)
    sums: NDArray[np.float64] = ordered[:, :k].sum(axis=1)
    return sums + part * ordered[:, k] if part else sums


def _unbroken(cost: NDArray[np.float64], hours: float) -> NDArray[np.float64]:
    """In one piece: the best begins or ends on the hour, and its part of an hour is before or after whole ones."""
    import numpy as np

    whole, part = divmod(hours, 1.0)
    k = int(whole)
    if k == 0:
        least: NDArray[np.float64] = part * cost.min(axis=1, initial=np.inf)
        return least
    if k > cost.shape[1]:
        return np.full(len(cost), np.inf)
    sums: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(cost, k, axis=1).sum(axis=2)
    if part:
        # Each whole window with the part of an hour that follows it, and with the part that comes before it.
        sums = np.concatenate([sums[:, :-1] + part * cost[:, k:], sums[:, 1:] + part * cost[:, :-k]], axis=1)
    best: NDArray[np.float64] = sums.min(axis=1, initial=np.inf)
    return best
