"""The auditor's own copy of the grid model, for signals that claim to come from it."""

from __future__ import annotations

from heliotrope.config import GridSettings
from heliotrope.errors import HelioError
from heliotrope.grid import Grid
from heliotrope.model import Quality, Signal, SignalKind

_MODEL = "heliotrope model"


def model_signal(zone: str, start_s: int, end_s: int, kind: SignalKind, quality: Quality) -> Signal | None:
    """None for series of other models, and for forecasts, which this one does not make the same way."""
    if not quality.source.startswith(_MODEL) or quality.issued_at_s is not None:
        return None
    try:
        return Grid(GridSettings(providers=("model",), kind=str(kind))).history(zone, start_s, end_s, kind=kind)
    except HelioError:
        return None
