"""Measurements for other tools: Prometheus text, OpenTelemetry, CSV, Parquet; and CodeCarbon's CSV read."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heliotrope.errors import InvalidInput, MissingExtra
from heliotrope.model import Estimate, Measurement, MeterTotal, Provenance, Reading
from heliotrope.units import joules

COLUMNS = ("meter", "domain", "start_s", "end_s", "energy_j", "error_j", "provenance")


def _rows(measurement: Measurement) -> list[dict[str, Any]]:
    return [
        {**{name: getattr(reading, name) for name in COLUMNS}, "provenance": reading.provenance.value}
        for reading in measurement.readings
    ]


def to_csv(measurement: Measurement) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(measurement))
    return text.getvalue()


def to_parquet(measurement: Measurement, path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", needed_for="writing Parquet") from None
    numbers = {"start_s", "end_s", "energy_j", "error_j"}
    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in COLUMNS])
    pq.write_table(pa.Table.from_pylist(_rows(measurement), schema), path)


def to_prometheus(measurement: Measurement, carbon_g: Estimate | None = None, *, watts: float | None = None) -> str:
    """The text that Prometheus scrapes. `_watts` is the mean over the measurement, where nothing later is known."""
    name = _quoted(measurement.name)
    lines = ["# TYPE heliotrope_energy_joules_total counter"]
    for meter in measurement.meters:
        which = f'meter="{_quoted(meter.name)}",domain="{_quoted(meter.domain)}"'
        labels = f'name="{name}",{which},provenance="{meter.provenance.value}"'
        lines.append(f"heliotrope_energy_joules_total{{{labels}}} {meter.energy_j!r}")
    lines += [
        "# TYPE heliotrope_joules_total counter",
        f'heliotrope_joules_total{{name="{name}"}} {measurement.energy_j.value!r}',
    ]
    if carbon_g is not None:
        lines += [
            "# TYPE heliotrope_grams_total counter",
            f'heliotrope_grams_total{{name="{name}"}} {carbon_g.value!r}',
        ]
    if watts is None:
        watts = measurement.energy_j.value / measurement.duration_s if measurement.duration_s else 0.0
    lines += ["# TYPE heliotrope_watts gauge", f'heliotrope_watts{{name="{name}"}} {watts!r}']
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def to_otel(measurement: Measurement, provider: Any) -> None:
    """`hw.energy` (J) and `hw.power` (W) of each meter, on a MeterProvider of the OpenTelemetry SDK."""
    meter = provider.get_meter("heliotrope")
    energy = meter.create_counter("hw.energy", unit="J", description="Energy of what was measured")
    power = meter.create_gauge("hw.power", unit="W", description="Mean power of what was measured")
    for total in measurement.meters:
        attributes = {
            "hw.id": f"{total.name}/{total.domain}",
            "hw.type": "gpu" if total.domain.startswith("gpu") else "cpu",
            "heliotrope.provenance": total.provenance.value,
        }
        energy.add(total.energy_j, attributes)
        if measurement.duration_s:
            power.set(total.energy_j / measurement.duration_s, attributes)


def from_codecarbon(path: Path) -> list[Measurement]:
    """Each row of an `emissions.csv`. CodeCarbon says no bounds and not what it measured: all of it is `assumed`."""
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the file cannot be read", file=str(path), cause=str(error)) from error
    return [_codecarbon_row(row, path, line) for line, row in enumerate(rows, start=2)]


def _codecarbon_row(row: dict[str, str], path: Path, line: int) -> Measurement:
    def number(field: str) -> float:
        try:
            value = float(row[field])
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                "not a row of CodeCarbon",
                file=str(path),
                line=line,
                field=field,
                found=row.get(field),
                allowed="a number",
            ) from None
        if not 0 <= value < float("inf"):
            raise InvalidInput(
                "not an amount", file=str(path), line=line, field=field, found=value, allowed="0 or more"
            )
        return value

    try:
        ended = datetime.fromisoformat(row["timestamp"])
    except (KeyError, ValueError):
        raise InvalidInput(
            "not a time", file=str(path), line=line, field="timestamp", found=row.get("timestamp")
        ) from None
    end_s = (ended if ended.tzinfo else ended.replace(tzinfo=UTC)).timestamp()
    duration_s = number("duration")
    parts = {
        domain: joules(number(f"{domain}_energy")) for domain in ("cpu", "gpu", "ram") if row.get(f"{domain}_energy")
    }
    value = joules(number("energy_consumed"))
    return Measurement(
        row.get("project_name") or "codecarbon",
        end_s - duration_s,
        end_s,
        duration_s,
        Estimate.exact(value, Provenance.ASSUMED),
        tuple(MeterTotal("codecarbon", domain, Provenance.ASSUMED, part) for domain, part in parts.items()),
        tuple(
            Reading("codecarbon", domain, end_s - duration_s, end_s, part, 0.0, Provenance.ASSUMED)
            for domain, part in parts.items()
        ),
        ("imported from CodeCarbon: it states no bounds, and its times no zone (read as UTC)",),
    )
