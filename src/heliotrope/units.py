"""Quantities: SI inside, the unit in every name, conversions and human forms in one place."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from heliotrope.errors import InvalidInput

J_PER_KWH = 3_600_000.0
S_PER_HOUR = 3600
S_PER_DAY = 86_400
HOURS_PER_YEAR = 8760
G_PER_LB = 453.59237
MICRO = 1_000_000  # records hold µJ and µg as integers

_DURATION_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def kwh(energy_j: float) -> float:
    return energy_j / J_PER_KWH


def joules(energy_kwh: float) -> float:
    return energy_kwh * J_PER_KWH


def g_per_kwh_from_lb_per_mwh(value: float) -> float:
    return value * G_PER_LB / 1000.0


def to_micro(value: float) -> int:
    """Joules to µJ, grams to µg: the integers of records, rounded half to even."""
    return round(value * MICRO)


def from_micro(value: int) -> float:
    return value / MICRO


def epoch_s(when: datetime) -> int:
    """Whole seconds since 1970 UTC. Naive times are refused: nobody knows what they mean."""
    if when.tzinfo is None:
        raise InvalidInput("a time without a zone", found=when.isoformat(), hint="write 2026-01-31T07:00Z")
    return int(when.timestamp())


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def hour_floor(seconds: float) -> int:
    return int(seconds // S_PER_HOUR) * S_PER_HOUR


def parse_duration_s(text: str, *, field: str = "") -> float:
    """`90`, `90s`, `15m`, `1h30m`, `2d` to seconds."""
    stripped = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        return float(stripped)
    parts = _DURATION.findall(stripped)
    if not parts or _DURATION.sub("", stripped).strip():
        raise InvalidInput(
            "not a duration",
            field=field,
            found=text,
            allowed="a number with s, m, h, d or w",
            hint="write 24h, 90m or 1h30m",
        )
    return sum(float(number) * _DURATION_S[unit] for number, unit in parts)


_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str, *, field: str = "") -> int:
    """`500M`, `4GB`, `2GiB` to bytes; decimal unless there is an i."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    if not found:
        raise InvalidInput(
            "not a size",
            field=field,
            found=text,
            allowed="a number with k, M, G, T, Ki, Mi, Gi or Ti",
            hint="write 4GB",
        )
    return round(float(found[1]) * _BYTES[found[2] or ""])


def parse_instant(text: str, *, field: str = "", zone: tzinfo | None = None) -> datetime:
    """ISO 8601 to an aware UTC datetime; with a zone (`Z` or an offset), or in `zone` where it says none."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput("not a time", field=field, found=text, allowed="ISO 8601, as in 2026-01-31T07:00Z") from None
    if when.tzinfo is None and zone is None:
        hint = f"write {when.isoformat(timespec='minutes')}Z for UTC"
        raise InvalidInput("a time without a zone", field=field, found=text, hint=hint)
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    return when.astimezone(UTC)


def _scaled(value: float, unit: str, *, least: str = "µ") -> str:
    if value == 0:
        return f"0 {unit}"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995 or prefix == least:
            return (
                f"{value / factor:.3g} {prefix}{unit}"
                if abs(value / factor) < 999.5
                else f"{value / factor:,.0f} {prefix}{unit}"
            )
    return f"{value:.3g} {unit}"


def show_energy(energy_j: float) -> str:
    """Joules for people: J below 100 kJ, then Wh, kWh, MWh."""
    if abs(energy_j) < 1e5:
        return _scaled(energy_j, "J")
    return _scaled(energy_j / 3600.0, "Wh")


def show_carbon(carbon_g: float) -> str:
    if abs(carbon_g) >= 1e6:
        return _scaled(carbon_g / 1e6, "t")
    return _scaled(carbon_g, "g")


def show_number(value: float) -> str:
    """Three digits that count, thousands in full: 0.041, 8.39, 435, 19,600."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def show_bytes(size: float) -> str:
    """Bytes in powers of ten, as networks count."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def show_power(power_w: float) -> str:
    return _scaled(power_w, "W")


def show_water(water_l: float) -> str:
    return _scaled(water_l, "L")


def show_duration(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h 20 min`, `2 d 4 h`: two parts at the most."""
    if seconds < 0:
        return "-" + show_duration(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} d" + (f" {hours} h" if hours else "")
