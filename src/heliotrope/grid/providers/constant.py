"""What the user states: one number a kind, as a contract or a budget fixes it, the same in every hour.

`[grid.options.constant]` holds kinds: `price = 95.0` (EUR/MWh), `carbon_price = 71.5` (EUR/t), or a number a zone:
`price = { DE = 95.0, FR = 88.0 }`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliotrope.errors import ConfigError, HelioError
from heliotrope.grid.providers import Setup
from heliotrope.grid.wire.points import POSSIBLE
from heliotrope.grid.zones import Zone
from heliotrope.model import Quality, QualityKind, Signal, SignalKind
from heliotrope.units import S_PER_HOUR, hour_floor

ANYWHERE = ""


class ConstantProvider:
    name = "constant"

    def __init__(self, setup: Setup) -> None:
        self._levels = {_kind(text): _levels(text, stated) for text, stated in setup.options.items()}
        if not self._levels:
            raise ConfigError("the constant provider states nothing", hint="[grid.options.constant] price = 95.0")
        self.kinds = tuple(self._levels)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        levels = self._levels.get(kind, {})
        return zone.name in levels or ANYWHERE in levels

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        return self._signal(zone, kind, start_s, end_s, None)

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal | None:
        return self._signal(zone, kind, start_s, end_s, issued_at_s)

    def _signal(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int | None) -> Signal:
        import numpy as np

        levels = self._levels[kind]
        first = hour_floor(start_s)
        hours = (-hour_floor(-end_s) - first) // S_PER_HOUR
        values = np.full(hours, levels.get(zone.name, levels.get(ANYWHERE, 0.0)))
        flags = ("stated in the settings: the same in every hour",)
        quality = Quality(QualityKind.ESTIMATED, "the user's settings", "the user's own", issued_at_s, None, flags)
        return Signal(kind, zone.name, first, S_PER_HOUR, values, values, values, quality)


def _kind(text: str) -> SignalKind:
    try:
        return SignalKind.parse(text)
    except HelioError as error:
        raise ConfigError(
            f"grid.options.constant: {text}: {error.what}", hint="price, carbon_price, water …"
        ) from error


def _levels(text: str, stated: Any) -> dict[str, float]:
    table = stated if isinstance(stated, Mapping) else {ANYWHERE: stated}
    least, most = POSSIBLE[_kind(text).quantity]
    for zone, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ConfigError(
                f"grid.options.constant.{text}{f'.{zone}' if zone else ''}: {value!r} cannot be",
                hint=f"a number from {least:g} to {most:g} {_kind(text).unit}",
            )
    return {zone: float(value) for zone, value in table.items()}
