"""Slots for strangers: CSV (or Parquet) from which anyone can recompute the grams and check every limit."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from heliotrope.errors import InvalidInput, MissingExtra
from heliotrope.plan.kernels.shapes import Batch, Floats, Slots
from heliotrope.simulate.source import Frame
from heliotrope.units import from_epoch

COLUMNS = ("job", "zone", "start", "end", "width", "power_w")


class SlotWriter:
    """Writes as it goes. `start` and `end` stand on the clock of the jobs' own `submitted`: numbers, or ISO."""

    def __init__(self, path: Path, frame: Frame, *, iso: bool) -> None:
        self._path = path
        self._frame = frame
        self._iso = iso
        self._parquet: Any = None
        self._file: Any = None

    def __enter__(self) -> Self:
        try:
            if self._path.suffix != ".parquet":
                self._file = self._path.open("w", encoding="utf-8")
                self._file.write(",".join(COLUMNS) + "\n")
        except OSError as error:
            raise InvalidInput("cannot be written", file=str(self._path), cause=str(error)) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for target in (self._file, self._parquet):
            if target is not None:
                target.close()

    def __call__(self, batch: Batch, slots: Slots, grams: Floats) -> None:
        names = self._frame.curves.zones
        ids = batch.ids or ()
        columns = (
            [ids[j] for j in slots.job.tolist()],
            [names[z] for z in slots.zone.tolist()],
            self._clock(slots.start_s),
            self._clock(slots.end_s),
            batch.devices[slots.job].tolist(),
            batch.power_w[slots.job].tolist(),
        )
        if self._path.suffix == ".parquet":
            self._write_parquet(columns)
            return
        self._file.writelines(
            f"{job},{zone},{start},{end},{width:.15g},{power_w:.15g}\n"
            for job, zone, start, end, width, power_w in zip(*columns, strict=True)
        )

    def _clock(self, times: Floats) -> list[Any]:
        if self._iso:
            return [from_epoch(t + self._frame.epoch_s).isoformat().replace("+00:00", "Z") for t in times.tolist()]
        return [f"{t:.12g}" for t in ((times - self._frame.origin_s) / self._frame.unit_s).tolist()]

    def _write_parquet(self, columns: tuple[list[Any], ...]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("pyarrow", "parquet", needed_for="writing Parquet") from None
        table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._path, table.schema)
        self._parquet.write_table(table)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Results of a sweep, a row a setting: .csv or .parquet."""
    if path.suffix == ".parquet":
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("pyarrow", "parquet", needed_for="writing Parquet") from None
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InvalidInput("cannot be written", file=str(path), cause=str(error)) from error
