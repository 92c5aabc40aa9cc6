"""Reads a grid: `time` and a column a zone, g/kWh, evenly spaced; gaps, negatives and slips of unit are refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from heliotrope.errors import InvalidInput, SignalGap, UsageError
from heliotrope.plan.kernels.shapes import Curves, Floats
from heliotrope.units import parse_instant

# Hourly intensities of real grids lie between these; a median outside them is a slip of unit.
LEAST_MEDIAN_G, MOST_MEDIAN_G = 2.0, 2500.0


def read(path: Path) -> tuple[Curves, int]:
    """The curves, and the epoch second of the first step."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InvalidInput("no such file", file=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("cannot be read", file=str(path), cause=str(error)) from error
    rows = list(csv.reader(lines))
    if not rows or not rows[0] or rows[0][0].strip() != "time":
        raise InvalidInput(
            "not a grid file", file=str(path), line=1, field="time", allowed="`time`, then a column a zone"
        )
    header = [name.strip() for name in rows[0]]
    body = [(i, row) for i, row in enumerate(rows[1:], start=2) if row]
    if len(header) < 2 or len(body) < 2:
        raise InvalidInput("a grid needs a zone and two hours", file=str(path), found=f"{len(body)} hours")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InvalidInput("a zone is there twice", file=str(path), line=1, field=twice)
    zones = tuple(header[1:])
    times = np.empty(len(body))
    for n, (line, row) in enumerate(body):
        if len(row) != len(header):
            raise InvalidInput(
                "a line with another number of fields than the header",
                file=str(path),
                line=line,
                found=len(row),
                allowed=str(len(header)),
            )
        times[n] = _time(path, line, row[0])
    values = _intensities(path, zones, body)
    step = times[1] - times[0]
    uneven = np.flatnonzero(np.diff(times) != step)
    if step <= 0 or len(uneven):
        n = int(uneven[0]) + 1 if len(uneven) else 1
        raise SignalGap(
            "times are not evenly spaced",
            file=str(path),
            line=body[n][0],
            field="time",
            found=body[n][1][0],
            allowed=f"{step:g} s after the line before",
        )
    _refuse_slip(path, zones, values)
    return Curves.of(zones, values, step), int(times[0])


def _time(path: Path, line: int, text: str) -> float:
    stated = text.strip()
    # Times without a zone are UTC in every public grid file; there is no other reading of them here.
    if stated and not stated.endswith("Z") and "+" not in stated:
        stated += "Z"
    try:
        return parse_instant(stated.replace(" ", "T", 1)).timestamp()
    except InvalidInput as error:
        raise InvalidInput(
            error.what, file=str(path), line=line, field="time", found=text, allowed="ISO 8601, as in 2022-01-01T00:00Z"
        ) from None


def _intensities(path: Path, zones: tuple[str, ...], body: list[tuple[int, list[str]]]) -> Floats:
    """[zone, step]; all at once, and one by one only to say which is wrong."""
    try:
        values = np.array([row[1:] for _, row in body]).astype(np.float64).T
        sound = bool(np.isfinite(values).all() and (values >= 0).all())
    except ValueError:
        sound = False
    if not sound:
        found = [
            [_intensity(path, line, z, text) for z, text in zip(zones, row[1:], strict=True)] for line, row in body
        ]
        values = np.array(found).T
    return np.ascontiguousarray(values)


def _intensity(path: Path, line: int, zone: str, text: str) -> float:
    try:
        value = float(text) if text.strip() else float("nan")
    except ValueError:
        raise InvalidInput("not a number", file=str(path), line=line, field=zone, found=text) from None
    if not np.isfinite(value):
        raise SignalGap("a missing intensity", file=str(path), line=line, field=zone, found=text, allowed="g/kWh")
    if value < 0:
        raise InvalidInput("a negative intensity", file=str(path), line=line, field=zone, found=value, allowed="0 on")
    return value


def _refuse_slip(path: Path, zones: tuple[str, ...], values: Floats) -> None:
    medians = np.median(values, axis=1) if len(zones) else np.array([])
    for zone, median, top in zip(zones, medians, values.max(axis=1) if len(zones) else (), strict=True):
        if 0 < median < LEAST_MEDIAN_G and top < 2 * LEAST_MEDIAN_G:
            raise InvalidInput(
                "looks like kg/kWh where g/kWh is read",
                file=str(path),
                field=zone,
                found=f"median {median:g}",
                allowed="g/kWh",
                hint="multiply the column by 1000",
            )
        if median > MOST_MEDIAN_G:
            raise InvalidInput(
                "too much for g/kWh: another unit?",
                file=str(path),
                field=zone,
                found=f"median {median:g}",
                allowed=f"up to {MOST_MEDIAN_G:g} g/kWh",
                hint="g/MWh divide by 1000; lb/MWh times 0.4536",
            )


def chosen(stated: str | None, curves: Curves) -> tuple[str, ...]:
    """`--zones`: names, `any`, or nothing where the grid has one zone only."""
    if stated is None:
        return curves.zones if len(curves.zones) == 1 else ()
    if stated.strip() == "any":
        return curves.zones
    names = tuple(name.strip() for name in stated.split(",") if name.strip())
    if not names:
        raise UsageError("--zones names no zone", hint="--zones DE,FR or --zones any")
    return names
