"""History as Parquet, for DuckDB, pandas and the like: a file a zone, service and month, kept up to date unasked.

The archive stays the truth: a file can be made again from it, and is when what was told of its month has changed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from heliotrope.errors import MissingExtra
from heliotrope.files import put_whole
from heliotrope.grid.wire.archive import Archive, Kept
from heliotrope.units import from_epoch

FOLDER = Path("grid") / "history"
Row = dict[str, Any]


def write(archive: Archive, folder: Path) -> list[str]:
    """Every month that has changed; what must be said of it, if it cannot be written. Nothing without pyarrow."""
    if find_spec("pyarrow") is None:
        return []
    try:
        with archive.unwritten() as months:
            for provider, zone, month in months:
                start_s, end_s = _span(month)
                rows = rows_kept(archive.everything((zone,), start_s, end_s, provider=provider))
                put_whole(folder / quote(zone, safe="") / provider / f"{month}.parquet", parquet_bytes(rows))
    except OSError as error:
        return [f"kept, but not as Parquet in {folder}: {error.strerror or error}"]
    return []


def rows_kept(kept: Iterable[Kept]) -> Iterator[Row]:
    """A row for each value that a provider ever told; `replaced` ones were revised since."""
    for one in kept:
        yield {
            "time": from_epoch(one.start_s),
            "zone": one.zone,
            "value": one.value,
            "kind": one.kind,
            "provider": one.provider,
            "fetched": from_epoch(one.fetched_s),
            "note": one.note,
            "replaced": one.replaced,
        }


def parquet_bytes(rows: Iterable[Row]) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", needed_for="writing Parquet") from None
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), out)
    return out.getvalue()


def _span(month: str) -> tuple[int, int]:
    """`2026-03`: its first second, and the next month's."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    last = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return int(first.timestamp()), int(last.timestamp())
