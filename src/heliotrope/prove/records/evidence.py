"""Evidence: all that a footprint was computed from, in one canonical text that anybody can compute it from again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from heliotrope.errors import BadProof, InvalidInput, UnknownZone
from heliotrope.model import Measurement, Quality, Quantity, Signal, SignalKind, Site
from heliotrope.prove.files import UNREADABLE, bounded
from heliotrope.prove.records import record

SCHEMA = "heliotrope/evidence/v1"


class Evidence(msgspec.Struct, frozen=True):
    """`measurement` in real epoch seconds as charged; `home` and `submitted_s` are what "at once" is judged by."""

    measurement: Measurement
    site: Site
    signals: tuple[Signal, ...]
    device_s: float | None = None
    home: Site | None = None
    submitted_s: float | None = None

    def signal(self, zone: str, quantity: Quantity) -> Signal | None:
        return next((s for s in of_zone(self.signals, zone) if s.kind.quantity is quantity), None)


def of_zone(signals: Iterable[Signal], zone: str) -> list[Signal]:
    """Those of a zone, by whatever name: sites may say `deu`, or nothing; signals say `DE`, or `WORLD`."""
    from heliotrope.grid import zones

    try:
        names = {zone, zones.find(zone).name}
    except UnknownZone:
        # One that only the owner's files know.
        names = {zone}
    return sorted((s for s in signals if s.zone in names), key=lambda s: s.zone != zone)


def encode(evidence: Evidence) -> bytes:
    """Floats as their shortest decimal strings: exact both ways, and canonical."""
    body = {
        "schema": SCHEMA,
        "measurement": _plain(msgspec.structs.replace(evidence.measurement, journal=None)),
        "site": _plain(evidence.site),
        "home": _plain(evidence.home),
        "device_s": _plain(evidence.device_s),
        "submitted_s": _plain(evidence.submitted_s),
        "signals": [encode_signal(signal) for signal in evidence.signals],
    }
    return record.canonical(body)


def decode(raw: bytes) -> Evidence:
    try:
        body = msgspec.json.decode(bounded(raw), type=dict[str, Any])
        if body.get("schema") != SCHEMA:
            raise BadProof("evidence of another schema", cause=f"found {body.get('schema')!r}")
        return Evidence(
            measurement=msgspec.convert(body["measurement"], Measurement, strict=False),
            site=msgspec.convert(body["site"], Site, strict=False),
            signals=tuple(_decode_signal(signal) for signal in body["signals"]),
            device_s=msgspec.convert(body["device_s"], float | None, strict=False),
            home=msgspec.convert(body["home"], Site | None, strict=False),
            submitted_s=msgspec.convert(body["submitted_s"], float | None, strict=False),
        )
    except (*UNREADABLE, KeyError, TypeError, ValueError, InvalidInput) as error:
        raise BadProof("evidence that cannot be read", cause=str(error)) from error


def encode_signal(signal: Signal) -> dict[str, Any]:
    return {
        "kind": _plain(signal.kind),
        "zone": signal.zone,
        "start_s": signal.start_s,
        "step_s": signal.step_s,
        "quality": _plain(signal.quality),
        "values": _decimals(signal.values.tolist()),
        "low": _decimals(signal.low.tolist()),
        "high": _decimals(signal.high.tolist()),
    }


def _decode_signal(body: Mapping[str, Any]) -> Signal:
    import numpy as np

    return Signal(
        kind=msgspec.convert(body["kind"], SignalKind),
        zone=msgspec.convert(body["zone"], str),
        start_s=msgspec.convert(body["start_s"], int),
        step_s=msgspec.convert(body["step_s"], int),
        values=np.array([float(v) for v in body["values"]]),
        low=np.array([float(v) for v in body["low"]]),
        high=np.array([float(v) for v in body["high"]]),
        quality=msgspec.convert(body["quality"], Quality),
    )


def _decimals(values: Iterable[float]) -> list[str]:
    return [repr(float(value)) for value in values]


def _plain(value: Any) -> Any:
    """Builtins with every float as a string."""
    return _strings(msgspec.to_builtins(value))


def _strings(tree: Any) -> Any:
    if isinstance(tree, float):
        return repr(tree)
    if isinstance(tree, dict):
        return {key: _strings(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_strings(value) for value in tree]
    return tree
