"""Series that the user keeps on disk: what was measured, or a forecast somebody else made.

A value for an hour that was still to come when the file was last written cannot be a measurement: it is taken as a
forecast. `[grid.options.file]` may say otherwise: `role = "history"` or `"forecast"`. Other keys: `kind` (of the
series, if not `grid.kind`), `kinds` (of single files: `{ "prices.csv" = "price" }`), `fill_hours` (longest gap to
interpolate, flagged), `licence`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from heliotrope.errors import ConfigError, InvalidInput, SignalGap, nearest
from heliotrope.grid.files.tables import Column, Table
from heliotrope.grid.providers import Setup
from heliotrope.grid.wire.points import filled_note
from heliotrope.grid.zones import Zone
from heliotrope.model import Quality, QualityKind, Signal, SignalKind
from heliotrope.units import S_PER_DAY, S_PER_HOUR, from_epoch, hour_floor


class FileOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str = "auto"
    kind: str = ""
    kinds: dict[str, str] = msgspec.field(default_factory=dict)
    fill_hours: int = 0
    licence: str = "the user's own"


class FileProvider:
    name = "file"

    def __init__(self, setup: Setup) -> None:
        try:
            self.options = msgspec.convert(dict(setup.options), FileOptions)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"grid.options.file: {error}", hint="keys: role, kind, kinds, fill_hours, licence"
            ) from error
        if self.options.role not in {"auto", "history", "forecast"}:
            raise InvalidInput(
                "no such role",
                field="grid.options.file.role",
                found=self.options.role,
                allowed="auto, history, forecast",
            )
        if not setup.settings.files:
            raise ConfigError("the file provider has no file", hint='[grid] files = ["intensity.csv"]')
        usual = SignalKind.parse(self.options.kind or setup.settings.kind)
        paths = [Path(path).expanduser() for path in setup.settings.files]
        for name in self.options.kinds.keys() - {path.name for path in paths}:
            raise ConfigError(
                f"grid.options.file.kinds: {name} is none of grid.files",
                hint=nearest(name, [path.name for path in paths]),
            )
        own = {name: SignalKind.parse(kind) for name, kind in self.options.kinds.items()}
        self._tables = [Table(path, own.get(path.name, usual)) for path in paths]
        self.kinds: tuple[SignalKind, ...] = tuple(dict.fromkeys(table.kind for table in self._tables))
        self._columns: dict[tuple[str, SignalKind], Column] = {}

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(zone for table in self._tables for zone in table.zones)

    def serves(self, zone: Zone, kind: SignalKind) -> bool:
        return any(table.kind == kind and zone.name in table.zones for table in self._tables)

    def history(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        return self._signal(zone, kind, start_s, end_s, QualityKind.MEASURED, None)

    def forecast(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, issued_at_s: int) -> Signal | None:
        column, path = self._column(zone, kind)
        from_hour = self._forecast_from(path)
        if from_hour is None or from_hour > max(start_s, issued_at_s - S_PER_HOUR):
            return None
        if column.at_s[-1] < start_s:
            return None
        return self._signal(zone, kind, start_s, end_s, QualityKind.FORECAST, issued_at_s)

    def parts(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> list[Signal]:
        """The whole hours of [start, end) within the file, where no hole among them is longer than may be filled."""
        first, last = self.covers(zone, kind)
        begin, end = max(hour_floor(start_s), -hour_floor(-first)), min(-hour_floor(-end_s), hour_floor(last))
        return [self.history(zone, kind, begin, end)] if begin < end else []

    def past(self, zone: Zone, kind: SignalKind, start_s: int, end_s: int) -> Signal:
        """What the file knows of [start, end), up to a day before its end."""
        first, last = self.covers(zone, kind)
        begin, end = max(hour_floor(start_s), -hour_floor(-first)), min(hour_floor(end_s), hour_floor(last))
        if begin >= end or end_s - end > S_PER_DAY:
            raise SignalGap(
                "no values just before the issue to forecast from",
                field=zone.name,
                cause=f"the file covers {from_epoch(first):%Y-%m-%dT%H:%MZ} to {from_epoch(last):%Y-%m-%dT%H:%MZ}",
                hint='if the file is a forecast itself: [grid.options.file] role = "forecast"',
            )
        return self.history(zone, kind, begin, end)

    def covers(self, zone: Zone, kind: SignalKind) -> tuple[int, int]:
        """Start of the first value and end of the last, epoch seconds."""
        column, _ = self._column(zone, kind)
        return int(column.at_s[0]), int(column.at_s[-1]) + column.step_s

    def _forecast_from(self, path: Path) -> int | None:
        """Values from here on are forecasts; None where none is."""
        if self.options.role == "history":
            return None
        return 0 if self.options.role == "forecast" else int(path.stat().st_mtime) - S_PER_HOUR

    def _column(self, zone: Zone, kind: SignalKind) -> tuple[Column, Path]:
        for table in self._tables:
            if table.kind == kind and zone.name in table.zones:
                if (zone.name, kind) not in self._columns:
                    self._columns[zone.name, kind] = table.column(zone.name)
                return self._columns[zone.name, kind], table.path
        raise SignalGap("no file has this zone", field=zone.name)

    def _signal(
        self, zone: Zone, kind: SignalKind, start_s: int, end_s: int, quality: QualityKind, issued_at_s: int | None
    ) -> Signal:
        column, path = self._column(zone, kind)
        first = start_s // S_PER_HOUR * S_PER_HOUR
        last = -(-end_s // S_PER_HOUR) * S_PER_HOUR
        values, filled = column.hours(first, last, fill_hours=self.options.fill_hours)
        flags = (*column.flags, *filled_note(filled))
        return Signal(
            kind,
            zone.name,
            first,
            S_PER_HOUR,
            values,
            values,
            values,
            Quality(quality, f"file {path.name}", self.options.licence, issued_at_s, None, flags),
        )
