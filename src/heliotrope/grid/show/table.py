"""Series as tables for other tools: CSV, Parquet or JSON lines; each row carries where its value comes from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.grid.wire.months import Row, parquet_bytes
from heliotrope.model import Signal
from heliotrope.units import from_epoch

SUFFIXES = (".csv", ".parquet", ".json")


def point(signal: Signal) -> Row:
    """Its first hour, for JSON."""
    return {
        "zone": signal.zone,
        "kind": str(signal.kind),
        "time": from_epoch(signal.start_s),
        "value": float(signal.values[0]),
        "low": float(signal.low[0]),
        "high": float(signal.high[0]),
        "unit": signal.kind.unit,
        "quality": signal.quality,
    }


def series(signal: Signal) -> Row:
    """All of it, for JSON."""
    return {
        "zone": signal.zone,
        "kind": str(signal.kind),
        "unit": signal.kind.unit,
        "start": from_epoch(signal.start_s),
        "step_s": signal.step_s,
        "values": signal.values.tolist(),
        "low": signal.low.tolist(),
        "high": signal.high.tolist(),
        "quality": signal.quality,
    }


def rows_of(signals: Iterable[Signal]) -> Iterator[Row]:
    """A row an hour. `time,zone,value,unit` are what the file provider reads back."""
    for signal in signals:
        quality = signal.quality
        stated = {
            "unit": signal.kind.unit,
            "kind": str(signal.kind).partition(" ")[0],
            "quality": quality.kind.value,
            "source": quality.source,
            "licence": quality.licence,
            "issued": None if quality.issued_at_s is None else from_epoch(quality.issued_at_s),
            "flags": "; ".join(quality.flags),
        }
        bounds = zip(signal.values.tolist(), signal.low.tolist(), signal.high.tolist(), strict=True)
        for i, (value, low, high) in enumerate(bounds):
            at = from_epoch(signal.start_s + i * signal.step_s)
            yield {"time": at, "zone": signal.zone, "value": value, "low": low, "high": high, **stated}


def rows_now(signals: Iterable[Signal]) -> Iterator[Row]:
    """A row a zone: its first hour."""
    for signal in signals:
        yield next(rows_of([signal]))


def rows_listed(listed: Iterable[msgspec.Struct]) -> Iterator[Row]:
    """A row a struct, several values of a field in one cell."""
    for one in listed:
        fields = msgspec.structs.asdict(one)
        yield {name: "; ".join(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def check(path: Path) -> Path:
    """Refused before anything is asked for."""
    if path.suffix not in SUFFIXES:
        raise InvalidInput("no such format", field="--out", found=path.name, allowed=", ".join(SUFFIXES))
    return path


def write(rows: Iterable[Row], path: Path) -> int:
    """The format is the name's ending. Returns how many rows there are."""
    found = list(rows)
    try:
        if path.suffix == ".parquet":
            path.write_bytes(parquet_bytes(found))
        elif path.suffix == ".csv":
            path.write_text("".join(csv_lines(found)), encoding="utf-8")
        else:
            path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in found))
    except OSError as error:
        raise InvalidInput(
            "cannot be written", field="--out", found=str(path), cause=error.strerror or str(error)
        ) from error
    return len(found)


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The header, then a line a row."""
    names: list[str] = []
    for row in rows:
        if not names:
            names = list(row)
            yield ",".join(names) + "\n"
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([_plain(value) for value in row.values()])
        yield text.getvalue()


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:%Y-%m-%dT%H:%MZ}" if hasattr(value, "tzinfo") else str(value)
